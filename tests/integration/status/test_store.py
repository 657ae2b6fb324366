"""SQL says the same as the pure rules, and every hot query has its index."""

import random
from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest

from services.kernel.clock import business_now, database_now
from services.kernel.database import Database
from services.status.domain.cases import Case, CaseState, state_of
from services.status.domain.sight import Sight, Staff
from services.status.store import cases, judging
from services.status.store import sight as sights
from services.status.store.cases import STATE
from tests.integration.status.world import OPEN, uid


async def test_the_state_in_sql_is_the_state_of_the_pure_rule(database: Database) -> None:
    chance = random.Random(7)  # noqa: S311 - a seeded choice of cases
    async with database.transaction() as conn:
        now = await database_now(conn)
        rows: list[tuple[Case, bool, Any]] = []
        for number in range(200):
            closed = chance.choice([None, None, now])
            case = Case(
                organisation="alvsund",
                case_id=uid(str(number)),
                person=uid("anna"),
                kind="joiner",  # type: ignore[arg-type]
                reason="hire",  # type: ignore[arg-type]
                reasons=("hire",),  # type: ignore[arg-type]
                opened_revision=1,
                generation=1,
                revision=1,
                effective_at=now + chance.choice([-1, 1]) * timedelta(days=1),
                accepted_at=now,
                updated_at=now,
                baseline=False,
                cancelled=chance.choice([True, False]),
                closed_at=closed,
                done_at=closed,
            )
            rows.append((case, chance.choice([True, False, False]), chance.choice([None, 14, 16])))
        await judging.save_cases(conn, [row[0] for row in rows])
        for case, stuck, retrying in rows:
            since = None if retrying is None else now - timedelta(minutes=retrying)
            await conn.execute(
                'UPDATE "case" SET stuck = %s, retrying_since = %s WHERE case_id = %s', (stuck, since, case.case_id)
            )
        found = {
            row[0]: CaseState(row[1])
            for row in await (await conn.execute(f'SELECT case_id, {STATE} FROM "case" c'.encode())).fetchall()
        }
        business = await business_now(conn)
        for case, stuck, retrying in rows:
            since = None if retrying is None else now - timedelta(minutes=retrying)
            expected = state_of(case, stuck=stuck, retrying_since=since, business_now=business, now=now)
            assert found[case.case_id] is expected
        assert len(set(found.values())) == len(CaseState)


@pytest.fixture
def crowd(status_url: str, database: Database) -> str:
    """Many people with many cases, so that the planner has a reason to choose an index."""
    with psycopg.connect(status_url) as conn:
        conn.execute("SET search_path = status")
        conn.execute(
            "INSERT INTO person SELECT 'alvsund', gen_random_uuid(), 1, 1, 'x ' || n, 'x ' || n, 'none', '{}', '{}',"
            " array_to_tsvector(ARRAY['alvsund/w' || n]), now() FROM generate_series(1, 20000) n"
        )
        conn.execute(
            "INSERT INTO \"case\" SELECT 'alvsund', gen_random_uuid(), p.person, 'joiner', 'hire', '{hire}', 1, 1, 1,"
            " now(), now() - n * interval '1 minute', now(), false, false,"
            " CASE WHEN random() < 0.95 THEN now() END, now(), false, false, NULL"
            " FROM person p, generate_series(1, 5) n"
        )
        conn.execute(
            "INSERT INTO attention SELECT 'alvsund', person, 'accounts', 'ldap', 0, 'parked', 'x', NULL, NULL, 1, 1,"
            " now(), now(), NULL FROM person"
        )
        conn.execute(
            "INSERT INTO evaluated SELECT 'alvsund', person, 'accounts', 'ldap', 1, n, 1, now(), now(), false, NULL,"
            " NULL FROM person, generate_series(1, 5) n"
        )
        conn.execute(
            "INSERT INTO audit SELECT 'alvsund', gen_random_uuid(), 'it-' || n % 500, 'read-' || n % 300, person,"
            " NULL, now() - n * interval '1 minute', '{}', ARRAY[person] FROM (SELECT person, row_number() OVER () AS n"
            " FROM person) p"
        )
        conn.commit()
        conn.autocommit = True
        conn.execute("VACUUM ANALYZE")
    return "alvsund"


