"""From the outbox to the tables of both consumers: relay and intake, beside bare aio-pika and psycopg."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import psycopg
import pytest

from deploy.demo.generator import Event
from tests.benchmarks import dry_run, figures
from tests.benchmarks.recording import Script
from tests.benchmarks.site import Site, process, site, until

ROUNDS = 3
EVENTS = 3_000
CONSUMERS = ("accounts", "status")


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    with site() as place:
        place.house.post(place.units)
        place.house.settled()
        yield place


def _scripts(place: Site) -> dict[str, Script]:
    admin = place.database("recording")
    people = place.people(EVENTS * (ROUNDS + 1))
    asyncio.run(dry_run.accept(place.database_of("ingestion", "recording"), place.organisation, people, 500))
    deliveries = dry_run.said(admin)
    return {
        service: asyncio.run(dry_run.take_in(service, place.database_of(service, "recording"), deliveries))
        for service in CONSUMERS
    }


def _stored(url: str) -> int:
    """Return how many events every consumer has stored."""
    with psycopg.connect(url, autocommit=True) as conn:
        rows = [conn.execute(f"SELECT count(*) FROM {name}.inbox".encode()).fetchone() for name in CONSUMERS]
    return min(int(row[0]) for row in rows if row)


def _ours(place: Site, events: list[Event]) -> float:
    """Accept events while another holds the relay's lease; return how long it takes from then on."""
    with place.house.admin() as conn:
        holder = uuid4()
        conn.execute("UPDATE ingestion.lease SET holder = %s, expires_at = 'infinity'", (holder,))
        time.sleep(4)  # it looks at its lease that often
        before = _stored(place.installation.postgres.url)
        for at in range(0, len(events), 500):
            place.house.post(events[at : at + 500])
        until(lambda: not _count(conn, "SELECT count(*) FROM ingestion.work WHERE wanted > done"), seconds=60)
        assert _count(conn, "SELECT count(*) FROM ingestion.outbox WHERE published_at IS NULL") == len(events)
        conn.execute("UPDATE ingestion.lease SET expires_at = now()")
        taken = until(lambda: not _count(conn, "SELECT count(*) FROM ingestion.lease WHERE holder = %s", holder),
                      seconds=10, every=0.002)  # fmt: skip
    done = until(lambda: _stored(place.installation.postgres.url) >= before + len(events), seconds=120)
    return done - taken


def _floor(url: str, recording: str, round_: int) -> float:
    """Put the same messages into the floor's outbox; return how long it takes from then on."""
    before = _stored(url)
    with psycopg.connect(recording) as source, psycopg.connect(url) as conn:
        rows = source.execute(
            "SELECT lane, message_id, type, routing_key, organisation, subject, traceparent, body FROM ingestion.outbox"
            " ORDER BY seq LIMIT %s OFFSET %s",
            (EVENTS, EVENTS * round_),
        ).fetchall()
        with conn.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO ingestion.outbox (lane, message_id, type, routing_key, organisation, subject, traceparent,"
                " body) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                rows,
            )
    since = time.perf_counter()
    return until(lambda: _stored(url) >= before + EVENTS, seconds=120) - since


def _count(conn: psycopg.Connection, query: str, *values: object) -> int:
    row = conn.execute(query.encode(), values).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.timeout(900)
def test_accepted_is_stored_by_all_consumers(place: Site) -> None:
    scripts = _scripts(place)
    url = place.database("floor")
    with place.house.admin() as conn:  # nothing is made in the directory meanwhile
        conn.execute("INSERT INTO accounts.breaker (target, resume_at) VALUES ('openldap', now() + interval '1 day')")
    ours, floor = [], []
    with figures.chapter("2. accepted -> stored by all consumers"), ExitStack() as running:
        for service, script in scripts.items():
            path = script.save(place.folder / f"{service}.script")
            arguments = (service, place.database_of(service, "floor"), place.floor_broker(service), str(path))
            running.enter_context(process("floor_intake", *arguments))
        time.sleep(3)
        relay = ("ingestion", place.database_of("ingestion", "floor"), place.floor_broker("ingestion"))
        running.enter_context(process("floor_relay", *relay))
        for round_ in range(ROUNDS + 1):
            seconds = _ours(place, place.people(EVENTS))
            bare = _floor(url, place.admin_url("recording"), round_)
            if round_:
                ours.append(EVENTS / seconds)
                floor.append(EVENTS / bare)
        figures.compare(f"{EVENTS} events, two consumers", "events/s", ours, floor, target=0.6)
