"""What needs a hand, and the figures for a start page or a progress bar."""

from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from contracts.codes import StepState
from services.kernel.clock import business_now
from services.kernel.database import Database
from services.status.api import door
from services.status.domain import paging
from services.status.domain.views import AttentionPage, Summary
from services.status.store import cases as case_store
from services.status.store import overview as store

router = APIRouter(prefix="/v1", tags=["overview"])

Troubled = Literal["held", "parked", "retrying", "waiting"]


@router.get("/summary")
async def get_summary(
    database: door.Projections,
    principal: door.CaseReader,
    days: Annotated[int, Query(ge=1, le=366, description="Lead times of cases accepted within so many days")] = 30,
) -> Summary:
    """Count cases by kind and state, and tell how far the work is. Names nobody, so it is not audited."""
    organisation, sight = principal.organisation, principal.sight
    async with database.transaction() as conn:
        return Summary(
            business_now=await business_now(conn),
            cases=await case_store.counts(conn, case_store.Filter(organisation, sight)),
            lead_times=await store.lead_times(conn, organisation, timedelta(days=days), sight=sight),
            due_next=await store.due_next(conn, organisation, sight=sight),
            work=await store.progress(conn, organisation, sight=sight),
        )


@router.get("/holds")
async def list_holds(
    database: door.Projections, principal: door.CaseReader, limit: door.Limit = 50, cursor: door.Cursor = None
) -> AttentionPage:
    """List what the guard holds, the oldest first."""
    return await _attention(database, principal, StepState.HELD, limit, cursor)


@router.get("/attention")
async def list_attention(
    database: door.Projections,
    principal: door.CaseReader,
    state: Troubled | None = None,
    limit: door.Limit = 50,
    cursor: door.Cursor = None,
) -> AttentionPage:
    """List steps that are held, parked, retried or wait beyond their time, the oldest trouble first."""
    return await _attention(database, principal, StepState(state) if state else None, limit, cursor)


async def _attention(
    database: Database, principal: door.Reader, state: StepState | None, limit: int, cursor: str | None
) -> AttentionPage:
    after = _position(cursor)
    async with database.transaction() as conn:
        rows = await store.attention(conn, principal.organisation, state, after, limit + 1, sight=principal.sight)
        shown = rows[:limit]
        paused = await store.paused(conn, principal.organisation)
        operates = "operations:read" in principal.scopes
        dead = await store.dead_letters(conn, principal.organisation) if operates else None
        await door.audit(conn, principal, "attention.listed", persons=[item.person for item, _ in shown])
    items = [item for item, _ in shown]
    if len(rows) <= limit:
        return AttentionPage(items=items, paused=paused, dead_letters=dead)
    item, ordinal = shown[-1]
    key = [item.since.isoformat(), str(item.person), item.service, item.target, str(ordinal)]
    return AttentionPage(items=items, paused=paused, dead_letters=dead, cursor=paging.encode(key))


def _position(cursor: str | None) -> store.Position | None:
    place = door.position(cursor, 5)
    if place is None:
        return None
    try:
        return door.instant(place[0]), UUID(place[1]), place[2], place[3], min(max(int(place[4]), 0), 2**31 - 1)
    except ValueError as error:
        raise door.refused_cursor("not a cursor of this list") from error
