"""What orgtree answers about the organisation, as far as pages show it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from pydantic import Field

from services.portal.domain.work import Problem, View


class Leader(View):
    """Somebody who leads; without a name: whom the reader may not see, or nobody knows."""

    person: UUID | None = None
    name: str | None = None
    acting: bool = False
    unit: str | None = None


class Called(View):
    """A unit by its name."""

    unit: str
    name: str
    path: list["Called"] = Field(default_factory=list)


class Unit(View):
    """A unit in effect."""

    unit: str
    name: str
    parent: str | None = None
    depth: int = 1
    kind: str | None = None
    site: str | None = None
    cost_centre: str | None = None
    mail_domain: str | None = None
    leaders: list[Leader] = Field(default_factory=list)
    people: int = 0
    children: int = 0
    problems: list[str] = Field(default_factory=list)


class Worry(View):
    """What is wrong with a unit, and how many people it concerns."""

    unit: str
    name: str | None = None
    code: str
    other: str | None = None
    people: int = 0


class Tree(View):
    """The tree on a day, each unit after the one above it."""

    on: date
    next_change: datetime | None = None
    path: list[Called] = Field(default_factory=list)
    units: list[Unit] = Field(default_factory=list)
    waiting: list[Worry] = Field(default_factory=list)


class Hits(View):
    """Units that were searched for."""

    items: list[Called]
    found: int


class Step(View):
    """What a unit is from a day on."""

    since: date = Field(alias="from")
    name: str
    parent: str | None = None
    manager: Leader | None = None
    acting_manager: Leader | None = None
    kind: str | None = None
    site: str | None = None
    cost_centre: str | None = None
    mail_domain: str | None = None


class Member(View):
    """Somebody in a unit."""

    person: UUID
    name: str
    title: str | None = None
    main: bool


class StandingObject(View):
    """What stands for a unit in a target."""

    kind: str
    name: str
    place: str | None = None


class StandingIn(View):
    """How a unit stands in a target, and what hinders."""

    target: str
    problem: Problem | None = None
    verified_at: datetime | None = None
    objects: list[StandingObject] = Field(default_factory=list)


class UnitDetail(Unit):
    """A unit, what it was and will be, and who is in it."""

    in_effect: bool
    taken_over_by: str | None = None
    path: list[Called]
    valid_from: date
    valid_to: date | None = None
    successors: list[str] = Field(default_factory=list)
    steps: list[Step] = Field(default_factory=list)
    troubles: list[Worry] = Field(default_factory=list)
    members: list[Member] = Field(default_factory=list)
    targets: list[StandingIn] = Field(default_factory=list)
    next: UUID | None = None


class FieldChange(View):
    """A field before and after."""

    field: str
    before: str | Leader | None = None
    after: str | Leader | None = None
    before_name: str | None = None
    after_name: str | None = None


class Change(View):
    """What is to change of a unit on a day."""

    on: date
    unit: str
    name: str
    what: str
    fields: list[FieldChange] = Field(default_factory=list)
    successors: list[str] = Field(default_factory=list)


class Changes(View):
    """What is to change, the nearest first."""

    items: list[Change]
    found: int


class Missing(View):
    """A unit that people wait for."""

    unit: str
    people: int
    due: datetime


class Worklist(View):
    """What a person has to look at."""

    items: list[Worry]
    missing: list[Missing]


@dataclass
class Branch:
    """A unit with those below it that are shown."""

    unit: Unit
    below: list["Branch"] = field(default_factory=list)


def branches(units: Iterable[Unit]) -> Sequence[Branch]:
    """Return a list in which each unit comes after the one above it as the tree that it is."""
    roots: list[Branch] = []
    way: list[Branch] = []
    for unit in units:
        branch = Branch(unit)
        while way and way[-1].unit.depth >= unit.depth:
            way.pop()
        (way[-1].below if way else roots).append(branch)
        way.append(branch)
    return roots
