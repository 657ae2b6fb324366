"""The organisation desk: the tree on any day, units, what changes when, and what has to be looked at."""

import asyncio
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.api.organisation import exports, planning, recording, standing
from services.portal.api.organisation.asking import API, day
from services.portal.api.organisation.views import Changes, Hits, Tree, UnitDetail, Worklist, branches

router = APIRouter()

DESK = Desk("organisation", "/organisation", "Organisation", "tree", "organisation:read", router)

router.include_router(exports.router)
router.include_router(planning.router)
router.include_router(recording.router)
router.include_router(standing.router)

Reader = Annotated[Visit, Depends(entering(DESK.scope))]
Word = Annotated[str, Query(max_length=200)]
LARGER = {
    planning.PATH: planning.LIMIT,
    **{f"{planning.PATH}/{act}": planning.CARRIED for act in ("table", "picture", "confirm", "apply")},
}
"""Bytes of a request's body where a plan comes along."""
DEPTH = 3
"""So many levels are shown at once; those below are a step away."""


@router.get("/organisation")
async def index(visit: Reader, q: Word = "", on: Word = "", root: Word = "") -> Response:
    """Show the tree on a day, from a unit downwards, or the units that are searched for."""
    asked, words = day(on), q.strip()
    if words:
        hits = await visit.ask.get(Hits, "orgtree", f"{API}/search", q=words, on=asked)
        return visit.page("organisation/search.html", hits=hits, q=words, on=asked)
    found, worries = await asyncio.gather(
        visit.ask.get(Tree, "orgtree", f"{API}/tree", on=asked, root=root or None, depth=DEPTH),
        visit.ask.get(Worklist, "orgtree", f"{API}/problems"),
    )
    if found.trouble is not None and found.trouble.kind == "missing":
        return visit.trouble(found.trouble)
    shown = branches(found.value.units) if found.value else ()
    return visit.page(
        "organisation/index.html",
        found=found, shown=shown, worries=worries.value, q="", on=asked, root=root,
    )  # fmt: skip


@router.get("/organisation/changes")
async def changes(visit: Reader) -> Response:
    """Show what is to change."""
    return visit.page("organisation/changes.html", found=await visit.ask.get(Changes, "orgtree", f"{API}/changes"))


@router.get("/organisation/problems")
async def problems(visit: Reader, every: bool = False) -> Response:
    """Show what has to be looked at."""
    found = await visit.ask.get(Worklist, "orgtree", f"{API}/problems", every=str(every).lower())
    return visit.page("organisation/problems.html", found=found, every=every)


@router.get("/organisation/units/{unit:path}")
async def one(visit: Reader, unit: str, on: Word = "", after: UUID | None = None) -> Response:
    """Show a unit on a day, and who is in it now."""
    asked = day(on)
    found = await visit.ask.get(UnitDetail, "orgtree", f"{API}/units/{quote(unit, safe='')}", on=asked, after=after)
    if found.trouble is not None and found.trouble.kind == "missing":
        return visit.trouble(found.trouble)
    kept_here = planning.kept_here(visit)
    return visit.page("organisation/unit.html", found=found, on=asked, further=after is not None, kept_here=kept_here)
