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

Target: TypeAlias = tuple[str, UUID, str, str]
"""One evaluator of a person: organisation, person, service, target."""
Passes: TypeAlias = dict[Target, list[Pass]]
Since: TypeAlias = dict[str, dict[EvaluatorKey, datetime]]

KEYS = "unnest(%(organisations)s::text[], %(persons)s::uuid[]) AS k (organisation, person)"
TARGETS = (
    "unnest(%(organisations)s::text[], %(persons)s::uuid[], %(services)s::text[], %(targets)s::text[])"
    " AS k (organisation, person, service, target)"
)


@dataclass(frozen=True)
class Touched:
    """A person whose cases may have changed.

    `earliest` is the oldest evaluation that came: it can change open cases, and closed ones that were closed after it.
    `cases` are those of which revisions came: a revision changes no other.
    """

    organisation: str
    person: UUID
    earliest: datetime | None = None
    cases: frozenset[UUID] = frozenset()


def _keys(keys: Sequence[Key]) -> dict[str, list[Any]]:
    return {"organisations": [key[0] for key in keys], "persons": [key[1] for key in keys]}


def _targets(targets: Sequence[Target]) -> dict[str, list[Any]]:
    return {
        **_keys([target[:2] for target in targets]),
        "services": [target[2] for target in targets],
        "targets": [target[3] for target in targets],
    }


async def revisions(conn: Connection, touched: Sequence[Touched]) -> dict[tuple[str, UUID], list[Revision]]:
    """Return by (organisation, case) the revisions of cases to judge; uses case_person and person_revision_case."""
    of_cases = [(one.organisation, one.person, case) for one in touched for case in sorted(one.cases)]
    evaluated = [one for one in touched if one.earliest is not None]
    cursor = await conn.execute(
        "WITH judged AS MATERIALIZED (SELECT * FROM unnest(%b::text[], %b::uuid[], %b::uuid[])"
        " AS k (organisation, person, case_id) UNION SELECT c.organisation, c.person, c.case_id"
        " FROM unnest(%b::text[], %b::uuid[], %b::timestamptz[]) AS k (organisation, person, earliest)"
        ' JOIN "case" c ON c.organisation = k.organisation AND c.person = k.person'
        " AND (c.closed_at IS NULL OR c.closed_at > k.earliest))"
        " SELECT r.organisation, r.person, r.generation, r.revision, r.case_id, r.kind, r.reason, r.effective_at,"
        " r.accepted_at, r.recorded_at, r.baseline FROM judged j JOIN person_revision r"
        " ON r.organisation = j.organisation AND r.case_id = j.case_id AND r.person = j.person",
        (
            [one[0] for one in of_cases],
            [one[1] for one in of_cases],
            [one[2] for one in of_cases],
            [one.organisation for one in evaluated],
            [one.person for one in evaluated],
            [one.earliest for one in evaluated],
        ),
    )
    found: dict[tuple[str, UUID], list[Revision]] = defaultdict(list)
    async for row in cursor:
        kind, reason = CaseKind(row[5]), Reason(row[6])
        one = Revision(row[0], row[1], row[2], row[3], row[4], kind, reason, row[7], row[8], row[9], baseline=row[10])
        found[one.organisation, one.case_id].append(one)
    return found


async def evaluated(conn: Connection, since: Mapping[Key, tuple[int, int]]) -> dict[Key, list[Evaluated]]:
    """Return by person what evaluators said of readiness for a revision (generation, number) and newer ones.

    What was said of older ones brings no newer one home. Uses the primary key.
    """
    keys = sorted(since)
    cursor = await conn.execute(
        "SELECT e.organisation, e.person, e.service, e.target, e.generation, e.version, e.record_generation,"
        " e.revision, e.as_of, e.recorded_at, e.blocked, e.blocked_from FROM unnest(%(organisations)s::text[],"
        " %(persons)s::uuid[], %(generations)s::int[], %(revisions)s::int[])"
        " AS k (organisation, person, generation, revision)"
        " JOIN evaluated e ON e.organisation = k.organisation AND e.person = k.person"
        " AND (e.record_generation, e.revision) >= (k.generation, k.revision)",
        {
            **_keys(keys),
            "generations": [since[key][0] for key in keys],
            "revisions": [since[key][1] for key in keys],
        },
    )
    found: dict[Key, list[Evaluated]] = defaultdict(list)
    async for row in cursor:
        found[row[0], row[1]].append(Evaluated((row[2], row[3]), *row[4:12]))
    return found


