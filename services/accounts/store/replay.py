"""What accounts can say again: the last account.changed of every account, under its own id."""

from collections.abc import AsyncIterator, Sequence

from contracts.registry import ACCOUNT_CHANGED, INTERNAL, parse_event
from services.accounts.store import accounts
from services.kernel.database import Connection
from services.kernel.messaging.outbox import Outgoing


class AccountSource:
    """The kernel's ReplaySource. Only the newest state is kept; what was said before is in the retained outbox."""

    async def messages(
        self, conn: Connection, consumer: str, topics: frozenset[str], *, everything: bool
    ) -> AsyncIterator[Sequence[Outgoing]]:
        """Yield pages of account.changed."""
        del consumer, everything
        if INTERNAL[ACCOUNT_CHANGED].topic not in topics:
            return
        async for page in accounts.events(conn):
            yield [Outgoing(parse_event(ACCOUNT_CHANGED, body.encode())) for body in page]
