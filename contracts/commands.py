"""Commands, on an exchange of their own. The owning service decides and answers by a step."""

from datetime import datetime
from uuid import UUID

from contracts.base import Label, Message, Organisation


class Command(Message):
    """Who asks whom for what, and why. Idempotent by the event's id.

    `person`/`target` narrow it; without them it concerns all of the organisation's matching rows.
    """

    organisation: Organisation
    service: str
    actor: str
    role: str
    reason: Label
    requested_at: datetime
    person: UUID | None = None
    target: str | None = None


class Retry(Command):
    """se.stafett.command.retry.v1: wake parked and waiting work."""


class ReleaseHold(Command):
    """se.stafett.command.release.v1: let a held destructive action through; without `hold`, all that match."""

    hold: UUID | None = None


class RefuseHold(Command):
    """se.stafett.command.refuse.v1: the held action shall not happen; it stays refused for that revision's plan."""

    hold: UUID | None = None


class Reverify(Command):
    """se.stafett.command.reverify.v1: look at the target again, though nothing is known to be wrong."""


class Skip(Command):
    """se.stafett.command.skip.v1: what cannot be done for one person shall not be; lapses with the next input.

    Never a removal: who has left is not left with access.
    """


class ReplayDeadLetters(Command):
    """se.stafett.command.redeliver.v1: take kept messages through intake once more; without `message`, all."""

    message: UUID | None = None
