"""Whose manager is who: read for many people at once, and whom it concerns is looked at again, a few at a time."""

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import date
from uuid import UUID

from contracts.person import CoreRecord
from services.accounts.domain.managers import Named, Superior, line, superior
from services.accounts.domain.units import Unit
from services.accounts.handlers.intake import PERSON
from services.accounts.store import managers
from services.kernel import telemetry
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.work import Wake, WorkKey, raise_wanted

log = telemetry.get_logger(__name__)

Key = tuple[str, UUID]

BATCH = 100
"""How many people are woken at once."""
PAUSE_SECONDS = 0.5
"""How long others go first then."""
LOOK_SECONDS = 1.0
NEWS = 500


async def superiors(
    conn: Connection,
    target: str,
    people: Mapping[Key, tuple[CoreRecord, date]],
    units: Mapping[tuple[str, str], Unit],
) -> dict[Key, Superior]:
    """Return who the managers of people are in a target, in one round.

    Args:
        conn: The pass's transaction.
        target: Where the accounts are.
        people: (organisation, person) to the newest record and the local date.
        units: By (organisation, unit).
    """
    here: dict[str, dict[str, Unit]] = {}
    for (organisation, unit), found in units.items():
        here.setdefault(organisation, {})[unit] = found
    ways: dict[Key, tuple[Named, ...]] = {
        key: line(record, key[1], here.get(key[0], {}), on) for key, (record, on) in people.items()
    }
    named = sorted({(key[0], step) for key, way in ways.items() for step in way if isinstance(step, UUID)})
    leaders = await managers.leaders(conn, target, named) if named else {}
    return {
        key: superior(
            way,
            {step: leaders[key[0], step] for step in way if isinstance(step, UUID)},
            {key[1], *people[key][0].aliases},
        )
        for key, way in ways.items()
    }


class Followers:
    """Looks at the people whose manager's account came, moved or went, or whose units changed, until cancelled.

    A manager of thousands holds up nobody: so many are woken, then others go first. Safe to be killed anywhere.

    Args:
        database: The service's.
        committed: Called when work was asked for.
        longest_pass: Seconds after which no pass can end any more (the lease).
    """

    def __init__(self, database: Database, committed: Callable[[], None], *, longest_pass: float) -> None:
        self._database = database
        self._again = 2 * longest_pass
        self._committed = committed

    async def run(self) -> None:
        """Wake whom it concerns until cancelled."""
        while True:
            try:
                more = await self.once()
            except TRANSIENT as error:
                log.warning("managers.interrupted", cause=type(error).__name__)
                more = False
            await asyncio.sleep((PAUSE_SECONDS if more else LOOK_SECONDS) * random.uniform(0.8, 1.2))  # noqa: S311 - jitter

    async def once(self) -> bool:
        """Wake a few; tell whether there may be more."""
        async with self._database.transaction() as conn:
            news = await managers.spread(conn, NEWS, again=self._again)
        async with self._database.transaction() as conn:
            taken = await managers.take(conn, BATCH)
            await raise_wanted(
                conn, [Wake(WorkKey(organisation, PERSON, str(who), target)) for organisation, who, target in taken]
            )
        if taken:
            self._committed()
            log.info("managers.changed", people=len(taken))
        return news == NEWS or len(taken) == BATCH
