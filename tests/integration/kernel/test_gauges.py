"""Gauges on a real database: they say what is there, from indexes, and that the database is away."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from deploy.local.ports import free_ports
from services.kernel import gauges
from services.kernel.aside import Aside
from services.kernel.database import Database
from services.kernel.gauges import Gauges
from services.kernel.metrics.exposition import Exposition
from tests.support.kernel import background, database_url, eventually
from tests.support.servers import PostgresUnderTest

Values = dict[tuple[str, ...], float]


@pytest.fixture
async def database(admin_url: str) -> AsyncIterator[Database]:
    found = Database(database_url(admin_url, "accounts"), name="accounts-metrics", max_size=1)
    await found.open()
    yield found
    await found.close()


def gauges_of(database: Database) -> Gauges:
    return Gauges("accounts", database, targets=["openldap"], parts={"relay bulk": lambda: "waits", "x": lambda: None})


async def values(found: Gauges) -> dict[str, Values]:
    return {
        metric.name: {tuple(sample.labels.values()): sample.value for sample in metric.samples}
        for metric in await found.read()
    }


def work(admin: psycopg.Connection, subject: str, **columns: str) -> None:
    names, expressions = ", ".join(columns), ", ".join(columns.values())
    admin.execute(
        f"INSERT INTO accounts.work (organisation, kind, subject, target, {names})"
        f" VALUES ('alvsund', 'person', '{subject}', 'openldap', {expressions})".encode()
    )


async def test_an_idle_service_says_nought_of_everything_and_not_nothing(database: Database) -> None:
    found = await values(gauges_of(database))
    assert found["stafett_state_up"] == {(): 1.0}
    assert found["stafett_ready"] == {("relay bulk",): 0.0, ("x",): 1.0}
    assert found["stafett_outbox_messages"] == {("express",): 0.0, ("bulk",): 0.0}
    assert found["stafett_work_wanted"] == {("openldap", "express"): 0.0, ("openldap", "bulk"): 0.0}
    assert set(found["stafett_work_troubled"]) == {("openldap", state) for state in gauges.TROUBLED}
    assert set(found["stafett_work_overdue_removals"].values()) == {0.0}
    assert found["stafett_breaker_open"] == {("openldap",): 0.0}
    assert found["stafett_target_paused"] == {("openldap",): 0.0}
    assert found["stafett_guard_holds"] == {("openldap",): 0.0}
    assert found["stafett_replay_requests_open"] == {(): 0.0}
    assert found["stafett_work_next_due_seconds"] == {}


async def test_gauges_say_what_is_there(database: Database, admin: psycopg.Connection) -> None:
    work(admin, "wanted", lane="0", raised_at="now() - interval '90 seconds'")
    work(admin, "running-late", removal="true", raised_at="now() - interval '16 minutes'")
    work(admin, "parked", done="1", state="'parked'", problem_since="now() - interval '1 hour'")
    work(admin, "due", done="1", due_at="now() - interval '1 minute'")
    work(admin, "next", done="1", due_at="now() + interval '1 day'", removes_next="true")
    admin.execute(
        "INSERT INTO accounts.breaker (target, opened_at, paused_at) VALUES"
        " ('openldap', now() - interval '3 minutes', now())"
    )
    admin.execute(
        "INSERT INTO accounts.guard_hold (id, organisation, target, subject, action, source, revision, held_at, state)"
        " SELECT gen_random_uuid(), 'alvsund', 'openldap', s, 'disable', 'hr', 1, now() - interval '2 hours',"
        " CASE s WHEN 'c' THEN 'released' ELSE 'held' END FROM unnest(ARRAY['a', 'b', 'c']) s"
    )
    admin.execute(
        "INSERT INTO accounts.outbox (lane, message_id, type, routing_key, organisation, subject, body, created_at)"
        " VALUES (0, gen_random_uuid(), 't', 'express.x', 'alvsund', '', '', now() - interval '10 seconds')"
    )
    admin.execute(
        "INSERT INTO accounts.inbox_dead (id, queue, cause, headers, body) VALUES"
        " (gen_random_uuid(), 'accounts.bulk', 'x', '', '')"
    )
    admin.execute(
        "INSERT INTO kernel.replay_request (producer, consumer, requested_at) VALUES"
        " ('accounts', 'status', now() - interval '1 hour'), ('ingestion', 'status', now())"
    )
    admin.execute("INSERT INTO accounts.queue (name, times_created) VALUES ('accounts.bulk', 2)")
    found = await values(gauges_of(database))
    assert found["stafett_work_wanted"] == {("openldap", "express"): 1.0, ("openldap", "bulk"): 1.0}
    assert found["stafett_work_wanted_oldest_age_seconds"]["openldap", "express"] == pytest.approx(90, abs=10)
    assert found["stafett_work_overdue_removals"]["openldap", "wanted"] == 1.0
    assert found["stafett_work_troubled"]["openldap", "parked"] == 1.0
    assert found["stafett_work_troubled_oldest_age_seconds"]["openldap", "parked"] == pytest.approx(3600, abs=10)
    assert found["stafett_work_due"] == {("openldap",): 1.0}
    assert found["stafett_work_next_due_seconds"]["openldap",] == pytest.approx(86_400, abs=10)
    assert found["stafett_breaker_open"] == {("openldap",): 1.0}
    assert found["stafett_target_paused"] == {("openldap",): 1.0}
    assert found["stafett_breaker_open_age_seconds"]["openldap",] == pytest.approx(180, abs=10)
    assert found["stafett_guard_holds"] == {("openldap",): 2.0}
    assert found["stafett_guard_hold_oldest_age_seconds"]["openldap",] == pytest.approx(7200, abs=10)
    assert found["stafett_outbox_messages"] == {("express",): 1.0, ("bulk",): 0.0}
    assert found["stafett_outbox_oldest_age_seconds"]["express",] == pytest.approx(10, abs=10)
    assert found["stafett_dead_letters"] == {("accounts.bulk",): 1.0}
    assert found["stafett_replay_requests_open"] == {(): 1.0}
    assert found["stafett_replay_request_age_seconds"]["status",] == pytest.approx(3600, abs=10)
    assert found["stafett_queue_declarations"] == {("accounts.bulk",): 2.0}


async def test_scrapers_that_ask_often_do_not_reach_the_database(database: Database, admin: psycopg.Connection) -> None:
    found = gauges_of(database)
    assert (await values(found))["stafett_work_wanted"]["openldap", "bulk"] == 0.0
    work(admin, "new", lane="1")
    assert (await values(found))["stafett_work_wanted"]["openldap", "bulk"] == 0.0
    assert (await values(gauges_of(database)))["stafett_work_wanted"]["openldap", "bulk"] == 1.0


async def test_the_backlog_is_read_from_partial_indexes(database: Database, admin: psycopg.Connection) -> None:
    """100,000 people at rest and a handful who want something: the table itself is not read."""
    admin.execute(
        "INSERT INTO accounts.work (organisation, kind, subject, target, done, due_at)"
        " SELECT 'alvsund', 'person', 'p' || n, 'openldap', 1, now() + n * interval '1 hour'"
        " FROM generate_series(1, 100000) n"
    )
    for n in range(20):
        work(admin, f"wanted{n}", lane="1")
        work(admin, f"parked{n}", done="1", state="'parked'")
    admin.execute("ANALYZE accounts.work")
    admin.execute("SELECT pg_stat_reset()")
    await values(gauges_of(database))
    async with database.transaction() as conn:
        await conn.execute("SELECT pg_stat_force_next_flush()")

    async def counted() -> bool:
        found = admin.execute(
            "SELECT idx_scan > 3 FROM pg_stat_user_tables WHERE schemaname = 'accounts' AND relname = 'work'"
        ).fetchone()
        return found == (True,)

    await eventually(counted)
    scans = admin.execute(
        "SELECT seq_scan, idx_tup_fetch FROM pg_stat_user_tables WHERE schemaname = 'accounts' AND relname = 'work'"
    ).fetchone()
    assert scans is not None
    assert scans[0] == 0
    assert scans[1] < 1_000


async def test_a_database_that_is_away_is_told_and_the_port_still_answers(
    database: Database, postgres_server: PostgresUnderTest, admin_url: str
) -> None:
    found = gauges_of(database)
    postgres_server.kill9()
    try:
        told = await values(found)
        assert told["stafett_state_up"] == {(): 0.0}
        assert told["stafett_ready"] == {("relay bulk",): 0.0, ("x",): 1.0}
        assert "stafett_work_wanted" not in told
    finally:
        postgres_server.start()


async def test_a_port_that_is_taken_is_an_error_and_not_silence() -> None:
    (port,) = free_ports(1)
    async with background(Exposition("127.0.0.1", port, []).run()):
        await eventually(lambda: _answers(port))
        with pytest.raises(OSError, match="in use"):
            await Aside("second", Exposition("127.0.0.1", port, []).run).run()
    assert not await _answers(port)


async def _answers(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.readline()
    writer.close()
    return b" 200 " in answer
