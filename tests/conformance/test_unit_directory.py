"""One suite for the port UnitDirectory, over real directories: slapd and a domain controller."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.kernel.directory import (
    Modification,
    Operation,
)
from services.kernel.failures import LeaseShort, Permanent, StaleLease, Transient, Waiting
from services.kernel.marks import Mark
from services.orgtree.domain.projection import Kind, Wanted
from services.orgtree.ports import Found, Lookup, Observed, Reference, Stamp
from tests.support.units import (
    KINDS,
    ODD,
    ORGANISATION,
    TITLE,
    Subject,
    find,
    key,
    name_of,
    names,
    placed,
    put,
    stamp,
    unit_directory,
)


@pytest.fixture(params=KINDS)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    async with unit_directory(request.getfixturevalue(KINDS[request.param])) as here:
        yield here


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


async def test_all_that_is_ours_is_read_and_nothing_else(subject: Subject) -> None:
    there = {(unit, kind): await put(subject, unit, kind) for unit in ("1", ODD) for kind in Kind}
    await subject.put(subject.named(Kind.ENTRY, "andras"), Kind.ENTRY)
    await subject.person("anna")
    found = [one async for page in subject.units.pages(ORGANISATION) for one in page]
    assert {(one.key.unit, one.key.kind): one for one in found} == there
    assert len(found) == len(there)


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
