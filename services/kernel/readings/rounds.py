"""Reads whole targets when it is time, one reader at a time for a target; a reading that was cut off starts over."""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Protocol

from services.kernel import telemetry
from services.kernel.database import TRANSIENT, Database
from services.kernel.failures import Failure
from services.kernel.readings import leases
from services.kernel.readings.leases import Reading, ReadingLost, Why

log = telemetry.get_logger(__name__)

LOOK_SECONDS = 2.0


class Reads(Protocol):
    """Reads one target."""

    async def run(self, reading: Reading) -> None:
        """Read it all.

        Raises:
            ReadingLost: Somebody else reads by now.
            Failure: It could not be read.
        """
        ...


class Readings:
    """Looks for what is due, until cancelled.

    Args:
        database: The service's.
        readers: By (what for, target).
        hours: How often a target is read for drift.
        committed: Called when something may have been asked of work.
    """

    def __init__(
        self, database: Database, readers: Mapping[tuple[Why, str], Reads], hours: float, committed: Callable[[], None]
    ) -> None:
        self._database = database
        self._readers = readers
        self._targets = sorted({target for _, target in readers})
        self._hours = hours
        self._committed = committed

    async def run(self) -> None:
        """Read what is due until cancelled."""
        while True:
            try:
                found = await self.once()
            except TRANSIENT as error:
                log.warning("reading.interrupted", cause=type(error).__name__)
                found = False
            if not found:
                await asyncio.sleep(LOOK_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - jitter

    async def once(self) -> bool:
        """Read one target that is due; tell whether there was one."""
        async with self._database.transaction() as conn:
            reading = await leases.claim(conn, self._targets)
        if reading is None:
            return False
        problem: str | None = None
        try:
            await self._readers[reading.why, reading.target].run(reading)
        except ReadingLost:
            log.warning("reading.lost", target=reading.target, why=reading.why.value)
            return True
        except Failure as failure:
            problem = failure.code
            log.warning("reading.failed", target=reading.target, why=reading.why.value, code=problem)
        except TRANSIENT:
            raise
        except Exception:
            # what cannot be read must not stop the service; an alert tells of it by the age of the last good run
            problem = "reading.failed"
            log.exception("reading.failed", target=reading.target, why=reading.why.value)
        async with self._database.transaction() as conn:
            await leases.end(conn, reading, problem=problem, hours=self._hours)
        self._committed()
        return True
