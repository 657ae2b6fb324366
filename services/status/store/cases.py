"""Reading cases. Their state depends on the clock and is computed here, as `domain.cases.state_of` says it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from contracts.codes import CaseKind, Reason
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection
from services.status.domain.cases import CaseState
from services.status.domain.sight import Sight
from services.status.domain.views import CaseCount, CaseItem, EvaluatorView, StepRecord
from services.status.store.sight import values, visible

OPEN_STATE = (
    "CASE WHEN c.stuck OR c.retrying_since < now() - interval '15 minutes' THEN 'attention'"
    f" WHEN NOT c.cancelled AND c.effective_at > {BUSINESS_NOW} THEN 'waiting' ELSE 'running' END"
)
"""Of a case that is open; case_open_listed has all that it needs."""
_MINUTE = f"date_trunc('minute', {BUSINESS_NOW}, 'UTC')"
"""What takes effect in this minute is not all waiting or all running."""
_NEXT_DAY = "(date_trunc('day', %(since)s::timestamptz AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC'"
STATE = (
    "CASE WHEN c.closed_at IS NOT NULL THEN CASE WHEN c.cancelled THEN 'cancelled' ELSE 'done' END"
    f" ELSE {OPEN_STATE} END"
)
SECONDS = "CASE WHEN c.done_at IS NOT NULL THEN greatest(date_part('epoch', c.done_at - c.accepted_at), 0) END"
"""From accepted to done, null while it is open (`greatest` passes over nulls); `extract` would reckon in numeric."""
_ITEM = (
    "c.case_id AS id, c.person, p.display AS name, c.kind, c.reason, c.reasons, "
    f"{STATE} AS state, c.revision, c.effective_at, c.accepted_at, c.updated_at, c.done_at, c.closed_at, c.baseline,"
    f" {SECONDS} AS seconds"
)
_FROM = '"case" c JOIN person p ON p.organisation = c.organisation AND p.person = c.person'
_STATED = {
    CaseState.DONE: "c.closed_at IS NOT NULL AND NOT c.cancelled",
    CaseState.CANCELLED: "c.closed_at IS NOT NULL AND c.cancelled",
}
_HISTORY = 200
UNPROTECTED = "NOT {}.protected"
"""How a case says that its person is not protected."""


@dataclass(frozen=True)
class Filter:
    """Which cases, of those whom the reader sees."""

    organisation: str
    sight: Sight
    state: CaseState | None = None
    kind: CaseKind | None = None
    reason: Reason | None = None
    since: datetime | None = None
    person: UUID | None = None

    def where(self, *, with_state: bool) -> str:
        """Return the condition; states also say so in words that the partial indexes understand."""
        parts = ["c.organisation = %(organisation)s", visible(self.sight, "c", UNPROTECTED)]
        parts += [
            f"c.{column} = %({column})s" for column in ("kind", "reason", "person") if getattr(self, column) is not None
        ]
        if self.since is not None:
            parts.append("c.accepted_at >= %(since)s")
        if with_state and self.state is not None:
            parts.append(f"{_STATED.get(self.state, 'c.closed_at IS NULL')} AND {STATE} = %(state)s")
        return " AND ".join(parts)

    def tallied(self) -> str:
        """Return the condition on a tally of cases; a whole day is tallied, its parts are not.

        Nobody's own staff is tallied.
        """
        parts = ["c.organisation = %(organisation)s"]
        if not self.sight.protected:
            parts.append("NOT c.protected")
        parts += [f"c.{column} = %({column})s" for column in ("kind", "reason") if getattr(self, column) is not None]
        if self.since is not None:
            parts.append("c.day > (%(since)s::timestamptz AT TIME ZONE 'UTC')::date")
        return " AND ".join(parts)

    def parameters(self) -> dict[str, Any]:
        """Return the values of the condition."""
        return {
            "organisation": self.organisation,
            "state": self.state,
            "kind": self.kind,
            "reason": self.reason,
            "since": self.since,
            "person": self.person,
            **values(self.sight),
        }


async def listed(conn: Connection, wanted: Filter, before: tuple[datetime, UUID] | None, limit: int) -> list[CaseItem]:
    """Return cases, the newest first; uses case_listed, case_open_listed, case_cancelled or case_reason.

    Only the rows of the page are looked up among people.
    """
    page = (
        f'SELECT * FROM "case" c WHERE {wanted.where(with_state=True)}'
        + (" AND (c.accepted_at, c.case_id) < (%(at)s, %(case_id)s)" if before else "")
        + " ORDER BY c.accepted_at DESC, c.case_id DESC LIMIT %(limit)s"
    )
    async with conn.cursor(row_factory=class_row(CaseItem)) as cursor:
        await cursor.execute(
            f"SELECT {_ITEM} FROM ({page}) c JOIN person p ON p.organisation = c.organisation AND p.person = c.person"
            " ORDER BY c.accepted_at DESC, c.case_id DESC",
            {
                **wanted.parameters(),
                "at": before[0] if before else None,
                "case_id": before[1] if before else None,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def counts(conn: Connection, wanted: Filter) -> list[CaseCount]:
    """Count cases by kind and state, by their tallies.

    Counted one by one are open ones that are retried (case_retrying) or take effect this very minute (case_effective),
    those of the first day of `since` (case_counted), and all of a person or of a manager's staff
    (case_person).
    """
    counted = f'SELECT c.kind, {STATE} AS state, count(*) AS count FROM "case" c WHERE {wanted.where(with_state=False)}'
    parts = [f"{counted} GROUP BY 1, 2"]
    if wanted.person is None and wanted.sight.staff is None:
        closed, since = "closed_tally", ""
        if wanted.since is not None:
            closed, since = "case_tally", f" AND c.accepted_at >= {_NEXT_DAY}"
        single = f"{counted}{since} AND c.closed_at IS NULL AND NOT c.stuck"
        parts = [
            "SELECT c.kind, CASE WHEN c.cancelled THEN 'cancelled' ELSE 'done' END AS state, sum(c.count) AS count"
            f" FROM {closed} c WHERE {wanted.tallied()} GROUP BY 1, 2",
            "SELECT c.kind, CASE WHEN c.stuck THEN 'attention'"
            f" WHEN c.since > {_MINUTE} THEN 'waiting' ELSE 'running' END, sum(c.count)"
            f" FROM open_tally c WHERE {wanted.tallied()} AND c.since <> {_MINUTE} GROUP BY 1, 2",
            f"{single} AND c.retrying_since IS NOT NULL GROUP BY 1, 2",
            f"{single} AND c.retrying_since IS NULL AND NOT c.cancelled AND c.effective_at >= {_MINUTE}"
            f" AND c.effective_at < {_MINUTE} + interval '1 minute' GROUP BY 1, 2",
        ]
        if wanted.since is not None:
            parts.append(f"{counted} AND c.accepted_at < {_NEXT_DAY} GROUP BY 1, 2")
    async with conn.cursor(row_factory=class_row(CaseCount)) as cursor:
        await cursor.execute(
            f"SELECT kind, state, sum(count)::bigint AS count FROM ({' UNION ALL '.join(parts)}) c"
            " GROUP BY 1, 2 HAVING sum(count) > 0 ORDER BY 1, 2",
            wanted.parameters(),
        )
        return await cursor.fetchall()


async def one(conn: Connection, organisation: str, case_id: UUID, *, sight: Sight) -> CaseItem | None:
    """Return a case, or None when unknown or hidden; uses the primary key."""
    async with conn.cursor(row_factory=class_row(CaseItem)) as cursor:
        await cursor.execute(
            f"SELECT {_ITEM} FROM {_FROM} WHERE c.organisation = %(organisation)s AND c.case_id = %(case_id)s"
            f" AND {visible(sight, 'c', UNPROTECTED)}",
            {"organisation": organisation, "case_id": case_id, **values(sight)},
        )
        return await cursor.fetchone()


async def of_person(conn: Connection, organisation: str, person: UUID) -> list[CaseItem]:
    """Return a person's open cases, the oldest first; uses case_person."""
    async with conn.cursor(row_factory=class_row(CaseItem)) as cursor:
        await cursor.execute(
            f"SELECT {_ITEM} FROM {_FROM} WHERE c.organisation = %s AND c.person = %s AND c.closed_at IS NULL"
            " ORDER BY c.accepted_at, c.case_id",
            (organisation, person),
        )
        return await cursor.fetchall()


