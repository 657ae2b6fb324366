"""What another hand has changed in an account since we wrote it, and what a pass leaves as it is.

Three values decide: what shall be, what is there, and what we wrote last. Where what shall be has changed, HR or policy
has spoken, and it is written. Where what is there has changed, somebody else did it, and a rule for the attribute says
what becomes of it (DOMAIN 59).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from contracts.codes import AccountState
from services.accounts.domain.desired import Desired
from services.accounts.domain.plan import Action, Change, Observed, difference, echo
from services.kernel.marks import Mark

EXPIRES = "expires"
"""The instant from which the directory refuses an open account (ISO 8601, UTC)."""
STATE = ""
"""The account's state, where an attribute is named otherwise."""


class Rule(StrEnum):
    """What becomes of an attribute that another hand has changed."""

    RECLAIM = "reclaim"
    ACCEPT = "accept"
    REPORT = "report"


class Verdict(StrEnum):
    """What a person has decided of one difference."""

    RECLAIM = "reclaim"
    ACCEPT = "accept"
    REOPEN = "reopen"


@dataclass(frozen=True)
class Decided:
    """A person's word on one attribute, or on the state; `digest` is the difference that they saw (`echo`)."""

    verdict: Verdict
    digest: str = ""


@dataclass(frozen=True)
class Hands:
    """What is known of other hands at one account.

    `rules` are the target's by attribute, else REPORT. `written` holds digests of what we wrote or found in line last.
    `looping`: what we wrote too often, with the digest of the value. `hidden`: the person is
    protected, so nothing that another hand writes of them may stand.
    """

    rules: Mapping[str, Rule] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)
    decided: Mapping[str, Decided] = field(default_factory=dict)
    looping: Mapping[str, str] = field(default_factory=dict)
    hidden: bool = False

    @property
    def reopened(self) -> bool:
        """Whether a person has said that what another hand closed shall be opened."""
        decided = self.decided.get(STATE)
        return decided is not None and decided.verdict is Verdict.REOPEN

    def rule(self, name: str) -> Rule:
        """Return what becomes of an attribute that another hand has changed."""
        return Rule.RECLAIM if self.hidden else self.rules.get(name, Rule.REPORT)

    def accepted(self, name: str, wanted: tuple[str, ...], there: tuple[str, ...]) -> bool:
        """Tell whether exactly this difference has been accepted by a person or by rule."""
        return self.decided.get(name) == Decided(Verdict.ACCEPT, echo(name, wanted, there))

    def loops(self, name: str, wanted: tuple[str, ...]) -> bool:
        """Tell whether we wrote this value too often."""
        return self.looping.get(name) == digest(wanted)

    def leaves(self, name: str, wanted: tuple[str, ...], there: tuple[str, ...]) -> bool:
        """Tell whether a pass leaves an attribute that differs as another hand wrote it.

        An account that another hand lets expire earlier than we would is closed by that hand: only it, or a person who
        says that it shall be opened, undoes that.
        """
        if name == EXPIRES and there and self.written.get(name) != digest(there) and (not wanted or there < wanted):
            return not self.reopened
        if self.hidden:
            return False
        if self.loops(name, wanted) or self.accepted(name, wanted, there):
            return True
        if self.decided.get(name) == Decided(Verdict.RECLAIM, echo(name, wanted, there)):
            return False
        return self.rule(name) is not Rule.RECLAIM and self.written.get(name) == digest(wanted)


def yielding(wanted: Desired, observed: Observed | None, echoes: frozenset[str], hands: Hands) -> Desired:
    """Return what shall be without the attributes that are left to another hand."""
    if observed is None:
        return wanted
    there = observed.attributes
    left = {
        name
        for name, values in difference(wanted.attributes, there, echoes).items()
        if hands.leaves(name, values, there.get(name, ()))
    }
    if not left:
        return wanted
    return replace(wanted, attributes={name: v for name, v in wanted.attributes.items() if name not in left})


def locked(wanted: Desired, observed: Observed | None, last: tuple[AccountState, Mark] | None, *, since: bool) -> bool:
    """Tell whether another hand has closed an account that we had opened: it stays closed until a person says more.

    What HR or policy closes in between ends it: a rehire opens, and so does a hire of what was only prepared.

    Args:
        wanted: What shall be.
        observed: What is there.
        last: State and mark as they were last verified. A newer mark is of a pass of ours that could not tell: then
            whoever closed it may have been us.
        since: Whether it was found locked before.
    """
    if wanted.state != AccountState.ENABLED or observed is None or observed.enabled:
        return False
    if since:
        return True
    if last is None or last[0] != AccountState.ENABLED:
        return False
    return observed.mark is None or observed.mark <= last[1]


def unopened(action: Action | None, *, takeover: bool) -> Action | None:
    """Return what is left of an action when the account must stay closed."""
    if isinstance(action, Change) and action.enabled:
        rest = Change(action.attributes, login=action.login)
        return rest if action.attributes or action.login or takeover else None
    return action


def rewritten(action: Action | None, before: AccountState | None, hands: Hands) -> Mapping[str, str]:
    """Return what an action writes that we had written before: attribute, or STATE, to the digest of the value."""
    if not isinstance(action, Change):
        return {}
    again = {name: digest(v) for name, v in action.attributes.items() if hands.written.get(name) == digest(v)}
    if action.enabled is False and before == AccountState.DISABLED:
        again[STATE] = digest((AccountState.DISABLED.value,))
    return again


def digest(values: tuple[str, ...]) -> str:
    """Return by what a set of values is known again."""
    return hashlib.sha256("\0".join(sorted(values)).encode()).hexdigest()[:16]
