"""Who is who: questions that only a person can answer, both people side by side, and what each answer does."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime
from starlette.responses import Response

from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.api.identities import deciding, linking
from services.portal.api.identities.views import Cases, CaseView, Known, Waiting
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.work import PersonDetail

router = APIRouter()

DESK = Desk("identities", "/identity", "Identity", "pair", deciding.SCOPE, router)

Decider = Annotated[Visit, Depends(entering(DESK.scope))]
ALIASES = 10
"""So many aliases are shown with their accounts; each is a read of a person."""


@dataclass(frozen=True)
class Standing:
    """What binds a person's id to others; what a reader may not see is missing.

    `known` comes from ingestion, which has it at once; who may not ask there sees what status has been told.
    """

    alias_of: UUID | None
    aliases: dict[UUID, Part[PersonDetail]]
    known: Part[Known] | None
    cases: Part[Cases] | None

    @property
    def questions(self) -> list[CaseView]:
        """Cases about the person that wait."""
        return [one for one in self.cases.value.items if one.open] if self.cases and self.cases.value else []

    @property
    def decisions(self) -> list[CaseView]:
        """What was decided about who the person is."""
        return [one for one in self.cases.value.items if not one.open] if self.cases and self.cases.value else []


@router.get("/identity")
async def index(
    visit: Decider,
    state: Literal["open", "all"] = "open",
    at: AwareDatetime | None = None,
    after: UUID | None = None,
) -> Response:
    """List cases, oldest first; the filter is in the address."""
    since = at.isoformat() if at else None
    found = await visit.ask.get(Cases, "ingestion", "/v1/identity/cases", state=state, afterAt=since, after=after)
    return visit.page("identities/index.html", found=found, wanted=state, further=after is not None)


@router.get("/identity/{case_id}")
async def case(visit: Decider, case_id: UUID) -> Response:
    """Show one case: both people side by side, with what they have, and what each answer does."""
    found = await visit.ask.get(CaseView, "ingestion", f"/v1/identity/cases/{case_id}")
    if found.value is None:
        return visit.trouble(found.trouble or Trouble("down", "ingestion", "service.unreachable"))
    people = (found.value.person, found.value.other)
    accounts = await _details(visit, *(one.id for one in people))
    return visit.page("identities/case.html", case=found.value, people=people, accounts=accounts)


async def waiting(visit: Visit) -> Part[Waiting] | None:
    """Return how many cases wait, for whoever may decide; it names nobody."""
    return await visit.ask.get(Waiting, "ingestion", "/v1/identity/waiting") if visit.may(DESK.scope) else None


async def standing(visit: Visit, person: UUID, detail: Part[PersonDetail]) -> Standing:
    """Return what binds a person's id to others."""
    known, cases = await asyncio.gather(_known(visit, person), _cases(visit, person))
    ties = known.value if known and known.value else detail.value
    if ties is None:
        return Standing(None, {}, known, cases)
    return Standing(ties.alias_of, await _details(visit, *ties.aliases[:ALIASES]), known, cases)


async def _known(visit: Visit, person: UUID) -> Part[Known] | None:
    if not visit.may("records:read"):
        return None
    return await visit.about(person).get(Known, "ingestion", f"/v1/persons/{person}/identities")


async def _cases(visit: Visit, person: UUID) -> Part[Cases] | None:
    if not visit.may(DESK.scope):
        return None
    return await visit.about(person).get(Cases, "ingestion", "/v1/identity/cases", state="all", person=person)


async def _details(visit: Visit, *persons: UUID) -> dict[UUID, Part[PersonDetail]]:
    if not visit.may("persons:read", "persons:read_own"):
        return {}
    found = await asyncio.gather(*(linking.detail(visit, one) for one in persons))
    return dict(zip(persons, found, strict=True))


# after this desk's own routes: whatever follows a case's id is an answer
router.include_router(deciding.router)
router.include_router(linking.router)
