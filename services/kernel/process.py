"""A process as it is run: logs, traces, HTTP and metrics; an orderly end at SIGTERM, and a harmless one at SIGKILL."""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp
from typing_extensions import override

from services.kernel import telemetry
from services.kernel.settings import ProcessSettings

log = telemetry.get_logger(__name__)

KEEP_ALIVE_SECONDS = 75
"""Longer than clients and proxies keep idle connections (60 s at most of them): a request must not meet a close."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(name: str, settings: ProcessSettings, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `main` on a loop, with logs and traces under `name`; what it raises is logged and ends the process with 1."""
    telemetry.configure(name, level=settings.log_level)
    if settings.otlp_endpoint:
        telemetry.export_traces(name, settings.otlp_endpoint, settings.trace_ratio)
    # what is loaded stays; batches and pages make many short-lived objects, and the default looks at them all the time
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        uvloop.run(main())
    except BaseException:
        # Python's own report would quote values, and values are people's data
        log.critical("service.failed", exc_info=True)
        sys.exit(1)
    finally:
        telemetry.stop_traces()


async def serve(app: ASGIApp, settings: ProcessSettings, parts: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Serve HTTP and run parts beside it until SIGTERM or SIGINT, or until one of them ends.

    Requests under way end, the parts are cancelled and waited for. What ended the process by an exception is raised.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_unhandled)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.http_host,
            port=settings.http_port,
            http="httptools",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips=settings.trusted_proxies,
            backlog=512,
            timeout_graceful_shutdown=10,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
    )
    api = asyncio.create_task(server.serve())
    waiting = asyncio.create_task(stop.wait())
    beside: list[asyncio.Task[Any]] = [waiting, *(asyncio.create_task(part) for part in parts)]
    log.info("service.started")
    done, _ = await asyncio.wait([api, *beside], return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    for task in beside:
        task.cancel()
    await asyncio.gather(api, *beside, return_exceptions=True)
    for task in done - {waiting}:
        task.result()


def _log_unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.error("loop.unhandled", exc_info=context.get("exception"))
