"""The desk of targets: what may be written there, what others changed in them, and the accounts that are taken over."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from services.kernel.security import reason_allowed
from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.api.targets import beside, live
from services.portal.api.targets.forms import dialog, given, number
from services.portal.api.targets.views import (
    Accounts,
    Beside,
    Done,
    Findings,
    PlanView,
    Standing,
    Targets,
    Units,
)
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.work import PersonDetail

router = APIRouter()
router.include_router(live.router)
router.include_router(beside.router)

DESK = Desk("targets", "/targets", "Targets", "eye", "targets:read", router)

Reader = Annotated[Visit, Depends(entering(DESK.scope))]
Writer = Annotated[Visit, Depends(entering("targets:write"))]
Name = Annotated[str, Path(pattern="^[a-z0-9_-]{1,60}$")]
Word = Annotated[str, Query(max_length=300)]
EntryOrNone = Annotated[str, Query(max_length=200, pattern="^[A-Za-z0-9_.=+-]*$")]
Certainty = Literal["certain", "ambiguous", "none"]
CHOICES = {
    "changed": "reclaim,accept,ignore",
    "state": "reclaim,reopen,ignore",
    "moved": "accept,ignore",
    "grant_taken": "reclaim,accept",
} | dict.fromkeys(("missing", "orphan", "mark"), "reclaim,ignore")
"""What can be decided of all of a kind; of others nothing but that they are ignored."""
SHOWN = 25
"""Rows of a page; each names a person, which is a read."""


@router.get("/targets")
async def index(visit: Reader) -> Response:
    """List the targets."""
    return visit.page("targets/index.html", found=await visit.ask.get(Targets, "accounts", "/v1/targets"))


@router.get("/targets/{target}")
async def drift(
    visit: Reader, target: Name, kind: Word = "", attribute: Word = "", after: UUID | None = None, ignored: bool = False
) -> Response:
    """Show what differs in a target; the filter is in the address."""
    wanted = {"kind": kind or None, "attribute": attribute or None, "ignored": str(ignored).lower()}
    standing, found, plan, live_ = await asyncio.gather(
        visit.ask.get(Standing, "accounts", f"/v1/drift/{target}"),
        visit.ask.get(Findings, "accounts", f"/v1/drift/{target}/findings", limit=SHOWN, after=after, **wanted),
        visit.ask.get(PlanView, "accounts", f"/v1/takeover/{target}"),
        visit.ask.get(Units, "accounts", f"/v1/targets/{target}/units", limit=1),
    )
    if standing.trouble is not None and standing.trouble.kind == "missing":
        return visit.trouble(standing.trouble)
    people = [one.person for one in found.value.items if one.person] if found.value else []
    return visit.page(
        "targets/drift.html",
        target=target,
        standing=standing,
        found=found,
        plan=plan,
        live=live_.value if live_.value and live_.value.staged else None,
        names=await _names(visit, people),
        kind=kind,
        attribute=attribute,
        ignored=ignored,
        further=after is not None,
        waited=False,
    )


@router.get("/targets/{target}/reading")
async def reading(visit: Reader, target: Name) -> Response:
    """How far a comparison has come, for a page that waits for it."""
    standing = await visit.ask.get(Standing, "accounts", f"/v1/drift/{target}")
    return visit.page("targets/_reading.html", target=target, standing=standing, waited=True)


@router.get("/targets/{target}/planning")
async def planning(visit: Reader, target: Name) -> Response:
    """How far a plan and its adoption have come, for a page that waits for them."""
    plan = await visit.ask.get(PlanView, "accounts", f"/v1/takeover/{target}")
    return visit.page("targets/_planning.html", target=target, plan=plan, waited=True)


@router.post("/targets/{target}/compare")
async def compare(visit: Writer, target: Name) -> Response:
    """Have the target read and compared now."""
    done = await visit.ask.post(Standing, "accounts", f"/v1/drift/{target}/runs", {})
    return visit.trouble(done.trouble) if done.trouble else visit.back(f"/targets/{target}", "asked")


@router.get("/targets/{target}/decide")
async def ask(
    visit: Writer,
    target: Name,
    finding: UUID | None = None,
    kind: Word = "",
    attribute: Word = "",
    choice: Word = "",
    person: UUID | None = None,
) -> Response:
    """Ask what becomes of one difference, of all of a kind, or of those of a person."""
    asked = {"finding": str(finding or ""), "kind": kind, "attribute": attribute, "person": str(person or "")}
    asked["choice"] = choice or CHOICES.get(kind, "ignore")
    written = {**asked, "decision": "", "reason": ""}
    return _form(visit, target, written)


@router.post("/targets/{target}/decide")
async def decide(visit: Writer, target: Name) -> Response:
    """Decide; all of a kind only when their number has been repeated. What is a person's leads back to the person."""
    written = await given(visit, "finding", "kind", "attribute", "choice", "person", "reason", "confirmed", "decision")
    if not written["decision"]:
        return _form(visit, target, written, wrong="decision")
    if not reason_allowed(written["reason"]):
        return _form(visit, target, written, wrong="reason")
    body: dict[str, Any] = {"decision": written["decision"], "reason": written["reason"]}
    path, ask, person = f"/v1/drift/findings/{written['finding']}/decide", visit.ask, _id(written["person"])
    if not written["finding"]:
        path = f"/v1/drift/{target}/decide"
        body |= {"kind": written["kind"], "attribute": written["attribute"] or None, **number(written["confirmed"])}
        if person is not None:
            body, ask = {**body, "person": str(person)}, visit.about(person)
    done = await ask.post(Done, "accounts", path, body)
    if done.trouble is not None:
        return _form(visit, target, written, trouble=done.trouble)
    return visit.back(_whence(target, written), "decided")


