"""The port UnitDirectory's groups and their members, over real directories: slapd and a domain controller."""

from collections.abc import AsyncIterator

import pytest

from services.kernel.failures import Transient
from services.kernel.marks import Mark
from services.orgtree.domain.projection import Kind
from services.orgtree.ports import Reference
from tests.support.units import (
    KINDS,
    ODD,
    ORGANISATION,
    Subject,
    crowd,
    find,
    members,
    name_of,
    placed,
    put,
    stamp,
    unit_directory,
)


@pytest.fixture(params=KINDS)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    async with unit_directory(request.getfixturevalue(KINDS[request.param])) as here:
        yield here


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
    nobody = Reference(f"cn=ingen,ou=people,{subject.base}")
    assert await subject.units.vacant(ORGANISATION, [anna, nobody, asa]) == {nobody}
    await subject.units.join(group, [anna, bo])
    await subject.units.join(group, [bo, asa, asa])
    assert await subject.units.holds(group, [anna, bo, asa, per]) == {anna, bo, asa}
    assert await members(subject, group) == {anna, bo, asa}
    await subject.units.leave(group, [per, anna, bo])
    assert await members(subject, group) == {asa}
    await subject.units.leave(group, [asa, nobody])
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


async def test_a_group_of_thousands_is_read_whole_and_written_as_one(subject: Subject) -> None:
    group = await put(subject, "1", Kind.UNIT)
    many = await crowd(subject, 2_000 if subject.windows else 10_000)
    await subject.units.join(group, many)
    assert await members(subject, group) == frozenset(many)
    before = await subject.versions()
    await subject.units.join(group, many[:700])
    assert await subject.versions() == before
    assert await subject.units.holds(group, many[:150]) == frozenset(many[:150])
    await subject.units.leave(group, many[:1_200])
    assert await members(subject, group) == frozenset(many[1_200:])
