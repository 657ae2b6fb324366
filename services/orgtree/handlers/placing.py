"""The pass over a person: where they are, and what that says to the others."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.codes import Lane, StepState
from contracts.facts import Step
from contracts.organisation import EffectiveUnit, PlacementChanged
from contracts.person import PersonChanged
from contracts.registry import PLACEMENT_CHANGED
from services.kernel.clock import start_of_day
from services.kernel.failures import Waiting
from services.kernel.messaging import outbox
from services.kernel.reports import Reporter
from services.kernel.work import Claim, Outcome
from services.orgtree.domain.placement import Placed, placed
from services.orgtree.store.placements import PlacementRow
from services.orgtree.store.units import Stand

SERVICE = "orgtree"
PLACED = "placement.placed"
LEFT = "placement.left"


@dataclass(frozen=True)
class PersonSituation:
    """What a pass over a person reads: the newest record, where people of its units are, what was told last."""

    event: PersonChanged
    stands: Mapping[str, Stand]
    row: PlacementRow | None


@dataclass(frozen=True)
class Moved:
    """What a pass came to: the row to store, and the units that the person is not in any more."""

    row: PlacementRow
    left: frozenset[str]
    lane: Lane


def place(claim: Claim, context: PersonSituation, zone: ZoneInfo) -> Outcome:
    """Return where the person is, as an outcome; a unit that is not in effect is waited for."""
    event, old = context.event, context.row

    def stands(unit: str) -> tuple[str, EffectiveUnit] | None:
        found = context.stands.get(unit)
        return None if found is None or found.record is None else (found.unit, found.record)

    def comes(unit: str) -> date | None:
        found = context.stands.get(unit)
        return found.comes if found else None

    now = placed(event.person, event.record, stands, comes, claim.business_now, zone)
    report = Reporter(SERVICE, claim, event.person, event.generation, event.revision)
    problem = None if now.missing is None else Waiting("unit.unknown", unit=now.missing.unit)
    steps = tuple(_steps(event, now, claim, zone, problem))
    row = _row(claim, context, now, _signature(event, now, steps))
    messages = []
    if old is None or (old.place, old.memberships) != (row.place, row.memberships):
        said = report.say(PLACEMENT_CHANGED, _fact(row))
        row = replace(row, event=outbox.body(said.event))
        messages.append(said)
    if old is None or old.signature != row.signature or claim.asked_at is not None:
        messages.append(report.evaluated(steps, next_due=now.next_boundary))
    unchanged = not messages and old is not None and _kept(old) == _kept(row)
    left = frozenset(job.named for job in old.jobs) - {job.named for job in now.jobs} if old else frozenset[str]()
    result = None if unchanged else Moved(row, left, claim.lane)
    return Outcome(due_at=now.next_boundary, messages=tuple(messages), problem=problem, result=result)


def _steps(event: PersonChanged, now: Placed, claim: Claim, zone: ZoneInfo, problem: Waiting | None) -> Iterator[Step]:
    """Yield what is done and what is to come: a place now, or from the first day on, until the last."""
    if problem is not None and now.missing is not None:
        state = StepState.SKIPPED if claim.skip else StepState.WAITING
        yield Step(code=PLACED, state=state, mandatory=not claim.skip, due=now.missing.due, problem=problem.problem)
    elif now.place is not None:
        yield Step(code=PLACED, state=StepState.VERIFIED, verified_at=claim.recorded_at)
    elif (first := _first_day(event, claim.business_now, zone)) is not None:
        yield Step(code=PLACED, state=StepState.PLANNED, due=first)
    elif event.record.employments:
        yield Step(code=LEFT, state=StepState.VERIFIED, verified_at=claim.recorded_at)


def _first_day(event: PersonChanged, now: datetime, zone: ZoneInfo) -> datetime | None:
    """Return when the person's next employment begins, where there is one."""
    if event.record.alias_of is not None or event.record.deceased:
        return None
    starts = (start_of_day(one.valid_from, zone) for one in event.record.employments if not one.cancelled)
    return min((start for start in starts if start > now), default=None)


def _row(claim: Claim, context: PersonSituation, now: Placed, signature: str) -> PlacementRow:
    event, old = context.event, context.row
    same = old is not None and (old.place, old.memberships) == (now.place, now.memberships)
    return PlacementRow(
        organisation=claim.key.organisation,
        person=UUID(claim.key.subject),
        generation=claim.generation,
        version=claim.epoch,
        record_generation=event.generation,
        revision=event.revision,
        place=now.place,
        memberships=now.memberships,
        jobs=now.jobs,
        missing=now.missing.unit if now.missing else None,
        missing_due=now.missing.due if now.missing else None,
        changed_at=old.changed_at if old is not None and same else claim.recorded_at,
        signature=signature,
        event=old.event if old else None,
    )


def _kept(row: PlacementRow) -> tuple[object, ...]:
    return row.jobs, row.missing, row.missing_due


def _fact(row: PlacementRow) -> PlacementChanged:
    return PlacementChanged(
        organisation=row.organisation,
        person=row.person,
        generation=row.generation,
        version=row.version,
        record_generation=row.record_generation,
        revision=row.revision,
        changed_at=row.changed_at,
        place=row.place,
        memberships=row.memberships,
    )


def _signature(event: PersonChanged, now: Placed, steps: tuple[Step, ...]) -> str:
    """Digest what an evaluation says, without its times."""
    parts = [
        f"{event.generation}.{event.revision}",
        str(now.next_boundary),
        *(step.model_copy(update={"verified_at": None}).model_dump_json() for step in steps),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
