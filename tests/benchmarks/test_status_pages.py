"""The status API and the portal over a large store: what somebody waits for, and how much is sent."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from statistics import median

import httpx2
import psycopg
import pytest

from deploy.local.installation import PORTAL
from tests.benchmarks import dry_run, figures, load, population
from tests.benchmarks.lives import PASSES, TARGET, Said, Someone, move, passed, people, put, seen
from tests.benchmarks.load import Load
from tests.benchmarks.pages import View, sign_in, views, weights
from tests.benchmarks.site import Site, process, site, until

ROUNDS = 3
REQUESTS = 100
RATE = 20.0
FIRST_PAGE = 100_000


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    def before(place: Site) -> None:
        population.fill(place.installation.postgres.url)
        for name in ("recording", "floor"):
            place.copy("stafett", name)

    with site(portal=True, before=before) as place:
        with place.house.admin() as conn:
            conn.execute("UPDATE kernel.clock SET clock_offset = '0'")
            # accounts has just registered itself; it has answered since the beginning
            conn.execute("UPDATE kernel.evaluator SET since = now() - interval '10 years'")
        yield place


def _headers(place: Site, cookie: str, view: View) -> dict[str, str]:
    if view.service == PORTAL:
        return {"Cookie": cookie, "Accept-Encoding": "gzip", "Accept-Language": "sv"}
    # a reader as most are: without the right to see protected identities
    scopes = "persons:read cases:read audit:read"
    return {"Authorization": f"Bearer {place.house.token(scopes=scopes)}"}


def measure(place: Site, view: View, cookie: str, folder: Path) -> list[float]:
    """Return p95 of each round, in milliseconds, at 20 arrivals a second."""
    lines = folder / "paths"
    found = []
    for round_ in range(ROUNDS):
        first = round_ * REQUESTS
        lines.write_text("\n".join(view.paths[n % len(view.paths)] for n in range(first, first + REQUESTS)))
        spec = Load(
            port=place.installation.ports.http[view.service],
            method="GET",
            headers=_headers(place, cookie, view),
            lines=lines,
            connections=4,
            rate=RATE,
        )
        run = load.send(spec)
        assert run.statuses.keys() <= {200, 303}, (view.name, run.statuses)
        found.append(run.percentile(0.95))
    return found


def _pages(place: Site, chapter: str, names: Sequence[str] | None = None) -> str:
    """Measure what people look at, or what is named of it; return the cookie of who looked."""
    cookie = sign_in(place.installation, "operations")
    shown = [one for one in views(place.installation.postgres.url) if names is None or one.name in names]
    for service, whose in (("status", "the status API"), (PORTAL, "the portal, signed in")):
        with figures.chapter(f"{chapter}; {whose}: p95 of {REQUESTS} arrivals at {RATE:.0f}/s, {ROUNDS} rounds"):
            for view in (one for one in shown if one.service == service):
                rounds = measure(place, view, cookie, place.folder)
                said = f"p95 {median(rounds):.0f} ms  [{' '.join(f'{one:.0f}' for one in rounds)}]"
                figures.measured(view.name, said, f"{view.target} ms")
    return cookie


@pytest.mark.timeout(1800)
def test_pages_over_a_large_store(place: Site) -> None:
    cookie = _pages(place, "6. a store as it stands after years")
    sizes = weights(place.installation, cookie)
    figures.measured(
        f"first page, {len(sizes)} requests, compressed", f"{sum(sizes.values()):,} bytes", f"{FIRST_PAGE:,}"
    )


EVENTS = 1_000
"""Moves in each round: four messages each."""
PASSES_PER_SECOND = 50.0
SECONDS = 30
EVERY = 10


def _moves(somebody: Sequence[Someone]) -> list[Said]:
    return [said for someone in somebody for said in move(someone)]


def _taken_in(url: str) -> int:
    with psycopg.connect(url) as conn:
        row = conn.execute("SELECT count(*) FROM status.inbox").fetchone()
    assert row is not None
    return int(row[0])


def _published(url: str) -> bool:
    with psycopg.connect(url) as conn:
        row = conn.execute(
            "SELECT (SELECT count(*) FROM ingestion.outbox WHERE published_at IS NULL)"
            " + (SELECT count(*) FROM accounts.outbox WHERE published_at IS NULL)"
        ).fetchone()
    return row == (0,)


def _round(
    url: str,
    messages: Sequence[Said],
    pause: Callable[[], None],
    resume: Callable[[], None],
    relays: AbstractContextManager[None],
) -> float:
    """Let messages gather in the queue; return how many a second are projected from then on."""
    before = _taken_in(url)
    pause()
    with relays, psycopg.connect(url, autocommit=True) as conn:
        put(conn, messages)
        until(lambda: _published(url), seconds=60)
    since = time.perf_counter()
    resume()
    return len(messages) / (until(lambda: _taken_in(url) >= before + len(messages), seconds=300) - since)


@contextmanager
def _floor_relays(place: Site) -> Iterator[None]:
    with ExitStack() as running:
        for service in ("ingestion", "accounts"):
            arguments = (service, place.database_of(service, "floor"), place.floor_broker(service))
            running.enter_context(process("floor_relay", *arguments))
        yield


@contextmanager
def _floor_consumer(place: Site, script: Path) -> Iterator[subprocess.Popen[bytes]]:
    arguments = ("status", place.database_of("status", "floor"), place.floor_broker("status"), str(script))
    with process("floor_intake", *arguments) as running:
        time.sleep(4)  # its queues stand
        yield running


def _record(place: Site, name: str, messages: Sequence[Said]) -> Path:
    url = place.database_of("status", "recording")
    done = asyncio.run(dry_run.take_in("status", url, [one.delivery() for one in messages]))
    return done.save(place.folder / f"{name}.script")


@pytest.mark.timeout(1800)
def test_what_is_done_is_projected_and_seen(place: Site) -> None:
    ours_url, floor_url = place.installation.postgres.url, place.admin_url("floor")
    everybody = people(ours_url)
    rounds = [_moves(everybody[n * EVENTS : (n + 1) * EVENTS]) for n in range(ROUNDS + 1)]
    others = everybody[(ROUNDS + 1) * EVENTS :]
    passes = [list(passed(one, PASSES + 1)) for one in others[: int(PASSES_PER_SECOND * SECONDS)]]
    moves_script = _record(place, "moves", [said for one in rounds for said in one])
    passes_script = _record(place, "passes", [said for one in passes for said in one])
    status = place.installation.services["status"]
    with figures.chapter("7. projected into that store, from a queue that is full"):
        ours, floor = [], []
        with _floor_consumer(place, moves_script) as running:
            for number, messages in enumerate(rounds):
                mine = _round(ours_url, messages, status.pause, status.resume, nullcontext())
                pause, resume = (partial(running.send_signal, one) for one in (signal.SIGSTOP, signal.SIGCONT))
                bare = _round(floor_url, messages, pause, resume, _floor_relays(place))
                if number:
                    ours.append(mine)
                    floor.append(bare)
        figures.compare(f"{len(rounds[0]):,} messages of moves", "messages/s", ours, floor, target=0.6)
    with figures.chapter(f"8. step committed by accounts -> seen, at {2 * PASSES_PER_SECOND:.0f} messages/s"):
        shown = asyncio.run(_in_the_api(place, passes))
        with _floor_consumer(place, passes_script), _floor_relays(place):
            bare_shown = asyncio.run(_in_the_inbox(place, passes))
        for name, found, target in (
            ("in the API", shown, "p99 < 1,000 ms"),
            ("floor: in the table, bare relay and consumer", bare_shown, "none"),
        ):
            p99 = found[min(len(found) - 1, int(0.99 * len(found)))]
            figures.measured(
                f"{name}, {len(found)} looked for", f"p50 {median(found):.0f} ms, p99 {p99:.0f} ms", target
            )


async def _in_the_api(place: Site, passes: Sequence[Sequence[Said]]) -> list[float]:
    base = place.installation.services["status"].url
    headers = {"Authorization": f"Bearer {place.house.token(scopes='persons:read')}"}
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=30) as client:

        async def visible(step: Said) -> bool:
            answer = await client.get(f"/v1/persons/{step.event.subject}/timeline", params={"limit": 1})
            (item,) = answer.json()["items"]
            return bool(item["key"] == f"accounts/{TARGET}/1.{PASSES + 1}")

        return await seen(place.installation.postgres.url, passes, PASSES_PER_SECOND, EVERY, visible)


async def _in_the_inbox(place: Site, passes: Sequence[Sequence[Said]]) -> list[float]:
    async with await psycopg.AsyncConnection.connect(place.admin_url("floor"), autocommit=True) as conn:

        async def visible(step: Said) -> bool:
            cursor = await conn.execute("SELECT FROM status.inbox WHERE message_id = %s", (step.event.id,))
            return await cursor.fetchone() is not None

        return await seen(place.admin_url("floor"), passes, PASSES_PER_SECOND, EVERY, visible)


CHANGED = ("person", "people", "search", "cases", "attention", "summary", "start page", "cases, state=running")
"""What is looked at while everybody changes."""


@pytest.mark.timeout(1800)
def test_pages_while_everybody_changes(place: Site) -> None:
    population.change_everybody(place.installation.postgres.url)
    _pages(place, "9. everybody has changed, most are not evaluated yet", CHANGED)
