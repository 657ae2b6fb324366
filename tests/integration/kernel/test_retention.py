"""The purge: once a day, in portions, by one of many; what is not settled stays; it tells what it has done."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import psycopg
import pytest

from services.kernel.database import Connection, Database
from services.kernel.retention import classes
from services.kernel.retention.classes import DataClass, Portion
from services.kernel.retention.messages import classes as of_messages
from services.kernel.retention.purge import Purge
from services.kernel.runner import Service
from services.kernel.security import Principal
from tests.support.kernel import service_settings


@pytest.fixture
def purge(accounts_database: Database, admin_url: str) -> Purge:
    found = Purge("accounts", accounts_database, ["alvsund", "bergby"], lambda: None)
    found.add(
        *of_messages(service_settings("accounts", admin_url, 1, outbox_days=100, inbox_days=20, dead_letter_days=30))
    )
    return found


def letters(admin: psycopg.Connection, *ages: int) -> None:
    for age in ages:
        admin.execute(
            "WITH kept AS (INSERT INTO accounts.inbox_dead (id, queue, cause, headers, body, received_at) VALUES"
            " (gen_random_uuid(), 'accounts.bulk', 'x', '', '', now() - %s * interval '1 day') RETURNING id)"
            " INSERT INTO kernel.dead_letter (service, id) SELECT 'accounts', id FROM kept",
            (age,),
        )


def log(admin: psycopg.Connection) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Rows and days of every run by (class, organisation); the newest last, and whether it has ended."""
    found = admin.execute(
        "SELECT data_class, organisation, rows, days, finished_at IS NOT NULL FROM accounts.purge_log ORDER BY id"
    )
    return {(row[0], row[1]): row[2:] for row in found.fetchall()}


def told(admin: psycopg.Connection) -> list[tuple[Any, ...]]:
    return admin.execute(
        "SELECT organisation, body::jsonb -> 'data' -> 'parameters' ->> 'class',"
        " (body::jsonb -> 'data' -> 'parameters' ->> 'rows')::int FROM accounts.outbox"
        " WHERE body LIKE '%retention.purged%' ORDER BY 2, 1"
    ).fetchall()


