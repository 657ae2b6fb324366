"""Audit: who did or read what. Said in the transaction in which it is done: it did not happen unless this is said."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from uuid import UUID

from contracts.facts import AuditRecorded, Parameter
from contracts.registry import AUDIT_RECORDED
from services.kernel import telemetry
from services.kernel.clock import database_now
from services.kernel.database import Connection
from services.kernel.messaging import outbox
from services.kernel.messaging.outbox import Outgoing
from services.kernel.security import Principal

NOTHING: Mapping[str, Parameter] = MappingProxyType({})


async def record(
    conn: Connection,
    service: str,
    organisation: str,
    actor: str,
    action: str,
    *,
    subject: UUID | None = None,
    persons: Sequence[UUID] = (),
    reason: str | None = None,
    parameters: Mapping[str, Parameter] = NOTHING,
    traceparent: str | None = None,
) -> None:
    """Say who did or read what, in the caller's transaction.

    Args:
        conn: The transaction.
        service: Who says it.
        organisation: For which organisation it was done.
        actor: Who did it: the subject of a token.
        action: A code, `noun.verb`.
        subject: The one person it is about.
        persons: All whom a list showed, so that everybody can be told who has looked at them.
        reason: What the actor gave as the reason.
        parameters: Codes and numbers; never a name.
        traceparent: What it belongs to, when that is not the span under way.
    """
    now = await database_now(conn)
    data = AuditRecorded(
        organisation=organisation,
        actor=actor,
        action=action,
        subject=None if subject is None else str(subject),
        persons=tuple(sorted(set(persons))),
        reason=reason,
        recorded_at=now,
        parameters=dict(parameters),
    )
    with telemetry.span(f"audit {action}", traceparent) as said:
        event = outbox.make(
            AUDIT_RECORDED,
            data,
            source=f"urn:stafett:{service}",
            subject=data.subject or organisation,
            organisation=organisation,
            time=now,
            traceparent=said,
        )
    await outbox.append(conn, [Outgoing(event)])


async def record_for_all(
    conn: Connection,
    service: str,
    organisations: Iterable[str],
    principal: Principal,
    action: str,
    *,
    reason: str,
    parameters: Mapping[str, Parameter] = NOTHING,
) -> None:
    """Say what concerns all: to the actor's own organisation who it was and why, to the others that it was."""
    for organisation in sorted({principal.organisation, *organisations}):
        own = organisation == principal.organisation
        actor = principal.subject if own else f"urn:stafett:{service}"
        said = reason if own else None
        await record(conn, service, organisation, actor, action, reason=said, parameters=parameters)
