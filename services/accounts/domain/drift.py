"""Drift: how a target differs from what shall be there, and from what we last verified (IGA: reconciliation)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from uuid import UUID

from contracts.codes import AccountState
from services.accounts.domain.desired import Desired
from services.accounts.domain.grants import Grant
from services.accounts.domain.other_hand import EXPIRES, STATE, Hands, Rule, digest
from services.accounts.domain.plan import Observed, difference, echo, renamed


class Kind(StrEnum):
    """What is the matter with an object of a target."""

    MISSING = "missing"
    CHANGED = "changed"
    STATE = "state"
    ORPHAN = "orphan"
    UNMANAGED = "unmanaged"
    FOREIGN = "foreign"
    DUPLICATE = "duplicate"
    MOVED = "moved"
    MARK = "mark"
    GRANT_GIVEN = "grant_given"
    """A group or a licence that policy gives some, and another hand gave somebody whom policy does not give it."""
    GRANT_TAKEN = "grant_taken"
    """A group or a licence of ours that another hand took: told by the pass that meets it; `about` is the person."""


class Next(StrEnum):
    """What a run does about a finding by itself."""

    NOTHING = "nothing"
    ACCEPT = "accept"
    LOOK = "look"
    """The person's ordinary pass puts it right, or says why not."""
    CLOSE = "close"
    """As LOOK, and access is taken away by it."""


DECISIONS: Mapping[Kind, frozenset[str]] = {
    Kind.MISSING: frozenset({"reclaim", "ignore"}),
    Kind.CHANGED: frozenset({"reclaim", "accept", "ignore"}),
    Kind.STATE: frozenset({"reclaim", "reopen", "ignore"}),
    Kind.ORPHAN: frozenset({"reclaim", "ignore"}),
    Kind.UNMANAGED: frozenset({"ignore"}),
    Kind.FOREIGN: frozenset({"ignore"}),
    Kind.DUPLICATE: frozenset({"ignore"}),
    Kind.MOVED: frozenset({"accept", "ignore"}),
    Kind.MARK: frozenset({"reclaim", "ignore"}),
    Kind.GRANT_GIVEN: frozenset({"ignore"}),
    Kind.GRANT_TAKEN: frozenset({"reclaim", "accept"}),
}
"""What a person may decide of a finding. Nothing is moved, merged or deleted: that is done in the target itself."""


@dataclass(frozen=True)
class Finding:
    """One difference at one object.

    `about` is its immutable id, of one that is missing the person's. `digest` tells this difference from a later one.
    `detail` may hold values; of somebody protected it holds none.
    """

    kind: Kind
    about: str
    digest: str
    person: UUID | None = None
    attribute: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)
    next: Next = Next.NOTHING


@dataclass(frozen=True)
class Last:
    """The account as it was last verified; `held`: the guard holds what would be taken away."""

    state: AccountState
    entry: str | None
    place: str | None
    held: bool = False
    echoes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Marked:
    """An object with a mark, as it was read."""

    observed: Observed
    organisation: str | None
    person: UUID | None


def foreign(found: Marked, organisation: str, *, hidden: bool = False) -> Finding | None:
    """Return what is the matter with an object that is nobody's, or not ours, by its mark alone.

    `hidden`: it tells of somebody protected.
    """
    observed = found.observed
    detail = {"enabled": observed.enabled is True} if hidden else _named(observed)
    if found.organisation is None and found.person is None:
        if observed.mark_text is not None:
            return Finding(Kind.MARK, observed.entry, digest((observed.mark_text,)), detail=detail)
        return Finding(Kind.UNMANAGED, observed.entry, digest((observed.user_name,)), detail=detail)
    if found.organisation != organisation:
        return Finding(Kind.FOREIGN, observed.entry, digest((str(found.organisation),)), detail=detail)
    if found.person is None:
        return Finding(Kind.MARK, observed.entry, digest((observed.mark_text or "",)), detail=detail)
    return None


def bare(found: Finding) -> Finding:
    """Return a finding without the values of attributes: its person has become protected meanwhile."""
    return replace(found, detail={}) if found.kind is Kind.CHANGED else found


def unknown(person: UUID, observed: Observed) -> Finding:
    """Return the finding of an account whose person is not known here."""
    state = observed.state.value
    return Finding(Kind.ORPHAN, observed.entry, digest((state,)), person, detail={"state": state})


