"""What operators decide about a person's access beside HR's word: facts of the ledger, or it would be undone.

A block closes everything at once and stands until it is lifted, whatever HR says. An extension lets what the last
employment gives stay for some days after its end; HR's own dates stay as HR told them.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from contracts.base import Message
from contracts.person import Access, CoreRecord
from services.ingestion.domain.spans import span
from services.kernel.clock import day_after, local_date

SOURCE = "urn:stafett:operator"
"""The source of these facts; their external id is the person's own id. No token is bound to it."""

DECIDED = "se.stafett.operator.access.v1"
LONGEST = timedelta(days=14)
"""How long after the day of the decision access may be kept, and how long ago it may have ended."""


class Action(StrEnum):
    """`restore` lifts a block, `withdraw` ends an extension."""

    DISABLE = "disable"
    RESTORE = "restore"
    KEEP = "keep"
    WITHDRAW = "withdraw"


class AccessDecided(Message):
    """One decision; `until` (inclusive) belongs to `keep` alone."""

    external_id: str
    action: Action
    until: date | None = None


def decided(access: Access | None, fact: AccessDecided, at: datetime) -> Access | None:
    """Return what stands after a decision that was made at an instant of business time; None when nothing does."""
    found = access or Access()
    if fact.action in (Action.DISABLE, Action.RESTORE):
        since = (found.blocked_since or at) if fact.action is Action.DISABLE else None
        after = found.model_copy(update={"blocked_since": since})
    else:
        after = found.model_copy(update={"kept_until": fact.until if fact.action is Action.KEEP else None})
    return None if after == Access() else after


def objections(core: CoreRecord, fact: AccessDecided, now: datetime, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    """Yield (code, reason) for each thing that is wrong with keeping a person's access; other actions are always right.

    Args:
        core: The record as it stands.
        fact: What was decided.
        now: Business time of the decision.
        zone: The organisation's.
    """
    if fact.action is not Action.KEEP or fact.until is None:
        return
    today = local_date(now, zone)
    if core.deceased:
        yield "access.deceased", "the person is deceased"
    if core.access is not None and core.access.blocked_since is not None:
        yield "access.blocked", "access is blocked; lift the block first"
    if not today <= fact.until <= today + LONGEST:
        yield "access.until_out_of_range", f"the day is from today to {LONGEST.days} days ahead"
    spans = [span(item, zone) for item in core.employments]
    last = max((item for item in spans if item.starts < item.ends), key=lambda item: item.ends, default=None)
    if last is None or last.starts > now:
        yield "access.nothing_to_keep", "no employment has begun"
    elif last.ends >= day_after(fact.until, zone):
        yield "access.nothing_to_keep", "the employment lasts that long by itself"
    elif local_date(last.ends, zone) < today - LONGEST:
        yield "access.ended_long_ago", f"the employment ended more than {LONGEST.days} days ago"
