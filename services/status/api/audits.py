"""The audit log: who did or read what. Reading it is audited too."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from services.kernel.database import Connection
from services.kernel.security import Principal, requires
from services.status.api import door
from services.status.domain import paging
from services.status.domain.views import AuditItem, Page
from services.status.store import audits as store

router = APIRouter(prefix="/v1", tags=["audit"])

Auditor = Annotated[Principal, Depends(requires("audit:read"))]


@router.get("/audit")
async def list_audit(
    database: door.Projections,
    principal: Auditor,
    person: Annotated[UUID | None, Query(description="Who was read, alone or in a list, or acted upon")] = None,
    actor: Annotated[str | None, Query(max_length=200)] = None,
    action: Annotated[str | None, Query(max_length=200)] = None,
    limit: door.Limit = 50,
    cursor: door.Cursor = None,
) -> Page[AuditItem]:
    """List what was done and read, the newest first; by person it answers who has looked at them."""
    before = _position(cursor)
    async with database.transaction() as conn:
        wanted = store.Wanted(principal.organisation, person, actor, action)
        rows = await store.listed(conn, wanted, before, limit + 1)
        shown = await _named(conn, principal, rows[:limit])
        seen = [UUID(row.subject) for row in shown if row.subject and row.name]
        await door.audit(conn, principal, "audit.read", subject=person, persons=seen, parameters={"count": len(shown)})
    last = shown[-1] if len(rows) > limit else None
    following = paging.encode([last.recorded_at.isoformat(), str(last.id)]) if last else None
    return Page(items=shown, cursor=following)


async def _named(conn: Connection, principal: Principal, rows: Sequence[AuditItem]) -> list[AuditItem]:
    if "persons:read" not in principal.scopes:
        return list(rows)
    about = {person for row in rows if (person := _person(row.subject))}
    names = await store.names(conn, principal.organisation, sorted(about), protected=door.sees_protected(principal))
    return [row.model_copy(update={"name": names.get(row.subject)}) if row.subject else row for row in rows]


def _person(subject: str | None) -> UUID | None:
    try:
        return UUID(subject or "")
    except ValueError:
        return None


def _position(cursor: str | None) -> tuple[datetime, UUID] | None:
    place = door.position(cursor, 2)
    if place is None:
        return None
    try:
        return door.instant(place[0]), UUID(place[1])
    except ValueError as error:
        raise door.refused_cursor("not a cursor of this list") from error
