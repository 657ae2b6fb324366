"""From a commit to every open stream: intake says what has changed, listeners of all replicas pass it on."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from contracts.registry import AUDIT_RECORDED, INTERNAL
from services.kernel import telemetry
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.messaging.intake import Handler, Incoming
from services.status.domain.stream import EVERYTHING, MANY, Change
from services.status.handlers.intake import COMMANDS
from services.status.store import stream as store

log = telemetry.get_logger(__name__)

BACKLOG = 100
AUDIT = INTERNAL[AUDIT_RECORDED].topic
ABOUT_PEOPLE = frozenset({"person.core", "account.changed", "service.evaluated", "step.recorded"})


class Broadcast:
    """Hands changes to whoever reads a stream of this process; who reads too slowly is told to look at everything."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers: dict[asyncio.Queue[Change], str] = {}
        self._listening = asyncio.Event()

    async def listening(self) -> None:
        """Return when what is committed from now on will be heard."""
        await self._listening.wait()

    @contextmanager
    def reader(self, organisation: str) -> Iterator[asyncio.Queue[Change]]:
        """Yield a queue of an organisation's changes from now on; others' take no place in it."""
        queue: asyncio.Queue[Change] = asyncio.Queue(BACKLOG)
        self._readers[queue] = organisation
        try:
            yield queue
        finally:
            del self._readers[queue]

    async def run(self) -> None:
        """Listen until cancelled; after an interruption readers are told to look at everything."""
        while True:
            await self._database.wait()
            try:
                async for payload in self._database.notifications(store.CHANNEL):
                    if payload is None:
                        self._begin()
                    else:
                        self._hand_out(Change.model_validate_json(payload))
            except TRANSIENT as error:
                log.warning("stream.interrupted", cause=type(error).__name__)
            finally:
                self._listening.clear()

    def _begin(self) -> None:
        """What was said while nobody listened is lost: every reader looks at everything."""
        self._listening.set()
        for queue, organisation in self._readers.items():
            _put(queue, Change(organisation=organisation, topic=EVERYTHING, persons=None))

    def _hand_out(self, change: Change) -> None:
        for queue, organisation in self._readers.items():
            if organisation == change.organisation:
                _put(queue, change)


def _put(queue: asyncio.Queue[Change], change: Change) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        change = change.model_copy(update={"topic": EVERYTHING, "persons": None})
    queue.put_nowait(change)


def telling(topic: str, handler: Handler) -> Handler:
    """Return the handler, with word of what it changed for the streams, in its transaction.

    That somebody has read something is not told: who is told reads, and would be told of that again. What a command
    did is.
    """

    async def told(conn: Connection, messages: Sequence[Incoming]) -> None:
        await handler(conn, messages)
        by_organisation: dict[str, set[UUID]] = {}
        for message in messages:
            if topic == AUDIT and message.event.data.action not in COMMANDS:
                continue
            about = by_organisation.setdefault(message.event.organisation, set())
            if topic in ABOUT_PEOPLE:
                about.add(message.event.data.person)
        changes = [await _change(conn, topic, *one) for one in sorted(by_organisation.items())]
        if changes:
            await store.tell(conn, [change.model_dump_json() for change in changes])

    return told


async def _change(conn: Connection, topic: str, organisation: str, persons: set[UUID]) -> Change:
    if len(persons) > MANY:
        return Change(organisation=organisation, topic=topic, persons=None)
    hidden = await store.hidden(conn, organisation, sorted(persons)) if persons else set[UUID]()
    return Change(organisation=organisation, topic=topic, persons=tuple(sorted(persons - hidden)), hidden=bool(hidden))
