"""A unit as accounts knows it: what is written of it, and who leads it, nearest first."""

from dataclasses import dataclass
from uuid import UUID

from contracts.organisation import UnitChanged


@dataclass(frozen=True)
class Unit:
    """A unit that people's records name, or the one that took it over.

    `name` None: it is known and not in effect, not yet or not any more; what is written of it stays as it is.
    `leaders`: who works here and leads it, or one above it.
    """

    id: str
    name: str | None
    leaders: tuple[UUID, ...] = ()

    @classmethod
    def of(cls, told: UnitChanged) -> "Unit":
        """Read what orgtree told."""
        record = told.record
        if record is None:
            return cls(told.unit, None)
        return cls(told.unit, record.name, tuple(leader.person for leader in record.leaders))
