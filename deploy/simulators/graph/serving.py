"""Graph's TLS listener and the control port, in one process; the listener can be closed and opened by control."""

import asyncio
import random
import socket
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from deploy.simulators.graph import control, strangers, web
from deploy.simulators.graph.control import ListenerAsked
from deploy.simulators.graph.journal import Journal
from deploy.simulators.graph.keeping import Kept
from deploy.simulators.graph.seeds import TenantSeed, sow
from deploy.simulators.graph.service import Limits, Service
from deploy.simulators.graph.tenants import World
from deploy.simulators.settings import GraphSettings


class _Quiet(uvicorn.Server):
    """A server that leaves the signals to the process."""

    def install_signal_handlers(self) -> None:
        """Leave them."""


class Listener:
    """Graph's port: open or closed, with the right certificate or a wrong one."""

    def __init__(self, service: Service, settings: GraphSettings) -> None:
        self._app = web.build(service)
        self._settings = settings
        self._server: _Quiet | None = None
        self._task: asyncio.Task[None] | None = None

    async def set(self, asked: ListenerAsked) -> None:
        """Bring the port into the state asked for; returns when it is so."""
        await self.close()
        if asked.open:
            await self._open(asked.certificate)

    async def close(self) -> None:
        """Stop listening; connections that are open are closed."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        self._server.force_exit = True
        with suppress(asyncio.CancelledError):
            await self._task
        self._server = self._task = None

    async def _open(self, which: str) -> None:
        settings = self._settings
        with TemporaryDirectory() as folder:
            certificate, key = settings.certificate_file, settings.key_file
            if which != "right":
                certificate, key = strangers.make(Path(folder), expired=which == "expired")
            config = uvicorn.Config(
                self._app,
                host=settings.host,
                port=settings.port,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                lifespan="off",
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
            config.load()
        # bound here, so that a port that is taken is the caller's error, and callers may connect at once
        sock = socket.create_server((settings.host, settings.port))
        self._server = _Quiet(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[sock]))


async def serve(settings: GraphSettings) -> None:
    """Serve until the process is told to stop.

    Raises:
        OSError: A port is taken.
    """
    world, kept = _world(settings)
    journal = Journal(settings.log)
    limits = Limits(settings.token_lifetime, settings.write_limit, settings.write_window)
    service = Service(world, journal, limits)
    listener = Listener(service, settings)
    await listener.set(ListenerAsked())
    config = uvicorn.Config(
        control.build(service, settings.control_secret(), listener.set),
        host=settings.host,
        port=settings.control_port,
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
    try:
        await uvicorn.Server(config).serve()
    finally:
        await listener.close()
        journal.close()
        if kept is not None:
            kept.close()


def _world(settings: GraphSettings) -> tuple[World, Kept | None]:
    """Return the tenants of the seeds, with what is kept of the last run in them."""
    world = World(chance=random.Random(settings.seed))  # noqa: S311 (reproducible, not secret)
    for file in sorted(settings.seeds.glob("*.json")) if settings.seeds is not None else ():
        sow(world, TenantSeed.model_validate_json(file.read_bytes()))
    if settings.state is None:
        return world, None
    kept = Kept(settings.state)
    versions = list(kept.read())
    newest = {(tenant, identifier): entry for tenant, identifier, entry in versions}
    for (tenant, _), entry in newest.items():
        if entry is not None and tenant in world.tenants:
            world.tenants[tenant].shelf.put(entry)
    # the seeds have their ids again, but what is new gets none that was given before
    world.chance.seed(f"{settings.seed} {len(versions)}")
    world.keep(kept)
    return world, kept
