"""One suite for the port AccountDirectory, over memory, real directories and a Graph simulator.

Entra has no compare-and-set and so no mark: what a mark is for is skipped there, and said so where it stands.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.accounts.adapters.active_directory import ActiveDirectoryAccounts
from services.accounts.adapters.entra import EntraAccounts
from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.plan import Change, Create, Observed, difference, verified
from services.accounts.ports import AccountDirectory, Found, Lookup, ManagerMissing, NameTaken, PasswordRefused, Stamp
from services.kernel.directory import Directory, Graph, Modification, Operation, any_of, equals
from services.kernel.distinguished import normalised
from services.kernel.failures import Permanent, StaleLease, Transient, Waiting
from services.kernel.marks import Mark
from tests.integration.accounts.harness import access, clear
from tests.support.directory import MemoryDirectory
from tests.support.entra import MemoryAskedNames, TickingClock, graph_under_test, group, options
from tests.support.servers import SambaUnderTest, SlapdUnderTest

ORGANISATION = "alvsund"
PASSWORD = "Vinter-Kajak-42!"
ATTRIBUTES = {"cn": ("Åsa Öberg",), "sn": ("Öberg",), "mail": ("asa.oberg@x.example",), "employeeNumber": ("17",)}


def attributes(login: str) -> dict[str, tuple[str, ...]]:
    return {**ATTRIBUTES, "mail": (f"{login}@x.example",)}


Unmanaged = Callable[[str, dict[str, tuple[str, ...]]], Awaitable[None]]


@dataclass
class Subject:
    """An implementation under test, and a way to put something into it that is not ours.

    `odd_login`: one that has to be escaped there.
    """

    accounts: AccountDirectory
    put_unmanaged: Unmanaged
    spoil_mark: Callable[[str, str | None], Awaitable[None]]
    make_group: Callable[[str], Awaitable[None]]
    logs_in: Callable[[Observed, str], Awaitable[bool]]
    odd_login: str = "o,u=x"
    has_mark: bool = True
    knows_managers: bool = True

    def mark(self, generation: int, epoch: int) -> Mark | None:
        return Mark(generation, epoch) if self.has_mark else None


MARKING = ("memory", "openldap", "active_directory")
SUBJECTS = (*MARKING, "entra")
NO_MARK = pytest.mark.skip(reason="Entra has no mark: the lease and the database carry it")
by_mark = pytest.mark.parametrize("subject", [*MARKING, pytest.param("entra", marks=NO_MARK)], indirect=True)


@pytest.fixture(params=SUBJECTS)
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    if request.param == "entra":
        async with entra(tmp_path) as under_test:
            yield under_test
        return
    if request.param == "memory":
        memory = MemoryDirectory()

        async def put(login: str, attributes: dict[str, tuple[str, ...]]) -> None:
            memory.put_unmanaged(ORGANISATION, login, attributes)

        async def spoil(login: str, mark: str | None) -> None:
            memory.entries[ORGANISATION, login].mark = mark

        async def group(name: str) -> None:
            memory.offered.add(Grant(GrantKind.GROUP, name))

        async def log_in(account: Observed, password: str) -> bool:
            entry = memory.entries[ORGANISATION, account.user_name]
            expired = entry.attributes.get("expires", ("2040",)) < ("2021",)
            return bool(entry.enabled) and not expired and entry.password == password

        yield Subject(memory, put, spoil, group, log_in)
        return
    if request.param == "active_directory":
        async with active_directory(request.getfixturevalue("samba")) as windows:
            yield windows
        return
    slapd: SlapdUnderTest = request.getfixturevalue("slapd")
    directory, base = Directory(access(slapd)), slapd.suffixes[0]
    await clear(directory, base)

    async def add(login: str, attributes: dict[str, tuple[str, ...]]) -> None:
        values = {"uid": (login,), **attributes}
        await directory.add(f"uid={login},ou=people,{base}", ["inetOrgPerson"], values, subject="test")

    async def spoil_entry(login: str, mark: str | None) -> None:
        values = Modification(Operation.REPLACE, "stafettMark", (mark,) if mark else ())
        await directory.modify(f"uid={login},ou=people,{base}", [values], subject="test")

    async def make_group(name: str) -> None:
        dn = f"cn={name},ou=groups,{base}"
        await directory.add(dn, ["groupOfNames"], {"cn": (name,), "member": (dn,)}, subject="test")

    async def binds(account: Observed, password: str) -> bool:
        return await directory.binds(account.handle, password)

    yield Subject(
        OpenLdapAccounts(directory, {ORGANISATION: base}), add, spoil_entry, make_group, binds, knows_managers=False
    )
    await directory.close()


@asynccontextmanager
async def active_directory(samba: SambaUnderTest) -> AsyncIterator[Subject]:
    """Yield the adapter for Active Directory, on an emptied unit."""
    directory, base = Directory(samba.access()), samba.bases[0]
    leftovers = any_of(equals("objectClass", "user"), equals("objectClass", "group"))
    for leftover in await directory.search(base, leftovers, ["1.1"]):
        await directory.delete(leftover.dn, subject="test")

    async def add(login: str, attributes: dict[str, tuple[str, ...]]) -> None:
        values = {name: value for name, value in attributes.items() if name != "cn"} | {"sAMAccountName": (login,)}
        await directory.add(f"CN={login},OU=people,{base}", ["user"], values, subject="test")

    async def spoil_entry(login: str, mark: str | None) -> None:
        values = Modification(Operation.REPLACE, "adminDescription", (mark,) if mark else ())
        await directory.modify(f"CN={login},OU=people,{base}", [values], subject="test")

    async def make_group(name: str) -> None:
        values = {"sAMAccountName": (name,)}
        await directory.add(f"CN={name},OU=groups,{base}", ["group"], values, subject="test")

    async def binds(account: Observed, password: str) -> bool:
        return await directory.binds(f"{account.user_name}@stafett.example", password)

    accounts = ActiveDirectoryAccounts(directory, {ORGANISATION: base})
    yield Subject(accounts, add, spoil_entry, make_group, binds, odd_login="#o (u)")
    await directory.close()


@asynccontextmanager
async def entra(folder: Path) -> AsyncIterator[Subject]:
    async with graph_under_test(folder, TickingClock()) as simulator:
        graph = Graph(simulator.access())

        async def put(login: str, found: dict[str, tuple[str, ...]]) -> None:
            number = {"employeeId": found["employeeNumber"][0]} if "employeeNumber" in found else {}
            simulator.sow(users=(simulator.user(mailNickname=login, displayName=found["cn"][0], **number),))

        async def spoil(_login: str, _mark: str | None) -> None:
            raise NotImplementedError

        async def make(name: str) -> None:
            simulator.sow(groups=(group(name),))

        async def log_in(account: Observed, password: str) -> bool:
            return await simulator.logs_in(account.user_name, password)

        accounts = EntraAccounts(graph, options(), MemoryAskedNames())
        yield Subject(accounts, put, spoil, make, log_in, has_mark=False, odd_login="o'x#~!")
        await graph.close()


def stamp(person: UUID, epoch: int, generation: int = 1) -> Stamp:
    return Stamp(ORGANISATION, person, Mark(generation, epoch), revision=epoch)


async def find(subject: Subject, person: UUID, **keys: Any) -> Found:
    return await subject.accounts.find(Lookup(ORGANISATION, person, **keys))


async def test_an_added_account_is_read_back_as_it_was_written(subject: Subject) -> None:
    person = uuid4()
    for login, enabled in (("open", True), ("closed", False)):
        person = uuid4()
        added = await subject.accounts.add(login, Create(enabled, attributes(login)), stamp(person, 1))
        assert (added.user_name, added.enabled, added.mark) == (login, enabled, subject.mark(1, 1))
        assert verified(attributes(login), added.attributes) == frozenset()
        assert (await find(subject, person)).mine == added


async def test_a_change_swaps_the_mark_and_replaces_only_what_it_names(subject: Subject) -> None:
    person = uuid4()
    added = await subject.accounts.add("a", Create(False, ATTRIBUTES), stamp(person, 1))
    change = Change({"title": ("Rektor",), "employeeNumber": ()}, enabled=True)
    changed = await subject.accounts.change(added, change, stamp(person, 2))
    assert (changed.enabled, changed.mark, changed.entry) == (True, subject.mark(1, 2), added.entry)
    assert changed.attributes.get("title") == ("Rektor",)
    assert "employeeNumber" not in changed.attributes
    assert changed.attributes["cn"] == ATTRIBUTES["cn"]
    again = await subject.accounts.change(changed, Change({}, enabled=False), stamp(person, 3))
    assert (again.enabled, again.attributes) == (False, changed.attributes)


async def test_another_login_is_the_same_account_in_the_same_groups_and_nobody_elses(subject: Subject) -> None:
    person, other, teachers = uuid4(), uuid4(), Grant(GrantKind.GROUP, "bytare")
    await subject.make_group(teachers.value)
    added = await subject.accounts.add("asa.oberg", Create(True, ATTRIBUTES), stamp(person, 1))
    await subject.accounts.grant(added, teachers, stamp(person, 1))
    await subject.accounts.set_password(added, PASSWORD, stamp(person, 1))
    await subject.accounts.add("user1", Create(True, attributes("user1")), stamp(other, 1))
    with pytest.raises((NameTaken, Permanent)):
        await subject.accounts.change(added, Change({}, login="user1"), stamp(person, 2))
    again = (await find(subject, person, entry=added.entry, login="user1")).mine
    assert again is not None
    change = Change({"cn": ("user2",), "sn": ("user2",)}, login="user2")
    changed = await subject.accounts.change(again, change, stamp(person, 3))
    assert (changed.user_name, changed.entry, changed.mark) == ("user2", added.entry, subject.mark(1, 3))
    assert "asa" not in str(changed.place).casefold()
    assert await subject.accounts.held(changed, {teachers}) == {teachers}
    assert await subject.logs_in(changed, PASSWORD)
    found = await find(subject, person, entry=added.entry, login="asa.oberg")
    assert (found.mine is not None and found.mine.user_name, found.login_taken) == ("user2", False)


@by_mark
async def test_marks_compare_as_numbers(subject: Subject) -> None:
    person = uuid4()
    nine = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person, 9))
    ten = await subject.accounts.change(nine, Change({}), stamp(person, 10))
    assert ten.mark == Mark(1, 10)
    with pytest.raises(StaleLease):
        await subject.accounts.change(ten, Change({}), stamp(person, 9))
    newest = await subject.accounts.change(ten, Change({}), stamp(person, 1, generation=2))
    assert newest.mark == Mark(2, 1)


@by_mark
async def test_a_zombie_that_observed_earlier_changes_and_deletes_nothing(subject: Subject) -> None:
    person = uuid4()
    seen = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person, 1))
    newer = await subject.accounts.change(seen, Change({}, enabled=False), stamp(person, 3))
    with pytest.raises(StaleLease):
        await subject.accounts.change(seen, Change({"title": ("x",)}, enabled=True), stamp(person, 2))
    with pytest.raises(StaleLease):
        await subject.accounts.delete(seen, stamp(person, 2))
    assert (await find(subject, person)).mine == newer


@by_mark
async def test_losing_compare_and_set_to_an_older_pass_asks_to_observe_again(subject: Subject) -> None:
    person = uuid4()
    seen = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person, 1))
    await subject.accounts.change(seen, Change({}), stamp(person, 2))
    with pytest.raises(Transient) as lost:
        await subject.accounts.change(seen, Change({}), stamp(person, 3))
    assert lost.value.code == "account.changed_meanwhile"


@by_mark
async def test_a_takeover_swaps_the_mark_and_the_former_holder_comes_to_nothing(subject: Subject) -> None:
    person = uuid4()
    seen = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person, 1))
    taken = await subject.accounts.change(seen, Change({}), stamp(person, 3))
    assert (taken.attributes, taken.enabled) == (seen.attributes, seen.enabled)
    with pytest.raises(StaleLease):
        await subject.accounts.change(seen, Change({}, enabled=False), stamp(person, 2))


async def test_a_name_is_taken_by_whoever_has_it(subject: Subject) -> None:
    first, second = uuid4(), uuid4()
    await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(first, 1))
    with pytest.raises(NameTaken):
        await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(second, 1))
    found = await find(subject, second, login="a", mail="asa.oberg@x.example", correlation="17")
    assert (found.mine, found.login_taken, found.mail_taken, found.unmanaged) == (None, True, True, False)


async def test_an_unmarked_object_with_the_correlation_key_is_told_apart_from_one_with_the_name(
    subject: Subject,
) -> None:
    await subject.put_unmanaged("a", {"cn": ("A",), "sn": ("A",)})
    await subject.put_unmanaged("b", {"cn": ("B",), "sn": ("B",), "employeeNumber": ("17",)})
    assert (await find(subject, uuid4(), login="a")).unmanaged is False
    assert (await find(subject, uuid4(), login="a")).login_taken is True
    assert (await find(subject, uuid4(), login="c", correlation="17")).unmanaged is True
    assert (await find(subject, uuid4(), login="c", correlation="18")) == Found()


async def test_delete_removes_and_may_be_repeated(subject: Subject) -> None:
    person = uuid4()
    added = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person, 1))
    await subject.accounts.delete(added, stamp(person, 2))
    assert (await find(subject, person)).mine is None
    await subject.accounts.delete(added, stamp(person, 3))


async def test_special_characters_cannot_break_out_of_a_filter_or_a_name(subject: Subject) -> None:
    person = uuid4()
    odd = {**ATTRIBUTES, "cn": ("*)(uid=*", ), "title": ("a\\, b=c*",), "employeeNumber": ("*",)}  # fmt: skip
    added = await subject.accounts.add(subject.odd_login, Create(True, odd), stamp(person, 1))
    assert added.user_name == subject.odd_login
    assert verified(odd, added.attributes) == frozenset()
    assert (await find(subject, uuid4(), login="*", correlation="*)(uid=*")) == Found()
    await subject.accounts.delete(added, stamp(person, 2))


async def test_the_person_of_one_organisation_is_not_that_of_another(subject: Subject) -> None:
    person = uuid4()
    await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person, 1))
    assert (await find(subject, uuid4(), login="b")).mine is None
    assert (await find(subject, person)).mine is not None


async def test_a_refused_value_is_permanent_and_names_no_value(slapd: SlapdUnderTest) -> None:
    directory, person = Directory(access(slapd)), uuid4()
    accounts = OpenLdapAccounts(directory, {ORGANISATION: slapd.suffixes[0]})
    with pytest.raises(Permanent) as refused:
        await accounts.add("a", Create(True, {"cn": ("x",)}), stamp(person, 1))
    assert refused.value.parameters == {"result": "objectClassViolation"}
    await directory.close()


@by_mark
@pytest.mark.parametrize("spoiled", ["oops", "1.x", "*)(uid=*", None])
async def test_a_mark_that_is_not_ours_is_swapped_like_any_other_and_keeps_nothing_open(
    subject: Subject, spoiled: str | None
) -> None:
    person = uuid4()
    added = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person, 1))
    await subject.spoil_mark("a", spoiled)
    with pytest.raises(Transient):
        await subject.accounts.change(added, Change({}, enabled=False), stamp(person, 2))
    with pytest.raises(Transient):
        await subject.accounts.delete(added, stamp(person, 2))
    seen = (await find(subject, person, entry=added.entry)).mine
    assert seen is not None
    assert (seen.mark, seen.mark_text) == (None, spoiled)
    closed = await subject.accounts.change(seen, Change({}, enabled=False), stamp(person, 2))
    assert (closed.enabled, closed.mark) == (False, Mark(1, 2))
    await subject.spoil_mark("a", spoiled)
    again = (await find(subject, person, entry=added.entry)).mine
    assert again is not None
    await subject.accounts.delete(again, stamp(person, 3))
    assert (await find(subject, person, entry=added.entry)).mine is None


async def holders(subject: Subject, grant: Grant) -> set[str]:
    pages = [page async for page in subject.accounts.holders(ORGANISATION, grant)]
    # a groupOfNames is never empty, so one that nobody is in is its own member
    return {name for page in pages for name in map(normalised, page) if not name.startswith("cn='lar")}


async def test_a_group_is_given_and_taken_and_what_others_gave_is_seen(subject: Subject) -> None:
    lärare, rektor = Grant(GrantKind.GROUP, "larare"), Grant(GrantKind.GROUP, "rektor")
    for grant in (lärare, rektor):
        await subject.make_group(grant.value)
    one, two = uuid4(), uuid4()
    first = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(one, 1))
    second = await subject.accounts.add("b", Create(True, attributes("b")), stamp(two, 1))
    assert await subject.accounts.held(first, {lärare, rektor}) == frozenset()
    for _ in range(2):
        await subject.accounts.grant(first, lärare, stamp(one, 1))
    await subject.accounts.grant(second, rektor, stamp(two, 1))
    assert await subject.accounts.held(first, {lärare, rektor}) == {lärare}
    assert await subject.accounts.held(second, {lärare}) == frozenset()
    assert await holders(subject, lärare) == {normalised(first.handle)}
    assert await holders(subject, Grant(GrantKind.GROUP, "ingen")) == set()
    for _ in range(2):
        await subject.accounts.revoke(first, lärare, stamp(one, 1))
    assert normalised(first.handle) not in await holders(subject, lärare)
    assert await subject.accounts.held(first, {lärare, rektor}) == frozenset()
    assert await subject.accounts.held(second, {lärare, rektor}) == {rektor}


async def test_a_group_that_is_not_there_is_waited_for_and_need_not_be_left(subject: Subject) -> None:
    account = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person := uuid4(), 1))
    unknown = Grant(GrantKind.GROUP, "ingen")
    with pytest.raises(Waiting) as waits:
        await subject.accounts.grant(account, unknown, stamp(person, 1))
    assert (waits.value.code, dict(waits.value.parameters)) == ("account.group_missing", {"group": "ingen"})
    await subject.accounts.revoke(account, unknown, stamp(person, 1))


async def test_a_password_opens_an_enabled_account_and_no_disabled_one(subject: Subject) -> None:
    account = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person := uuid4(), 1))
    password = "Vinter-Kajak-42!"
    assert not await subject.logs_in(account, password)
    await subject.accounts.set_password(account, password, stamp(person, 1))
    assert await subject.logs_in(account, password)
    assert not await subject.logs_in(account, password + "x")
    closed = await subject.accounts.change(account, Change({}, enabled=False), stamp(person, 2))
    assert not await subject.logs_in(closed, password)


async def test_a_password_that_the_policy_refuses_is_the_persons_to_choose_anew(subject: Subject) -> None:
    account = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person := uuid4(), 1))
    with pytest.raises(PasswordRefused):
        await subject.accounts.set_password(account, "kort", stamp(person, 1))


async def test_an_open_account_expires_by_itself_and_closing_and_opening_go_on_as_before(subject: Subject) -> None:
    if "expires" not in subject.accounts.fit({"expires": ()}):
        pytest.skip("Graph documents nothing of the kind")
    person, password = uuid4(), "Vinter-Kajak-42!"
    far, past = ("2040-06-01T22:00:00Z",), ("2020-06-01T22:00:00Z",)
    account = await subject.accounts.add("a", Create(True, {**ATTRIBUTES, "expires": far}), stamp(person, 1))
    assert (account.attributes["expires"], account.enabled) == (far, True)
    await subject.accounts.set_password(account, password, stamp(person, 1))
    assert await subject.logs_in(account, password)
    account = await subject.accounts.change(account, Change({"expires": past}), stamp(person, 2))
    assert account.attributes["expires"] == past
    assert not await subject.logs_in(account, password)
    account = await subject.accounts.change(account, Change({}, enabled=False), stamp(person, 3))
    assert account.enabled is False
    account = await subject.accounts.change(account, Change({"expires": far}, enabled=True), stamp(person, 4))
    assert (account.attributes["expires"], account.enabled) == (far, True)
    assert await subject.logs_in(account, password)
    account = await subject.accounts.change(account, Change({"expires": ()}), stamp(person, 5))
    assert "expires" not in account.attributes
    assert await subject.logs_in(account, password)
    account = await subject.accounts.change(account, Change({}, enabled=False), stamp(person, 6))
    account = await subject.accounts.change(account, Change({"expires": far}), stamp(person, 7))
    assert account.enabled is False
    assert not await subject.logs_in(account, password)


async def test_a_manager_is_the_account_that_its_own_reference_names_and_may_be_taken_away(subject: Subject) -> None:
    boss, anna = uuid4(), uuid4()
    chief = await subject.accounts.add("boss", Create(True, ATTRIBUTES), stamp(boss, 1))
    assert chief.reference is not None
    led = {**attributes("anna"), "manager": (chief.reference,)}
    made = await subject.accounts.add("anna", Create(True, led), stamp(anna, 1))
    assert verified(led, made.attributes) == frozenset()
    (listed,) = [one for page in [page async for page in subject.accounts.pages(ORGANISATION)] for one in page
                 if one.person == anna]  # fmt: skip
    for seen in (listed.observed, (await find(subject, anna, entry=made.entry)).mine):
        assert seen is not None
        assert difference({"manager": (chief.reference,)}, seen.attributes, frozenset()) == {}
    closed = await subject.accounts.change(
        made, Change({"manager": (), "title": ("x",)}, enabled=False), stamp(anna, 2)
    )
    assert (closed.attributes.get("manager", ()), closed.attributes["title"], closed.enabled) == ((), ("x",), False)


async def test_a_manager_who_is_not_there_is_told_apart_from_an_account_that_is_not(subject: Subject) -> None:
    boss, anna = uuid4(), uuid4()
    chief = await subject.accounts.add("boss", Create(True, ATTRIBUTES), stamp(boss, 1))
    made = await subject.accounts.add("anna", Create(True, attributes("anna")), stamp(anna, 1))
    await subject.accounts.delete(chief, stamp(boss, 2))
    if not subject.knows_managers:
        pytest.skip("OpenLDAP takes any distinguished name")
    with pytest.raises(ManagerMissing):
        await subject.accounts.change(made, Change({"manager": (str(chief.reference),)}), stamp(anna, 2))
    found = (await find(subject, anna, entry=made.entry)).mine
    assert found is not None
    closed = await subject.accounts.change(found, Change({}, enabled=False), stamp(anna, 2))
    assert closed.enabled is False


async def test_an_account_without_a_mark_is_adopted_and_nothing_else_of_it_changes(subject: Subject) -> None:
    person, other = uuid4(), uuid4()
    await subject.put_unmanaged("gammal", {"cn": ("Gammal",), "sn": ("G",), "employeeNumber": ("17",)})
    (listed,) = [one for page in [page async for page in subject.accounts.pages(ORGANISATION)] for one in page]
    assert (listed.person, listed.observed.mark, listed.observed.user_name) == (None, None, "gammal")
    adopted = await subject.accounts.adopt(listed.observed, stamp(person, 4))
    assert (adopted.mark, adopted.entry) == (subject.mark(1, 4), listed.observed.entry)
    assert (adopted.attributes, adopted.enabled) == (listed.observed.attributes, listed.observed.enabled)
    assert await subject.accounts.adopt(listed.observed, stamp(person, 4)) == adopted
    assert (await find(subject, person)).mine == adopted
    with pytest.raises(Permanent) as refused:
        await subject.accounts.adopt(listed.observed, stamp(other, 5))
    assert refused.value.code == "account.foreign"


async def test_all_accounts_are_read_a_page_at_a_time_and_say_whose_they_are(subject: Subject) -> None:
    people = [uuid4() for _ in range(5)]
    for number, person in enumerate(people):
        await subject.accounts.add(f"n{number}", Create(True, attributes(f"n{number}")), stamp(person, 1))
    await subject.put_unmanaged("hand", {"cn": ("H",), "sn": ("H",)})
    found = [one for page in [page async for page in subject.accounts.pages(ORGANISATION)] for one in page]
    assert {one.person for one in found} == {*people, None}
    assert {one.organisation for one in found if one.person} == {ORGANISATION}
    assert len(found) == 6
    assert {one.observed.user_name for one in found} == {"hand", *(f"n{number}" for number in range(5))}


@pytest.mark.parametrize("subject", MARKING, indirect=True)
async def test_a_directory_without_mailboxes_says_that_it_routes_no_mail(subject: Subject) -> None:
    person, route = uuid4(), Grant(GrantKind.MAIL_ROUTE, "registrator@x.example")
    account = await subject.accounts.add("asa", Create(True, attributes("asa")), stamp(person, 1))
    with pytest.raises(Permanent) as refused:
        await subject.accounts.grant(account, route, stamp(person, 1))
    assert refused.value.code == "account.routes_no_mail"
    assert await subject.accounts.held(account, {route}) == frozenset()
    await subject.accounts.revoke(account, route, stamp(person, 1))
