"""A small world: what ingestion and accounts say of a few people, as messages for status."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson

from contracts.base import Message
from contracts.codes import AccountState, FailureClass, Form, Lane, Protection, Reason, StepState
from contracts.facts import (
    AccountChanged,
    AccountRecord,
    AuditRecorded,
    Problem,
    ServiceEvaluated,
    Step,
    StepRecorded,
    Why,
)
from contracts.organisation import Membership, Place, PlacementChanged
from contracts.person import ERASED, Assignment, CoreRecord, Employment, Name, PersonChanged, UnitRecord, UnitRecorded
from contracts.registry import (
    ACCOUNT_CHANGED,
    AUDIT_RECORDED,
    COMMAND_RETRY,
    INTERNAL,
    PERSON_JOINER,
    PLACEMENT_CHANGED,
    SERVICE_EVALUATED,
    STEP_RECORDED,
    UNIT_RECORDED,
)
from services.kernel.database import Connection, Database
from services.kernel.messaging import outbox
from services.kernel.messaging.intake import Incoming
from services.status.domain.sight import Sight
from services.status.handlers.intake import HANDLERS

T0 = datetime(2026, 5, 1, 8, tzinfo=UTC)
"""When the world begins: long enough ago for every retry to have lost patience."""


OPEN = Sight(protected=False, staff=None)
"""Everybody whose identity is not protected."""


def uid(name: str) -> UUID:
    """Return a stable id."""
    return uuid5(NAMESPACE_URL, name)


def minutes(count: float) -> datetime:
    """Return an instant of the world."""
    return T0 + timedelta(minutes=count)


def incoming(type_: str, data: Message, *, organisation: str, at: datetime, key: str) -> Incoming:
    """Return a message as intake hands it over: through its own JSON."""
    event = outbox.make(
        type_, data, source="urn:stafett:test", subject=key, organisation=organisation, time=at, event_id=uid(key)
    )
    return Incoming(event.id, type_, Lane.BULK, event, outbox.body(event).encode(), at)


def person(
    who: str = "anna",
    revision: int = 1,
    *,
    reason: Reason = Reason.HIRE,
    case: str | None = None,
    type_: str = PERSON_JOINER,
    effective: datetime = T0,
    name: Name | None = None,
    protection: Protection = Protection.NONE,
    organisation: str = "alvsund",
    accepted: datetime | None = None,
    generation: int = 1,
    employments: Sequence[Employment] | None = None,
    baseline: bool = False,
    erased: bool = False,
    **merged: Any,
) -> Incoming:
    """Ingestion says a revision of a person; without `employments` one in unit 100; nothing of who is `erased`."""
    case = case or f"{who}/hire"
    at = accepted or minutes(revision * 10)
    employment = Employment(
        id=uid(f"{who}/employment"),
        form=Form.PERMANENT,
        valid_from=date(2026, 6, 1),
        employee_number=f"nr-{who}",
        assignments=(Assignment(unit="100", title="Sjuksköterska", valid_from=date(2026, 6, 1)),),
    )
    data = PersonChanged(
        organisation=organisation,
        person=uid(who),
        generation=generation,
        revision=revision,
        case_id=uid(case),
        reason=reason,
        effective_at=effective,
        accepted_at=at,
        baseline=baseline,
        record=ERASED
        if erased
        else CoreRecord(
            name=name or Name(given=who.capitalize(), family="Åkesson"),
            protection=protection,
            employments=(employment,) if employments is None else tuple(employments),
            **merged,
        ),
    )
    return incoming(type_, data, organisation=organisation, at=at, key=f"{organisation}/{who}/revision/{revision}")


def step(code: str = "account.enabled", state: StepState = StepState.VERIFIED, **values: Any) -> Step:
    """One step of an evaluation."""
    return Step(code=code, state=state, **values)


def held(hold: str = "hold") -> Step:
    """A step that the guard holds."""
    problem = Problem(code="guard.held", failure=FailureClass.HELD, parameters={"hold": str(uid(hold))})
    return step("account.disabled", StepState.HELD, problem=problem)


def evaluation(
    who: str = "anna",
    version: int = 1,
    *,
    revision: int = 1,
    as_of: datetime | None = None,
    at: float | None = None,
    steps: Sequence[Step] = (),
    next_due: datetime | None = None,
    gives: Sequence[Why] = (),
    organisation: str = "alvsund",
    record_generation: int = 1,
) -> Incoming:
    """Accounts says how far a person is at its directory."""
    recorded = minutes(version * 10 + 1 if at is None else at)
    data = ServiceEvaluated(
        organisation=organisation,
        person=uid(who),
        service="accounts",
        target="ldap",
        version=version,
        record_generation=record_generation,
        revision=revision,
        policy_hash="sha256:1",
        as_of=as_of or recorded,
        recorded_at=recorded,
        next_due=next_due,
        steps=tuple(steps) or (step(verified_at=recorded),),
        why=(Why(table="accounts", row="r1", employment=uid("employment")), *gives),
    )
    return incoming(
        SERVICE_EVALUATED, data, organisation=organisation, at=recorded, key=f"{organisation}/{who}/evaluated/{version}"
    )


def carried_out(command: str, *, count: int, organisation: str = "alvsund") -> Incoming:
    """Accounts says in the audit that it has carried a command out."""
    data = AuditRecorded(
        organisation=organisation,
        actor="it@alvsund",
        action=COMMAND_RETRY,
        recorded_at=minutes(100),
        parameters={"service": "accounts", "command": command, "count": count},
    )
    return incoming(AUDIT_RECORDED, data, organisation=organisation, at=minutes(100), key=f"done/{command}")


def passed(
    who: str = "anna",
    epoch: int = 1,
    *,
    state: StepState = StepState.VERIFIED,
    revision: int = 1,
    at: float | None = None,
    attempt: int = 1,
    organisation: str = "alvsund",
) -> Incoming:
    """Accounts says what one pass did."""
    recorded = minutes(epoch * 10 + 1 if at is None else at)
    bad = state is not StepState.VERIFIED
    data = StepRecorded(
        organisation=organisation,
        person=uid(who),
        service="accounts",
        target="ldap",
        epoch=epoch,
        attempt=attempt,
        revision=revision,
        code="account.enabled",
        state=state,
        problem=Problem(code="directory.busy", failure=FailureClass.TRANSIENT) if bad else None,
        recorded_at=recorded,
    )
    return incoming(
        STEP_RECORDED, data, organisation=organisation, at=recorded, key=f"{organisation}/{who}/step/{epoch}"
    )


def gives(value: str, row: str, kind: str = "group") -> Why:
    """A row of birthright gives something."""
    return Why(table="birthright", row=row, employment=uid("employment"), kind=kind, value=value)


def account(
    who: str = "anna",
    version: int = 1,
    *,
    state: AccountState = AccountState.ENABLED,
    user_name: str | None = None,
    groups: Sequence[str] = (),
    licences: Sequence[str] = (),
    organisation: str = "alvsund",
) -> Incoming:
    """Accounts says how an account stands in the directory."""
    name = user_name or f"{who}.akesson"
    data = AccountChanged(
        organisation=organisation,
        person=uid(who),
        target="ldap",
        version=version,
        changed_at=minutes(version * 10 + 1),
        verified_at=minutes(version * 10 + 1),
        record=AccountRecord(
            state=state,
            user_name=name,
            mail=f"{name}@alvsund.example",
            groups=tuple(groups),
            licences=tuple(licences),
        ),
    )
    return incoming(
        ACCOUNT_CHANGED,
        data,
        organisation=organisation,
        at=data.changed_at,
        key=f"{organisation}/{who}/account/{version}",
    )


def unit(
    number: str = "100",
    revision: int = 1,
    *,
    organisation: str = "alvsund",
    parent: str | None = None,
    manager: str | None = None,
    closed: date | None = None,
) -> Incoming:
    """Ingestion says a unit."""
    record = UnitRecord(
        name=f"Enhet {number} rev {revision}",
        parent=parent,
        manager=uid(manager) if manager else None,
        valid_from=date(2020, 1, 1),
        valid_to=closed,
    )
    data = UnitRecorded(
        organisation=organisation, unit=number, revision=revision, tree_revision=revision, record=record
    )
    return incoming(UNIT_RECORDED, data, organisation=organisation, at=T0, key=f"{organisation}/{number}/{revision}")


def placed(
    name: str = "anna",
    version: int = 1,
    *,
    where: str | None = "100",
    others: Sequence[str] = (),
    organisation: str = "alvsund",
) -> Incoming:
    """Orgtree says where somebody is."""
    place = None if where is None else Place(employment=uid("employment"), unit=where, path=(where,))
    data = PlacementChanged(
        organisation=organisation, person=uid(name), version=version, record_generation=1,
        revision=1, changed_at=minutes(version), place=place,
        memberships=tuple(Membership(employment=uid(other), unit=other) for other in others),
    )  # fmt: skip
    key = f"{organisation}/{name}/place/{version}"
    return incoming(PLACEMENT_CHANGED, data, organisation=organisation, at=minutes(version), key=key)


def audited(
    action: str = "person.read", *, organisation: str = "alvsund", actor: str = "it", at: datetime = T0, **values: Any
) -> Incoming:
    """Somebody read something."""
    data = AuditRecorded(organisation=organisation, actor=actor, action=action, recorded_at=at, **values)
    return incoming(AUDIT_RECORDED, data, organisation=organisation, at=at, key=f"{organisation}/audit/{action}")


async def take(conn: Connection, messages: Sequence[Incoming]) -> None:
    """Take messages in as intake does: grouped by topic, in order of arrival."""
    groups: dict[str, list[Incoming]] = {}
    for message in messages:
        groups.setdefault(INTERNAL[message.type].topic, []).append(message)
    for topic, group in groups.items():
        await HANDLERS[topic](conn, group)


class World:
    """Tells status what the others say, and looks into its tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def says(self, *messages: Incoming) -> None:
        """Take the messages in as one batch."""
        async with self._database.transaction() as conn:
            await take(conn, messages)

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        async with self._database.transaction() as conn:
            cursor = await conn.execute(query.encode(), values)
            return await cursor.fetchall()


async def said_of(world: World, type_: str) -> list[dict[str, Any]]:
    """Return what status has said of a type: its data, with routing key and id."""
    rows = await world.rows("SELECT body, routing_key FROM outbox WHERE type = %s ORDER BY seq", type_)
    return [{**orjson.loads(body)["data"], "key": key, "id": orjson.loads(body)["id"]} for body, key in rows]


async def audit(world: World) -> list[dict[str, Any]]:
    """Return the records of the audit that status has said."""
    return await said_of(world, "se.stafett.audit.recorded.v1")
