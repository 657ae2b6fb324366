"""A decision table as rows and columns, and how a candidate differs. Pure."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from contracts.texts import CODES
from services.portal.domain.work import View

_STRING = re.compile(r"'([^']*)'")
_STRINGS = re.compile(r"\[?\s*(?:'[^']*'\s*,?\s*)+\]?")


class Former(View):
    """The table before the active one."""

    hash: str
    content: dict[str, Any] | None = None


class Active(View):
    """What is active: since when, by whom and why; the how-manieth it is, and which one stood before."""

    hash: str
    activated_at: datetime
    actor: str
    reason: str
    version: int = 1
    previous: Former | None = None
    content: dict[str, Any] | None = None


class Candidate(View):
    """What the installation's file says."""

    hash: str
    differs: bool
    content: dict[str, Any] | None = None


class Shown(View):
    """The answer of GET /v1/policy/accounts."""

    active: Active | None = None
    candidate: Candidate


class Impact(View):
    """Who would change, now or at another date."""

    hash: str
    people: int
    opens: int
    prepares: int
    closes: int
    deletes: int
    reschedules: int
    allowance: int
    needs_confirmation: bool
    examples: tuple[str, ...] = ()

    @property
    def removals(self) -> int:
        """How many lose something at once."""
        return self.closes + self.deletes


class Ruled(View):
    """What a table gives one employment, and by which row."""

    employment: UUID
    form: str
    valid_from: date
    valid_to: date | None = None
    row: str
    account: bool
    lead_days: int
    grace_days: int


class Outlook(View):
    """What a table makes of a person's account in a target, now and next."""

    state: str
    changes_at: datetime | None = None
    changes_to: str | None = None


class Verdict(View):
    """What a table makes of a person now, by target."""

    hash: str
    targets: dict[str, Outlook]
    employments: tuple[Ruled, ...]


class Trial(View):
    """What the active table and the candidate decide for a person."""

    person: UUID
    now: datetime
    active: Verdict
    candidate: Verdict | None = None


@dataclass(frozen=True)
class Row:
    """One row: the first that matches decides. The description is in (Swedish, English)."""

    id: str
    description: tuple[str, str]
    inputs: tuple[tuple[str, ...], ...]
    outputs: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Table:
    """One decision table."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rows: tuple[Row, ...]
    owner: tuple[str, str] = ("", "")
    version: str = ""

    def row(self, row_id: str) -> Row | None:
        """Return a row by its id."""
        return next((row for row in self.rows if row.id == row_id), None)


def table_of(content: dict[str, Any]) -> Table | None:
    """Read the first decision table of a JSON Decision Model, or None when there is none to show."""
    try:
        node = next(node for node in content["nodes"] if node["type"] == "decisionTableNode")["content"]
        inputs, outputs = node["inputs"], node["outputs"]
        return Table(
            inputs=tuple(_heading(column) for column in inputs),
            outputs=tuple(_heading(column) for column in outputs),
            rows=tuple(
                Row(
                    id=str(rule["_id"]),
                    description=_said(rule, "_description"),
                    inputs=tuple(_plain(rule.get(column["id"], "")) for column in inputs),
                    outputs=tuple(_plain(rule.get(column["id"], "")) for column in outputs),
                )
                for rule in node["rules"]
            ),
            owner=_said(content.get("metadata", {}), "owner"),
            version=str(content.get("metadata", {}).get("version", "")),
        )
    except (AttributeError, KeyError, TypeError, StopIteration):
        return None


def _said(among: dict[str, Any], name: str) -> tuple[str, str]:
    """Return a text of a table in (Swedish, English); one that is not translated stands for both."""
    english = str(among.get(name, ""))
    return str(among.get(f"{name}_sv") or english), english


def _heading(column: dict[str, Any]) -> str:
    """Return a code that has a text in both languages, else what the table calls it."""
    field = str(column.get("field", ""))
    return field if field in CODES else str(column["name"])


def _plain(expression: object) -> tuple[str, ...]:
    """Return the values of a cell: a string or a list of strings without quotes, any other expression as it stands."""
    text = str(expression)
    if _STRINGS.fullmatch(text):
        return tuple(_STRING.findall(text))
    return (text,) if text else ()
