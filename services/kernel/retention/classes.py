"""Data classes: what is purged together, when it is old, and how a portion of it is forgotten."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.kernel.database import Connection

AT_ONCE = 2_000
"""Rows of a portion: a transaction of the purge is short, however much there is to forget the first time."""

INSTALLATION = ""
"""In the place of an organisation: the data is the installation's, and so is the policy."""


@dataclass(frozen=True)
class Portion:
    """What a transaction has forgotten. `after`: where the next one begins; None when nothing old is left."""

    rows: int
    after: str | None


class Forget(Protocol):
    """Forgets a portion of what is old: a few thousand rows at most, found by an index."""

    async def __call__(self, conn: Connection, organisation: str, days: int, after: str) -> Portion:
        """Forget in the caller's transaction; `after` is '' at first. Safe to repeat from any place."""
        ...


class Oldest(Protocol):
    """Tells how old the oldest of what is kept is."""

    async def __call__(self, conn: Connection, organisation: str) -> datetime | None:
        """Return when the oldest came, or None when there is nothing. Asked once a day."""
        ...


@dataclass(frozen=True)
class DataClass:
    """What is purged together.

    `days`: the policy by organisation, or of `INSTALLATION` alone. `audited`: whether the organisation's audit tells of
    each purge; not of what holds nothing but ids.
    """

    name: str
    days: Mapping[str, int]
    forget: Forget
    oldest: Oldest
    audited: bool = True


def rows(
    name: str,
    days: Mapping[str, int],
    *,
    table: str,
    key: str,
    at: str,
    settled: str = "true",
    owned: bool = False,
    audited: bool = True,
) -> DataClass:
    """Return a class whose rows are each old by their own time.

    Args:
        name: The class.
        days: Its policy.
        table: Where it lies.
        key: The primary key's columns.
        at: The column that ages; it has an index, behind `organisation` where the table is owned.
        settled: SQL condition; a row for which it does not hold is kept however old it is.
        owned: Whether rows belong to organisations.
        audited: As in `DataClass`.
    """
    mine = "organisation = %(organisation)s AND " if owned else ""
    forgetting = (
        f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {mine}({settled})"
        f" AND {at} < now() - %(days)s * interval '1 day' ORDER BY {at} LIMIT %(limit)s FOR UPDATE SKIP LOCKED)"
    )

    async def forget(conn: Connection, organisation: str, days: int, after: str) -> Portion:
        cursor = await conn.execute(forgetting.encode(), {"organisation": organisation, "days": days, "limit": AT_ONCE})
        return Portion(cursor.rowcount, after if cursor.rowcount == AT_ONCE else None)

    return DataClass(name, days, forget, oldest_of(table, at, owned=owned), audited=audited)


def oldest_of(table: str, at: str, *, owned: bool) -> Oldest:
    """Return what asks for the least of a column, of an organisation's rows or of all."""
    where = " WHERE organisation = %(organisation)s" if owned else ""
    asking = f"SELECT min({at}) FROM {table}{where}"

    async def oldest(conn: Connection, organisation: str) -> datetime | None:
        cursor = await conn.execute(asking.encode(), {"organisation": organisation})
        row = await cursor.fetchone()
        return row[0] if row else None

    return oldest
