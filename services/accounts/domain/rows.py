"""What the outputs of a table's row must be: read when somebody is judged, and as far as can be when it is proposed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class RowUnusable(ValueError):
    """A row gives what cannot be used; names table, row and reason."""

    def __init__(self, table: str, row: str, reason: str) -> None:
        super().__init__(f"policy {table}, row {row}: {reason}")
        self.row = row
        self.reason = reason


@dataclass(frozen=True)
class Column:
    """One output: what it accepts, and what is said of anything else."""

    accepts: Callable[[Any], bool]
    otherwise: str
    optional: bool = False


Columns = Mapping[str, Column]


def check(columns: Columns, output: Mapping[str, Any], *, table: str, row: str, whole: bool = True) -> None:
    """Return when the outputs can be used; without `whole` those that are not there yet may still come.

    Raises:
        RowUnusable: One is missing or wrong.
    """
    for name, column in columns.items():
        if name in output:
            if not column.accepts(output[name]):
                raise RowUnusable(table, row, f"{name} {column.otherwise}")
        elif whole and not column.optional:
            raise RowUnusable(table, row, f"{name} is missing")


def _is_days(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


DAYS = Column(_is_days, "is not a number of days, 0 or more")
