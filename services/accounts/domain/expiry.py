"""The directory's own last line: from when an open account is refused there, whatever becomes of us.

Closing is ours, at the end and provable; this instant lies behind it, and is only written to an account that is open.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from contracts.codes import AccountState
from services.accounts.domain.desired import Desired
from services.accounts.domain.other_hand import EXPIRES, Hands, digest
from services.accounts.domain.plan import Action, Change, Observed

Written = Mapping[str, str]
"""Digests of what we wrote last, by attribute."""


def limited(wanted: Desired, hands: Hands) -> Desired:
    """Return what shall be with the instant at which the account expires.

    One that we never set is cleared only when a person says that the account shall be opened.
    """
    if wanted.state != AccountState.ENABLED or not wanted.attributes:
        return wanted
    if wanted.expires is None and EXPIRES not in hands.written and not hands.reopened:
        return wanted
    return replace(wanted, attributes={**wanted.attributes, EXPIRES: spoken(wanted.expires)})


def unlimited(wanted: Desired, action: Action, observed: Observed, written: Written) -> tuple[Desired, Action]:
    """Return both for an account that the guard keeps open: no instant of ours must close it meanwhile."""
    there = observed.attributes.get(EXPIRES, ())
    if not isinstance(action, Change) or not there or written.get(EXPIRES) != digest(there):
        return wanted, action
    cleared = replace(wanted, attributes={**wanted.attributes, EXPIRES: ()})
    return cleared, replace(action, attributes={**action.attributes, EXPIRES: ()})


def unlapsed(wanted: Desired) -> Desired:
    """Return what shall be of an account that stays closed: nothing that could open it."""
    return replace(wanted, attributes={name: v for name, v in wanted.attributes.items() if name != EXPIRES})


def lapsed(observed: Observed, written: Written, now: datetime) -> Observed:
    """Return the account as it stands at `now` (the directory's own time): closed, when another hand let it expire.

    One that expired by an instant of ours is open for what is decided here: a new end opens it, the old one closes it.
    """
    there = observed.attributes.get(EXPIRES, ())
    if not observed.enabled or not there or heard(there[0]) > now or written.get(EXPIRES) == digest(there):
        return observed
    return replace(observed, enabled=None)


def spoken(instant: datetime | None) -> tuple[str, ...]:
    """Return an instant as the attribute holds it, to the second; none: nothing."""
    return () if instant is None else (instant.strftime("%Y-%m-%dT%H:%M:%SZ"),)


def heard(text: str) -> datetime:
    """Return the instant (UTC) of an attribute's value."""
    return datetime.fromisoformat(text)
