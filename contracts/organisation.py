"""What orgtree says of the organisation that is in effect: units, who leads them, and people's places. Newest wins."""

from datetime import date, datetime
from uuid import UUID

from pydantic import Field

from contracts.base import Message, Organisation


class Leader(Message):
    """Somebody who leads a unit: for which unit they are named, and whether they act for another."""

    person: UUID
    unit: str
    acting: bool = Field(default=False, exclude_if=lambda acting: not acting)


class EffectiveUnit(Message):
    """A unit as it is in effect on a local date.

    `path`: from the root to the unit itself. `leaders`: those who are named for it and work here, nearest first: for
    the unit (acting before ordinary), then for each one above it, up to the root; empty: nobody leads it. `site`,
    `cost_centre` and `mail_domain`: its own, or those of the nearest above it that has one. `valid_to`: its last day,
    after which it becomes its `successors`.
    """

    name: str
    path: tuple[str, ...]
    leaders: tuple[Leader, ...] = ()
    kind: str | None = None
    site: str | None = None
    cost_centre: str | None = None
    mail_domain: str | None = None
    valid_from: date
    valid_to: date | None = None
    successors: tuple[str, ...] = Field(default=(), exclude_if=lambda units: not units)


class UnitChanged(Message):
    """se.stafett.unit.changed.v1: newest wins by (generation, version), the version of the organisation's tree.

    All units that change at one instant carry one version. `record` null: it is not in effect (not yet, or not any
    more); `moved`: the unit in effect that took it over, where its people are. `record_revision`: the newest revision
    of HR's record that it comes from.
    """

    organisation: Organisation
    unit: str
    generation: int = 1
    version: int
    record_revision: int
    effective_at: datetime
    changed_at: datetime
    record: EffectiveUnit | None
    moved: str | None = Field(default=None, exclude_if=lambda unit: unit is None)


class Membership(Message):
    """An employment other than the main one, and the unit that it belongs to."""

    employment: UUID
    unit: str


class Place(Message):
    """Where somebody is: the main employment's unit, its path from the root, and who leads them.

    `manager`: the nearest leader who is not the person. `cost_centre` and `site`: those of the employment's assignment,
    else the unit's, as `mail_domain`.
    """

    employment: UUID
    unit: str
    path: tuple[str, ...]
    manager: UUID | None = None
    cost_centre: str | None = None
    site: str | None = None
    mail_domain: str | None = None


class PlacementChanged(Message):
    """se.stafett.placement.changed.v1: newest wins by (generation, version). `place` null: in no unit now.

    (`record_generation`, `revision`) is the person's record that was read. It names no person and is sent of protected
    people too: whoever shows it asks for their protection first.
    """

    organisation: Organisation
    person: UUID
    generation: int = 1
    version: int
    record_generation: int
    revision: int
    changed_at: datetime
    place: Place | None
    memberships: tuple[Membership, ...] = ()
