"""The floor of hires: bare ldap3 in as many threads, bare psycopg, bare aio-pika; the same claims and calls.

`python -m tests.benchmarks.floor_directory PASSES DATABASE BROKER LDAP BIND_DN PASSWORD COUNT`
prints how many seconds so many hires took, from the first claim to the last completion.
"""

import asyncio
import pickle
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ldap3
import uvloop
from psycopg import AsyncConnection

from services.kernel import work
from services.kernel.database import Connection
from tests.benchmarks.dry_run import Pass
from tests.benchmarks.floor_relay import relay
from tests.benchmarks.lives import TARGET
from tests.benchmarks.recording import json_as_the_services, perform, script

THREADS = 8
SLOTS = 28
"""Of 32, four are kept for express."""

_local = threading.local()


def _connection(access: Sequence[str]) -> Any:
    found = getattr(_local, "connection", None)
    if found is None:
        url, dn, password = access
        server = ldap3.Server(url, get_info=ldap3.NONE)
        found = _local.connection = ldap3.Connection(server, dn, password, client_strategy=ldap3.SAFE_SYNC)
        assert found.bind()[0]
    return found


def _hire(access: Sequence[str], one: Pass) -> None:
    connection = _connection(access)
    base, condition, attributes = one.find
    _, _, found, _ = connection.search(base, condition, ldap3.SUBTREE, attributes=list(attributes))
    assert not found
    dn, classes, values = one.add
    encoded = {name: [value.encode() for value in given] for name, given in values.items() if given}
    assert connection.add(dn, list(classes), encoded)[0]
    base, condition, attributes = one.back
    _, _, found, _ = connection.search(base, condition, ldap3.BASE, attributes=list(attributes))
    assert found[0]["dn"] == dn


async def _claims(conn: Connection, free: int) -> list[str]:
    cursor = await conn.execute(work._CLAIM.encode(), {"target": TARGET, "limit": free, "lease": 3600, "generation": 1})
    return [row[2] for row in await cursor.fetchall()]


class Floor:
    """Claims, hires and completes, as the executor does."""

    def __init__(self, passes: dict[str, Pass], access: Sequence[str], count: int) -> None:
        self._passes = passes
        self._access = access
        self._count = count
        self._threads = ThreadPoolExecutor(THREADS)
        self._running: set[asyncio.Future[None]] = set()
        self._finished: asyncio.Queue[str] = asyncio.Queue()
        self._freed = asyncio.Event()

    async def run(self, url: str) -> None:
        """Hire so many."""
        completer = asyncio.create_task(self._complete(url))
        claimed = 0
        async with await AsyncConnection.connect(url) as conn:
            conn.prepare_threshold = 3
            while claimed < self._count:
                if free := min(SLOTS - len(self._running), self._count - claimed):
                    claimed += await self._claim(conn, free)
                await self._freed.wait()
                self._freed.clear()
        await completer

    async def _claim(self, conn: Connection, free: int) -> int:
        await conn.execute(
            "SELECT 1 FROM breaker WHERE target = %s AND (opened_at IS NOT NULL OR resume_at > now())", (TARGET,)
        )
        subjects = await _claims(conn, free)
        if subjects:
            loads = [self._passes[subject].loads for subject in subjects]
            await perform(conn, script(loads, len(subjects)).portion(0, len(subjects)))
        await conn.commit()
        for subject in subjects:
            task = asyncio.ensure_future(self._hire(subject))
            self._running.add(task)
            task.add_done_callback(self._ended)
        return len(subjects)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._running.discard(task)
        self._freed.set()

    async def _hire(self, subject: str) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, _hire, self._access, self._passes[subject])
        self._finished.put_nowait(subject)

    async def _complete(self, url: str) -> None:
        done = 0
        async with await AsyncConnection.connect(url) as conn:
            conn.prepare_threshold = 3
            while done < self._count:
                batch = [await self._finished.get()]
                while not self._finished.empty():
                    batch.append(self._finished.get_nowait())
                completes = [self._passes[subject].completes for subject in batch]
                await perform(conn, script(completes, len(batch)).portion(0, len(batch)))
                await conn.commit()
                done += len(batch)
                self._freed.set()


async def _main(passes: str, url: str, broker: str, access: Sequence[str], count: int) -> None:
    json_as_the_services()
    stop = asyncio.Event()
    publishing = asyncio.create_task(relay("accounts", url, broker, stop))
    await asyncio.sleep(0.5)
    recorded = await asyncio.to_thread(Path(passes).read_bytes)
    floor = Floor(pickle.loads(recorded), access, count)  # noqa: S301 - our own file
    since = time.perf_counter()
    await floor.run(url)
    print(time.perf_counter() - since)
    stop.set()
    await publishing


if __name__ == "__main__":
    found, database, broker, *rest = sys.argv[1:]
    uvloop.run(_main(found, database, broker, rest[:3], int(rest[3])))
