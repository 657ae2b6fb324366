"""Random histories of an organisation end in the directory as the pure model says, whatever happened on the way."""

import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from contracts.organisation import EffectiveUnit
from contracts.person import Assignment, CoreRecord, Employment, UnitChange, UnitRecord
from services.orgtree.domain.effective import in_effect
from services.orgtree.domain.periods import Line
from services.orgtree.domain.placement import placed, works
from services.orgtree.domain.projection import Kind
from services.orgtree.domain.tree import tree
from tests.integration.orgtree.estate import NESTED, TARGET, Estate, estate, login
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest

UNITS = [f"u{number}" for number in range(9)]
SUCCESSOR = "u0"
"""Never closes, so that it can take others over."""
ROUNDS = 12


@dataclass
class World:
    """What HR has said until now."""

    rng: random.Random
    day: date = TODAY
    units: dict[str, UnitRecord] = field(default_factory=dict)
    people: dict[UUID, CoreRecord] = field(default_factory=dict)
    revisions: dict[str | UUID, int] = field(default_factory=dict)
    gone: set[UUID] = field(default_factory=set)

    def revise(self, subject: str | UUID) -> int:
        """Return the next revision of what is said of somebody or something."""
        self.revisions[subject] = self.revisions.get(subject, 0) + 1
        return self.revisions[subject]

    def unit(self, unit: str) -> UnitRecord:
        """Return a record of a unit, by and large at random: a new one, or one that differs from the last."""
        known = self.units.get(unit)
        others = [one for one in UNITS if one != unit]
        if known is None or self.rng.random() < 0.2:
            parent = None if unit == SUCCESSOR else self.rng.choice(others)
            return UnitRecord(name=f"Enhet {unit}", parent=parent, valid_from=date(2020, 1, 1))
        match self.rng.randrange(5):
            case 0:
                return known.model_copy(update={"name": f"Enhet {unit} {self.rng.randrange(100)}"})
            case 1 if unit != SUCCESSOR:
                return known.model_copy(update={"parent": self.rng.choice(others)})
            case 2 if unit != SUCCESSOR:
                later = self.day + timedelta(days=self.rng.randrange(1, 30))
                change = UnitChange(effective_from=later, parent=self.rng.choice(others))
                return known.model_copy(update={"changes": (change,)})
            case 3 if unit != SUCCESSOR:
                last = self.day + timedelta(days=self.rng.randrange(0, 30))
                over = (SUCCESSOR,) if self.rng.random() < 0.7 else ()
                return known.model_copy(update={"valid_to": last, "successors": over})
            case _:
                return known.model_copy(update={"manager": self.rng.choice([None, *self.people])})

    def job(self) -> Employment:
        """Return an employment in a unit, perhaps in another one later."""
        first, turn = self.day - timedelta(days=30), self.day + timedelta(days=self.rng.randrange(1, 30))
        one, other = self.rng.choice(UNITS), self.rng.choice(UNITS)
        spans = (
            Assignment(unit=one, valid_from=first, valid_to=turn - timedelta(days=1)),
            Assignment(unit=other, valid_from=turn),
        )
        return employment(first, assignments=spans, extent=float(self.rng.choice([40, 60, 100])))

    def lines(self) -> Mapping[str, Line]:
        """Return all units over time."""
        return {unit: Line.of(unit, self.revisions[unit], one) for unit, one in self.units.items()}


@dataclass(frozen=True)
class Expected:
    """What shall stand: of units that wait, and of who is in one of them, nothing is said."""

    paths: Mapping[str, str]
    titles: Mapping[str, str]
    people: Mapping[str, frozenset[str]]
    managers: Mapping[str, frozenset[str]]
    rollups: Mapping[str, frozenset[str]]
    waiting: frozenset[str]
    unsure: frozenset[str]