async def passes(conn: Connection, targets: Sequence[Target]) -> Passes:
    """Return by evaluator the passes since the last good one before the newest: no trouble is older than that.

    Uses evaluated's primary key, from its end.
    """
    cursor = await conn.execute(
        "SELECT e.organisation, e.person, e.service, e.target, e.generation, e.version, e.recorded_at, e.trouble"
        f" FROM {TARGETS} JOIN evaluation v USING (organisation, person, service, target)"
        " LEFT JOIN LATERAL (SELECT g.generation, g.version FROM evaluated g WHERE g.organisation = v.organisation"
        "   AND g.person = v.person AND g.service = v.service AND g.target = v.target AND g.trouble IS NULL"
        "   AND (g.generation, g.version) < (v.generation, v.version)"
        "   ORDER BY g.generation DESC, g.version DESC LIMIT 1) good ON true"
        # OFFSET keeps it a subquery: its condition shall bound the scan of the index, and not filter what was read
        " CROSS JOIN LATERAL (SELECT * FROM evaluated e WHERE e.organisation = v.organisation AND e.person = v.person"
        "   AND e.service = v.service AND e.target = v.target"
        "   AND (e.generation, e.version) >= (coalesce(good.generation, 0), coalesce(good.version, 0)) OFFSET 0) e",
        _targets(targets),
    )
    found: Passes = defaultdict(list)
    async for row in cursor:
        trouble = StepState(row[7]) if row[7] else None
        found[row[:4]].append(Pass((row[2], row[3]), row[4], row[5], row[6], trouble))
    return found


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
    conn: Connection, targets: Sequence[Target]
) -> tuple[dict[Target, list[tuple[Pass, Troubled]]], Passes]:
    """Return by evaluator what its newest evaluation and the steps at or after it say of trouble, and all their passes.

    Only steps of the newest passes are read, by the end of step's primary key: older trouble is over.
    """
    parameters = _targets(targets)
    cursor = await conn.execute(
        "SELECT e.organisation, e.person, e.service, e.target, e.generation, e.version, e.recorded_at, e.revision,"
        f" e.steps FROM {TARGETS} JOIN evaluation e USING (organisation, person, service, target)"
        " WHERE e.trouble IS NOT NULL",
        parameters,
    )
    found: dict[Target, list[tuple[Pass, Troubled]]] = defaultdict(list)
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
            found[organisation, person, service, target].append((one, detail))
    cursor = await conn.execute(
        "SELECT s.organisation, s.person, s.service, s.target, s.generation, s.epoch, s.recorded_at, s.state, s.code,"
        f" s.problem, s.parameters, s.revision, s.attempt, s.retry_at FROM {TARGETS}"
        " LEFT JOIN evaluation e USING (organisation, person, service, target)"
        " CROSS JOIN LATERAL (SELECT * FROM step s WHERE s.organisation = k.organisation AND s.person = k.person"
        "   AND s.service = k.service AND s.target = k.target"
        "   AND (s.generation, s.epoch) >= (coalesce(e.generation, 0), coalesce(e.version, 0)) OFFSET 0) s",
        parameters,
    )
    said: Passes = defaultdict(list)
    async for row in cursor:
        one, detail = _step(row)
        said[row[:4]].append(one)
        found[row[:4]].append((one, detail))
    return found, said


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


async def save_attention(conn: Connection, targets: Sequence[Target], rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace what needs a hand at these evaluators."""
    await conn.execute(
        f"DELETE FROM attention a USING {TARGETS} WHERE a.organisation = k.organisation AND a.person = k.person"
        " AND a.service = k.service AND a.target = k.target",
        _targets(targets),
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
    stuck = "(c.closed_at IS NULL AND f.stuck)"
    retrying = "CASE WHEN c.closed_at IS NULL THEN f.retrying_since END"
    await conn.execute(
        f'UPDATE "case" c SET stuck = {stuck}, retrying_since = {retrying} FROM ('
        " SELECT k.organisation, k.person, coalesce(bool_or(a.state IN ('held', 'parked')), false) AS stuck,"
        f" min(a.since) FILTER (WHERE a.state = 'retrying') AS retrying_since FROM {KEYS}"
        " LEFT JOIN attention a ON a.organisation = k.organisation AND a.person = k.person GROUP BY 1, 2) f"
        " WHERE c.organisation = f.organisation AND c.person = f.person"
        f" AND (c.stuck, c.retrying_since) IS DISTINCT FROM ({stuck}, {retrying})",
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
