"""The organisation, asked of orgtree; a plan is read from a file of rows."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from services.cli.domain.organisation import COLUMNS, Unreadable
from services.cli.ports import Api, JsonObject

API = "/v1/organisation"


def tree(orgtree: Api, on: str | None, root: str | None, depth: int) -> JsonObject:
    """Return the tree on a day, from a unit downwards."""
    asked = {"on": on, "root": root, "depth": str(depth)}
    return orgtree.get(f"{API}/tree", **{name: value for name, value in asked.items() if value is not None})


def changes(orgtree: Api) -> JsonObject:
    """Return what is to change."""
    return orgtree.get(f"{API}/changes")


def problems(orgtree: Api) -> JsonObject:
    """Return what a person has to look at."""
    return orgtree.get(f"{API}/problems")


def plan(orgtree: Api, file: Path) -> JsonObject:
    """Return what a reorganisation would change, day by day.

    Raises:
        Unreadable: The file is no CSV with a header of known columns, and no JSON list of edits.
    """
    return orgtree.post(f"{API}/plan", {"units": list(_edits(file))})


def _edits(file: Path) -> Iterator[Mapping[str, Any]]:
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix == ".json":
        try:
            given = json.loads(text)
        except ValueError as error:
            raise Unreadable("org_no_json") from error
        yield from given if isinstance(given, list) else given.get("units", ())
        return
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    rows = csv.DictReader(text.splitlines(), delimiter=delimiter)
    unknown = [name for name in rows.fieldnames or () if name not in COLUMNS]
    if unknown or "unit" not in (rows.fieldnames or ()):
        raise Unreadable("org_columns", columns=", ".join(unknown) or "-", known=", ".join(COLUMNS))
    for row in rows:
        yield {name: _cell(name, value) for name, value in row.items() if name and value}


def _cell(name: str, value: str) -> object:
    """Return what a cell says: `-` takes a field away, successors are several."""
    if value == "-":
        return None
    return value.split() if name == "successors" else value
