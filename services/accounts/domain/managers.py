"""Who somebody's manager is, and whose account that is in a target (DOMAIN 45).

Whoever is nearest: named in the assignment, then who leads its unit, as orgtree tells it: acting before ordinary, then
those of the units above it, one by one. Passed over is the person, and who has left, has a protected identity, or no
account to come. A manager whose account is not there yet is not passed over: the attribute stays as it is until it
comes.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from contracts.codes import Protection
from contracts.person import Assignment, CoreRecord
from services.accounts.domain.desired import Desired
from services.accounts.domain.units import Unit

MANAGER = "manager"
"""The attribute; its value is the manager's account as the target refers to it."""

Named = UUID | str
"""What is looked at on the way up: a place in a unit's line of leaders (`place`), or a person who is named there."""


@dataclass(frozen=True)
class Leader:
    """Somebody who is named as a manager, as the target knows them.

    Attributes:
        person: Who it is, after a merge.
        reference: How entries refer to the account; None: there is none (yet).
        leads: Whether they may be shown: open in the target now or later. None: nobody has looked at them yet.
        protected: Their identity is protected.
    """

    person: UUID
    reference: str | None = None
    leads: bool | None = None
    protected: bool = False


@dataclass(frozen=True)
class Superior:
    """What the attribute shall be.

    Attributes:
        value: What it shall hold; None: it is left as it is.
        person: Whose account that is.
        named: Whether anybody was named at all.
        looks: What it depends on, as `key` spells it: when that changes, the person has to be looked at.
        hidden: Somebody protected was named: what stands there is shown to nobody.
    """

    value: tuple[str, ...] | None = None
    person: UUID | None = None
    named: bool = False
    looks: tuple[str, ...] = ()
    hidden: bool = False


def key(step: Named) -> str:
    """Return what a unit or a person is called among the things that an attribute depends on."""
    return f"person/{step}" if isinstance(step, UUID) else f"unit/{step}"


def place(unit: str, index: int) -> str:
    """Return what a place in a unit's line of leaders is called: when somebody else stands there, it is looked at."""
    return f"{unit}#{index}"


def line(record: CoreRecord, person: UUID, units: Mapping[str, Unit], on: date) -> tuple[Named, ...]:
    """Return the way up from somebody's main assignment, nearest first, nobody twice and never the person.

    A pure function. Nobody is named for an alias, for who is protected, or for who has no assignment.

    Args:
        record: The newest record.
        person: Whose it is.
        units: Those that are known, by what records name.
        on: The local date.
    """
    main = record.main_employment(on)
    assignment = main.assignment(on) if main else None
    if assignment is None or record.alias_of is not None or record.protection != Protection.NONE:
        return ()
    own = {person, *record.aliases}
    return tuple(dict.fromkeys(step for step in _upwards(assignment, units) if step not in own))


def _upwards(assignment: Assignment, units: Mapping[str, Unit]) -> Iterator[Named]:
    if assignment.manager is not None:
        yield assignment.manager
    unit = units.get(assignment.unit)
    if unit is None:
        return
    for index, leader in enumerate(unit.leaders):
        yield place(unit.id, index)
        yield leader
    yield place(unit.id, len(unit.leaders))


def superior(steps: Sequence[Named], leaders: Mapping[UUID, Leader], own: Collection[UUID]) -> Superior:
    """Choose the nearest who may be shown.

    Args:
        steps: The way up, see `line`.
        leaders: Those who are named, as the target knows them; nobody has looked at who is not among them.
        own: The person's ids.
    """
    looks: list[str] = []
    named = hidden = False
    for step in steps:
        looks.append(key(step))
        if not isinstance(step, UUID):
            continue
        leader = leaders.get(step, Leader(step))
        if leader.person != step:
            looks.append(key(leader.person))
        if leader.person in own:
            continue
        named, hidden = True, hidden or leader.protected
        if leader.protected or leader.leads is False:
            continue
        value = None if leader.reference is None or leader.leads is None else (leader.reference,)
        return Superior(value, leader.person, named, _keys(looks), hidden)
    return Superior((), None, named, _keys(looks), hidden)


def led(wanted: Desired, record: CoreRecord, chosen: Superior, *, ours: bool) -> Desired:
    """Return what shall be with the manager.

    Where HR names nobody and we never wrote one, whatever another system keeps there is left: not every organisation
    tells us its managers. An entry of somebody protected shows none.

    Args:
        wanted: What shall be without it.
        record: The newest record.
        chosen: Whom HR's word comes to.
        ours: Whether we have written the attribute before.
    """
    if not wanted.attributes:
        return wanted
    if record.protection != Protection.NONE:
        return _with(wanted, ())
    if record.alias_of is not None or chosen.value is None:
        return wanted
    return _with(wanted, chosen.value) if chosen.named or ours else wanted


def _with(wanted: Desired, value: tuple[str, ...]) -> Desired:
    return replace(wanted, attributes={**wanted.attributes, MANAGER: value})


def _keys(looks: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(set(looks)))
