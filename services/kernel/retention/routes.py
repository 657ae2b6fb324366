"""`/v1/retention`: what is kept for how long, when it was purged last, and a stop for when something must be kept."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from services.kernel import audit
from services.kernel.database import Connection, Database
from services.kernel.operations import Because
from services.kernel.problems import ProblemError, documented
from services.kernel.retention import log as book
from services.kernel.retention.classes import INSTALLATION, DataClass
from services.kernel.retention.purge import Purge
from services.kernel.security import Principal, requires

Reader = Annotated[Principal, Depends(requires("operations:read", "records:read", "audit:read"))]
Commander = Annotated[Principal, Depends(requires("operations:write"))]


def router(service: str, database: Database, purge: Purge, organisations: list[str]) -> APIRouter:
    """Return the routes: the reader's organisation and the installation are told of, no other organisation."""
    routes = APIRouter(prefix="/v1/retention", tags=["retention"])

    @routes.get("")
    async def overview(principal: Reader) -> dict[str, Any]:
        """Return the policy of each data class, its last run and its next one. It names nobody."""
        async with database.transaction() as conn:
            stopped = await book.pause(conn)
            found = [
                await _shown(conn, one, organisation, paused=stopped is not None)
                for one in purge.classes
                for organisation in one.days
                if organisation in (principal.organisation, INSTALLATION)
            ]
        own = stopped is not None and stopped.organisation == principal.organisation
        return {
            "service": service,
            "classes": found,
            "pausedAt": stopped and stopped.paused_at,
            "pausedBy": stopped.paused_by if stopped and own else None,
            "pauseReason": stopped.reason if stopped and own else None,
        }

    @routes.post("/pause", responses=documented(409))
    async def pause(body: Because, principal: Commander) -> dict[str, Any]:
        """Stop the purge of this service, for all organisations, until someone lets it go on."""
        return await switch(body, principal, paused=True)

    @routes.post("/resume", responses=documented(409))
    async def resume(body: Because, principal: Commander) -> dict[str, Any]:
        """Let the purge go on; a run that was under way goes on where it was."""
        return await switch(body, principal, paused=False)

    async def switch(body: Because, principal: Principal, *, paused: bool) -> dict[str, Any]:
        async with database.transaction() as conn:
            if paused:
                changed = await book.stop(
                    conn, actor=principal.subject, reason=body.reason, organisation=principal.organisation
                )
            else:
                changed = await book.go_on(conn)
            if not changed:
                code, title = ("already_paused", "is paused already") if paused else ("not_paused", "is not paused")
                raise ProblemError(409, f"retention.{code}", f"The purge {title}")
            action = "retention.paused" if paused else "retention.resumed"
            await audit.record_for_all(
                conn, service, organisations, principal, action, reason=body.reason, parameters={"service": service}
            )
        return {"service": service, "paused": paused}

    return routes


async def _shown(conn: Connection, one: DataClass, organisation: str, *, paused: bool) -> dict[str, Any]:
    found = await book.standing(conn, one, organisation)
    due = found.began_at + book.EVERY if found.began_at else None
    return {
        "class": one.name,
        "owner": "installation" if organisation == INSTALLATION else "organisation",
        "days": one.days[organisation],
        "oldest": found.oldest,
        "lastRun": found.finished_at,
        "lastRows": found.rows,
        "nextRun": None if paused or found.running else due,
        "running": found.running,
        "purged": found.total,
    }
