"""What operations ask of every service: backlog, work by state and age, rates, breakers, pauses. No person data."""

from collections.abc import Callable, Collection
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, StringConstraints

from services.kernel import audit, breaker, samples
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection, Database
from services.kernel.problems import ProblemError, documented
from services.kernel.security import Principal, requires

Operator = Annotated[Principal, Depends(requires("operations:read"))]
Commander = Annotated[Principal, Depends(requires("operations:write"))]


class Because(BaseModel):
    """Why a person does it; kept in the audit."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


def router(
    service: str,
    database: Database,
    targets: Collection[str],
    organisations: Collection[str],
    committed: Callable[[], None],
    *,
    dead_letter_days: int,
) -> APIRouter:
    """Return `/v1/operations` of a service and what is below it.

    Args:
        service: Its name.
        database: Its database.
        targets: What it works for; filled later, looked at in each request.
        organisations: Whom it serves: a pause stops the work of all, and each finds it in its audit.
        committed: Called after a commit, so that workers and relay look at once.
        dead_letter_days: How long letters are kept.
    """
    routes = APIRouter(prefix="/v1/operations", tags=["operations"])

    @routes.get("")
    async def overview(principal: Operator) -> dict[str, Any]:
        async with database.transaction() as conn:
            return {
                "service": service,
                "targets": sorted(targets),
                "outbox": await _outbox(conn),
                "queue": {"ready": samples.ready()},
                "work": await _work(conn),
                "breakers": await _breakers(conn, principal.organisation),
                "deadLetters": await _dead(conn),
            }

    @routes.get("/samples")
    async def lines(
        principal: Operator, minutes: Annotated[int, Query(ge=5, le=samples.KEPT_MINUTES)] = 15
    ) -> dict[str, Any]:
        """Return the last minutes as lines: what was published, taken in and carried out per second, and what stood."""
        async with database.transaction() as conn:
            return {"service": service, **await samples.lines(conn, minutes)}

    @routes.get("/dead-letters")
    async def dead_letters(
        principal: Operator, limit: Annotated[int, Query(ge=1, le=200)] = 50
    ) -> dict[str, list[dict[str, Any]]]:
        async with database.transaction() as conn:
            return {"items": await _dead_letters(conn, principal.organisation, limit, dead_letter_days)}

    @routes.post("/targets/{target}/pause", responses=documented(404, 409))
    async def pause(target: str, body: Because, principal: Commander) -> dict[str, Any]:
        """Stop all writes to a target, for all organisations, until someone resumes it; passes under way end."""
        return await switch(target, body, principal, paused=True)

    @routes.post("/targets/{target}/resume", responses=documented(404, 409))
    async def resume(target: str, body: Because, principal: Commander) -> dict[str, Any]:
        """Let a paused target be written to again."""
        return await switch(target, body, principal, paused=False)

    async def switch(target: str, body: Because, principal: Principal, *, paused: bool) -> dict[str, Any]:
        if target not in targets:
            raise ProblemError(
                404,
                "target.unknown",
                "This service has no such target",
                detail=f"It has: {', '.join(sorted(targets)) or 'none'}.",
            )
        async with database.transaction() as conn:
            if paused:
                changed = await breaker.pause(
                    conn,
                    service,
                    target,
                    actor=principal.subject,
                    reason=body.reason,
                    organisation=principal.organisation,
                )
            else:
                changed = await breaker.resume(conn, service, target)
            if not changed:
                code, title = ("already_paused", "is paused already") if paused else ("not_paused", "is not paused")
                raise ProblemError(409, f"target.{code}", f"The target {title}")
            action = "target.paused" if paused else "target.resumed"
            await audit.record_for_all(
                conn,
                service,
                organisations,
                principal,
                action,
                reason=body.reason,
                parameters={"service": service, "target": target},
            )
        committed()
        return {"target": target, "paused": paused}

    return routes


async def _rows(conn: Connection, statement: str, *values: object) -> list[dict[str, Any]]:
    cursor = await conn.execute(statement.encode(), values)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def _outbox(conn: Connection) -> dict[str, Any]:
    (row,) = await _rows(
        conn,
        "SELECT count(*) AS unpublished, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8"
        ' AS "oldestSeconds" FROM outbox WHERE published_at IS NULL',
    )
    return row


async def _work(conn: Connection) -> list[dict[str, Any]]:
    return await _rows(
        conn,
        "SELECT target, state, count(*) AS count, count(*) FILTER (WHERE wanted > done) AS wanted,"
        f' min(due_at) AS "nextDue", count(*) FILTER (WHERE due_at <= {BUSINESS_NOW}) AS due,'
        " extract(epoch FROM now() - CASE WHEN state = 'idle' THEN min(raised_at) FILTER (WHERE wanted > done)"
        ' ELSE min(problem_since) END)::float8 AS "oldestSeconds"'
        " FROM work GROUP BY target, state ORDER BY target, state",
    )


async def _breakers(conn: Connection, organisation: str) -> list[dict[str, Any]]:
    """Return all targets; who paused one and why is shown to the pauser's own organisation."""
    return await _rows(
        conn,
        'SELECT target, opened_at AS "openedAt", reason, resume_at AS "resumeAt", paused_at AS "pausedAt",'
        ' CASE WHEN own THEN paused_by END AS "pausedBy", CASE WHEN own THEN pause_reason END AS "pauseReason"'
        " FROM (SELECT *, paused_for = %s AS own FROM breaker) b ORDER BY target",
        organisation,
    )


async def _dead(conn: Connection) -> dict[str, Any]:
    (row,) = await _rows(conn, "SELECT count(*) AS kept FROM inbox_dead WHERE redelivered_at IS NULL")
    return row


async def _dead_letters(conn: Connection, organisation: str, limit: int, days: int) -> list[dict[str, Any]]:
    return await _rows(
        conn,
        'SELECT id, queue, message_id AS "messageId", type, routing_key AS "routingKey", cause,'
        ' received_at AS "receivedAt", received_at + %s * interval \'1 day\' AS "expiresAt" FROM inbox_dead'
        " WHERE redelivered_at IS NULL AND (organisation IS NULL OR organisation = %s) ORDER BY received_at LIMIT %s",
        days,
        organisation,
        limit,
    )
