"""The organisation: 5,000 units below 21 roots with 5,000 people; a tree on any day, and a merge of all roots."""

import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.codes import Lane, Reason
from contracts.person import Assignment, PersonChanged, UnitChange, UnitRecord, UnitRecorded
from contracts.registry import PERSON_JOINER, UNIT_RECORDED
from services.kernel.messaging import outbox
from services.kernel.messaging.intake import Handler, Incoming
from services.orgtree.domain import plan as plans
from services.orgtree.domain.plan import Edit
from services.orgtree.handlers.asof import Trees
from services.orgtree.store.versions import History
from tests.benchmarks import figures
from tests.benchmarks.stock import batched
from tests.integration.orgtree.harness import Hall, hall
from tests.support.office import TODAY, employment, record

UNITS, ROOTS, PEOPLE, ASKED = 5_000, 21, 5_000, 300
DAY = TODAY + timedelta(days=30)
TOLD = datetime(2027, 1, 1, tzinfo=UTC)


def parent(number: int) -> str | None:
    """Six levels deep, as large authorities are."""
    return None if number < ROOTS else str((number * 7_919) % max(ROOTS, number // 6))


def unit(number: int, revision: int, leader: UUID, changes: tuple[UnitChange, ...] = ()) -> UnitRecorded:
    held = UnitRecord(
        name=f"Enhet {number}", parent=parent(number), manager=leader, valid_from=date(2020, 1, 1), changes=changes
    )
    return UnitRecorded(
        organisation="alvsund", unit=str(number), revision=revision, tree_revision=number + 1, record=held
    )


def person(number: int, who: UUID) -> PersonChanged:
    first = date(2024, 1, 1)
    job = employment(first, assignments=(Assignment(unit=str(number % UNITS), valid_from=first),))
    return PersonChanged(
        organisation="alvsund", person=who, revision=1, case_id=uuid4(), reason=Reason.HIRE,
        effective_at=TOLD, accepted_at=TOLD, record=record(job, family=f"Berg{number}"),
    )  # fmt: skip


def messages(type_: str, found: Sequence[Any]) -> Iterator[Incoming]:
    for data in found:
        subject = str(getattr(data, "person", None) or data.unit)
        event = outbox.make(type_, data, source="urn:test", subject=subject, organisation="alvsund", time=TOLD)
        yield Incoming(event.id, type_, Lane.BULK, event, b"", TOLD)


async def told(here: Hall, handler: Handler, type_: str, found: Sequence[Any]) -> None:
    for some in batched(list(messages(type_, found)), 200):
        async with here.database.transaction() as conn:
            await handler(conn, some)


@pytest.mark.timeout(900)
async def test_the_organisation(fresh_database: str) -> None:
    people = [uuid4() for _ in range(PEOPLE)]
    async with hall(fresh_database) as here:
        with figures.chapter(f"Organisation: {UNITS:,} units below {ROOTS} roots, {PEOPLE:,} people"):
            units = [unit(number, 1, people[number % PEOPLE]) for number in range(UNITS)]
            began = time.perf_counter()
            await told(here, here.intake.unit_recorded, UNIT_RECORDED, units)
            await told(
                here, here.intake.person_changed, PERSON_JOINER, [person(n, who) for n, who in enumerate(people)]
            )
            await here.converged(300)
            seconds = time.perf_counter() - began
            figures.measured("told, and everybody placed", f"{seconds:.0f} s, {PEOPLE / seconds:.0f} people/s", "none")
            figures.measured("time of our own for a joiner", f"{1000 * seconds / PEOPLE:.1f} ms", "10 ms")
            await asked(here)
            await merged(here, units)


async def asked(here: Hall) -> None:
    """Print how long a tree on any day takes, as known on any day."""
    trees, dice = Trees(History()), random.Random(1)  # noqa: S311 - no secret
    took = []
    async with here.database.transaction() as conn:
        await trees.on(conn, "alvsund", TODAY, today=TODAY)  # reads all versions once
        for _ in range(ASKED):
            day = TODAY - timedelta(days=dice.randrange(2_000))
            known = None if dice.random() < 0.5 else datetime(2027, 1, 1 + dice.randrange(28), 12, tzinfo=UTC)
            began = time.perf_counter()
            found = await trees.on(conn, "alvsund", day, today=TODAY, known=known)
            found.tree.children.get("0")
            took.append(time.perf_counter() - began)
    took.sort()
    half, most, longest = (1000 * took[at] for at in (ASKED // 2, int(ASKED * 0.95), -1))
    text = f"p50 {half:.2f} ms, p95 {most:.2f} ms, longest {longest:.0f} ms"
    figures.measured(f"the tree on a day, as known on a day, {ASKED} times", text, "5 ms")


async def merged(here: Hall, units: Sequence[UnitRecorded]) -> None:
    """Print how long it takes to plan that all roots become one, and to carry it out."""
    history, people = History(), {str(number): 1 for number in range(UNITS)}
    async with here.database.transaction() as conn:
        lines, _ = await history.lines(conn, "alvsund")
    began = time.perf_counter()
    edits = [Edit(str(root), DAY, {"parent": "0"}, {}) for root in range(1, ROOTS)]
    after = plans.planned(lines, edits)
    (day,) = plans.compare(lines, after, plans.days(lines, after, edits, TODAY), lambda _lines, _day: frozenset(people))
    figures.measured(
        "planned",
        f"{time.perf_counter() - began:.2f} s, {len(day.units):,} units move, {len(day.problems)} problems",
        "10 s",
    )
    change = (UnitChange(effective_from=DAY, parent="0"),)
    roots = [one for one in units if one.record.parent is None and one.unit != "0"]
    again = [
        one.model_copy(update={"revision": 2, "record": one.record.model_copy(update={"changes": change})})
        for one in roots
    ]
    await told(here, here.intake.unit_recorded, UNIT_RECORDED, again)
    await here.converged(60)
    began = time.perf_counter()
    await here.on(DAY)
    await here.converged(300)
    (moved,) = (await here.rows("SELECT count(*) FROM placement WHERE place -> 'path' ->> 0 = '0'"))[0]
    assert moved == PEOPLE
    text = f"{time.perf_counter() - began:.1f} s until everybody is placed anew"
    figures.measured("carried out at midnight", text, "none")
