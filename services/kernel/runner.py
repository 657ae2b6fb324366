"""The runner: one process per service with API, relay, intake and workers; clean on SIGTERM, right after SIGKILL."""

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI

from contracts.codes import Lane
from services.kernel import operations, problems, process, samples, telemetry
from services.kernel.aside import Aside
from services.kernel.commands import CommandHandler
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.executor import Executor
from services.kernel.faults import CrashPoints
from services.kernel.gauges import Gauges, Reading
from services.kernel.health import Check, Health
from services.kernel.messaging import topology
from services.kernel.messaging.dead import DeadLetters, Delivery
from services.kernel.messaging.intake import Handler, Intake
from services.kernel.messaging.redelivery import Redelivery
from services.kernel.messaging.relay import Relay
from services.kernel.messaging.replay import OutboxSource, Replayer, ReplaySource
from services.kernel.metrics.exposition import Exposition
from services.kernel.metrics.requests import Requests
from services.kernel.retention import messages, routes
from services.kernel.retention.classes import DataClass
from services.kernel.retention.purge import Purge
from services.kernel.schema import Schema
from services.kernel.security import Authenticator
from services.kernel.settings import ServiceSettings, load_organisations
from services.kernel.work import Performer

log = telemetry.get_logger(__name__)

SWITCH_SECONDS = 0.0005
"""How long a thread that has work waits at most for the other one: door and relay are threads of one process."""
RETAINED = frozenset({"step.recorded", "service.evaluated", "account.changed", "audit.recorded"})


