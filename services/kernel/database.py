"""PostgreSQL: one pool per process, one schema and role per service."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import orjson
import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_dumps
from psycopg_pool import AsyncConnectionPool, PoolTimeout

Connection = AsyncConnection[TupleRow]


def recordset(rows: Iterable[Mapping[str, object]]) -> str:
    """Return rows as the one parameter of `json_to_recordset(%s::json)`: a third of the cost of arrays for unnest.

    A text that is JSON already goes in as it is, as an `orjson.Fragment`, to a column of type jsonb.
    """
    return orjson.dumps(list(rows)).decode()


class DatabaseUnavailable(Exception):
    """No connection can be had now; wait and come back."""


TRANSIENT = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, DatabaseUnavailable)
"""What a database that is away, restarting or shutting down raises; deadlocks are OperationalErrors too."""

_AWAY = ("08", "40", "53", "55P03", "57")
_NOT_OURS = ("42P01", "42703", "42883", "42501")


def is_outage(error: BaseException) -> bool:
    """Tell whether an error is the database's state and not the data's, by SQLSTATE (PostgreSQL, appendix A).

    An index row that is too large (54000) is an OperationalError to psycopg, yet it will fail for ever; a table that
    is missing (42P01) is a migration that has not run, whatever the data.
    """
    if isinstance(error, (PoolTimeout, DatabaseUnavailable, psycopg.InterfaceError)):
        return True
    if not isinstance(error, psycopg.Error):
        return False
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state.startswith(_AWAY) or state in _NOT_OURS


SESSION_OPTIONS = "-c statement_timeout=60s -c lock_timeout=15s -c idle_in_transaction_session_timeout=20s"
"""A process that is paused in a transaction, or a server that is cut off, must not hold the others for minutes."""


async def _configure(conn: Connection) -> None:
    conn.prepare_threshold = 3
    await conn.execute("SET TIME ZONE 'UTC'")
    await conn.commit()


class Database:
    """A pool that may start before its server is there."""

    def __init__(self, url: str, *, name: str, max_size: int = 12) -> None:
        set_json_dumps(lambda value: orjson.dumps(value).decode())
        self._pool = AsyncConnectionPool(
            url,
            min_size=min(2, max_size),
            max_size=max_size,
            open=False,
            timeout=5.0,
            max_idle=300,
            reconnect_timeout=5.0,
            configure=_configure,
            kwargs={
                "application_name": f"stafett-{name}",
                "connect_timeout": 3,
                "options": SESSION_OPTIONS,
                "tcp_user_timeout": 10_000,
                "keepalives_idle": 10,
            },
        )

    async def open(self) -> None:
        """Start the pool in the background; a missing server is no error here."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close(timeout=5)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Yield a connection in a transaction that commits on exit and rolls back on an exception.

        Raises:
            DatabaseUnavailable: No connection could be had.
        """
        try:
            async with self._pool.connection() as conn:
                yield conn
        except PoolTimeout as error:
            raise DatabaseUnavailable(str(error)) from error

    async def notifications(self, channel: str) -> AsyncIterator[str | None]:
        """Yield None when it listens, then what is said on `channel` (NOTIFY), on a connection that is never reused.

        Raises:
            psycopg.OperationalError: The connection ended; what was said meanwhile is lost.
        """
        async with self._pool.connection() as conn:
            try:
                await conn.set_autocommit(True)
                await conn.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                yield None
                async for found in conn.notifies():
                    yield found.payload
            finally:
                await conn.close()

    async def problem(self) -> str | None:
        """Return why the database cannot be used, or None."""
        try:
            async with asyncio.timeout(2), self.transaction() as conn:
                await conn.execute("SELECT 1")
        except (*TRANSIENT, TimeoutError) as error:
            return f"database: {type(error).__name__}"
        return None

    async def wait(self) -> None:
        """Return when the database answers; looks with jitter, at most two seconds apart."""
        while await self.problem() is not None:  # noqa: ASYNC110 - a server elsewhere sets no event
            await asyncio.sleep(random.uniform(0.2, 2.0))  # noqa: S311 - jitter, not a secret
