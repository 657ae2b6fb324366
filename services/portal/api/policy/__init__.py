"""The policy desk: each table as a table, what a candidate would change, its activation, and trials of a person."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from services.kernel.security import REASON_LENGTH
from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.api.people import who
from services.portal.api.policy.comparing import compared
from services.portal.api.policy.views import Impact, Shown, Tables, Trial, table_of
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.work import PersonDetail

router = APIRouter()

DESK = Desk("policy", "/policy", "Policy", "table", "policy:read", router)

Reader = Annotated[Visit, Depends(entering(DESK.scope))]
Writer = Annotated[Visit, Depends(entering("policy:write"))]
NAME = re.compile(r"[a-z_]{1,40}")
Which = Annotated[str, Query(alias="table", pattern=f"^{NAME.pattern}$")]
API = "/v1/policy"
FIRST = "accounts"
"""The table that is shown where none is named."""
NAMED = 10
"""So many of a plan's examples are named; each name is a read of a person."""


@dataclass(frozen=True)
class Tried:
    """A table with what it decides for a person, as the tables in force and proposed do."""

    name: str
    found: Part[Trial]
    tables: dict[str, Any]


@router.get("/policy")
async def index(visit: Reader, which: Which = FIRST) -> Response:
    """Show a table that is active, what is different from the one before, and the candidate's differences."""
    found, listed = await asyncio.gather(_shown(visit, which), _listed(visit))
    return visit.page("policy/index.html", which=which, found=found, listed=listed, **_tables(found))


@router.get("/policy/trial")
async def trial(visit: Reader, person: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Show what every table decides for one person: an id, or words that name one."""
    words = person.strip()
    about, choices = await who(visit, words)
    listed = await _listed(visit) if about else Part(Tables(items=()))
    detail, tried = await _tried(visit, about, listed) if about else (None, [])
    return visit.page(
        "policy/trial.html", words=words, about=about, listed=listed, tried=tried, detail=detail, choices=choices
    )


async def _tried(visit: Visit, person: UUID, listed: Part[Tables]) -> tuple[Part[PersonDetail], list[Tried]]:
    ask = visit.about(person)
    names = [one.table for one in listed.value.items] if listed.value else []
    detail, trials, shown = await asyncio.gather(
        ask.get(PersonDetail, "status", f"/v1/persons/{person}"),
        asyncio.gather(*(ask.get(Trial, "accounts", f"{API}/{name}/trial", person=person) for name in names)),
        asyncio.gather(*(_shown(visit, name) for name in names)),
    )
    found = zip(names, trials, shown, strict=True)
    return detail, [Tried(name, said, _tables(standing)) for name, said, standing in found]


@router.get("/policy/plan")
async def plan(visit: Reader, which: Which = FIRST) -> Response:
    """Count who would change. Nothing is activated, and nothing is kept."""
    return await _planned(visit, which)


@router.post("/policy/activate")
async def activate(visit: Writer) -> Response:
    """Activate exactly what was planned; the number of removals that was shown is what is confirmed."""
    form = await visit.request.form()
    digest, reason, removals, named = (
        str(form.get(name) or "").strip() for name in ("hash", "reason", "removals", "table")
    )
    which = named if NAME.fullmatch(named) else FIRST
    if not reason or len(reason) > REASON_LENGTH:
        return await _planned(visit, which, wrong="reason", status=422)
    body = {"hash": digest, "reason": reason, **({"removals": int(removals)} if removals.isdecimal() else {})}
    path = f"{API}/{which}/activate"
    done = await visit.ask.post(Impact, "accounts", path, body, deadline=visit.doors.policy_seconds)
    if done.trouble is None:
        return visit.back(f"/policy?table={which}", "policy")
    if done.trouble.kind == "refused":
        # what was planned may be no longer so
        return await _planned(visit, which, trouble=done.trouble, status=422)
    return visit.page("policy/not_activated.html", status=503, address=DESK.path, which=which, trouble=done.trouble)


async def _planned(
    visit: Visit, which: str, *, wrong: str | None = None, trouble: Trouble | None = None, status: int = 200
) -> Response:
    path, patience = f"{API}/{which}/plan", visit.doors.policy_seconds
    found, planned = await asyncio.gather(
        _shown(visit, which), visit.ask.post(Impact, "accounts", path, {}, changes=False, deadline=patience)
    )
    named = await _named(visit, planned.value.examples[:NAMED]) if planned.value else []
    return visit.page(
        "policy/plan.html",
        status=status,
        which=which,
        found=found,
        planned=planned,
        named=named,
        address=f"/policy/plan?table={which}",
        wrong=wrong,
        trouble=trouble,
        **_tables(found),
    )


async def _shown(visit: Visit, which: str) -> Part[Shown]:
    return await visit.ask.get(Shown, "accounts", f"{API}/{which}", content="true")


async def _listed(visit: Visit) -> Part[Tables]:
    return await visit.ask.get(Tables, "accounts", API)


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
    waits = shown is not None and shown.waits
    proposed = shown.candidate.content if shown and shown.candidate and waits else None
    candidate = table_of(proposed) if proposed else None
    return {
        "active": active,
        "in_force": compared(active, None) if active else None,
        "since_before": compared(active, before) if active and before else None,
        "candidate": candidate,
        "proposed": compared(candidate, active) if candidate else None,
        "differs": waits,
    }
