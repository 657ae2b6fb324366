"""What people open in a spreadsheet: tables as CSV (RFC 4180) whose cells no program takes for formulas."""

import csv
import io
from collections.abc import Iterable, Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet may take for a formula at the start of a cell (OWASP, CSV Injection)."""

CSV = "text/csv; charset=utf-8"


def safe(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def table(heading: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> bytes:
    """Return a table as CSV in UTF-8, with the mark by which spreadsheets know it; every text in it is `safe`."""
    text = io.StringIO()
    sheet = csv.writer(text)
    sheet.writerow(heading)
    sheet.writerows([safe(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")
