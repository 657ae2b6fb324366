"""Access beside HR's word: closed at once and opened again, or kept for some days by two people."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from services.kernel.security import reason_allowed
from services.portal.api.door import Visit, entering
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.sessions import local_path
from services.portal.domain.work import PersonDetail, Summary, View

router = APIRouter()

Reader = Annotated[Visit, Depends(entering("persons:read"))]
Commander = Annotated[Visit, Depends(entering("commands:write"))]
Action = Literal["disable", "restore", "keep", "withdraw"]
Answer = Literal["approve", "refuse"]
LONGEST = timedelta(days=14)
"""How far ahead access can be kept; ingestion decides, the form only helps."""
DECIDED, PROPOSED = "decided", "proposed"
SAID = {
    DECIDED: "Decided. What comes of it shows here.",
    PROPOSED: "Proposed. A second person has one day to approve it.",
}


class Decision(View):
    """One decision. State: proposed, effective, refused or lapsed."""

    id: UUID
    person: UUID
    action: str
    until: date | None = None
    state: str
    actor: str
    reason: str
    proposed_at: datetime
    decided_by: str | None = None
    decided_reason: str | None = None
    decided_at: datetime | None = None

    @property
    def waits(self) -> bool:
        """Whether a second person has to say something."""
        return self.state == "proposed"


class Decisions(View):
    """What was decided about one person, or what waits; the newest or the oldest first, as the service says it."""

    items: list[Decision]


class Filled(BaseModel):
    """What somebody filled in."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    key: UUID = Field(default_factory=uuid4)
    until: date | None = None
    reason: str = ""
    next: str = ""

    @property
    def wrong(self) -> str | None:
        """The field that cannot be sent."""
        return None if reason_allowed(self.reason) else "reason"


@dataclass(frozen=True)
class Waiting:
    """What waits for a second person; a name is missing when the person cannot be seen."""

    found: Part[Decisions]
    names: dict[UUID, str]


async def of_person(visit: Visit, person: UUID) -> Part[Decisions]:
    """Return what was decided about a person."""
    return await visit.about(person).get(Decisions, "ingestion", f"/v1/persons/{person}/access")


async def waiting(visit: Visit) -> Waiting | None:
    """Return what waits for a second person, for whoever may answer."""
    if not visit.may("commands:write"):
        return None
    found = await visit.ask.get(Decisions, "ingestion", "/v1/access/proposals")
    return Waiting(found, await _names(visit, found.value.items if found.value else []))


async def _names(visit: Visit, decisions: Sequence[Decision]) -> dict[UUID, str]:
    if not visit.may("persons:read"):
        return {}
    people = sorted({one.person for one in decisions})
    found = await asyncio.gather(*(_person(visit, one) for one in people))
    return {one: part.value.name for one, part in zip(people, found, strict=True) if part.value}


async def _person(visit: Visit, person: UUID) -> Part[PersonDetail]:
    return await visit.about(person).get(PersonDetail, "status", f"/v1/persons/{person}")


@router.get("/people/{person_id}/access")
async def part(visit: Reader, person_id: UUID) -> Response:
    """How a person's access stands beside HR's word. What was shown for a reason stays as it was seen."""
    detail, decisions = await asyncio.gather(_person(visit, person_id), of_person(visit, person_id))
    if visit.automatic and visit.open_for(person_id) and detail.trouble is not None:
        return Response(status_code=204)
    return visit.page("access/_person.html", detail=detail, decisions=decisions, person_id=person_id)


@router.get("/people/{person_id}/access/{action}")
async def confirm(visit: Commander, person_id: UUID, action: Action) -> Response:
    """Ask why, and for `keep` until when; in a dialog where there is script, else as a page."""
    return await _form(visit, person_id, action, Filled())


@router.post("/people/{person_id}/access/{action}")
async def decide(visit: Commander, person_id: UUID, action: Action) -> Response:
    """Decide; the id was made with the form, so sending it twice is the same decision."""
    filled = await _filled(visit)
    wrong = filled.wrong or ("until" if action == "keep" and filled.until is None else None)
    if wrong:
        return await _form(visit, person_id, action, filled, wrong=wrong, status=422)
    until = {"until": str(filled.until)} if action == "keep" else {}
    body = {"action": action, "reason": filled.reason, **until}
    ask = visit.about(person_id)
    done = await ask.post(Decision, "ingestion", f"/v1/persons/{person_id}/access", body, key=str(filled.key))
    if done.trouble is not None:
        return await _form(visit, person_id, action, filled, trouble=_said(done.trouble), status=422)
    said = PROPOSED if done.value and done.value.waits else DECIDED
    return visit.closed(SAID[said]) if visit.partial else visit.back(f"/people/{person_id}", said)


