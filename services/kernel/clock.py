"""Business time and the boundaries of local days.

Business time is the database's clock plus an offset that demo and tests push to every service at once through
`kernel.clock`; production refuses offsets. Leases and retries use the database's clock without the offset.
"""

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

UTC = ZoneInfo("UTC")

BUSINESS_NOW = "(now() + (SELECT clock_offset FROM kernel.clock))"
"""SQL expression (timestamptz): business time, fixed within a transaction."""


class OffsetRefused(Exception):
    """A clock offset was asked for where the installation is in production."""


@lru_cache(8_192)
def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant (UTC) at which the local `day` begins; right across DST, also where midnight is skipped."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


@lru_cache(8_192)
def day_after(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant (UTC) at which access closes after the inclusive last `day`.

    `date.max` has no day after; it means until further notice and is returned as `datetime.max` in UTC.
    """
    if day == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return start_of_day(day + timedelta(days=1), zone)


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """Return the date in `zone` at `instant`."""
    return instant.astimezone(zone).date()


async def business_now(conn: AsyncConnection[TupleRow]) -> datetime:
    """Return business time (UTC), fixed within the transaction."""
    cursor = await conn.execute(f"SELECT {BUSINESS_NOW}")
    row = await cursor.fetchone()
    return cast("datetime", cast("TupleRow", row)[0])


async def database_now(conn: AsyncConnection[TupleRow]) -> datetime:
    """Return the database's clock (UTC) without the offset: when something was recorded."""
    cursor = await conn.execute("SELECT now()")
    row = await cursor.fetchone()
    return cast("datetime", cast("TupleRow", row)[0])


async def set_offset(conn: AsyncConnection[TupleRow], offset: timedelta) -> None:
    """Push an offset to every service.

    Raises:
        OffsetRefused: The installation is in production.
    """
    cursor = await conn.execute(
        "UPDATE kernel.clock SET clock_offset = %s WHERE offsets_allowed RETURNING true", (offset,)
    )
    if await cursor.fetchone() is None:
        raise OffsetRefused("clock offsets are refused in production")
