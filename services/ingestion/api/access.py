"""Access beside HR's word: closed at once, or kept for some days by two people. Facts of the ledger (DESIGN 6)."""

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Self
from uuid import UUID, uuid4

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, model_validator

from contracts.base import Label
from services.ingestion.api.persons import READ_PROTECTED, opened, unknown
from services.ingestion.domain.access import Action
from services.ingestion.domain.projection import Organisation
from services.ingestion.handlers.deciding import PROPOSAL_HOURS, Asked, Decisions
from services.ingestion.store import decisions
from services.ingestion.store.decisions import Decision
from services.kernel import audit
from services.kernel.database import Connection, Database
from services.kernel.problems import documented
from services.kernel.security import Principal, requires

Operator = Annotated[Principal, Depends(requires("commands:write"))]
Looker = Annotated[Principal, Depends(requires("persons:read"))]


class AccessBody(BaseModel):
    """What to do. `keep` needs `until` (the last day, at most 14 days ahead) and then a second person's approval."""

    model_config = ConfigDict(extra="forbid")

    action: Action
    until: date | None = None
    reason: Label

    @model_validator(mode="after")
    def _until_is_of_keep(self) -> Self:
        if (self.until is not None) is not (self.action is Action.KEEP):
            raise ValueError("until belongs to keep, and keep needs it")
        return self


class AnswerBody(BaseModel):
    """Why a proposal is approved or refused."""

    model_config = ConfigDict(extra="forbid")

    approve: bool
    reason: Label


def router(database: Database, taken: Decisions) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1", tags=["access"])

    @routes.post("/persons/{person}/access", status_code=202, response_model=None, responses=documented(404, 409))
    async def decide(
        person: UUID,
        principal: Operator,
        request: Request,
        body: AccessBody,
        idempotency_key: Annotated[UUID | None, Header(description="Becomes the decision's id")] = None,
    ) -> Response:
        await _seen(database, principal, person)
        asked = Asked(
            idempotency_key or uuid4(), _organisation(request, principal), person, body.action, body.until,
            principal.subject, body.reason,
        )  # fmt: skip
        return _json(_shown(await taken.take(asked)), status=202)

    @routes.get("/persons/{person}/access", response_model=None, responses=documented(404))
    async def get_access(person: UUID, principal: Looker) -> Response:
        async with database.transaction() as conn:
            await _lapsed(conn, principal)
            if not await opened(conn, principal, person, "person.access_read"):
                raise unknown()
            found = await decisions.of_person(conn, principal.organisation, person)
        return _json({"items": [_shown(item) for item in found]})

    @routes.get("/access/proposals", response_model=None)
    async def get_proposals(principal: Operator) -> Response:
        async with database.transaction() as conn:
            await _lapsed(conn, principal)
            protected = READ_PROTECTED in principal.scopes
            found = await decisions.proposed(conn, principal.organisation, protected=protected)
            await audit.record(
                conn,
                "ingestion",
                principal.organisation,
                principal.subject,
                "access.listed",
                persons=[item.person for item in found],
                reason=principal.reason,
            )
        return _json({"items": [_shown(item) for item in found]})

    @routes.post("/access/{decision}/answer", response_model=None, responses=documented(404, 409))
    async def answer(decision: UUID, principal: Operator, request: Request, body: AnswerBody) -> Response:
        async with database.transaction() as conn:
            found = await decisions.find(conn, principal.organisation, decision)
        if found is not None:
            await _seen(database, principal, found.person)
        organisation = _organisation(request, principal)
        done = await taken.answer(organisation, decision, principal.subject, body.reason, approved=body.approve)
        return _json(_shown(done))

    return routes


async def _seen(database: Database, principal: Principal, person: UUID) -> None:
    """Refuse a decision about someone whom the bearer may not see, as if there were no such person."""
    async with database.transaction() as conn:
        if not await opened(conn, principal, person, None):
            await conn.commit()
            raise unknown()


async def _lapsed(conn: Connection, principal: Principal) -> None:
    await decisions.lapse(conn, principal.organisation, PROPOSAL_HOURS)


def _organisation(request: Request, principal: Principal) -> Organisation:
    settings = request.app.state.organisations[principal.organisation]
    return Organisation(settings.key, settings.zone)


def _shown(decision: Decision) -> dict[str, Any]:
    shown = asdict(decision)
    names = {
        "proposed_at": "proposedAt",
        "decided_by": "decidedBy",
        "decided_reason": "decidedReason",
        "decided_at": "decidedAt",
        "case_id": "case",
    }
    return {names.get(name, name): value for name, value in shown.items() if name != "organisation"}


def _json(content: dict[str, Any], *, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")
