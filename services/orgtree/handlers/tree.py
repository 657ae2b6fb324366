"""The passes over the organisation: what is in effect, as one step, and where each person is. They write no target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from typing_extensions import override

from contracts.codes import StepState
from contracts.organisation import EffectiveUnit, UnitChanged
from contracts.person import CoreRecord, PersonChanged
from contracts.registry import UNIT_CHANGED
from services.kernel import telemetry
from services.kernel.clock import local_date, start_of_day
from services.kernel.database import Connection
from services.kernel.failures import Failure
from services.kernel.messaging import inputs, members, outbox
from services.kernel.messaging.outbox import Outgoing
from services.kernel.settings import OrganisationSettings
from services.kernel.work import Claim, Outcome, Performer, Wake, WorkKey, raise_wanted
from services.orgtree.domain.effective import InEffect, in_effect
from services.orgtree.domain.periods import Line
from services.orgtree.domain.placement import boundaries, works
from services.orgtree.domain.tree import Trouble, tree
from services.orgtree.handlers.placing import Moved, PersonSituation, place
from services.orgtree.store import placements, units
from services.orgtree.store.units import Stand, UnitRow
from services.orgtree.store.versions import History

log = telemetry.get_logger(__name__)

TREE, PERSON, UNIT = "tree", "person", "unit"
"""Kinds of subject: an organisation's tree, a person, a unit."""
TARGET = "tree"
"""What the tree and people's places are worked on at: our own tables. Units, and people's groups, are at targets."""
SOURCE = "urn:stafett:orgtree"


def tree_key(organisation: str) -> WorkKey:
    """Return the work of an organisation's tree: one row, so that one step changes all of it."""
    return WorkKey(organisation, TREE, organisation, TARGET)


def person_key(organisation: str, person: UUID | str) -> WorkKey:
    """Return the work of a person's place."""
    return WorkKey(organisation, PERSON, str(person), TARGET)


@dataclass(frozen=True)
class TreeSituation:
    """What a pass over a tree reads."""

    lines: Mapping[str, Line]
    rows: Mapping[str, UnitRow]
    leaders: Mapping[UUID, CoreRecord]
    occupied: frozenset[str]


@dataclass(frozen=True)
class TreeResult:
    """The rows that changed, of which version the tree is now, and when it changes next."""

    organisation: str
    rows: Sequence[UnitRow]
    paths: Sequence[tuple[str, ...]]
    """Of what changed, as they were and as they are."""
    everybody: frozenset[str]
    """Units whose people have to be looked at."""
    next_due: datetime | None


