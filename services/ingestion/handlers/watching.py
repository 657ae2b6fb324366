"""Watched folders: what a source drops is stored by the way of an upload, and moved when its import has ended.

Safe to repeat and to run in several replicas: that a file of a folder is stored is noted in the transaction that stores
it, and it is moved before that is forgotten. Whoever dies in between is followed by somebody who finds the note.
"""

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prometheus_client import Metric

from contracts.sentences import sentence
from services.ingestion.handlers.receiving import FILE_LIMIT, Origin, Spooled, receive
from services.ingestion.ports import Drop, Dropped, DropUnavailable
from services.ingestion.store import drops, files
from services.kernel import telemetry
from services.kernel.clock import UTC
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.gauges import family

log = telemetry.get_logger(__name__)

ENDED = frozenset({"planned", "done", "refused"})
"""States in which a file does not need its folder any more: a plan waits where people see it."""
NAME = 200


@dataclass(frozen=True)
class Watched:
    """A source's folder, and what is agreed of the files in it."""

    organisation: str
    source: str
    kind: str
    plan: bool
    drop: Drop

    @property
    def origin(self) -> Origin:
        """Whose files they are; the folder itself is who brought them."""
        return Origin(self.organisation, self.source, f"folder:{self.source}")


class FoldersWatched:
    """Looks into the folders of sources, each by itself, at most one file of a folder at a time."""

    def __init__(
        self,
        database: Database,
        folders: Mapping[str, Watched],
        wake: Callable[[], None],
        *,
        seconds: float,
        crash: Callable[[str], None],
    ) -> None:
        self._database = database
        self._folders = folders
        self._wake = wake
        self._seconds = seconds
        self._crash = crash
        self._before: dict[str, frozenset[Dropped]] = {}
        self._troubles: dict[str, str] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as group:
            for source in self._folders:
                group.create_task(self._watch(source))

    async def _watch(self, source: str) -> None:
        while True:
            try:
                await self.look(source)
            except TRANSIENT as error:
                log.warning("folder.interrupted", source=source, cause=type(error).__name__)
            await asyncio.sleep(self._seconds)

    async def look(self, source: str) -> None:
        """Look once: take what was as it is at the look before, and move what has been imported."""
        watched = self._folders[source]
        try:
            found = await asyncio.to_thread(watched.drop.files)
            stable = [one for one in found if one in self._before.get(source, frozenset())]
            self._before[source] = frozenset(found)
            async with self._database.transaction() as conn:
                lying = await drops.lying(conn, watched.organisation, source)
            for one in stable:
                if lying.get(one.label, (0, 0))[:2] != (one.size, one.modified):
                    await self._taken(watched, one)
            await self._settled(watched, {one.label: one for one in found})
        except DropUnavailable as trouble:
            if self._troubles.get(source) != trouble.code:
                log.error("folder.unavailable", source=source, code=trouble.code)  # noqa: TRY400 - a folder that is away is no fault of ours
            self._troubles[source] = trouble.code
        else:
            self._troubles.pop(source, None)

    async def problem(self) -> str | None:
        """Return which folders cannot be used, for readiness."""
        return ", ".join(f"folder of {source}: {code}" for source, code in sorted(self._troubles.items())) or None

    async def measured(self, _conn: Connection) -> list[Metric]:
        """Tell which folders can be used."""
        usable = {(source,): float(source not in self._troubles) for source in self._folders}
        return [
            family("stafett_folder_usable", "Whether a watched folder can be read and written.", ["source"], usable)
        ]

    async def _taken(self, watched: Watched, dropped: Dropped) -> None:
        if dropped.size > FILE_LIMIT:
            log.warning("folder.too_large", source=watched.source, size=dropped.size)
            await asyncio.to_thread(watched.drop.settle, dropped, _words("file.too_large", {"limit": FILE_LIMIT >> 20}))
            return
        with tempfile.TemporaryFile() as spooled:
            digest = await asyncio.to_thread(watched.drop.read, dropped, spooled)
            if digest is None:
                return
            came = Spooled(spooled, dropped.size, digest)
            async with self._database.transaction() as conn:
                if not await self._ours(conn, watched, dropped):
                    return
                # what it says held when it was written: an event that came since is newer
                modified = datetime.fromtimestamp(dropped.modified / 1e9, UTC)
                name = dropped.label[:NAME]
                file, same = await receive(
                    conn, watched.origin, came, kind=watched.kind, name=name, plan=watched.plan, modified=modified
                )
                await drops.note(conn, file, dropped.label, dropped.size, dropped.modified)
        self._crash("folder.after_store")
        log.info("folder.taken", source=watched.source, file=str(file.id), duplicate=same)
        self._wake()

    async def _ours(self, conn: Connection, watched: Watched, dropped: Dropped) -> bool:
        """Tell whether nobody has stored a file, others kept out: moved before it is forgotten, it is gone or noted."""
        known = await drops.known(conn, watched.organisation, watched.source, dropped.label)
        return known != (dropped.size, dropped.modified) and await asyncio.to_thread(watched.drop.still, dropped)

    async def _settled(self, watched: Watched, found: Mapping[str, Dropped]) -> None:
        async with self._database.transaction() as conn:
            lying = await drops.lying(conn, watched.organisation, watched.source)
        for label, (size, modified, file) in lying.items():
            one = found.get(label)
            there = one is not None and (one.size, one.modified) == (size, modified)
            if one is not None and there:
                reason = await self._reason(watched, file)
                if reason is None or not await asyncio.to_thread(watched.drop.settle, one, reason or None):
                    continue
                self._crash("folder.after_move")
            elif one is not None or await self._fresh(watched, label, modified):
                # another one has come in its place, or it was stored after this look began
                continue
            async with self._database.transaction() as conn:
                await drops.forget(conn, watched.organisation, watched.source, label, modified)

    async def _fresh(self, watched: Watched, label: str, modified: int) -> bool:
        names = {(one.label, one.modified) for one in await asyncio.to_thread(watched.drop.files)}
        return (label, modified) in names

    async def _reason(self, watched: Watched, file: UUID) -> str | None:
        """Return why a file is rejected, '' when it is not, None while its import goes on."""
        async with self._database.transaction() as conn:
            found = await files.find(conn, watched.organisation, file)
        if found is None or found.state not in ENDED:
            return "" if found is None else None
        return _words(found.code or "", found.parameters) if found.state == "refused" else ""


def _words(code: str, parameters: Mapping[str, str | int]) -> str:
    return "".join(f"{sentence(code, parameters, language)}\n" for language in ("sv", "en")) + f"({code})\n"
