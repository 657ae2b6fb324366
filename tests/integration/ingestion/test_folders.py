"""Watched folders: real files on disk and the real service; each look and each pass of the worker is a step."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from typing_extensions import override

from contracts.sentences import sentence
from services.ingestion.adapters.drops import DropFolder
from services.ingestion.bootstrap import _now
from services.ingestion.handlers import watching
from services.ingestion.handlers.watching import FoldersWatched, Watched
from services.ingestion.ports import Dropped
from tests.integration.ingestion.test_files import Crashed, Desk, desk, line, sheet, staff

__all__ = ["desk"]


class Folder:
    """A folder on disk, and a process that looks into it."""

    def __init__(self, desk: Desk, path: Path, kind: str = "delta", *, plan: bool = False) -> None:
        self.desk = desk
        self.path = path
        self.watched = Watched(desk.key, desk.source, kind, plan, DropFolder(path, _now))
        self.crash_at: str | None = None
        self.replica = self.process()

    def process(self) -> FoldersWatched:
        def crash(point: str) -> None:
            if point == self.crash_at:
                raise Crashed

        database = self.desk.service.database
        return FoldersWatched(database, {self.desk.source: self.watched}, lambda: None, seconds=60, crash=crash)

    def drop(self, name: str, content: bytes) -> Path:
        file = self.path / name
        file.write_bytes(content)
        return file

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            await self.replica.look(self.desk.source)

    async def told(self, name: str, content: bytes) -> None:
        """Drop a file, and let all be done about it that there is to do."""
        self.drop(name, content)
        await self.look(2)
        await self.desk.work()
        await self.look()

    def lying(self) -> list[str]:
        return sorted(one.name for one in self.path.iterdir() if one.is_file())

    def moved(self, where: str) -> list[str]:
        """Names of what was moved, without their times."""
        found = sorted(one.name for one in (self.path / where).iterdir())
        assert all(name[:8].isdigit() and name[22] == "-" for name in found), found
        return [name[23:] for name in found]

    def stored(self) -> list[tuple[Any, ...]]:
        return self.desk.site.rows(
            "SELECT name, state, actor FROM file_import WHERE organisation = %s ORDER BY seq", self.desk.key
        )


@pytest.fixture
def folder(desk: Desk, tmp_path: Path) -> Folder:
    path = tmp_path / "drop"
    path.mkdir()
    return Folder(desk, path)


async def test_a_file_is_taken_when_it_is_stable_and_moved_when_it_is_imported(folder: Folder) -> None:
    file = folder.drop("personal.csv", staff(1))
    await folder.look()
    assert folder.stored() == [], "it may still grow"
    with file.open("ab") as more:
        more.write(line("p-2").encode("cp1252") + b"\r\n")
    await folder.look()
    assert folder.stored() == []
    await folder.look()
    assert folder.stored() == [("personal.csv", "received", f"folder:{folder.desk.source}")]
    await folder.look(2)
    assert folder.lying() == ["personal.csv"], "it lies there until it is imported"
    await folder.desk.work()
    await folder.look()
    assert (folder.lying(), folder.moved("done"), folder.desk.count("fact")) == ([], ["personal.csv"], 2)
    assert folder.desk.count("file_drop") == 0


async def test_what_is_hidden_unfinished_or_a_link_is_left_alone(folder: Folder, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_bytes(staff(1))
    for name in (".hidden.csv", "a.csv.part", "b.TMP", "c.csv.filepart"):
        folder.drop(name, staff(1))
    (folder.path / "link.csv").symlink_to(secret)
    (folder.path / "folder.csv").mkdir()
    os.mkfifo(folder.path / "pipe.csv")
    await folder.look(3)
    assert folder.stored() == []
    assert secret.exists()


async def test_a_refused_file_is_moved_with_the_reason_in_words(folder: Folder) -> None:
    await folder.told("tom.csv", b"")
    assert folder.moved("rejected") == ["tom.csv", "tom.csv.reason.txt"]
    (reason,) = (folder.path / "rejected").glob("*.reason.txt")
    assert sentence("file.empty", {}, "sv") in reason.read_text()
    assert sentence("file.empty", {}, "en") in reason.read_text()


async def test_a_file_that_is_too_large_is_not_read(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FILE_LIMIT", 100)
    await folder.told("stor.csv", staff(1, 2))
    assert (folder.stored(), folder.moved("rejected")) == ([], ["stor.csv", "stor.csv.reason.txt"])


async def test_the_same_file_twice_is_one_and_no_name_is_overwritten(folder: Folder) -> None:
    for _ in range(2):
        await folder.told("personal.csv", staff(1))
    assert (len(folder.stored()), folder.moved("done")) == (1, ["personal.csv"] * 2)
    await folder.told("personal.csv", staff(2))
    await folder.told("personal.csv", staff(1))
    assert len(folder.stored()) == 3, "a file that comes back after another is told again"


async def test_who_dies_before_the_file_is_moved_stores_it_once_whatever_came_after(folder: Folder) -> None:
    folder.crash_at = "folder.after_store"
    folder.drop("a.csv", sheet(line("p-1", TITEL="")))
    with pytest.raises(Crashed):
        await folder.look(2)
    folder.replica = folder.process()
    folder.crash_at = None
    # another file of the source, by upload, tells something newer: the first one must not be told after it
    await folder.desk.told(sheet(line("p-1", "Ek, Bo")))
    await folder.look(3)
    assert [row[0] for row in folder.stored()] == ["a.csv", ""]
    assert (folder.moved("done"), folder.desk.count("fact")) == (["a.csv"], 2)


async def test_who_dies_after_the_file_is_moved_leaves_nothing_to_do_twice(folder: Folder) -> None:
    folder.drop("a.csv", staff(1))
    await folder.look(2)
    await folder.desk.work()
    folder.crash_at = "folder.after_move"
    with pytest.raises(Crashed):
        await folder.look()
    folder.replica, folder.crash_at = folder.process(), None
    assert folder.desk.count("file_drop") == 1
    await folder.look(2)
    assert (len(folder.stored()), folder.moved("done"), folder.desk.count("file_drop")) == (1, ["a.csv"], 0)


async def test_two_replicas_take_a_file_once(folder: Folder) -> None:
    other = folder.process()
    for n in range(4):
        folder.drop(f"{n}.csv", staff(n))
    for _ in range(2):
        await asyncio.gather(folder.look(), other.look(folder.desk.source))
    assert sorted(row[0] for row in folder.stored()) == ["0.csv", "1.csv", "2.csv", "3.csv"]
    await folder.desk.work()
    await asyncio.gather(folder.look(), other.look(folder.desk.source))
    await folder.look()
    assert (folder.lying(), folder.moved("done")) == ([], ["0.csv", "1.csv", "2.csv", "3.csv"])


@pytest.mark.parametrize("moved", [True, False])
async def test_a_replica_that_is_late_does_not_tell_an_older_file_after_a_newer_one(
    folder: Folder, moved: bool
) -> None:
    loop = asyncio.get_running_loop()

    async def meanwhile() -> None:
        await folder.look()
        if moved:
            await folder.desk.work()
            await folder.look()
        await folder.desk.told(sheet(line("p-1", "Ek, Bo")))

    class Slow(DropFolder):
        @override
        def read(self, dropped: Dropped, into: BinaryIO) -> bytes | None:
            found = super().read(dropped, into)
            asyncio.run_coroutine_threadsafe(meanwhile(), loop).result(60)
            return found

    folder.drop("a.csv", sheet(line("p-1")))
    await folder.look()
    quick, folder.watched = folder.watched, replace(folder.watched, drop=Slow(folder.path, _now))
    late = folder.process()
    folder.watched = quick
    for _ in range(2):
        await late.look(folder.desk.source)
    await folder.desk.work()
    assert [row[0] for row in folder.stored()] == ["a.csv", ""]


async def test_a_newer_file_under_the_same_name_is_not_moved_unread(folder: Folder) -> None:
    folder.drop("a.csv", staff(1))
    await folder.look(2)
    folder.drop("a.csv", staff(2, 3))
    await folder.desk.work()
    await folder.look()
    assert folder.lying() == ["a.csv"]
    await folder.look()
    await folder.desk.work()
    await folder.look()
    assert (len(folder.stored()), folder.lying(), folder.desk.count("fact")) == (2, [], 3)


async def test_one_that_replaces_it_while_it_is_moved_is_put_back(folder: Folder) -> None:
    file = folder.drop("a.csv", staff(1))
    (seen,) = folder.watched.drop.files()

    class Late(DropFolder):
        """Somebody drops another one between the look and the move."""

        @override
        def _reserved(self, target: int, name: str) -> str:
            file.write_bytes(staff(1, 2))
            return super()._reserved(target, name)

    assert not Late(folder.path, _now).settle(seen, None)
    assert (folder.lying(), file.read_bytes()) == (["a.csv"], staff(1, 2))
    assert folder.moved("done") == []


@pytest.mark.parametrize(("plan", "state", "facts"), [(False, "done", 5), (True, "planned", 4)])
async def test_a_full_file_is_applied_by_itself_unless_it_is_to_wait(
    desk: Desk, tmp_path: Path, plan: bool, state: str, facts: int
) -> None:
    await desk.told(staff(1, 2, 3, 4))
    (tmp_path / "drop").mkdir()
    folder = Folder(desk, tmp_path / "drop", "full", plan=plan)
    await folder.told("full.csv", staff(4, 5))
    assert (folder.stored()[-1][1], folder.moved("done"), desk.count("fact")) == (state, ["full.csv"], facts)
    held = desk.site.rows("SELECT count(*) FROM file_person WHERE state = 'held' AND file IN"
                          " (SELECT id FROM file_import WHERE organisation = %s)", desk.key)  # fmt: skip
    assert held == [(3,)], "who is missing is held by the guard, and the rest goes on"


async def test_a_folder_that_is_away_is_told_and_comes_back(desk: Desk, tmp_path: Path) -> None:
    folder = Folder(desk, tmp_path / "drop")
    await folder.look()
    assert await folder.replica.problem() == f"folder of {desk.source}: folder.missing"
    async with desk.service.database.transaction() as conn:
        (metric,) = await folder.replica.measured(conn)
    assert [one.value for one in metric.samples] == [0.0]
    folder.path.mkdir()
    # nobody may lead what is moved elsewhere
    (folder.path / "done").symlink_to(tmp_path)
    await folder.look()
    assert await folder.replica.problem() == f"folder of {desk.source}: folder.refused"
    (folder.path / "done").unlink()
    await folder.told("a.csv", staff(1))
    assert (await folder.replica.problem(), folder.moved("done")) == (None, ["a.csv"])


async def test_names_of_any_bytes_are_taken(folder: Folder) -> None:
    name = os.fsdecode(b"l\xf6n\n.csv")
    await folder.told(name, staff(1))
    assert folder.stored()[0][0] == "l\\udcf6n\\x0a.csv"
    assert folder.moved("done") == [name]


async def test_files_of_a_folder_are_told_in_the_order_of_their_times(folder: Folder) -> None:
    newer = folder.drop("a.csv", sheet(line("p-1", "Ek, Bo")))
    older = folder.drop("b.csv", sheet(line("p-1", "Al, Bo")))
    os.utime(older, (1_000_000_000, 1_000_000_000))
    os.utime(newer, (1_000_000_100, 1_000_000_100))
    await folder.look(2)
    assert [row[0] for row in folder.stored()] == ["b.csv", "a.csv"]
    assert replace(folder.watched, plan=True).origin.actor == f"folder:{folder.desk.source}"
