"""A decision table as rows and columns, and how a candidate differs. Pure."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import Field

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


class Refusal(View):
    """Why the installation's file cannot be used."""

    file: str
    row: str
    reason: str


class Shown(View):
    """One table as it stands: in force, proposed by the installation's file, or what is wrong with that file."""

    active: Active | None = None
    candidate: Candidate | None = None
    refused: Refusal | None = None

    @property
    def waits(self) -> bool:
        """Whether another table than the one in force is proposed."""
        return self.candidate is not None and self.candidate.differs


class Listed(Shown):
    """A table in the list of all."""

    table: str


class Tables(View):
    """The tables that there are."""

    items: tuple[Listed, ...]


class Value(View):
    """How many people gain or lose a group or a licence."""

    target: str
    kind: str
    value: str
    gains: int
    losses: int


class Impact(View):
    """Who would change, now or at another date; what a table does not count is None."""

    hash: str
    people: int
    opens: int | None = None
    prepares: int | None = None
    closes: int | None = None
    deletes: int | None = None
    gains: int | None = None
    losses: int | None = None
    renames: int | None = None
    reschedules: int | None = None
    values: tuple[Value, ...] = ()
    removals: int
    allowance: int
    needs_confirmation: bool
    examples: tuple[str, ...] = ()


class Granted(View):
    """A group or a licence that a row gives an employment; `now`: it is given today."""

    target: str
    kind: str
    value: str
    row: str
    begins: datetime = Field(alias="from")
    until: datetime | None = None
    now: bool


class Ruled(View):
    """What a table gives one employment: an account by a row, or groups and licences."""

    employment: UUID
    form: str
    valid_from: date
    valid_to: date | None = None
    row: str | None = None
    account: bool = False
    lead_days: int = 0
    grace_days: int = 0
    expires_days: int | None = None
    grants: tuple[Granted, ...] = ()


class Outlook(View):
    """What a table makes of a person's account in a target, now and next."""

    state: str
    changes_at: datetime | None = None
    changes_to: str | None = None


class Verdict(View):
    """What a table makes of a person now: accounts by target, employments with what they give, or a name by a row."""

    hash: str
    targets: dict[str, Outlook] = Field(default_factory=dict)
    employments: tuple[Ruled, ...] = ()
    row: str | None = None
    first_login: str | None = None
    first_mail: str | None = None

    @property
    def rows(self) -> frozenset[str]:
        """Every row that gives something."""
        found = {self.row, *(one.row for one in self.employments)}
        given = {grant.row for one in self.employments for grant in one.grants}
        return frozenset(row for row in found | given if row is not None)


class Trial(View):
    """What the active table and the candidate decide for a person; None for one that is not there."""

    person: UUID
    now: datetime
    active: Verdict | None = None
    candidate: Verdict | None = None


@dataclass(frozen=True)
class Row:
    """One row. The description is in (Swedish, English)."""

    id: str
    description: tuple[str, str]
    inputs: tuple[tuple[str, ...], ...]
    outputs: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Table:
    """One decision table; `collects`: every row gives that matches, otherwise the first one decides."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rows: tuple[Row, ...]
    collects: bool = False
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
            collects=node.get("hitPolicy") == "collect",
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
    return next((code for code in (f"column.{field}", field) if code in CODES), str(column["name"]))


def _plain(expression: object) -> tuple[str, ...]:
    """Return the values of a cell: a string or a list of strings without quotes, any other expression as it stands."""
    text = str(expression)
    if _STRINGS.fullmatch(text):
        return tuple(_STRING.findall(text))
    return (text,) if text else ()
