"""Erasing a person: what would be emptied, what is kept and why, and the decision itself."""

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from contracts.base import Label
from services.ingestion.api.persons import opened, unknown
from services.ingestion.handlers.erasing import FIRST, Erasures, Standing
from services.kernel.database import Database
from services.kernel.problems import documented
from services.kernel.security import Principal, requires
from services.kernel.settings import OrganisationSettings, ServiceSettings

Eraser = Annotated[Principal, Depends(requires("erasure:write"))]

KEPT = ("id", "revisions", "cases", "audit", "reservations")
"""What stays of an erased person; catalogues say why (`erasure.kept_*`)."""


class ErasureBody(BaseModel):
    """Why the person is erased; it stays in the audit."""

    model_config = ConfigDict(extra="forbid")

    reason: Label


def router(database: Database, erasures: Erasures, settings: ServiceSettings) -> APIRouter:
    """Return the routes; `settings` say how long messages are kept that were sent before."""
    routes = APIRouter(prefix="/v1/persons/{person}/erasure", tags=["erasure"])
    days = {"inbox": settings.inbox_days, "deadLetters": settings.dead_letter_days, "outbox": settings.outbox_days}

    @routes.get("", response_model=None, responses=documented(404))
    async def get_erasure(person: UUID, principal: Eraser, request: Request) -> Response:
        await _visible(database, principal, person)
        organisation = _organisation(request, principal)
        return _json(_shown(await erasures.look(organisation, person, principal.subject, principal.reason), days))

    @routes.post("", response_model=None, responses=documented(404, 409))
    async def erase(person: UUID, principal: Eraser, request: Request, body: ErasureBody) -> Response:
        await _visible(database, principal, person)
        organisation = _organisation(request, principal)
        return _json(_shown(await erasures.erase(organisation, person, principal.subject, body.reason), days))

    return routes


def _organisation(request: Request, principal: Principal) -> OrganisationSettings:
    found: OrganisationSettings = request.app.state.organisations[principal.organisation]
    return found


async def _visible(database: Database, principal: Principal, person: UUID) -> None:
    """Refuse what is about someone whom the bearer may not see, as if there were no such person."""
    async with database.transaction() as conn:
        if not await opened(conn, principal, person, None):
            await conn.commit()
            raise unknown()


def _shown(standing: Standing, days: dict[str, int]) -> dict[str, Any]:
    held = standing.held
    return {
        "person": standing.person,
        "erasedAt": standing.erased_at,
        "possible": standing.erased_at is None and not standing.hindrances,
        "hindrances": [{"code": one.code, "until": one.until, "title": FIRST[one.code]} for one in standing.hindrances],
        "empties": {
            "facts": held.facts,
            "versions": held.versions,
            "ids": held.ids,
            "numbers": held.numbers,
            "scimNames": held.scim_names,
            "decisions": held.decisions,
            "files": held.files,
        },
        "keeps": list(KEPT),
        "messagesKeptDays": days,
    }


def _json(content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
