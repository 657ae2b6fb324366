"""A file that comes, by upload or by a watched folder: stored with its bytes, and planned by whoever works for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO
from uuid import UUID, uuid4

from services.ingestion.handlers.importing import FILES
from services.ingestion.store import files
from services.ingestion.store.files import FileImport
from services.kernel import audit, telemetry, work
from services.kernel.clock import business_now
from services.kernel.database import Connection
from services.kernel.work import Wake, WorkKey

FILE_LIMIT = 64 * 1024 * 1024
"""Bytes of a file: 200,000 rows of 300 bytes."""

PART = 1 << 20


@dataclass(frozen=True)
class Spooled:
    """What came, on disk."""

    file: BinaryIO
    size: int
    hash: bytes

    def parts(self) -> list[bytes]:
        """The bytes, in parts of a megabyte."""
        self.file.seek(0)
        return list(iter(lambda: self.file.read(PART), b""))


@dataclass(frozen=True)
class Origin:
    """Whose file it is, and who brought it."""

    organisation: str
    source: str
    actor: str


async def receive(
    conn: Connection,
    origin: Origin,
    came: Spooled,
    *,
    kind: str,
    name: str,
    plan: bool,
    made: datetime | None = None,
    baseline: bool = False,
) -> tuple[FileImport, bool]:
    """Store a file, or find it; tell whether it was there.

    `baseline`: the employments that it names first were there before Stafett, and cause no once-only effects.

    The source's newest file once more is the same file, unless it was made anew. Files of one source wait for each
    other here until the transaction ends.
    """
    now = await business_now(conn)
    before = await files.newest(conn, origin.organisation, origin.source)
    same = before is not None and (before.hash, before.kind) == (came.hash, kind)
    if before is not None and same and made in (None, before.made_at):
        return before, True
    file = FileImport(
        id=uuid4(),
        organisation=origin.organisation,
        source=origin.source,
        kind=kind,
        name=name,
        hash=came.hash,
        size=came.size,
        made_at=made or now,
        plan=plan,
        baseline=baseline,
        actor=origin.actor,
        uploaded_at=now,
        state="received",
        row_count=0,
        person_count=0,
        unread=0,
        code=None,
        reason=None,
        finished_at=None,
        traceparent=telemetry.current_traceparent(),
    )
    await files.add(conn, file, came.parts())
    await tell(
        conn, origin.organisation, origin.actor, "file.uploaded", file.id, kind=kind, plan=plan, baseline=baseline
    )
    await wake_source(conn, file)
    return file, False


async def tell(
    conn: Connection, organisation: str, actor: str, action: str, file: UUID, **parameters: str | bool
) -> None:
    """Tell the audit what was done with a file."""
    said = {"file": str(file), **parameters}
    await audit.record(conn, "ingestion", organisation, actor, action, parameters=said)


async def wake_source(conn: Connection, file: FileImport) -> None:
    """Say that there is something to do for a file's source."""
    await work.raise_wanted(conn, [Wake(WorkKey(file.organisation, "source", file.source, FILES))])
