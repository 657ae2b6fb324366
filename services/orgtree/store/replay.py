"""What orgtree can say again: what is in effect for every unit, and where everybody is, under their own ids."""

from collections.abc import AsyncIterator, Sequence

from contracts.registry import INTERNAL, PLACEMENT_CHANGED, UNIT_CHANGED, parse_event
from services.kernel.database import Connection
from services.kernel.messaging.outbox import Outgoing
from services.orgtree.store import placements, units


class OrganisationSource:
    """The kernel's ReplaySource. Units come before the people who are in them."""

    async def messages(
        self, conn: Connection, consumer: str, topics: frozenset[str], *, everything: bool
    ) -> AsyncIterator[Sequence[Outgoing]]:
        """Yield pages of unit.changed, then of placement.changed."""
        del consumer, everything
        for type_, events in ((UNIT_CHANGED, units.events), (PLACEMENT_CHANGED, placements.events)):
            if INTERNAL[type_].topic in topics:
                async for page in events(conn):
                    yield [Outgoing(parse_event(type_, body.encode())) for body in page]
