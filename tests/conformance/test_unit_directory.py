"""One suite for the port UnitDirectory, over real directories: slapd and a domain controller."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest

from services.kernel.directory import (
    Directory,
    Entry,
    Modification,
    Operation,
    Scope,
    any_of,
    equals,
    escape_rdn,
    present,
)
from services.kernel.distinguished import normalised
from services.kernel.failures import LeaseShort, Permanent, StaleLease, Transient, Waiting
from services.kernel.marks import Mark
from services.orgtree.adapters.active_directory import ActiveDirectoryUnits
from services.orgtree.adapters.openldap import OpenLdapUnits
from services.orgtree.ports import Found, Key, Kind, Lookup, Observed, Reference, Stamp, UnitDirectory, Wanted
from tests.integration.accounts.harness import access
from tests.support.servers import SambaUnderTest, SlapdUnderTest

ORGANISATION = "alvsund"
GROUPS = (Kind.UNIT, Kind.MANAGERS, Kind.ROLLUP)
ODD = "12/3:4, 5"
TITLE = 'Skola, vård + "omsorg" #1 åäö'


@dataclass
class Subject:
    """A directory under test, and hands that are not ours.

    `version`: the attribute that the server raises at every write; `mark`: the one that holds the mark.
    """

    units: UnitDirectory
    hand: Directory
    base: str
    identity: str
    version: str
    mark: str
    windows: bool = False

    async def versions(self) -> dict[str, str]:
        """Return how often everything was written, as the server has it."""
        found = await self.hand.search(self.base, present("objectClass"), [self.version])
        return {entry.dn: entry.first(self.version) or "" for entry in found}

    async def read(self, dn: str, *attributes: str) -> Entry:
        (found,) = await self.hand.search(dn, present("objectClass"), attributes, scope=Scope.BASE)
        return found

    async def put(self, dn: str, kind: Kind, **more: tuple[str, ...]) -> None:
        """Make something that is not ours."""
        if kind is Kind.ENTRY:
            await self.hand.add(dn, ["organizationalUnit"], more, subject="test")
        elif self.windows:
            await self.hand.add(dn, ["group"], more, subject="test")
        else:
            await self.hand.add(dn, ["groupOfNames"], {"member": (dn,), **more}, subject="test")

    async def person(self, login: str) -> str:
        """Make somebody, and return the immutable id."""
        dn = f"{'CN' if self.windows else 'uid'}={escape_rdn(login)},ou=people,{self.base}"
        classes = ["user"] if self.windows else ["inetOrgPerson"]
        plain = "".join(letter for letter in login if letter.isalnum())
        about = {"sAMAccountName": (plain,)} if self.windows else {"uid": (login,), "cn": (login,), "sn": (login,)}
        await self.hand.add(dn, classes, about, subject="test")
        return (await self.read(dn, self.identity)).first(self.identity) or ""

    async def replace(self, dn: str, attribute: str, *values: str) -> None:
        await self.hand.modify(dn, [Modification(Operation.REPLACE, attribute, values)], subject="test")

    def named(self, kind: Kind, name: str) -> str:
        """Return where something with a name stands by default."""
        rdn, place = ("ou", "units") if kind is Kind.ENTRY else ("cn", "groups")
        return f"{rdn}={escape_rdn(name)},ou={place},{self.base}"


@pytest.fixture(params=("openldap", "active_directory"))
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "openldap":
        slapd: SlapdUnderTest = request.getfixturevalue("slapd")
        directory, base = Directory(access(slapd)), slapd.suffixes[0]
        units: UnitDirectory = OpenLdapUnits(directory, {ORGANISATION: base})
        here = Subject(units, directory, base, "entryUUID", "entryCSN", "stafettMark")
    else:
        samba: SambaUnderTest = request.getfixturevalue("samba")
        directory, base = Directory(samba.access()), samba.bases[0]
        units = ActiveDirectoryUnits(directory, {ORGANISATION: base})
        here = Subject(units, directory, base, "objectGUID", "uSNChanged", "adminDescription", windows=True)
    await emptied(here)
    yield here
    await emptied(here)
    await directory.close()


async def emptied(here: Subject) -> None:
    """Delete all groups, then people and units, the lowest first: whoever is deleted is taken out of groups."""
    await _deleted(here, "groupOfNames", "group")
    await _deleted(here, "organizationalUnit", "inetOrgPerson", "user", "contact")


async def _deleted(here: Subject, *kinds: str) -> None:
    found = await here.hand.search(here.base, any_of(*(equals("objectClass", kind) for kind in kinds)), ["1.1"])
    kept = {normalised(f"ou={name},{here.base}") for name in ("people", "units", "groups", "policies")}
    kept |= {normalised(here.base), normalised(f"cn=rektorer,ou=groups,{here.base}")}
    for entry in sorted(found, key=lambda one: -normalised(one.dn).count(",")):
        if normalised(entry.dn) not in kept:
            await here.hand.delete(entry.dn, subject="test")


def key(unit: str, kind: Kind = Kind.ENTRY) -> Key:
    return Key(ORGANISATION, unit, kind)


def name_of(unit: str, kind: Kind = Kind.ENTRY) -> str:
    return unit if kind is Kind.ENTRY else f"enhet-{unit}-{kind}"


def names(unit: str) -> dict[Kind, str]:
    return {kind: name_of(unit, kind) for kind in Kind}


def stamp(epoch: int, generation: int = 1) -> Stamp:
    return Stamp(Mark(generation, epoch))


async def find(here: Subject, unit: str, /, **known: str) -> Found:
    lookup = Lookup(unit, names(unit), {Kind(kind): entry for kind, entry in known.items()})
    return (await here.units.find(ORGANISATION, [lookup]))[unit]


async def put(
    here: Subject, unit: str, kind: Kind = Kind.ENTRY, *, above: Observed | None = None, epoch: int = 1
) -> Observed:
    wanted = Wanted(name_of(unit, kind), TITLE)
    return await here.units.put(key(unit, kind), wanted, stamp(epoch), above)


@pytest.mark.parametrize("unit", ["100", ODD, "Ö-1", "#a", 'x"<y>;+=\\'])
async def test_what_is_put_is_found_as_it_was_written(subject: Subject, unit: str) -> None:
    put_here = {kind: await put(subject, unit, kind) for kind in Kind}
    for kind, one in put_here.items():
        assert (one.key, one.title, one.mark, one.marked) == (key(unit, kind), TITLE, Mark(1, 1), True)
        assert subject.units.stands(one, name_of(unit, kind))
    found = await find(subject, unit)
    assert (found.mine, found.unmanaged) == (put_here, {})
    known = {kind: one.entry for kind, one in put_here.items()}
    lookup = Lookup(unit, {}, known)
    assert (await subject.units.find(ORGANISATION, [lookup]))[unit].mine == put_here


async def test_many_units_are_found_at_once_and_each_gets_its_own(subject: Subject) -> None:
    there = {unit: await put(subject, unit, Kind.UNIT) for unit in ("1", "1:2", "1%3A2", "11")}
    lookups = [Lookup(unit, names(unit)) for unit in (*there, "12")]
    found = await subject.units.find(ORGANISATION, lookups)
    assert {unit: dict(one.mine) for unit, one in found.items()} == {
        **{unit: {Kind.UNIT: one} for unit, one in there.items()},
        "12": {},
    }


async def test_what_holds_already_is_written_by_nobody(subject: Subject) -> None:
    above, entry = await put(subject, "1"), await put(subject, "2")
    rollup, group = await put(subject, "1", Kind.ROLLUP), await put(subject, "1", Kind.UNIT)
    entry = await subject.units.move(entry, "2", stamp(2), above)
    entry = await subject.units.change(entry, "Nytt namn", stamp(2))
    rollup = await subject.units.nest(rollup, [group], stamp(2))
    member = await subject.person("anna")
    (anna,) = (await subject.units.references(ORGANISATION, [member])).values()
    await subject.units.join(group, [anna])
    before = await subject.versions()
    assert await subject.units.move(entry, "2", stamp(3), above) == entry
    assert await subject.units.change(entry, "Nytt namn", stamp(3)) == entry
    assert await subject.units.nest(rollup, [group], stamp(3)) == rollup
    again = await subject.units.put(key("2"), Wanted("2", "Nytt namn"), stamp(3), above)
    assert again == entry
    await subject.units.join(group, [anna])
    assert await subject.units.adopt(entry, stamp(3)) == entry
    assert await subject.versions() == before
    await subject.units.leave(group, [anna])
    assert await subject.versions() != before
    before = await subject.versions()
    await subject.units.leave(group, [anna])
    assert await subject.versions() == before


async def test_a_change_swaps_the_mark_and_writes_the_title(subject: Subject) -> None:
    for kind in (Kind.ENTRY, Kind.MANAGERS):
        there = await put(subject, "1", kind)
        changed = await subject.units.change(there, "Omsorgen", stamp(2))
        assert (changed.title, changed.mark, changed.entry) == ("Omsorgen", Mark(1, 2), there.entry)
        taken = await subject.units.take(changed, stamp(10))
        assert (taken.title, taken.mark) == ("Omsorgen", Mark(1, 10))
        assert (await find(subject, "1")).mine[kind] == taken


async def test_an_older_pass_is_refused_and_changes_nothing(subject: Subject) -> None:
    seen, group = await put(subject, "1"), await put(subject, "1", Kind.ROLLUP)
    child, other = await put(subject, "1", Kind.UNIT), await put(subject, "2")
    await subject.units.take(seen, stamp(10))
    await subject.units.take(group, stamp(1, generation=2))
    before = await subject.versions()
    with pytest.raises(StaleLease):
        await subject.units.change(seen, "x", stamp(9))
    with pytest.raises(StaleLease):
        await subject.units.take(seen, stamp(9))
    with pytest.raises(StaleLease):
        await subject.units.move(seen, "1", stamp(9), other)
    with pytest.raises(StaleLease):
        await subject.units.remove(seen, stamp(9))
    with pytest.raises(StaleLease):
        await subject.units.nest(group, [child], stamp(99))
    with pytest.raises(StaleLease):
        await subject.units.put(key("1"), Wanted("1", "x"), stamp(9))
    assert await subject.versions() == before


async def test_losing_compare_and_set_to_an_older_pass_asks_to_observe_again(subject: Subject) -> None:
    seen = await put(subject, "1")
    await subject.units.take(seen, stamp(2))
    for write in (subject.units.change(seen, "x", stamp(3)), subject.units.remove(seen, stamp(3))):
        with pytest.raises(Transient) as lost:
            await write
        assert lost.value.code == "unit.changed_meanwhile"


async def test_an_answer_that_was_lost_is_gone_on_with(subject: Subject) -> None:
    for kind in Kind:
        there = await put(subject, "1", kind)
        again = await subject.units.put(key("1", kind), Wanted(there.name, "Annat"), stamp(2))
        assert (again.entry, again.title, again.mark) == (there.entry, "Annat", Mark(1, 2))


async def test_something_unmarked_with_the_name_is_told_and_adopted_with_the_mark_alone(subject: Subject) -> None:
    for kind in (Kind.ENTRY, Kind.UNIT):
        dn, account = subject.named(kind, name_of("1", kind)), {}
        if subject.windows and kind is Kind.UNIT:
            account = {"sAMAccountName": ("gammal grupp",)}
        await subject.put(dn, kind, description=("Gammalt",), **account)
        with pytest.raises(Permanent) as refused:
            await put(subject, "1", kind)
        assert refused.value.code == "unit.unmanaged"
        found = await find(subject, "1")
        assert kind not in found.mine
        about = ("description", "sAMAccountName", "member")
        before = await subject.read(dn, *about)
        adopted = await subject.units.adopt(found.unmanaged[kind], stamp(1))
        assert (adopted.key, adopted.mark, adopted.marked) == (key("1", kind), Mark(1, 1), True)
        assert await subject.read(dn, *about) == before
        assert (await find(subject, "1")).mine[kind] == adopted
        changed = await subject.units.change(adopted, TITLE, stamp(2))
        assert (changed.entry, changed.title) == (adopted.entry, TITLE)


async def test_what_is_anothers_is_neither_written_nor_adopted(subject: Subject) -> None:
    for kind in (Kind.ENTRY, Kind.MANAGERS):
        other = await subject.units.put(key("2", kind), Wanted(name_of("1", kind), "x"), stamp(1))
        with pytest.raises(Permanent) as refused:
            await put(subject, "1", kind)
        assert refused.value.code == "unit.foreign"
        assert not (await find(subject, "1")).unmanaged
        with pytest.raises(Permanent) as refused:
            await find(subject, "1", **{kind: other.entry})
        assert refused.value.code == "unit.foreign"
        mine = Observed(key("1", kind), other.handle, other.entry, other.name, None, other.place, marked=False)
        with pytest.raises(Permanent) as refused:
            await subject.units.adopt(mine, stamp(1))
        assert refused.value.code == "unit.foreign"


async def test_adopting_what_is_gone_is_refused(subject: Subject) -> None:
    dn = subject.named(Kind.ENTRY, "1")
    await subject.put(dn, Kind.ENTRY)
    seen = (await find(subject, "1")).unmanaged[Kind.ENTRY]
    await subject.hand.delete(dn, subject="test")
    with pytest.raises(Permanent) as refused:
        await subject.units.adopt(seen, stamp(1))
    assert refused.value.code == "unit.adoption_gone"


async def test_what_was_moved_and_renamed_by_hand_is_found_by_its_mark_or_id_and_brought_back(subject: Subject) -> None:
    for kind in (Kind.ENTRY, Kind.UNIT):
        there = await put(subject, ODD, kind)
        rdn = "ou=flyttad" if kind is Kind.ENTRY else "cn=flyttad"
        await subject.hand.rename(there.place, rdn, superior=f"ou=people,{subject.base}", subject="test")
        (moved,) = (await find(subject, ODD, **{kind: there.entry})).mine.values()
        assert (moved.entry, moved.name) == (there.entry, "flyttad")
        assert not subject.units.stands(moved, name_of(ODD, kind))
        back = await subject.units.move(moved, name_of(ODD, kind), stamp(2))
        assert (back.entry, back.mark, back.name) == (there.entry, Mark(1, 2), name_of(ODD, kind))
        assert subject.units.stands(back, name_of(ODD, kind))
        await subject.units.remove(back, stamp(2))


async def test_a_mark_that_was_taken_away_is_written_again_on_what_is_known(subject: Subject) -> None:
    there = await put(subject, "1", Kind.UNIT)
    gone = (subject.mark,) if subject.windows else ("stafettUnit", "stafettUnitKind", "stafettMark")
    for attribute in gone:
        await subject.replace(there.place, attribute)
    (found,) = (await find(subject, "1", unit=there.entry)).mine.values()
    assert (found.entry, found.marked, found.mark) == (there.entry, False, None)
    again = await subject.units.change(found, TITLE, stamp(2))
    assert (again.marked, again.mark, again.title) == (True, Mark(1, 2), TITLE)
    assert (await find(subject, "1")).mine == {Kind.UNIT: again}


async def test_two_objects_with_one_mark_are_told(subject: Subject) -> None:
    there = await put(subject, "1")
    other = subject.named(Kind.ENTRY, "kopia")
    marks = [subject.mark] if subject.windows else ["stafettOrganisation", "stafettUnit", "stafettUnitKind"]
    read = await subject.read(there.place, *marks)
    await subject.put(other, Kind.ENTRY)
    if not subject.windows:
        extended = Modification(Operation.ADD, "objectClass", ("stafettManaged",))
        await subject.hand.modify(other, [extended], subject="test")
    for attribute in marks:
        await subject.replace(other, attribute, *read.values(attribute))
    lookup = Lookup("1", {Kind.ENTRY: "kopia"}, {Kind.ENTRY: there.entry})
    with pytest.raises(Permanent) as refused:
        await subject.units.find(ORGANISATION, [lookup])
    assert refused.value.code == "unit.duplicate"


async def test_a_unit_moves_below_another_with_all_that_is_below_it(subject: Subject) -> None:
    old, new = await put(subject, "gammal"), await put(subject, ODD)
    top = await put(subject, "a,b", above=old)
    below = await put(subject, "c", above=top)
    lowest = await put(subject, "d", above=below)
    assert subject.units.stands(lowest, "d", below)
    assert not subject.units.stands(top, "a,b", new)
    moved = await subject.units.move(top, "a,b", stamp(2), new)
    assert (moved.entry, moved.mark) == (top.entry, Mark(1, 2))
    for unit, above in (("c", moved), ("d", (await find(subject, "c", entry=below.entry)).mine[Kind.ENTRY])):
        child = (await find(subject, unit, entry={"c": below, "d": lowest}[unit].entry)).mine[Kind.ENTRY]
        assert (subject.units.stands(child, unit, above), child.mark) == (True, Mark(1, 1))
    written = await subject.units.change(lowest, "Djupast", stamp(2))
    assert (written.entry, written.title) == (lowest.entry, "Djupast")
    flat = await subject.units.move(below, "c", stamp(3))
    assert subject.units.stands(flat, "c")


async def test_a_unit_is_not_moved_below_itself_nor_below_what_is_not_there(subject: Subject) -> None:
    top = await put(subject, "1")
    child = await put(subject, "2", above=top)
    before = await subject.versions()
    with pytest.raises(Waiting) as refused:
        await subject.units.move(top, "1", stamp(2), child)
    assert refused.value.code == "unit.below_itself"
    assert await subject.versions() == before
    gone = await put(subject, "3")
    await subject.units.remove(gone, stamp(1))
    with pytest.raises(Waiting) as refused:
        await subject.units.move(child, "2", stamp(2), gone)
    assert refused.value.code == "unit.container_missing"
    with pytest.raises(Waiting) as refused:
        await put(subject, "4", above=gone)
    assert refused.value.code == "unit.container_missing"


async def test_a_place_that_is_taken_is_told(subject: Subject) -> None:
    above, mine = await put(subject, "1"), await put(subject, "2")
    taken = f"ou=2,{above.place}"
    await subject.put(taken, Kind.ENTRY)
    with pytest.raises(Permanent) as refused:
        await subject.units.move(mine, "2", stamp(2), above)
    assert refused.value.code == "unit.unmanaged"


async def test_a_group_that_is_renamed_is_followed_by_those_it_is_in(subject: Subject) -> None:
    group, rollup = await put(subject, "1", Kind.UNIT), await put(subject, "1", Kind.ROLLUP)
    (anna,) = (await subject.units.references(ORGANISATION, [await subject.person("anna")])).values()
    await subject.units.join(group, [anna])
    rollup = await subject.units.nest(rollup, [group], stamp(1))
    renamed = await subject.units.move(group, "Skola: åäö", stamp(2))
    assert (renamed.entry, renamed.name) == (group.entry, "Skola: åäö")
    assert await subject.units.nested(rollup) == {renamed.reference}
    assert await members(subject, renamed) == {anna}
    assert await subject.units.nest(rollup, [renamed], stamp(3)) == rollup


async def test_what_is_removed_is_gone_and_what_others_stand_below_is_not(subject: Subject) -> None:
    top = await put(subject, "1")
    child = await put(subject, "2", above=top)
    with pytest.raises(Waiting) as refused:
        await subject.units.remove(top, stamp(2))
    assert refused.value.code == "unit.not_empty"
    top = (await find(subject, "1")).mine[Kind.ENTRY]
    await subject.units.remove(child, stamp(2))
    await subject.units.remove(child, stamp(2))
    await subject.units.remove(top, stamp(2))
    assert await find(subject, "1", entry=top.entry) == Found()
    assert await find(subject, "2", entry=child.entry) == Found()


async def test_a_group_that_is_removed_is_a_member_of_nothing(subject: Subject) -> None:
    group, rollup = await put(subject, "1", Kind.UNIT), await put(subject, "1", Kind.ROLLUP)
    rollup = await subject.units.nest(rollup, [group], stamp(1))
    await subject.units.remove(group, stamp(2))
    assert await subject.units.nested(rollup) == frozenset()
    assert await members(subject, rollup) == frozenset()


async def test_a_roll_up_holds_the_groups_it_shall_and_whom_others_put_there(subject: Subject) -> None:
    rollup = await put(subject, ODD, Kind.ROLLUP)
    first, second, third = [await put(subject, unit, Kind.UNIT) for unit in ("1", "2,+", "3")]
    anna = Reference((await subject.read(await placed(subject, "anna"), "objectClass")).dn)
    others = subject.named(Kind.UNIT, "andras")
    await subject.put(others, Kind.UNIT)
    await subject.units.join(rollup, [anna, Reference(others)])
    rollup = await subject.units.nest(rollup, [first, second], stamp(2))
    assert rollup.mark == Mark(1, 2)
    assert await subject.units.nested(rollup) == {first.reference, second.reference}
    rollup = await subject.units.nest(rollup, [second, third], stamp(3))
    assert await subject.units.nested(rollup) == {second.reference, third.reference}
    before = await subject.versions()
    assert (await subject.units.nest(rollup, [third, second], stamp(4))).mark == Mark(1, 3)
    assert await subject.versions() == before
    rollup = await subject.units.nest(rollup, [], stamp(5))
    assert await subject.units.nested(rollup) == frozenset()
    assert await members(subject, rollup) == {anna, Reference(others)}


async def test_members_are_asked_for_joined_and_left_many_at_a_time(subject: Subject) -> None:
    group = await put(subject, "1", Kind.UNIT)
    ids = {login: await subject.person(login) for login in ("anna", "bo, jr", "åsa+ö", "per")}
    known = await subject.units.references(ORGANISATION, [*ids.values(), "5d9ba2c4-0000-4000-8000-000000000000", "x"])
    assert set(known) == set(ids.values())
    anna, bo, asa, per = (known[ids[login]] for login in ids)
    assert await subject.units.holds(group, [anna, bo, asa, per]) == frozenset()
    assert await subject.units.holds(group, []) == frozenset()
    await subject.units.join(group, [anna, bo])
    await subject.units.join(group, [bo, asa, asa])
    assert await subject.units.holds(group, [anna, bo, asa, per]) == {anna, bo, asa}
    assert await members(subject, group) == {anna, bo, asa}
    await subject.units.leave(group, [per, anna, bo])
    assert await members(subject, group) == {asa}
    await subject.units.leave(group, [asa, Reference(f"cn=ingen,ou=people,{subject.base}")])
    assert await members(subject, group) == frozenset()


async def test_the_last_member_leaves_an_adopted_group_too(subject: Subject) -> None:
    anna = Reference(await placed(subject, "anna"))
    for kind in (Kind.UNIT, Kind.ROLLUP):
        dn = subject.named(kind, name_of("1", kind))
        account = {"sAMAccountName": (name_of("1", kind),)} if subject.windows else {}
        await subject.put(dn, kind, member=(anna.name,), **account)
    child = await put(subject, "2", Kind.UNIT)
    found = (await find(subject, "1")).unmanaged
    group, rollup = [await subject.units.adopt(found[kind], stamp(1)) for kind in (Kind.UNIT, Kind.ROLLUP)]
    await subject.units.leave(group, [anna])
    assert await members(subject, group) == frozenset()
    rollup = await subject.units.nest(rollup, [child], stamp(2))
    await subject.units.leave(rollup, [anna])
    rollup = await subject.units.nest(rollup, [], stamp(3))
    assert await members(subject, rollup) == frozenset()


async def test_nobody_joins_a_group_that_is_gone(subject: Subject) -> None:
    group, anna = await put(subject, "1", Kind.UNIT), Reference(await placed(subject, "anna"))
    await subject.units.remove(group, stamp(1))
    with pytest.raises(Transient) as lost:
        await subject.units.join(group, [anna])
    assert lost.value.code == "unit.changed_meanwhile"
    await subject.units.leave(group, [anna])


async def test_all_that_is_ours_is_read_and_nothing_else(subject: Subject) -> None:
    there = {(unit, kind): await put(subject, unit, kind) for unit in ("1", ODD) for kind in Kind}
    await subject.put(subject.named(Kind.ENTRY, "andras"), Kind.ENTRY)
    await subject.person("anna")
    found = [one async for page in subject.units.pages(ORGANISATION) for one in page]
    assert {(one.key.unit, one.key.kind): one for one in found} == there
    assert len(found) == len(there)


async def test_a_group_of_thousands_is_read_whole_and_written_as_one(subject: Subject) -> None:
    group = await put(subject, "1", Kind.UNIT)
    many = await crowd(subject, 2_000)
    await subject.units.join(group, many)
    assert await members(subject, group) == frozenset(many)
    before = await subject.versions()
    await subject.units.join(group, many[:700])
    assert await subject.versions() == before
    assert await subject.units.holds(group, many[:150]) == frozenset(many[:150])
    await subject.units.leave(group, many[:1_200])
    assert await members(subject, group) == frozenset(many[1_200:])


async def test_what_could_outlive_its_lease_is_not_begun(subject: Subject) -> None:
    entry, group = await put(subject, "1"), await put(subject, "1", Kind.UNIT)
    rollup, above = await put(subject, "1", Kind.ROLLUP), await put(subject, "2")
    anna = Reference(await placed(subject, "anna"))
    before, units = await subject.versions(), subject.units
    past = asyncio.get_running_loop().time() - 1
    late = Stamp(Mark(1, 2), past)
    for begun in (
        units.find(ORGANISATION, [Lookup("1", names("1"))], deadline=past),
        units.put(key("3"), Wanted("3", TITLE), late),
        units.change(entry, "x", late),
        units.take(entry, late),
        units.move(entry, "1", late, above),
        units.remove(entry, late),
        units.adopt(entry, late),
        units.nested(rollup, deadline=past),
        units.nest(rollup, [group], late),
        units.holds(group, [anna], deadline=past),
        units.join(group, [anna], deadline=past),
        units.leave(group, [anna], deadline=past),
        units.references(ORGANISATION, [entry.entry], deadline=past),
    ):
        with pytest.raises(LeaseShort):
            await begun
    assert await subject.versions() == before


async def test_it_says_whether_it_answers(subject: Subject) -> None:
    await subject.units.probe()


async def crowd(here: Subject, size: int) -> Sequence[Reference]:
    """Return so many that can be members; slapd does not ask whether they are there."""
    dns = [f"cn=m{number},ou=people,{here.base}" for number in range(size)]
    if here.windows:
        for dn in dns:
            await here.hand.add(dn, ["contact"], {}, subject="test")
    return [Reference(dn) for dn in dns]


async def placed(here: Subject, login: str) -> str:
    """Make somebody and return where they stand."""
    entry = await here.person(login)
    (reference,) = (await here.units.references(ORGANISATION, [entry])).values()
    return reference.name


async def members(here: Subject, group: Observed) -> frozenset[Reference]:
    return frozenset([one async for page in here.units.all_members(group) for one in page])
