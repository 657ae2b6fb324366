"""What accounts answers about targets, drift and take-over, as far as pages show it. Pure."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from services.portal.domain.work import View


class TargetView(View):
    """A target: what may be written there, units that are live (None: all), what differs by kind."""

    target: str
    kind: str
    mode: str
    staged: bool
    live: int | None = None
    accounts: int
    compared_at: datetime | None = None
    comparing: bool = False
    findings: dict[str, int] = Field(default_factory=dict)

    @property
    def open(self) -> int:
        """How much differs."""
        return sum(self.findings.values())


class Targets(View):
    """All of an organisation's."""

    items: list[TargetView]


class Standing(View):
    """Of when a comparison is, and what is open by kind."""

    compared_at: datetime | None = None
    read: int = 0
    skipped: int = 0
    running: bool = False
    so_far: int | None = None
    next_at: datetime | None = None
    problem: str | None = None
    findings: int = 0
    kinds: dict[str, int] = Field(default_factory=dict)

    def asked(self, now: datetime) -> bool:
        """Whether it is to be read now, and nobody has begun."""
        return not self.running and self.next_at is not None and self.next_at <= now


class Decided(View):
    """What somebody has decided of a difference, and why."""

    decision: str
    actor: str
    reason: str
    at: datetime | None = None


class Finding(View):
    """One difference; `decisions` are those that can be made of it, `decision` what was decided."""

    id: UUID
    kind: str
    person: UUID | None = None
    attribute: str | None = None
    object: str
    first_seen: datetime
    decisions: list[str] = Field(default_factory=list)
    decision: Decided | None = None
    detail: dict[str, Any] = Field(default_factory=dict)


class Findings(View):
    """A page of them."""

    items: list[Finding]
    next: str | None = None


class Counts(View):
    """How many accounts of a plan there are, and what became of them."""

    rows: int = 0
    approved: int = 0
    adopted: int = 0
    refused: int = 0


class PlanView(View):
    """The newest plan of a take-over and how far it has come."""

    planning: bool = False
    so_far: int | None = None
    problem: str | None = None
    plan: str | None = None
    made_at: datetime | None = None
    read: int = 0
    people: int = 0
    counts: dict[str, Counts] | None = None

    @property
    def approved(self) -> int:
        """How many were approved."""
        return sum(one.approved for one in (self.counts or {}).values())

    @property
    def adopted(self) -> int:
        """How many bear the mark by now."""
        return sum(one.adopted for one in (self.counts or {}).values())


class Account(View):
    """An account that others made, and whose it may be."""

    entry: str
    user_name: str
    mails: list[str] = Field(default_factory=list)
    enabled: bool = False
    by: str | None = None
    candidates: list[UUID] = Field(default_factory=list)
    detail: dict[str, Any] = Field(default_factory=dict)
    adopted_by: UUID | None = None
    adopted_at: datetime | None = None
    refused: str | None = None


class Accounts(View):
    """A page of a plan."""

    plan: str
    items: list[Account]
    next: str | None = None


class Beside(Account):
    """An account of a plan with whom it may belong to."""

    plan: str
    people: list["CandidateView"]

    @property
    def names(self) -> list[str]:
        """What it calls its holder."""
        return list(self.detail.get("displayName") or self.detail.get("cn") or ())

    @property
    def numbers(self) -> list[str]:
        """The employee numbers that it bears."""
        return list(self.detail.get("employeeNumber") or ())

    @property
    def titles(self) -> list[str]:
        """The titles that it bears."""
        return list(self.detail.get("title") or ())

    @property
    def units(self) -> list[str]:
        """The units that it bears."""
        return [*(self.detail.get("departmentNumber") or ()), *(self.detail.get("ou") or ())]


class CandidateView(View):
    """Somebody whose account it may be; `shared`: what both have, `rivals`: other accounts that may be theirs."""

    person: UUID
    name: str
    employee_numbers: list[str] = Field(default_factory=list)
    user_names: list[str] = Field(default_factory=list)
    mails: list[str] = Field(default_factory=list)
    titles: list[str] = Field(default_factory=list)
    units: list[str] = Field(default_factory=list)
    shared: list[str] = Field(default_factory=list)
    rivals: list[str] = Field(default_factory=list)


class UnitView(View):
    """A unit with how many people name it, and since when it is live, if it is."""

    unit: str
    name: str | None = None
    people: int = 0
    since: datetime | None = None
    actor: str | None = None
    reason: str | None = None


class Units(View):
    """A page of units; `everybody`: since when all are live."""

    staged: bool
    everybody: UnitView | None = Field(default=None, alias="all")
    live: int = 0
    items: list[UnitView]
    next: str | None = None


class Concerned(View):
    """How many people would be written."""

    people: int


class Done(View):
    """What was decided or approved."""

    decided: int = 0
    approved: int = 0
