"""Commands that every service takes: retry, re-verify, release or refuse a hold, redeliver dead letters. Idempotent."""

from collections.abc import Sequence
from typing import cast

from contracts.commands import Command, RefuseHold, ReleaseHold, ReplayDeadLetters, Retry, Reverify, Skip
from services.kernel import audit, guard, oversight, telemetry
from services.kernel.database import Connection
from services.kernel.messaging.dead import DeadLetters
from services.kernel.messaging.intake import Incoming

log = telemetry.get_logger(__name__)


class CommandHandler:
    """Handles the topic `command` of one service."""

    def __init__(self, service: str, dead: DeadLetters) -> None:
        self._service = service
        self._dead = dead

    async def __call__(self, conn: Connection, messages: Sequence[Incoming]) -> None:
        """Carry commands out; each leaves an audit record. Safe to replay: their ids are in the inbox."""
        for message in messages:
            command = cast("Command", message.event.data)
            count = await self._carry_out(conn, command)
            log.info(
                "command.done",
                type=message.type,
                organisation=command.organisation,
                actor=command.actor,
                command=str(message.message_id),
                count=count,
            )
            await audit.record(
                conn,
                self._service,
                command.organisation,
                command.actor,
                message.type,
                subject=command.person,
                reason=command.reason,
                parameters={"service": self._service, "command": str(message.message_id), "count": count},
                traceparent=message.event.traceparent,
            )

    async def _carry_out(self, conn: Connection, command: Command) -> int:
        subject = str(command.person) if command.person else None
        match command:
            case Retry():
                return await oversight.wake_troubled(conn, command.organisation, subject=subject, target=command.target)
            case Reverify():
                return await oversight.look_again(conn, command.organisation, subject=subject, target=command.target)
            case Skip() if subject is not None:
                return await oversight.skip(conn, command.organisation, subject=subject, target=command.target)
            case ReleaseHold() | RefuseHold():
                decided = await guard.decide(
                    conn,
                    command.organisation,
                    state="released" if isinstance(command, ReleaseHold) else "refused",
                    actor=command.actor,
                    reason=command.reason,
                    hold=command.hold,
                    subject=subject,
                    target=command.target,
                )
                await oversight.wake_decided(conn, command.organisation, decided)
                return len(decided)
            case ReplayDeadLetters():
                # marked only: to take them in needs transactions of its own, and this one may hold locks
                return await self._dead.ask(conn, command.organisation, command.message)
        return 0
