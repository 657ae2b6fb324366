"""Units' groups in Entra ID: the port over the simulator, which lags, throttles and loses answers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.kernel.directory import NoSuchEntry
from services.kernel.failures import Permanent, Throttled, Transient, Unavailable
from services.kernel.marks import Mark
from services.orgtree.adapters.entra_names import nickname, owner, unique
from services.orgtree.domain.projection import Kind, Wanted
from services.orgtree.ports import Found, Key, Lookup, Observed, Reference, Stamp
from tests.support.entra_units import TenantOfUnits, units_in_entra

ORGANISATION = "alvsund"
STAMP = Stamp(Mark(1, 1))
ODD = "12/3:4, O'Neill åäö"
NOBODY = "5d9ba2c4-0000-4000-8000-000000000000"


@pytest.fixture
async def tenant(tmp_path: Path) -> AsyncIterator[TenantOfUnits]:
    async with units_in_entra(tmp_path) as found:
        yield found


def key(unit: str, kind: Kind = Kind.UNIT) -> Key:
    return Key(ORGANISATION, unit, kind)


async def put(tenant: TenantOfUnits, unit: str, kind: Kind = Kind.UNIT, title: str = "Skolan") -> Observed:
    return await tenant.units.put(key(unit, kind), Wanted(f"{unit}-{kind}", title), STAMP)


async def find(tenant: TenantOfUnits, unit: str, known: str | None = None) -> Found:
    lookup = Lookup(unit, {Kind.UNIT: f"{unit}-unit"}, {Kind.UNIT: known} if known else {})
    return (await tenant.units.find(ORGANISATION, [lookup]))[unit]


async def people(tenant: TenantOfUnits, count: int) -> list[Reference]:
    ids = [tenant.person(f"p{number}") for number in range(count)]
    return sorted((await tenant.units.references(ORGANISATION, ids)).values(), key=lambda one: ids.index(one.name))


@pytest.mark.parametrize("unit", ["10", ODD])
async def test_what_is_put_is_found_by_id_and_by_key_and_made_once(tenant: TenantOfUnits, unit: str) -> None:
    made = await put(tenant, unit, title="x" * 300)
    assert (made.title, made.marked, len(made.name) <= 64) == ("x" * 256, True, True)
    assert made == await put(tenant, unit, title="x" * 300)
    assert (await find(tenant, unit)).mine == {Kind.UNIT: made}
    assert (await find(tenant, unit, known=made.entry)).mine == {Kind.UNIT: made}
    assert (await find(tenant, unit, known=NOBODY)).mine == {Kind.UNIT: made}
    assert [one for one in tenant.writes() if "created" in one] == [f"group.created:{made.entry}"]


@pytest.mark.parametrize("unit", ["10", ODD, "a:b:c"])
@pytest.mark.parametrize("kind", [Kind.UNIT, Kind.MANAGERS, Kind.ROLLUP])
def test_a_key_is_read_as_it_was_written(unit: str, kind: Kind) -> None:
    assert owner(unique(key(unit, kind))) == key(unit, kind)
    assert owner(unit) is owner(None) is owner(unique(key(unit, Kind.ENTRY))) is None


def test_a_nickname_is_kept_where_entra_can_hold_it() -> None:
    assert nickname("alvsund-u-1") == "alvsund-u-1"
    assert nickname("alvsund-å 1") != nickname("alvsund-ä 1")
    assert len(nickname("x" * 65)) == 64


async def test_many_units_are_found_at_once(tenant: TenantOfUnits) -> None:
    made = {str(number): await put(tenant, str(number)) for number in range(0, 50, 2)}
    lookups = [Lookup(str(number), {kind: f"{number}-{kind}" for kind in Kind}) for number in range(50)]
    before = tenant.calls()
    found = await tenant.units.find(ORGANISATION, lookups)
    assert {unit: one.mine.get(Kind.UNIT) for unit, one in found.items() if one.mine} == made
    assert tenant.calls() - before < 20, "not one request for each"


async def test_a_call_whose_answer_was_lost_made_it_once(tenant: TenantOfUnits) -> None:
    tenant.simulator.fault("lost_answer", method="PATCH", path="*/groups(*", times=1, hang=0)
    with pytest.raises(Unavailable):
        await put(tenant, "10")
    made = await put(tenant, "10")
    assert [one.id for one in tenant.groups().values()] == [made.entry]


async def test_what_does_not_show_yet_is_waited_for_and_made_once(tenant: TenantOfUnits) -> None:
    tenant.simulator.tenant.lag = 60
    for _ in range(2):
        with pytest.raises(Transient) as refused:
            await put(tenant, "10")
        assert refused.value.code == "unit.not_replicated"
        assert not (await find(tenant, "10")).mine
    tenant.simulator.later(61)
    assert (await put(tenant, "10")).entry == tenant.groups()[unique(key("10"))].id
    assert len(tenant.groups()) == 1


async def test_a_change_and_a_move_write_what_differs(tenant: TenantOfUnits) -> None:
    made = await put(tenant, "10")
    before = len(tenant.writes())
    assert await tenant.units.change(made, "Skolan", STAMP) == made
    assert await tenant.units.move(made, "10-unit", STAMP) == made
    assert await tenant.units.take(made, STAMP) == made
    assert len(tenant.writes()) == before
    changed = await tenant.units.change(made, "Förskolan", STAMP)
    moved = await tenant.units.move(changed, "alvsund-10", STAMP)
    assert (moved.title, moved.name, moved.entry) == ("Förskolan", "alvsund-10", made.entry)
    assert tenant.units.stands(moved, "ALVSUND-10")
    assert not tenant.units.stands(moved, "10-unit")
    tenant.remove(unique(key("10")))
    with pytest.raises(Transient) as gone:
        await tenant.units.change(moved, "Skolan", STAMP)
    assert gone.value.code == "unit.changed_meanwhile"


async def test_what_is_removed_is_gone_and_a_member_of_nothing(tenant: TenantOfUnits) -> None:
    rollup, made = await put(tenant, "10", Kind.ROLLUP), await put(tenant, "10")
    rollup = await tenant.units.nest(rollup, [made], STAMP)
    for _ in range(2):
        await tenant.units.remove(made, STAMP)
    assert not (await find(tenant, "10", known=made.entry)).mine
    assert await tenant.units.nested(rollup) == frozenset()
    assert set(tenant.groups()) == {unique(key("10", Kind.ROLLUP))}


async def test_an_entry_cannot_stand_there(tenant: TenantOfUnits) -> None:
    with pytest.raises(Permanent) as refused:
        await put(tenant, "10", Kind.ENTRY)
    assert refused.value.code == "unit.name_unusable"


async def test_a_group_of_others_with_the_name_is_told_and_adopted_with_the_key_alone(tenant: TenantOfUnits) -> None:
    anna = tenant.person("anna")
    theirs = tenant.put("10-unit", displayName="Skolan sedan länge")
    tenant.change(theirs, members=frozenset({anna}))
    (stranger,) = (await find(tenant, "10")).unmanaged.values()
    assert (stranger.entry, stranger.marked, stranger.title) == (theirs, False, "Skolan sedan länge")
    adopted = await tenant.units.adopt(stranger, STAMP)
    assert adopted == await tenant.units.adopt(stranger, STAMP)
    after = tenant.groups()[unique(key("10"))]
    assert (adopted.entry, adopted.marked, after.properties["displayName"]) == (theirs, True, "Skolan sedan länge")
    assert after.members == {anna}
    assert (await find(tenant, "10")).mine == {Kind.UNIT: adopted}
    assert sum("changed" in one for one in tenant.writes()) == 1


@pytest.mark.parametrize(
    "properties",
    [
        {"groupTypes": ["Unified"]},
        {"groupTypes": ["DynamicMembership"]},
        {"onPremisesSyncEnabled": True},
        {"isAssignableToRole": True},
        {"securityEnabled": False},
        {"uniqueName": "somebody's"},
    ],
)
async def test_what_could_not_be_a_units_group_is_none_to_take_over(
    tenant: TenantOfUnits, properties: dict[str, Any]
) -> None:
    tenant.put("10-unit", **properties)
    assert (await find(tenant, "10")).unmanaged == {}
    assert (await put(tenant, "10")).marked


async def test_two_with_one_name_are_nobodys_to_choose(tenant: TenantOfUnits) -> None:
    for _ in range(2):
        tenant.put("10-unit")
    assert (await find(tenant, "10")).unmanaged == {}


async def test_what_is_anothers_is_neither_written_nor_adopted(tenant: TenantOfUnits) -> None:
    made = await put(tenant, "10")
    for act in (
        tenant.units.adopt(Observed(key("11"), made.handle, made.entry, made.name, made.title, made.place), STAMP),
        find(tenant, "11", known=made.entry),
        tenant.units.remove(Observed(key("11"), made.handle, made.entry, made.name, made.title, made.place), STAMP),
    ):
        with pytest.raises(Permanent) as refused:
            await act
        assert refused.value.code == "unit.foreign"
    with pytest.raises(Permanent) as gone:
        await tenant.units.adopt(Observed(key("10"), NOBODY, NOBODY, "", "", NOBODY), STAMP)
    assert gone.value.code == "unit.adoption_gone"


async def test_members_join_and_leave_many_at_a_time_and_each_once(tenant: TenantOfUnits) -> None:
    group = await put(tenant, "10")
    many = await people(tenant, 45)
    before = tenant.calls()
    await tenant.units.join(group, many[:41])
    assert tenant.members(unique(key("10"))) == {one.name for one in many[:41]}
    assert tenant.calls() - before < 10
    await tenant.units.join(group, many)
    assert await tenant.units.holds(group, many[40:]) == frozenset(many[40:])
    assert {one async for page in tenant.units.all_members(group) for one in page} == set(many)
    joined = [one for one in tenant.writes() if "memberAdded" in one]
    assert len(joined) == len(set(joined)) == 45
    await tenant.units.leave(group, many[5:])
    await tenant.units.leave(group, many[3:])
    assert tenant.members(unique(key("10"))) == {one.name for one in many[:3]}


async def test_who_is_a_member_already_but_does_not_show_is_no_failure(tenant: TenantOfUnits) -> None:
    group = await put(tenant, "10")
    many = await people(tenant, 21)
    tenant.change(unique(key("10")), members=frozenset({many[0].name}))
    tenant.simulator.tenant.lag = 0.001
    tenant.simulator.later(1)
    tenant.change(unique(key("10")), members=frozenset(one.name for one in many[:2]))
    tenant.simulator.tenant.lag = 60
    with pytest.raises(Transient) as lag:
        await tenant.units.join(group, many)
    assert lag.value.code == "unit.not_verified"
    assert tenant.members(unique(key("10"))) == {one.name for one in many}
    await tenant.units.leave(group, many[:2])
    assert tenant.members(unique(key("10"))) == {one.name for one in many[2:]}
    tenant.simulator.later(61)
    await tenant.units.join(group, many[2:])
    await tenant.units.leave(group, many[:2])


async def test_an_account_that_is_gone_is_told_apart_and_a_group_that_is_gone_takes_nobody(
    tenant: TenantOfUnits,
) -> None:
    group = await put(tenant, "10")
    anna = tenant.person("anna")
    known = await tenant.units.references(ORGANISATION, [anna, NOBODY, "cn=x"])
    assert set(known) == {anna}
    assert await tenant.units.vacant(ORGANISATION, [Reference(NOBODY)]) == {Reference(NOBODY)}
    tenant.remove(unique(key("10")))
    with pytest.raises(Transient) as gone:
        await tenant.units.join(group, known.values())
    assert gone.value.code == "unit.changed_meanwhile"
    await tenant.units.leave(group, known.values())


async def test_a_roll_up_holds_the_groups_it_shall_and_whom_others_put_there(tenant: TenantOfUnits) -> None:
    rollup = await put(tenant, "1", Kind.ROLLUP)
    own, below, old = await put(tenant, "1"), await put(tenant, "11", Kind.ROLLUP), await put(tenant, "12")
    theirs, anna = tenant.put("annan"), tenant.person("anna")
    tenant.change(unique(key("1", Kind.ROLLUP)), members=frozenset({theirs, anna, old.entry}))
    assert await tenant.units.nested(rollup) == {old.reference}
    await tenant.units.nest(rollup, [own, below], STAMP)
    assert tenant.members(unique(key("1", Kind.ROLLUP))) == {theirs, anna, own.entry, below.entry}
    before = len(tenant.writes())
    await tenant.units.nest(rollup, [own, below], STAMP)
    assert len(tenant.writes()) == before


async def test_all_that_is_ours_is_read_and_nothing_else(tenant: TenantOfUnits) -> None:
    made = {await put(tenant, "10"), await put(tenant, "10", Kind.MANAGERS)}
    await tenant.units.put(Key("bergby", "10", Kind.UNIT), Wanted("bergby-10", "X"), STAMP)
    tenant.put("annan")
    assert {one async for page in tenant.units.pages(ORGANISATION) for one in page} == made


async def test_a_storm_is_told_and_what_was_begun_is_gone_on_with(tenant: TenantOfUnits) -> None:
    group = await put(tenant, "10")
    many = await people(tenant, 60)
    tenant.simulator.fault("throttle", method="PATCH", path="*/groups/*", skip=1, times=1, retry_after=0)
    with pytest.raises(Throttled):
        await tenant.units.join(group, many)
    assert 0 < len(tenant.members(unique(key("10")))) < 60
    await tenant.units.join(group, many)
    tenant.simulator.fault("lost_answer", method="DELETE", path="*$ref", times=3, hang=0)
    with pytest.raises((Unavailable, Transient)):
        await tenant.units.leave(group, many)
    await tenant.units.leave(group, many)
    assert tenant.members(unique(key("10"))) == frozenset()
    tenant.simulator.fault("error", method="GET", path="*/groups*", status=503)
    with pytest.raises(Unavailable):
        await find(tenant, "10")
    tenant.simulator.mend()
    assert not isinstance((await find(tenant, "10")).mine[Kind.UNIT], NoSuchEntry)
    await tenant.units.probe()
