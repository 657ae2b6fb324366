"""What the service needs from outside beyond the kernel: somebody who reads files, and folders that they lie in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from services.ingestion.domain.mapping import FileMapping
from services.ingestion.domain.rows import Reject, Row


class RowReader(Protocol):
    """Reads the rows of a file, one at a time, in a thread."""

    def __call__(self, file: BinaryIO, mapping: FileMapping) -> Iterator[Row | Reject]:
        """Yield each row that is not blank; a `Reject` stands for one that cannot be read.

        Raises:
            FileRefused: The file as a whole cannot be trusted; it may come after rows that could be read.
        """
        ...


class DropUnavailable(Exception):
    """A folder cannot be used: `code` says why, `folder.missing` or `folder.refused`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Dropped:
    """A file in a folder as it is now; `name` is what the file system has, `label` what can be stored and shown."""

    name: str
    label: str
    size: int
    modified: int


class Drop(Protocol):
    """A folder that files are dropped in; all of it blocks, so it is called in a thread."""

    def files(self) -> list[Dropped]:
        """Return what has been dropped, the oldest first: regular files that are neither hidden nor unfinished.

        Raises:
            DropUnavailable: The folder is missing, or may not be read and written.
        """
        ...

    def read(self, dropped: Dropped, into: BinaryIO) -> bytes | None:
        """Copy a file and return its SHA-256; None when it is not what it was.

        Raises:
            DropUnavailable: It cannot be read.
        """
        ...

    def still(self, dropped: Dropped) -> bool:
        """Tell whether a file is there as it was."""
        ...

    def settle(self, dropped: Dropped, reason: str | None) -> bool:
        """Move a file to `done`, or with a reason to `rejected` with the reason beside it; never over another one.

        Returns:
            Whether it was moved; what is not as it was is left where it is.

        Raises:
            DropUnavailable: It cannot be moved.
        """
        ...
