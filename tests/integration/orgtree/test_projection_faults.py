"""What goes wrong on the way into a directory: it ends as HR's record says, or tells what it waits for."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.kernel import guard, oversight
from services.kernel.directory import Modification, Operation
from services.kernel.gate import Mode, Rules
from services.kernel.work import Wake, WorkKey, raise_wanted
from services.orgtree.domain.projection import Kind
from services.orgtree.handlers.tree import UNIT
from services.orgtree.store import adoption
from tests.integration.orgtree.estate import NESTED, TARGET, Estate, estate, job, login
from tests.integration.orgtree.harness import Site
from tests.support.kernel import eventually
from tests.support.office import TODAY, record
from tests.support.servers import SlapdUnderTest
from tests.support.units import KINDS, ORGANISATION

MANY = 2_000


@pytest.fixture(params=KINDS)
async def here(request: pytest.FixtureRequest, fresh_database: str) -> AsyncIterator[Estate]:
    async with estate(fresh_database, request.getfixturevalue(KINDS[request.param])) as found:
        yield found


async def read(here: Estate) -> set[tuple[str, str, str, int]]:
    """Have the directory read whole; returns what was found, once everything is in line again."""
    return await here.here.read_whole(Site(TARGET, here.subject.units, here.layout))


async def test_what_other_hands_did_is_found_and_put_right_and_whom_they_added_stays(here: Estate) -> None:
    office, subject = here.here, here.subject
    for unit, parent in (("1", None), ("11", "1"), ("2", None)):
        await office.tell_unit(unit, f"Enhet {unit}", parent=parent)
    anna, bo = await here.hire(job("11")), await here.hire(job("2"))
    await office.converged()
    assert await read(here) == set()
    before = (await here.tree(), await here.titles(), await here.groups(Kind.UNIT))
    objects = {(one.key.unit, one.key.kind): one async for page in subject.units.pages(ORGANISATION) for one in page}
    ou, cn = ("OU", "CN") if subject.windows else ("ou", "cn")
    people = {login(who): dn for who, dn in [(who, await where(here, login(who))) for who in (anna, bo)]}
    group, other = objects["11", Kind.UNIT].place, objects["2", Kind.UNIT].place
    await subject.hand.rename(
        objects["11", Kind.ENTRY].place, f"{ou}=11", subject="test", superior=objects["2", Kind.ENTRY].place
    )
    await subject.replace(objects["1", Kind.ENTRY].place, "description" if not subject.windows else "displayName", "X")
    await subject.hand.modify(other, [Modification(Operation.ADD, "member", (people[login(anna)],))], subject="test")
    await subject.hand.modify(group, [Modification(Operation.DELETE, "member", (people[login(anna)],))], subject="test")
    await subject.hand.delete(objects["2", Kind.MANAGERS].place, subject="test")
    await subject.replace(objects["11", Kind.ROLLUP].place, subject.mark)
    assert cn in objects["2", Kind.MANAGERS].place
    assert await read(here) == {
        ("11", "entry", "unit_elsewhere", 1),
        ("1", "entry", "unit_renamed", 1),
        ("2", "unit", "member_added", 1),
        ("11", "unit", "member_missing", 1),
        ("2", "managers", "unit_missing", 1),
        *({("11", "rollup", "unit_missing", 1)} if subject.windows else set()),
    }
    assert await here.tree() == before[0]
    assert await here.titles() == before[1]
    assert await here.groups(Kind.UNIT) == {**before[2], "2": {login(anna), login(bo)}}, "whom others added stays"
    assert await read(here) == {("2", "unit", "member_added", 1)}
    assert set(await here.titles(Kind.MANAGERS)) == {"1", "11", "2"}


async def where(here: Estate, name: str) -> str:
    """Return where somebody's account stands."""
    found = await here.subject.hand.search(here.subject.base, f"(|(uid={name})(cn={name}))", ["1.1"])
    return found[0].dn


async def test_what_others_made_is_told_and_taken_over_when_a_person_lets_us(here: Estate) -> None:
    office, subject = here.here, here.subject
    name = here.layout.name("1", Kind.UNIT)
    dn = subject.named(Kind.UNIT, name)
    bo = await subject.person("bo")
    reference = (await subject.units.references(ORGANISATION, [bo]))[bo].name
    await subject.put(dn, Kind.UNIT)
    await subject.hand.modify(dn, [Modification(Operation.ADD, "member", (reference,))], subject="test")
    await office.tell_unit("1", "Enhet 1")
    anna = await here.hire(job("1"))
    await office.converged()
    assert await here.problems() == {"1": "unit.unmanaged"}
    assert await here.steps(anna) == {"membership.joined": ("parked", "unit.unmanaged")}
    assert await here.groups(Kind.UNIT) == {}
    async with office.database.transaction() as conn:
        (found,) = await adoption.open_(conn, ORGANISATION, TARGET, ["*"])
        assert (found.unit, found.kind) == ("1", "unit")
        await adoption.approve(conn, ORGANISATION, TARGET, [found], "it", "Den är vår")
        await raise_wanted(conn, [Wake(WorkKey(ORGANISATION, UNIT, "1", TARGET))])
    await office.converged()
    assert await here.problems() == {}
    assert await here.groups(Kind.UNIT) == {"1": {"bo", login(anna)}}
    assert await here.steps(anna) == {"membership.joined": ("verified", None)}
    assert (await here.titles(Kind.UNIT))["1"] == "Enhet 1"


