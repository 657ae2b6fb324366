"""A file that comes, by upload or by a watched folder: stored with its bytes, and planned by whoever works for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO
from uuid import UUID, uuid4

from services.ingestion.handlers.importing import FILES
from services.ingestion.store import files, unit_files
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


REPEATED = timedelta(hours=1)
"""How long the bytes of a file that is done count as the same file."""


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
    modified: datetime | None = None,
    baseline: bool = False,
) -> tuple[FileImport, bool]:
    """Store a file, or find it; tell whether it was there.

    `made`: when HR says that it made the file; else that is when it was `modified`, where that is known. `baseline`:
    the employments that it names first were there before Stafett, and cause no once-only effects.

    The source's newest file once more is the same file, unless it was made anew, it was done an hour ago or more, or
    its plan has been overtaken. Files of one source wait for each other here until the transaction ends.
    """
    now = await business_now(conn)
    before = await files.newest(conn, origin.organisation, origin.source)
    if before is not None and await _same(conn, before, (came.hash, kind, baseline), made, now):
        return before, True
    file = FileImport(
        id=uuid4(),
        organisation=origin.organisation,
        source=origin.source,
        kind=kind,
        name=name,
        hash=came.hash,
        size=came.size,
        made_at=made or min(modified or now, now),
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


async def _same(
    conn: Connection, before: FileImport, said: tuple[bytes, str, bool], made: datetime | None, now: datetime
) -> bool:
    if (before.hash, before.kind, before.baseline) != said or made not in (None, before.made_at):
        return False
    if before.state == "planned":
        moved = unit_files.moved if before.records == "units" else files.moved
        return not await moved(conn, before, ["planned", "held", "unchanged"], 1)
    # who sends once more because no answer came does so soon; tonight's export is another file
    return before.state != "done" or made is not None or now - before.uploaded_at < REPEATED


async def tell(
    conn: Connection, organisation: str, actor: str, action: str, file: UUID, **parameters: str | bool
) -> None:
    """Tell the audit what was done with a file."""
    said = {"file": str(file), **parameters}
    await audit.record(conn, "ingestion", organisation, actor, action, parameters=said)


async def wake_source(conn: Connection, file: FileImport) -> None:
    """Say that there is something to do for a file's source."""
    await work.raise_wanted(conn, [Wake(WorkKey(file.organisation, "source", file.source, FILES))])
