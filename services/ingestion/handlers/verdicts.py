"""What the door answers about one event."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from services.kernel.problems import FieldError, ProblemError


class Status(StrEnum):
    """`unchanged`: accepted, and the record already said so. `duplicate`: the same event was accepted before.

    `quarantined`: accepted and kept, but a person has to say whom it is about before anything comes of it. `parked`:
    accepted and kept, and told as far as it can be: the unit waits for one above it that is not known yet. What is told
    of somebody who is erased is `unchanged` too, and not kept.
    """

    ACCEPTED = "accepted"
    UNCHANGED = "unchanged"
    QUARANTINED = "quarantined"
    PARKED = "parked"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    CONFLICT = "conflict"


@dataclass(frozen=True)
class Verdict:
    """The answer: where the fact is found, which person and revision it led to, or the problem.

    `warnings`: it was accepted, and somebody should look.
    """

    status: Status
    event_id: str | None = None
    fact: UUID | None = None
    person: UUID | None = None
    unit: str | None = None
    revision: int | None = None
    case_id: UUID | None = None
    problem: ProblemError | None = None
    warnings: Sequence[FieldError] = ()

    @property
    def entered(self) -> bool:
        """The event is a new fact in the ledger."""
        kept = (Status.ACCEPTED, Status.UNCHANGED, Status.QUARANTINED, Status.PARKED)
        return self.fact is not None and self.status in kept


def refused(code: str, title: str, *errors: FieldError, event_id: str | None = None, http_status: int = 422) -> Verdict:
    """Return the verdict on an event of which nothing is applied."""
    return Verdict(Status.REJECTED, event_id=event_id, problem=ProblemError(http_status, code, title, errors=errors))


def conflicting(event_id: str) -> Verdict:
    """Return the verdict on an id that was used for another body."""
    problem = ProblemError(
        409,
        "event.conflict",
        "An event with this source and id, but another body, was accepted before",
        errors=[FieldError("/id", "event.conflict", "the id was used for another event")],
    )
    return Verdict(Status.CONFLICT, event_id=event_id, problem=problem)
