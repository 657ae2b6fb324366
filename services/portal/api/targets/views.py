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


class Finding(View):
    """One difference; `decisions` are those that can be made of it."""

    id: UUID
    kind: str
    person: UUID | None = None
    attribute: str | None = None
    object: str
    first_seen: datetime
    decisions: list[str] = Field(default_factory=list)
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


class Done(View):
    """What was decided or approved."""

    decided: int = 0
    approved: int = 0
