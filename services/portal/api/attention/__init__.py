"""What needs a hand: parked, held, retried and overdue steps, and messages nobody could read; each with its remedy."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from services.portal.api import access, files, identities
from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.domain.answers import Part
from services.portal.domain.work import AttentionPage, View

router = APIRouter()

DESK = Desk("attention", "/attention", "Needs a hand", "hand", "cases:read", router, own=True)

Reader = Annotated[Visit, Depends(entering(*DESK.scopes))]
PAGE = 25
LETTERS = 50
STATES = ("held", "parked", "retrying", "waiting")
SERVICES = ("ingestion", "accounts", "orgtree", "status")


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
    found, proposals, identity, held = await asyncio.gather(
        visit.ask.get(AttentionPage, "status", "/v1/attention", state=wanted, limit=PAGE, cursor=cursor),
        access.waiting(visit),
        identities.waiting(visit),
        files.held(visit),
    )
    letters = await _letters(visit, found.value)
    template = "attention/_list.html" if visit.partial else "attention/index.html"
    nothing_dead = all(part.value is not None and not part.value.items for part in letters.values())
    return visit.page(
        template,
        found=found,
        proposals=proposals,
        held=held,
        identity=identity,
        letters=letters,
        nothing_dead=nothing_dead,
        most=LETTERS,
        wanted=wanted,
        states=STATES,
        further=cursor is not None,
    )


async def _letters(visit: Visit, known: AttentionPage | None) -> dict[str, Part[DeadLetters]]:
    """Ask the services that keep letters for them; all of them when nobody knows who does."""
    if not visit.may("operations:read"):
        return {}
    kept = known.dead_letters if known else None
    asked = [service for service in SERVICES if kept is None or kept.get(service)]
    parts = await asyncio.gather(
        *(visit.ask.get(DeadLetters, service, "/v1/operations/dead-letters", limit=LETTERS) for service in asked)
    )
    return dict(zip(asked, parts, strict=True))
