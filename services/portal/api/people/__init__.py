"""People: search, and one person with targets, timeline and the reasons behind them."""

import asyncio
from datetime import datetime
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import RedirectResponse, Response

from services.kernel.security import BREAK_GLASS
from services.portal.api import access, activation, identities
from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.api.glass import Opening
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.work import Cases, People, PersonDetail, Timeline, View

router = APIRouter()

DESK = Desk("people", "/people", "People", "person", "persons:read", router, own=True)

Reader = Annotated[Visit, Depends(entering(*DESK.scopes))]
Words = Annotated[str, Query(max_length=200)]
RESTORED = "HX-History-Restore-Request"
"""A browser that goes back shall see the list that it left."""
Cursor = Annotated[str | None, Query(max_length=2_000)]
AfterFact = Annotated[int, Query(ge=0, le=2**62)]
PAGE = 50
EVENTS, CASES, FACTS = 30, 20, 50


class Fact(View):
    """One thing that a source said."""

    fact: UUID | int
    id: str
    source: str
    type: str
    asserted_at: datetime
    recorded_at: datetime
    actor: str
    revision: int | None = None


class Facts(View):
    """The first page of the facts behind a record."""

    facts: list[Fact]
    next: str | None = None

    @property
    def after(self) -> str | None:
        """Where the next page begins."""
        return dict(parse_qsl(urlsplit(self.next).query)).get("after") if self.next else None


@router.get("/people")
async def index(
    visit: Reader, q: Words = "", cursor: Annotated[str | None, Query(max_length=2_000)] = None
) -> Response:
    """Find people. Nobody is shown before something is searched for: a list of all names helps nobody.

    A manager's own people are.
    """
    words = q.strip()
    ask = visit.searching(words)
    own = not visit.may("persons:read") and visit.session.person is not None
    asked = words or own
    found = await ask.get(People, "status", "/v1/persons", q=words, cursor=cursor, limit=PAGE) if asked else None
    only = found.value.items if words and found and found.value and cursor is None else []
    # a protected person's page asks for a reason of its own
    alone = len(only) == 1 and only[0].protection == "none"
    if alone and not visit.partial and RESTORED not in visit.request.headers:
        return RedirectResponse(f"/people/{only[0].id}", 303)
    template = "people/_answer.html" if visit.partial else "people/index.html"
    opening = Opening(None, words) if words and ask.bearer.reason is None else None
    return visit.page(template, found=found, words=words, opening=opening, reason="", wrong=False)


@router.get("/people/{person_id}")
async def person(visit: Reader, person_id: UUID, before: Cursor = None, after: AfterFact = 0) -> Response:
    """Show a person; `before` and `after` turn the pages of the timeline and of HR's facts."""
    ask = visit.about(person_id)
    detail, timeline, cases, facts, decisions, activations = await asyncio.gather(
        ask.get(PersonDetail, "status", f"/v1/persons/{person_id}"),
        ask.get(Timeline, "status", f"/v1/persons/{person_id}/timeline", limit=EVENTS, cursor=before),
        _cases(visit, person_id),
        _facts(visit, person_id, after),
        _decisions(visit, person_id),
        activation.of_person(visit, person_id),
    )
    if detail.trouble is not None and detail.trouble.kind == "missing":
        return _hidden(visit, person_id, detail.trouble)
    standing = await identities.standing(visit, person_id, detail)
    return visit.page(
        "people/person.html",
        standing=standing,
        activations=activations,
        detail=detail,
        timeline=timeline,
        cases=cases,
        facts=facts,
        decisions=decisions,
        person_id=person_id,
        earlier=before is not None,
        later=after > 0,
    )


@router.get("/people/{person_id}/targets")
async def targets(visit: Reader, person_id: UUID) -> Response:
    """The targets alone, for a page that watches them converge. What was shown for a reason stays as it was seen."""
    detail = await visit.about(person_id).get(PersonDetail, "status", f"/v1/persons/{person_id}")
    if visit.automatic and visit.open_for(person_id) and detail.trouble is not None:
        return Response(status_code=204)
    return visit.page("people/_targets.html", detail=detail, person_id=person_id)


def _hidden(visit: Visit, person: UUID, trouble: Trouble) -> Response:
    """Ask for the reason, of whoever may give one; whether there is such a person is not said."""
    if not visit.may(BREAK_GLASS):
        return visit.trouble(trouble)
    glass = visit.session.glass_at(visit.now)
    given = glass.reason if glass and glass.search is not None else ""
    return visit.page(
        "people/hidden.html", status=404, trouble=trouble, opening=Opening(person, None), reason=given, wrong=False
    )


async def _cases(visit: Visit, person: UUID) -> Part[Cases] | None:
    if not visit.may("cases:read", "cases:read_own"):
        return None
    return await visit.about(person).get(Cases, "status", "/v1/cases", person=person, limit=CASES)


async def _decisions(visit: Visit, person: UUID) -> Part[access.Decisions] | None:
    return await access.of_person(visit, person) if visit.may("persons:read") else None


async def _facts(visit: Visit, person: UUID, after: int) -> Part[Facts] | None:
    if not visit.may("records:read"):
        return None
    ask = visit.about(person)
    return await ask.get(Facts, "ingestion", f"/v1/persons/{person}/facts", limit=FACTS, after=after or None)


async def who(visit: Visit, words: str) -> tuple[UUID | None, Part[People] | None]:
    """Return the person who is meant by an id or by words, or those who may be; for desks that ask about somebody."""
    if not words:
        return None, None
    try:
        return UUID(words), None
    except ValueError:
        pass
    if not visit.may("persons:read"):
        return None, Part(People(items=[]))
    found = await visit.searching(words).get(People, "status", "/v1/persons", q=words, limit=10)
    only = found.value.items if found.value else []
    return (only[0].id, None) if len(only) == 1 else (None, found)