def model(world: World, zone: ZoneInfo, occupied: frozenset[str]) -> Expected:
    """Compute it from HR's words alone."""
    lines = world.lines()
    now = datetime(world.day.year, world.day.month, world.day.day, 11, tzinfo=UTC)
    found = tree(lines, world.day, occupied)

    def works_here(person: UUID) -> UUID | None:
        return person if person in world.people and works(world.people[person], now, zone) else None

    effect = in_effect(found, lines, works_here)

    def stands(unit: str) -> tuple[str, EffectiveUnit] | None:
        where = found.stands(unit) if unit in lines else None
        return None if where is None else (where, effect.units[where])

    people: dict[str, set[str]] = {unit: set() for unit in effect.units}
    unsure: set[str] = set()
    for person, core in world.people.items():
        if person in world.gone:
            continue
        jobs = placed(person, core, stands, lambda _: None, now, zone).jobs
        for job in jobs:
            if job.unit is None:
                unsure.add(login(person))
            else:
                people[job.unit].add(login(person))
    return Expected(
        paths={unit: "/".join(one.path) for unit, one in effect.units.items()},
        titles={unit: one.name for unit, one in effect.units.items()},
        people={unit: frozenset(members) for unit, members in people.items()},
        managers={
            unit: frozenset(login(leader.person) for leader in one.leaders if leader.unit == unit)
            for unit, one in effect.units.items()
        },
        rollups={
            unit: frozenset({f"unit:{unit}", *(f"rollup:{child}" for child in found.children.get(unit, ()))})
            for unit in effect.units
        },
        waiting=frozenset(problem.unit for problem in found.problems),
        unsure=frozenset(unsure),
    )


@pytest.fixture
async def here(fresh_database: str, slapd: SlapdUnderTest) -> AsyncIterator[Estate]:
    async with estate(fresh_database, slapd, NESTED) as found:
        organisations = found.here.organisations
        organisations["alvsund"] = replace(organisations["alvsund"], guard_limit=10_000)
        yield found


@pytest.mark.parametrize("seed", range(4))
async def test_a_random_history_ends_as_the_model_says(here: Estate, seed: int) -> None:
    world, office = World(random.Random(seed)), here.here  # noqa: S311 - a test
    zone = office.organisations["alvsund"].zone
    for unit in world.rng.sample(UNITS, len(UNITS)):
        parent = None if unit == SUCCESSOR else world.rng.choice(UNITS)
        world.units[unit] = UnitRecord(name=unit, parent=parent, valid_from=date(2020, 1, 1))
        await office.tell_unit(unit, unit, world.revise(unit), parent=parent)
    for number in range(ROUNDS):
        for _ in range(world.rng.randrange(1, 5)):
            await _happens(world, here)
        if world.rng.random() < 0.4:
            world.day += timedelta(days=world.rng.randrange(1, 12))
        await office.on(world.day)
        await office.converged()
        rows = await office.rows("SELECT DISTINCT named FROM membership")
        expected = model(world, zone, frozenset(row[0] for row in rows))
        where = f"seed {seed}, round {number}"
        trees = await here.tree()
        assert {unit: path for unit, path in trees.items() if unit in expected.paths} == expected.paths, where
        left = set(trees) - set(expected.paths) - expected.waiting
        assert left <= set(await here.problems()), f"{where}: {left} stand and say not why"
        titles = await here.titles()
        assert {unit: titles[unit] for unit in expected.titles} == expected.titles, where
        for kind, shall in ((Kind.UNIT, expected.people), (Kind.MANAGERS, expected.managers)):
            groups = await here.groups(kind)
            found = {unit: groups[unit] - expected.unsure for unit in shall}
            assert found == {unit: members - expected.unsure for unit, members in shall.items()}, (where, kind)
        rollups = await here.groups(Kind.ROLLUP)
        assert {unit: rollups[unit] for unit in expected.rollups} == expected.rollups, where


async def _happens(world: World, here: Estate) -> None:
    """Something happens, and HR says so; of several things that it says at once the order is any."""
    match world.rng.randrange(6):
        case 0 | 1 | 2:
            unit = world.rng.choice(UNITS)
            world.units[unit] = one = world.unit(unit)
            values = {name: getattr(one, name) for name in type(one).model_fields if name != "name"}
            await here.here.tell_unit(unit, one.name, world.revise(unit), **values)
        case 3:
            jobs = [world.job() for _ in range(world.rng.choice([1, 1, 2]))]
            person = await here.hire(*jobs)
            world.people[person] = record(*jobs)
            world.revisions[person] = 1
        case 4 if world.people:
            person = world.rng.choice(sorted(set(world.people) - world.gone) or [uuid4()])
            if person in world.people:
                world.people[person] = record(world.job())
                await here.here.tell(person, world.revise(person), world.people[person])
        case _ if world.people:
            person = world.rng.choice(sorted(world.people))
            (job, *_) = world.people[person].employments
            ended = job.model_copy(update={"valid_to": world.day - timedelta(days=1)})
            world.people[person] = record(ended)
            world.gone.add(person)
            await here.here.tell(person, world.revise(person), world.people[person])
            ((entry,),) = await here.here.rows("SELECT entry FROM account WHERE person = %s", person)
            await here.here.tell_account(person, TARGET, entry, enabled=False, version=world.revise(person.hex) + 1)
        case _:
            pass
