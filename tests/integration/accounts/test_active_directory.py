"""Accounts in a real Active Directory: what differs from other directories, and what other hands do there."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date
from secrets import token_hex
from typing import Any
from uuid import UUID, uuid4

import ldap3
import pytest
from typing_extensions import override

from contracts.person import Assignment
from services.accounts.adapters.active_directory import ActiveDirectoryAccounts
from services.accounts.adapters.windows_control import DISABLED, NORMAL, PASSWORD_NOT_REQUIRED
from services.accounts.adapters.windows_groups import Groups
from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.plan import Change, Create, Observed, difference
from services.accounts.handlers.performer import AccountPerformer
from services.accounts.ports import Found, Lookup, ManagerMissing, NameTaken, Stamp
from services.kernel.directory import (
    Directory,
    DirectoryAccess,
    Modification,
    Operation,
    PasswordPolicy,
    Scope,
    has_guid,
)
from services.kernel.directory.encryption import StrictTls
from services.kernel.directory.session import Session
from services.kernel.failures import Permanent, StaleLease, Transient, Unavailable
from services.kernel.marks import Mark
from tests.support.servers import SambaUnderTest
from tests.unit.accounts.builders import employment, record, utc
from tests.unit.accounts.test_performer import Rig

ORGANISATION = "alvsund"
DOMAIN = "DC=stafett,DC=example"
ATTRIBUTES = {"cn": ("Åsa Öberg",), "displayName": ("Åsa Öberg",), "sn": ("Öberg",), "title": ("Lärare",)}


@dataclass
class Windows:
    """The adapter, and the administrator's own hands."""

    accounts: ActiveDirectoryAccounts
    hand: Directory
    server: SambaUnderTest

    @property
    def people(self) -> str:
        return f"OU=people,{self.server.bases[0]}"

    async def make(self, login: str, person: UUID, **attributes: tuple[str, ...]) -> Observed:
        return await self.accounts.add(login, Create(True, {**ATTRIBUTES, **attributes}), stamp(person, 1))

    async def find(self, person: UUID, **keys: str | None) -> Found:
        return await self.accounts.find(Lookup(ORGANISATION, person, **keys))  # type: ignore[arg-type]

    async def put(self, dn: str, object_class: str, **attributes: str) -> None:
        values = {name: (value,) for name, value in attributes.items()}
        await self.hand.add(dn, [object_class], values, subject="test")

    async def replace(self, handle: str, attribute: str, *values: str) -> None:
        await self.hand.modify(handle, [Modification(Operation.REPLACE, attribute, values)], subject="test")

    async def read(self, handle: str, attribute: str) -> tuple[str, ...]:
        (entry,) = await self.hand.search(handle, "(objectClass=*)", [attribute], scope=Scope.BASE)
        return entry.values(attribute)

    def move(self, dn: str, name: str, parent: str) -> None:
        """Move an object, as people do with Microsoft's own programs."""
        server = ldap3.Server(self.server.url, get_info=ldap3.NONE, tls=StrictTls(self.server.ca_file))
        connection = ldap3.Connection(
            server, self.server.admin_dn, self.server.admin_password, client_strategy=ldap3.SAFE_SYNC, auto_bind=True
        )
        assert connection.modify_dn(dn, name, new_superior=parent)[0]
        connection.unbind()


@pytest.fixture
async def windows(samba: SambaUnderTest) -> AsyncIterator[Windows]:
    directory, hand = Directory(samba.access()), Directory(samba.admin_access())
    yield Windows(ActiveDirectoryAccounts(directory, {ORGANISATION: samba.bases[0]}), hand, samba)
    await directory.close()
    await hand.close()


@pytest.fixture
def login() -> str:
    return f"u{token_hex(6)}"


def stamp(person: UUID, epoch: int) -> Stamp:
    return Stamp(ORGANISATION, person, Mark(1, epoch), revision=epoch)


async def test_an_entry_that_was_moved_and_renamed_by_hand_is_found_and_worked_on(windows: Windows, login: str) -> None:
    made = await windows.make(login, person := uuid4())
    windows.move(f"CN={login},{windows.people}", f"CN=x{login}", f"OU=groups,{windows.server.bases[0]}")
    await windows.replace(made.handle, "sAMAccountName", f"y{login}")
    found = await windows.find(person, entry=made.entry, login=login)
    assert found.mine is not None
    assert (found.mine.entry, found.mine.user_name, found.login_taken) == (made.entry, f"y{login}", False)
    assert found.mine.place is not None
    assert found.mine.place.startswith(f"CN=x{login},OU=groups,")
    closed = await windows.accounts.change(found.mine, Change({}, enabled=False), stamp(person, 2))
    assert closed.enabled is False
    await windows.accounts.delete(closed, stamp(person, 3))
    assert (await windows.find(person)).mine is None


