"""A reorganisation as people write it: a table or JSON, an edit of a unit a row. Pure.

An empty cell changes nothing, `-` takes a field away, spaces stand between successors.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

COLUMNS = (
    "unit", "effectiveFrom", "name", "parent", "manager", "actingManager", "kind", "site", "costCentre", "mailDomain",
    "validFrom", "validTo", "successors",
)  # fmt: skip
SEVERAL = "successors"


class PlanUnreadable(Exception):
    """No plan can be read: `code` says why, `row` where, and `columns` which ones are not known."""

    def __init__(self, code: str, *, row: int | None = None, columns: tuple[str, ...] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.row = row
        self.columns = columns


@dataclass(frozen=True)
class PlannedEdit:
    """An edit as it was written, and in which row; of JSON, as which of its edits."""

    row: int
    edit: Mapping[str, Any]


def read(content: bytes) -> list[PlannedEdit]:
    """Return the edits of a plan; JSON is known by its first letter, and what is no UTF-8 is read as Windows-1252.

    Raises:
        PlanUnreadable: No table with a header of known columns, no JSON list of edits, or nothing in it.
    """
    text = _text(content)
    found = list(_listed(text) if text.lstrip()[:1] in ("[", "{") else _rows(text))
    if not found:
        raise PlanUnreadable("plan.no_edits")
    return found


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # what spreadsheets in Sweden save as CSV
        return content.decode("cp1252", errors="replace")


def _listed(text: str) -> Iterator[PlannedEdit]:
    try:
        given = orjson.loads(text)
    except ValueError as error:
        raise PlanUnreadable("plan.no_json") from error
    edits = given.get("units") if isinstance(given, dict) else given
    if not isinstance(edits, list):
        raise PlanUnreadable("plan.no_json")
    for row, edit in enumerate(edits, start=1):
        if not isinstance(edit, dict):
            raise PlanUnreadable("plan.no_json", row=row)
        yield PlannedEdit(row, edit)


def _rows(text: str) -> Iterator[PlannedEdit]:
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = [name.strip() for name in rows.fieldnames or ()]
        unknown = tuple(name for name in names if name not in COLUMNS)
        if unknown or "unit" not in names or len(set(names)) < len(names):
            raise PlanUnreadable("plan.columns", columns=unknown)
        rows.fieldnames = names
        for cells in rows:
            if cells.get(None):
                raise PlanUnreadable("plan.cells", row=rows.line_num)
            edit = {name: _cell(name, value.strip()) for name, value in cells.items() if value and value.strip()}
            if edit:
                yield PlannedEdit(rows.line_num, edit)
    except csv.Error as error:
        raise PlanUnreadable("plan.cells", row=rows.line_num + 1) from error


def _cell(name: str, value: str) -> object:
    if value == "-":
        return None
    return value.split() if name == SEVERAL else value
