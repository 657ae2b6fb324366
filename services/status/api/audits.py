"""The audit log: who did or read what. Reading it is audited too."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from services.kernel.database import Connection
from services.kernel.problems import FieldError, ProblemError
from services.kernel.security import BREAK_GLASS, READ_OWN, REASON_LENGTH, reason_allowed
from services.status.api import door
from services.status.domain import paging
from services.status.domain.views import AuditItem, Page, View
from services.status.store import audits as store
from services.status.store import persons as person_store

router = APIRouter(prefix="/v1", tags=["audit"])

Auditor = Annotated[door.Reader, Depends(door.reading("persons:read", "audit:read"))]
Breaker = Annotated[door.Reader, Depends(door.reading("persons:read", BREAK_GLASS))]


class GlassBody(BaseModel):
    """For what protected identities are opened: one person, or one search. A search's words may be a name: not said."""

    model_config = ConfigDict(extra="forbid")

    person: UUID | None = None
    search: Literal[True] | None = None
    reason: Annotated[str, StringConstraints(strip_whitespace=True), Field(max_length=REASON_LENGTH)]

    @model_validator(mode="after")
    def _one_of_them(self) -> "GlassBody":
        if (self.person is None) == (self.search is None):
            raise ValueError("either a person or a search")
        return self


class Broken(View):
    """It is in the audit."""

    opened: Literal["person", "search"]


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


@router.post("/audit/glass", status_code=201, responses=door.NOT_FOUND)
async def break_glass(
    database: door.Projections, principal: Breaker, committed: door.Committed, body: GlassBody
) -> Broken:
    """Say that somebody is about to look at a protected identity and why, before anything is shown.

    Whoever asks this shows nothing unless it was answered. Each read that follows is audited by itself.
    """
    if not reason_allowed(body.reason):
        invalid = FieldError("/body/reason", "reason.invalid", "empty, too long, or with control characters")
        raise ProblemError(422, "reason.invalid", "The reason cannot be kept", errors=[invalid])
    opened: Literal["person", "search"] = "search" if body.person is None else "person"
    async with database.transaction() as conn:
        opened_to = replace(principal.sight, protected=True)
        known = body.person is None or await person_store.person(
            conn, principal.organisation, body.person, sight=opened_to
        )
        if not known:
            raise await door.denied(conn, principal, "glass.broken", body.person, "person")
        await door.audit(
            conn, principal, "glass.broken", subject=body.person, reason=body.reason, parameters={"opened": opened}
        )
    committed()
    return Broken(opened=opened)


async def _named(conn: Connection, principal: door.Reader, rows: Sequence[AuditItem]) -> list[AuditItem]:
    if principal.scopes.isdisjoint({"persons:read", READ_OWN["persons:read"]}):
        return list(rows)
    about = {person for row in rows if (person := _person(row.subject))}
    names = await store.names(conn, principal.organisation, sorted(about), sight=principal.sight)
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