class Service:
    """What bootstrap wires together. Parts start when `run` is called; each may come up before what it needs."""

    def __init__(self, name: str, settings: ServiceSettings) -> None:
        self.name = name
        self.settings = settings
        self.organisations = load_organisations(settings.organisations)
        self.crash = CrashPoints(settings.crash_at)
        self.database = Database(settings.database_url, name=name)
        self.health = Health()
        self.health.add(self.database.problem, door=True)
        self.health.add(self._start_problem, door=True)
        self._schema = Schema(name, self.database)
        self.app = FastAPI(title=f"Stafett {name}", docs_url=None, redoc_url=None, responses=problems.EVERYWHERE)
        self.app.state.authenticator = Authenticator(settings.jwks, settings.issuer, settings.audience)
        self.app.state.organisations = self.organisations
        problems.install(self.app)
        self.app.add_middleware(Requests)
        self.app.include_router(self.health.router())
        self._targets: set[str] = set()
        self._apis = 0
        self.app.include_router(
            operations.router(
                name,
                self.database,
                self._targets,
                self.organisations,
                self.wake,
                dead_letter_days=settings.dead_letter_days,
            )
        )
        self._purge = Purge(name, self.database, sorted(self.organisations), self.publish)
        self._purge.add(*messages.classes(settings))
        self.app.include_router(routes.router(name, self.database, self._purge, sorted(self.organisations)))
        self._dead = DeadLetters(name, settings.dead_letter_key.get_secret_value())
        self._redelivery = Redelivery(name, self.database, self._dead, self._take_in, self.publish)
        self._replayer = Replayer(name, self.database, crash=self.crash)
        self._replayer.add(OutboxSource(RETAINED & topology.PRODUCES.get(name, frozenset())))
        self._outbox = Database(settings.database_url, name=f"{name}-relay", max_size=4)
        self._relays = [
            Relay(name, lane, self._outbox, settings.broker_url, crash=self.crash) for lane in (Lane.EXPRESS, Lane.BULK)
        ]
        self._intakes: dict[str, Intake] = {}
        self._executors: list[Executor] = []
        self._own: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._starts: list[Callable[[Connection], Awaitable[None]]] = [self._dead.count]
        self._stops: list[Callable[[], Awaitable[None]]] = []
        self._readings: list[Reading] = [self._purge.measure]
        self._started = False
        self.health.add(self._relay_problem)
        self._consume(f"{name}.commands", {"command": CommandHandler(name, self._dead)})
        self._consume(f"{name}.dead", {}, bury_as="dead-lettered by the broker")

    def api(self, router: APIRouter) -> None:
        """Add routes; they are looked at in this order, before those that every service has."""
        self.app.include_router(router)
        self.app.router.routes.insert(self._apis, self.app.router.routes.pop())
        self._apis += 1

    def consumes(self, handlers: Mapping[str, Handler]) -> None:
        """Take in the topics of the topology's row for this service, on both lanes."""
        if set(handlers) != set(topology.SUBSCRIPTIONS[self.name]):
            raise ValueError(f"{self.name}: handlers and subscriptions differ")
        for lane in ("express", "bulk"):
            self._consume(f"{self.name}.{lane}", handlers)

    def keeps_unrouted(self) -> None:
        """Keep what no queue wanted, as dead letters of this service."""
        self._consume(topology.UNROUTED, {}, bury_as="unrouted")

    def works(self, target: str, performer: Performer[Any], *, slots: int = 32, reserved_express: int = 4) -> None:
        """Work for a target; `reserved_express` slots are kept for the express lane."""
        executor = Executor(
            target,
            performer,
            self.database,
            generation=self.settings.generation,
            lease_seconds=self.settings.lease_seconds,
            slots=slots,
            reserved_express=reserved_express,
            on_commit=self.wake,
            crash=self.crash,
        )
        self._executors.append(executor)
        self._targets.add(target)

        async def problem() -> str | None:
            return f"target {target}: {executor.problem}" if executor.problem else None

        self.health.add(problem)

    def replays(self, source: ReplaySource) -> None:
        """Add a source of state for replays."""
        self._replayer.add(source)

    def on_start(self, start: Callable[[Connection], Awaitable[None]]) -> None:
        """Run once in a transaction when the database is there and migrated, before work and intake begin."""
        self._starts.append(start)

    def starts_without(self, problem: str, found: Callable[[Connection], Awaitable[bool]]) -> None:
        """Look once at the start; while it was `found`, readiness tells the problem."""
        told: str | None = None

        async def look(conn: Connection) -> None:
            nonlocal told
            told = problem if await found(conn) else None

        async def check() -> str | None:
            return told

        self.on_start(look)
        self.check(check)

    def on_stop(self, stop: Callable[[], Awaitable[None]]) -> None:
        """Run when the service has stopped working, before its connections close."""
        self._stops.append(stop)

    def runs(self, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run something of the service's own beside the rest, until it is cancelled."""
        self._own.append(part)

    def measures(self, reading: Reading) -> None:
        """Add gauges that only this service has."""
        self._readings.append(reading)

    def keeps(self, *classes: DataClass) -> None:
        """Purge data classes of the service's own beside those of messages."""
        self._purge.add(*classes)

    def check(self, check: Check) -> None:
        """Add a readiness check."""
        self.health.add(check)

    def publish(self) -> None:
        """Say that rows to publish were committed."""
        for relay in self._relays:
            relay.wake()

    def wake(self) -> None:
        """Say that something was committed: rows to publish, or work to do."""
        self.publish()
        for executor in self._executors:
            executor.wake()

    def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        sys.setswitchinterval(SWITCH_SECONDS)
        process.run(self.name, self.settings, self.serve)

    async def serve(self) -> None:
        """Serve until stopped: cancel consumers, let passes end, close connections."""
        await self.database.open()
        try:
            await process.serve(self.app, self.settings, (self._parts(), self._metrics()))
        finally:
            for stop_part in self._stops:
                await stop_part()
            await self.database.close()
            log.info("service.stopped")

    async def _parts(self) -> None:
        await self._start()
        running: list[Coroutine[Any, Any, None]] = [
            Aside(f"{self.name}-relay", self._publish).run(),
            self._replayer.run(),
            self._redelivery.run(),
            self._purge.run(),
            samples.run(self.database),
            *(intake.run() for intake in self._intakes.values()),
            *(executor.run() for executor in self._executors),
            *(part() for part in self._own),
        ]
        async with asyncio.TaskGroup() as group:
            for part in running:
                group.create_task(part)

    async def _metrics(self) -> None:
        """Show the metrics from the start, database or not: what is missing is what they must tell."""
        if not self.settings.metrics_port:
            await asyncio.Event().wait()
        await Aside(f"{self.name}-metrics", self._expose).run()

    async def _expose(self) -> None:
        database = Database(self.settings.database_url, name=f"{self.name}-metrics", max_size=1)
        gauges = Gauges(
            self.name, database, targets=[one.target for one in self._executors], parts=self._parts_by_name()
        )
        for reading in self._readings:
            gauges.add(reading)
        await database.open()
        try:
            await Exposition(*self.settings.metrics_address, [gauges.read]).run()
        finally:
            await database.close()

    def _parts_by_name(self) -> dict[str, Callable[[], str | None]]:
        """What may be missing, read from the parts themselves: the health checks belong to the service's own loop."""
        parts: list[tuple[str, Relay | Intake | Executor]] = [
            *((f"relay {relay.lane}", relay) for relay in self._relays),
            *((f"intake {queue}", intake) for queue, intake in self._intakes.items()),
            *((f"target {executor.target}", executor) for executor in self._executors),
        ]
        return {name: partial(getattr, part, "problem") for name, part in parts}

    async def _publish(self) -> None:
        await self._outbox.open()
        try:
            async with asyncio.TaskGroup() as group:
                for relay in self._relays:
                    group.create_task(relay.run())
        finally:
            await self._outbox.close()

    async def _start(self) -> None:
        while not self._started:
            await self.database.wait()
            if (waits := await self._schema.problem()) is not None:
                log.warning("service.schema_behind", missing=waits)
                await asyncio.sleep(random.uniform(0.5, 2.0))  # noqa: S311 - jitter
                continue
            try:
                async with self.database.transaction() as conn:
                    for start in self._starts:
                        await start(conn)
            except TRANSIENT as error:
                log.warning("service.start_interrupted", cause=type(error).__name__)
            else:
                self._started = True

    def _consume(self, queue: str, handlers: Mapping[str, Handler], *, bury_as: str | None = None) -> None:
        intake = Intake(
            self.name,
            queue,
            self.database,
            self.settings.broker_url,
            handlers,
            self._dead,
            on_commit=self.wake,
            crash=self.crash,
            bury_as=bury_as,
        )
        self._intakes[queue] = intake

        async def problem() -> str | None:
            return intake.problem

        self.health.add(problem)
        self.health.add_liveness(lambda: intake.stalled)

    async def _take_in(self, queue: str, delivery: Delivery) -> None:
        await self._intakes.get(queue, self._intakes[f"{self.name}.commands"]).process([delivery])

    async def _relay_problem(self) -> str | None:
        return next((relay.problem for relay in self._relays if relay.problem), None)

    async def _start_problem(self) -> str | None:
        return None if self._started else await self._schema.problem() or "start: waits for the database"
