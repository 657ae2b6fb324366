"""What a judgement needs, and where it goes: all touched people in one round per table."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from psycopg.types.json import Jsonb

from contracts.codes import CaseKind, Reason, StepState
from contracts.facts import Problem, Step
from services.kernel.database import Connection
from services.status.domain.cases import Case, Evaluated, EvaluatorKey, Revision
from services.status.domain.steps import TROUBLED, Pass, Troubled, hold_of
from services.status.store.projection import Key

Passes: TypeAlias = dict[Key, list[Pass]]
Since: TypeAlias = dict[str, dict[EvaluatorKey, datetime]]

KEYS = "unnest(%(organisations)s::text[], %(persons)s::uuid[]) AS k (organisation, person)"


@dataclass(frozen=True)
class Touched:
    """A person whose cases may have changed.

    `earliest` is the oldest evaluation that came (a closed case can only change by one that is older than its closing);
    `every` asks for all cases, since revisions came.
    """

    organisation: str
    person: UUID
    earliest: datetime | None = None
    every: bool = False


def _keys(keys: Sequence[Key]) -> dict[str, list[Any]]:
    return {"organisations": [key[0] for key in keys], "persons": [key[1] for key in keys]}


async def revisions(conn: Connection, touched: Sequence[Touched]) -> dict[tuple[str, UUID], list[Revision]]:
    """Return by (organisation, case) the revisions of cases to judge; uses the primary key and `case`'s."""
    cursor = await conn.execute(
        "SELECT r.organisation, r.person, r.generation, r.revision, r.case_id, r.kind, r.reason, r.effective_at,"
        " r.accepted_at, r.recorded_at, r.baseline"
        " FROM unnest(%b::text[], %b::uuid[], %b::timestamptz[], %b::boolean[])"
        " AS k (organisation, person, earliest, every)"
        " JOIN person_revision r ON r.organisation = k.organisation AND r.person = k.person"
        ' LEFT JOIN "case" c ON c.organisation = r.organisation AND c.case_id = r.case_id'
        " WHERE k.every OR c.closed_at IS NULL OR c.closed_at > k.earliest",
        (
            [one.organisation for one in touched],
            [one.person for one in touched],
            [one.earliest for one in touched],
            [one.every for one in touched],
        ),
    )
    found: dict[tuple[str, UUID], list[Revision]] = defaultdict(list)
    async for row in cursor:
        kind, reason = CaseKind(row[5]), Reason(row[6])
        one = Revision(row[0], row[1], row[2], row[3], row[4], kind, reason, row[7], row[8], row[9], baseline=row[10])
        found[one.organisation, one.case_id].append(one)
    return found


async def evaluated(conn: Connection, keys: Sequence[Key]) -> tuple[dict[Key, list[Evaluated]], Passes]:
    """Return by person what every evaluation said of readiness and of trouble; uses the primary key."""
    cursor = await conn.execute(
        "SELECT e.organisation, e.person, e.service, e.target, e.generation, e.version, e.record_generation,"
        f" e.revision, e.as_of, e.recorded_at, e.blocked, e.blocked_from, e.trouble FROM {KEYS}"
        " JOIN evaluated e ON e.organisation = k.organisation AND e.person = k.person",
        _keys(keys),
    )
    ready: dict[Key, list[Evaluated]] = defaultdict(list)
    passes: Passes = defaultdict(list)
    async for row in cursor:
        key, evaluator = (row[0], row[1]), (row[2], row[3])
        ready[key].append(Evaluated(evaluator, *row[4:12]))
        passes[key].append(Pass(evaluator, row[4], row[5], row[9], StepState(row[12]) if row[12] else None))
    return ready, passes


async def evaluators(conn: Connection, organisations: Sequence[str]) -> Since:
    """Return by organisation the registered evaluators with the instant since which they answer."""
    cursor = await conn.execute(
        "SELECT organisation, service, target, since FROM kernel.evaluator WHERE organisation = ANY(%s)",
        (list(organisations),),
    )
    found: Since = defaultdict(dict)
    async for organisation, service, target, since in cursor:
        found[organisation][service, target] = since
    return found


async def troubled_steps(
    conn: Connection, keys: Sequence[Key]
) -> tuple[dict[Key, list[tuple[Pass, Troubled]]], Passes]:
    """Return by person what the newest evaluations and the steps at or after them say of trouble, and all their passes.

    Only steps of the newest passes are read: older trouble is over.
    """
    parameters = _keys(keys)
    cursor = await conn.execute(
        "SELECT e.organisation, e.person, e.service, e.target, e.generation, e.version, e.recorded_at, e.revision,"
        f" e.steps FROM {KEYS} JOIN evaluation e ON e.organisation = k.organisation AND e.person = k.person"
        " WHERE e.trouble IS NOT NULL",
        parameters,
    )
    found: dict[Key, list[tuple[Pass, Troubled]]] = defaultdict(list)
    async for organisation, person, service, target, generation, version, at, revision, steps in cursor:
        for raw in steps:
            step = Step.model_validate(raw, strict=False)
            one = Pass((service, target), generation, version, at, step.state)
            detail = Troubled(
                evaluator=one.evaluator,
                state=step.state,
                code=step.code,
                problem=step.problem,
                hold=hold_of(step.parameters, step.problem),
                revision=revision,
                recorded_at=at,
                due=step.due,
            )
            found[organisation, person].append((one, detail))
    cursor = await conn.execute(
        "SELECT s.organisation, s.person, s.service, s.target, s.generation, s.epoch, s.recorded_at, s.state, s.code,"
        f" s.problem, s.parameters, s.revision, s.attempt, s.retry_at FROM {KEYS}"
        " JOIN step s ON s.organisation = k.organisation AND s.person = k.person"
        " LEFT JOIN evaluation e ON e.organisation = s.organisation AND e.person = s.person"
        " AND e.service = s.service AND e.target = s.target"
        " WHERE e.person IS NULL OR (s.generation, s.epoch) >= (e.generation, e.version)",
        parameters,
    )
    passes: Passes = defaultdict(list)
    async for row in cursor:
        one, detail = _step(row)
        passes[row[0], row[1]].append(one)
        found[row[0], row[1]].append((one, detail))
    return found, passes


