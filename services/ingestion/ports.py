"""What the service needs from outside beyond the kernel: somebody who reads files."""

from collections.abc import Iterator
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
