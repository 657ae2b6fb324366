"""How units stand in directories: what hinders, what others did there, what of others may be taken over."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field
from starlette.responses import Response

from services.kernel.security import reason_allowed
from services.portal.api.door import Visit, entering
from services.portal.api.organisation.asking import API
from services.portal.api.targets.forms import dialog, given, number
from services.portal.domain.answers import Trouble
from services.portal.domain.work import Problem, View

router = APIRouter()

Reader = Annotated[Visit, Depends(entering("targets:read"))]
Writer = Annotated[Visit, Depends(entering("targets:write"))]
Target = Annotated[str, Path(pattern="^[a-z0-9_-]{1,60}$")]
Unit = Annotated[str, Query(min_length=1, max_length=200)]
TARGETS = f"{API}/targets"
EVERY = "*"
"""All units, as orgtree spells them."""


class TargetOfUnits(View):
    """A target: how many units and memberships stand there, and how much does not stand as it shall."""

    target: str
    kind: str
    mode: str
    placement: str
    objects: list[str]
    units: int
    members: int
    members_waiting: int
    problems: int
    findings: int
    candidates: int
    compared_at: datetime | None = None


class TargetsOfUnits(View):
    """All of an organisation's."""

    items: list[TargetOfUnits]


class Hindered(View):
    """A unit that does not stand as it shall."""

    unit: str
    problem: Problem
    state: str | None = None
    since: datetime | None = None
    retry_at: datetime | None = None


class Hindrances(View):
    """The oldest first."""

    items: list[Hindered]


class FoundOfUnit(View):
    """What the last reading found; it was put right, but for members whom others added."""

    unit: str
    kind: str
    code: str
    count: int
    first_seen: datetime


class FoundOfUnits(View):
    """What the last reading found; `reading`: one has been asked for."""

    reading: bool = False
    problem: str | None = None
    items: list[FoundOfUnit]


class Candidate(View):
    """What others made and has the name of ours."""

    unit: str
    kind: str
    place: str
    approved_by: str | None = None
    reason: str | None = None
    approved_at: datetime | None = None


class Candidates(View):
    """By unit."""

    items: list[Candidate]


class Asked(View):
    """That a target is read."""

    reading: bool = False


class Taken(View):
    """How many objects will be taken over."""

    objects: int = 0
    units: list[str] = Field(default_factory=list)


@router.get("/organisation/targets")
async def index(visit: Reader) -> Response:
    """Show all targets where units stand."""
    return visit.page("organisation/targets.html", found=await visit.ask.get(TargetsOfUnits, "orgtree", TARGETS))


@router.get("/organisation/targets/{target}")
async def one(visit: Reader, target: Target) -> Response:
    """Show what does not stand as it shall in a target, what was found there, and what may be taken over."""
    hindered = await visit.ask.get(Hindrances, "orgtree", f"{TARGETS}/{target}/problems")
    if hindered.trouble is not None and hindered.trouble.kind == "missing":
        return visit.trouble(hindered.trouble)
    found = await visit.ask.get(FoundOfUnits, "orgtree", f"{TARGETS}/{target}/findings")
    candidates = await visit.ask.get(Candidates, "orgtree", f"{TARGETS}/{target}/candidates")
    return visit.page("organisation/target.html", target=target, hindered=hindered, found=found, candidates=candidates)


@router.post("/organisation/targets/{target}/read")
async def read(visit: Writer, target: Target) -> Response:
    """Have the target read and compared now."""
    done = await visit.ask.post(Asked, "orgtree", f"{TARGETS}/{target}/read", {})
    return visit.trouble(done.trouble) if done.trouble else visit.back(f"/organisation/targets/{target}", "asked")


@router.get("/organisation/targets/{target}/adopt")
async def ask_adopt(visit: Writer, target: Target, unit: Unit = EVERY) -> Response:
    """Ask for the word: all that others made, or what stands for one unit."""
    return _form(visit, target, {"unit": unit, "reason": ""})


@router.post("/organisation/targets/{target}/adopt")
async def adopt(visit: Writer, target: Target) -> Response:
    """Take over; only as many as the number on the form says."""
    written = await given(visit, "unit", "reason", "confirmed")
    if not written["unit"] or not reason_allowed(written["reason"]):
        return _form(visit, target, written, wrong="reason")
    body: dict[str, Any] = {"units": [written["unit"]], "reason": written["reason"]}
    body |= number(written["confirmed"])
    done = await visit.ask.post(Taken, "orgtree", f"{TARGETS}/{target}/candidates/adopt", body)
    if done.trouble is not None:
        return _form(visit, target, written, trouble=done.trouble)
    return visit.back(f"/organisation/targets/{target}", "decided")


def _form(
    visit: Visit, target: str, written: dict[str, str], *, wrong: str | None = None, trouble: Trouble | None = None
) -> Response:
    address = f"/organisation/targets/{target}"
    return dialog(visit, "adopt", target, written, address, wrong=wrong, trouble=trouble, desk="organisation")