def duplicate(person: UUID, entry: str, other: str) -> Finding:
    """Return the finding of a second account of a person; the one that we know is `other`."""
    return Finding(Kind.DUPLICATE, entry, digest((other,)), person, detail={"other": other})


def missing(person: UUID, last: Last, wanted: Desired) -> Finding | None:
    """Return the finding of an account that was verified, shall be there, and is not."""
    if wanted.state == AccountState.ABSENT or last.state == AccountState.ABSENT:
        return None
    detail = {"wanted": wanted.state.value, "entry": last.entry or ""}
    return Finding(Kind.MISSING, str(person), digest((last.entry or "",)), person, detail=detail)


def given(person: UUID, entry: str, grant: Grant, *, hidden: bool) -> Finding:
    """Return the finding of what another hand gave: it is left, and told."""
    detail: Mapping[str, object] = {} if hidden else {"wanted": [], "observed": [grant.value]}
    return Finding(Kind.GRANT_GIVEN, entry, "", person, grant.label, detail)


def compare(
    person: UUID, observed: Observed, wanted: Desired, last: Last | None, hands: Hands, *, marked: bool = True
) -> Iterator[Finding]:
    """Yield how a person's account differs from what shall be.

    Args:
        person: Whose it is.
        observed: The account.
        wanted: What shall be, with the grace that a closed account has (`retain`).
        last: The account as it was last verified.
        hands: What is known of other hands.
        marked: Whether it says that it is the person's; else that is known by its id alone.
    """
    spoiled = observed.mark is None and observed.mark_text is not None
    if spoiled or not (marked or observed.synced):
        yield Finding(Kind.MARK, observed.entry, digest((observed.mark_text or "",)), person)
    if last is not None and last.place and observed.parent and last.place != observed.parent:
        places: Mapping[str, object] = {"wanted": [last.place], "observed": [observed.parent]}
        yield Finding(Kind.MOVED, observed.entry, digest((observed.parent,)), person, detail=places)
    if not observed.synced:
        state = _state(person, observed, wanted, last)
        if state is not None:
            yield state
        if wanted.state != AccountState.ABSENT:
            if (login := renamed(wanted, observed)) is not None:
                yield Finding(Kind.CHANGED, observed.entry, digest((login,)), person, "login", next=Next.LOOK)
            yield from _attributes(person, observed, wanted, last, hands)


def _state(person: UUID, observed: Observed, wanted: Desired, last: Last | None) -> Finding | None:
    there = {True: "enabled", False: "disabled", None: "locked"}[observed.enabled]
    detail = {"wanted": wanted.state.value, "observed": there}
    seen = digest((wanted.state.value, there))
    if wanted.state == AccountState.ENABLED:
        if observed.enabled:
            return None
        return Finding(Kind.STATE, observed.entry, seen, person, STATE, detail, Next.LOOK)
    if last is not None and last.held:
        return None
    if observed.enabled:
        kind = Kind.ORPHAN if wanted.state == AccountState.ABSENT else Kind.STATE
        return Finding(kind, observed.entry, seen, person, STATE, detail, Next.CLOSE)
    return None


def _attributes(
    person: UUID, observed: Observed, wanted: Desired, last: Last | None, hands: Hands
) -> Iterator[Finding]:
    echoes = last.echoes if last else frozenset[str]()
    for name, values in difference(wanted.attributes, observed.attributes, echoes).items():
        there = observed.attributes.get(name, ())
        if name == EXPIRES and not observed.enabled:  # what is closed does not expire
            continue
        if hands.accepted(name, values, there):
            continue
        detail = {} if hands.hidden else {"wanted": list(values), "observed": list(there)}
        then = {Rule.RECLAIM: Next.LOOK, Rule.ACCEPT: Next.ACCEPT, Rule.REPORT: Next.NOTHING}[hands.rule(name)]
        yield Finding(Kind.CHANGED, observed.entry, echo(name, values, there), person, name, detail, then)


def _named(observed: Observed) -> Mapping[str, object]:
    keys: Sequence[str] = ("employeeNumber", "mail", "displayName")
    told = {name: list(observed.attributes[name]) for name in keys if observed.attributes.get(name)}
    return {"userName": observed.user_name, "enabled": observed.enabled is True, "place": observed.place, **told}
