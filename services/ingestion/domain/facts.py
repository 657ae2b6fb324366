"""One assertion of a source about a person, and the total order that facts are folded in."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import Field

from contracts.base import Message
from contracts.hr import HrPersonRecorded
from contracts.hr_changes import HrChange, HrEmploymentStarted
from services.ingestion.domain.access import AccessDecided


class FactOrder(Message):
    """Where a fact stands: when its source asserted it, the source's sequence, its rank, the event's id, the source.

    DESIGN 3: the source's time orders facts, never the time of arrival, so that any order of arrival folds alike.
    """

    asserted_at: datetime
    sequence: int
    rank: int = Field(default=0, exclude_if=lambda rank: not rank)
    event_id: str
    source: str

    @property
    def key(self) -> tuple[datetime, int, int, str, str]:
        """The order as something that sorts."""
        return (self.asserted_at, self.sequence, self.rank, self.event_id, self.source)


def rank(data: object) -> int:
    """Return 1 for what changes something that stands, 0 for what may be the first word of it."""
    return int(isinstance(data, HrChange) and not isinstance(data, HrEmploymentStarted))


@dataclass(frozen=True)
class Fact:
    """A person as one source saw it at `asserted_at`, or what an operator decided then.

    `(source, event_id)` makes it unique within an organisation. `change`: it was told as a single change, whose lists
    stand beside what was told before; `data` is what it says by itself.
    """

    source: str
    event_id: str
    asserted_at: datetime
    sequence: int
    data: HrPersonRecorded | AccessDecided
    change: HrChange | None = None

    @property
    def order(self) -> FactOrder:
        """Where the fact stands among the person's facts."""
        return FactOrder(
            asserted_at=self.asserted_at.astimezone(UTC),
            sequence=self.sequence,
            rank=rank(self.change),
            event_id=self.event_id,
            source=self.source,
        )


def in_order(facts: Iterable[Fact]) -> list[Fact]:
    """Return each fact once, in the order in which they are folded."""
    unique = {(fact.source, fact.event_id): fact for fact in facts}
    return sorted(unique.values(), key=lambda fact: fact.order.key)
