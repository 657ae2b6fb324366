"""The breaker of a target, in the database: while the target is away nothing is claimed, so no attempts burn.

A person may pause a target too: nothing is claimed until a person resumes it. Passes under way end as they would.
"""

from collections.abc import Awaitable, Callable

from services.kernel import telemetry
from services.kernel.database import Connection, Database
from services.kernel.failures import Failure
from services.kernel.metrics import instruments

log = telemetry.get_logger(__name__)


async def may_claim(conn: Connection, target: str) -> bool:
    """Tell whether work for `target` may be claimed: not while it is away, asked us to wait or is paused."""
    cursor = await conn.execute(
        "SELECT 1 FROM breaker WHERE target = %s"
        " AND (opened_at IS NOT NULL OR resume_at > now() OR paused_at IS NOT NULL)",
        (target,),
    )
    return await cursor.fetchone() is None


async def open_(conn: Connection, target: str, reason: str) -> None:
    """Stop claiming for `target` until a probe has answered."""
    cursor = await conn.execute(
        "INSERT INTO breaker (target, opened_at, reason) VALUES (%(target)s, now(), %(reason)s)"
        " ON CONFLICT (target) DO UPDATE SET opened_at = now(), reason = %(reason)s, failures = 0"
        " WHERE breaker.opened_at IS NULL RETURNING true",
        {"target": target, "reason": reason},
    )
    if await cursor.fetchone() is not None:
        log.warning("breaker.opened", target=target, reason=reason)
        instruments.BREAKER_OPENED.labels(target).inc()


async def throttle(conn: Connection, target: str, seconds: float) -> None:
    """Stop claiming for `target` for as long as it said."""
    await conn.execute(
        "INSERT INTO breaker (target, resume_at) VALUES (%(target)s, now() + %(wait)s * interval '1 second')"
        " ON CONFLICT (target) DO UPDATE SET resume_at = greatest(breaker.resume_at, excluded.resume_at)",
        {"target": target, "wait": seconds},
    )
    log.warning("breaker.throttled", target=target, seconds=seconds)


async def pause(conn: Connection, service: str, target: str, *, actor: str, reason: str, organisation: str) -> bool:
    """Stop claiming for `target` until `resume`; return false when it was paused already, which then stands.

    Args:
        conn: The transaction.
        service: Whose target it is; its evaluators are marked, so that whoever asks why is told.
        target: The target.
        actor: Who pauses it.
        reason: Why, in the actor's own words.
        organisation: The actor's, which alone may read actor and reason.
    """
    cursor = await conn.execute(
        "INSERT INTO breaker (target, paused_at, paused_by, pause_reason, paused_for)"
        " VALUES (%(target)s, now(), %(actor)s, %(reason)s, %(organisation)s) ON CONFLICT (target) DO UPDATE SET"
        " paused_at = now(), paused_by = %(actor)s, pause_reason = %(reason)s, paused_for = %(organisation)s"
        " WHERE breaker.paused_at IS NULL RETURNING true",
        {"target": target, "actor": actor, "reason": reason, "organisation": organisation},
    )
    changed = await cursor.fetchone() is not None
    if changed:
        await _mark(conn, service, target)
    return changed


async def resume(conn: Connection, service: str, target: str) -> bool:
    """Let `target` be worked for again; return false when it was not paused."""
    cursor = await conn.execute(
        "UPDATE breaker SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, paused_for = NULL"
        " WHERE target = %s AND paused_at IS NOT NULL RETURNING true",
        (target,),
    )
    changed = await cursor.fetchone() is not None
    if changed:
        await _mark(conn, service, target)
    return changed


async def _mark(conn: Connection, service: str, target: str) -> None:
    """Show the pause where every organisation sees who answers for what; of actor and reason it says nothing."""
    await conn.execute(
        "UPDATE kernel.evaluator SET paused_at = (SELECT paused_at FROM breaker WHERE target = %(target)s)"
        " WHERE service = %(service)s AND target = %(target)s",
        {"service": service, "target": target},
    )


async def reason(conn: Connection, target: str) -> str | None:
    """Return why nothing is claimed for `target`, or None."""
    cursor = await conn.execute("SELECT reason FROM breaker WHERE target = %s AND opened_at IS NOT NULL", (target,))
    row = await cursor.fetchone()
    return str(row[0]) if row else None


async def probe(database: Database, target: str, ask: Callable[[], Awaitable[None]]) -> None:
    """Ask an away target whether it is back; one prober at a time, at most 15 seconds apart."""
    async with database.transaction() as conn:
        cursor = await conn.execute(
            "UPDATE breaker SET probe_until = now() + least(0.5 * 2 ^ least(failures, 5), 15) * interval '1 second',"
            " failures = failures + 1 WHERE target = %s AND opened_at IS NOT NULL"
            " AND (probe_until IS NULL OR probe_until <= now()) RETURNING true",
            (target,),
        )
        if await cursor.fetchone() is None:
            return
    try:
        await ask()
    except Failure:
        return
    except Exception:
        log.exception("breaker.probe_failed", target=target)
        return
    async with database.transaction() as conn:
        await conn.execute(
            "UPDATE breaker SET opened_at = NULL, reason = NULL, probe_until = NULL, failures = 0 WHERE target = %s",
            (target,),
        )
    log.info("breaker.closed", target=target)
