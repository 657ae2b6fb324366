"""Redelivery: letters that a person asked for go through the intake of their queue once more, outside any command.

The command only marks them, so that it holds no lock while they are taken in. One letter at a time, each claimed for a
minute: a crash in the middle takes it in again, which its id in the inbox makes safe.
"""

import asyncio
from collections.abc import Awaitable, Callable

from services.kernel import telemetry
from services.kernel.database import TRANSIENT, Database
from services.kernel.messaging import outbox
from services.kernel.messaging.dead import DeadLetters, Delivery

log = telemetry.get_logger(__name__)

LOOK_SECONDS = 1.0


class Redelivery:
    """Works off the letters of one service.

    Args:
        service: Its name.
        database: Its database.
        dead: Its letters.
        take_in: Takes a delivery through the intake of the queue that is named; a new failure keeps it anew.
        committed: Called after a letter went back to the outbox, so that the relay looks at once.
    """

    def __init__(
        self,
        service: str,
        database: Database,
        dead: DeadLetters,
        take_in: Callable[[str, Delivery], Awaitable[None]],
        committed: Callable[[], None],
    ) -> None:
        self._service = service
        self._database = database
        self._dead = dead
        self._take_in = take_in
        self._committed = committed

    async def run(self) -> None:
        """Take in what is asked for until cancelled; the database may come and go."""
        while True:
            try:
                while await self.advance():
                    pass
            except TRANSIENT as error:
                log.warning("redelivery.interrupted", cause=type(error).__name__)
            except Exception:
                # whatever one letter can cause must not stop the service; it comes up again in a minute
                log.exception("redelivery.failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def advance(self) -> bool:
        """Take one letter in; return false when none is asked for."""
        async with self._database.transaction() as conn:
            found = await self._dead.exhume(conn)
        if found is None:
            return False
        letter, delivery = found
        home = delivery.home(self._service) if delivery else None
        if delivery is not None and home is not None:
            await self._take_in(home, delivery)
        async with self._database.transaction() as conn:
            if delivery is None:
                log.error("redelivery.unreadable", letter=str(letter))
                await self._dead.put_back(conn, letter)
                return True
            if home is None:
                await outbox.append_raw(conn, delivery)
            await self._dead.redelivered(conn, letter)
        self._committed()
        return True
