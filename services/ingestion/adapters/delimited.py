"""CSV (RFC 4180): encoding and separator declared or found out, line breaks in quotes, one line in memory."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from services.ingestion.adapters.headers import judged
from services.ingestion.domain.mapping import FileMapping
from services.ingestion.domain.rows import FileRefused, Reject, Row

SEPARATORS = (";", ",", "\t", "|")
LINE_LIMIT = 1_000_000
"""Characters of a line."""

_CHUNK = 1 << 20
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SEVERAL_BYTES = re.compile(rb"[\xc3-\xf4][\x80-\xbf]")
_WRONG = "file.encoding"


def rows(file: BinaryIO, mapping: FileMapping) -> Iterator[Row | Reject]:
    """Yield the rows (`ports.RowReader`). A row's number is the line that it begins on."""
    encoding = _declared(mapping.encoding) if mapping.encoding else detected(file)
    file.seek(0)
    text = io.TextIOWrapper(file, encoding, errors="strict", newline="")
    try:
        yield from _rows(text, mapping)
    except UnicodeError as error:
        raise FileRefused(_WRONG, f"it is not {encoding}", encoding=encoding) from error
    finally:
        text.detach()


def detected(file: BinaryIO) -> str:
    """Return the encoding: a byte order mark's, UTF-8, else Windows-1252.

    What is nearly UTF-8 is a broken file and not Windows-1252: it would give everyone other names.

    Raises:
        FileRefused: It is none of them.
    """
    file.seek(0)
    start = file.read(4)
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    several, utf8, before = False, True, b""
    while chunk := file.read(_CHUNK):
        if b"\0" in chunk:
            raise FileRefused(_WRONG, "it has zero bytes, and no byte order mark")
        several = several or _SEVERAL_BYTES.search(before + chunk) is not None
        before = chunk[-1:]
        try:
            if utf8:
                decoder.decode(chunk)
        except UnicodeDecodeError:
            utf8 = False
    try:
        decoder.decode(b"", final=utf8)
    except UnicodeDecodeError:
        utf8 = False
    if utf8:
        return "utf-8"
    if several:
        raise FileRefused(_WRONG, "it is partly UTF-8: broken, truncated, or put together from several")
    return "cp1252"


def _declared(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise FileRefused(_WRONG, "the mapping names an encoding that is not known") from None


def _rows(text: io.TextIOWrapper, mapping: FileMapping) -> Iterator[Row | Reject]:
    lines = _lines(text)
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise FileRefused("file.empty", "there is nothing in it")
    separator, header = _header(first, mapping)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    short: Reject | None = None
    skipped, began = 0, 1
    while True:
        try:
            values = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            if "end of data" in str(error) or "field limit" in str(error):
                reason = f"a quote that opens after line {began} is not closed"
                raise FileRefused("file.truncated", reason, line=began) from error
            values = None
        number, began = began + 1, 1 + reader.line_num
        if short is not None:
            yield short
            short = None
        if values is None:
            yield Reject(number, "", "", "row.quotes", "a quote stands inside a value")
        elif skipped < mapping.skip:
            skipped += 1
        elif len(values) == len(header):
            if any(values):
                yield Row(number, dict(zip(header, values, strict=True)))
        elif values:
            reason = f"it has {len(values)} columns, the header {len(header)}"
            counts = {"found": len(values), "wanted": len(header)}
            found = Reject(number, "", "", "row.columns", reason, counts)
            if len(values) < len(header):
                short = found
            else:
                yield found
    if short is not None:
        raise FileRefused("file.truncated", "the last row is cut off")


def _header(line: str, mapping: FileMapping) -> tuple[str, tuple[str, ...]]:
    """Return separator and header: the separator is the one by which the columns are found."""
    found = []
    for separator in (mapping.separator,) if mapping.separator else SEPARATORS:
        try:
            names = tuple(name.strip() for name in next(csv.reader([line], delimiter=separator, strict=True)))
        except csv.Error as error:
            raise FileRefused("file.header_missing", "the first line is no header") from error
        found.append((len(mapping.columns & set(names)), separator, names))
    _, separator, names = max(found, key=lambda one: one[0])
    return separator, judged(mapping, names)


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(LINE_LIMIT):
        if len(line) == LINE_LIMIT:
            reason = f"a line has more than {LINE_LIMIT} characters"
            raise FileRefused("file.line_too_long", reason, limit=LINE_LIMIT)
        yield line
