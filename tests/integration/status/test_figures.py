"""What is kept counted is what counting finds, whatever the filter and whoever looks."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from contracts.codes import CaseKind, Reason
from deploy.demo.units import ALVSUND
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Database
from services.status.domain.sight import Sight, Staff
from services.status.store import audits, cases, overview, persons
from services.status.store.audits import Wanted
from services.status.store.cases import STATE, Filter
from tests.benchmarks import population
from tests.benchmarks.population import Size, person_id
from tests.integration.status.world import OPEN, uid

FILTERS: list[dict[str, Any]] = [
    {},
    {"kind": CaseKind.MOVER},
    {"reason": Reason.TRANSFER},
    {"kind": CaseKind.JOINER, "reason": Reason.HIRE},
    {"since": datetime.now(UTC) - timedelta(days=50, hours=7)},  # noqa: TID251 - some instant in the middle of a day
    {"since": datetime(2020, 1, 1, tzinfo=UTC)},
    {"since": datetime.now(UTC) - timedelta(days=3), "kind": CaseKind.MOVER},  # noqa: TID251 - as above
]


@pytest.fixture
def filled(status_url: str, database: Database) -> str:
    """A few hundred people of two organisations with all that can happen to them, and some who are behind."""
    population.fill(status_url, Size(people=300, audited=1_000))
    with psycopg.connect(status_url) as conn:
        conn.execute("SET search_path = status")
        conn.execute("UPDATE person SET revision = revision + 1 WHERE person < '10000000-0000-0000-0000-000000000000'")
        conn.execute("UPDATE person SET protection = 'marked' WHERE person > 'c0000000-0000-0000-0000-000000000000'")
        conn.execute(
            "UPDATE \"case\" c SET protected = p.protection <> 'none' FROM person p WHERE p.person = c.person"
            " AND p.organisation = c.organisation"
        )
        conn.execute(
            "UPDATE evaluation SET next_due = now() - interval '1 hour' WHERE service = 'phones'"
            " AND person > 'e0000000-0000-0000-0000-000000000000'"
        )
        conn.execute(
            "INSERT INTO evaluation SELECT organisation, %s, service, target, generation, version, revision,"
            " policy_hash, as_of, recorded_at, next_due, blocked, blocked_from, trouble, steps, why, record_generation"
            " FROM evaluation WHERE organisation = 'alvsund' LIMIT 1",
            (uid("not known yet"),),
        )
    return "alvsund"


STAFF = Staff(person_id(ALVSUND, ALVSUND.by_id["so"].number), ZoneInfo("Europe/Stockholm"))
"""The social services', a third of all."""


@pytest.mark.parametrize("sight", [Sight(False, None), Sight(True, None), Sight(False, STAFF)])
async def test_cases_are_counted_right_by_every_filter(database: Database, filled: str, sight: Sight) -> None:
    async with database.transaction() as conn:
        for values in FILTERS:
            wanted = Filter(filled, sight, **values)
            cursor = await conn.execute(
                f'SELECT c.kind, {STATE} FROM "case" c WHERE {wanted.where(with_state=False)}'.encode(),
                wanted.parameters(),
            )
            expected = Counter([(row[0], row[1]) async for row in cursor])
            assert expected, values
            found = await cases.counts(conn, wanted)
            assert {(one.kind.value, one.state.value): one.count for one in found} == expected, values


@pytest.mark.parametrize("protected", [False, True])
async def test_progress_is_what_looking_at_every_evaluation_finds(
    database: Database, filled: str, protected: bool
) -> None:
    visible = "true" if protected else "p.protection = 'none'"
    async with database.transaction() as conn:
        cursor = await conn.execute(
            f"SELECT count(*) FROM evaluation a JOIN kernel.evaluator v USING (organisation, service, target)"
            f" JOIN person p USING (organisation, person) WHERE a.organisation = %s AND {visible} AND NOT a.blocked"
            f" AND (a.record_generation, a.revision) >= (p.generation, p.revision)"
            f" AND (a.blocked_from IS NULL OR a.blocked_from > {BUSINESS_NOW})"
            f" AND (a.next_due IS NULL OR a.next_due > {BUSINESS_NOW})".encode(),
            (filled,),
        )
        settled = await cursor.fetchone()
        cursor = await conn.execute(
            f"SELECT count(*) FROM person p, kernel.evaluator v WHERE p.organisation = %s AND {visible}"
            " AND v.organisation = p.organisation".encode(),
            (filled,),
        )
        expected = await cursor.fetchone()
        found = await overview.progress(conn, filled, sight=Sight(protected, None))
    assert ((found.settled,), (found.expected,)) == (settled, expected)
    assert 0 < found.settled < found.expected


async def test_the_audit_of_a_person_has_lists_and_looks_in_order(database: Database, filled: str) -> None:
    async with database.transaction() as conn:
        cursor = await conn.execute("SELECT persons FROM audit WHERE organisation = %s AND persons <> '{}'", (filled,))
        shown = [row[0] async for row in cursor]
        person = random.Random(1).choice(shown)[0]  # noqa: S311 - a seeded choice
        cursor = await conn.execute(
            "SELECT id FROM audit WHERE organisation = %s AND (subject = %s OR %s = ANY(persons))"
            " ORDER BY recorded_at DESC, id DESC",
            (filled, str(person), person),
        )
        expected = [row[0] async for row in cursor]
        wanted = Wanted(filled, person, None, None)
        first = await audits.listed(conn, wanted, None, 1)
        rest = await audits.listed(conn, wanted, (first[0].recorded_at, first[0].id), 100)
    assert [one.id for one in (*first, *rest)] == expected
    assert len(expected) > 1


async def test_a_search_goes_on_after_a_page(database: Database, filled: str) -> None:
    query = "'alvsund/a':*"
    async with database.transaction() as conn:
        everybody = await persons.search(conn, filled, query, None, 1_000, sight=OPEN)
        first = await persons.search(conn, filled, query, None, 10, sight=OPEN)
        after = (first[-1].sort_name, first[-1].item.id)
        rest = await persons.search(conn, filled, query, after, 1_000, sight=OPEN)
    assert len(everybody) > 20
    assert [*first, *rest] == everybody
