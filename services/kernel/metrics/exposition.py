"""The port that Prometheus scrapes: `GET /metrics`, and nothing else. Scrapers have no tokens, so it is not the API's.

It runs on a loop of its own (`aside`), so neither a busy door nor a slow scrape holds the other up.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator

import uvicorn
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override

from services.kernel.metrics.instruments import REGISTRY

Source = Callable[[], Awaitable[Iterable[Metric]]]
"""Returns gauges that are read when somebody asks."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which belong to the main thread."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Read(Collector):
    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = found

    @override
    def collect(self) -> Iterable[Metric]:
        return self._found


class Exposition:
    """Shows the process's instruments and what the sources say."""

    def __init__(self, host: str, port: int, sources: Iterable[Source]) -> None:
        self._host = host
        self._port = port
        self._sources = tuple(sources)

    async def page(self) -> bytes:
        """Return all metrics in Prometheus' text format 0.0.4."""
        told = CollectorRegistry(auto_describe=False)
        for source in self._sources:
            told.register(_Read(await source()))
        return bytes(await asyncio.to_thread(generate_latest, REGISTRY)) + bytes(generate_latest(told))

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            OSError: The port is taken.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.create_server((self._host, self._port), family=family) as listening:
            server = _Server(
                uvicorn.Config(
                    self._app(),
                    http="httptools",
                    lifespan="off",
                    access_log=False,
                    log_config=None,
                    server_header=False,
                    timeout_graceful_shutdown=2,
                )
            )
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                await asyncio.shield(serving)
            finally:
                server.should_exit = True
                await asyncio.gather(serving, return_exceptions=True)

    def _app(self) -> ASGIApp:
        async def app(scope: Scope, _receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return
            found = scope["path"] == "/metrics" and scope["method"] in {"GET", "HEAD"}
            body = await self.page() if found else b""
            headers = [
                (b"content-type", CONTENT_TYPE_PLAIN_0_0_4.encode()),
                (b"content-length", str(len(body)).encode()),
            ]
            await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

        return app
