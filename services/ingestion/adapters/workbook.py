"""XLSX (ECMA-376), read row by row. What unpacks to too much is refused before it is parsed; formulas are text."""

import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any, BinaryIO

from openpyxl import load_workbook

from services.ingestion.adapters.headers import judged
from services.ingestion.domain.mapping import Cell, FileMapping
from services.ingestion.domain.rows import FileRefused, Reject, Row

UNPACKED_LIMIT = 150_000_000
"""Bytes of all parts together; 50,000 rows of 20 columns are about 60 MB."""

RATIO_LIMIT = 100
"""A sheet of people packs to a tenth; a bomb to a thousandth."""

RATIO_FROM = 1_000_000
"""Bytes from which on the ratio is looked at: a small part of equal bytes harms nobody."""

PART_LIMIT = 1_000
COLUMN_LIMIT = 500
LINE_LIMIT = 300_000
"""Lines of a sheet, blank ones among them: one cell in the last line of a sheet makes a million."""

_CHUNK = 1 << 20
_BOMB = "file.bomb"
_MALFORMED = "file.malformed"


def rows(file: BinaryIO, mapping: FileMapping) -> Iterator[Row | Reject]:
    """Yield the rows (`ports.RowReader`). A row's number is its line in the sheet."""
    file.seek(0)
    if not file.read(1):
        raise FileRefused("file.empty", "there is nothing in it")
    try:
        _weigh(file)
        file.seek(0)
        yield from _rows(file, mapping)
    except FileRefused:
        raise
    except Exception as error:  # the library meets broken files with whatever comes
        raise FileRefused(_MALFORMED, "it is no workbook, or a broken one") from error


def _weigh(file: BinaryIO) -> None:
    """Judge what the parts say of themselves, then what they really unpack to."""
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        if len(parts) > PART_LIMIT:
            raise FileRefused(_BOMB, f"it has more than {PART_LIMIT} parts")
        _judge(sum(part.file_size for part in parts), sum(part.compress_size for part in parts))
        if any(part.flag_bits & 1 for part in parts):
            raise FileRefused("file.encrypted", "it is locked by a password")
        unpacked = 0
        for part in parts:
            with archive.open(part) as opened:
                while chunk := opened.read(_CHUNK):
                    unpacked += len(chunk)
                    _judge(unpacked, sum(one.compress_size for one in parts))


def _judge(unpacked: int, packed: int) -> None:
    if unpacked > UNPACKED_LIMIT or (unpacked > RATIO_FROM and unpacked > RATIO_LIMIT * packed):
        raise FileRefused(_BOMB, "it unpacks to too much")


def _rows(file: BinaryIO, mapping: FileMapping) -> Iterator[Row | Reject]:
    book = load_workbook(file, read_only=True, data_only=False, keep_links=False)
    try:
        if mapping.sheet is not None and mapping.sheet not in book.sheetnames:
            raise FileRefused("file.sheet_missing", f"there is no sheet {mapping.sheet}", sheet=str(mapping.sheet))
        sheet = book[mapping.sheet or book.sheetnames[0]]
        header: tuple[str, ...] | None = None
        skipped = 0
        for number, values in enumerate(sheet.iter_rows(max_col=COLUMN_LIMIT, values_only=True), 1):
            if number > LINE_LIMIT:
                reason = f"the sheet has more than {LINE_LIMIT} lines"
                raise FileRefused("file.too_many_rows", reason, limit=LINE_LIMIT)
            if all(value in (None, "") for value in values):
                continue
            if header is None:
                header = judged(mapping, _names(values))
            elif skipped < mapping.skip:
                skipped += 1
            else:
                yield Row(number, {name: _cell(value) for name, value in zip(header, values, strict=False) if name})
        if header is None:
            raise FileRefused("file.empty", "there is nothing in the sheet")
    finally:
        book.close()


def _names(values: Sequence[Any]) -> list[str]:
    return ["" if value is None else str(value).strip() for value in values]


def _cell(value: Any) -> Cell:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date() if (value.hour, value.minute, value.second) == (0, 0, 0) else value.isoformat()
    return value if isinstance(value, str | int | float | date) else str(value)
