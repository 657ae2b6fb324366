"""The load: a process of its own that posts bodies from a file, over kept connections.

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

import uvloop
from pydantic import BaseModel

from deploy.local.settings import ROOT


class Load(BaseModel):
    """What to post. `bodies` is a file with one body a line."""

    port: int
    token: str
    content_type: str
    bodies: Path
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


def post(load: Load) -> Run:
    """Run the load in a process of its own."""
    argv = [sys.executable, "-m", "tests.benchmarks.load"]
    done = subprocess.run(argv, input=load.model_dump_json().encode(), stdout=subprocess.PIPE, cwd=ROOT, check=True)
    return Run.model_validate_json(done.stdout)


class _Line:
    """One kept connection."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._load.port, limit=1 << 24)

    async def ask(self, body: bytes) -> int:
        await self.open()
        assert self._streams is not None
        reader, writer = self._streams
        writer.write(
            b"POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %b\r\nContent-Type: %b\r\n"
            b"Content-Length: %d\r\n\r\n"
            % (self._load.token.encode(), self._load.content_type.encode(), len(body))
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        return int(head.split(b" ", 2)[1])


async def _closed(load: Load, bodies: Iterator[bytes], run: Run) -> None:
    async def one() -> None:
        line = _Line(load)
        for body in bodies:
            started = time.perf_counter()
            _note(run, await line.ask(body), started)

    await asyncio.gather(*(one() for _ in range(load.connections)))


async def _open(load: Load, bodies: Iterator[bytes], rate: float, run: Run) -> None:
    chance = random.Random(1)  # noqa: S311 - arrivals that can be repeated
    free = [_Line(load) for _ in range(load.connections)]
    await asyncio.gather(*(line.open() for line in free))
    under_way: set[asyncio.Task[None]] = set()

    async def one(body: bytes, due: float) -> None:
        line = free.pop() if free else _Line(load)
        _note(run, await line.ask(body), due)
        free.append(line)

    due = time.perf_counter()
    for body in bodies:
        due += chance.expovariate(rate)
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        under_way.add(asyncio.create_task(one(body, due)))
    await asyncio.gather(*under_way)


def _note(run: Run, status: int, since: float) -> None:
    run.milliseconds.append((time.perf_counter() - since) * 1000)
    run.statuses[status] = run.statuses.get(status, 0) + 1


async def _main(load: Load) -> Run:
    bodies = iter(load.bodies.read_bytes().splitlines())
    run = Run(seconds=0, statuses=dict(Counter()), milliseconds=[])
    started = time.perf_counter()
    if load.rate is None:
        await _closed(load, bodies, run)
    else:
        await _open(load, bodies, load.rate, run)
    run.seconds = time.perf_counter() - started
    return run


if __name__ == "__main__":
    sys.stdout.write(uvloop.run(_main(Load.model_validate_json(sys.stdin.read()))).model_dump_json())
