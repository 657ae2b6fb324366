"""Commands to the services that own the work, and replays. Each needs a reason and is audited in its transaction."""

import hashlib
from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from contracts.base import Label
from contracts.codes import Lane
from contracts.commands import Command, RefuseHold, ReleaseHold, ReplayDeadLetters, Retry, Reverify, Skip
from contracts.facts import Parameter
from contracts.registry import (
    COMMAND_REDELIVER,
    COMMAND_REFUSE,
    COMMAND_RELEASE,
    COMMAND_RETRY,
    COMMAND_REVERIFY,
    COMMAND_SKIP,
)
from services.kernel.clock import database_now
from services.kernel.database import Connection
from services.kernel.messaging import outbox, replay, topology
from services.kernel.messaging.outbox import Outgoing
from services.kernel.problems import FieldError, ProblemError, documented
from services.kernel.telemetry import current_traceparent
from services.status.api import door
from services.status.domain.views import CommandDetail, CommandItem, Page, View
from services.status.store import commands as store
from services.status.store import persons as person_store
from services.status.store.commands import Given

router = APIRouter(prefix="/v1", tags=["commands"])

MANY = 25
"""More than so many matches are confirmed by their number."""
STATES = {
    "retry": ("held", "parked", "retrying", "waiting"),
    "release": ("held",),
    "refuse": ("held",),
    "skip": ("parked", "retrying", "waiting"),
}
"""Which troubles a command is about."""
ROLE = "commands:write"
"""The right by which the actor acts; roles of people come with sign-in."""


class CommandBody(BaseModel):
    """What someone asks a service to do. `person` and `target` narrow it; without them all that match are meant.

    `matches` confirms how many that are, which is asked for when they are many or none.
    """

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    type: Literal["retry", "release", "refuse", "redeliver", "reverify", "skip"]
    service: Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(topology.COMMANDED)})]
    person: UUID | None = None
    target: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    hold: UUID | None = None
    message: UUID | None = None
    matches: Annotated[int, Field(ge=0)] | None = None
    reason: Label

    @model_validator(mode="after")
    def _fields_of_its_type(self) -> "CommandBody":
        if self.hold is not None and self.type not in {"release", "refuse"}:
            raise ValueError("only release and refuse concern a hold")
        if self.type == "skip" and self.person is None:
            raise ValueError("skip concerns one person")
        if self.message is not None and self.type != "redeliver":
            raise ValueError("only redeliver concerns a message")
        return self


class Accepted(View):
    """The command's id: the id of its event; the answer is a step of the owning service."""

    id: UUID


class ReplayBody(BaseModel):
    """Which service shall be told everything once more."""

    model_config = ConfigDict(extra="forbid")

    to: Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(topology.SUBSCRIPTIONS)})]
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


def _command(body: CommandBody, principal: door.Reader, common: dict[str, object]) -> tuple[str, Command]:
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
        case "reverify":
            return COMMAND_REVERIFY, Reverify.model_validate(values)
        case "skip":
            return COMMAND_SKIP, Skip.model_validate(values)
        case "redeliver":
            return COMMAND_REDELIVER, ReplayDeadLetters.model_validate({**values, "message": body.message})


@router.post("/commands", status_code=202, responses=documented(404, 409))
async def give_command(
    database: door.Projections,
    principal: door.Commander,
    committed: door.Committed,
    body: CommandBody,
    idempotency_key: Annotated[UUID | None, Header(description="Becomes the command's id")] = None,
) -> Accepted:
    """Ask a service to retry, look again, release, refuse or take dead letters in again.

    Idempotent by `Idempotency-Key`. A command that would do nothing, or much, is answered with 409 and the number of
    its `matches`; sent again with that number it is carried out. `GET /v1/commands/{id}` tells what becomes of it.
    """
    _known(body.service, frozenset(topology.COMMANDED), "service")
    given = _given(body, principal, idempotency_key or uuid4())
    async with database.transaction() as conn:
        await _visible(conn, principal, body.person)
        if not await _is_new(conn, given):
            return Accepted(id=given.id)
        matches = await _matches(conn, given)
        count = await store.letters(conn, given) if given.type == "redeliver" else len(matches)
        _confirm(count, body.matches)
        if not await store.accept(conn, given, matches, count):
            raise _id_reused()
        now = await database_now(conn)
        type_, data = _command(body, principal, {"requested_at": now})
        event = outbox.make(
            type_,
            data,
            source=door.SOURCE,
            subject=str(body.person or body.service),
            organisation=principal.organisation,
            time=now,
            event_id=given.id,
            traceparent=current_traceparent(),
        )
        await outbox.append(conn, [Outgoing(event, lane=Lane.EXPRESS, service=body.service)])
        await door.audit(
            conn,
            principal,
            f"command.{body.type}",
            subject=body.person,
            reason=body.reason,
            parameters=_parameters(body, given.id),
        )
    committed()
    return Accepted(id=given.id)


