"""Work: one row serialises a subject at a target; whatever asks for a pass raises `wanted`, no wake-up is overwritten.

Statements only; `executor` runs the passes. Key: (organisation, subject kind, subject, target). Due is `wanted > done`,
or `due_at` reached in business time, or `retry_at` reached in database time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from contracts.codes import Lane, StepState
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection
from services.kernel.failures import Failure
from services.kernel.messaging.outbox import LANES, Outgoing


@dataclass(frozen=True, order=True)
class WorkKey:
    """Which subject at which target."""

    organisation: str
    kind: str
    subject: str
    target: str


@dataclass(frozen=True)
class Wake:
    """A reason to look at a subject; `removal` says that access may have to be taken away."""

    key: WorkKey
    lane: Lane = Lane.BULK
    removal: bool = False
    traceparent: str | None = None


@dataclass(frozen=True)
class Claim:
    """The right to work on a subject until the lease ends. `attempt` counts from 1 since the last success.

    `deadline` is the event loop's time at which the pass is cut off, a little before the lease ends. `takeover` says
    that an expired lease was taken over: swap the mark first, its former holder may still be writing. `asked_at`: a
    person asked for this pass and waits to be told what it found, though it be nothing new. `skip`: a person decided
    that what cannot be done now shall not be.
    """

    key: WorkKey
    generation: int
    epoch: int
    captured: int
    attempt: int
    lane: Lane
    removal: bool
    takeover: bool
    business_now: datetime
    recorded_at: datetime
    traceparent: str | None = None
    troubled_since: datetime | None = None
    asked_at: datetime | None = None
    skip: bool = False
    deadline: float = field(default=0.0, compare=False)

    @property
    def mark(self) -> str:
        """`generation.epoch`, as written on managed objects."""
        return f"{self.generation}.{self.epoch}"


@dataclass(frozen=True)
class Outcome:
    """What a pass came to. `due_at`: when `desired` changes next (business time, after the claim's), or None.

    `problem`: something is left that follows its class's retry rules although the rest was done. `removing`: what is
    left takes access away, so it never parks for a transient, throttled or unknown failure.
    """

    due_at: datetime | None
    removes_next: bool = False
    messages: tuple[Outgoing, ...] = ()
    problem: Failure | None = None
    removing: bool = False
    result: Any = None


Context = TypeVar("Context")


class Performer(Protocol, Generic[Context]):
    """What a service does for one target."""

    async def load(self, conn: Connection, claims: Sequence[Claim]) -> Sequence[Context]:
        """Read what all the claims need, in one round, in the claim's transaction."""
        ...

    async def perform(self, claim: Claim, context: Context) -> Outcome:
        """Bring the target in line; outside any transaction. Safe to repeat.

        Raises:
            Failure: Its class decides what happens next.
        """
        ...

    async def settle(self, conn: Connection, done: Sequence[tuple[Claim, Outcome]]) -> None:
        """Store results, in the completion's transaction; only passes whose lease still holds."""
        ...

    def failed(
        self, claim: Claim, context: Context, failure: Failure, state: StepState, retry_at: datetime | None
    ) -> Sequence[Outgoing]:
        """Return what to tell the others about a pass that raised."""
        ...

    def removes(self, claim: Claim, context: Context) -> bool:
        """Tell whether this pass has to take access away: such work never parks for what passes by itself."""
        ...

    async def probe(self) -> None:
        """Return when the target answers; asked while its breaker is open.

        Raises:
            Failure: It is still away.
        """
        ...


@dataclass(frozen=True)
class Completion:
    """How a claim ends: a pass always moves `done`, and `due_at` and `retry_at` with it.

    `due_known` is false when the pass failed before it knew the next boundary: one that lies ahead of the claim stays.
    `unsure`: a call of this pass may still be on its way, so the next pass swaps the mark first.
    """

    claim: Claim
    due_known: bool
    due_at: datetime | None
    removes_next: bool
    retry_in: float | None
    state: str
    attempts: int
    problem: str | None
    unsure: bool = False


async def raise_wanted(conn: Connection, wakes: Sequence[Wake]) -> None:
    """Ask for a pass for each key, in one round; keys are locked in order so that two batches cannot deadlock."""
    merged: dict[WorkKey, Wake] = {}
    for wake in wakes:
        known = merged.get(wake.key)
        if known is not None:
            lane = Lane.EXPRESS if Lane.EXPRESS in (wake.lane, known.lane) else Lane.BULK
            wake = Wake(wake.key, lane, wake.removal or known.removal, wake.traceparent or known.traceparent)
        merged[wake.key] = wake
    if not merged:
        return
    rows = [merged[key] for key in sorted(merged)]
    await conn.execute(
        "INSERT INTO work AS w (organisation, kind, subject, target, lane, removal, traceparent)"
        " SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::smallint[], %b::boolean[],"
        " %b::text[]) ON CONFLICT (organisation, kind, subject, target) DO UPDATE SET wanted = w.wanted + 1,"
        " lane = least(w.lane, excluded.lane), removal = w.removal OR excluded.removal,"
        " attempts = CASE WHEN w.state = 'parked' THEN 0 ELSE w.attempts END,"
        " raised_at = CASE WHEN w.wanted > w.done THEN w.raised_at ELSE clock_timestamp() END,"
        " traceparent = coalesce(excluded.traceparent, w.traceparent)",
        (
            [row.key.organisation for row in rows],
            [row.key.kind for row in rows],
            [row.key.subject for row in rows],
            [row.key.target for row in rows],
            [LANES[row.lane] for row in rows],
            [row.removal for row in rows],
            [row.traceparent for row in rows],
        ),
    )


async def schedule(conn: Connection, dues: Mapping[WorkKey, tuple[datetime | None, str | None]]) -> None:
    """Say when each key is next due (business time, or None) and for which trace, without asking for a pass before.

    A pass that is under way has read what was before and would overwrite the time: it is asked for anew.
    """
    if not dues:
        return
    keys = sorted(dues)
    await conn.execute(
        "INSERT INTO work AS w (organisation, kind, subject, target, wanted, due_at, traceparent)"
        " SELECT organisation, kind, subject, target, 0, due_at, traceparent FROM unnest(%b::text[], %b::text[],"
        " %b::text[], %b::text[], %b::timestamptz[], %b::text[]) AS d (organisation, kind, subject, target, due_at,"
        " traceparent) ON CONFLICT (organisation, kind, subject, target) DO UPDATE SET due_at = excluded.due_at,"
        " wanted = w.wanted + CASE WHEN w.lease_until IS NULL THEN 0 ELSE 1 END,"
        " attempts = CASE WHEN w.state = 'parked' THEN 0 ELSE w.attempts END,"
        " traceparent = coalesce(excluded.traceparent, w.traceparent)",
        (
            [key.organisation for key in keys],
            [key.kind for key in keys],
            [key.subject for key in keys],
            [key.target for key in keys],
            [dues[key][0] for key in keys],
            [dues[key][1] for key in keys],
        ),
    )


_FREE = "target = %(target)s AND (lease_until IS NULL OR lease_until < now())"
_KEYS = "SELECT organisation, kind, subject, target"
_EXPRESS = (
    f"({_KEYS}, 0 AS rank FROM work WHERE {_FREE} AND wanted > done AND lane = 0 ORDER BY raised_at LIMIT %(limit)s)"
    f" UNION ALL ({_KEYS}, 0 FROM work WHERE {_FREE} AND lane = 0 AND retry_at <= now() LIMIT %(limit)s)"
)
_DUE = f"{_FREE} AND due_at <= (SELECT business FROM instant)"
_BULK = (
    f" UNION ALL ({_KEYS}, 1 FROM work WHERE {_FREE} AND wanted > done AND lane = 1 AND removal"
    " ORDER BY raised_at LIMIT %(limit)s)"
    f" UNION ALL ({_KEYS}, 1 FROM work WHERE {_DUE} AND removes_next ORDER BY due_at LIMIT %(limit)s)"
    f" UNION ALL ({_KEYS}, 2 FROM work WHERE {_DUE} AND NOT removes_next ORDER BY due_at LIMIT %(limit)s)"
    f" UNION ALL ({_KEYS}, 3 FROM work WHERE {_FREE} AND lane = 1 AND retry_at <= now()"
    " ORDER BY retry_at LIMIT %(limit)s)"
    f" UNION ALL ({_KEYS}, 4 FROM work WHERE {_FREE} AND wanted > done AND lane = 1 AND NOT removal"
    " ORDER BY raised_at LIMIT %(limit)s)"
)


def _claim_statement(*, express_only: bool) -> str:
    """Candidates come from one small index range each, are ranked, then locked; rows of others are skipped."""
    candidates = _EXPRESS if express_only else _EXPRESS + _BULK
    return (
        f"WITH instant AS MATERIALIZED (SELECT {BUSINESS_NOW} AS business),"
        f" candidate AS MATERIALIZED ({_KEYS}, min(rank) AS rank FROM ({candidates}) c"
        " GROUP BY 1, 2, 3, 4 ORDER BY 5 LIMIT %(limit)s),"
        " locked AS MATERIALIZED (SELECT w.organisation, w.kind, w.subject, w.target, c.rank,"
        " w.unsure OR w.lease_until IS NOT NULL AS takeover"
        " FROM work w JOIN candidate c USING (organisation, kind, subject, target)"
        " WHERE w.lease_until IS NULL OR w.lease_until < now() FOR UPDATE OF w SKIP LOCKED)"
        " UPDATE work w SET lease_epoch = w.lease_epoch + 1, generation = greatest(w.generation, %(generation)s),"
        " lease_until = now() + %(lease)s * interval '1 second', attempts = w.attempts + 1"
        " FROM locked l, instant"
        " WHERE (w.organisation, w.kind, w.subject, w.target) = (l.organisation, l.kind, l.subject, l.target)"
        " RETURNING w.organisation, w.kind, w.subject, w.target, w.generation, w.lease_epoch, w.wanted, w.attempts,"
        " w.lane, w.removal OR (w.removes_next AND w.due_at <= instant.business), l.takeover, instant.business, now(),"
        " w.traceparent, w.problem_since, w.asked_at, w.skipped IS NOT DISTINCT FROM w.wanted,"
        " l.rank"
    )


_CLAIM = _claim_statement(express_only=False)
_CLAIM_EXPRESS = _claim_statement(express_only=True)


async def claim(
    conn: Connection, target: str, *, limit: int, lease_seconds: float, generation: int, express_only: bool
) -> list[Claim]:
    """Claim due work for a target: express, removals, due, retries, the rest. The epoch rises at each claim."""
    cursor = await conn.execute(
        _CLAIM_EXPRESS if express_only else _CLAIM,
        {"target": target, "limit": limit, "lease": lease_seconds, "generation": generation},
    )
    rows = sorted(await cursor.fetchall(), key=lambda row: row[17])
    return [
        Claim(
            key=WorkKey(row[0], row[1], row[2], row[3]),
            generation=row[4],
            epoch=row[5],
            captured=row[6],
            attempt=row[7],
            lane=Lane.EXPRESS if row[8] == 0 else Lane.BULK,
            removal=row[9],
            takeover=row[10],
            business_now=row[11],
            recorded_at=row[12],
            traceparent=row[13],
            troubled_since=row[14],
            asked_at=row[15],
            skip=row[16],
        )
        for row in rows
    ]


async def complete(conn: Connection, completions: Sequence[Completion]) -> set[WorkKey]:
    """End claims whose lease still holds (epoch and generation unchanged); return their keys.

    A success returns the row to bulk, unless it was raised again meanwhile. Who asked for the pass has been told when
    it did not raise.
    """
    rows = sorted(completions, key=lambda item: item.claim.key)
    cursor = await conn.execute(
        "UPDATE work w SET done = c.captured, lease_until = NULL,"
        " due_at = CASE WHEN c.due_known THEN c.due_at WHEN w.due_at > c.business THEN w.due_at END,"
        " removes_next = CASE WHEN c.due_known THEN c.removes_next ELSE w.removes_next END,"
        " retry_at = now() + c.retry_in * interval '1 second', state = c.state, attempts = c.attempts,"
        " lane = CASE WHEN c.state <> 'retrying' AND w.wanted = c.captured THEN 1 ELSE w.lane END,"
        " removal = CASE WHEN c.state = 'idle' AND w.wanted = c.captured THEN false"
        " WHEN NOT c.due_known THEN w.removal OR (w.removes_next AND w.due_at <= c.business) ELSE w.removal END,"
        " unsure = c.unsure,"
        " asked_at = CASE WHEN c.due_known THEN nullif(w.asked_at, c.asked_at) ELSE w.asked_at END,"
        " raised_at = CASE WHEN w.wanted > c.captured THEN clock_timestamp() ELSE w.raised_at END,"
        " problem = c.problem::jsonb,"
        " problem_since = CASE WHEN c.problem IS NULL THEN NULL ELSE coalesce(w.problem_since, now()) END"
        " FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::int[], %b::bigint[], %b::bigint[],"
        " %b::boolean[], %b::timestamptz[], %b::boolean[], %b::float8[], %b::text[], %b::int[], %b::text[],"
        " %b::boolean[], %b::timestamptz[], %b::timestamptz[])"
        " AS c (organisation, kind, subject, target, generation, epoch, captured, due_known, due_at, removes_next,"
        " retry_in, state, attempts, problem, unsure, business, asked_at)"
        " WHERE (w.organisation, w.kind, w.subject, w.target) = (c.organisation, c.kind, c.subject, c.target)"
        " AND w.lease_epoch = c.epoch AND w.generation = c.generation"
        " RETURNING w.organisation, w.kind, w.subject, w.target",
        (
            [row.claim.key.organisation for row in rows],
            [row.claim.key.kind for row in rows],
            [row.claim.key.subject for row in rows],
            [row.claim.key.target for row in rows],
            [row.claim.generation for row in rows],
            [row.claim.epoch for row in rows],
            [row.claim.captured for row in rows],
            [row.due_known for row in rows],
            [row.due_at for row in rows],
            [row.removes_next for row in rows],
            [row.retry_in for row in rows],
            [row.state for row in rows],
            [row.attempts for row in rows],
            [row.problem for row in rows],
            [row.unsure for row in rows],
            [row.claim.business_now for row in rows],
            [row.claim.asked_at for row in rows],
        ),
    )
    return {WorkKey(*row) for row in await cursor.fetchall()}
