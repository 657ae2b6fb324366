"""Samples: what a service's work looked like every ten seconds, kept for a day, so that a line has a past.

Replicas share a row: what each has counted is added up, and what stands in the database is the same for all.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import Counter, Histogram

from services.kernel import telemetry
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.metrics import instruments

log = telemetry.get_logger(__name__)

EVERY = 10
"""Seconds of a sample."""

KEPT_MINUTES = 24 * 60
POINTS = 180
"""About how many points a line has: over a longer time each stands for more seconds."""

COUNTED = ("published", "takenIn", "passes", "failed")
"""Shown per second."""

STANDING = ("unpublished", "wanted", "ready")
"""Shown as the most there was."""


def _total(metric: Counter | Histogram, end: str, kept: Callable[[Mapping[str, str]], bool] = lambda _: True) -> int:
    return int(sum(s.value for one in metric.collect() for s in one.samples if s.name.endswith(end) and kept(s.labels)))


def counted() -> tuple[int, int, int, int]:
    """Return what this process has done since it started: published, taken in, passes, and those that failed."""
    return (
        _total(instruments.PUBLISHED, "_total"),
        _total(instruments.TAKEN_IN, "_total"),
        _total(instruments.WORK_PASS, "_count"),
        _total(instruments.WORK_PASS, "_count", lambda labels: labels["outcome"] != "done"),
    )


def ready() -> int | None:
    """Return how many messages wait in the service's queues, or None while the broker cannot be asked."""
    found = [sample.value for metric in instruments.QUEUE_READY.collect() for sample in metric.samples]
    return None if not found or any(map(math.isnan, found)) else int(sum(found))


async def take(conn: Connection, done: Sequence[int]) -> None:
    """Add to the sample that ends about now what this process has done within it, and say how much stands."""
    await conn.execute(
        "INSERT INTO sample AS s (at, published, taken_in, passes, failed, unpublished, wanted, ready)"
        " SELECT date_bin(%(every)s * interval '1 second', now() - %(every)s / 2 * interval '1 second', 'epoch'),"
        " %(published)s, %(takenIn)s, %(passes)s, %(failed)s,"
        " (SELECT count(*) FROM outbox WHERE published_at IS NULL),"
        " (SELECT count(*) FROM work WHERE wanted > done), %(ready)s"
        " ON CONFLICT (at) DO UPDATE SET published = s.published + excluded.published,"
        " taken_in = s.taken_in + excluded.taken_in, passes = s.passes + excluded.passes,"
        " failed = s.failed + excluded.failed, unpublished = excluded.unpublished, wanted = excluded.wanted,"
        " ready = excluded.ready",
        {"every": EVERY, "ready": ready(), **dict(zip(COUNTED, done, strict=True))},
    )
    await conn.execute("DELETE FROM sample WHERE at < now() - %s * interval '1 minute'", (KEPT_MINUTES,))


async def run(database: Database) -> None:
    """Take samples until cancelled; what was done while the database was away is in the first one after."""
    told = counted()
    while True:
        await asyncio.sleep(EVERY - time.time() % EVERY)
        now = counted()
        try:
            async with database.transaction() as conn:
                await take(conn, [after - before for after, before in zip(now, told, strict=True)])
        except TRANSIENT as error:
            log.warning("samples.interrupted", cause=type(error).__name__)
        else:
            told = now


async def lines(conn: Connection, minutes: int) -> dict[str, Any]:
    """Return the last minutes as one list for each figure, null where there is no sample.

    Counts are per second. `every`: the seconds of a point, of which the newest may have fewer; `at`: when each begins,
    in seconds since 1970 (UTC).
    """
    every = max(1, math.ceil(minutes * 60 / POINTS / EVERY)) * EVERY
    cursor = await conn.execute(
        "WITH points AS (SELECT p.at, least(p.at + %(every)s * interval '1 second', l.at) AS ends"
        " FROM (SELECT date_bin(%(sample)s * interval '1 second', now(), 'epoch') AS at) l"
        " CROSS JOIN LATERAL generate_series("
        "  date_bin(%(every)s * interval '1 second', l.at - %(minutes)s * interval '1 minute', 'epoch'),"
        "  l.at - interval '1 second', %(every)s * interval '1 second') AS p (at))"
        " SELECT extract(epoch FROM p.at)::bigint, sum(published) / seconds, sum(taken_in) / seconds,"
        " sum(passes) / seconds, sum(failed) / seconds, max(unpublished), max(wanted), max(ready) FROM points p"
        " CROSS JOIN LATERAL (SELECT extract(epoch FROM p.ends - p.at)::float8 AS seconds) e"
        " LEFT JOIN sample s ON s.at >= p.at AND s.at < p.ends GROUP BY p.at, seconds ORDER BY p.at",
        {"every": every, "sample": EVERY, "minutes": minutes},
    )
    rows = await cursor.fetchall()
    return {
        "every": every,
        **{name: [row[index] for row in rows] for index, name in enumerate(("at", *COUNTED, *STANDING))},
    }
