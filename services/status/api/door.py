"""What all routes share: the database, whom a reader sees, cursors, and the audit of reads."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from contracts.facts import Parameter
from services.kernel import audit as kernel_audit
from services.kernel.database import Connection, Database
from services.kernel.problems import FieldError, ProblemError, documented
from services.kernel.security import READ_OWN, READ_PROTECTED, Principal, requires
from services.status.domain import paging
from services.status.domain.sight import Sight, Staff
from services.status.store import audits
from services.status.store import sight as sights

SERVICE = "status"
SOURCE = f"urn:stafett:{SERVICE}"

NOT_FOUND = documented(404)


@dataclass(frozen=True, kw_only=True)
class Reader(Principal):
    """Who asks, and whom it sees: the one value that all reading of people asks for."""

    sight: Sight


def reading(right: str, *scopes: str) -> Callable[[Request], Awaitable[Reader]]:
    """Return a dependency that lets bearers of one of `scopes` in, and says whom they see.

    Args:
        right: The right to read everybody. Who has only its narrowed form sees the people of the own units.
        scopes: What opens the route.
    """
    let_in = requires(*scopes)

    async def reader(request: Request) -> Reader:
        principal = await let_in(request)
        staff = None
        if READ_OWN[right] in principal.scopes and right not in principal.scopes:
            staff = Staff(principal.person, request.app.state.organisations[principal.organisation].zone)
            async with projections(request).transaction() as conn:
                staff = await sights.looked_up(conn, principal.organisation, staff)
        sight = Sight(protected=READ_PROTECTED in principal.scopes, staff=staff)
        return Reader(**vars(principal), sight=sight)

    return reader


def _narrowable(right: str) -> Callable[[Request], Awaitable[Reader]]:
    return reading(right, right, READ_OWN[right])


def projections(request: Request) -> Database:
    """Return the database that bootstrap wired."""
    found: Database = request.app.state.projections
    return found


def committed(request: Request) -> Callable[[], None]:
    """Return what to call after a commit that wrote to the outbox, so that the relay looks at once."""
    found: Callable[[], None] = request.app.state.committed
    return found


Committed = Annotated[Callable[[], None], Depends(committed)]
Projections = Annotated[Database, Depends(projections)]
PersonReader = Annotated[Reader, Depends(_narrowable("persons:read"))]
CaseReader = Annotated[Reader, Depends(_narrowable("cases:read"))]
Follower = Annotated[Reader, Depends(reading("cases:read", "cases:read"))]
"""Reads what has become of commands: of everybody's, so nobody's whose right is narrowed."""
Commander = Annotated[Reader, Depends(reading("persons:read", "commands:write"))]
Operator = Annotated[Principal, Depends(requires("operations:write"))]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most")]
Cursor = Annotated[str | None, Query(max_length=2000, description="From the page before")]


def instant(text: str) -> datetime:
    """Return the instant in a cursor; one without an offset was not made here.

    Raises:
        ValueError: It is not an instant.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("an instant without an offset")
    return found


def position(cursor: str | None, parts: int) -> tuple[str, ...] | None:
    """Return the sort key in `cursor`, or None on the first page.

    Raises:
        ProblemError: 422, the cursor was not made here.
    """
    try:
        return None if cursor is None else paging.decode(cursor, parts)
    except paging.CursorRefused as error:
        raise refused_cursor(str(error)) from error


def refused_cursor(reason: str) -> ProblemError:
    """Return the problem of a cursor that cannot be read."""
    return ProblemError(
        422,
        "cursor.invalid",
        "The cursor cannot be read; start from the first page",
        errors=[FieldError("/query/cursor", "cursor.invalid", reason)],
    )


def unknown(kind: str) -> ProblemError:
    """Return the same problem for what is not there and for what is hidden."""
    return ProblemError(404, f"{kind}.unknown", f"There is no such {kind}, or this token may not see it")


async def denied(
    conn: Connection,
    principal: Principal,
    action: str,
    subject: UUID | None,
    kind: str,
    parameters: dict[str, Parameter] | None = None,
) -> ProblemError:
    """Audit a read that showed nothing, commit that, and return the problem to raise."""
    await audit(conn, principal, action, subject=subject, parameters={**(parameters or {}), "shown": False})
    await conn.commit()
    return unknown(kind)


async def audit(
    conn: Connection,
    principal: Principal,
    action: str,
    *,
    subject: UUID | None = None,
    persons: Sequence[UUID] = (),
    reason: str | None = None,
    parameters: Mapping[str, Parameter] = kernel_audit.NOTHING,
) -> None:
    """Say who read or did what, in the caller's transaction.

    A page that stands open asks again and again; of those whom it showed the reader within the hour nothing is said.
    """
    reason = reason or principal.reason
    if principal.poll:
        known = await audits.shown_lately(conn, principal.organisation, principal.subject, action, reason)
        persons = [person for person in persons if person not in known]
        if not persons and (subject is None or subject in known):
            return
    await kernel_audit.record(
        conn,
        SERVICE,
        principal.organisation,
        principal.subject,
        action,
        subject=subject,
        persons=persons,
        reason=reason,
        parameters=parameters,
    )