def _step(row: Sequence[Any]) -> tuple[Pass, Troubled]:
    evaluator, state = (row[2], row[3]), StepState(row[7])
    problem = None if row[9] is None else Problem.model_validate(row[9], strict=False)
    troubled = state if state in TROUBLED else None
    return (
        Pass(evaluator, row[4], row[5], row[6], troubled),
        Troubled(evaluator, state, row[8], problem, hold_of(row[10], problem), row[11], row[6], row[12], row[13]),
    )


async def save_cases(conn: Connection, cases: Sequence[Case]) -> None:
    """Write judged cases; what depends on troubles and protection is `flag`'s and `protect`'s."""
    if not cases:
        return
    await conn.execute(
        'INSERT INTO "case" SELECT r.*, true, false, NULL FROM jsonb_to_recordset(%s) AS r (organisation text,'
        " case_id uuid, person uuid, kind text, reason text, reasons text[], opened_revision int, generation int,"
        " revision int, effective_at timestamptz, accepted_at timestamptz, updated_at timestamptz, baseline boolean,"
        " cancelled boolean, closed_at timestamptz, done_at timestamptz)"
        " ON CONFLICT (organisation, case_id) DO UPDATE SET person = excluded.person, kind = excluded.kind,"
        " reason = excluded.reason, reasons = excluded.reasons, opened_revision = excluded.opened_revision,"
        " generation = excluded.generation, revision = excluded.revision, effective_at = excluded.effective_at,"
        " accepted_at = excluded.accepted_at, updated_at = excluded.updated_at, baseline = excluded.baseline,"
        " cancelled = excluded.cancelled, closed_at = excluded.closed_at, done_at = excluded.done_at",
        (Jsonb([asdict(case) for case in cases]),),
    )


async def save_attention(conn: Connection, keys: Sequence[Key], rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace what needs a hand of these people."""
    await conn.execute(
        f"DELETE FROM attention a USING {KEYS} WHERE a.organisation = k.organisation AND a.person = k.person",
        _keys(keys),
    )
    if rows:
        await conn.execute(
            "INSERT INTO attention SELECT * FROM jsonb_to_recordset(%s) AS r (organisation text, person uuid,"
            " service text, target text, ordinal int, state text, code text, problem jsonb, hold uuid, revision int,"
            " attempt int, since timestamptz, recorded_at timestamptz, retry_at timestamptz, due timestamptz)",
            (Jsonb(list(rows)),),
        )


async def flag(conn: Connection, keys: Sequence[Key]) -> None:
    """Let these people's open cases know what needs a hand; uses case_person and attention's primary key.

    A closed case is past trouble, and is not written again and again for it.
    """
    await conn.execute(
        'UPDATE "case" c SET stuck = f.stuck, retrying_since = f.retrying_since FROM ('
        " SELECT d.organisation, d.case_id, d.closed_at IS NULL AND t.stuck AS stuck,"
        " CASE WHEN d.closed_at IS NULL THEN t.retrying_since END AS retrying_since FROM ("
        "  SELECT k.organisation, k.person, coalesce(bool_or(a.state IN ('held', 'parked')), false) AS stuck,"
        f"  min(a.since) FILTER (WHERE a.state = 'retrying') AS retrying_since FROM {KEYS}"
        "  LEFT JOIN attention a ON a.organisation = k.organisation AND a.person = k.person GROUP BY 1, 2) t"
        ' JOIN "case" d ON d.organisation = t.organisation AND d.person = t.person) f'
        " WHERE c.organisation = f.organisation AND c.case_id = f.case_id"
        " AND (c.stuck, c.retrying_since) IS DISTINCT FROM (f.stuck, f.retrying_since)",
        _keys(keys),
    )


async def protect(conn: Connection, keys: Sequence[Key]) -> None:
    """Carry these people's protection over to all their cases."""
    await conn.execute(
        f"UPDATE \"case\" c SET protected = (p.protection <> 'none') FROM {KEYS}"
        " JOIN person p ON p.organisation = k.organisation AND p.person = k.person"
        " WHERE c.organisation = p.organisation AND c.person = p.person"
        " AND c.protected <> (p.protection <> 'none')",
        _keys(keys),
    )
