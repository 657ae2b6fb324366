"""The simulator's own log: every request and what it changed. It proves that nothing was done twice."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """One request.

    Attributes:
        number: Counts from 1, without gaps.
        tenant: Its id, where the token or the path names one.
        app: The client id of the token.
        changes: What it changed: `user.created:<id>`.
        fault: The fault that hit it.
        batch: The number of the outer request, for an item of a batch.
    """

    number: int
    at: str
    tenant: str | None
    app: str | None
    method: str
    path: str
    query: str
    client_request_id: str | None
    status: int
    code: str | None
    changes: tuple[str, ...]
    fault: str | None
    batch: int | None


class Journal:
    """Keeps the records in memory and, where a file is named, as JSON lines.

    Args:
        file: Where lines are added.
        kept: How many records stay in memory.
    """

    def __init__(self, file: Path | None = None, kept: int = 500_000) -> None:
        self._records: deque[Record] = deque(maxlen=kept)
        self._file = None if file is None else file.open("a", buffering=1)
        self._count = 0

    def next_number(self) -> int:
        """Take the number of a request that begins."""
        self._count += 1
        return self._count

    def add(self, record: Record) -> None:
        """Keep a record."""
        self._records.append(record)
        if self._file is not None:
            self._file.write(json.dumps(asdict(record)) + "\n")

    def records(self, *, since: int = 0) -> Iterator[Record]:
        """Yield the records with a higher number, in the order in which their requests ended."""
        return (record for record in self._records if record.number > since)

    def last(self, count: int) -> list[Record]:
        """Return the newest records, the newest first."""
        return list(islice(reversed(self._records), count))

    def clear(self) -> None:
        """Forget what is in memory; numbers go on, and the file stays."""
        self._records.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
