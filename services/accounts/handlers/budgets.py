"""Which of the guard's budgets a removal counts against."""

from datetime import datetime

from contracts.person import CoreRecord
from services.accounts.domain.desired import Desired
from services.accounts.domain.plan import Removal
from services.accounts.domain.timeline import known_endings
from services.accounts.handlers.conclusion import PAST
from services.accounts.handlers.situation import Situation
from services.kernel.guard import Budget


def budget(context: Situation, wanted: Desired, what: Removal, now: datetime) -> Budget:
    """Choose the guard's budget by the end that takes the account away (DESIGN 8)."""
    ending, row = wanted.ending, context.row
    # a dismissal that reaches us late is no less urgent, and who is blocked was judged by a person
    if context.event is not None and (_closed(context.event.record) or (ending is not None and ending.urgent)):
        return Budget.URGENT
    opened = row.enabled_from if row else None
    # An end that was both reached and stated before the account was last opened is not what closes it now.
    ours = ending is not None and (opened is None or max(ending.at, ending.stated_at or ending.at) >= opened)
    if context.event is not None and context.event.guard_released:
        return Budget.RELEASED
    if what is Removal.REVOKE:
        return Budget.MOVED
    prepared_only = row is not None and row.enabled_from is None
    if ending is None or not ours or prepared_only:
        return Budget.NORMAL
    effect = ending.at if what is Removal.DISABLE else (wanted.effect or ending.at)
    known = known_endings([ending], row.endings if row else (), now, now - ending.at + PAST)
    return Budget.ANNOUNCED if ending.announced(effect, known[0].since) else Budget.NORMAL


def _closed(record: CoreRecord) -> bool:
    return record.deceased or (record.access is not None and record.access.blocked_since is not None)
