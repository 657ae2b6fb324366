"""JSON Lines: an object to a line, in UTF-8. What an object lacks is absent, null is null, objects within get dots."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from services.ingestion.domain.mapping import Cell, FileMapping
from services.ingestion.domain.rows import FileRefused, Reject, Row

LINE_LIMIT = 1_000_000
"""Bytes of a line."""

DEPTH = 8


class _Unfit(Exception):
    """A value that no column can hold."""


def rows(file: BinaryIO, mapping: FileMapping) -> Iterator[Row | Reject]:
    """Yield the rows (`ports.RowReader`). A row's number is its line."""
    del mapping
    file.seek(0)
    number = 0
    while line := file.readline(LINE_LIMIT):
        number += 1
        if len(line) == LINE_LIMIT:
            reason = f"line {number} has more than {LINE_LIMIT} bytes"
            raise FileRefused("file.line_too_long", reason, limit=LINE_LIMIT)
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise FileRefused("file.encoding", f"line {number} is not UTF-8", encoding="utf-8") from error
        if not text:
            continue
        try:
            content = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            if not line.endswith(b"\n"):
                raise FileRefused("file.truncated", "the last line is cut off") from error
            content = None
        yield _row(number, content)
    if not number:
        raise FileRefused("file.empty", "there is nothing in it")


def _row(number: int, content: Any) -> Row | Reject:
    if not isinstance(content, dict):
        return Reject(number, "", "", "row.not_an_object", "the line is not a JSON object")
    try:
        return Row(number, dict(_cells(content, "", DEPTH)))
    except _Unfit as unfit:
        return Reject(number, str(unfit), "", "row.nested", "a list, or objects too deep, fit in no column")


def _cells(content: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Cell]]:
    for name, value in content.items():
        if isinstance(value, dict) and depth:
            yield from _cells(value, f"{prefix}{name}.", depth - 1)
        elif value is None or isinstance(value, str | int | float):
            yield f"{prefix}{name}", value
        else:
            raise _Unfit(f"{prefix}{name}"[:80])
