"""The start page: today's people, readiness, and what needs a hand."""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from services.kernel.clock import local_date, start_of_day
from services.portal.api import identities
from services.portal.api.desk import Desk, visible
from services.portal.api.door import AnyVisit, Visit, entering
from services.portal.domain.work import AttentionPage, Cases, Summary

router = APIRouter()

DESK = Desk("start", "/", "Start", "home", "cases:read", router, own=True)

Reader = Annotated[Visit, Depends(entering(*DESK.scopes))]
SHOWN = 8


def _today(visit: Visit) -> datetime:
    zone = visit.doors.pages.organisations[visit.session.organisation].zone
    return start_of_day(local_date(visit.now, zone), zone)


@router.get("/")
async def index(visit: AnyVisit) -> Response:
    """Show the day; whose roles do not include it goes to the first desk that they do."""
    if not visit.may(*DESK.scopes):
        first = next(iter(visible(visit.doors.pages.desks, visit.session.scopes)), None)
        return RedirectResponse(first.path, 303) if first else visit.page("start/no_desk.html", status=403)
    summary, today, attention, identity = await asyncio.gather(
        visit.ask.get(Summary, "status", "/v1/summary"),
        visit.ask.get(Cases, "status", "/v1/cases", since=_today(visit).isoformat(), limit=SHOWN),
        visit.ask.get(AttentionPage, "status", "/v1/attention", limit=SHOWN),
        identities.waiting(visit),
    )
    return visit.page("start/index.html", summary=summary, today=today, attention=attention, identity=identity)


@router.get("/parts/figures")
async def figures(visit: Reader) -> Response:
    """The figures alone; they name nobody, so a page may ask for them again and again."""
    return visit.page("start/_figures.html", summary=await visit.ask.get(Summary, "status", "/v1/summary"))


@router.get("/parts/today")
async def today(visit: Reader) -> Response:
    """Today's cases alone."""
    found = await visit.ask.get(Cases, "status", "/v1/cases", since=_today(visit).isoformat(), limit=SHOWN)
    return visit.page("start/_today.html", today=found)


@router.get("/parts/hand")
async def hand(visit: Reader) -> Response:
    """What needs a hand alone."""
    attention, identity = await asyncio.gather(
        visit.ask.get(AttentionPage, "status", "/v1/attention", limit=SHOWN), identities.waiting(visit)
    )
    return visit.page("start/_hand.html", attention=attention, identity=identity)
