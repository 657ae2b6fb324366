"""Saying again what was said: versions of persons and units under the ids of their first publication."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from contracts.codes import Lane
from services.ingestion.handlers import announcing
from services.ingestion.store.versions import persons_told, units_told
from services.kernel.database import Connection
from services.kernel.messaging.outbox import Outgoing


class LedgerReplay:
    """Replays the newest versions, or all of them with their original times to who keeps a history."""

    async def messages(
        self, conn: Connection, consumer: str, topics: frozenset[str], *, everything: bool
    ) -> AsyncIterator[Sequence[Outgoing]]:
        """Yield pages, oldest first: what was urgent in the last day, units, then all persons.

        Nobody waits for a dismissal behind 50,000 others; who hears of it twice knows its id.
        """
        del consumer
        sections = [
            section
            for topic, section in (("person.core", announcing.core), ("person.confidential", announcing.confidential))
            if topic in topics
        ]
        if sections:
            async for persons in persons_told(conn, everything=False, urgent_only=True):
                yield [replace(section(told), lane=Lane.EXPRESS) for told in persons for section in sections]
        if "unit.recorded" in topics:
            async for units in units_told(conn, everything=everything):
                yield [announcing.unit(told) for told in units]
        if sections:
            async for persons in persons_told(conn, everything=everything):
                yield [replace(section(told), lane=Lane.BULK) for told in persons for section in sections]
