"""Accounts in Entra ID through their life, on a simulator that checks every request as Graph would."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509

from contracts.texts import CODES
from deploy.local.settings import ROOT
from deploy.simulators.graph.seeds import CollectiveSeed
from services.accounts.adapters.entra import EntraAccounts
from services.accounts.adapters.entra_attributes import SignIn
from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.plan import Change, Create, verified
from services.accounts.ports import Lookup
from services.kernel.directory import Graph
from services.kernel.failures import Permanent, Unavailable, Waiting
from services.kernel.targets import EntraTarget, TargetsRefused, graph_access, load_targets
from tests.integration.accounts.entra_town import Tenant, attributes, stamp, tenant_under_test
from tests.support.entra import CLIENT, DOMAIN, ORGANISATION, SECRET, SKU, group, key_and_certificate, options

README = ROOT / "deploy" / "entra" / "README.md"
PASSWORD = "Vinter-Kajak-42!"
ROUTE = Grant(GrantKind.MAIL_ROUTE, f"Registrator@{DOMAIN}")


@pytest.fixture
async def tenant(tmp_path: Path) -> AsyncIterator[Tenant]:
    async with tenant_under_test(tmp_path) as here:
        yield here


async def test_a_leaver_is_refused_and_what_was_signed_in_is_signed_out(tenant: Tenant) -> None:
    person = uuid4()
    account = await tenant.add(person)
    await tenant.accounts.set_password(account, PASSWORD, stamp(person))
    assert await tenant.simulator.logs_in("anna", PASSWORD)
    tenant.simulator.later(5)
    closed = await tenant.accounts.change(account, Change({}, enabled=False), stamp(person))
    assert closed.enabled is False
    assert not await tenant.simulator.logs_in("anna", PASSWORD)
    assert len(tenant.simulator.log("user.sessionsRevoked")) == 1
    opened = await tenant.accounts.change(closed, Change({}, enabled=True), stamp(person))
    assert opened.enabled is True
    assert await tenant.simulator.logs_in("anna", PASSWORD)


async def test_what_somebody_closed_by_hand_is_closed_but_not_as_we_close(tenant: Tenant) -> None:
    person = uuid4()
    account = await tenant.add(person)
    (entry,) = tenant.simulator.users()
    by_hand = {**entry.properties, "accountEnabled": False}
    tenant.simulator.tenant.shelf.put(type(entry)(entry.id, entry.kind, by_hand))
    found = (await tenant.find(person, entry=account.entry)).mine
    assert found is not None
    assert found.enabled is None


async def test_an_account_is_made_closed_when_it_shall_be_and_its_password_is_nobodys(tenant: Tenant) -> None:
    account = await tenant.add(person := uuid4(), enabled=False)
    assert account.enabled is False
    (made,) = tenant.simulator.log("user.created")
    changed = tenant.simulator.log("user.accountEnabled")
    assert [one.number for one in changed] in ([], [made.number])
    assert (await tenant.find(person, "anna")).mine == account
    # and a pass that finds it so has nothing to write
    written = len([one for one in tenant.simulator.log() if one.method != "GET"])
    await tenant.accounts.change(account, Change({}), stamp(person))
    assert len([one for one in tenant.simulator.log() if one.method != "GET"]) == written


async def test_who_is_known_by_id_is_asked_for_by_it_alone(tenant: Tenant) -> None:
    person = uuid4()
    account = await tenant.add(person)
    asked = len(tenant.simulator.log())
    assert (await tenant.find(person, "anna", entry=account.entry)).mine == account
    assert [one.path for one in tenant.simulator.log()[asked:]] == [f"/v1.0/users/{account.entry}"]


async def test_an_account_whose_note_of_the_person_was_wiped_is_known_by_its_id_and_noted_anew(tenant: Tenant) -> None:
    person = uuid4()
    account = await tenant.add(person)
    (entry,) = tenant.simulator.users()
    wiped = {**entry.properties, "onPremisesExtensionAttributes": {}}
    tenant.simulator.tenant.shelf.put(type(entry)(entry.id, entry.kind, wiped))
    assert (await tenant.find(person, "anna")).mine is None
    found = (await tenant.find(person, "anna", entry=account.entry)).mine
    assert found is not None
    await tenant.accounts.change(found, Change({"title": ("Rektor",)}), stamp(person))
    assert (await tenant.find(person, "anna")).mine is not None


async def test_an_id_that_has_become_somebody_elses_is_for_a_person_to_look_at(tenant: Tenant) -> None:
    theirs = await tenant.add(uuid4())
    with pytest.raises(Permanent) as foreign:
        await tenant.find(person := uuid4(), entry=theirs.entry)
    assert foreign.value.code == "account.foreign"
    for call in (
        tenant.accounts.change(theirs, Change({}, enabled=False), stamp(person)),
        tenant.accounts.delete(theirs, stamp(person)),
        tenant.accounts.adopt(theirs, stamp(person)),
    ):
        with pytest.raises(Permanent):
            await call


async def test_two_accounts_of_one_person_are_for_a_person_to_look_at(tenant: Tenant) -> None:
    person = uuid4()
    note = {"onPremisesExtensionAttributes": {"extensionAttribute15": str(person)}}
    users = [tenant.simulator.user(mailNickname=login, **note) for login in ("anna", "anna2")]
    tenant.simulator.sow(users=tuple(users))
    with pytest.raises(Permanent) as twice:
        await tenant.find(person)
    assert twice.value.code == "account.duplicate"


@pytest.mark.parametrize("enabled", [True, False])
async def test_an_account_that_another_hand_deleted_comes_back_as_it_shall_be_and_nobody_gets_in_by_what_they_knew(
    tenant: Tenant, enabled: bool
) -> None:
    person = uuid4()
    account = await tenant.add(person, title=("Rektor",))
    await tenant.accounts.set_password(account, PASSWORD, stamp(person))
    tenant.simulator.later(5)
    tenant.simulator.delete_by_hand(account.entry)
    assert (await tenant.find(person, "anna")).mine is None
    again = await tenant.add(person, sn=("Ek",), enabled=enabled)
    assert (again.entry, again.enabled) == (account.entry, enabled)
    assert verified(attributes("anna", sn=("Ek",)), again.attributes) == frozenset()
    assert "title" not in again.attributes
    assert not await tenant.simulator.logs_in("anna", PASSWORD)
    assert (tenant.made(), len(tenant.simulator.log("user.sessionsRevoked")), tenant.asked.names) == (1, 1, {})


async def test_who_comes_back_after_we_deleted_the_account_gets_a_new_one_without_what_others_had_given_the_old(
    tenant: Tenant,
) -> None:
    person = uuid4()
    account = await tenant.add(person)
    theirs = CollectiveSeed(properties={"displayName": "Ekonomi"}, members=(f"anna@{DOMAIN}",))
    tenant.simulator.sow(groups=(theirs,))
    assert await tenant.accounts.held(account, {Grant(GrantKind.GROUP, "Ekonomi")}) != set()
    await tenant.accounts.delete(account, stamp(person))
    again = await tenant.add(person)
    assert (again.entry != account.entry, again.user_name, again.enabled) == (True, "anna", True)
    assert await tenant.accounts.held(again, {Grant(GrantKind.GROUP, "Ekonomi")}) == set()
    assert (await tenant.find(person, "anna")).mine == again
    # another hand deletes that one: of the two deleted ones it is the one that comes back
    tenant.simulator.delete_by_hand(again.entry)
    assert (await tenant.add(person)).entry == again.entry
    assert (tenant.made(), len(tenant.simulator.users(deleted=True))) == (2, 1)


async def test_one_that_was_cut_off_between_the_note_and_the_deletion_is_opened_again_as_it_was(tenant: Tenant) -> None:
    person = uuid4()
    account = await tenant.add(person)
    tenant.simulator.later(5)
    closed = await tenant.accounts.change(account, Change({}, enabled=False), stamp(person))
    tenant.simulator.fault("error", method="DELETE", path="*/users/*", status=503, times=1)
    with pytest.raises(Unavailable):
        await tenant.accounts.delete(closed, stamp(person))
    found = (await tenant.find(person, "anna")).mine
    assert found is not None
    assert found.enabled is False
    opened = await tenant.accounts.change(found, Change({}, enabled=True), stamp(person))
    tenant.simulator.delete_by_hand(opened.entry)
    assert (await tenant.add(person)).entry == account.entry


async def test_a_synced_account_that_is_deleted_is_active_directorys_to_bring_back(tenant: Tenant) -> None:
    person = uuid4()
    note = {"onPremisesExtensionAttributes": {"extensionAttribute15": str(person)}}
    tenant.simulator.sow(users=(tenant.simulator.user(mailNickname="anna", onPremisesSyncEnabled=True, **note),))
    (entry,) = tenant.simulator.users()
    tenant.simulator.delete_by_hand(entry.id)
    with pytest.raises(Waiting) as waits:
        await tenant.add(person)
    assert (waits.value.code, tenant.made()) == ("account.synced", 0)


async def test_a_user_that_active_directory_writes_is_never_written_but_its_sessions_are_ended(tenant: Tenant) -> None:
    person = uuid4()
    note = {"onPremisesExtensionAttributes": {"extensionAttribute15": str(person)}}
    tenant.simulator.sow(users=(tenant.simulator.user(mailNickname="anna", onPremisesSyncEnabled=True, **note),))
    account = (await tenant.find(person)).mine
    assert account is not None
    assert account.synced
    for change in (Change({"title": ("Rektor",)}), Change({}, enabled=False)):
        with pytest.raises(Waiting) as waits:
            await tenant.accounts.change(account, change, stamp(person))
        assert waits.value.code == "account.synced"
    with pytest.raises(Waiting):
        await tenant.accounts.delete(account, stamp(person))
    written = [one.path.rsplit("/", 1)[-1] for one in tenant.simulator.log() if one.changes]
    assert written == ["revokeSignInSessions"]
    licence = Grant(GrantKind.LICENCE, SKU)
    with pytest.raises(Permanent) as no_country:
        await tenant.accounts.grant(account, licence, stamp(person))
    assert no_country.value.code == "graph.usage_location_missing"


async def test_what_others_wrote_where_the_person_would_be_noted_is_left_and_told(tenant: Tenant) -> None:
    theirs = {"extensionAttribute15": "kostnadsställe 4711"}
    tenant.simulator.sow(users=(tenant.simulator.user(onPremisesExtensionAttributes=theirs),))
    (listed,) = [one async for page in tenant.accounts.pages(ORGANISATION) for one in page]
    with pytest.raises(Permanent) as refused:
        await tenant.accounts.adopt(listed.observed, stamp(uuid4()))
    told = refused.value
    assert (told.code, told.parameters) == ("account.mark_taken", {"attribute": "extensionAttribute15"})
    assert [one for one in tenant.simulator.log() if one.changes] == []


async def test_a_licence_brings_the_country_with_it_and_a_group_may_be_named_by_its_id(tenant: Tenant) -> None:
    tenant.simulator.sow(users=(tenant.simulator.user(mailNickname="hand"),), groups=(group("Lärare"),))
    (listed,) = [one async for page in tenant.accounts.pages(ORGANISATION) for one in page]
    account = await tenant.accounts.adopt(listed.observed, stamp(person := uuid4()))
    assert (listed.person, (await tenant.find(person)).mine) == (None, account)
    licence = Grant(GrantKind.LICENCE, SKU)
    for _ in range(2):
        await tenant.accounts.grant(account, licence, stamp(person))
    assert await tenant.accounts.held(account, {licence}) == {licence}
    await tenant.accounts.grant(account, by_name := Grant(GrantKind.GROUP, "Lärare"), stamp(person))
    (added,) = tenant.simulator.log("group.memberAdded")
    by_id = Grant(GrantKind.GROUP, added.path.split("/")[3])
    assert await tenant.accounts.held(account, {by_id, by_name}) == {by_id, by_name}
    tenant.simulator.sow(groups=(group("Vikarie"), group("Vikarie")))
    with pytest.raises(Permanent) as ambiguous:
        await tenant.accounts.grant(account, Grant(GrantKind.GROUP, "Vikarie"), stamp(person))
    assert ambiguous.value.code == "account.group_ambiguous"


async def test_mail_is_routed_by_a_rule_of_ours_which_names_nobody_and_others_rules_are_left(tenant: Tenant) -> None:
    person = uuid4()
    account = await tenant.add(person, "anna.oberg")
    with pytest.raises(Waiting) as no_mailbox:
        await tenant.accounts.grant(account, ROUTE, stamp(person))
    assert (no_mailbox.value.code, await tenant.accounts.held(account, {ROUTE})) == (
        "account.mailbox_missing",
        frozenset(),
    )
    assert no_mailbox.value.code in CODES
    await tenant.accounts.revoke(account, ROUTE, stamp(person))
    await tenant.accounts.grant(account, Grant(GrantKind.LICENCE, SKU), stamp(person))
    own = {"id": "own", "displayName": "Anna", "isEnabled": True, "actions": {"redirectTo": []}, "conditions": None}
    put_rules(tenant, own)
    for _ in range(2):
        await tenant.accounts.grant(account, ROUTE, stamp(person))
    assert await tenant.accounts.held(account, {ROUTE, Grant(GrantKind.MAIL_ROUTE, f"x@{DOMAIN}")}) == {ROUTE}
    theirs, ours = tenant.simulator.users()[0].rules
    assert (theirs, len(tenant.simulator.log("user.ruleCreated"))) == (own, 1)
    assert "oberg" not in str(ours).casefold()
    for altered in ({"isEnabled": False}, {"conditions": {"subjectContains": ["x"]}}, {"actions": own["actions"]}):
        put_rules(tenant, own, {**ours, **altered})
        assert await tenant.accounts.held(account, {ROUTE}) == set()
        await tenant.accounts.grant(account, ROUTE, stamp(person))
        assert await tenant.accounts.held(account, {ROUTE}) == {ROUTE}
        assert len(tenant.simulator.users()[0].rules) == 2
    for _ in range(2):
        await tenant.accounts.revoke(account, ROUTE, stamp(person))
    assert tenant.simulator.users()[0].rules == (own,)


def put_rules(tenant: Tenant, *rules: dict[str, Any]) -> None:
    """Leave these in the inbox, as its owner could."""
    (entry,) = tenant.simulator.users()
    tenant.simulator.tenant.shelf.put(replace(entry, rules=rules))


async def test_a_rule_whose_answer_was_lost_is_not_made_twice_however_the_directory_lags(tenant: Tenant) -> None:
    person = uuid4()
    account = await tenant.add(person)
    await tenant.accounts.grant(account, Grant(GrantKind.LICENCE, SKU), stamp(person))
    tenant.simulator.tenant.lag = 60
    tenant.simulator.fault("lost_answer", method="POST", path="*/messageRules", times=1, hang=0)
    with pytest.raises(Unavailable):
        await tenant.accounts.grant(account, ROUTE, stamp(person))
    await tenant.accounts.grant(account, ROUTE, stamp(person))
    assert len(tenant.simulator.users()[0].rules) == 1


async def test_the_manager_is_written_once_and_taken_away_again(tenant: Tenant) -> None:
    person = uuid4()
    account, manager = await tenant.add(person, "anna"), await tenant.add(uuid4(), "bo")
    for who in ((manager.entry,), (manager.entry,), (), ()):
        account = await tenant.accounts.change(account, Change({"manager": who}), stamp(person))
        assert account.attributes.get("manager", ()) == who
    changes = [len(tenant.simulator.log(change)) for change in ("user.managerSet", "user.managerRemoved")]
    assert changes == [1, 1]


async def test_who_signs_in_by_mail_gets_a_new_name_with_a_new_address(tenant: Tenant) -> None:
    accounts = EntraAccounts(tenant.graph, options(sign_in=SignIn.MAIL), tenant.asked)
    person = uuid4()
    account = await accounts.add("aoberg", Create(True, attributes("anna.oberg")), stamp(person))
    changed = await accounts.change(account, Change({"mail": (f"anna.ek@{DOMAIN}",)}), stamp(person))
    (entry,) = tenant.simulator.users()
    assert entry.properties["userPrincipalName"] == f"anna.ek@{DOMAIN}"
    assert (changed.user_name, changed.attributes["mail"]) == ("aoberg", (f"anna.ek@{DOMAIN}",))


async def test_only_what_entra_can_hold_is_planned_with(tenant: Tenant) -> None:
    wanted = {
        "cn": ("Anna Öberg",),
        "displayName": ("Anna Öberg",),
        "sn": ("Öberg",),
        "mail": (f"anna@{DOMAIN}", f"old@{DOMAIN}"),
        "ou": ("Ö" * 80,),
        "departmentNumber": ("100",),
        "title": (),
    }
    fitting = tenant.accounts.fit(wanted)
    assert fitting == {
        "displayName": ("Anna Öberg",),
        "sn": ("Öberg",),
        "mail": (f"anna@{DOMAIN}",),
        "ou": ("Ö" * 64,),
        "title": (),
    }
    account = await tenant.accounts.add("anna", Create(True, fitting), stamp())
    assert verified(fitting, account.attributes) == frozenset()
    elsewhere = EntraAccounts(tenant.graph, options(write_mail=False), tenant.asked)
    assert "mail" not in elsewhere.fit(wanted)


async def test_quotes_cannot_break_out_of_a_filter(tenant: Tenant) -> None:
    person = uuid4()
    odd = attributes("o'neil", sn=("O'Neil' or 'a' eq 'a",), employeeNumber=("1' or true",))
    account = await tenant.accounts.add("o'neil", Create(True, odd), stamp(person))
    assert (await tenant.find(person, "o'neil")).mine == account
    found = await tenant.accounts.find(Lookup(ORGANISATION, uuid4(), "x' or true or 'a' eq 'a", "x'", f"x'@{DOMAIN}"))
    assert (found.mine, found.unmanaged, found.login_taken, found.mail_taken) == (None, False, False, False)


async def test_the_permissions_that_the_readme_asks_for_are_enough(tenant: Tenant) -> None:
    asked = frozenset(re.findall(r"`([\w-]+(?:\.\w+)+\.All|\w+\.ReadWrite)`", README.read_text(encoding="utf-8")))
    app = tenant.simulator.tenant.apps[CLIENT]
    tenant.simulator.tenant.apps[CLIENT] = replace(app, roles=asked)
    tenant.simulator.sow(groups=(group("Lärare"),))
    person = uuid4()
    account, manager = await tenant.add(person, "anna"), await tenant.add(uuid4(), "bo")
    await tenant.accounts.set_password(account, PASSWORD, stamp(person))
    await tenant.accounts.change(account, Change({"manager": (manager.entry,)}), stamp(person))
    grants = {Grant(GrantKind.GROUP, "Lärare"), Grant(GrantKind.LICENCE, SKU), ROUTE}
    for grant in sorted(grants):
        await tenant.accounts.grant(account, grant, stamp(person))
    assert await tenant.accounts.held(account, grants) == grants
    for grant in sorted(grants, reverse=True):
        await tenant.accounts.revoke(account, grant, stamp(person))
    tenant.simulator.later(5)
    await tenant.accounts.change(account, Change({"title": ("Rektor",)}, enabled=False), stamp(person))
    await tenant.accounts.delete(account, stamp(person))
    again = await tenant.add(person, "anna")
    tenant.simulator.delete_by_hand(again.entry)
    assert (await tenant.add(person, "anna")).entry == again.entry
    assert len([page async for page in tenant.accounts.pages(ORGANISATION)]) == 1


@pytest.mark.parametrize("proof", ["secret", "certificate"])
async def test_the_file_of_targets_says_how_a_tenant_is_reached(tenant: Tenant, tmp_path: Path, proof: str) -> None:
    private, certificate = key_and_certificate()
    app = tenant.simulator.tenant.apps[CLIENT]
    registered = (x509.load_pem_x509_certificate(certificate.encode()),)
    tenant.simulator.tenant.apps[CLIENT] = replace(app, certificates=registered)
    (tmp_path / "proof").write_text(f"{SECRET}\n" if proof == "secret" else f"{certificate}\n{private}\n")
    there = tenant.simulator.access()
    section = ["[entra]", 'kind = "entra"', 'secret_file = "proof"', f'client_id = "{CLIENT}"']
    section += [f'authority = "{there.authority}"', f'url = "{there.url}"', f'ca_file = "{there.ca_file}"']
    (tmp_path / "targets.toml").write_text("\n".join(section))
    target = load_targets(tmp_path / "targets.toml", [])["entra"]
    assert isinstance(target, EntraTarget)
    access = graph_access(target, lease_seconds=24.0)
    assert (access.timeout, access.secret is None) == (3, proof == "certificate")
    graph = Graph(access)
    await graph.probe()
    await graph.close()


def test_the_two_attributes_that_are_ours_must_differ(tmp_path: Path) -> None:
    (tmp_path / "proof").write_text("x")
    section = ["[entra]", 'kind = "entra"', 'secret_file = "proof"', 'client_id = "x"', 'authority = "https://x/y"']
    (tmp_path / "targets.toml").write_text("\n".join([*section, 'person_attribute = "extensionAttribute14"']))
    with pytest.raises(TargetsRefused, match="are the same"):
        load_targets(tmp_path / "targets.toml", [])