@pytest.mark.parametrize("heir", [False, True])
async def test_whose_account_is_renamed_as_they_go_is_in_the_group_under_no_name(here: Estate, heir: bool) -> None:
    office, subject = here.here, here.subject
    for unit in ("1", "2"):
        await office.tell_unit(unit, f"Enhet {unit}")
    anna = await here.hire(job("1"))
    await office.converged()
    name, there = login(anna), await where(here, login(anna))
    if subject.windows:
        await subject.replace(there, "sAMAccountName", "anna")
    await subject.hand.rename(there, f"{'CN' if subject.windows else 'uid'}=anna", subject="test")
    if heir:  # somebody else bears the name by now: what the group says is theirs
        await here.hire(job("1"), name=name)
        await office.converged()
    await here.changes(anna, 2, record(job("2")))
    assert await here.groups(Kind.UNIT) == {"1": {name} if heir else frozenset(), "2": {"anna"}}


async def test_an_account_that_is_made_anew_is_a_member_again(here: Estate) -> None:
    office, subject = here.here, here.subject
    await office.tell_unit("1", "Enhet 1")
    anna = await here.hire(job("1"))
    await office.converged()
    await subject.hand.delete(await where(here, login(anna)), subject="test")
    await office.tell_account(anna, TARGET, None, version=2)
    await office.converged()
    assert await here.groups(Kind.UNIT) == {"1": frozenset()}
    await office.tell_account(anna, TARGET, await subject.person(login(anna)), version=3)
    await office.converged()
    assert await here.groups(Kind.UNIT) == {"1": {login(anna)}}
    assert await here.steps(anna) == {"membership.joined": ("verified", None)}


async def test_more_moves_than_the_limit_are_held_and_the_new_membership_is_given(
    fresh_database: str, slapd: SlapdUnderTest
) -> None:
    async with estate(fresh_database, slapd) as here:
        office = here.here
        office.organisations[ORGANISATION] = replace(office.organisations[ORGANISATION], guard_limit=1, guard_share=0.0)
        for unit in ("1", "2"):
            await office.tell_unit(unit, f"Enhet {unit}")
        people = [await here.hire(job("1")) for _ in range(3)]
        await office.converged()
        for person in people:
            await office.tell(person, 2, record(job("2")))
        await office.converged()
        everybody = {login(person) for person in people}
        groups = await here.groups(Kind.UNIT)
        assert (len(groups["1"]), set(groups["2"])) == (2, everybody)
        (one,) = [person for person in people if login(person) not in groups["1"]]
        assert await here.steps(one) == {"membership.joined": ("verified", None)}
        (other, *_) = [person for person in people if person != one]
        assert (await here.steps(other))["membership.left"] == ("held", "guard.held")
        async with office.database.transaction() as conn:
            decided = await guard.decide(
                conn, ORGANISATION, state="released", actor="it", reason="flytt", hold=None, subject=None, target=TARGET
            )
            await oversight.wake_decided(conn, ORGANISATION, decided)
        await office.converged()
        assert await here.groups(Kind.UNIT) == {"1": frozenset(), "2": everybody}


async def test_more_closed_units_than_the_limit_are_held_with_all_that_is_in_them(
    fresh_database: str, slapd: SlapdUnderTest
) -> None:
    async with estate(fresh_database, slapd) as here:
        office = here.here
        office.organisations[ORGANISATION] = replace(office.organisations[ORGANISATION], guard_limit=0, guard_share=0.0)
        await office.tell_unit("1", "Ett")
        await office.tell_unit("2", "Två")
        anna = await here.hire(job("2"))
        await office.converged()
        office.told = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)
        await office.tell_unit("2", "Två", 2, valid_to=TODAY - timedelta(days=1), successors=("1",))
        await office.converged()
        assert await here.problems() == {"2": "guard.held"}
        assert await here.groups(Kind.UNIT) == {"1": {login(anna)}, "2": {login(anna)}}
        assert (await here.steps(anna))["membership.left"] == ("held", "guard.held")


async def test_a_dry_run_tells_what_it_would_do_and_writes_nothing(fresh_database: str, slapd: SlapdUnderTest) -> None:
    async with estate(fresh_database, slapd, NESTED, Rules(Mode.DRY_RUN)) as here:
        await here.here.tell_unit("1", "Enhet 1")
        anna = await here.hire(job("1"))
        await here.here.converged()
        assert await here.tree() == {}
        assert await here.problems() == {"1": "target.dry_run"}
        assert await here.steps(anna) == {"membership.joined": ("waiting", "target.dry_run")}


async def test_a_directory_that_is_away_half_way_through_a_subtree_gets_the_rest_when_it_is_back(
    fresh_database: str, slapd: SlapdUnderTest
) -> None:
    async with estate(fresh_database, slapd, replace(NESTED, kinds=frozenset({Kind.ENTRY}))) as here:
        office = here.here
        heap = {str(number): {"parent": str((number - 1) // 6)} if number else {} for number in range(MANY)}
        await office.tell_units({unit: {"name": f"Enhet {unit}", **values} for unit, values in heap.items()})

        async def half_way() -> bool:
            ((count,),) = await office.rows("SELECT count(*) FROM unit_object")
            return bool(MANY // 3 < count < MANY)

        await eventually(half_way, seconds=60)
        slapd.kill9()
        await asyncio.sleep(1)
        slapd.start()
        await office.converged(120)
        found = await here.tree()
        assert (len(found), found["1999"]) == (MANY, path(1999))
        assert await here.problems() == {}


def path(number: int) -> str:
    """Return where a unit of the heap stands."""
    return str(number) if number == 0 else f"{path((number - 1) // 6)}/{number}"