async def evaluators(conn: Connection, organisation: str, case: CaseItem) -> Sequence[EvaluatorView]:
    """Return the evaluators that the case waits for and how far each has come; uses evaluated's primary key."""
    async with conn.cursor(row_factory=class_row(EvaluatorView)) as cursor:
        await cursor.execute(
            "SELECT v.service, v.target, v.paused_at, e.revision, e.as_of, EXISTS (SELECT FROM evaluated d"
            ' JOIN "case" c ON c.organisation = d.organisation AND c.case_id = %(case_id)s'
            " WHERE d.organisation = v.organisation AND d.person = %(person)s AND d.service = v.service"
            " AND d.target = v.target AND d.revision >= c.revision AND d.generation >= c.generation AND NOT d.blocked"
            " AND d.as_of >= CASE WHEN c.cancelled THEN d.as_of ELSE c.effective_at END"
            " AND (d.blocked_from IS NULL OR d.blocked_from > CASE WHEN c.cancelled THEN d.as_of"
            " ELSE c.effective_at END)) AS handled FROM kernel.evaluator v"
            " LEFT JOIN evaluation e ON e.organisation = v.organisation AND e.person = %(person)s"
            " AND e.service = v.service AND e.target = v.target"
            " WHERE v.organisation = %(organisation)s AND v.since <= %(accepted_at)s ORDER BY 1, 2",
            {
                "organisation": organisation,
                "case_id": case.id,
                "person": case.person,
                "accepted_at": case.accepted_at,
            },
        )
        return await cursor.fetchall()


async def history(conn: Connection, organisation: str, case: CaseItem) -> Sequence[StepRecord]:
    """Return the passes between the case's acceptance and its closing, newest first; uses step's primary key."""
    async with conn.cursor(row_factory=class_row(StepRecord)) as cursor:
        await cursor.execute(
            "SELECT service, target, code, state, attempt, revision, recorded_at, retry_at, parameters, problem"
            " FROM step WHERE organisation = %s AND person = %s AND recorded_at >= %s"
            " AND recorded_at <= coalesce(%s::timestamptz, 'infinity')"
            " ORDER BY recorded_at DESC, service, target, generation DESC, epoch DESC LIMIT %s",
            (organisation, case.person, case.accepted_at, case.closed_at, _HISTORY),
        )
        return await cursor.fetchall()
