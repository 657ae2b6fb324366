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
from services.portal.api.targets.views import (
    Accounts,
    Done,
    Findings,
    PlanView,
    Standing,
    Targets,
)
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.work import PersonDetail

router = APIRouter()

DESK = Desk("targets", "/targets", "Targets", "eye", "targets:read", router)

Reader = Annotated[Visit, Depends(entering(DESK.scope))]
Writer = Annotated[Visit, Depends(entering("targets:write"))]
Name = Annotated[str, Path(pattern="^[a-z0-9_-]{1,60}$")]
Word = Annotated[str, Query(max_length=100)]
Certainty = Literal["certain", "ambiguous", "none"]
CHOICES = {
    "changed": "reclaim,accept,ignore",
    "state": "reclaim,reopen,ignore",
    "moved": "accept,ignore",
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
    standing, found, plan = await asyncio.gather(
        visit.ask.get(Standing, "accounts", f"/v1/drift/{target}"),
        visit.ask.get(Findings, "accounts", f"/v1/drift/{target}/findings", limit=SHOWN, after=after, **wanted),
        visit.ask.get(PlanView, "accounts", f"/v1/takeover/{target}"),
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
        names=await _names(visit, people),
        kind=kind,
        attribute=attribute,
        ignored=ignored,
        further=after is not None,
    )


@router.post("/targets/{target}/compare")
async def compare(visit: Writer, target: Name) -> Response:
    """Have the target read and compared now."""
    done = await visit.ask.post(Standing, "accounts", f"/v1/drift/{target}/runs", {})
    return visit.trouble(done.trouble) if done.trouble else visit.back(f"/targets/{target}", "decided")


@router.get("/targets/{target}/decide")
async def ask(
    visit: Writer, target: Name, finding: UUID | None = None, kind: Word = "", attribute: Word = "", choice: Word = ""
) -> Response:
    """Ask what becomes of one difference, or of all of a kind."""
    asked = {"finding": str(finding or ""), "kind": kind, "attribute": attribute}
    asked["choice"] = choice or CHOICES.get(kind, "ignore")
    given = {**asked, "decision": "", "reason": ""}
    return _form(visit, target, given)


@router.post("/targets/{target}/decide")
async def decide(visit: Writer, target: Name) -> Response:
    """Decide; all of a kind only when their number has been repeated."""
    given = await _given(visit, "finding", "kind", "attribute", "choice", "reason", "matches", "decision")
    if not given["decision"]:
        return _form(visit, target, given, wrong="decision")
    if not reason_allowed(given["reason"]):
        return _form(visit, target, given, wrong="reason")
    body: dict[str, Any] = {"decision": given["decision"], "reason": given["reason"]}
    path = f"/v1/drift/findings/{given['finding']}/decide"
    if not given["finding"]:
        path = f"/v1/drift/{target}/decide"
        body |= {"kind": given["kind"], "attribute": given["attribute"] or None, **_number(given["matches"])}
    done = await visit.ask.post(Done, "accounts", path, body)
    if done.trouble is not None:
        return _form(visit, target, given, trouble=done.trouble)
    return visit.back(f"/targets/{target}", "decided")


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
        names=await _names(visit, people),
    )


@router.post("/targets/{target}/plan")
async def make_plan(visit: Writer, target: Name) -> Response:
    """Have the target read and a plan made."""
    done = await visit.ask.post(PlanView, "accounts", f"/v1/takeover/{target}/plan", {})
    return visit.trouble(done.trouble) if done.trouble else visit.back(f"/targets/{target}/takeover", "decided")


@router.get("/targets/{target}/adopt")
async def ask_adopt(visit: Writer, target: Name, plan: Word, entry: Word = "", person: UUID | None = None) -> Response:
    """Ask for the word: all that is certain, or one pair."""
    given = {"plan": plan, "entry": entry, "person": str(person or ""), "reason": ""}
    return _adopt_form(visit, target, given)


@router.post("/targets/{target}/adopt")
async def adopt(visit: Writer, target: Name) -> Response:
    """Approve; only what the number on the form says."""
    given = await _given(visit, "plan", "entry", "person", "reason", "matches")
    if not reason_allowed(given["reason"]):
        return _adopt_form(visit, target, given, wrong="reason")
    pair = [{"entry": given["entry"], "person": given["person"]}] if given["entry"] else "certain"
    number = {"matches": 1} if given["entry"] else _number(given["matches"])
    body = {"plan": given["plan"], "rows": pair, "reason": given["reason"], **number}
    done = await visit.ask.post(Done, "accounts", f"/v1/takeover/{target}/adopt", body)
    if done.trouble is not None:
        return _adopt_form(visit, target, given, trouble=done.trouble)
    certainty = "?certainty=ambiguous" if given["entry"] else ""
    return visit.back(f"/targets/{target}/takeover{certainty}", "decided")


def _form(
    visit: Visit, target: str, given: dict[str, str], *, wrong: str | None = None, trouble: Trouble | None = None
) -> Response:
    return _dialog(visit, "decide", target, given, wrong, trouble, f"/targets/{target}")


def _adopt_form(
    visit: Visit, target: str, given: dict[str, str], *, wrong: str | None = None, trouble: Trouble | None = None
) -> Response:
    return _dialog(visit, "adopt", target, given, wrong, trouble, f"/targets/{target}/takeover")


def _dialog(
    visit: Visit,
    name: str,
    target: str,
    given: dict[str, str],
    wrong: str | None,
    trouble: Trouble | None,
    address: str,
) -> Response:
    counted = trouble is not None and trouble.matches is not None
    return visit.page(
        f"targets/_{name}.html" if visit.partial else f"targets/{name}.html",
        # htmx puts only answers of success into the page
        status=422 if (wrong or trouble) and not visit.partial else 200,
        target=target,
        given=given,
        wrong=wrong,
        trouble=None if counted else trouble,
        count=trouble.matches if trouble else None,
        address=address,
    )


async def _given(visit: Visit, *names: str) -> dict[str, str]:
    form = await visit.request.form()
    return {name: str(form.get(name) or "").strip() for name in names}


def _number(text: str) -> dict[str, int]:
    return {"matches": int(text)} if text.isdecimal() else {}


async def _names(visit: Visit, people: Iterable[UUID]) -> dict[UUID, str]:
    """Return names as far as this person may see them."""
    ids = sorted(set(people))
    if not visit.may("persons:read"):
        return {}
    found = await asyncio.gather(*(visit.ask.get(PersonDetail, "status", f"/v1/persons/{one}") for one in ids))
    return {one: part.value.name for one, part in zip(ids, found, strict=True) if part.value}