def _parameters(body: CommandBody, command_id: UUID) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {"command": str(command_id), "service": body.service, "target": body.target}
    for name in ("hold", "message"):
        value = getattr(body, name)
        if value is not None:
            found[name] = str(value)
    return found


async def _visible(conn: Connection, principal: door.Reader, person: UUID | None) -> None:
    """Refuse a command about someone whom the bearer may not see, as if there were no such person."""
    if person is None:
        return
    seen = await person_store.person(conn, principal.organisation, person, sight=principal.sight)
    if seen is None:
        raise await door.denied(conn, principal, "command.refused", person, "person")


def _given(body: CommandBody, principal: door.Reader, command_id: UUID) -> Given:
    return Given(
        id=command_id,
        organisation=principal.organisation,
        digest=hashlib.sha256(f"{principal.subject}\n{body.model_dump_json()}".encode()).hexdigest(),
        type=body.type,
        service=body.service,
        actor=principal.subject,
        reason=body.reason,
        person=body.person,
        target=body.target,
        hold=body.hold,
        message=body.message,
    )


def _id_reused() -> ProblemError:
    return ProblemError(409, "command.id_reused", "This Idempotency-Key belongs to another command")


async def _is_new(conn: Connection, given: Given) -> bool:
    """Tell whether the command's id is new; refuse what somebody else has just asked for."""
    same = await store.under_way(conn, given)
    known = await store.digest(conn, given.id, given.organisation)
    if known is not None and known != given.digest:
        raise _id_reused()
    if known is None and same is not None:
        raise ProblemError(
            409,
            "command.under_way",
            "The same command is under way",
            detail=f"Given by {same[0]} at {same[1].isoformat(timespec='seconds')}; wait for what becomes of it.",
        )
    return known is None


async def _matches(conn: Connection, given: Given) -> list[store.Match]:
    """Return the people and targets that the command matches."""
    match given.type:
        case "redeliver":
            return []
        case "reverify":
            return await store.evaluated(conn, given)
        case _:
            return await store.troubled(conn, given, STATES[given.type])


def _confirm(count: int, confirmed: int | None) -> None:
    """Refuse what would do nothing, or much, unless it is confirmed by its number."""
    if confirmed == count or (confirmed is None and 0 < count <= MANY):
        return
    code, title = "command.confirm", f"This concerns {count} people and targets, or messages"
    if not count:
        code, title = "command.nothing_to_do", "There is nothing to do: it may have been done already"
    raise ProblemError(
        409,
        code,
        title,
        detail=f"To do it all the same, repeat with matches: {count}.",
        members={"matches": count},
    )


@router.get("/commands")
async def list_commands(
    database: door.Projections, principal: door.Follower, limit: door.Limit = 50
) -> Page[CommandItem]:
    """List the newest commands. It names no person, so it is not audited."""
    async with database.transaction() as conn:
        return Page(items=await store.listed(conn, principal.organisation, limit))


@router.get("/commands/{command}", responses=door.NOT_FOUND)
async def get_command(database: door.Projections, principal: door.Follower, command: UUID) -> CommandDetail:
    """Tell what has become of a command: carried out or not, and how each of its matches stands."""
    async with database.transaction() as conn:
        found = await store.detail(conn, principal.organisation, command, sight=principal.sight)
        if found is None:
            raise door.unknown("command")
        persons = [match.person for match in found.matches]
        await door.audit(conn, principal, "command.read", persons=persons, parameters={"command": str(command)})
        return found


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
