"""What operations ask of every service: backlog, work by state, breakers, dead letters. No person data."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection, Database
from services.kernel.security import Principal, requires

Operator = Annotated[Principal, Depends(requires("operations:read"))]


def router(service: str, database: Database) -> APIRouter:
    """Return `/v1/operations` and `/v1/operations/dead-letters` of a service."""
    routes = APIRouter(prefix="/v1/operations", tags=["operations"])

    @routes.get("")
    async def overview(_principal: Operator) -> dict[str, Any]:
        async with database.transaction() as conn:
            return {
                "service": service,
                "outbox": await _outbox(conn),
                "work": await _work(conn),
                "breakers": await _breakers(conn),
                "deadLetters": await _dead(conn),
            }

    @routes.get("/dead-letters")
    async def dead_letters(
        principal: Operator, limit: Annotated[int, Query(ge=1, le=200)] = 50
    ) -> dict[str, list[dict[str, Any]]]:
        async with database.transaction() as conn:
            return {"items": await _dead_letters(conn, principal.organisation, limit)}

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
        f' min(due_at) AS "nextDue", count(*) FILTER (WHERE due_at <= {BUSINESS_NOW}) AS due'
        " FROM work GROUP BY target, state ORDER BY target, state",
    )


async def _breakers(conn: Connection) -> list[dict[str, Any]]:
    return await _rows(
        conn, 'SELECT target, opened_at AS "openedAt", reason, resume_at AS "resumeAt" FROM breaker ORDER BY target'
    )


async def _dead(conn: Connection) -> dict[str, Any]:
    (row,) = await _rows(conn, "SELECT count(*) AS kept FROM inbox_dead WHERE redelivered_at IS NULL")
    return row


async def _dead_letters(conn: Connection, organisation: str, limit: int) -> list[dict[str, Any]]:
    return await _rows(
        conn,
        'SELECT id, queue, message_id AS "messageId", type, routing_key AS "routingKey", cause,'
        ' received_at AS "receivedAt", expires_at AS "expiresAt" FROM inbox_dead'
        " WHERE redelivered_at IS NULL AND (organisation IS NULL OR organisation = %s) ORDER BY received_at LIMIT %s",
        organisation,
        limit,
    )