async def test_an_entry_whose_id_is_gone_is_found_by_its_mark(windows: Windows, login: str) -> None:
    made = await windows.make(login, person := uuid4())
    assert (await windows.find(person, entry=str(uuid4()))).mine == made


async def test_somebody_who_is_known_or_has_names_is_looked_for_in_one_indexed_search(
    windows: Windows, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await windows.make(login, person := uuid4())
    asked: list[str] = []
    search = Session.search

    def noted(self: Session, base: str, condition: str, *rest: Any, **options: Any) -> Any:
        asked.append(condition)
        return search(self, base, condition, *rest, **options)

    monkeypatch.setattr(Session, "search", noted)
    assert (await windows.find(person, entry=made.entry, login=login)).mine == made
    assert (await windows.find(person, login=login)).mine == made
    assert (await windows.find(uuid4(), login=f"{login}x", mail=f"{login}@x", correlation=login)) == Found()
    assert len(asked) == 3
    assert "adminDescription" not in "".join(asked)
    assert (await windows.find(person)).mine == made


async def test_an_entry_that_carries_anothers_mark_is_left_alone(windows: Windows, login: str) -> None:
    made = await windows.make(login, person := uuid4())
    await windows.replace(made.handle, "adminDescription", f"stafett:{ORGANISATION}:{uuid4()}:1.1")
    with pytest.raises(Permanent) as refused:
        await windows.find(person, entry=made.entry)
    assert refused.value.code == "account.foreign"


async def test_two_entries_with_one_mark_wait_for_a_human(windows: Windows, login: str) -> None:
    first, second = await windows.make(login, person := uuid4()), await windows.make(f"{login}2", uuid4())
    assert first.mark_text is not None
    await windows.replace(second.handle, "adminDescription", first.mark_text)
    with pytest.raises(Permanent) as refused:
        await windows.find(person)
    assert refused.value.code == "account.duplicate"


@pytest.mark.parametrize("kind", ["group", "computer", "user"])
async def test_a_login_is_taken_by_whatever_has_it_anywhere_in_the_domain(
    windows: Windows, login: str, kind: str
) -> None:
    await windows.put(f"CN=some {login},CN=Users,{DOMAIN}", kind, sAMAccountName=login.upper())
    assert (await windows.find(uuid4(), login=login)).login_taken is True
    with pytest.raises(NameTaken):
        await windows.make(login, uuid4())


async def test_a_login_is_taken_by_who_has_the_principal_name_or_the_objects_name(windows: Windows, login: str) -> None:
    principal = {"sAMAccountName": f"{login}a", "userPrincipalName": f"{login}@STAFETT.example"}
    await windows.put(f"CN={login}a,CN=Users,{DOMAIN}", "user", **principal)
    assert (await windows.find(uuid4(), login=login)).login_taken is True
    with pytest.raises(NameTaken):
        await windows.make(login, uuid4())
    other = f"{login}b"
    await windows.put(f"CN={other},{windows.people}", "contact")
    assert (await windows.find(uuid4(), login=other)).login_taken is True
    with pytest.raises(NameTaken):
        await windows.make(other, uuid4())


async def test_an_address_is_taken_by_whatever_has_it_also_as_an_alias(windows: Windows, login: str) -> None:
    address = f"{login}@x.example"
    await windows.put(f"CN={login},CN=Users,{DOMAIN}", "contact", proxyAddresses=f"smtp:{address.upper()}")
    assert (await windows.find(uuid4(), mail=address)).mail_taken is True
    assert (await windows.find(uuid4(), mail=f"a{address}")).mail_taken is False


async def test_what_was_deleted_keeps_its_name_from_others_and_a_returner_gets_a_new_object(
    windows: Windows, login: str
) -> None:
    seeing = ActiveDirectoryAccounts(windows.hand, {ORGANISATION: windows.server.bases[0]})
    made = await windows.make(login, person := uuid4())
    await windows.accounts.delete(made, stamp(person, 2))
    assert (await seeing.find(Lookup(ORGANISATION, uuid4(), login=login))).login_taken is True
    found = await seeing.find(Lookup(ORGANISATION, person, login=login, entry=made.entry))
    assert (found.mine, found.login_taken) == (None, False)
    assert (await seeing.find(Lookup(ORGANISATION, person, login=login))).login_taken is False
    again = await windows.accounts.add(login, Create(False, ATTRIBUTES), stamp(person, 3))
    assert again.entry != made.entry
    buried = await windows.hand.search(DOMAIN, has_guid(made.entry), ["isDeleted"], deleted=True)
    assert [entry.first("isDeleted") for entry in buried] == ["TRUE"]


async def test_an_account_is_deleted_with_what_stands_below_it(windows: Windows, login: str) -> None:
    made = await windows.make(login, person := uuid4())
    await windows.put(f"CN=device,CN={login},{windows.people}", "classStore")
    await windows.accounts.delete(made, stamp(person, 2))
    assert (await windows.find(person, entry=made.entry)).mine is None


async def test_only_the_bit_for_disabled_is_ours(windows: Windows, login: str) -> None:
    made = await windows.make(login, person := uuid4())
    smartcard = 0x40000
    await windows.replace(made.handle, "userAccountControl", str(NORMAL | smartcard))
    found = (await windows.find(person, entry=made.entry)).mine
    assert found is not None
    closed = await windows.accounts.change(found, Change({}, enabled=False), stamp(person, 2))
    assert await windows.read(made.handle, "userAccountControl") == (str(NORMAL | smartcard | DISABLED),)
    await windows.accounts.change(closed, Change({}, enabled=True), stamp(person, 3))
    assert await windows.read(made.handle, "userAccountControl") == (str(NORMAL | smartcard),)


async def test_an_account_without_a_password_is_never_opened_without_one(windows: Windows, login: str) -> None:
    control = str(NORMAL | DISABLED | PASSWORD_NOT_REQUIRED)
    await windows.put(f"CN={login},{windows.people}", "user", sAMAccountName=login, userAccountControl=control)
    pages = [page async for page in windows.accounts.pages(ORGANISATION)]
    (listed,) = [one for page in pages for one in page if one.observed.user_name == login]
    adopted = await windows.accounts.adopt(listed.observed, stamp(person := uuid4(), 1))
    assert await windows.read(adopted.handle, "pwdLastSet") == ("0",)
    opened = await windows.accounts.change(adopted, Change({}, enabled=True), stamp(person, 2))
    assert opened.enabled is True
    assert await windows.read(adopted.handle, "pwdLastSet") != ("0",)


async def test_what_others_wrote_where_our_mark_would_stand_is_left_and_told(windows: Windows, login: str) -> None:
    made = await windows.make(login, uuid4())
    await windows.replace(made.handle, "adminDescription", "Skapad av Kalle")
    with pytest.raises(Permanent, match=r"account\.mark_taken") as refused:
        await windows.accounts.adopt(made, stamp(uuid4(), 1))
    assert refused.value.parameters == {"attribute": "adminDescription"}
    assert await windows.read(made.handle, "adminDescription") == ("Skapad av Kalle",)
    # it need not give way: another attribute holds the mark
    elsewhere = ActiveDirectoryAccounts(windows.hand, {ORGANISATION: windows.server.bases[0]}, mark="info")
    assert (await elsewhere.adopt(made, stamp(uuid4(), 1))).mark == Mark(1, 1)


async def test_a_new_primary_address_keeps_the_old_one_and_what_is_not_ours(windows: Windows, login: str) -> None:
    old, new = f"{login}@x.example", f"{login}.ny@x.example"
    made = await windows.make(login, person := uuid4(), mail=(old,))
    await windows.replace(made.handle, "proxyAddresses", f"SMTP:{old}", "X500:/o=x", f"sip:{old}")
    found = (await windows.find(person, entry=made.entry)).mine
    assert found is not None
    changed = await windows.accounts.change(found, Change({"mail": (new, old)}), stamp(person, 2))
    assert changed.attributes["mail"] == (new, old)
    proxies = {f"SMTP:{new}", f"smtp:{old}", "X500:/o=x", f"sip:{old}"}
    assert set(await windows.read(made.handle, "proxyAddresses")) == proxies
    assert await windows.read(made.handle, "mail") == (new,)
    back = await windows.find(person, entry=made.entry, mail=old)
    assert back.mine is not None
    assert difference({"mail": (old, new)}, back.mine.attributes, frozenset())
    again = await windows.accounts.change(back.mine, Change({"mail": (old, new)}), stamp(person, 3))
    assert again.attributes["mail"] == (old, new)
    assert {f"SMTP:{old}", f"smtp:{new}"} < set(await windows.read(made.handle, "proxyAddresses"))
    assert (await windows.find(person, entry=made.entry, mail=old)).mine == again


async def test_what_is_too_long_is_cut_and_not_written_for_ever(windows: Windows, login: str) -> None:
    long = dict.fromkeys(("cn", "displayName", "givenName", "sn", "title", "ou"), ("Åäö" * 100,))
    wanted = windows.accounts.fit({**long, "departmentNumber": ("1",), "employeeNumber": (login,)})
    made = await windows.accounts.add(login, Create(True, wanted), stamp(uuid4(), 1))
    assert difference(wanted, made.attributes, frozenset()) == {}
    assert len(made.attributes["ou"][0]) == 64


async def test_a_login_that_the_domain_cannot_hold_waits_for_a_human(windows: Windows) -> None:
    with pytest.raises(Permanent) as refused:
        await windows.make("a" * 21, uuid4())
    assert refused.value.code == "account.login_unusable"


class Strict(Directory):
    """Refuses every password."""

    @override
    async def add(self, *_: Any, **__: Any) -> None:
        raise PasswordPolicy("directory.password_policy")


async def test_a_policy_that_refuses_even_a_random_password_is_told_as_such(samba: SambaUnderTest) -> None:
    accounts = ActiveDirectoryAccounts(Strict(samba.access()), {ORGANISATION: samba.bases[0]})
    with pytest.raises(Permanent) as refused:
        await accounts.add("a", Create(True, ATTRIBUTES), stamp(uuid4(), 1))
    assert refused.value.code == "account.password_policy"


async def test_a_membership_is_not_written_by_a_pass_that_is_not_the_newest(windows: Windows, login: str) -> None:
    group = Grant(GrantKind.GROUP, f"g{login}")
    await windows.put(f"CN=g{login},OU=groups,{windows.server.bases[0]}", "group", sAMAccountName=group.value)
    seen = await windows.make(login, person := uuid4())
    await windows.accounts.change(seen, Change({}), stamp(person, 3))
    with pytest.raises(StaleLease):
        await windows.accounts.grant(seen, group, stamp(person, 2))
    assert await windows.accounts.held(seen, {group}) == frozenset()


async def test_a_membership_that_another_hand_wrote_first_is_as_good_as_ours(windows: Windows, login: str) -> None:
    wanted = Grant(GrantKind.GROUP, f"g{login}")
    await windows.put(f"CN=g{login},OU=groups,{windows.server.bases[0]}", "group", sAMAccountName=wanted.value)
    made = await windows.make(login, person := uuid4())
    groups = Groups(windows.hand, DOMAIN)
    group = await groups.named(wanted, None)
    assert group is not None
    for member in (True, True, False, False):
        await groups.write(made.handle, group, stamp(person, 1), member=member)
        assert await groups.is_member(made.handle, group, None) is member


async def test_members_of_a_large_group_are_read_whole(windows: Windows, login: str) -> None:
    group = f"CN=g{login},OU=groups,{windows.server.bases[0]}"
    await windows.put(group, "group", sAMAccountName=f"g{login}")
    contacts = [f"CN={login}-{number},OU=groups,{windows.server.bases[0]}" for number in range(60)]
    for contact in contacts:
        await windows.put(contact, "contact")
    await windows.hand.modify(group, [Modification(Operation.ADD, "member", tuple(contacts))], subject="test")
    (entry,) = await windows.hand.search(group, "(objectClass=*)", ["member;range=0-9"], scope=Scope.BASE)
    assert set(entry.values("member")) == set(contacts)


async def test_what_the_service_may_not_write_is_told_as_such_and_concerns_one_person(
    windows: Windows, login: str
) -> None:
    made = await windows.make(login, person := uuid4())
    windows.move(f"CN={login},{windows.people}", f"CN={login}", f"CN=Users,{DOMAIN}")
    with pytest.raises(Permanent) as refused:
        await windows.accounts.change(made, Change({"title": ("x",)}), stamp(person, 2))
    assert refused.value.code == "directory.forbidden"


async def test_a_service_account_that_was_disabled_makes_the_target_away_and_says_why(
    windows: Windows, login: str
) -> None:
    made = await windows.make(login, person := uuid4())
    await windows.accounts.set_password(made, "Vinter-Kajak-42!", stamp(person, 1))
    principal = f"{login}@stafett.example"
    access = replace(windows.server.access(), bind_dn=principal, password="Vinter-Kajak-42!")
    client = Directory(access)
    await client.probe(windows.server.bases[0])
    await windows.accounts.change(made, Change({}, enabled=False), stamp(person, 2))
    with pytest.raises(Unavailable) as away:
        await client.probe(windows.server.bases[0])
    assert away.value.code == "directory.bind_disabled"
    await client.close()


@pytest.mark.parametrize("url", ["ldap://127.0.0.1", "ldap://dc1.example"])
def test_it_is_not_built_on_a_connection_that_is_not_encrypted(url: str) -> None:
    with pytest.raises(ValueError, match="ldaps"):
        ActiveDirectoryAccounts(Directory(DirectoryAccess(url, "x", "x", active_directory=True)), {})


async def test_a_domain_controller_that_hangs_or_died_is_away_and_its_data_survive(
    windows: Windows, login: str
) -> None:
    made = await windows.make(login, person := uuid4())
    impatient = Directory(windows.server.access(connect_timeout=1, receive_timeout=1))
    accounts = ActiveDirectoryAccounts(impatient, {ORGANISATION: windows.server.bases[0]})
    windows.server.pause()
    try:
        with pytest.raises(Unavailable):
            await accounts.find(Lookup(ORGANISATION, person, entry=made.entry))
    finally:
        windows.server.resume()
    windows.server.kill9()
    with pytest.raises(Unavailable):
        await accounts.probe()
    windows.server.start()
    await accounts.probe()
    assert (await accounts.find(Lookup(ORGANISATION, person, entry=made.entry))).mine == made
    await impatient.close()


async def test_a_change_to_what_was_deleted_meanwhile_looks_again(windows: Windows, login: str) -> None:
    made = await windows.make(login, person := uuid4())
    await windows.hand.delete(made.handle, subject="test")
    with pytest.raises(Transient):
        await windows.accounts.change(made, Change({}), stamp(person, 2))


async def test_a_whole_life_is_written_once_for_each_change_and_a_pass_with_nothing_to_change_writes_nothing(
    windows: Windows,
) -> None:
    for leftover in await windows.hand.search(windows.people, "(objectClass=user)", ["1.1"]):
        await windows.hand.delete(leftover.dn, subject="test")
    first, last = date(2027, 1, 1), date(2027, 6, 30)
    long = Assignment(unit="100", title="Lärare " * 30, valid_from=first, valid_to=last)
    rig = Rig(record(employment(first, last, assignments=(long,))))
    rig.performer = AccountPerformer(windows.accounts, rig.ledger, reader=None)  # type: ignore[arg-type]
    seen = []
    for moment in (utc(2027, 3, 15, 11), utc(2027, 3, 16, 11), utc(2027, 7, 2, 11), utc(2027, 7, 3, 11)):
        await rig.turn(moment)
        (entry,) = await windows.hand.search(windows.people, "(objectClass=user)", ["uSNChanged", "userAccountControl"])
        seen.append((entry.first("userAccountControl"), entry.first("uSNChanged")))
    assert [control for control, _ in seen] == [str(NORMAL)] * 2 + [str(NORMAL | DISABLED)] * 2
    assert len({change for _, change in seen}) == 2
    await rig.turn(utc(2027, 12, 31, 11))
    assert await windows.hand.search(windows.people, "(objectClass=user)", ["1.1"]) == []


async def test_a_manager_who_is_moved_by_hand_stays_the_manager_and_the_old_name_is_nobodys(
    windows: Windows, login: str
) -> None:
    chief = await windows.make(f"c{login}"[:20], boss := uuid4())
    made = await windows.make(login, person := uuid4(), manager=(str(chief.reference),))
    windows.move(f"CN=c{login},{windows.people}", f"CN=d{login}", f"OU=groups,{windows.server.bases[0]}")
    moved, led = (await windows.find(boss, entry=chief.entry)).mine, (await windows.find(person, entry=made.entry)).mine
    assert moved is not None
    assert led is not None
    assert difference({"manager": (str(moved.reference),)}, led.attributes, frozenset()) == {}
    with pytest.raises(ManagerMissing):
        await windows.accounts.change(
            led, Change({"manager": (str(chief.reference),)}, enabled=False), stamp(person, 2)
        )
    closed = await windows.accounts.change(led, Change({}, enabled=False), stamp(person, 3))
    assert closed.enabled is False
    await windows.accounts.delete(moved, stamp(boss, 2))
    left = (await windows.find(person, entry=made.entry)).mine
    assert left is not None
    assert "manager" not in left.attributes
