"""The guard: anything that takes away passes here, with persisted sliding-window limits (DESIGN 8).

Default: 50 or 5 % in 24 hours, whichever is larger, per organisation and target. Ends that were stated at least seven
days ahead do not count; dismissals and deaths have a budget of their own that alarms and never delays. A hold belongs
to one destructive action: all else of the pass applies.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid4

from services.kernel import telemetry
from services.kernel.database import Connection

log = telemetry.get_logger(__name__)

WINDOW = "interval '24 hours'"
ANNOUNCED_DAYS = 7
URGENT_ALARM = 20


class Budget(StrEnum):
    """Which limit a removal counts against.

    `moved`: something of an account that stays. Such losses count by themselves, or a reorganisation would use up the
    limit of those who leave, and keep them in.
    """

    NORMAL = "normal"
    ANNOUNCED = "announced"
    URGENT = "urgent"
    RELEASED = "released"
    MOVED = "moved"


_COUNTED = {Budget.URGENT: (Budget.URGENT,), Budget.MOVED: (Budget.MOVED,)}


@dataclass(frozen=True)
class Removal:
    """One destructive action on one subject. `population` is how many managed objects there are."""

    organisation: str
    target: str
    subject: str
    action: str
    revision: int
    source: str
    budget: Budget
    population: int
    limit: int
    share: float

    @property
    def allowance(self) -> int:
        """How many may be taken away in the window: the limit or the share, whichever is larger."""
        return max(self.limit, int(self.population * self.share))


@dataclass(frozen=True)
class Verdict:
    """Whether the action may happen now; `hold` names what a person must decide."""

    admitted: bool
    hold: UUID | None = None
    refused: bool = False


async def admit(conn: Connection, removal: Removal) -> Verdict:
    """Let a removal through or hold it. Asking again for the same removal does not count twice.

    A released hold counts and admits; a refused one stays refused until a newer revision without the removal lapses it.
    """
    key = (removal.organisation, removal.target)
    await conn.execute("SELECT pg_advisory_xact_lock(hashtext('guard'), hashtext(%s))", ("/".join(key),))
    subject = (*key, removal.subject, removal.action)
    hold = await (
        await conn.execute(
            "SELECT id, state FROM guard_hold WHERE (organisation, target, subject, action) = (%s, %s, %s, %s)"
            " AND state <> 'lapsed'",
            subject,
        )
    ).fetchone()
    if hold is not None and hold[1] != "released":
        return Verdict(admitted=False, hold=hold[0], refused=hold[1] == "refused")
    if hold is None and not await _within(conn, removal):
        return await _hold(conn, removal)
    await conn.execute(
        "INSERT INTO guard_removal (organisation, target, subject, action, source, budget, revision)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (organisation, target, subject, action)"
        " DO UPDATE SET admitted_at = CASE WHEN guard_removal.admitted_at < now() - "
        + WINDOW
        + " THEN now() ELSE guard_removal.admitted_at END, revision = excluded.revision, budget = excluded.budget",
        (*subject, removal.source, removal.budget, removal.revision),
    )
    return Verdict(admitted=True)


async def _within(conn: Connection, removal: Removal) -> bool:
    if removal.budget in (Budget.ANNOUNCED, Budget.RELEASED):
        return True
    row = await (
        await conn.execute(
            f"SELECT count(*), bool_or(subject = %s AND action = %s) FROM guard_removal WHERE organisation = %s"
            f" AND target = %s AND budget = ANY(%s) AND admitted_at > now() - {WINDOW}",
            (
                removal.subject,
                removal.action,
                removal.organisation,
                removal.target,
                list(_COUNTED.get(removal.budget, (Budget.NORMAL, Budget.RELEASED))),
            ),
        )
    ).fetchone()
    count, counted = (row[0], bool(row[1])) if row else (0, False)
    if removal.budget is Budget.URGENT:
        if count >= URGENT_ALARM:
            log.error("guard.urgent_many", organisation=removal.organisation, target=removal.target, count=count)
        return True
    return counted or count < removal.allowance


async def _hold(conn: Connection, removal: Removal) -> Verdict:
    hold = uuid4()
    await conn.execute(
        "INSERT INTO guard_hold (id, organisation, target, subject, action, source, revision)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            hold,
            removal.organisation,
            removal.target,
            removal.subject,
            removal.action,
            removal.source,
            removal.revision,
        ),
    )
    log.error(
        "guard.held",
        organisation=removal.organisation,
        target=removal.target,
        subject=removal.subject,
        action=removal.action,
        hold=str(hold),
        allowance=removal.allowance,
    )
    return Verdict(admitted=False, hold=hold)


async def lapse(conn: Connection, subjects: list[tuple[str, str, str]]) -> None:
    """Lapse the holds of (organisation, target, subject): what is wanted now has no removal any more."""
    await conn.execute(
        "UPDATE guard_hold h SET state = 'lapsed', decided_at = now()"
        " FROM unnest(%b::text[], %b::text[], %b::text[]) AS s (organisation, target, subject)"
        " WHERE (h.organisation, h.target, h.subject) = (s.organisation, s.target, s.subject) AND h.state <> 'lapsed'",
        ([row[0] for row in subjects], [row[1] for row in subjects], [row[2] for row in subjects]),
    )


async def decide(
    conn: Connection,
    organisation: str,
    *,
    state: str,
    actor: str,
    reason: str,
    hold: UUID | None,
    subject: str | None,
    target: str | None,
) -> list[tuple[str, str]]:
    """Release or refuse holds; return (subject, target) of what was decided. Idempotent.

    Args:
        conn: The transaction.
        organisation: Whose holds.
        state: `released` or `refused`.
        actor: Who decided.
        reason: Why.
        hold: One hold, or None for all that match.
        subject: Narrow to one subject.
        target: Narrow to one target.
    """
    cursor = await conn.execute(
        "UPDATE guard_hold SET state = %(state)s, decided_at = now(), actor = %(actor)s, reason = %(reason)s"
        " WHERE organisation = %(organisation)s AND state <> %(state)s"
        # a refusal is reversed only by naming the hold, never by releasing all
        " AND (state = 'held' OR (state = 'refused' AND %(hold)s::uuid IS NOT NULL))"
        " AND (%(hold)s::uuid IS NULL OR id = %(hold)s) AND (%(subject)s::text IS NULL OR subject = %(subject)s)"
        " AND (%(target)s::text IS NULL OR target = %(target)s) RETURNING subject, target",
        {
            "organisation": organisation,
            "state": state,
            "actor": actor,
            "reason": reason,
            "hold": hold,
            "subject": subject,
            "target": target,
        },
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]
