"""What every table of the service has: rules for its rows, an impact before it is active, and a verdict on a person."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from contracts.person import CoreRecord
from services.accounts.domain import rows
from services.accounts.domain.rows import Columns, RowUnusable
from services.accounts.ports import Tables
from services.kernel.database import Connection
from services.kernel.policy import PolicyRefused, Row, Table
from services.kernel.settings import OrganisationSettings

EXAMPLES = 20

People = Sequence[tuple[UUID, CoreRecord]]


@dataclass(frozen=True)
class Proposal:
    """A table, what an organisation's tables say before and after it, and the time of the comparison."""

    organisation: OrganisationSettings
    table: Table
    before: Tables
    after: Tables
    now: datetime


class Impact(ABC):
    """Whom a table would change, and how; `examples` are ids of people for whom something changes now.

    `allowances`: what the guard lets through, by target; `lost`: from how many people something would be taken at once
    there.
    """

    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal
        self.people = 0
        self.allowances: dict[str, int] = {}
        self.lost: Counter[str] = Counter()
        self.examples: list[UUID] = []

    @property
    def removals(self) -> int:
        """From how many something is taken at once; who loses in two targets counts twice."""
        return self.lost.total()

    @property
    def allowance(self) -> int:
        """What the guard lets through over all targets."""
        return sum(self.allowances.values())

    @property
    def needs_confirmation(self) -> bool:
        """Whether the guard lets it through only when a person repeats the number (DESIGN 8)."""
        return any(self.lost[target] > allowed for target, allowed in self.allowances.items())

    async def take(self, conn: Connection, people: People) -> None:
        """Add a page of people; whatever else has to be known of them is read here.

        Raises:
            PolicyRefused: The table has no row for somebody, or one that gives what cannot be used.
        """
        del conn
        await asyncio.to_thread(self._count_all, people)

    def _count_all(self, people: People) -> None:
        for person, record in people:
            self.people += 1
            try:
                if self.count(person, record) and len(self.examples) < EXAMPLES:
                    self.examples.append(person)
            except RowUnusable as unusable:
                raise PolicyRefused(self.proposal.table.file, unusable.row, unusable.reason) from unusable

    @abstractmethod
    def count(self, person: UUID, record: CoreRecord) -> bool:
        """Add one person; tell whether something changes for them now."""

    @abstractmethod
    def counts(self) -> Mapping[str, object]:
        """Return what is counted of this table besides what is of all, as the API tells it."""


class Ruling(Protocol):
    """One table of the service. `needed`: the service cannot do without."""

    @property
    def name(self) -> str:
        """The table's name."""
        ...

    @property
    def needed(self) -> bool:
        """Whether the service cannot do without."""
        ...

    def check(self, table: Table) -> None:
        """Refuse a table of which a row can be seen to be wrong before anybody is judged by it.

        Raises:
            PolicyRefused: With file, row and reason.
        """
        ...

    def fits(self, table: Table, organisation: OrganisationSettings) -> None:
        """Refuse a table that speaks of what the organisation does not have.

        Raises:
            PolicyRefused: With file, row and reason.
        """
        ...

    def impact(self, proposal: Proposal) -> Impact:
        """Return what counts whom the table would change, with nobody counted yet."""
        ...

    def verdict(
        self, organisation: OrganisationSettings, tables: Tables, record: CoreRecord, now: datetime
    ) -> Mapping[str, object]:
        """Return what the tables make of a person at `now`, as the API tells it.

        Raises:
            PolicyRefused: A table has no row for an employment.
            RowUnusable: A row gives what cannot be used.
        """
        ...


class Agree(Protocol):
    """Judges the outputs of a row together, as far as they are there."""

    def __call__(self, output: Mapping[str, Any], *, table: str, row: str) -> None:
        """Return, or raise RowUnusable."""
        ...


def check_rows(
    table: Table, columns: Columns, *, collects: bool, needs: Sequence[str] = (), agree: Agree | None = None
) -> None:
    """Refuse a table that decides in the other way, lacks an output, or has a row that is wrong for everybody.

    Raises:
        PolicyRefused: With file, row and reason.
    """
    if table.collects is not collects:
        raise PolicyRefused(table.file, "-", f"the hit policy must be {'collect' if collects else 'first'}")
    needed = (*needs, *(name for name, one in columns.items() if not one.optional))
    if lacking := [name for name in needed if name not in table.outputs]:
        raise PolicyRefused(table.file, "-", f"no output {', '.join(lacking)}")
    for row in table.rows():
        try:
            rows.check(columns, row.outputs, table=table.name, row=row.id, whole=False)
            if agree is not None:
                agree(row.outputs, table=table.name, row=row.id)
        except RowUnusable as unusable:
            raise PolicyRefused(table.file, unusable.row, unusable.reason) from unusable


def rows_of(table: Table, organisation: OrganisationSettings) -> Iterator[Row]:
    """Yield the rows that may speak of an organisation; others' rows are theirs."""
    for row in table.rows():
        if organisation.key in row.inputs.get("organisation", {organisation.key}):
            yield row


def refuse_strange_targets(table: Table, organisation: OrganisationSettings) -> None:
    """Refuse a row that asks for, or gives, a target that the organisation does not have.

    Raises:
        PolicyRefused: With file, row and reason.
    """
    for row in rows_of(table, organisation):
        named = {*row.inputs.get("target", ()), *(row.outputs.get("targets") or ())}
        if strange := sorted(named - organisation.targets.keys()):
            raise PolicyRefused(table.file, row.id, f"the organisation has no target {', '.join(strange)}")
