"""The load: a process of its own that posts bodies, or gets paths, from a file, over kept connections.

`python -m tests.benchmarks.load` reads a `Load` as JSON from standard input and writes a `Run` as JSON. Closed loop
(`rate` null): as many requests under way as there are connections. Open loop: arrivals at a rate (exponential gaps,
seeded), each timed from the moment at which it was due, so that a stall is not forgiven.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import uvloop
from pydantic import BaseModel

from deploy.local.settings import ROOT


class Load(BaseModel):
    """What to ask. `lines` is a file with the body of a POST to `/v1/events` in each line, or the path of a GET."""

    port: int
    method: Literal["POST", "GET"] = "POST"
    headers: dict[str, str]
    lines: Path
    connections: int
    rate: float | None = None


class Run(BaseModel):
    """What came of it: wall time, answers by status, and how long each took, in milliseconds."""

    seconds: float
    statuses: dict[int, int]
    milliseconds: list[float]

    def percentile(self, share: float) -> float:
        """Return the latency that `share` of the requests did not exceed."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def send(load: Load) -> Run:
    """Run the load in a process of its own."""
    argv = [sys.executable, "-m", "tests.benchmarks.load"]
    done = subprocess.run(argv, input=load.model_dump_json().encode(), stdout=subprocess.PIPE, cwd=ROOT, check=True)
    return Run.model_validate_json(done.stdout)


class _Connection:
    """One kept connection."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in load.headers.items()).encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._load.port, limit=1 << 24)

    async def ask(self, line: bytes) -> int:
        await self.open()
        assert self._streams is not None
        reader, writer = self._streams
        path, body = (b"/v1/events", line) if self._load.method == "POST" else (line, b"")
        writer.write(
            b"%b %b HTTP/1.1\r\nHost: bench\r\n%bContent-Length: %d\r\n\r\n"
            % (self._load.method.encode(), path, self._headers, len(body))
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        return int(head.split(b" ", 2)[1])


async def _closed(load: Load, lines: Iterator[bytes], run: Run) -> None:
    async def one() -> None:
        connection = _Connection(load)
        for line in lines:
            started = time.perf_counter()
            _note(run, await connection.ask(line), started)

    await asyncio.gather(*(one() for _ in range(load.connections)))


async def _open(load: Load, lines: Iterator[bytes], rate: float, run: Run) -> None:
    chance = random.Random(1)  # noqa: S311 - arrivals that can be repeated
    free = [_Connection(load) for _ in range(load.connections)]
    await asyncio.gather(*(connection.open() for connection in free))
    under_way: set[asyncio.Task[None]] = set()

    async def one(line: bytes, due: float) -> None:
        connection = free.pop() if free else _Connection(load)
        _note(run, await connection.ask(line), due)
        free.append(connection)

    due = time.perf_counter()
    for line in lines:
        due += chance.expovariate(rate)
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        under_way.add(asyncio.create_task(one(line, due)))
    await asyncio.gather(*under_way)


def _note(run: Run, status: int, since: float) -> None:
    run.milliseconds.append((time.perf_counter() - since) * 1000)
    run.statuses[status] = run.statuses.get(status, 0) + 1


async def _main(load: Load) -> Run:
    lines = iter(load.lines.read_bytes().splitlines())
    run = Run(seconds=0, statuses=dict(Counter()), milliseconds=[])
    started = time.perf_counter()
    if load.rate is None:
        await _closed(load, lines, run)
    else:
        await _open(load, lines, load.rate, run)
    run.seconds = time.perf_counter() - started
    return run


if __name__ == "__main__":
    sys.stdout.write(uvloop.run(_main(Load.model_validate_json(sys.stdin.read()))).model_dump_json())