async def test_two_replicas_purge_in_portions_once_a_day_and_tell_of_it(
    purge: Purge, accounts_database: Database, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kernel.retention.messages.AT_ONCE", 2)
    monkeypatch.setattr(classes, "AT_ONCE", 2)
    admin.execute(
        "INSERT INTO accounts.inbox (message_id, type, body_hash, received_at) SELECT gen_random_uuid(), 't', '',"
        " now() - n * interval '1 day' FROM generate_series(15, 25) n"
    )
    letters(admin, 10, 31, 32, 33)
    other = Purge("accounts", accounts_database, ["alvsund", "bergby"], lambda: None)
    other.add(*purge.classes)
    for _ in range(2):
        await asyncio.gather(purge.look(), other.look())
        await asyncio.gather(purge.look(), other.look())  # what the other was at is left to it
    kept = admin.execute(
        "SELECT (SELECT count(*) FROM accounts.inbox), (SELECT count(*) FROM accounts.inbox_dead),"
        " (SELECT count(*) FROM kernel.dead_letter), (SELECT count(*) FROM accounts.purge_log)"
    ).fetchone()
    assert kept == (5, 1, 1, len(purge.classes))
    assert log(admin)["inbox", ""] == (6, 20, True)
    assert log(admin)["dead_letters", ""] == (3, 30, True)
    assert told(admin) == [("alvsund", "dead_letters", 3), ("bergby", "dead_letters", 3)], "ids alone are nobody's"
    admin.execute("UPDATE accounts.purge_log SET began_at = now() - interval '25 hours'")
    letters(admin, 40)
    await purge.look()
    assert admin.execute("SELECT count(*) FROM accounts.inbox_dead").fetchone() == (1,)


async def test_a_run_that_is_cut_off_goes_on_where_it_was_and_holds_up_no_other(
    purge: Purge, admin: psycopg.Connection
) -> None:
    asked: list[str] = []
    broken = True

    async def forget(conn: Connection, organisation: str, days: int, after: str) -> Portion:
        asked.append(after)
        await conn.execute("INSERT INTO breaker (target) VALUES (%s)", (f"{organisation}{after}",))
        if broken and after == "2":
            raise ZeroDivisionError
        return Portion(10, {"": "1", "1": "2"}.get(after))

    async def oldest(conn: Connection, organisation: str) -> None:
        return None

    purge.classes.insert(0, DataClass("x", {"alvsund": 5}, forget, oldest))
    await purge.look()
    assert log(admin)["x", "alvsund"] == (20, 5, False)
    assert log(admin)["inbox", ""][2]
    assert admin.execute("SELECT count(*) FROM accounts.breaker").fetchone() == (2,), "the log counts what is gone"
    broken = False
    await purge.look()
    assert asked == ["", "1", "2", "2"]
    assert log(admin)["x", "alvsund"] == (30, 5, True)
    assert told(admin) == [("alvsund", "x", 30)]


async def test_a_month_of_the_outbox_goes_but_for_what_waits_to_be_published(
    purge: Purge, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kernel.retention.messages.AT_ONCE", 2)
    for month, following in (("2025_01", "2025_02"), ("2025_02", "2025_03"), ("2025_03", "2025_04")):
        first, until = (f"{name.replace('_', '-')}-01" for name in (month, following))
        admin.execute(
            f"CREATE TABLE accounts.outbox_{month} PARTITION OF accounts.outbox FOR VALUES FROM ('{first}') TO"
            f" ('{until}'); ALTER TABLE accounts.outbox_{month} OWNER TO accounts".encode()
        )
    admin.execute(
        "INSERT INTO accounts.outbox (lane, message_id, type, routing_key, organisation, subject, body, created_at,"
        " published_at) SELECT 1, gen_random_uuid(), 't', 'k', 'alvsund', '', '', at, CASE WHEN n <> 3 THEN at END"
        " FROM unnest(ARRAY['2024-01-05', '2025-01-05', '2025-02-05', '2025-03-05', '2026-01-01']::timestamptz[]) at,"
        " generate_series(1, 3) n WHERE n < 3 OR extract(month FROM at) = 2"
    )
    await purge.look()
    kept = admin.execute(
        "SELECT tableoid::regclass::text, count(*), bool_or(published_at IS NULL) FROM accounts.outbox"
        " WHERE routing_key = 'k' AND created_at < '2025-12-01' GROUP BY 1"
    ).fetchall()
    assert kept == [("accounts.outbox_2025_02", 1, True)]
    assert admin.execute("SELECT to_regclass('accounts.outbox_2025_01')").fetchone() == (None,)
    rows = log(admin)["outbox", ""][0]
    assert rows >= 8


async def test_a_lapsed_hold_goes_and_one_that_still_decides_stays(purge: Purge, admin: psycopg.Connection) -> None:
    admin.execute(
        "INSERT INTO accounts.guard_hold (id, organisation, target, subject, action, source, revision, state,"
        " decided_at) SELECT gen_random_uuid(), 'alvsund', 't', s, 'a', 'hr', 1, s, now() - interval '99 days'"
        " FROM unnest(ARRAY['lapsed', 'released', 'refused']) s"
    )
    await purge.look()
    kept = admin.execute("SELECT array_agg(state ORDER BY state) FROM accounts.guard_hold").fetchone()
    assert kept == (["refused", "released"],)


class Bearers:
    """Takes the header for the bearer: organisation, name and scopes."""

    async def principal(self, authorization: str | None) -> Principal:
        organisation, name, *scopes = (authorization or "").split()
        return Principal(name, organisation, frozenset(scopes))


@pytest.fixture
async def api(purge: Purge, admin_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    service = Service("accounts", service_settings("accounts", admin_url, 1))
    service.app.state.authenticator = Bearers()

    async def forget(conn: Connection, organisation: str, days: int, after: str) -> Portion:
        return Portion(7, None)

    async def oldest(conn: Connection, organisation: str) -> None:
        return None

    service.keeps(DataClass("x", {"alvsund": 5, "bergby": 6}, forget, oldest))
    await service.database.open()
    transport = httpx2.ASGITransport(app=service.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        client.purge = service._purge  # type: ignore[attr-defined]
        yield client
    await service.database.close()


async def test_the_policy_and_its_runs_are_told_and_a_stop_holds_until_it_is_lifted(
    api: httpx2.AsyncClient, admin: psycopg.Connection
) -> None:
    reader, boss = {"Authorization": "alvsund arkiv records:read"}, {"Authorization": "alvsund drift operations:write"}
    purge: Purge = api.purge  # type: ignore[attr-defined]
    assert (await api.get("/v1/retention", headers={"Authorization": "alvsund x cases:read"})).status_code == 403
    stopped = await api.post("/v1/retention/pause", headers=boss, json={"reason": "begäran från revisionen"})
    assert stopped.json() == {"service": "accounts", "paused": True}
    assert (await api.post("/v1/retention/pause", headers=boss, json={"reason": "r"})).status_code == 409
    await purge.look()
    found = (await api.get("/v1/retention", headers=reader)).json()
    assert (found["pausedBy"], found["pauseReason"]) == ("drift", "begäran från revisionen")
    assert {one["lastRun"] for one in found["classes"]} == {None}
    others = (await api.get("/v1/retention", headers={"Authorization": "bergby b audit:read"})).json()
    assert (others["pausedAt"], others["pausedBy"], others["pauseReason"]) == (found["pausedAt"], None, None)
    assert (await api.post("/v1/retention/resume", headers=boss, json={"reason": "klart"})).status_code == 200
    await purge.look()
    found = (await api.get("/v1/retention", headers=reader)).json()
    mine = {(one["class"], one["owner"]): one for one in found["classes"]}
    assert (mine["x", "organisation"]["days"], mine["x", "organisation"]["lastRows"]) == (5, 7)
    assert mine["x", "organisation"]["nextRun"] > mine["x", "organisation"]["lastRun"]
    assert mine["inbox", "installation"]["days"] == 30
    assert len(found["classes"]) == len(mine), "of other organisations nothing is told"
    said = admin.execute(
        "SELECT organisation, body::jsonb -> 'data' ->> 'action', body::jsonb -> 'data' ->> 'reason'"
        " FROM accounts.outbox WHERE body ~ 'retention.(paused|resumed)' ORDER BY seq"
    ).fetchall()
    assert said[:2] == [
        ("alvsund", "retention.paused", "begäran från revisionen"),
        ("bergby", "retention.paused", None),
    ]


async def test_gauges_say_how_long_ago_each_class_was_purged(
    purge: Purge, accounts_database: Database, admin: psycopg.Connection
) -> None:
    admin.execute(
        "INSERT INTO accounts.purge_log (data_class, organisation, days, began_at, finished_at, oldest) VALUES"
        " ('inbox', '', 20, now() - interval '3 days', now() - interval '3 days', now() - interval '20 days'),"
        " ('outbox', '', 20, now() - interval '2 days', NULL, NULL),"
        " ('gone', '', 1, now() - interval '1 year', NULL, NULL)"
    )
    async with accounts_database.transaction() as conn:
        since, oldest = await purge.measure(conn)
    values = {sample.labels["data_class"]: round(sample.value / 86_400) for sample in since.samples}
    assert values == {"inbox": 3, "outbox": 2}
    assert {sample.labels["data_class"]: round(sample.value / 86_400) for sample in oldest.samples} == {"inbox": 20}
