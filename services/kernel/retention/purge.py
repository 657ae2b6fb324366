"""The purge: once a day each data class forgets what is older than its policy, a portion a transaction."""

import asyncio
from collections.abc import Callable, Sequence

from prometheus_client import Metric

from services.kernel import audit, telemetry
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.gauges import family
from services.kernel.messaging import outbox
from services.kernel.metrics import instruments
from services.kernel.retention import log as book
from services.kernel.retention.classes import INSTALLATION, DataClass, Portion

log = telemetry.get_logger(__name__)

LOOK_SECONDS = 600.0
REST_SECONDS = 0.05
"""Between portions, so that whoever serves people comes first."""


class Purge:
    """The purge of a service.

    Replicas share the runs: each portion is one of them's. A run that was cut off goes on where it was, and one that
    fails is tried again at the next look; neither keeps the other classes waiting.

    Args:
        service: Whose data it is.
        database: Its database.
        organisations: Who is told of a purge of what is the installation's.
        committed: Called after a commit, so that the audit is published at once.
    """

    def __init__(
        self, service: str, database: Database, organisations: Sequence[str], committed: Callable[[], None]
    ) -> None:
        self._service = service
        self._database = database
        self._organisations = organisations
        self._committed = committed
        self.classes: list[DataClass] = []

    def add(self, *classes: DataClass) -> None:
        """Add data classes."""
        self.classes += classes

    async def run(self) -> None:
        """Keep house until cancelled. Partitions of the outbox are made whether the purge is paused or not."""
        while True:
            try:
                await self._database.wait()
                async with self._database.transaction() as conn:
                    await outbox.ensure_partitions(conn)
            except TRANSIENT as error:
                log.warning("retention.interrupted", cause=type(error).__name__)
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Purge whatever it is time for."""
        for one in self.classes:
            for organisation in one.days:
                try:
                    while await self.portion(one, organisation):  # noqa: ASYNC110 - it waits for nothing: it rests
                        await asyncio.sleep(REST_SECONDS)
                except TRANSIENT as error:
                    log.warning("retention.interrupted", data_class=one.name, cause=type(error).__name__)
                except Exception:
                    # what cannot be purged must not stop the service, nor the other classes; an alert tells of it
                    log.exception("retention.failed", data_class=one.name)

    async def portion(self, one: DataClass, organisation: str) -> bool:
        """Forget a portion in a transaction of its own; tell whether there is more to do now."""
        async with self._database.transaction() as conn:
            # whoever accepts and publishes comes first: the portion is tried again
            await conn.execute("SET LOCAL lock_timeout = '2s'")
            run = await book.claim(conn, one, organisation)
            if run is None:
                return False
            days = one.days[organisation]
            portion = await one.forget(conn, organisation, days, run.after)
            if portion.after is None:
                await book.note(conn, run, portion, days, await one.oldest(conn, organisation))
                await self._tell(conn, one, organisation, run.rows + portion.rows)
            else:
                await book.note(conn, run, portion, days, None)
        instruments.PURGED.labels(one.name).inc(portion.rows)
        self._say(one, organisation, run, portion)
        return portion.after is not None

    def _say(self, one: DataClass, organisation: str, run: book.Run, portion: Portion) -> None:
        if portion.after is None:
            self._committed()
            log.info("retention.purged", data_class=one.name, organisation=organisation, rows=run.rows + portion.rows)

    async def _tell(self, conn: Connection, one: DataClass, organisation: str, rows: int) -> None:
        if not (rows and one.audited):
            return
        for concerned in self._organisations if organisation == INSTALLATION else (organisation,):
            await audit.record(
                conn,
                self._service,
                concerned,
                f"urn:stafett:{self._service}",
                "retention.purged",
                parameters={"class": one.name, "rows": rows, "days": one.days[organisation]},
            )

    async def measure(self, conn: Connection) -> Sequence[Metric]:
        """Read how long ago each class was purged, and how old the oldest of what it kept is."""
        found = await book.ages(conn, self.classes)
        since = "Time since the last purge of a data class ended; the worst of its organisations."
        oldest = "Age of the oldest that the last purge of a data class has kept."
        return [
            family(
                "stafett_retention_last_purge_age_seconds",
                since,
                ["data_class"],
                {(name,): age for name, age, _ in found},
            ),
            family(
                "stafett_retention_oldest_age_seconds",
                oldest,
                ["data_class"],
                {(name,): age for name, _, age in found if age is not None},
            ),
        ]
