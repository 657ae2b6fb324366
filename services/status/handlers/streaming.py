"""From a commit to every open stream: intake says what has changed, listeners of all replicas pass it on."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from services.kernel import telemetry
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.messaging.intake import Handler, Incoming
from services.status.domain.stream import MANY, Change
from services.status.store import stream as store

log = telemetry.get_logger(__name__)

BACKLOG = 100
ABOUT_PEOPLE = frozenset({"person.core", "account.changed", "service.evaluated", "step.recorded"})


class Broadcast:
    """Hands changes to whoever reads a stream of this process; who reads too slowly is told to look at everything."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers: set[asyncio.Queue[Change]] = set()

    @contextmanager
    def reader(self) -> Iterator[asyncio.Queue[Change]]:
        """Yield a queue of changes from now on."""
        queue: asyncio.Queue[Change] = asyncio.Queue(BACKLOG)
        self._readers.add(queue)
        try:
            yield queue
        finally:
            self._readers.discard(queue)

    async def run(self) -> None:
        """Listen until cancelled; after an interruption readers are told to look at everything."""
        while True:
            await self._database.wait()
            try:
                async for payload in self._database.notifications(store.CHANNEL):
                    self._hand_out(Change.model_validate_json(payload))
            except TRANSIENT as error:
                log.warning("stream.interrupted", cause=type(error).__name__)

    def _hand_out(self, change: Change) -> None:
        for queue in self._readers:
            told = change
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                told = change.model_copy(update={"persons": None, "hidden": None})
            queue.put_nowait(told)


def telling(topic: str, handler: Handler) -> Handler:
    """Return the handler, with word of what it changed for the streams, in its transaction."""

    async def told(conn: Connection, messages: Sequence[Incoming]) -> None:
        await handler(conn, messages)
        by_organisation: dict[str, set[UUID]] = {}
        for message in messages:
            about = by_organisation.setdefault(message.event.organisation, set())
            if topic in ABOUT_PEOPLE:
                about.add(message.event.data.person)
        changes = [await _change(conn, topic, *one) for one in sorted(by_organisation.items())]
        await store.tell(conn, [change.model_dump_json() for change in changes])

    return told


async def _change(conn: Connection, topic: str, organisation: str, persons: set[UUID]) -> Change:
    if len(persons) > MANY:
        return Change(organisation=organisation, topic=topic, persons=None, hidden=None)
    hidden = await store.hidden(conn, organisation, sorted(persons)) if persons else set[UUID]()
    return Change(
        organisation=organisation, topic=topic, persons=tuple(sorted(persons - hidden)), hidden=tuple(sorted(hidden))
    )
