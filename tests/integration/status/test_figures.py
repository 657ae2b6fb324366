"""What is kept counted is what counting finds, whatever the filter and whoever looks."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from contracts.codes import CaseKind, Reason
from deploy.demo.units import ALVSUND
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection, Database
from services.status.domain.sight import Sight, Staff
from services.status.store import audits, cases, overview, persons
from services.status.store.audits import Wanted
from services.status.store.cases import STATE, Filter
from tests.benchmarks import population
from tests.benchmarks.population import Size, person_id
from tests.integration.status.test_projection import TALLIES
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


async def one_by_one(conn: Connection, wanted: Filter) -> Counter[tuple[str, str]]:
    """Count cases by looking at each."""
    cursor = await conn.execute(
        f'SELECT c.kind, {STATE} FROM "case" c WHERE {wanted.where(with_state=False)}'.encode(), wanted.parameters()
    )
    return Counter([(row[0], row[1]) async for row in cursor])


async def by_tally(conn: Connection, wanted: Filter) -> Counter[tuple[str, str]]:
    return Counter({(one.kind.value, one.state.value): one.count for one in await cases.counts(conn, wanted)})


@pytest.mark.parametrize("sight", [Sight(False, None), Sight(True, None), Sight(False, STAFF)])
async def test_cases_are_counted_right_by_every_filter(database: Database, filled: str, sight: Sight) -> None:
    async with database.transaction() as conn:
        for values in FILTERS:
            wanted = Filter(filled, sight, **values)
            expected = await one_by_one(conn, wanted)
            assert expected, values
            assert await by_tally(conn, wanted) == expected, values


async def looked_at(conn: Connection, organisation: str, *, protected: bool) -> tuple[int, int]:
    """Count expected and settled by looking at every evaluation."""
    visible = "true" if protected else "p.protection = 'none'"
    cursor = await conn.execute(
        "SELECT (SELECT count(*) FROM person p JOIN kernel.evaluator v USING (organisation)"
        f" WHERE p.organisation = %(organisation)s AND {visible}), count(*)"
        " FROM evaluation a JOIN kernel.evaluator v USING (organisation, service, target)"
        f" JOIN person p USING (organisation, person) WHERE a.organisation = %(organisation)s AND {visible}"
        " AND NOT a.blocked AND (a.record_generation, a.revision) >= (p.generation, p.revision)"
        f" AND (a.blocked_from IS NULL OR a.blocked_from > {BUSINESS_NOW})"
        f" AND (a.next_due IS NULL OR a.next_due > {BUSINESS_NOW})".encode(),
        {"organisation": organisation},
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize("protected", [False, True])
async def test_progress_is_what_looking_at_every_evaluation_finds(
    database: Database, filled: str, protected: bool
) -> None:
    async with database.transaction() as conn:
        expected, settled = await looked_at(conn, filled, protected=protected)
        found = await overview.progress(conn, filled, sight=Sight(protected, None))
    assert (found.expected, found.settled) == (expected, settled)
    assert 0 < found.settled < found.expected


CHANGES = (
    "INSERT INTO person SELECT 'alvsund', gen_random_uuid(), 1, 1, 'x', 'x', 'none', '{}', '{}', '', now()"
    " FROM generate_series(1, 12)",
    # whom evaluators know before HR's word has come
    "INSERT INTO person SELECT DISTINCT ON (person) organisation, person, 1, 2, 'x', 'x', 'none', '{}'::jsonb,"
    " '{}'::text[], ''::tsvector, now() FROM evaluation ON CONFLICT DO NOTHING",
    "UPDATE person SET revision = revision + 1 WHERE {some}",
    "UPDATE person SET generation = 2, revision = 1 WHERE {some}",
    "UPDATE person SET protection = (ARRAY['none', 'marked', 'protected'])[1 + {die} % 3] WHERE {some}",
    "UPDATE person SET search = '' WHERE {some}",
    "DELETE FROM person WHERE {few}",
    "INSERT INTO evaluation AS e SELECT 'alvsund', p.person, 'accounts', target, 1, 1, {die} % 4, '', now(), now(),"
    " {due}, {die} % 3 = 0, {due}, NULL, '[]', '[]', 1 + {die} % 2 FROM (SELECT person FROM person"
    " UNION ALL SELECT gen_random_uuid()) p, unnest(ARRAY['ldap', 'unregistered']) target WHERE {some}"
    " ON CONFLICT (organisation, person, service, target) DO UPDATE SET revision = excluded.revision,"
    " next_due = excluded.next_due, blocked = excluded.blocked, blocked_from = excluded.blocked_from,"
    " record_generation = excluded.record_generation",
    "UPDATE evaluation SET blocked = NOT blocked WHERE {some}",
    "UPDATE evaluation SET next_due = {due} WHERE {some}",
    "DELETE FROM evaluation WHERE {few}",
    "UPDATE kernel.clock SET clock_offset = {die} * interval '1 hour'",
)
"""What can happen to people and evaluations, each to some of them."""
CASE_CHANGES = (
    "INSERT INTO \"case\" SELECT 'alvsund', gen_random_uuid(), gen_random_uuid(),"
    " (ARRAY['joiner', 'mover'])[1 + {die} % 2], (ARRAY['hire', 'transfer'])[1 + {die} % 2], '{}', 1, 1, 1, {soon},"
    " now() - {die} * interval '7 hours', now(),"
    " false, {die} % 4 = 0, NULL, NULL, {die} % 5 = 0, {die} % 5 = 0,"
    " CASE WHEN {die} % 4 = 0 THEN now() - {die} * interval '4 minutes' END FROM generate_series(1, 20)",
    'UPDATE "case" SET closed_at = now() WHERE {few}',
    'UPDATE "case" SET closed_at = NULL, cancelled = NOT cancelled WHERE {few}',
    'UPDATE "case" SET effective_at = {soon} WHERE {some}',
    "UPDATE \"case\" SET accepted_at = accepted_at - interval '20 hours' WHERE {few}",
    'UPDATE "case" SET stuck = NOT stuck WHERE {few}',
    "UPDATE \"case\" SET retrying_since = CASE WHEN {some} THEN now() - {die} * interval '4 minutes' END WHERE {some}",
    'UPDATE "case" SET protected = NOT protected WHERE {few}',
    'DELETE FROM "case" WHERE {few}',
    "UPDATE kernel.clock SET clock_offset = {die} * interval '17 seconds'",
)
"""What can happen to cases."""
DICE = {
    "{some}": "random() < 0.4",
    "{few}": "random() < 0.1",
    "{soon}": "now() + (floor(random() * 12) - 4) * interval '17 seconds'",
    "{die}": "floor(random() * 12)::int",
    "{due}": "CASE WHEN random() < 0.6 THEN now() + (floor(random() * 8) - 4) * interval '3 hours' END",
}


async def history(conn: Connection, changes: Sequence[str], seed: int) -> AsyncIterator[str]:
    """Let things happen in an order that the seed draws, each as one statement; at the end all tallies are right."""
    chance = random.Random(seed)  # noqa: S311 - histories that can be repeated
    await conn.execute("SET search_path = status")
    await conn.execute("SELECT setseed(%s)", (seed / 10,))
    # what there are people and cases to happen to
    for change in (CHANGES[0], CHANGES[7], CASE_CHANGES[0], *chance.choices(changes, k=80)):
        for word, drawn in DICE.items():
            change = change.replace(word, drawn)
        await conn.execute(change.encode())
        yield change
    for tally, counted in TALLIES.items():
        differing = f"(({tally}) EXCEPT ({counted})) UNION ALL (({counted}) EXCEPT ({tally}))"
        assert await (await conn.execute(differing.encode())).fetchall() == [], tally
    await conn.rollback()


@pytest.mark.parametrize("seed", range(6))
async def test_progress_stays_exact_whatever_happens(database: Database, status_url: str, seed: int) -> None:
    seen = set()
    async with await psycopg.AsyncConnection.connect(status_url) as conn:
        async for change in history(conn, CHANGES, seed):
            for protected in (False, True):
                found = await overview.progress(conn, "alvsund", sight=Sight(protected, None))
                looked = await looked_at(conn, "alvsund", protected=protected)
                assert (found.expected, found.settled) == looked, change
                seen.add(looked)
    assert len(seen) > 20, "there were histories"


@pytest.mark.parametrize("seed", range(6))
async def test_counts_of_cases_stay_exact_whatever_happens(database: Database, status_url: str, seed: int) -> None:
    seen: set[tuple[object, ...]] = set()
    async with await psycopg.AsyncConnection.connect(status_url) as conn:
        async for change in history(conn, CASE_CHANGES, seed):
            for values in FILTERS:
                wanted = Filter("alvsund", Sight(len(seen) % 2 == 0, None), **values)
                looked = await one_by_one(conn, wanted)
                assert await by_tally(conn, wanted) == looked, (change, values)
                seen.add(tuple(sorted(looked.items())))
    assert len(seen) > 100, "there were histories"


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
