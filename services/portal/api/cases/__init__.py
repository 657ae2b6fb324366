"""Cases: the list with its filters in the address, and one case as a picture of its steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from contracts.codes import CaseKind, Reason
from services.kernel.clock import start_of_day
from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.domain.answers import Part
from services.portal.domain.work import CaseDetail, Cases, Evaluator, Step

router = APIRouter()

DESK = Desk("cases", "/cases", "Cases", "track", "cases:read", router, own=True)

Reader = Annotated[Visit, Depends(entering(*DESK.scopes))]
STATES = ("running", "waiting", "attention", "done", "cancelled")
PAGE = 50
MOST = 200
DELICATE = frozenset({Reason.DISMISSAL, Reason.DEATH})
"""Reasons that are nobody's business but HR's: others read that the employment ends."""


@dataclass(frozen=True)
class Lane:
    """One evaluator's steps, in the order in which they become due."""

    service: str
    target: str
    handled: bool
    steps: Sequence[Step]


def lanes(case: CaseDetail) -> list[Lane]:
    """Return a case's steps as one lane for each evaluator; one that has said nothing yet has an empty lane."""
    known = {(one.service, one.target): one for one in case.evaluators}
    for step in case.steps:
        known.setdefault(
            (step.service, step.target), Evaluator(service=step.service, target=step.target, handled=False)
        )
    return [
        Lane(
            service,
            target,
            one.handled,
            sorted(
                (step for step in case.steps if (step.service, step.target) == (service, target)),
                key=lambda step: (step.due.timestamp() if step.due else 0.0, step.state != "verified"),
            ),
        )
        for (service, target), one in sorted(known.items())
    ]


def chosen(value: str | None, among: Sequence[str]) -> str | None:
    """Return a filter's value, or None for one that is not on the list: an address may be old or typed by hand."""
    return value if value in among else None


@router.get("/cases")
async def index(
    visit: Reader,
    state: str | None = None,
    kind: str | None = None,
    reason: str | None = None,
    since: str | None = None,
    person: UUID | None = None,
    cursor: Annotated[str | None, Query(max_length=2_000)] = None,
) -> Response:
    """List cases."""
    kinds = [one.value for one in CaseKind]
    reasons = [one.value for one in Reason if one not in DELICATE or visit.may("records:read")]
    wanted = {"state": chosen(state, STATES), "kind": chosen(kind, kinds), "reason": chosen(reason, reasons)}
    first = _day(since)
    zone = visit.doors.pages.organisations[visit.session.organisation].zone
    instant = start_of_day(first, zone).isoformat() if first else None
    found = await visit.ask.get(
        Cases, "status", "/v1/cases", **wanted, since=instant, person=person, cursor=cursor, limit=PAGE
    )
    return visit.page(
        "cases/index.html",
        found=found,
        wanted={**wanted, "since": first.isoformat() if first else None},
        states=STATES,
        kinds=kinds,
        reasons=reasons,
        person=person,
        filtered=any(wanted.values()) or first is not None or person is not None,
    )


@router.get("/cases/{case_id}")
async def case(visit: Reader, case_id: UUID) -> Response:
    """Show one case; it looks again by itself while it is open."""
    found = await visit.ask.get(CaseDetail, "status", f"/v1/cases/{case_id}")
    glass = visit.session.glass_at(visit.now)
    if found.trouble is not None and found.trouble.kind == "missing" and glass and glass.person:
        if visit.automatic:
            # what was shown for a reason stays as it was seen
            return Response(status_code=204)
        found = await _of(visit, glass.person, case_id, found)
    if found.trouble is not None and found.trouble.kind == "missing":
        return visit.trouble(found.trouble)
    template = "cases/_case.html" if visit.partial else "cases/case.html"
    lanes_of = lanes(found.value) if found.value else []
    return visit.page(template, found=found, lanes=lanes_of, case_id=case_id)


async def _of(visit: Visit, person: UUID, case_id: UUID, found: Part[CaseDetail]) -> Part[CaseDetail]:
    """Look again with the reason that was given for a person, if the case is that person's."""
    ask = visit.about(person)
    theirs = await ask.get(Cases, "status", "/v1/cases", person=person, limit=MOST)
    if theirs.value is None or case_id not in {one.id for one in theirs.value.items}:
        return found
    return await ask.get(CaseDetail, "status", f"/v1/cases/{case_id}")


def _day(text: str | None) -> date | None:
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return None
    return found if 1900 < found.year < 3000 else None