class TreePerformer(Performer[Any]):
    """Brings what is in effect in line with what HR says. Nothing outside of the database is touched."""

    def __init__(
        self,
        organisations: Mapping[str, OrganisationSettings],
        history: History,
        targets: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self._organisations = organisations
        self._history = history
        self._targets = targets

    @override
    async def load(self, conn: Connection, claims: Sequence[Claim]) -> Sequence[Any]:
        """Read what all the claims need: people in one round, each tree by itself."""
        people = [claim.key for claim in claims if claim.key.kind == PERSON]
        found = await self._people(conn, [(key.organisation, UUID(key.subject)) for key in people]) if people else {}
        return [
            found.get((claim.key.organisation, UUID(claim.key.subject)))
            if claim.key.kind == PERSON
            else await self._tree(conn, claim)
            for claim in claims
        ]

    @override
    async def perform(self, claim: Claim, context: Any) -> Outcome:
        """Compute what shall be, and say what differs from what was said last."""
        if isinstance(context, TreeSituation):
            return self._grown(claim, context)
        if isinstance(context, PersonSituation):
            return place(claim, context, self._organisations[claim.key.organisation].zone)
        return Outcome(due_at=None)

    @override
    async def settle(self, conn: Connection, done: Sequence[tuple[Claim, Outcome]]) -> None:
        """Store what changed, and wake whom it concerns."""
        moved = [outcome.result for _, outcome in done if isinstance(outcome.result, Moved)]
        if moved:
            await placements.store(conn, [one.row for one in moved])
            await raise_wanted(
                conn,
                [
                    Wake(WorkKey(one.row.organisation, PERSON, str(one.row.person), target), lane=one.lane)
                    for one in moved
                    for target in self._targets.get(one.row.organisation, ())
                ],
            )
        if left := sorted({(one.row.organisation, unit) for one in moved for unit in one.left}):
            closing = await units.with_trouble(conn, left, Trouble.CLOSED_OCCUPIED)
            await raise_wanted(conn, [Wake(tree_key(organisation)) for organisation in sorted(closing)])
        for claim, outcome in done:
            if isinstance(outcome.result, TreeResult):
                await self._store(conn, claim, outcome.result)

    @override
    def failed(
        self, claim: Claim, context: Any, failure: Failure, state: StepState, retry_at: datetime | None
    ) -> Sequence[Outgoing]:
        """Say nothing: a pass fails only while the database is away, or for a fault that the log tells."""
        del claim, context, failure, state, retry_at
        return ()

    @override
    def removes(self, claim: Claim, context: Any) -> bool:
        """Nothing is taken from anybody here."""
        del claim, context
        return False

    @override
    async def probe(self) -> None:
        """The database is asked at each claim."""

    async def _people(
        self, conn: Connection, keys: Sequence[tuple[str, UUID]]
    ) -> dict[tuple[str, UUID], PersonSituation]:
        bodies = await inputs.load(conn, PERSON, [(organisation, str(person)) for organisation, person in keys])
        events = {
            (key[0], UUID(key[1])): PersonChanged.model_validate_json(body, extra="ignore")
            for key, body in bodies.items()
        }
        named = {
            (organisation, assignment.unit)
            for (organisation, _), event in events.items()
            for employment in event.record.employments
            for assignment in employment.assignments
        }
        stands = await units.stands(conn, named) if named else {}
        rows = await placements.load(conn, keys)
        here: dict[str, dict[str, Stand]] = {}
        for (organisation, unit), stand in stands.items():
            here.setdefault(organisation, {})[unit] = stand
        return {key: PersonSituation(event, here.get(key[0], {}), rows.get(key)) for key, event in events.items()}

    async def _tree(self, conn: Connection, claim: Claim) -> TreeSituation:
        organisation = claim.key.organisation
        day = local_date(claim.business_now, self._organisations[organisation].zone)
        lines, _ = await self._history.lines(conn, organisation)
        closed = [unit for unit, line in lines.items() if line.valid_to is not None and line.valid_to < day]
        records = {
            person: PersonChanged.model_validate_json(body, extra="ignore").record
            for person, body in (await units.leaders(conn, organisation)).items()
        }
        return TreeSituation(
            lines=lines,
            rows=await units.load(conn, organisation),
            leaders=records,
            occupied=frozenset(await units.occupied(conn, organisation, closed)) if closed else frozenset(),
        )

    def _grown(self, claim: Claim, context: TreeSituation) -> Outcome:
        organisation, now = claim.key.organisation, claim.business_now
        zone = self._organisations[organisation].zone
        day = local_date(now, zone)

        def here(person: UUID) -> UUID | None:
            record = context.leaders.get(person)
            if record is not None and record.alias_of is not None:
                person, record = record.alias_of, context.leaders.get(record.alias_of, record)
            return person if record is not None and works(record, now, zone) else None

        found = in_effect(tree(context.lines, day, context.occupied), context.lines, here)
        dates = (at for line in context.lines.values() for at in line.boundaries if at > day)
        next_due = min(
            (
                *(start_of_day(at, zone) for at in sorted(set(dates))[:1]),
                *(at for record in context.leaders.values() for at in boundaries(record, zone) if at > now),
            ),
            default=None,
        )
        rows, messages = [], []
        for unit, line in context.lines.items():
            row = _row(claim, line, found, day)
            old = context.rows.get(unit)
            if old is not None and _same(old, row):
                continue
            if old is None or (old.record, old.moved) != (row.record, row.moved):
                said = _changed(claim, row)
                messages.append(said)
                row = replace(row, event=outbox.body(said.event))
            else:
                row = replace(row, event=old.event)
            rows.append(row)
        concerned = frozenset(row.unit for row in rows if _places(context.rows.get(row.unit), row))
        followers = frozenset(unit for unit, end in found.moved.items() if end in concerned)
        log.info("tree.evaluated", organisation=organisation, units=len(found.units), changed=len(rows))
        paths = [one.record.path for row in rows for one in (context.rows.get(row.unit), row) if one and one.record]
        result = TreeResult(organisation, rows, paths, concerned | followers, next_due)
        return Outcome(due_at=next_due, messages=tuple(messages), result=result)

    async def _store(self, conn: Connection, claim: Claim, result: TreeResult) -> None:
        """Store what is in effect; whom it concerns is woken by the pass that follows, when all can see it.

        Somebody recorded meanwhile is not among the units' people yet, and looks at units as they were: they would be
        missed here. By the next pass they are among them, or have seen what is in effect now.
        """
        owed = await units.owed(conn, result.organisation)
        if result.rows:
            await units.store(conn, result.rows)
            await self._project(conn, result)
        await units.effective_at(
            conn,
            result.organisation,
            generation=claim.generation,
            version=claim.epoch,
            at=claim.business_now,
            evaluated_at=claim.recorded_at,
            next_due=result.next_due,
            owed=result.everybody,
        )
        people = await members.of_units(conn, [(result.organisation, unit) for unit in owed]) if owed else []
        wakes = [Wake(person_key(organisation, person)) for organisation, person in people]
        if result.everybody:
            wakes.append(Wake(tree_key(result.organisation)))
        await raise_wanted(conn, wakes)

    async def _project(self, conn: Connection, result: TreeResult) -> None:
        """Have what changed written in the targets: the units, what is above them, and who leads them."""
        targets = self._targets.get(result.organisation, ())
        led = await units.lead(conn, result.organisation, result.rows)
        above = {path[-2] for path in result.paths if len(path) > 1}
        keys = [(UNIT, unit) for unit in sorted({row.unit for row in result.rows} | above)]
        keys += [(PERSON, str(person)) for person in sorted(led)]
        await raise_wanted(
            conn,
            [Wake(WorkKey(result.organisation, kind, subject, target)) for kind, subject in keys for target in targets],
        )


def _row(claim: Claim, line: Line, found: InEffect, day: date) -> UnitRow:
    return UnitRow(
        organisation=claim.key.organisation,
        unit=line.unit,
        generation=claim.generation,
        version=claim.epoch,
        record_revision=line.revision,
        record=found.units.get(line.unit),
        moved=found.moved.get(line.unit),
        comes=line.valid_from if line.valid_from > day else None,
        problems=found.problems.get(line.unit, ()),
    )


def _same(old: UnitRow, row: UnitRow) -> bool:
    return (old.record, old.moved, old.comes, old.problems) == (row.record, row.moved, row.comes, row.problems)


def _places(old: UnitRow | None, row: UnitRow) -> bool:
    """Tell whether people of the unit have to be looked at."""
    if old is None:
        return True
    return (_seen(old.record), old.moved, old.comes) != (_seen(row.record), row.moved, row.comes)


def _seen(record: EffectiveUnit | None) -> tuple[object, ...] | None:
    """Return what a person's place takes from a unit."""
    if record is None:
        return None
    return record.path, record.leaders, record.cost_centre, record.site, record.mail_domain


def _changed(claim: Claim, row: UnitRow) -> Outgoing:
    data = UnitChanged(
        organisation=row.organisation,
        unit=row.unit,
        generation=row.generation,
        version=row.version,
        record_revision=row.record_revision,
        effective_at=claim.business_now,
        changed_at=claim.recorded_at,
        record=row.record,
        moved=row.moved,
    )
    event = outbox.make(
        UNIT_CHANGED,
        data,
        source=SOURCE,
        subject=row.unit,
        organisation=row.organisation,
        time=claim.recorded_at,
        traceparent=claim.traceparent,
    )
    return Outgoing(event, claim.lane)
