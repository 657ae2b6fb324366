"""From rows to persons: one record for all rows of a person, several employments and assignments among them.

A person is told whole or not at all: when one row cannot be read, the person's other rows are set aside with it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.ingestion.domain.fields import LISTS
from services.ingestion.domain.mapping import Cell, Cells, FileMapping, Rule, Wrong

WITHHELD = "(withheld)"
SHOWN = 80
"""Characters of a value that are shown with a reject."""


_BLAMED = {
    "dates.end_before_start": "validTo",
    "assignments.overlap": "assignments.validFrom",
    "name.empty": "given",
    "unit.own_parent": "parent",
    "unit.own_successor": "successors",
}
"""The field that a rule about several of them is told of."""


class FileRefused(Exception):
    """A file cannot be trusted as a whole, and nothing of it is taken: a code and a reason, which quotes nothing.

    The code and its parameters are what people are told by, in their language; the reason is for logs and programs.
    """

    def __init__(self, code: str, reason: str, **parameters: str | int) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason
        self.parameters = parameters


@dataclass(frozen=True)
class Row:
    """A row of a file; `number` is its line, or its place in a sheet, counted from 1."""

    number: int
    cells: Cells


@dataclass(frozen=True)
class Reject:
    """What is wrong with a row: the column and its value, unless it is confidential, a code and a reason.

    `parameters` are what the code's sentence needs, in whatever language it is told.
    """

    row: int
    column: str
    value: str
    code: str
    reason: str
    parameters: Mapping[str, str | int] = field(default_factory=dict)


@dataclass
class Told:
    """A person as a file tells: the record, and the rows it came from. With rejects there is no record to apply."""

    external_id: str
    rows: tuple[int, ...]
    record: dict[str, Any] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)


class _Disagree(Exception):
    """Two rows of a person say different things; it names the field."""


def wanted(mapping: FileMapping, cells: Cells) -> bool:
    """Tell whether a row is among those that the mapping reads."""
    return all(str(cells.get(column) or "") in words for column, words in mapping.only.items())


def subject(mapping: FileMapping, cells: Cells) -> str | None:
    """Return the external id of whom a row is about; None when it cannot be told."""
    rule, convert = next((rule, convert) for path, rule, convert in mapping.converters if path == ("externalId",))
    known, cell = _cell(rule, cells)
    if not known or cell in ("", None):
        return None
    try:
        found: str | None = _read(mapping, rule, convert, cell)
    except Wrong:
        return None
    return found


def told(mapping: FileMapping, external_id: str, rows: Sequence[Row]) -> Told:
    """Return a person as the rows tell."""
    person = Told(external_id, tuple(row.number for row in rows))
    for row in rows:
        record = _record(mapping, row, person.rejects)
        try:
            _merge(person.record, record, "")
        except _Disagree as found:
            rows_told, columns = _numbers(person.rows), _columns(mapping, str(found))
            reason = f"the rows {rows_told} of this person disagree on {found}"
            person.rejects.append(
                Reject(row.number, columns, WITHHELD, "row.disagrees", reason, {"rows": rows_told, "columns": columns})
            )
    if person.rejects:
        wrong = {reject.row for reject in person.rejects}
        told_wrong = _numbers(sorted(wrong))
        reason = f"another row of this person is wrong: {told_wrong}"
        person.rejects += [
            Reject(row.number, "", "", "row.beside_wrong", reason, {"rows": told_wrong})
            for row in rows
            if row.number not in wrong
        ]
    return person


def rejected(mapping: FileMapping, person: Told, rows: Sequence[Row], pointer: str, code: str, reason: str) -> Reject:
    """Return what the register says against a record as a reject of the row and column that it came from."""
    parts = [part for part in pointer.removeprefix("/data").split("/") if part]
    name = ".".join(part for part in parts if not part.isdigit())
    if name not in mapping.fields and code in _BLAMED:
        name = f"{name}.{_BLAMED[code]}".removeprefix(".")
    row = rows[0]
    if len(parts) > 1 and parts[0] == "employments" and parts[1].isdigit():
        row = _row_of(mapping, person, rows, int(parts[1]))
    column = _columns(mapping, name)
    return Reject(row.number, column, shown(mapping, column, row.cells.get(column)), code, reason)


def shown(mapping: FileMapping, column: str, cell: Cell) -> str:
    """Return a value as it may be shown to whoever mends the file."""
    if cell is None:
        return ""
    return WITHHELD if column in mapping.withheld else str(cell)[:SHOWN]


def _row_of(mapping: FileMapping, person: Told, rows: Sequence[Row], index: int) -> Row:
    employments = person.record.get("employments", [])
    if index >= len(employments):
        return rows[0]
    id_ = employments[index]["id"]
    for row in rows:
        if any(one["id"] == id_ for one in _record(mapping, row, []).get("employments", ())):
            return row
    return rows[0]


def _record(mapping: FileMapping, row: Row, rejects: list[Reject]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    spoken: set[str] = set()
    for path, rule, convert in mapping.converters:
        known, cell = _cell(rule, row.cells)
        if not known or (cell == "" and rule.empty == "absent"):
            continue
        try:
            value = _read(mapping, rule, convert, cell)
        except Wrong as wrong:
            column = rule.read[0] if len(rule.read) == 1 else ""
            value = shown(mapping, column, row.cells.get(column))
            columns = ", ".join(rule.read)
            rejects.append(Reject(row.number, columns, value, wrong.code, wrong.reason, wrong.parameters))
            continue
        _put(record, path, value)
        if rule.constant is None and value not in (None, ""):
            spoken |= {".".join(path[:length]) for length in range(1, len(path))}
    for name in _keyless(record, ""):
        if name in spoken:
            column = _columns(mapping, f"{name}.{LISTS[name]}")
            reason = f"it tells which of {name} the row is about"
            rejects.append(Reject(row.number, column, "", "value.missing", reason))
    _complete(record, "", mapping.whole)
    return record


def _read(mapping: FileMapping, rule: Rule, convert: Callable[[Cell], Any], cell: Cell) -> Any:
    if cell == "":
        if rule.empty == "refuse":
            raise Wrong("value.missing", "a value is needed")
        return None if rule.empty == "null" else ""
    if cell is None or (rule.constant is None and str(cell) in mapping.null):
        return None
    return cell if rule.constant is not None else convert(cell)


def _cell(rule: Rule, cells: Cells) -> tuple[bool, Cell]:
    """Return whether the row has the cell at all, and what stands in it; text without space around it."""
    if rule.constant is not None:
        return True, rule.constant
    if rule.column is not None:
        if rule.column not in cells:
            return False, None
        cell = cells[rule.column]
    else:
        parts = [str(cells[column] or "").strip() for column in rule.columns if column in cells]
        if not parts:
            return False, None
        cell = rule.join.join(part for part in parts if part)
    if isinstance(cell, str):
        cell = cell.strip()
        if rule.split is not None and cell:
            pieces = cell.split(rule.split.by)
            cell = pieces[rule.split.part - 1].strip() if len(pieces) >= rule.split.part else ""
    return True, cell


def _put(record: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    here = record
    for depth, part in enumerate(path[:-1], 1):
        here = here.setdefault(part, [{}])[0] if ".".join(path[:depth]) in LISTS else here.setdefault(part, {})
    here[path[-1]] = value


def _keyless(here: dict[str, Any], prefix: str) -> list[str]:
    """Take away list items that lack their key, and return the lists: constants alone make no assignment."""
    found = []
    for name in list(here):
        path = f"{prefix}{name}"
        if path not in LISTS:
            continue
        (item,) = here[name]
        if item.get(LISTS[path]) is None:
            del here[name]
            found.append(path)
        else:
            found += _keyless(item, f"{path}.")
    return found


def _complete(here: dict[str, Any], prefix: str, whole: Iterable[str]) -> None:
    """Say of a list that the file tells whole, and that has no item, that it is empty."""
    for path in whole:
        parent, _, name = path.rpartition(".")
        if parent == prefix.rstrip("."):
            here.setdefault(name, [])
    for name in here.keys() & {"employments"} if not prefix else ():
        for item in here[name]:
            _complete(item, "employments.", whole)


def _merge(into: dict[str, Any], new: Mapping[str, Any], prefix: str) -> None:
    for name, value in new.items():
        path = f"{prefix}{name}"
        if name not in into:
            into[name] = value
        elif path == "employments":
            for item in value:
                same = next((one for one in into[name] if one["id"] == item["id"]), None)
                if same is None:
                    into[name].append(item)
                else:
                    _merge(same, item, f"{path}.")
        elif path in LISTS:
            into[name] += [item for item in value if item not in into[name]]
        elif isinstance(value, dict) and isinstance(into[name], dict):
            _merge(into[name], value, f"{path}.")
        elif into[name] != value:
            raise _Disagree(path)


def _columns(mapping: FileMapping, name: str) -> str:
    rule = mapping.fields.get(name)
    if rule is None:
        rule = next((one for known, one in mapping.fields.items() if known.startswith(f"{name}.")), None)
    return ", ".join(rule.read) if rule is not None else ""


def _numbers(rows: Iterable[int]) -> str:
    return ", ".join(str(row) for row in rows)
