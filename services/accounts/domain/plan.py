"""What has to be done: the difference between the account that shall be and the entry that is there."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from contracts.codes import AccountState
from services.accounts.domain.desired import Desired
from services.kernel.distinguished import normalised
from services.kernel.marks import Mark

_COMMA = re.compile(r"(?<!\\),")


@dataclass(frozen=True)
class Observed:
    """A managed entry as it was read.

    `handle` is how the adapter finds it again, `entry` its immutable id. `enabled` is None when it is closed in a way
    that is not ours: then either state has to be written. `mark_text` is the mark as it stands there, also when
    somebody made it something that `mark` cannot be read from. `synced`: another directory writes it (Entra ID synced
    from Active Directory), so its attributes and state are not ours to write here. `place`: the distinguished name, or
    the domain of a tenant. `reference`: what other entries refer to it by. `others`: addresses that it has beside those
    in `attributes`, which only another hand can take away.
    """

    handle: str
    entry: str
    user_name: str
    enabled: bool | None
    mark: Mark | None
    attributes: Mapping[str, tuple[str, ...]]
    mark_text: str | None = None
    synced: bool = False
    place: str | None = None
    reference: str | None = None
    others: tuple[str, ...] = ()

    @property
    def state(self) -> AccountState:
        """As it is published."""
        return AccountState.ENABLED if self.enabled else AccountState.DISABLED

    @property
    def parent(self) -> str | None:
        """Below what it stands, as directories compare names (RFC 4514), or in which domain; None without a place."""
        if self.place is None:
            return None
        parts = [part.strip() for part in _COMMA.split(self.place.casefold())]
        return ",".join(parts[1:] or parts)


@dataclass(frozen=True)
class Create:
    """Add the entry in this state, so that it is never open before its time."""

    enabled: bool
    attributes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Change:
    """Change attributes and state in one modification, together with the mark.

    `enabled` None leaves the state alone, `login` the account's name. With nothing in it, it only swaps the mark
    (takeover of an expired lease).
    """

    attributes: Mapping[str, tuple[str, ...]]
    enabled: bool | None = None
    login: str | None = None


@dataclass(frozen=True)
class Delete:
    """Remove the entry."""


Action = Create | Change | Delete


class Removal(StrEnum):
    """What passes the guard."""

    DISABLE = "disable"
    DELETE = "delete"
    REVOKE = "revoke"


def plan(wanted: Desired, observed: Observed | None, echoes: frozenset[str], *, takeover: bool) -> Action | None:
    """Return the one write that brings the entry in line, or None when there is nothing to write.

    Args:
        wanted: What shall be.
        observed: What is there.
        echoes: Known cases of the server returning a value otherwise than it was written, see `echo`.
        takeover: The former holder of the lease may still be writing: the mark is swapped at any rate.
    """
    if wanted.state == AccountState.ABSENT:
        return Delete() if observed else None
    enabled = wanted.state == AccountState.ENABLED
    if observed is None:
        return Create(enabled, {name: values for name, values in wanted.attributes.items() if values})
    attributes = difference(wanted.attributes, observed.attributes, echoes)
    switch = enabled if enabled != observed.enabled else None
    login = renamed(wanted, observed)
    if not attributes and switch is None and login is None and not takeover:
        return None
    return Change(attributes, switch, login)


def renamed(wanted: Desired, observed: Observed) -> str | None:
    """Return the login that an account shall have instead of the one that it has, or None."""
    if wanted.login is None or observed.synced or wanted.login == observed.user_name.casefold():
        return None
    return wanted.login


def removal(action: Action | None) -> Removal | None:
    """Return what the action takes away, or None."""
    if isinstance(action, Delete):
        return Removal.DELETE
    return Removal.DISABLE if isinstance(action, Change) and action.enabled is False else None


def without_removal(action: Action, *, takeover: bool) -> Action | None:
    """Return what is left of a held action: everything but the destructive part."""
    if isinstance(action, Change) and (action.attributes or action.login or takeover):
        return Change(action.attributes, login=action.login)
    return Change({}) if takeover and isinstance(action, Delete) else None


def difference(
    wanted: Mapping[str, tuple[str, ...]], observed: Mapping[str, tuple[str, ...]], echoes: frozenset[str]
) -> dict[str, tuple[str, ...]]:
    """Return the attributes to write. Values are sets, spelled exactly; of addresses the first is the primary one.

    LDAP has no order, but servers keep that of a replace; where one does not, the echo ends it. Distinguished names are
    compared as directories do.
    """
    return {
        name: values
        for name, values in wanted.items()
        if _differ(name, values, observed.get(name, ()))
        and not (observed.get(name) and echo(name, values, observed[name]) in echoes)
    }


def _differ(name: str, values: tuple[str, ...], found: tuple[str, ...]) -> bool:
    if name == "manager":
        return set(map(normalised, values)) != set(map(normalised, found))
    return set(values) != set(found) or (name == "mail" and values[:1] != found[:1])


def echo(name: str, written: tuple[str, ...], returned: tuple[str, ...]) -> str:
    """Return a digest for "the server returned this for that": it keeps a normalising server from a write loop."""
    parts = (name, *sorted(written), "", *sorted(returned))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def folded(values: tuple[str, ...]) -> set[str]:
    """Return values as caseIgnoreMatch sees them (RFC 4517, section 4.2.11)."""
    return {" ".join(value.casefold().split()) for value in values}


def verified(wanted: Mapping[str, tuple[str, ...]], observed: Mapping[str, tuple[str, ...]]) -> frozenset[str] | None:
    """Compare what was written with what was read back.

    Returns:
        The echoes to remember (usually none), or None when a value is not there.
    """
    different = difference(wanted, observed, frozenset())
    if any(folded(values) != folded(observed.get(name, ())) for name, values in different.items()):
        return None
    return frozenset(echo(name, values, observed.get(name, ())) for name, values in different.items())


def open_seconds(wanted: Desired, now: datetime) -> int:
    """Return for how many seconds access stood open after the end that is being carried out."""
    late = now - wanted.ending.at if wanted.ending else timedelta()
    return max(0, int(late.total_seconds()))
