"""What ingestion answers about who is who, as far as pages show it. Pure."""

from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from pydantic import Field

from services.portal.domain.work import View

RETURNED, MERGED = "id_returned", "merged"


class NameView(View):
    """A name as HR spells it."""

    given: str = ""
    family: str = ""
    preferred: str | None = None

    @property
    def display(self) -> str:
        """Name of address and family name."""
        return " ".join(part for part in (self.preferred or self.given, self.family) if part)


class KnownAs(View):
    """An id of a source. `origin`: whom it meant before a merge; `recognised`: linked by a machine at first sight."""

    source: str
    external_id: str
    origin: UUID | None = None
    recognised: bool = False
    first_seen_at: datetime

    @property
    def key(self) -> str:
        """Both in one value of a form; a source is a URI, which has no space."""
        return f"{self.source} {self.external_id}"


class EmploymentView(View):
    """An employment as HR tells it; `valid_to` is the last day."""

    form: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    employee_number: str | None = None
    unit: str | None = None


class PersonView(View):
    """One of the two whom a case is about. `held`: nothing is told of this one before somebody has decided."""

    id: UUID
    name: NameView | None = None
    birth_date: date | None = None
    alias_of: UUID | None = None
    held: bool = False
    employments: list[EmploymentView] = Field(default_factory=list)
    ids: list[KnownAs] = Field(default_factory=list)

    @property
    def display(self) -> str:
        """The name; empty when none was told."""
        return self.name.display if self.name else ""

    @property
    def numbers(self) -> list[str]:
        """Employee numbers, each once."""
        return sorted({one.employee_number for one in self.employments if one.employee_number})

    @property
    def units(self) -> list[str]:
        """Units, each once."""
        return sorted({one.unit for one in self.employments if one.unit})


class CaseView(View):
    """A question of identity. `person` was there first. State: open, merged, separate or split."""

    id: UUID
    kind: str
    state: str
    source: str | None = None
    external_id: str | None = None
    opened_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None
    reason: str | None = None
    person: PersonView
    other: PersonView

    @property
    def open(self) -> bool:
        """Whether it waits for a person."""
        return self.state == "open"

    @property
    def returned(self) -> bool:
        """Whether an id of a source came back with somebody else, who is held."""
        return self.kind == RETURNED

    def differs(self, attribute: str) -> bool | None:
        """Tell whether something differs between the two; None where there is nothing to compare."""
        if self.state == MERGED:
            return None
        one, other = getattr(self.person, attribute), getattr(self.other, attribute)
        return one != other if one and other else None


class Cases(View):
    """A page of cases, oldest first."""

    items: list[CaseView]
    next: str | None = None

    @property
    def following(self) -> dict[str, Any] | None:
        """Where the next page begins."""
        if not self.next:
            return None
        asked = parse_qs(urlsplit(self.next).query)
        return {"at": asked["afterAt"][0], "after": asked["after"][0]}


class WaitingView(View):
    """How many cases of a kind wait, and since when the oldest does."""

    kind: str
    count: int
    since: datetime


class Waiting(View):
    """What waits for a person; it names nobody."""

    items: list[WaitingView]


class Known(View):
    """The ids by which sources know a person, and what binds the person's own id to others."""

    person: UUID
    alias_of: UUID | None = None
    aliases: list[UUID] = Field(default_factory=list)
    retired: bool = False
    ids: list[KnownAs] = Field(default_factory=list)


class Parted(Known):
    """A person after a split, and the other one."""

    other: Known
