"""A 50,000-row import: how long a dismissal takes to close a door meanwhile, and how much memory each service needs."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import ldap3
import psycopg
import pytest

from contracts.envelope import BATCH_CONTENT_TYPE
from deploy.demo.generator import Event
from tests.benchmarks import figures, load
from tests.benchmarks.load import Load, Run
from tests.benchmarks.site import TODAY, Site, site, until
from tests.support import hr

ROWS = 50_000
BATCH = 500
IDLE = 8
SAMPLES = 36
PAUSE = 1.0
PASSWORD = "hemlig-1"
STORED = ("accounts", "status")


@dataclass(frozen=True)
class Victim:
    """Somebody who can log in, and will be dismissed."""

    id: str
    dn: str


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    with site() as place:
        place.house.post(place.units)
        place.house.settled()
        yield place


def _victims(place: Site, count: int) -> list[Victim]:
    events = place.hires(count)
    place.house.post(events)
    place.house.settled()
    entries = place.house.directory()
    found = []
    for event in events:
        entry = entries[event["data"]["employments"][0]["employeeNumber"]]
        place.house.set_password(entry.dn, PASSWORD)
        assert place.house.binds(entry.dn, PASSWORD)
        found.append(Victim(event["data"]["externalId"], entry.dn))
    return found


def _dismissed(place: Site, victim: Victim) -> float:
    """Dismiss somebody; return how many milliseconds later the directory refuses them."""
    event: Event = hr.change(
        victim.id, time=f"{TODAY}T08:59:00+01:00", validTo=TODAY, endReason="dismissal", employment_id="1"
    )
    server = ldap3.Server(place.installation.slapd.url, get_info=ldap3.NONE)

    def refused() -> bool:
        connection = ldap3.Connection(server, victim.dn, PASSWORD, client_strategy=ldap3.SAFE_SYNC)
        try:
            return not connection.bind()[0]
        finally:
            connection.unbind()

    since = time.perf_counter()
    status, _ = place.house.request(
        "POST", "ingestion", "/v1/events", event, headers={"Content-Type": "application/cloudevents+json"}
    )
    assert status == 202
    return 1000 * (until(refused, seconds=60, every=0.01) - since)


def _during(place: Site, victims: list[Victim], importing: Future[Run]) -> list[float]:
    """Dismiss people as long as the import is taken in and stored."""
    found = []
    for victim in victims:
        found.append(_dismissed(place, victim))
        time.sleep(PAUSE)
        if importing.done() and not _behind(place):
            break
    return found


def _behind(place: Site) -> int:
    """Return how many people the slower consumer has not stored yet."""
    with psycopg.connect(place.installation.postgres.url) as conn:
        rows = [conn.execute(f"SELECT count(*) FROM {name}.inbox".encode()).fetchone() for name in STORED]
    return max(0, ROWS - min(int(row[0]) for row in rows if row))


def _peak(place: Site, service: str) -> float:
    """Return the most memory that a service has had resident, in MB."""
    status = (Path("/proc") / str(place.installation.services[service].pid) / "status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@pytest.mark.timeout(1800)
def test_a_dismissal_is_not_delayed_by_an_import(place: Site) -> None:
    victims = _victims(place, IDLE + SAMPLES)
    bodies = place.bodies("import", place.people(ROWS), batch=BATCH)
    spec = Load(
        port=place.installation.ports.http["ingestion"],
        headers={"Authorization": f"Bearer {place.house.token()}", "Content-Type": BATCH_CONTENT_TYPE},
        lines=bodies,
        connections=1,
    )
    with figures.chapter(f"4. dismissal -> bind refused, during an import of {ROWS:,} people"):
        idle = [_dismissed(place, victim) for victim in victims[:IDLE]]
        with ThreadPoolExecutor(1) as threads:
            importing = threads.submit(load.send, spec)
            time.sleep(2)
            during = _during(place, victims[IDLE:], importing)
            run = importing.result()
        assert set(run.statuses) == {200}
        until(lambda: not _behind(place), seconds=600, every=0.5)
        ordered = sorted(during)
        tail = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
        figures.measured(
            f"{len(during)} dismissals",
            f"p50 {median(during):.0f} ms, p99 {tail:.0f} ms; idle p50 {median(idle):.0f} ms",
            "p99 < 2,000 ms",
        )
        figures.show(f"  the import itself: {ROWS / run.seconds:,.0f} people/s accepted")
    figures.show("\n5. memory during that import, at its highest")
    for service in place.installation.service_names:
        figures.measured(service, f"{_peak(place, service):.0f} MB", "300 MB")
