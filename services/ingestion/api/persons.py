"""The record as known at a time, and the facts behind it. Every read is logged in the same transaction."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime

from contracts.codes import Protection
from contracts.hr import NO_END
from contracts.person import Absence, Assignment, CoreRecord, Employment
from services.ingestion.domain.rules import EARLIEST
from services.ingestion.domain.spans import Phase, span
from services.ingestion.store import reading
from services.kernel import audit
from services.kernel.clock import day_after, start_of_day
from services.kernel.database import Connection, Database
from services.kernel.problems import ProblemError, documented
from services.kernel.security import Principal, requires

JSON = "application/json"
READ_PROTECTED = "persons:read_protected"
PAGE_LIMIT = 200

Reader = Annotated[Principal, Depends(requires("records:read"))]


def router(database: Database) -> APIRouter:
    """Return the routes that read the ledger."""
    routes = APIRouter()

    @routes.get("/v1/persons/{person}/record", response_model=None, responses=documented(404))
    async def get_record(
        person: UUID,
        principal: Reader,
        request: Request,
        on: Annotated[date | None, Query(ge=EARLIEST, lt=NO_END)] = None,
        known_at: AwareDatetime | None = None,
    ) -> Response:
        async with database.transaction() as conn:
            visible = await opened(conn, principal, person, "person.record_read")
            found = await reading.record_as_known(conn, principal.organisation, person, known_at) if visible else None
        if found is None:
            raise unknown()
        zone = request.app.state.organisations[principal.organisation].zone
        record = found.core if on is None else restricted(found.core, on, zone)
        return _json(
            {
                "person": person,
                "generation": found.generation,
                "revision": found.revision,
                "recordedAt": found.recorded_at,
                "effectiveAt": found.effective_at,
                "case": found.case_id,
                "kind": found.kind,
                "reason": found.reason,
                "on": on,
                "record": record.model_dump(mode="json", by_alias=True),
            }
        )

    @routes.get("/v1/persons/{person}/facts", response_model=None, responses=documented(404))
    async def get_facts(
        person: UUID,
        principal: Reader,
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
    ) -> Response:
        async with database.transaction() as conn:
            visible = await opened(conn, principal, person, "person.facts_read")
            found = await reading.facts(conn, principal.organisation, person, after, limit) if visible else None
        if found is None:
            raise unknown()
        following = f"/v1/persons/{person}/facts?after={found[-1].seq}&limit={limit}" if len(found) == limit else None
        return _json({"facts": [_fact(item) for item in found], "next": following})

    return routes


async def opened(conn: Connection, principal: Principal, person: UUID, action: str | None) -> bool:
    """Log the read, or the attempt, and tell whether the bearer may see the person. Protected: default deny.

    Without an action only a denied attempt is logged: what follows says itself what was done.
    """
    level = await reading.protection(conn, principal.organisation, person)
    if level is None:
        return False
    allowed = level is Protection.NONE or READ_PROTECTED in principal.scopes
    said = action if allowed else "person.read_denied"
    if said is None:
        return True
    await audit.record(
        conn,
        "ingestion",
        principal.organisation,
        principal.subject,
        said,
        subject=person,
        reason=principal.reason,
    )
    return allowed


def unknown() -> ProblemError:
    """The answer about somebody who is not there, or hidden."""
    return ProblemError(404, "person.unknown", "There is no such person")


def restricted(record: CoreRecord, on: date, zone: ZoneInfo) -> CoreRecord:
    """Return what of a record holds on a local date: employments that give access at some time of that day."""
    starts, ends = start_of_day(on, zone), day_after(on, zone)
    kept = []
    for employment in record.employments:
        access = span(employment, zone)
        if access.phase(starts) is not Phase.VOID and access.starts < ends and access.ends > starts:
            kept.append(_employment_on(employment, on))
    return record.model_copy(update={"employments": tuple(kept)})


def _employment_on(employment: Employment, on: date) -> Employment:
    return employment.model_copy(
        update={
            "assignments": tuple(item for item in employment.assignments if _holds(item, on)),
            "absences": tuple(item for item in employment.absences if _holds(item, on)),
        }
    )


def _holds(item: Assignment | Absence, on: date) -> bool:
    return item.valid_from <= on and (item.valid_to is None or on <= item.valid_to)


def _fact(item: reading.StoredFact) -> dict[str, Any]:
    receipt = item.receipt
    return {
        "fact": receipt.id,
        "id": receipt.event_id,
        "source": receipt.source,
        "type": receipt.kind,
        "assertedAt": receipt.asserted_at,
        "recordedAt": receipt.recorded_at,
        "actor": item.actor,
        "revision": receipt.revision,
        "case": receipt.case_id,
        "event": item.body,
    }


def _json(content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), media_type=JSON)
