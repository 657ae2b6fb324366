"""What the directories held when the simulator ended: a line of JSON for each new version of an entry, in a file."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from deploy.simulators.graph.entries import Entry, Kind, Secret


class Kept:
    """The file. What has been answered survives a kill of the process; its log, its faults and its tokens do not."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines = file.open("a", encoding="utf-8")

    def read(self) -> Iterator[tuple[str, str, Entry | None]]:
        """Yield tenant, id and entry of each version, oldest first; None when it was purged.

        A line that a kill has cut off is the last one, and was not answered.
        """
        for line in self._file.read_text(encoding="utf-8").splitlines():
            try:
                tenant, identifier, row = json.loads(line)
            except ValueError:
                continue
            yield tenant, identifier, None if row is None else _entry(identifier, row)

    def note(self, tenant: str, identifier: str, entry: Entry | None) -> None:
        """Add a version."""
        self._lines.write(json.dumps([tenant, identifier, None if entry is None else _row(entry)]) + "\n")
        self._lines.flush()

    def forget(self) -> None:
        """Empty the file."""
        self._lines.truncate(0)

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def _row(entry: Entry) -> dict[str, Any]:
    password = entry.password
    return {
        "kind": entry.kind,
        "properties": dict(entry.properties),
        "password": None if password is None else [password.salt.hex(), password.digest.hex()],
        "must_change": entry.must_change,
        "manager": entry.manager,
        "members": sorted(entry.members),
        "rules": list(entry.rules),
        "deleted": None if entry.deleted is None else entry.deleted.isoformat(),
    }


def _entry(identifier: str, row: dict[str, Any]) -> Entry:
    return Entry(
        identifier,
        Kind(row["kind"]),
        row["properties"],
        password=None if row["password"] is None else Secret(*map(bytes.fromhex, row["password"])),
        must_change=row["must_change"],
        manager=row["manager"],
        members=frozenset(row["members"]),
        rules=tuple(row.get("rules", ())),
        deleted=None if row["deleted"] is None else datetime.fromisoformat(row["deleted"]),
    )
