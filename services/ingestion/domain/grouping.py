"""All rows of a file by the person they are about, packed: memory grows with the file and not with what it means."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

import orjson

from services.ingestion.domain.mapping import FileMapping
from services.ingestion.domain.rows import FileRefused, Reject, Row, subject, wanted


@dataclass
class Grouped:
    """Persons in the order of their first rows. `unread`: rows of which nobody can tell whom they are about."""

    persons: dict[str, list[bytes]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    rows: int = 0
    unread: int = 0


def grouped(rows: Iterable[Row | Reject], mapping: FileMapping) -> Grouped:
    """Read a file to its end and part it by person.

    Raises:
        FileRefused: The file cannot be trusted, or not one row can be read.
    """
    found = Grouped()
    columns = mapping.columns | {column for rule in mapping.fields.values() for column in rule.read}
    for row in rows:
        found.rows += 1
        if isinstance(row, Reject):
            found.rejects.append(row)
            found.unread += 1
        elif wanted(mapping, row.cells):
            external_id = subject(mapping, row.cells)
            if external_id is None:
                column = ", ".join(mapping.fields["externalId"].read)
                found.rejects.append(Reject(row.number, column, "", "row.nobody", "it does not tell whom it is about"))
                found.unread += 1
            else:
                found.persons.setdefault(external_id, []).append(_packed(row, columns))
    if not found.persons:
        raise FileRefused("file.nobody", "not one row tells of a person")
    return found


def _packed(row: Row, columns: Iterable[str]) -> bytes:
    cells = {name: row.cells[name] for name in columns if name in row.cells}
    # a date is a list of one, for no cell is a list
    dated = {name: [cell.isoformat()] if isinstance(cell, date) else cell for name, cell in cells.items()}
    # copied, because what orjson returns keeps the room of its buffer: 8 kB a row
    return bytes(memoryview(orjson.dumps([row.number, dated])))


def unpacked(packed: bytes) -> Row:
    """Return a row as it was read, with the columns that the mapping reads."""
    number, cells = orjson.loads(packed)
    return Row(
        number,
        {name: date.fromisoformat(cell[0]) if isinstance(cell, list) else cell for name, cell in cells.items()},
    )
