"""Newest facts and append-only histories, set-based: one round per group of messages."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from services.kernel.database import Connection

Row = Mapping[str, Any]
Key = tuple[str, UUID]


async def lock(conn: Connection) -> None:
    """Let one batch at a time write the projections, until the end of the transaction.

    Two batches may carry halves of one case: without the lock each would judge it without the other's half. It is the
    first lock that every handler takes and the only one, so two lanes cannot deadlock whatever rows they share.
    """
    await conn.execute("SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.projection'))")


async def add_revisions(conn: Connection, rows: Sequence[Row]) -> None:
    """Keep every revision once."""
    await conn.execute(
        "INSERT INTO person_revision SELECT * FROM jsonb_to_recordset(%s) AS r (organisation text, person uuid,"
        " generation int, revision int, case_id uuid, kind text, reason text, effective_at timestamptz,"
        " accepted_at timestamptz, recorded_at timestamptz, baseline boolean, protected boolean)"
        " ON CONFLICT DO NOTHING",
        (Jsonb(list(rows)),),
    )


async def put_persons(conn: Connection, rows: Sequence[Row]) -> None:
    """Store people that are newer than what is known; the words of their accounts are searched too."""
    await conn.execute(
        "INSERT INTO person AS p (organisation, person, generation, revision, display, sort_name, protection, core,"
        " words, recorded_at, erased, search)"
        " SELECT r.*, array_to_tsvector(r.words || coalesce((SELECT array_agg(word) FROM account a,"
        " unnest(a.words) AS word WHERE a.organisation = r.organisation AND a.person = r.person), '{}'))"
        " FROM jsonb_to_recordset(%s) AS r (organisation text, person uuid, generation int, revision int,"
        " display text, sort_name text, protection text, core jsonb, words text[], recorded_at timestamptz,"
        " erased boolean)"
        " ON CONFLICT (organisation, person) DO UPDATE SET generation = excluded.generation,"
        " revision = excluded.revision, display = excluded.display, sort_name = excluded.sort_name,"
        " protection = excluded.protection, core = excluded.core, words = excluded.words,"
        " recorded_at = excluded.recorded_at, erased = excluded.erased, search = excluded.search"
        " WHERE (excluded.generation, excluded.revision) > (p.generation, p.revision)",
        (Jsonb(list(rows)),),
    )


async def erase(conn: Connection, keys: Sequence[Key]) -> None:
    """Empty what is kept of those among these people who are erased; what comes of them late is emptied as it comes.

    Their revisions, cases, steps and evaluations hold codes and times alone, and stay: figures are made of them.
    """
    cursor = await conn.execute(
        "SELECT p.organisation, p.person FROM unnest(%b::text[], %b::uuid[]) AS k (organisation, person)"
        " JOIN person p USING (organisation, person) WHERE p.erased",
        _columns(keys),
    )
    gone = [(row[0], row[1]) for row in await cursor.fetchall()]
    if not gone:
        return
    of_them = " FROM unnest(%b::text[], %b::uuid[]) AS k (organisation, person)"
    theirs = " WHERE t.organisation = k.organisation AND t.person = k.person"
    await conn.execute(
        "UPDATE account t SET user_name = NULL, mail = NULL, words = '{}',"
        " record = record - '{groups,licences,mailRoutes}'::text[]"
        ' || \'{"userName": null, "mail": null, "entry": null}\''
        f"{of_them}{theirs}",
        _columns(gone),
    )
    await conn.execute(f"UPDATE account_change t SET user_name = NULL{of_them}{theirs}", _columns(gone))
    await conn.execute(f"UPDATE person t SET search = ''{of_them}{theirs}", _columns(gone))


async def conceal(conn: Connection, keys: Sequence[Key]) -> None:
    """Forget what the accounts of those among these people who are, or were, protected were called (DOMAIN 40).

    By any revision: what was said last may come first, and what was emptied does not come back.
    """
    await conn.execute(
        "UPDATE account_change t SET user_name = NULL FROM unnest(%b::text[], %b::uuid[]) AS k (organisation, person)"
        " WHERE t.organisation = k.organisation AND t.person = k.person AND t.user_name IS NOT NULL AND EXISTS"
        " (SELECT FROM person_revision r WHERE r.protected"
        " AND r.organisation = k.organisation AND r.person = k.person)",
        _columns(keys),
    )


def _columns(keys: Sequence[Key]) -> tuple[list[str], list[UUID]]:
    return [key[0] for key in keys], [key[1] for key in keys]


async def put_units(conn: Connection, rows: Sequence[Row]) -> None:
    """Store units that are newer than what is known."""
    await conn.execute(
        "INSERT INTO unit AS u SELECT * FROM jsonb_to_recordset(%s) AS r (organisation text, unit text,"
        " generation int, revision int, name text, record jsonb)"
        " ON CONFLICT (organisation, unit) DO UPDATE SET generation = excluded.generation,"
        " revision = excluded.revision, name = excluded.name, record = excluded.record"
        " WHERE (excluded.generation, excluded.revision) > (u.generation, u.revision)",
        (Jsonb(list(rows)),),
    )


async def put_places(conn: Connection, rows: Sequence[Row]) -> None:
    """Store places that are newer than what is known."""
    await conn.execute(
        "INSERT INTO place AS p SELECT * FROM jsonb_to_recordset(%s) AS r (organisation text, person uuid,"
        " generation int, version bigint, unit text, memberships text[], changed_at timestamptz)"
        " ON CONFLICT (organisation, person) DO UPDATE SET generation = excluded.generation,"
        " version = excluded.version, unit = excluded.unit, memberships = excluded.memberships,"
        " changed_at = excluded.changed_at WHERE (excluded.generation, excluded.version) > (p.generation, p.version)",
        (Jsonb(list(rows)),),
    )


async def add_account_changes(conn: Connection, rows: Sequence[Row]) -> None:
    """Keep every change of an account once."""
    await conn.execute(
        "INSERT INTO account_change SELECT * FROM jsonb_to_recordset(%s) AS r (organisation text, person uuid,"
        " target text, generation int, version int, state text, user_name text, changed_at timestamptz)"
        " ON CONFLICT DO NOTHING",
        (Jsonb(list(rows)),),
    )


async def put_accounts(conn: Connection, rows: Sequence[Row]) -> None:
    """Store accounts that are newer than what is known, and let their people be found by them."""
    await conn.execute(
        "WITH stored AS (INSERT INTO account AS a SELECT * FROM jsonb_to_recordset(%s) AS r (organisation text,"
        " person uuid, target text, generation int, version int, state text, user_name text, mail text,"
        " words text[], changed_at timestamptz, verified_at timestamptz, record jsonb)"
        " ON CONFLICT (organisation, person, target) DO UPDATE SET generation = excluded.generation,"
        " version = excluded.version, state = excluded.state, user_name = excluded.user_name, mail = excluded.mail,"
        " words = excluded.words, changed_at = excluded.changed_at, verified_at = excluded.verified_at,"
        " record = excluded.record WHERE (excluded.generation, excluded.version) > (a.generation, a.version)"
        " RETURNING organisation, person, target, words)"
        " UPDATE person p SET search = array_to_tsvector(p.words || f.words) FROM ("
        "   SELECT k.organisation, k.person, array_agg(word) AS words FROM (SELECT DISTINCT organisation, person"
        "   FROM stored) k, LATERAL (SELECT unnest(s.words) AS word FROM stored s"
        "     WHERE s.organisation = k.organisation AND s.person = k.person"
        "     UNION SELECT unnest(a.words) FROM account a WHERE a.organisation = k.organisation"
        "     AND a.person = k.person AND NOT EXISTS (SELECT FROM stored s WHERE s.organisation = a.organisation"
        "     AND s.person = a.person AND s.target = a.target)) w GROUP BY 1, 2) f"
        " WHERE p.organisation = f.organisation AND p.person = f.person",
        (Jsonb(list(rows)),),
    )


async def add_evaluated(conn: Connection, rows: Sequence[Row]) -> None:
    """Keep what every evaluation says of readiness, once."""
    await conn.execute(
        "INSERT INTO evaluated SELECT * FROM jsonb_to_recordset(%s) AS r (organisation text, person uuid,"
        " service text, target text, generation int, version int, revision int, as_of timestamptz,"
        " recorded_at timestamptz, blocked boolean, blocked_from timestamptz, trouble text, record_generation int)"
        " ON CONFLICT DO NOTHING",
        (Jsonb(list(rows)),),
    )


async def put_evaluations(conn: Connection, rows: Sequence[Row]) -> None:
    """Store evaluations that are newer than what is known."""
    await conn.execute(
        "INSERT INTO evaluation AS e SELECT * FROM jsonb_to_recordset(%s) AS r (organisation text, person uuid,"
        " service text, target text, generation int, version int, revision int, policy_hash text, as_of timestamptz,"
        " recorded_at timestamptz, next_due timestamptz, blocked boolean, blocked_from timestamptz, trouble text,"
        " steps jsonb, why jsonb, record_generation int)"
        " ON CONFLICT (organisation, person, service, target) DO UPDATE SET generation = excluded.generation,"
        " version = excluded.version, revision = excluded.revision, policy_hash = excluded.policy_hash,"
        " as_of = excluded.as_of, recorded_at = excluded.recorded_at, next_due = excluded.next_due,"
        " blocked = excluded.blocked, blocked_from = excluded.blocked_from, trouble = excluded.trouble,"
        " steps = excluded.steps, why = excluded.why, record_generation = excluded.record_generation"
        " WHERE (excluded.generation, excluded.version) > (e.generation, e.version)",
        (Jsonb(list(rows)),),
    )


async def add_steps(conn: Connection, rows: Sequence[Row]) -> None:
    """Keep every step once."""
    await conn.execute(
        "INSERT INTO step SELECT * FROM jsonb_to_recordset(%s) AS r (organisation text, person uuid, service text,"
        " target text, generation int, epoch int, attempt int, revision int, code text, state text,"
        " parameters jsonb, problem jsonb, recorded_at timestamptz, retry_at timestamptz) ON CONFLICT DO NOTHING",
        (Jsonb(list(rows)),),
    )


async def add_audit(conn: Connection, rows: Sequence[Row]) -> None:
    """Keep every audit record once."""
    await conn.execute(
        "INSERT INTO audit SELECT * FROM jsonb_to_recordset(%s) AS r (organisation text, id uuid, actor text,"
        " action text, subject text, reason text, recorded_at timestamptz, parameters jsonb, persons uuid[])"
        " ON CONFLICT DO NOTHING",
        (Jsonb(list(rows)),),
    )
