"""The floor of accepting: bare uvicorn and psycopg. Parses with orjson only, checks nothing, and commits the same.

`python -m tests.benchmarks.floor_accept <port> <database url> <singles script> <batches script> [alone]`. Single
events share a transaction as they do at the real door, unless `alone`: then each has its own.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvicorn
import uvloop
from psycopg.errors import DeadlockDetected
from psycopg_pool import AsyncConnectionPool

from services.ingestion.handlers.door import GATHERED
from tests.benchmarks.recording import Script, json_as_the_services, perform

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def _configure(conn: Any) -> None:
    conn.prepare_threshold = 3
    await conn.commit()


class Floor:
    """The application."""

    def __init__(self, pool: AsyncConnectionPool, singles: Script, batches: Script, *, alone: bool) -> None:
        self._pool = pool
        self._scripts = {"single": singles, "batch": batches}
        self._taken = {"single": 0, "batch": 0}
        # one at a time when it gathers: recorded rows are not in order, so that two would wait for each other
        self._most, self._committers = (1, 12) if alone else (GATHERED, 1)
        self._waiting: list[asyncio.Future[None]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["method"] == "GET":
            await _answer(send, 200, b"{}")
            return
        told = orjson.loads(body)
        if isinstance(told, list):
            await self._store("batch", len(told))
            results = [{"index": n, "id": item["id"], "status": "accepted"} for n, item in enumerate(told)]
            await _answer(send, 200, orjson.dumps({"results": results}))
        else:
            await self._single()
            await _answer(send, 202, orjson.dumps({"id": told["id"], "status": "accepted"}))

    async def _single(self) -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if len(self._running) < self._committers:
            task = asyncio.create_task(self._commit())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        await answer

    async def _commit(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                await self._store("single", len(taken))
            except Exception as error:
                for answer in taken:
                    answer.set_exception(error)
                raise
            for answer in taken:
                answer.set_result(None)

    async def _store(self, kind: str, number: int) -> None:
        first = self._taken[kind]
        self._taken[kind] += number
        if self._taken[kind] > self._scripts[kind].count:
            raise ValueError("the recording is too short")
        while True:
            try:
                async with self._pool.connection() as conn:
                    await perform(conn, self._scripts[kind].portion(first, number))
            except DeadlockDetected:  # rows are in order within what was recorded together only
                continue
            return


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _main(port: int, url: str, singles: Path, batches: Path, *, alone: bool) -> None:
    json_as_the_services()
    async with AsyncConnectionPool(url, min_size=2, max_size=12, open=False, configure=_configure) as pool:
        app = Floor(pool, Script.load(singles), Script.load(batches), alone=alone)
        config = uvicorn.Config(
            app, host="127.0.0.1", port=port, http="httptools", lifespan="off", access_log=False, log_config=None
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    port, url, singles, batches, *rest = sys.argv[1:]
    uvloop.run(_main(int(port), url, Path(singles), Path(batches), alone="alone" in rest))