@router.get("/people/{person_id}/access/{decision_id}/{answer}")
async def confirm_answer(
    visit: Commander,
    person_id: UUID,
    decision_id: UUID,
    answer: Answer,
    next: str = "",  # noqa: A002 - the query's name
) -> Response:
    """Ask why a proposal is approved or refused."""
    return await _answer_form(visit, person_id, decision_id, answer, Filled(next=next))


@router.post("/people/{person_id}/access/{decision_id}/{answer}")
async def give_answer(visit: Commander, person_id: UUID, decision_id: UUID, answer: Answer) -> Response:
    """Approve or refuse; sent twice it says that it has been decided."""
    filled = await _filled(visit)
    if filled.wrong:
        return await _answer_form(visit, person_id, decision_id, answer, filled, wrong=filled.wrong, status=422)
    body = {"approve": answer == "approve", "reason": filled.reason}
    done = await visit.about(person_id).post(Decision, "ingestion", f"/v1/access/{decision_id}/answer", body)
    if done.trouble is not None:
        trouble = _said(done.trouble)
        return await _answer_form(visit, person_id, decision_id, answer, filled, trouble=trouble, status=422)
    return visit.closed(SAID[DECIDED]) if visit.partial else visit.back(_following(person_id, filled), DECIDED)


async def _form(visit: Visit, person: UUID, action: str, filled: Filled, **values: Any) -> Response:
    detail, summary = await asyncio.gather(_person(visit, person), _summary(visit, action))
    if detail.trouble is not None and not visit.partial:
        return visit.trouble(detail.trouble)
    organisation = visit.doors.pages.organisations.get(visit.session.organisation)
    today = None
    if organisation is not None and summary is not None and summary.value is not None:
        today = summary.value.business_now.astimezone(organisation.zone).date()
    address = f"/people/{person}"
    days = {"today": today, "latest": today + LONGEST if today else None}
    shown = {"detail": detail, "action": action, "filled": filled, "person_id": person, **days}
    return _page(visit, "access/_form.html", "access/confirm.html", {"address": address, **shown, **values})


async def _summary(visit: Visit, action: str) -> Part[Summary] | None:
    """Ask for business time, by which days are counted, where days are asked for."""
    if action != "keep" or not visit.may("cases:read"):
        return None
    return await visit.ask.get(Summary, "status", "/v1/summary")


async def _answer_form(
    visit: Visit, person: UUID, decision: UUID, answer: str, filled: Filled, **values: Any
) -> Response:
    detail, found = await asyncio.gather(_person(visit, person), of_person(visit, person))
    if found.trouble is not None and not visit.partial:
        return visit.trouble(found.trouble)
    about = next((one for one in found.value.items if one.id == decision), None) if found.value else None
    shown = {"detail": detail, "about": about, "answer": answer, "filled": filled, "person_id": person}
    trouble = found.trouble or _hindrance(visit, about, answer)
    address = _following(person, filled)
    common = {"address": address, "decision_id": decision, "trouble": None, "wrong": None, "stopped": trouble}
    return _page(visit, "access/_answer.html", "access/answer.html", {**common, **shown, **values})


def _hindrance(visit: Visit, about: Decision | None, answer: str) -> Trouble | None:
    """Return why nothing can be answered, if so."""
    if about is None:
        return Trouble("refused", "ingestion", "access.unknown")
    if not about.waits:
        return Trouble("refused", "ingestion", "access.decided")
    if answer == "approve" and about.actor == visit.session.subject:
        return Trouble("refused", "ingestion", "access.own_approval")
    return None


def _page(visit: Visit, partial: str, whole: str, values: dict[str, Any]) -> Response:
    # htmx puts only answers of success into the page
    status = 200 if visit.partial else values.pop("status", 200)
    values.pop("status", None)
    return visit.page(partial if visit.partial else whole, status=status, **{"wrong": None, "trouble": None, **values})


def _following(person: UUID, filled: Filled) -> str:
    return local_path(filled.next) if filled.next else f"/people/{person}"


async def _filled(visit: Visit) -> Filled:
    form = await visit.request.form()
    given = {name: value for name, value in form.items() if isinstance(value, str) and value}
    try:
        return Filled.model_validate(given)
    except ValidationError:
        # a day or an id that is none: what was written stays, the day is asked for again
        return Filled(reason=given.get("reason", ""), next=given.get("next", ""))


def _said(trouble: Trouble) -> Trouble:
    """Return a refusal by the rule that it names: each of them has a text."""
    code = next((one for one in (*trouble.codes, trouble.code) if one.startswith("access.")), None)
    return trouble if code is None else replace(trouble, kind="refused", code=code, errors={})
