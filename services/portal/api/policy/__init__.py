"""The policy desk of accounts: the table as a table, what a candidate would change, its activation, and trials."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from services.kernel.security import REASON_LENGTH
from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.api.people import who
from services.portal.api.policy.comparing import compared
from services.portal.api.policy.views import Impact, Shown, Trial, table_of
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.work import PersonDetail

router = APIRouter()

DESK = Desk("policy", "/policy", "Policy", "table", "policy:read", router)

Reader = Annotated[Visit, Depends(entering(DESK.scope))]
Writer = Annotated[Visit, Depends(entering("policy:write"))]
API = "/v1/policy/accounts"
NAMED = 10
"""So many of a plan's examples are named; each name is a read of a person."""


@router.get("/policy")
async def index(visit: Reader) -> Response:
    """Show the active table, what is different from the one before, and the candidate's differences."""
    found = await visit.ask.get(Shown, "accounts", API, content="true")
    return visit.page("policy/index.html", found=found, **_tables(found))


@router.get("/policy/trial")
async def trial(visit: Reader, person: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Show what the tables decide for one person: an id, or words that name one."""
    words = person.strip()
    about, choices = await who(visit, words)
    found, detail = await _tried(visit, about) if about else (None, None)
    tables = _tables(await visit.ask.get(Shown, "accounts", API, content="true")) if found and found.value else {}
    return visit.page("policy/trial.html", words=words, found=found, detail=detail, choices=choices, **tables)


async def _tried(visit: Visit, person: UUID) -> tuple[Part[Trial], Part[PersonDetail]]:
    ask = visit.about(person)
    return await asyncio.gather(
        ask.get(Trial, "accounts", f"{API}/trial", person=person),
        ask.get(PersonDetail, "status", f"/v1/persons/{person}"),
    )


@router.get("/policy/plan")
async def plan(visit: Reader) -> Response:
    """Count who would change. Nothing is activated, and nothing is kept."""
    return await _planned(visit)


@router.post("/policy/activate")
async def activate(visit: Writer) -> Response:
    """Activate exactly what was planned; the number of removals that was shown is what is confirmed."""
    form = await visit.request.form()
    digest, reason, removals = (str(form.get(name) or "").strip() for name in ("hash", "reason", "removals"))
    if not reason or len(reason) > REASON_LENGTH:
        return await _planned(visit, wrong="reason", status=422)
    body = {"hash": digest, "reason": reason, **({"removals": int(removals)} if removals.isdecimal() else {})}
    done = await visit.ask.post(Impact, "accounts", f"{API}/activate", body, deadline=visit.doors.policy_seconds)
    if done.trouble is None:
        return visit.back("/policy", "policy")
    if done.trouble.kind == "refused":
        # what was planned may be no longer so
        return await _planned(visit, trouble=done.trouble, status=422)
    return visit.page("policy/not_activated.html", status=503, address=DESK.path, trouble=done.trouble)


async def _planned(
    visit: Visit, *, wrong: str | None = None, trouble: Trouble | None = None, status: int = 200
) -> Response:
    found, planned = await asyncio.gather(
        visit.ask.get(Shown, "accounts", API, content="true"),
        visit.ask.post(Impact, "accounts", f"{API}/plan", {}, changes=False, deadline=visit.doors.policy_seconds),
    )
    named = await _named(visit, planned.value.examples[:NAMED]) if planned.value else []
    return visit.page(
        "policy/plan.html",
        status=status,
        found=found,
        planned=planned,
        named=named,
        address="/policy/plan",
        wrong=wrong,
        trouble=trouble,
        **_tables(found),
    )


async def _named(visit: Visit, examples: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return examples with their names, as far as this person may see them."""
    if not visit.may("persons:read"):
        return [(one, None) for one in examples]
    found = await asyncio.gather(*(visit.ask.get(PersonDetail, "status", f"/v1/persons/{one}") for one in examples))
    return [(one, part.value.name if part.value else None) for one, part in zip(examples, found, strict=True)]


def _tables(found: Part[Shown]) -> dict[str, Any]:
    shown = found.value
    active = table_of(shown.active.content) if shown and shown.active and shown.active.content else None
    former = shown.active.previous if shown and shown.active else None
    before = table_of(former.content) if former and former.content else None
    candidate = table_of(shown.candidate.content) if shown and shown.candidate.content else None
    differs = shown is not None and shown.candidate.differs
    return {
        "active": active,
        "in_force": compared(active, None) if active else None,
        "since_before": compared(active, before) if active and before else None,
        "candidate": candidate if differs else None,
        "proposed": compared(candidate, active) if candidate and differs else None,
        "differs": differs,
    }
