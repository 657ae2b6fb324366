"""Gauges that the database knows: backlog, work by state and age, breakers, holds, dead letters, replays, dates.

They are read when Prometheus asks, at most every few seconds, each from its partial index, over a connection of their
own with a short timeout: scraping cannot hurt. A database that is away is a fact too (`stafett_state_up` 0).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from prometheus_client import Metric
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from services.kernel import oversight, telemetry
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection, Database

log = telemetry.get_logger(__name__)

READ_SECONDS = 5.0
TIMEOUT_SECONDS = 5
TROUBLED = ("held", "parked", "retrying", "waiting")
OVERDUE = ("due", "held", "parked", "wanted")
LANES = {0: "express", 1: "bulk"}

Reading = Callable[[Connection], Awaitable[Sequence[Metric]]]
"""Reads some gauges in a transaction that writes nothing."""


def family(name: str, documentation: str, labels: Sequence[str], values: Mapping[Any, float]) -> Metric:
    """Return a gauge with a value for each label set (a tuple, as long as `labels`)."""
    found = GaugeMetricFamily(name, documentation, labels=labels)
    for key, value in values.items():
        found.add_metric(list(key), value)
    return found


class Gauges:
    """A service's gauges.

    Args:
        service: Whose replay requests are counted.
        database: A pool of its own, on the loop of the exposition; opened by the caller.
        targets: Targets the service works for, so that their gauges are there when there is no work.
        parts: What may be missing, by name; each returns None when nothing is.
    """

    def __init__(
        self,
        service: str,
        database: Database,
        *,
        targets: Sequence[str],
        parts: Mapping[str, Callable[[], str | None]],
    ) -> None:
        self._service = service
        self._database = database
        self._targets = list(targets)
        self._parts = parts
        ours = (self._work, self._breakers, self._holds, self._replays)
        self._readings: list[Reading] = [_outbox, _dead, _queues, *ours]
        self._reading = asyncio.Lock()
        self._found: Sequence[Metric] = ()
        self._read_at = float("-inf")

    def add(self, reading: Reading) -> None:
        """Add what only this service has."""
        self._readings.append(reading)

    async def read(self) -> Iterable[Metric]:
        """Return the gauges; those of the database are at most `READ_SECONDS` old, or missing while it is away."""
        async with self._reading:
            if time.monotonic() - self._read_at >= READ_SECONDS:
                self._found = await self._ask()
                self._read_at = time.monotonic()
        ready = {(name,): float(problem() is None) for name, problem in self._parts.items()}
        told = family("stafett_ready", "Whether a part of the service can do its work.", ["part"], ready)
        return [*self._found, told]

    async def _ask(self) -> Sequence[Metric]:
        found: list[Metric] = []
        try:
            async with asyncio.timeout(2 * TIMEOUT_SECONDS), self._database.transaction() as conn:
                await conn.execute(f"SET LOCAL statement_timeout = '{TIMEOUT_SECONDS}s'".encode())
                await conn.execute("SET LOCAL transaction_read_only = on")
                for reading in self._readings:
                    found += await reading(conn)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other metrics must still be shown
            log.warning("gauges.unread", cause=type(error).__name__)
            found = []
        up = family("stafett_state_up", "Whether the database could be read for these gauges.", [], {(): bool(found)})
        return [*found, up]

    async def _work(self, conn: Connection) -> Sequence[Metric]:
        lanes = {(target, lane): 0.0 for target in self._targets for lane in LANES.values()}
        wanted, wanted_age = dict(lanes), dict(lanes)
        for target, lane, count, age in await _rows(
            conn,
            "SELECT target, lane, count(*), extract(epoch FROM now() - min(raised_at))::float8 FROM work"
            " WHERE wanted > done GROUP BY 1, 2",
        ):
            wanted[target, LANES[lane]], wanted_age[target, LANES[lane]] = count, max(age, 0.0)
        states = {(target, state): 0.0 for target in self._targets for state in TROUBLED}
        troubled, troubled_age = dict(states), dict(states)
        for target, state, count, age in await _rows(
            conn,
            "SELECT target, state, count(*), coalesce(extract(epoch FROM now() - min(problem_since)), 0)::float8"
            " FROM work WHERE state <> 'idle' GROUP BY 1, 2",
        ):
            troubled[target, state], troubled_age[target, state] = count, max(age, 0.0)
        overdue = {(target, why): 0.0 for target in self._targets for why in OVERDUE}
        for target in self._targets:
            overdue |= {(target, why): float(count) for why, count in await oversight.overdue(conn, target)}
        return [
            family("stafett_work_wanted", "Rows that ask for a pass.", ["target", "lane"], wanted),
            family("stafett_work_wanted_oldest_age_seconds", "Age of the oldest wish.", ["target", "lane"], wanted_age),
            family("stafett_work_troubled", "Rows that are not idle, by state.", ["target", "state"], troubled),
            family(
                "stafett_work_troubled_oldest_age_seconds",
                "For how long the oldest of them has been in trouble.",
                ["target", "state"],
                troubled_age,
            ),
            family(
                "stafett_work_overdue_removals",
                "Removals of access that have stood open for more than 15 minutes.",
                ["target", "why"],
                overdue,
            ),
            *await self._dates(conn),
        ]

    async def _dates(self, conn: Connection) -> Sequence[Metric]:
        rows = await _rows(
            conn,
            "SELECT t.target, sum(d.count)::float8, extract(epoch FROM min(n.at) - min(b.now))::float8"
            f" FROM unnest(%b::text[]) AS t (target) CROSS JOIN (VALUES (true), (false)) AS r (removes)"
            f" CROSS JOIN (SELECT {BUSINESS_NOW} AS now) b"
            " CROSS JOIN LATERAL (SELECT count(*) AS count FROM work w WHERE w.target = t.target"
            "  AND w.removes_next = r.removes AND w.due_at <= b.now) d"
            " CROSS JOIN LATERAL (SELECT min(w.due_at) AS at FROM work w WHERE w.target = t.target"
            "  AND w.removes_next = r.removes AND w.due_at > b.now) n GROUP BY 1",
            self._targets,
        )
        due = {(target,): count for target, count, _ in rows}
        ahead = {(target,): seconds for target, _, seconds in rows if seconds is not None}
        return [
            family("stafett_work_due", "Rows whose date has been reached.", ["target"], due),
            family("stafett_work_next_due_seconds", "Time to the next date ahead, if any.", ["target"], ahead),
        ]

    async def _breakers(self, conn: Connection) -> Sequence[Metric]:
        opened = {(target,): 0.0 for target in self._targets}
        age, throttled, paused = dict(opened), dict(opened), dict(opened)
        for target, is_open, seconds, left, is_paused in await _rows(
            conn,
            "SELECT target, opened_at IS NOT NULL, coalesce(extract(epoch FROM now() - opened_at), 0)::float8,"
            " coalesce(greatest(extract(epoch FROM resume_at - now()), 0), 0)::float8, paused_at IS NOT NULL"
            " FROM breaker",
        ):
            opened[target,], age[target,] = float(is_open), seconds
            throttled[target,], paused[target,] = left, float(is_paused)
        asked = "For how long the target asked us to wait."
        return [
            family("stafett_breaker_open", "1 while nothing is claimed for the target.", ["target"], opened),
            family("stafett_breaker_open_age_seconds", "For how long it has been open.", ["target"], age),
            family("stafett_breaker_throttled_seconds", asked, ["target"], throttled),
            family("stafett_target_paused", "1 while a person has stopped all writes to it.", ["target"], paused),
        ]

    async def _holds(self, conn: Connection) -> Sequence[Metric]:
        held = {(target,): 0.0 for target in self._targets}
        age = dict(held)
        for target, count, seconds in await _rows(
            conn,
            "SELECT target, count(*), extract(epoch FROM now() - min(held_at))::float8 FROM guard_hold"
            " WHERE state = 'held' GROUP BY 1",
        ):
            held[target,], age[target,] = count, max(seconds, 0.0)
        return [
            family("stafett_guard_holds", "Removals that the guard holds, undecided.", ["target"], held),
            family("stafett_guard_hold_oldest_age_seconds", "Age of the oldest hold.", ["target"], age),
        ]

    async def _replays(self, conn: Connection) -> Sequence[Metric]:
        rows = await _rows(
            conn,
            "SELECT consumer, extract(epoch FROM now() - requested_at)::float8 FROM kernel.replay_request"
            " WHERE producer = %b AND done_at IS NULL",
            self._service,
        )
        ages = {(consumer,): max(age, 0.0) for consumer, age in rows}
        return [
            family("stafett_replay_requests_open", "Replays asked of this service.", [], {(): len(ages)}),
            family("stafett_replay_request_age_seconds", "For how long a consumer has waited.", ["consumer"], ages),
        ]


async def _outbox(conn: Connection) -> Sequence[Metric]:
    backlog = {(lane,): 0.0 for lane in LANES.values()}
    age = dict(backlog)
    for lane, count, seconds in await _rows(
        conn,
        "SELECT lane, count(*), extract(epoch FROM now() - min(created_at))::float8 FROM outbox"
        " WHERE published_at IS NULL GROUP BY 1",
    ):
        backlog[LANES[lane],], age[LANES[lane],] = count, max(seconds, 0.0)
    return [
        family("stafett_outbox_messages", "Messages that wait to be published.", ["lane"], backlog),
        family("stafett_outbox_oldest_age_seconds", "Age of the oldest of them.", ["lane"], age),
    ]


async def _dead(conn: Connection) -> Sequence[Metric]:
    rows = await _rows(conn, "SELECT queue, count(*) FROM inbox_dead WHERE redelivered_at IS NULL GROUP BY 1")
    return [family("stafett_dead_letters", "Dead letters kept.", ["queue"], {(queue,): count for queue, count in rows})]


async def _queues(conn: Connection) -> Sequence[Metric]:
    created = CounterMetricFamily(
        "stafett_queue_declarations", "Times the queue had to be made; more than once is a loss.", labels=["queue"]
    )
    for queue, times in await _rows(conn, "SELECT name, times_created FROM queue"):
        created.add_metric([queue], times)
    return [created]


async def _rows(conn: Connection, statement: str, *values: object) -> Sequence[tuple[Any, ...]]:
    cursor = await conn.execute(statement.encode(), values or None)
    return await cursor.fetchall()
