"""Whom and what an act concerns, as the services know it now."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.portal.api.attention import SERVICES, DeadLetter, DeadLetters
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.work import TROUBLED, PersonDetail, Step, Target
from services.portal.handlers.asking import Asking

MOST = 200


@dataclass(frozen=True)
class About:
    """What an act says of what it concerns, beside the person."""

    type: str
    service: str
    target: str | None
    hold: UUID | None
    message: UUID | None


@dataclass(frozen=True)
class Concerned:
    """One account, number or the like that it concerns, and the steps that will be done, or looked at, there."""

    target: Target
    steps: Sequence[Step]


@dataclass(frozen=True)
class Subject:
    """What a confirmation shows: a person with what is concerned, or messages."""

    name: str | None = None
    concerned: Sequence[Concerned] = ()
    letters: Sequence[DeadLetter] = ()

    @property
    def matches(self) -> int:
        """How many targets, as the status API counts what a command matches."""
        return len(self.concerned)

    @property
    def more(self) -> bool:
        """Whether there may be more messages than were counted."""
        return len(self.letters) >= MOST


async def person(ask: Asking, about: About, person_id: UUID) -> Part[Subject]:
    """Return what an act about a person concerns."""
    found = await ask.get(PersonDetail, "status", f"/v1/persons/{person_id}")
    return Part(None, found.trouble) if found.value is None else concerned(found.value, about)


def concerned(detail: PersonDetail, about: About) -> Part[Subject]:
    """Narrow a person's targets to those that an act concerns."""
    reached = [one for one in detail.targets if one.service == about.service and about.target in {None, one.target}]
    if not reached:
        return Part(None, Trouble("missing", "status", "target.unknown"))
    if about.type not in {"release", "refuse", "skip"}:
        steps = {one.target: [step for step in one.steps if step.state in TROUBLED | {"held"}] for one in reached}
        return Part(Subject(detail.name, [Concerned(one, steps[one.target]) for one in reached]))
    met = [Concerned(one, [step for step in one.steps if _is_meant(step, about)]) for one in reached]
    met = [one for one in met if one.steps]
    if not met:
        return Part(None, Trouble("refused", "status", "command.nothing_to_do"))
    return Part(Subject(detail.name, met))


async def letters(ask: Asking, about: About) -> Part[Subject]:
    """Return the messages that an act concerns: one, or all that a service keeps."""
    if about.service not in SERVICES:
        return Part(None, Trouble("missing", "", "service.unknown"))
    found = await ask.get(DeadLetters, about.service, "/v1/operations/dead-letters", limit=MOST)
    if found.value is None:
        return Part(None, found.trouble)
    kept = [one for one in found.value.items if about.message in {None, one.id}]
    if not kept:
        return Part(None, Trouble("refused", about.service, "command.nothing_to_do"))
    return Part(Subject(letters=kept))


def _is_meant(step: Step, about: About) -> bool:
    if about.type == "skip":
        return step.skippable
    if step.state != "held":
        return False
    return about.hold is None or (step.problem is not None and step.problem.parameters.get("hold") == str(about.hold))
