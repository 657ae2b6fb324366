"""What shall be of the account of somebody who is erased."""

from datetime import datetime
from zoneinfo import ZoneInfo

from contracts.codes import AccountState
from services.accounts.domain.desired import Desired
from services.accounts.domain.timeline import Phase, longest_grace


def winding_up(standing: AccountState, due: datetime | None, now: datetime, zone: ZoneInfo) -> Desired:
    """Return what shall be: a closed account stays as it is until the day that was set for it, then there is none.

    An erasure takes nothing away sooner than HR's word did. Nothing is written but what removes the account; an open
    one, for which there is no ground any more, is closed first and gets its grace as at every late end (`retain`).

    Args:
        standing: How the account was last verified.
        due: When it was to be changed next, by the last record that was not empty.
        now: Business time.
        zone: The organisation's.
    """
    kept = due if standing == AccountState.DISABLED and due is not None and due > now else None
    return Desired(
        state=AccountState.ABSENT if kept is None else AccountState.DISABLED,
        attributes={},
        names=None,
        correlation=None,
        unit_missing=None,
        next_boundary=kept,
        changes=() if kept is None else ((kept, Phase.ABSENT),),
        ending=None,
        effect=None,
        grace_days=longest_grace(()),
        endings=(),
        unit_due=None,
        why=(),
        zone=zone,
        surplus=True,
    )
