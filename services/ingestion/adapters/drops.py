"""Folders that files are dropped in, by whatever file system: looked at, for a network tells of no changes.

All names are resolved within the opened folder and no link is followed, so nobody who may drop files can have another
one read or moved.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from services.ingestion.ports import Dropped, DropUnavailable
from services.kernel import telemetry

log = telemetry.get_logger(__name__)

DONE, REJECTED = "done", "rejected"
UNFINISHED = (".part", ".tmp", ".filepart")
"""How clients name what they are still sending."""
CHUNK = 1 << 20
TRIES = 100


class DropFolder:
    """One folder; `now` gives the time that moved files are named by."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._path = path
        self._now = now

    def files(self) -> list[Dropped]:
        """Return what has been dropped; see `ports.Drop`."""
        with self._opened() as folder:
            for name in (DONE, REJECTED):
                with _below(folder, name):
                    pass
            found = [
                one
                for name in os.listdir(folder)  # noqa: PTH208 - of the opened folder, whatever its path leads to now
                if (one := _seen(folder, name)) is not None
            ]
        return sorted(found, key=lambda one: (one.modified, one.name))

    def read(self, dropped: Dropped, into: BinaryIO) -> bytes | None:
        """Copy a file; see `ports.Drop`."""
        digest = hashlib.sha256()
        with self._opened() as folder:
            try:
                # a pipe would keep us waiting for somebody who writes to it
                number = os.open(dropped.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ELOOP):
                    return None
                if error.errno in (errno.EACCES, errno.EPERM):
                    # its sender alone may read it: the others are not its business
                    log.error("folder.unreadable_file", path=str(self._path), size=dropped.size)  # noqa: TRY400
                    return None
                raise
            with os.fdopen(number, "rb") as file:
                before = os.fstat(number)
                if not stat.S_ISREG(before.st_mode) or not _same(before, dropped):
                    return None
                left = dropped.size
                while left > 0 and (content := file.read(min(CHUNK, left))):
                    left -= len(content)
                    digest.update(content)
                    into.write(content)
                return digest.digest() if left == 0 and _same(os.fstat(number), dropped) else None

    def still(self, dropped: Dropped) -> bool:
        """Tell whether a file is there as it was; see `ports.Drop`."""
        with self._opened() as folder:
            return _seen(folder, dropped.name) == dropped

    def settle(self, dropped: Dropped, reason: str | None) -> bool:
        """Move a file; see `ports.Drop`."""
        with self._opened() as folder, _below(folder, DONE if reason is None else REJECTED) as target:
            if _seen(folder, dropped.name) != dropped:
                return False
            name = self._reserved(target, dropped.name)
            if reason is not None:
                _write(target, f"{name}.reason.txt", reason)
            try:
                os.rename(dropped.name, name, src_dir_fd=folder, dst_dir_fd=target)
            except FileNotFoundError:
                # another replica was faster
                _unmade(target, name)
                return False
            if _same(os.stat(name, dir_fd=target, follow_symlinks=False), dropped):
                return True
            # somebody dropped another one under this name in this very moment: it has not been read
            self._put_back(folder, target, name, dropped.name)
            return False

    def _put_back(self, folder: int, target: int, name: str, before: str) -> None:
        try:
            os.close(os.open(before, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=folder))
        except FileExistsError:
            # yet another one: both are looked at
            before = self._reserved(folder, before)
        os.rename(name, before, src_dir_fd=target, dst_dir_fd=folder)
        _unmade(target, name)

    def _reserved(self, target: int, name: str) -> str:
        """Make an empty file of a new name, which what is moved there takes the place of."""
        for _ in range(TRIES):
            stamped = os.fsdecode(os.fsencode(f"{self._now():%Y%m%dT%H%M%S.%f}-{name}")[:240])
            try:
                os.close(os.open(stamped, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=target))
            except FileExistsError:
                continue
            return stamped
        raise DropUnavailable("folder.refused")

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DropUnavailable("folder.missing") from error
        except OSError as error:
            raise DropUnavailable("folder.refused") from error
        try:
            if not os.access(self._path, os.R_OK | os.W_OK | os.X_OK):
                raise DropUnavailable("folder.refused")
            yield folder
        except OSError as error:
            raise DropUnavailable("folder.refused") from error
        finally:
            os.close(folder)


@contextmanager
def _below(folder: int, name: str) -> Iterator[int]:
    """Open a folder in the folder, made when it is not there; a link in its place is refused."""
    with suppress(FileExistsError):
        os.mkdir(name, 0o770, dir_fd=folder)
    number = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        yield number
    finally:
        os.close(number)


def _seen(folder: int, name: str) -> Dropped | None:
    if name.startswith(".") or name.lower().endswith(UNFINISHED):
        return None
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Dropped(name, _label(name), found.st_size, found.st_mtime_ns)


def _same(found: os.stat_result, dropped: Dropped) -> bool:
    return (found.st_size, found.st_mtime_ns) == (dropped.size, dropped.modified)


def _label(name: str) -> str:
    """Return a name as text: bytes that are no UTF-8, and what cannot be shown, are written out."""
    told = name.encode("utf-8", "backslashreplace").decode()
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in told)


def _write(target: int, name: str, text: str) -> None:
    number = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640, dir_fd=target)
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(text)


def _unmade(target: int, name: str) -> None:
    for one in (name, f"{name}.reason.txt"):
        with suppress(FileNotFoundError):
            os.unlink(one, dir_fd=target)
