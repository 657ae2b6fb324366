"""Hires: from raised work to a verified entry, beside bare ldap3 and psycopg; one when idle; a pass with no change."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

import pytest

from deploy.local.settings import ROOT
from tests.benchmarks import dry_run, figures
from tests.benchmarks.recording import Script
from tests.benchmarks.site import Site, site, until

ROUNDS = 2
HIRES = 2_400
WARM_UP = 200
SAMPLES = 30


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    with site() as place:
        place.house.post(place.units)
        place.house.settled()
        yield place


def _wanted(place: Site) -> int:
    with place.house.admin() as conn:
        row = conn.execute(
            "SELECT count(*) FROM accounts.work WHERE wanted > done OR lease_until IS NOT NULL"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _hold(place: Site, until_when: str) -> None:
    with place.house.admin() as conn:
        conn.execute(
            "INSERT INTO accounts.breaker (target, resume_at) VALUES ('openldap', %s)"
            " ON CONFLICT (target) DO UPDATE SET resume_at = excluded.resume_at",
            (until_when,),
        )


def _ours(place: Site, count: int) -> float:
    """Let work gather behind the breaker; return how long it takes from then on."""
    _hold(place, "infinity")
    events = place.hires(count)
    for at in range(0, count, 500):
        place.house.post(events[at : at + 500])
    until(lambda: _wanted(place) == count, seconds=60)
    place.installation.services["status"].pause()  # it reads what accounts says; the floor has no reader either
    try:
        _hold(place, "-infinity")
        since = time.perf_counter()
        return until(lambda: _wanted(place) == 0, seconds=300) - since
    finally:
        place.installation.services["status"].resume()


def _floor(place: Site, passes: str, count: int) -> float:
    slapd = place.installation.slapd
    argv = [
        sys.executable, "-m", "tests.benchmarks.floor_directory", passes, place.database_of("accounts", "floor"),
        place.floor_broker("accounts"), slapd.url, slapd.service_dn, slapd.config.service_password, str(count),
    ]  # fmt: skip
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return float(done.stdout)


def _passes(place: Site, count: int) -> str:
    """Record hires in the second organisation's tree, and copy the database as it stood before."""
    admin = place.database("recording")
    hires = [*place.units, *place.hires(count)]
    asyncio.run(dry_run.accept(place.database_of("ingestion", "recording"), place.organisation, hires, 500))
    deliveries = dry_run.said(admin)
    url = place.database_of("accounts", "recording")
    asyncio.run(dry_run.take_in("accounts", url, sorted(deliveries, key=lambda one: "person" in one.routing_key)))
    place.copy("recording", "floor")
    base = place.house.organisations["bergby"].targets["openldap"]
    return str(
        asyncio.run(dry_run.work(url, place.installation.environment("accounts"), {"alvsund": base}, place.folder))
    )


@pytest.mark.timeout(1500)
def test_hires_are_verified_in_the_directory(place: Site) -> None:
    passes = _passes(place, WARM_UP + ROUNDS * HIRES)
    _queue_stands(place)
    with figures.chapter("3. hire -> verified entry (status paused, the relay of accounts runs)"):
        _ours(place, WARM_UP)
        _floor(place, passes, WARM_UP)
        ours, floor = [], []
        for _ in range(ROUNDS):
            ours.append(HIRES / _ours(place, HIRES))
            floor.append(HIRES / _floor(place, passes, HIRES))
        figures.compare(f"{HIRES} hires", "entries/s", ours, floor, target=0.6)
        number = WARM_UP + ROUNDS * HIRES
        for organisation in ("alvsund", "bergby"):
            base = place.house.organisations[organisation].targets["openldap"]
            found = place.house.ldapsearch(base, "(stafettPerson=*)", "uid")
            assert len(found) == number
    place.house.settled(seconds=300)
    with figures.chapter("   everybody verified anew"):
        _verified_anew(place, number)
    with figures.chapter("   one hire at a time"):
        _one_by_one(place)


def _verified_anew(place: Site, number: int) -> None:
    before, since = place.house.writes(), time.perf_counter()
    asked = ("reverify", "--all", "--yes", "--service", "accounts", "--reason", "figures", "--json")
    command = json.loads(place.house.stafett(*asked))["commands"][0]["id"]

    def over() -> bool:
        _, told = place.house.request("GET", "status", f"/v1/commands/{command}")
        return bool(told["carriedOutAt"]) and told["count"] >= number and "pending" not in told["progress"]

    seconds = until(over, seconds=600, every=2) - since
    writes = place.house.writes() - before
    figures.measured(f"writes of a pass over {number:,} in {seconds:.0f} s", str(writes), "0")
    assert writes == 0


def _queue_stands(place: Site) -> None:
    """Make the floor's queues of status stand, so that what is published has somewhere to go."""
    script = place.folder / "nothing.script"
    Script(1, []).save(script)
    argv = [sys.executable, "-m", "tests.benchmarks.floor_intake", "status", place.database_of("status", "floor"),
            place.floor_broker("status"), str(script)]  # fmt: skip
    running = subprocess.Popen(argv, cwd=ROOT)
    time.sleep(4)
    running.terminate()
    running.wait(20)


def _one_by_one(place: Site) -> None:
    connection = place.directory()
    base = place.organisation.targets["openldap"]
    seen = []
    for event in place.hires(SAMPLES):
        number = event["data"]["employments"][0]["employeeNumber"]

        def visible(number: str = number) -> bool:
            _, _, found, _ = connection.search(base, f"(employeeNumber={number})", attributes=["uid"])
            return bool(found)

        since = time.perf_counter()
        status, _ = place.house.request(
            "POST", "ingestion", "/v1/events", event, headers={"Content-Type": "application/cloudevents+json"}
        )
        assert status == 202
        seen.append(1000 * (until(visible, seconds=30, every=0.003) - since))
        time.sleep(0.5)
    connection.unbind()
    figures.measured(
        "POST to entry, idle", f"p50 {median(seen):.0f} ms, longest of {SAMPLES} {max(seen):.0f} ms", "p50 < 150 ms"
    )
