"""Files that lie in watched folders and are stored: a row as long as the file is there."""

from uuid import UUID

from services.ingestion.store.files import FileImport
from services.kernel.database import Connection


async def lying(conn: Connection, organisation: str, source: str) -> dict[str, tuple[int, int, UUID]]:
    """Return what is known to lie in a source's folder: size, time and file by name."""
    cursor = await conn.execute(
        "SELECT name, size, modified, file FROM file_drop WHERE organisation = %s AND source = %s",
        (organisation, source),
    )
    return {row[0]: (row[1], row[2], row[3]) for row in await cursor.fetchall()}


async def known(conn: Connection, organisation: str, source: str, name: str) -> tuple[int, int] | None:
    """Return size and time of a file that is stored, having waited for whoever stores one of this source."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtext('file_import'), hashtext(%s))", (source,))
    cursor = await conn.execute(
        "SELECT size, modified FROM file_drop WHERE organisation = %s AND source = %s AND name = %s",
        (organisation, source, name),
    )
    row = await cursor.fetchone()
    return None if row is None else (row[0], row[1])


async def note(conn: Connection, file: FileImport, name: str, size: int, modified: int) -> None:
    """Note that a file of a folder is stored; one of the same name before it is there no more."""
    await conn.execute(
        "INSERT INTO file_drop (organisation, source, name, size, modified, file) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (organisation, source, name) DO UPDATE SET size = excluded.size, modified = excluded.modified,"
        " file = excluded.file",
        (file.organisation, file.source, name, size, modified, file.id),
    )


async def forget(conn: Connection, organisation: str, source: str, name: str, modified: int) -> None:
    """Forget a file that is not in its folder any more."""
    await conn.execute(
        "DELETE FROM file_drop WHERE organisation = %s AND source = %s AND name = %s AND modified = %s",
        (organisation, source, name, modified),
    )