@router.get("/targets/{target}/takeover")
async def takeover(visit: Reader, target: Name, certainty: Certainty = "certain", after: Word = "") -> Response:
    """Show the plan of a take-over, and how far it has come."""
    plan = await visit.ask.get(PlanView, "accounts", f"/v1/takeover/{target}")
    if plan.trouble is not None and plan.trouble.kind == "missing":
        return visit.trouble(plan.trouble)
    found: Part[Accounts] | None = None
    if plan.value is not None and plan.value.plan is not None:
        path = f"/v1/takeover/{target}/rows"
        found = await visit.ask.get(Accounts, "accounts", path, certainty=certainty, limit=SHOWN, after=after or None)
    people = [person for one in found.value.items for person in one.candidates] if found and found.value else []
    return visit.page(
        "targets/takeover.html",
        target=target,
        plan=plan,
        found=found,
        certainty=certainty,
        further=bool(after),
        waited=False,
        names=await _names(visit, people),
    )


@router.post("/targets/{target}/plan")
async def make_plan(visit: Writer, target: Name) -> Response:
    """Have the target read and a plan made."""
    done = await visit.ask.post(PlanView, "accounts", f"/v1/takeover/{target}/plan", {})
    return visit.trouble(done.trouble) if done.trouble else visit.back(f"/targets/{target}/takeover", "asked")


@router.get("/targets/{target}/adopt")
async def ask_adopt(
    visit: Writer, target: Name, plan: Word, entry: EntryOrNone = "", person: UUID | None = None
) -> Response:
    """Ask for the word: all that is certain, or one pair."""
    written = {"plan": plan, "entry": entry, "person": str(person or ""), "reason": ""}
    return await _adopt_form(visit, target, written)


@router.post("/targets/{target}/adopt")
async def adopt(visit: Writer, target: Name) -> Response:
    """Approve; only what the number on the form says."""
    written = await given(visit, "plan", "entry", "person", "reason", "confirmed")
    if not reason_allowed(written["reason"]):
        return await _adopt_form(visit, target, written, wrong="reason")
    pair = [{"entry": written["entry"], "person": written["person"]}] if written["entry"] else "certain"
    matches = {"matches": 1} if written["entry"] else number(written["confirmed"])
    body = {"plan": written["plan"], "rows": pair, "reason": written["reason"], **matches}
    done = await visit.ask.post(Done, "accounts", f"/v1/takeover/{target}/adopt", body)
    if done.trouble is not None:
        return await _adopt_form(visit, target, written, trouble=done.trouble)
    certainty = "?certainty=ambiguous" if written["entry"] else ""
    return visit.back(f"/targets/{target}/takeover{certainty}", "decided")


def _form(
    visit: Visit, target: str, written: dict[str, str], *, wrong: str | None = None, trouble: Trouble | None = None
) -> Response:
    return dialog(visit, "decide", target, written, _whence(target, written), wrong=wrong, trouble=trouble)


def _whence(target: str, written: dict[str, str]) -> str:
    person = _id(written["person"])
    return f"/targets/{target}" if person is None else f"/people/{person}"


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def _adopt_form(
    visit: Visit, target: str, written: dict[str, str], *, wrong: str | None = None, trouble: Trouble | None = None
) -> Response:
    pair: Part[Beside] | None = None
    if written["entry"]:
        pair = await visit.ask.get(Beside, "accounts", f"/v1/takeover/{target}/rows/{written['entry']}")
    address = f"/targets/{target}/takeover"
    return dialog(visit, "adopt", target, written, address, wrong=wrong, trouble=trouble, pair=pair)


async def _names(visit: Visit, people: Iterable[UUID]) -> dict[UUID, str]:
    """Return names as far as this person may see them."""
    ids = sorted(set(people))
    if not visit.may("persons:read"):
        return {}
    found = await asyncio.gather(*(visit.ask.get(PersonDetail, "status", f"/v1/persons/{one}") for one in ids))
    return {one: part.value.name for one, part in zip(ids, found, strict=True) if part.value}