QUERIES = {
    "search": (
        "SELECT 1 FROM person p WHERE p.organisation = 'alvsund' AND p.search @@ '''alvsund/w7777'':*'::tsquery",
        "person_search",
    ),
    "list people": (
        "SELECT 1 FROM person p WHERE p.organisation = 'alvsund' AND (p.sort_name, p.person) >"
        " ('x 5', '00000000-0000-0000-0000-000000000000') ORDER BY p.sort_name, p.person LIMIT 51",
        "person_listed",
    ),
    "list cases": (
        'SELECT 1 FROM "case" c WHERE {all} ORDER BY c.accepted_at DESC, c.case_id DESC LIMIT 51',
        "case_listed",
    ),
    "open cases": (
        'SELECT 1 FROM "case" c WHERE {running} ORDER BY c.accepted_at DESC, c.case_id DESC LIMIT 51',
        "case_open_listed",
    ),
    "cancelled cases": (
        'SELECT 1 FROM "case" c WHERE {cancelled} ORDER BY c.accepted_at DESC, c.case_id DESC LIMIT 51',
        "case_cancelled",
    ),
    "retried cases": (
        'SELECT 1 FROM "case" c WHERE {all} AND c.closed_at IS NULL AND NOT c.stuck AND c.retrying_since IS NOT NULL',
        "case_retrying",
    ),
    "cases that take effect now": (
        'SELECT 1 FROM "case" c WHERE {all} AND c.closed_at IS NULL AND NOT c.stuck AND c.retrying_since IS NULL'
        " AND NOT c.cancelled AND c.effective_at >= now() AND c.effective_at < now() + interval '1 minute'",
        "case_effective",
    ),
    "audit of an actor": (
        "SELECT 1 FROM audit WHERE organisation = 'alvsund' AND actor = 'it-7' ORDER BY recorded_at DESC, id DESC",
        "audit_actor",
    ),
    "audit of an action": (
        "SELECT 1 FROM audit WHERE organisation = 'alvsund' AND action = 'read-7' ORDER BY recorded_at DESC, id DESC",
        "audit_action",
    ),
    "cases of a person": (
        "SELECT 1 FROM \"case\" c WHERE c.organisation = 'alvsund' AND c.person = '{nobody}'",
        "case_person",
    ),
    "attention": (
        "SELECT 1 FROM attention a WHERE a.organisation = 'alvsund'"
        " ORDER BY a.since, a.person, a.service, a.target, a.ordinal LIMIT 51",
        "attention_listed",
    ),
    "evaluations to judge by": (
        "SELECT 1 FROM unnest(ARRAY['alvsund'], ARRAY['{nobody}'::uuid]) AS k (organisation, person)"
        " JOIN evaluated e ON e.organisation = k.organisation AND e.person = k.person",
        "evaluated_pkey",
    ),
}


async def test_every_hot_query_uses_its_index(database: Database, crowd: str) -> None:
    everything = cases.Filter(crowd, sight=OPEN)
    running = cases.Filter(crowd, sight=OPEN, state=CaseState.RUNNING)
    cancelled = cases.Filter(crowd, sight=OPEN, state=CaseState.CANCELLED)
    async with database.transaction() as conn:
        for name, (query, index) in QUERIES.items():
            text = (
                query.replace("{all}", everything.where(with_state=True))
                .replace("{running}", running.where(with_state=True))
                .replace("{cancelled}", cancelled.where(with_state=True))
                .replace("%(organisation)s", f"'{crowd}'")
                .replace("%(state)s", "'running'" if "{running}" in query else "'cancelled'")
                .replace("{nobody}", str(UUID(int=0)))
            )
            plan = "\n".join(row[0] for row in await (await conn.execute(f"EXPLAIN {text}".encode())).fetchall())
            assert index in plan, f"{name}:\n{plan}"


async def test_staff_is_found_by_its_units_and_what_is_theirs_by_the_staff(
    status_url: str, database: Database, crowd: str
) -> None:
    with psycopg.connect(status_url, autocommit=True) as conn:
        conn.execute("SET search_path = status")
        conn.execute(
            "INSERT INTO unit SELECT %s, 'u' || n, 1, 1, 'x', jsonb_build_object('parent', 'u' || n / 10, 'manager',"
            " '00000000-0000-4000-8000-' || lpad(n::text, 12, '0')) FROM generate_series(1, 10000) n",
            (crowd,),
        )
        conn.execute(
            "INSERT INTO placement SELECT organisation, person, 1, 'u' || row_number() OVER () % 1000,"
            " ('00000000-0000-4000-8000-' || lpad((row_number() OVER () % 1000)::text, 12, '0'))::uuid, 'infinity'"
            " FROM person"
        )
        conn.execute("VACUUM ANALYZE placement, unit")
    staff = Staff(UUID("00000000-0000-4000-8000-000000000077"), ZoneInfo("Europe/Stockholm"))
    async with database.transaction() as conn:
        values = {"organisation": crowd, **sights.rule(staff)}
        cursor = await conn.execute(f"EXPLAIN {sights.OWN_STAFF}".encode(), values)
        plan = "\n".join(row[0] for row in await cursor.fetchall())
        indexes = {"placement_unit", "placement_manager", "unit_manager", "unit_parent"}
        assert {one for one in indexes if one in plan} == indexes, plan
        found = await sights.looked_up(conn, crowd, staff)
        assert len(found.few or ()) == 11 * 20
        for table, index in (("person", "person_pkey"), ('"case"', "case_person")):
            wanted = sights.visible(Sight(protected=True, staff=found), "c")
            query = f"EXPLAIN SELECT 1 FROM {table} c WHERE c.organisation = %(organisation)s AND {wanted}"
            cursor = await conn.execute(query.encode(), {"organisation": crowd, "few": list(found.few or ())})
            plan = "\n".join(row[0] for row in await cursor.fetchall())
            assert index in plan, f"{table}:\n{plan}"
