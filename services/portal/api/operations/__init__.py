"""Operations: what each service says of its own work. No person is named here."""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.domain.answers import Part
from services.portal.domain.work import Summary, View

router = APIRouter()

DESK = Desk("operations", "/operations", "Operations", "pulse", "operations:read", router)

Reader = Annotated[Visit, Depends(entering(DESK.scope))]
SERVICES = ("ingestion", "accounts", "status")


class Outbox(View):
    """What is not published yet."""

    unpublished: int
    oldest_seconds: float


class Work(View):
    """How much work of a target is in a state."""

    target: str
    state: str
    count: int
    wanted: int
    due: int
    next_due: datetime | None = None


class Breaker(View):
    """A target that is not called, or was not."""

    target: str
    opened_at: datetime | None = None
    reason: str | None = None
    resume_at: datetime | None = None


class Kept(View):
    """Messages that could not be read."""

    kept: int


class Overview(View):
    """What one service says of its work."""

    service: str
    outbox: Outbox
    work: list[Work]
    breakers: list[Breaker]
    dead_letters: Kept

    @property
    def wanted(self) -> int:
        """How much is asked for and not done."""
        return sum(one.wanted for one in self.work)

    @property
    def open_breakers(self) -> list[Breaker]:
        """Targets that are not called now."""
        return [one for one in self.breakers if one.opened_at is not None]


async def _overviews(visit: Visit) -> dict[str, Part[Overview]]:
    parts = await asyncio.gather(*(visit.ask.get(Overview, service, "/v1/operations") for service in SERVICES))
    return dict(zip(SERVICES, parts, strict=True))


@router.get("/operations")
async def index(visit: Reader) -> Response:
    """Show all services; the part that htmx asks for again is the same without its surroundings."""
    if visit.partial:
        return visit.page("operations/_services.html", services=await _overviews(visit))
    services, summary = await asyncio.gather(_overviews(visit), _summary(visit))
    return visit.page("operations/index.html", services=services, summary=summary)


@router.get("/operations/figures")
async def figures(visit: Reader) -> Response:
    """One sample for the charts: unpublished and wanted by service; null for a service that is away."""
    found = await _overviews(visit)
    return JSONResponse(
        {
            "at": int(visit.now.timestamp()),
            "unpublished": {
                name: part.value.outbox.unpublished if part.value else None for name, part in found.items()
            },
            "wanted": {name: part.value.wanted if part.value else None for name, part in found.items()},
        }
    )


async def _summary(visit: Visit) -> Part[Summary] | None:
    return await visit.ask.get(Summary, "status", "/v1/summary") if visit.may("cases:read") else None
