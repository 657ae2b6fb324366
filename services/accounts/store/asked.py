"""Under what name an account was asked for in a target: written before the call, in a transaction of its own."""

from uuid import UUID

from services.accounts.ports import Asked
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.failures import Transient

Key = tuple[str, UUID, str]
_KEY = "(organisation, person, target) = (%s, %s, %s)"


class DatabaseAskedNames:
    """The port AskedNames, of one target."""

    def __init__(self, database: Database, target: str) -> None:
        self._database = database
        self._target = target

    async def ask(self, organisation: str, person: UUID, name: str, *, within: float) -> Asked | None:
        """Write the name down, unless another one stands; return what stands from within so many seconds before.

        Raises:
            Transient: The database is away: then nothing may be asked for.
        """
        try:
            async with self._database.transaction() as conn:
                return await ask(conn, (organisation, person, self._target), name, within)
        except TRANSIENT as error:
            raise Transient("database.unavailable") from error

    async def unask(self, organisation: str, person: UUID, age: float) -> None:
        """Let what stands be as old as it was before the last request.

        Raises:
            Transient: The database is away.
        """
        await self._write(
            f"UPDATE asked_name SET asked_at = now() - make_interval(secs => %s) WHERE {_KEY}",
            (age, organisation, person, self._target),
        )

    async def settle(self, organisation: str, person: UUID) -> None:
        """Forget the name: it is known what became of the call.

        Raises:
            Transient: The database is away.
        """
        await self._write(f"DELETE FROM asked_name WHERE {_KEY}", (organisation, person, self._target))

    async def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            async with self._database.transaction() as conn:
                await conn.execute(statement, values)
        except TRANSIENT as error:
            raise Transient("database.unavailable") from error


async def ask(conn: Connection, key: Key, name: str, within: float) -> Asked | None:
    """Write the name down or return what stands; by primary key, and the row is locked until the end."""
    cursor = await conn.execute(
        "INSERT INTO asked_name (organisation, person, target, name) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING RETURNING 1",
        (*key, name),
    )
    if await cursor.fetchone() is not None:
        return None
    cursor = await conn.execute(
        f"SELECT name, extract(epoch FROM now() - asked_at)::float FROM asked_name WHERE {_KEY} FOR UPDATE", key
    )
    found = [Asked(*row) for row in await cursor.fetchall()]
    standing = next((one for one in found if one.age < within), None)
    if standing is None or standing.name == name:
        await conn.execute(f"UPDATE asked_name SET name = %s, asked_at = now() WHERE {_KEY}", (name, *key))
    return standing


async def forget(conn: Connection, organisation: str, person: UUID) -> None:
    """Forget what was asked for anywhere for an erased person."""
    await conn.execute("DELETE FROM asked_name WHERE (organisation, person) = (%s, %s)", (organisation, person))
