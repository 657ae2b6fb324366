"""One suite for the port AccountDirectory, over memory and over a real slapd."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.domain.plan import Change, Create, Mark, verified
from services.accounts.ports import AccountDirectory, Found, Lookup, NameTaken, Stamp
from services.kernel.directory import Directory, Modification, Operation
from services.kernel.failures import Permanent, StaleLease, Transient
from tests.integration.accounts.harness import access, clear
from tests.support.directory import MemoryDirectory
from tests.support.servers import SlapdUnderTest

ORGANISATION = "alvsund"
ATTRIBUTES = {"cn": ("Åsa Öberg",), "sn": ("Öberg",), "mail": ("asa.oberg@x.example",), "employeeNumber": ("17",)}

Unmanaged = Callable[[str, dict[str, tuple[str, ...]]], Awaitable[None]]


@dataclass
class Subject:
    """An implementation under test, and a way to put something into it that is not ours."""

    accounts: AccountDirectory
    put_unmanaged: Unmanaged
    spoil_mark: Callable[[str, str | None], Awaitable[None]]


@pytest.fixture(params=["memory", "openldap"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "memory":
        memory = MemoryDirectory()

        async def put(login: str, attributes: dict[str, tuple[str, ...]]) -> None:
            memory.put_unmanaged(ORGANISATION, login, attributes)

        async def spoil(login: str, mark: str | None) -> None:
            memory.entries[ORGANISATION, login].mark = mark

        yield Subject(memory, put, spoil)
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

    yield Subject(OpenLdapAccounts(directory, {ORGANISATION: base}), add, spoil_entry)
    await directory.close()


def stamp(person: UUID, epoch: int, generation: int = 1) -> Stamp:
    return Stamp(ORGANISATION, person, Mark(generation, epoch), revision=epoch)


async def find(subject: Subject, person: UUID, **keys: str) -> Found:
    return await subject.accounts.find(Lookup(ORGANISATION, person, **keys))


async def test_an_added_account_is_read_back_as_it_was_written(subject: Subject) -> None:
    person = uuid4()
    for login, enabled in (("open", True), ("closed", False)):
        person = uuid4()
        added = await subject.accounts.add(login, Create(enabled, ATTRIBUTES), stamp(person, 1))
        assert (added.user_name, added.enabled, added.mark) == (login, enabled, Mark(1, 1))
        assert verified(ATTRIBUTES, added.attributes) == frozenset()
        assert (await find(subject, person)).mine == added


async def test_a_change_swaps_the_mark_and_replaces_only_what_it_names(subject: Subject) -> None:
    person = uuid4()
    added = await subject.accounts.add("a", Create(False, ATTRIBUTES), stamp(person, 1))
    change = Change({"title": ("Rektor",), "employeeNumber": ()}, enabled=True)
    changed = await subject.accounts.change(added, change, stamp(person, 2))
    assert (changed.enabled, changed.mark, changed.entry) == (True, Mark(1, 2), added.entry)
    assert changed.attributes.get("title") == ("Rektor",)
    assert "employeeNumber" not in changed.attributes
    assert changed.attributes["cn"] == ATTRIBUTES["cn"]
    again = await subject.accounts.change(changed, Change({}, enabled=False), stamp(person, 3))
    assert (again.enabled, again.attributes) == (False, changed.attributes)


async def test_marks_compare_as_numbers(subject: Subject) -> None:
    person = uuid4()
    nine = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person, 9))
    ten = await subject.accounts.change(nine, Change({}), stamp(person, 10))
    assert ten.mark == Mark(1, 10)
    with pytest.raises(StaleLease):
        await subject.accounts.change(ten, Change({}), stamp(person, 9))
    newest = await subject.accounts.change(ten, Change({}), stamp(person, 1, generation=2))
    assert newest.mark == Mark(2, 1)


async def test_a_zombie_that_observed_earlier_changes_and_deletes_nothing(subject: Subject) -> None:
    person = uuid4()
    seen = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person, 1))
    newer = await subject.accounts.change(seen, Change({}, enabled=False), stamp(person, 3))
    with pytest.raises(StaleLease):
        await subject.accounts.change(seen, Change({"title": ("x",)}, enabled=True), stamp(person, 2))
    with pytest.raises(StaleLease):
        await subject.accounts.delete(seen, stamp(person, 2))
    assert (await find(subject, person)).mine == newer


async def test_losing_compare_and_set_to_an_older_pass_asks_to_observe_again(subject: Subject) -> None:
    person = uuid4()
    seen = await subject.accounts.add("a", Create(True, ATTRIBUTES), stamp(person, 1))
    await subject.accounts.change(seen, Change({}), stamp(person, 2))
    with pytest.raises(Transient) as lost:
        await subject.accounts.change(seen, Change({}), stamp(person, 3))
    assert lost.value.code == "account.changed_meanwhile"


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
    added = await subject.accounts.add("o,u=x", Create(True, odd), stamp(person, 1))
    assert added.user_name == "o,u=x"
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
    seen = (await find(subject, person)).mine
    assert seen is not None
    assert (seen.mark, seen.mark_text) == (None, spoiled)
    closed = await subject.accounts.change(seen, Change({}, enabled=False), stamp(person, 2))
    assert (closed.enabled, closed.mark) == (False, Mark(1, 2))
    await subject.spoil_mark("a", spoiled)
    again = (await find(subject, person)).mine
    assert again is not None
    await subject.accounts.delete(again, stamp(person, 3))
    assert (await find(subject, person)).mine is None
