"""Accepting: single POSTs and batches, beside bare uvicorn and psycopg that commit the same rows."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import pytest

from contracts.envelope import BATCH_CONTENT_TYPE, CONTENT_TYPE
from tests.benchmarks import dry_run, figures, load
from tests.benchmarks.load import Load, Run
from tests.benchmarks.site import Site, free_port, process, site

ROUNDS = 3
SINGLES = 2_500
BATCHES = 4_000
BATCH = 500
CONNECTIONS = 24
TAIL_SECONDS = 6
TAIL_MOST = 2_000
"""No floor takes more in a second; so many rows are recorded for its tail."""
TOGETHER = 8
"""About how many of so many connections' events share a transaction."""


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    with site(services=("ingestion",)) as place:
        place.house.post(place.units)
        yield place


def _scripts(place: Site, singles: int, batches: int) -> tuple[Path, Path]:
    place.database("recording")
    found = []
    for name, count, together in (("singles", singles, TOGETHER), ("batches", batches, BATCH)):
        url = place.database_of("ingestion", "recording")
        recorded = asyncio.run(dry_run.accept(url, place.organisation, place.people(count), together))
        found.append(recorded.save(place.folder / f"{name}.script"))
    return found[0], found[1]


def _post(place: Site, port: int, bodies: Path, *, batch: bool = False, **fields: Any) -> Run:
    kind = BATCH_CONTENT_TYPE if batch else CONTENT_TYPE
    headers = {"Authorization": f"Bearer {place.house.token()}", "Content-Type": kind}
    run = load.send(Load(port=port, headers=headers, lines=bodies, **fields))
    assert set(run.statuses) == {200 if batch else 202}, run.statuses
    return run


def _facts(url: str) -> int:
    with psycopg.connect(url) as conn:
        row = conn.execute("SELECT count(*) FROM ingestion.fact").fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.timeout(900)
def test_accept(place: Site) -> None:
    ours, floor, alone = place.installation.ports.http["ingestion"], free_port(), free_port()
    tail = int(TAIL_MOST * 0.7 * TAIL_SECONDS) * ROUNDS
    singles, batches = _scripts(place, SINGLES * (ROUNDS + 1) + tail, BATCHES * (ROUNDS + 1))
    floor_url, alone_url = place.database("floor"), place.database("alone")
    rates: dict[str, list[float]] = {}

    def note(name: str, run: Run, events: int) -> None:
        rates.setdefault(name, []).append(events / run.seconds)

    with (
        figures.chapter("1. accept"),
        process(
            "floor_accept", str(floor), place.database_of("ingestion", "floor"), str(singles), str(batches), port=floor
        ),
        process(
            "floor_accept", str(alone), place.database_of("ingestion", "alone"), str(singles), str(batches), "alone",
            port=alone,
        ),
    ):  # fmt: skip
        before = _facts(place.installation.postgres.url)
        for round_ in range(ROUNDS + 1):
            one_by_one = place.bodies("singles", place.people(SINGLES))
            several = place.bodies("batches", place.people(BATCHES), batch=BATCH)
            for name, port in (("ours", ours), ("floor", floor), ("alone", alone)):
                run = _post(place, port, one_by_one, connections=CONNECTIONS)
                if round_:  # the first round warms up
                    note(name, run, SINGLES)
            for name, port in (("ours", ours), ("floor", floor)):
                run = _post(place, port, several, batch=True, connections=2)
                if round_:
                    note(f"{name} batch", run, BATCHES)
        assert _facts(place.installation.postgres.url) - before == (SINGLES + BATCHES) * (ROUNDS + 1)
        assert _facts(floor_url) == (SINGLES + BATCHES) * (ROUNDS + 1)
        assert _facts(alone_url) == SINGLES * (ROUNDS + 1)
        figures.compare(
            f"single POSTs, {CONNECTIONS} connections; floor commits together",
            "events/s", rates["ours"], rates["floor"], target=0.6,
        )  # fmt: skip
        figures.compare("the same; floor commits each", "events/s", rates["ours"], rates["alone"], target=0.6)
        figures.compare(
            f"batches of {BATCH}, 2 connections", "events/s", rates["ours batch"], rates["floor batch"], target=0.6
        )
        _one_client(place, ours, median(rates["ours batch"]), median(rates["ours"]))
        _tail(place, "ours", ours, median(rates["ours"]), "50 ms")
        _tail(place, "floor that commits together", floor, min(TAIL_MOST, median(rates["floor"])), "none")


def _one_client(place: Site, port: int, batch_rate: float, single_rate: float) -> None:
    """Print how much faster batches are: for an HR system with one connection, and for the door at its busiest."""
    alone, several = [], []
    for _ in range(ROUNDS):
        alone.append(600 / _post(place, port, place.bodies("one", place.people(600)), connections=1).seconds)
        bodies = place.bodies("one-batch", place.people(2_000), batch=BATCH)
        several.append(2_000 / _post(place, port, bodies, batch=True, connections=1).seconds)
    one, many = median(alone), median(several)
    figures.measured(
        f"batches of {BATCH} beside single POSTs, one connection",
        f"{many:,.0f} events/s beside {one:,.0f}: {many / one:.1f} times",
        "5 times",
    )
    figures.measured(
        f"the same at the busiest ({CONNECTIONS} connections, 2 with batches)",
        f"{batch_rate:,.0f} events/s beside {single_rate:,.0f}: {batch_rate / single_rate:.1f} times",
        "5 times",
    )


def _tail(place: Site, whose: str, port: int, most: float, target: str) -> None:
    """Print how long an answer takes at 70 % of the highest rate, arrivals at random."""
    runs = []
    for _ in range(ROUNDS):
        bodies = place.bodies("tail", place.people(int(most * 0.7 * TAIL_SECONDS)))
        runs.append(_post(place, port, bodies, connections=CONNECTIONS, rate=most * 0.7))
    tails = sorted(run.percentile(0.99) for run in runs)
    middle = sorted(run.percentile(0.5) for run in runs)
    figures.measured(
        f"p99 at 70 % load, {whose} ({most * 0.7:,.0f} arrivals/s)",
        f"{tails[ROUNDS // 2]:.0f} ms, p50 {middle[ROUNDS // 2]:.1f} ms  [{' '.join(f'{tail:.0f}' for tail in tails)}]",
        target,
    )
