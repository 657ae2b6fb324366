"""What needs a hand: parked, held, retried and overdue steps, and messages nobody could read; each with its remedy."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from services.portal.api import access
from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.domain.answers import Part
from services.portal.domain.work import AttentionPage, View

router = APIRouter()

DESK = Desk("attention", "/attention", "Needs a hand", "hand", "cases:read", router, own=True)

Reader = Annotated[Visit, Depends(entering(*DESK.scopes))]
PAGE = 50
LETTERS = 50
STATES = ("held", "parked", "retrying", "waiting")
SERVICES = ("ingestion", "accounts", "status")


class DeadLetter(View):
    """A message that a service keeps because it could not take it in."""

    id: UUID
    queue: str
    type: str | None = None
    cause: str
    received_at: datetime
    expires_at: datetime | None = None


class DeadLetters(View):
    """What one service keeps."""

    items: list[DeadLetter]


@router.get("/attention")
async def index(
    visit: Reader, state: str | None = None, cursor: Annotated[str | None, Query(max_length=2_000)] = None
) -> Response:
    """Show it all; the filter is in the address."""
    wanted = state if state in STATES else None
    (found, proposals), dead = await asyncio.gather(
        asyncio.gather(
            visit.ask.get(AttentionPage, "status", "/v1/attention", state=wanted, limit=PAGE, cursor=cursor),
            access.waiting(visit),
        ),
        asyncio.gather(*(_dead(visit, service) for service in SERVICES)),
    )
    letters = dict(zip(SERVICES, dead, strict=True)) if visit.may("operations:read") else {}
    template = "attention/_list.html" if visit.partial else "attention/index.html"
    nothing_dead = all(part is not None and part.value is not None and not part.value.items for part in dead)
    return visit.page(
        template,
        found=found,
        proposals=proposals,
        letters=letters,
        nothing_dead=nothing_dead,
        most=LETTERS,
        wanted=wanted,
        states=STATES,
        further=cursor is not None,
    )


async def _dead(visit: Visit, service: str) -> Part[DeadLetters] | None:
    if not visit.may("operations:read"):
        return None
    return await visit.ask.get(DeadLetters, service, "/v1/operations/dead-letters", limit=LETTERS)
