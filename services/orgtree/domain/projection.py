"""What shall stand in a target for a unit, and who belongs to its groups. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from services.orgtree.domain.placement import Job


class Kind(StrEnum):
    """What stands in a directory for a unit: its entry, and groups.

    `UNIT`: of those who are placed there, or have another employment there; `MANAGERS`: of its leaders; `ROLLUP`: of
    the unit's group and of the roll-ups of the units below it.
    """

    ENTRY = "entry"
    UNIT = "unit"
    MANAGERS = "managers"
    ROLLUP = "rollup"


NAMES: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.ENTRY: "{id}",
        Kind.UNIT: "{organisation}-{id}",
        Kind.MANAGERS: "{organisation}-{id}-managers",
        Kind.ROLLUP: "{organisation}-{id}-all",
    }
)
TITLES: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.ENTRY: "{name}",
        Kind.UNIT: "{name}",
        Kind.MANAGERS: "{name} (chefer)",
        Kind.ROLLUP: "{name} (med underenheter)",
    }
)


@dataclass(frozen=True)
class Wanted:
    """What an object shall be called: its own name, which is stable, and what people read."""

    name: str
    title: str


@dataclass(frozen=True)
class Layout:
    """How an organisation's units stand in a target.

    `nested`: each unit's entry below its parent's. `names`, `titles`: templates, where they differ from the usual ones.
    `protected`: groups may have members with a protected identity; whoever reads the directory sees where those work.
    """

    organisation: str
    kinds: frozenset[Kind] = frozenset({Kind.ENTRY, Kind.UNIT, Kind.MANAGERS})
    nested: bool = False
    names: Mapping[Kind, str] = field(default_factory=dict)
    titles: Mapping[Kind, str] = field(default_factory=dict)
    protected: bool = False

    def name(self, unit: str, kind: Kind, title: str = "") -> str:
        """Return the name of a unit's object."""
        return self._filled(self.names.get(kind, NAMES[kind]), unit, title)

    def wanted(self, unit: str, title: str) -> Mapping[Kind, Wanted]:
        """Return what shall stand for a unit, in the order in which it can be made."""
        return {
            kind: Wanted(self.name(unit, kind, title), self._filled(self.titles.get(kind, TITLES[kind]), unit, title))
            for kind in Kind
            if kind in self.kinds
        }

    def _filled(self, template: str, unit: str, title: str) -> str:
        return template.format(id=unit, name=title, organisation=self.organisation)


Group = tuple[str, Kind]
"""A unit and which of its groups."""


@dataclass(frozen=True)
class Account:
    """Somebody's account in a target: its immutable id; `enabled`: it can be used."""

    entry: str
    enabled: bool


@dataclass(frozen=True)
class Member:
    """How somebody stands in a group: `held` is the account that is a member, None: none is."""

    wanted: bool
    entry: str | None
    held: str | None

    @property
    def settled(self) -> bool:
        """Tell whether it is as it shall be."""
        return self.held == self.entry if self.wanted else self.held is None


@dataclass(frozen=True)
class Grouping:
    """In which groups somebody shall be: `stays` although nothing asks for it (yet), `asks` the guard may refuse."""

    shall: frozenset[Group] = frozenset()
    stays: frozenset[Group] = frozenset()
    asks: frozenset[Group] = frozenset()


def belongs(
    jobs: Iterable[Job],
    leads: Iterable[str],
    account: Account | None,
    present: Mapping[Group, Member],
    kinds: frozenset[Kind],
    closed: Mapping[str, bool],
    *,
    hidden: bool = False,
) -> Grouping:
    """Return in which groups somebody shall be.

    Nothing is taken from an account that can be used because HR's word is not complete (a unit that is not in effect),
    or because an employment has ended: then it goes with the account, which its own guard closes. What stands for a
    closed unit goes with the unit. Who is hidden is in no group, at once: a group tells where its members work.

    Args:
        jobs: The present employments.
        leads: Units that the person is named for.
        account: Theirs in the target, None: there is none.
        present: In which groups they are, or were to be.
        kinds: Which groups there are.
        closed: Units of `present` that are not in effect any more, and whether what stands for them may go.
        hidden: The person has a protected identity, and the target shows no such members.
    """
    if account is None or hidden:
        return Grouping()
    jobs = tuple(jobs)
    shall = {(job.unit, Kind.UNIT) for job in jobs if job.unit is not None} | {(unit, Kind.MANAGERS) for unit in leads}
    shall = {(unit, kind) for unit, kind in shall if kind in kinds}
    surplus = {group for group, member in present.items() if member.held is not None} - shall
    if not account.enabled:
        return Grouping(frozenset(shall))
    if not jobs or any(job.unit is None for job in jobs):
        return Grouping(frozenset(shall), stays=frozenset(surplus))
    stays = frozenset(group for group in surplus if closed.get(group[0]) is False)
    asks = frozenset(group for group in surplus if group[0] not in closed)
    return Grouping(frozenset(shall), stays, asks)


def settled(shall: Iterable[Group], present: Mapping[Group, Member], entry: str) -> frozenset[Group]:
    """Return those groups in which an account is a member."""
    return frozenset(group for group in shall if group in present and present[group].held == entry)


@dataclass(frozen=True)
class Due:
    """Somebody who is to become a member of a group (`joins`: by which account), or to be one no more (`leaves`)."""

    kind: Kind
    person: UUID
    joins: str | None
    leaves: str | None
    name: str | None
