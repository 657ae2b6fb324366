"""Entra ID that lags, throttles, loses answers, refuses: nothing twice, nobody left open, IT is told what to do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from contracts.codes import StepState
from contracts.texts import CODES
from deploy.simulators.graph.control import ListenerAsked
from services.accounts.adapters.entra import EntraAccounts
from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.plan import Change, Create
from services.accounts.ports import NameTaken
from services.kernel.directory import Graph
from services.kernel.failures import Failure, Permanent, Throttled, Transient, Unavailable, Waiting, rule
from tests.integration.accounts.entra_town import Tenant, attributes, stamp, tenant_under_test
from tests.support.entra import CLIENT, DOMAIN, ORGANISATION, SKU, options

LAG = 60.0


@pytest.fixture
async def tenant(tmp_path: Path) -> AsyncIterator[Tenant]:
    async with tenant_under_test(tmp_path, timeout=1.0) as here:
        yield here


async def test_an_account_that_is_not_replicated_yet_is_waited_for_and_never_made_twice(tenant: Tenant) -> None:
    person = uuid4()
    tenant.simulator.tenant.lag = LAG
    for _ in range(3):
        assert (await tenant.find(person, "anna")).mine is None
        with pytest.raises(Transient) as lag:
            await tenant.add(person)
        assert lag.value.code == "account.not_replicated"
    tenant.simulator.later(LAG + 1)
    found = (await tenant.find(person, "anna")).mine
    assert found is not None
    assert await tenant.add(person) == found
    assert tenant.made() == 1


async def test_a_404_by_an_id_that_was_just_stored_is_lag_and_later_it_is_gone(tenant: Tenant) -> None:
    person, other = uuid4(), uuid4()
    account = await tenant.add(person)
    tenant.simulator.tenant.lag = LAG
    just_made = await_entry(tenant, other)
    with pytest.raises(Transient) as lag:
        await tenant.find(other, entry=await just_made, fresh=True)
    assert lag.value.code == "account.not_replicated"
    tenant.simulator.tenant.lag = 0.0
    await tenant.accounts.delete(account, stamp(person))
    # it lies among the deleted items: that is an answer, however fresh the id is
    for fresh in (True, False):
        assert (await tenant.find(person, entry=account.entry, fresh=fresh)).mine is None


async def await_entry(tenant: Tenant, person: object) -> str:
    with pytest.raises(Transient) as lag:
        await tenant.add(person, "bo")  # type: ignore[arg-type]
    return str(lag.value.parameters["entry"])


@pytest.mark.parametrize("lag", [0.0, LAG])
async def test_a_timeout_after_it_was_done_finds_what_was_made(tenant: Tenant, lag: float) -> None:
    person = uuid4()
    tenant.simulator.tenant.lag = lag
    tenant.simulator.fault("lost_answer", method="POST", path="*/users", times=1)
    with pytest.raises(Unavailable) as lost:
        await tenant.add(person)
    assert lost.value.code == "directory.timeout"
    if lag:
        with pytest.raises(Transient):
            await tenant.add(person)
    tenant.simulator.later(lag + 1)
    again = await tenant.add(person)
    assert again.entry == tenant.simulator.users()[0].id
    assert (await tenant.find(person, "anna")).mine == again
    assert tenant.made() == 1


async def test_a_name_that_changes_while_the_outcome_is_unknown_makes_no_second_account(tenant: Tenant) -> None:
    """Whoever carries on may have been started since: all that is known of the call is what was written down."""
    person = uuid4()
    tenant.simulator.tenant.lag = LAG
    tenant.simulator.fault("lost_answer", method="POST", path="*/users", times=1)
    with pytest.raises(Unavailable):
        await tenant.add(person, "anna")
    tenant.accounts = EntraAccounts(tenant.graph, options(), tenant.asked)
    with pytest.raises(Transient) as waits:
        await tenant.add(person, "anna2")
    assert waits.value.code == "account.not_replicated"
    tenant.simulator.later(LAG + 1)
    assert (await tenant.add(person, "anna2")).user_name == "anna"
    assert (tenant.made(), tenant.asked.names) == (1, {})


async def test_a_rehire_whose_answer_was_lost_is_not_made_twice_because_the_old_account_seems_to_hold_the_name(
    tenant: Tenant,
) -> None:
    person = uuid4()
    await tenant.accounts.delete(await tenant.add(person), stamp(person))
    tenant.simulator.tenant.lag = LAG
    tenant.simulator.later(LAG + 1)
    tenant.simulator.fault("lost_answer", method="POST", path="*/users", times=1)
    with pytest.raises(Unavailable):
        await tenant.add(person)
    for _ in range(3):
        with pytest.raises(Transient) as waits:
            await tenant.add(person)
        assert waits.value.code == "account.not_replicated"
        tenant.asked.later(30)
    assert [one.age for one in tenant.asked.names.values()] == [90]
    tenant.simulator.later(LAG + 1)
    await tenant.add(person)
    assert (tenant.made(), len(tenant.simulator.users())) == (2, 1)


async def test_a_name_that_was_refused_or_is_anothers_holds_nobody_up(tenant: Tenant) -> None:
    person = uuid4()
    tenant.simulator.fault("throttle", method="POST", path="*/users", retry_after=0, times=1)
    with pytest.raises(Throttled):
        await tenant.add(person, "anna")
    assert tenant.asked.names == {}
    tenant.simulator.sow(users=(tenant.simulator.user(mailNickname="anna"),))
    with pytest.raises(NameTaken):
        await tenant.add(person, "anna")
    assert tenant.asked.names == {}
    await tenant.asked.ask(ORGANISATION, person, f"anna@{DOMAIN}", within=1)
    assert (await tenant.add(person, "anna2")).user_name == "anna2"


async def test_a_restoration_whose_answer_was_lost_is_found_and_not_made_anew(tenant: Tenant) -> None:
    person = uuid4()
    account = await tenant.add(person)
    tenant.simulator.delete_by_hand(account.entry)
    tenant.simulator.fault("lost_answer", method="POST", path="*/restore", times=1)
    with pytest.raises(Unavailable):
        await tenant.add(person)
    assert (found := (await tenant.find(person, "anna")).mine) is not None
    assert found.entry == account.entry
    assert tenant.made() == 1


async def test_throttled_for_minutes_nothing_more_is_asked_and_no_attempt_is_burnt(tenant: Tenant) -> None:
    person = uuid4()
    await tenant.find(person)
    tenant.simulator.fault("throttle", method="POST", path="*/users", retry_after=300)
    with pytest.raises(Throttled) as throttled:
        await tenant.add(person)
    assert throttled.value.retry_after == 300
    ruling = rule(throttled.value, 12, removing=False, jitter=lambda most: most)
    assert (ruling.state, ruling.retry_in, ruling.attempts) == (StepState.RETRYING, 300, 11)
    asked = len(tenant.simulator.log())
    for call in (tenant.find(person), tenant.find(uuid4())):
        with pytest.raises(Throttled) as meanwhile:
            await call
        assert 290 < meanwhile.value.retry_after <= 300
    assert len(tenant.simulator.log()) == asked


async def test_a_storm_of_5xx_is_weathered_by_reads_and_never_repeats_a_write(tenant: Tenant) -> None:
    person = uuid4()
    tenant.simulator.fault("error", method="GET", path="*/v1.0/users", status=502, times=2)
    assert (await tenant.find(person, "anna")).mine is None
    for status, kind in ((503, Unavailable), (500, Transient)):
        tenant.simulator.fault("error", method="POST", path="*/users", status=status, times=1)
        with pytest.raises(kind) as away:
            await tenant.add(person)
        assert dict(away.value.parameters) == {"result": str(status)}
    asked = [one.status for one in tenant.simulator.log() if (one.method, one.path) == ("POST", "/v1.0/users")]
    assert asked == [503, 500]
    await tenant.add(person)
    assert tenant.made() == 1


async def test_a_token_that_ends_in_mid_batch_is_renewed_and_nothing_is_done_twice(tenant: Tenant) -> None:
    person = uuid4()
    account = await tenant.add(person)
    tenant.simulator.later(5)
    tenant.simulator.fault("expired_token", method="POST", path="*/revokeSignInSessions", times=1)
    closed = await tenant.accounts.change(account, Change({}, enabled=False), stamp(person))
    assert closed.enabled is False
    assert [len(tenant.simulator.log(change)) for change in ("user.accountEnabled", "user.sessionsRevoked")] == [1, 1]


async def test_a_token_that_ends_is_fetched_anew_once(tenant: Tenant) -> None:
    await tenant.accounts.probe()
    tenant.simulator.service.tokens.end(None)
    await tenant.accounts.probe()
    assert [one.status for one in tenant.simulator.log() if one.path == "/v1.0/users"] == [200, 401, 200]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"secret": "wrong"}, "graph.secret_invalid"),
        ({"client_id": "00000000-0000-0000-0000-000000000001"}, "graph.app_unknown"),
    ],
)
async def test_credentials_that_are_wrong_stop_the_whole_target_and_say_what_to_mend(
    tenant: Tenant, wrong: dict[str, str], code: str
) -> None:
    graph = Graph(tenant.simulator.access(**wrong))
    accounts = EntraAccounts(graph, options(), tenant.asked)
    for call in (accounts.probe(), accounts.add("anna", Create(True, attributes("anna")), stamp())):
        with pytest.raises(Unavailable) as refused:
            await call
        assert refused.value.code == code
    assert code in CODES
    await graph.close()


async def test_a_secret_that_was_mended_works_at_once(tenant: Tenant) -> None:
    app = tenant.simulator.tenant.apps[CLIENT]
    tenant.simulator.tenant.apps[CLIENT] = type(app)(app.id, app.name, ("another",), app.certificates, app.roles)
    with pytest.raises(Unavailable):
        await tenant.accounts.probe()
    tenant.simulator.tenant.apps[CLIENT] = app
    await tenant.accounts.probe()


@pytest.mark.parametrize("signed_in", [True, False])
async def test_a_server_that_is_not_who_it_should_be_gets_nothing(tenant: Tenant, signed_in: bool) -> None:
    if signed_in:
        await tenant.accounts.probe()
    await tenant.simulator.listener.set(ListenerAsked(certificate="stranger"))
    asked = len(tenant.simulator.log())
    with pytest.raises(Unavailable) as refused:
        await tenant.accounts.probe()
    assert refused.value.code == "graph.certificate_untrusted"
    assert len(tenant.simulator.log()) == asked
    await tenant.simulator.listener.set(ListenerAsked())
    await tenant.accounts.probe()


async def test_a_service_that_is_down_is_unavailable_and_comes_back(tenant: Tenant) -> None:
    await tenant.accounts.probe()
    await tenant.simulator.listener.close()
    with pytest.raises(Unavailable):
        await tenant.accounts.probe()
    await tenant.simulator.listener.set(ListenerAsked())
    await tenant.accounts.probe()


async def test_a_name_that_somebody_else_signs_in_by_is_taken(tenant: Tenant) -> None:
    tenant.simulator.sow(users=(tenant.simulator.user(mailNickname="anna"),))
    assert (await tenant.find(uuid4(), "anna")).login_taken
    with pytest.raises(NameTaken):
        await tenant.add(uuid4(), "anna")
    tenant.simulator.sow(users=(tenant.simulator.user(mailNickname="x", mail=f"bo@{DOMAIN}"),))
    assert (await tenant.find(uuid4(), "bo")).mail_taken
    with pytest.raises(NameTaken):
        await tenant.add(uuid4(), "bo")
    assert tenant.made() == 0


async def test_an_address_that_a_group_has_is_taken_for_good(tenant: Tenant) -> None:
    person, address = uuid4(), f"anna@{DOMAIN}"
    properties = {"displayName": "g", "mail": address, "mailEnabled": True, "proxyAddresses": [f"SMTP:{address}"]}
    tenant.simulator.sow(groups=({"properties": properties},))
    with pytest.raises(NameTaken):
        await tenant.add(person, "anna")
    assert (await tenant.find(person, "anna")).mail_taken


async def test_no_seat_left_waits_for_somebody_to_buy_one(tenant: Tenant) -> None:
    licence = Grant(GrantKind.LICENCE, SKU)
    one, two = uuid4(), uuid4()
    first, second = await tenant.add(one, "anna"), await tenant.add(two, "bo")
    await tenant.accounts.grant(first, licence, stamp(one))
    with pytest.raises(Waiting) as none_left:
        await tenant.accounts.grant(second, licence, stamp(two))
    assert none_left.value.code == "account.licence_none_left"
    await tenant.accounts.revoke(first, licence, stamp(one))
    await tenant.accounts.grant(second, licence, stamp(two))
    with pytest.raises(Waiting) as missing:
        await tenant.accounts.grant(second, Grant(GrantKind.LICENCE, "NO_SUCH"), stamp(two))
    assert missing.value.code == "account.licence_missing"


async def test_closing_that_was_cut_off_before_the_sessions_were_revoked_is_seen_and_mended(tenant: Tenant) -> None:
    person = uuid4()
    account = await tenant.add(person)
    tenant.simulator.later(5)
    tenant.simulator.fault("error", method="POST", path="*/revokeSignInSessions", status=503, times=1)
    with pytest.raises(Unavailable):
        await tenant.accounts.change(account, Change({}, enabled=False), stamp(person))
    half = (await tenant.find(person, entry=account.entry)).mine
    assert half is not None
    assert half.enabled is None
    closed = await tenant.accounts.change(half, Change({}, enabled=False), stamp(person))
    assert closed.enabled is False
    assert len(tenant.simulator.log("user.sessionsRevoked")) == 1


async def test_a_name_that_is_refused_does_not_keep_a_leaver_open(tenant: Tenant) -> None:
    tenant.simulator.sow(users=(tenant.simulator.user(mailNickname="x", mail=f"bo@{DOMAIN}"),))
    person = uuid4()
    account = await tenant.add(person)
    tenant.simulator.later(5)
    with pytest.raises(Failure):
        await tenant.accounts.change(account, Change({"mail": (f"bo@{DOMAIN}",)}, enabled=False), stamp(person))
    found = (await tenant.find(person, entry=account.entry)).mine
    assert found is not None
    assert found.enabled is False


async def test_a_missing_role_names_itself(tenant: Tenant) -> None:
    app = tenant.simulator.tenant.apps[CLIENT]
    tenant.simulator.tenant.apps[CLIENT] = type(app)(app.id, app.name, app.secrets, (), frozenset({"User.Read.All"}))
    await tenant.accounts.probe()
    with pytest.raises(Permanent) as refused:
        await tenant.accounts.change(await unmanaged(tenant), Change({"title": ("x",)}), stamp())
    assert refused.value.code == "graph.app_role_missing"
    assert refused.value.code in CODES


async def unmanaged(tenant: Tenant):  # type: ignore[no-untyped-def]
    tenant.simulator.sow(users=(tenant.simulator.user(mailNickname="hand"),))
    (listed,) = [one async for page in tenant.accounts.pages("alvsund") for one in page]
    return listed.observed


async def test_a_domain_that_nobody_verified_names_itself(tenant: Tenant) -> None:
    accounts = EntraAccounts(tenant.graph, options(domains={"alvsund": "elsewhere.example"}), tenant.asked)
    with pytest.raises(Permanent) as refused:
        await accounts.add("anna", Create(True, attributes("anna")), stamp())
    assert refused.value.code == "graph.domain_not_verified"


async def test_a_call_that_could_outlive_its_lease_is_not_begun(tenant: Tenant) -> None:
    await tenant.accounts.probe()
    asked = len(tenant.simulator.log())
    soon = asyncio.get_running_loop().time() + 0.5
    with pytest.raises(Transient) as short:
        await tenant.accounts.add("anna", Create(True, attributes("anna")), stamp(deadline=soon))
    assert short.value.code == "directory.lease_short"
    assert len(tenant.simulator.log()) == asked
