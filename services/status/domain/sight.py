"""Whom a reader sees. One value says it, made at the door from the token; every list and every look asks it. Pure."""

from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Staff:
    """The people of a manager's own units, and those whose assignment names the manager.

    `manager` is None where the token does not say who its bearer is: then it is nobody. `others`: more ids of the same
    person, by merges. `zone` is the organisation's.
    `few` are all of them, where they have been looked up for one request and are not too many to be named.
    """

    manager: UUID | None
    zone: ZoneInfo
    others: tuple[UUID, ...] = ()
    few: tuple[UUID, ...] | None = None


@dataclass(frozen=True)
class Sight:
    """Whom a reader sees within one organisation.

    `protected`: people with a protected identity too. `staff`: nobody but these; None is everybody.
    """

    protected: bool
    staff: Staff | None
