"""Commands to the services that own the work, and replays. Each needs a reason and is audited in its transaction."""

import hashlib
from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from contracts.base import Label
from contracts.codes import Lane
from contracts.commands import Command, RefuseHold, ReleaseHold, ReplayDeadLetters, Retry
from contracts.facts import Parameter
from contracts.registry import COMMAND_REDELIVER, COMMAND_REFUSE, COMMAND_RELEASE, COMMAND_RETRY
from services.kernel.clock import database_now
from services.kernel.database import Connection
from services.kernel.messaging import outbox, replay, topology
from services.kernel.messaging.outbox import Outgoing
from services.kernel.problems import FieldError, ProblemError
from services.kernel.security import Principal
from services.kernel.telemetry import span
from services.status.api import door
from services.status.domain.views import View
from services.status.store import commands as store
from services.status.store import persons as person_store

router = APIRouter(prefix="/v1", tags=["commands"], responses=door.PROBLEMS)

ROLE = "commands:write"
"""The right by which the actor acts; roles of people come with sign-in."""


class CommandBody(BaseModel):
    """What someone asks a service to do. `person` and `target` narrow it; without them all that match are meant."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    type: Literal["retry", "release", "refuse", "redeliver"]
    service: str
    person: UUID | None = None
    target: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    hold: UUID | None = None
    message: UUID | None = None
    reason: Label

    @model_validator(mode="after")
    def _fields_of_its_type(self) -> "CommandBody":
        if not self.reason:
            raise ValueError("the reason is blank")
        if self.hold is not None and self.type not in {"release", "refuse"}:
            raise ValueError("only release and refuse concern a hold")
        if self.message is not None and self.type != "redeliver":
            raise ValueError("only redeliver concerns a message")
        return self


class Accepted(View):
    """The command's id: the id of its event; the answer is a step of the owning service."""

    id: UUID


class ReplayBody(BaseModel):
    """Which service shall be told everything once more."""

    model_config = ConfigDict(extra="forbid")

    to: str
    reason: Label = "replay"


class Requested(View):
    """The services that were asked to say everything once more."""

    to: str
    producers: list[str]


def _known(service: str, among: frozenset[str], field: str) -> None:
    if service not in among:
        known = ", ".join(sorted(among))
        raise ProblemError(
            422,
            "service.unknown",
            "There is no such service",
            errors=[FieldError(f"/body/{field}", "service.unknown", f"one of {known}")],
        )


def _command(body: CommandBody, principal: Principal, common: dict[str, object]) -> tuple[str, Command]:
    values: dict[str, object] = {
        "organisation": principal.organisation,
        "actor": principal.subject,
        "role": ROLE,
        "service": body.service,
        "reason": body.reason,
        "person": body.person,
        "target": body.target,
        **common,
    }
    match body.type:
        case "retry":
            return COMMAND_RETRY, Retry.model_validate(values)
        case "release":
            return COMMAND_RELEASE, ReleaseHold.model_validate({**values, "hold": body.hold})
        case "refuse":
            return COMMAND_REFUSE, RefuseHold.model_validate({**values, "hold": body.hold})
        case "redeliver":
            return COMMAND_REDELIVER, ReplayDeadLetters.model_validate({**values, "message": body.message})


@router.post("/commands", status_code=202, responses={**door.NOT_FOUND, 409: {"description": "Same id, other command"}})
async def give_command(
    database: door.Projections,
    principal: door.Commander,
    committed: door.Committed,
    body: CommandBody,
    idempotency_key: Annotated[UUID | None, Header(description="Becomes the command's id")] = None,
) -> Accepted:
    """Ask a service to retry, release, refuse or take dead letters in again. Idempotent by `Idempotency-Key`."""
    _known(body.service, frozenset(topology.COMMANDED), "service")
    command_id = idempotency_key or uuid4()
    async with database.transaction() as conn:
        await _visible(conn, principal, body.person)
        if not await _is_new(conn, principal, command_id, body):
            return Accepted(id=command_id)
        now = await database_now(conn)
        type_, data = _command(body, principal, {"requested_at": now})
        with span(f"command {body.type}") as traceparent:
            event = outbox.make(
                type_,
                data,
                source=door.SOURCE,
                subject=str(body.person or body.service),
                organisation=principal.organisation,
                time=now,
                event_id=command_id,
                traceparent=traceparent,
            )
        await outbox.append(conn, [Outgoing(event, lane=Lane.EXPRESS, service=body.service)])
        await door.audit(
            conn,
            principal,
            f"command.{body.type}",
            subject=body.person,
            reason=body.reason,
            parameters=_parameters(body, command_id),
        )
    committed()
    return Accepted(id=command_id)


def _parameters(body: CommandBody, command_id: UUID) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {"command": str(command_id), "service": body.service, "target": body.target}
    for name in ("hold", "message"):
        value = getattr(body, name)
        if value is not None:
            found[name] = str(value)
    return found


async def _visible(conn: Connection, principal: Principal, person: UUID | None) -> None:
    """Refuse a command about someone whom the bearer may not see, as if there were no such person."""
    if person is None:
        return
    seen = await person_store.person(conn, principal.organisation, person, protected=door.sees_protected(principal))
    if seen is None:
        raise await door.denied(conn, principal, "command.refused", person, "person")


async def _is_new(conn: Connection, principal: Principal, command_id: UUID, body: CommandBody) -> bool:
    digest = hashlib.sha256(f"{principal.subject}\n{body.model_dump_json()}".encode()).hexdigest()
    known = await store.accept(conn, command_id, principal.organisation, digest)
    if known is not None and known != digest:
        raise ProblemError(409, "command.id_reused", "This Idempotency-Key belongs to another command")
    return known is None


@router.post("/replays", status_code=202)
async def request_replay(database: door.Projections, principal: door.Operator, body: ReplayBody) -> Requested:
    """Ask every producer to tell one service everything once more, under the same ids.

    A replay to status clears its inbox first, so that all is projected anew; nothing shown goes away meanwhile.
    """
    _known(body.to, frozenset(topology.SUBSCRIPTIONS), "to")
    async with database.transaction() as conn:
        if body.to == "status":
            await store.forget_inbox(conn)
        await replay.request(conn, body.to)
        await door.audit(conn, principal, "replay.requested", reason=body.reason, parameters={"to": body.to})
    return Requested(to=body.to, producers=list(topology.producers_for(body.to)))
