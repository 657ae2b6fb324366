"""The installation's business clock, which the demo pins and moves on; never back, once people are there."""

import asyncio
from datetime import datetime
from typing import cast

from psycopg import AsyncConnection, OperationalError
from psycopg.rows import TupleRow

from deploy.demo.patience import again
from services.kernel import clock


class BusinessClock:
    """Business time of the installation whose database is at `url` (an administrator's)."""

    def __init__(self, url: str) -> None:
        self._url = url

    def now(self) -> datetime:
        """Return business time."""
        return again(lambda: asyncio.run(self._now()), OperationalError)

    def pin(self, instant: datetime) -> None:
        """Make it `instant` now, whatever it was: only where nothing has happened yet."""
        again(lambda: asyncio.run(self._set(instant)), OperationalError)

    def advance(self, instant: datetime) -> bool:
        """Make it `instant` now, unless it is that late already; tell whether it moved."""
        if self.now() >= instant:
            return False
        self.pin(instant)
        return True

    async def _now(self) -> datetime:
        async with await AsyncConnection.connect(self._url) as conn:
            return await clock.business_now(conn)

    async def _set(self, instant: datetime) -> None:
        async with await AsyncConnection.connect(self._url) as conn:
            row = cast("TupleRow", await (await conn.execute("SELECT now()")).fetchone())
            await clock.set_offset(conn, instant - row[0])
