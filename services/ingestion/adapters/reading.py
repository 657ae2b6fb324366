"""Rows of a file, by the format that its mapping names."""

from collections.abc import Iterator
from typing import BinaryIO

from services.ingestion.adapters import delimited, json_lines, workbook
from services.ingestion.domain.mapping import FileMapping
from services.ingestion.domain.rows import FileRefused, Reject, Row

ROW_LIMIT = 200_000
"""Rows of a file: four times the largest customer."""

_FORMATS = {"csv": delimited.rows, "xlsx": workbook.rows, "jsonl": json_lines.rows}


def rows(file: BinaryIO, mapping: FileMapping) -> Iterator[Row | Reject]:
    """Yield the rows (`ports.RowReader`). A file without any is refused: no source has nobody.

    Raises:
        FileRefused: Empty, truncated, wrongly encoded, without its header, or too large.
    """
    count = 0
    for found in _FORMATS[mapping.format](file, mapping):
        count += 1
        if count > ROW_LIMIT:
            raise FileRefused("file.too_many_rows", f"a file has at most {ROW_LIMIT} rows", limit=ROW_LIMIT)
        yield found
    if not count:
        raise FileRefused("file.no_rows", "there are no rows below the header")
