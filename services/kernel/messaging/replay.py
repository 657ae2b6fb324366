"""Replay: a service publishes its current state once more to one consumer, under the same ids."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Protocol

from contracts.envelope import CloudEvent
from contracts.registry import parse_event
from services.kernel import telemetry
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.messaging import outbox, topology
from services.kernel.messaging.outbox import Outgoing

log = telemetry.get_logger(__name__)

EVERYTHING = frozenset({"status"})
"""Consumers that are told all that is retained, with its original times; the others get the newest state."""

PAGE = 500
COMMAND_DAYS = 7
BACKLOG = 5_000
LOOK_SECONDS = 1.0


class ReplaySource(Protocol):
    """What a service keeps beside its outbox and can say again."""

    def messages(
        self, conn: Connection, consumer: str, topics: frozenset[str], *, everything: bool
    ) -> AsyncIterator[Sequence[Outgoing]]:
        """Yield pages of messages of `topics`, oldest first, each with the event id of its first publication."""
        ...


async def request(conn: Connection, consumer: str) -> None:
    """Ask every producer of `consumer` for a replay: through the database, since the broker is what was lost."""
    await conn.execute(
        "INSERT INTO kernel.replay_request (producer, consumer) SELECT unnest(%b::text[]), %s"
        " ON CONFLICT (producer, consumer) DO UPDATE SET requested_at = now(), done_at = NULL",
        (list(topology.producers_for(consumer)), consumer),
    )


class OutboxSource:
    """Replays retained rows of the outbox: every step and, for each evaluation, what was said last."""

    def __init__(self, topics: frozenset[str]) -> None:
        self._topics = topics

    async def messages(
        self, conn: Connection, consumer: str, topics: frozenset[str], *, everything: bool
    ) -> AsyncIterator[Sequence[Outgoing]]:
        """Yield retained rows oldest first; confidential bodies are empty and never come from here."""
        del consumer, everything
        wanted = list(topics & self._topics)
        after = 0
        while wanted:
            cursor = await conn.execute(
                "SELECT seq, type, body FROM outbox WHERE seq > %s AND NOT confidential"
                " AND split_part(routing_key, '.', 1) IN ('express', 'bulk')"
                " AND substr(routing_key, strpos(routing_key, '.') + 1) = ANY(%s) ORDER BY seq LIMIT %s",
                (after, wanted, PAGE),
            )
            rows = await cursor.fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield [Outgoing(_event(type_, body)) for _, type_, body in rows]


def _event(type_: str, body: str) -> CloudEvent:  # type: ignore[type-arg]
    return parse_event(type_, body.encode())


class Replayer:
    """Answers the replay requests of a producer, a page at a time, into its own outbox."""

    def __init__(self, service: str, database: Database, *, crash: Callable[[str], None]) -> None:
        self._service = service
        self._database = database
        self._crash = crash
        self._sources: list[ReplaySource] = []

    def add(self, source: ReplaySource) -> None:
        """Add a source of state."""
        self._sources.append(source)

    async def run(self) -> None:
        """Answer requests until cancelled; the database may come and go."""
        while True:
            try:
                await self.advance()
            except TRANSIENT as error:
                log.warning("replay.interrupted", cause=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def advance(self) -> None:
        """Answer one open request, whole and paced; a crash in the middle starts it again, ids make it safe."""
        async with self._database.transaction() as conn:
            cursor = await conn.execute(
                "SELECT consumer, requested_at FROM kernel.replay_request WHERE producer = %s AND done_at IS NULL"
                " ORDER BY requested_at LIMIT 1",
                (self._service,),
            )
            found = await cursor.fetchone()
            if found is None or await outbox.backlog(conn) > BACKLOG:
                return
        consumer, requested_at = found
        count = await self._replay(consumer)
        async with self._database.transaction() as conn:
            await conn.execute(
                "UPDATE kernel.replay_request SET done_at = now()"
                " WHERE producer = %s AND consumer = %s AND requested_at = %s",
                (self._service, consumer, requested_at),
            )
        log.info("replay.answered", consumer=consumer, messages=count)

    async def _replay(self, consumer: str) -> int:
        topics = topology.SUBSCRIPTIONS.get(consumer, frozenset()) & topology.PRODUCES[self._service]
        count = await self._repeat_commands(consumer)
        for source in self._sources:
            async with self._database.transaction() as reading:
                # what is written is paced, so this transaction may stand idle for long
                await reading.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                pages = source.messages(reading, consumer, topics, everything=consumer in EVERYTHING)
                async for page in pages:
                    addressed = [replace(message, replay_to=consumer) for message in page]
                    async with self._database.transaction() as writing:
                        await outbox.append(writing, addressed)
                    count += len(addressed)
                    self._crash("replay.after_page")
                    await self._pace()
        return count

    async def _pace(self) -> None:
        """Let the relay keep up: a replay must not stand in front of today's events."""
        while True:
            async with self._database.transaction() as conn:
                if await outbox.backlog(conn) < BACKLOG:
                    return
            await asyncio.sleep(0.2)

    async def _repeat_commands(self, consumer: str) -> int:
        """Publish this week's commands to the consumer once more; its inbox knows those that arrived."""
        async with self._database.transaction() as conn:
            cursor = await conn.execute(
                "INSERT INTO outbox (lane, message_id, type, routing_key, organisation, subject, traceparent, body)"
                " SELECT lane, message_id, type, routing_key, organisation, subject, traceparent, body FROM"
                " (SELECT DISTINCT ON (message_id) * FROM outbox WHERE routing_key = %s"
                " AND created_at > now() - %s * interval '1 day' ORDER BY message_id, seq) once",
                (f"command.{consumer}", COMMAND_DAYS),
            )
            return cursor.rowcount
