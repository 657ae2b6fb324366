"""Saying again what was said: versions of persons and units under the ids of their first publication."""

from collections.abc import AsyncIterator, Sequence

from services.ingestion.handlers import announcing
from services.ingestion.store.versions import persons_told, units_told
from services.kernel.database import Connection
from services.kernel.messaging.outbox import Outgoing


class LedgerReplay:
    """Replays the newest versions, or all of them with their original times to who keeps a history."""

    async def messages(
        self, conn: Connection, consumer: str, topics: frozenset[str], *, everything: bool
    ) -> AsyncIterator[Sequence[Outgoing]]:
        """Yield pages, oldest first; units before persons, so that whoever waits for a unit need not."""
        del consumer
        if "unit.recorded" in topics:
            async for units in units_told(conn, everything=everything):
                yield [announcing.unit(told) for told in units]
        sections = [
            section
            for topic, section in (("person.core", announcing.core), ("person.confidential", announcing.confidential))
            if topic in topics
        ]
        if sections:
            async for persons in persons_told(conn, everything=everything):
                yield [section(told) for told in persons for section in sections]
