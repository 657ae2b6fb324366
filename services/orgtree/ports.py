"""What orgtree needs from outside."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.kernel.distinguished import normalised
from services.kernel.marks import Mark
from services.orgtree.domain.projection import Kind, Wanted


@dataclass(frozen=True, order=True)
class Key:
    """Whose an object is: it is known by this, and never by a name."""

    organisation: str
    unit: str
    kind: Kind


@dataclass(frozen=True)
class Reference:
    """How groups of a directory name a member; equal however it is spelled."""

    name: str = field(compare=False)
    key: str = field(init=False)

    def __post_init__(self) -> None:
        """Spell it in one way."""
        object.__setattr__(self, "key", normalised(self.name))


@dataclass(frozen=True)
class Lookup:
    """What to look for, for one unit: what carries its marks, and what has the names that it shall have.

    `names`: by kind, what is of interest at all. `known`: immutable ids as they were last verified; by these an object
    is found whose mark somebody has taken away.
    """

    unit: str
    names: Mapping[Kind, str]
    known: Mapping[Kind, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Observed:
    """An object as it was read.

    Attributes:
        key: Whose it is; of an object that nobody has marked, whose it would be.
        handle: How the adapter finds it again.
        entry: Its immutable id.
        name: Its own name, below what is above it.
        title: What people read; None: something that cannot be ours, or nothing.
        place: Where it stands, for people and for `stands`.
        mark: The pass that wrote last; None: none did, or it cannot be read.
        mark_text: The mark as it stands.
        marked: Whether it says whose it is.
    """

    key: Key
    handle: str
    entry: str
    name: str
    title: str | None
    place: str
    mark: Mark | None = None
    mark_text: str | None = None
    marked: bool = True

    @property
    def reference(self) -> Reference:
        """How a group names it as a member."""
        return Reference(self.place)


@dataclass(frozen=True)
class Found:
    """What stands for a unit: what is its own, and *unmarked* objects that have the names of what is not there."""

    mine: Mapping[Kind, Observed] = field(default_factory=dict)
    unmanaged: Mapping[Kind, Observed] = field(default_factory=dict)


@dataclass(frozen=True)
class Stamp:
    """Who writes: the mark of the pass, and the event loop time by which it must be over.

    `removes`: the guard was asked whether what stands for the unit may be taken away.
    """

    mark: Mark
    deadline: float | None = None
    removes: bool = False


class UnitDirectory(Protocol):
    """A directory that holds units and their groups. A failure to answer means *unknown*: find again first.

    Every write may also end in a Failure: the directory refuses, or is away. What changes nothing writes nothing, but
    for `take`.
    """

    def fit(self, title: str) -> str:
        """Return a title as the directory can hold it. What shall be is compared and written after this."""
        ...

    async def find(
        self, organisation: str, lookups: Sequence[Lookup], *, deadline: float | None = None
    ) -> Mapping[str, Found]:
        """Observe one unit or many, in one search for some hundred of them, wherever the objects stand.

        Returns:
            What was found, for each unit that was asked for.

        Raises:
            Permanent: `unit.duplicate`: two objects carry one mark; `unit.foreign`: another's mark is on a known one.
            Unavailable: The directory is away.
        """
        ...

    def stands(self, observed: Observed, name: str, above: Observed | None = None) -> bool:
        """Tell whether an object has its name and is where it shall be: below another unit's entry.

        None: units' entries stand in the container of units. A group stands in that of groups, whatever is above.
        """
        ...

    async def put(self, key: Key, wanted: Wanted, stamp: Stamp, above: Observed | None = None) -> Observed:
        """Add an object, marked from its first moment, and read it back. A group has no members.

        Safe to repeat: one that is there already is brought in line.

        Raises:
            Permanent: `unit.unmanaged`: an unmarked object has the name, which may be adopted; `unit.foreign`:
                another's has it; `unit.name_unusable`: the directory cannot hold the name.
            Waiting: `unit.container_missing`: what it shall stand below is not there.
            StaleLease: A newer pass has added it.
        """
        ...

    async def change(self, observed: Observed, title: str, stamp: Stamp) -> Observed:
        """Write what differs, and the mark, in one modification, and read it back.

        An object whose mark was taken away is marked again.

        Raises:
            StaleLease: A newer pass owns it; nothing was changed.
            Transient: `unit.changed_meanwhile`: find again.
        """
        ...

    async def take(self, observed: Observed, stamp: Stamp) -> Observed:
        """Swap the mark alone, so that whoever had the lease before comes to nothing.

        Raises:
            StaleLease: A newer pass owns it; nothing was changed.
        """
        ...

    async def move(self, observed: Observed, name: str, stamp: Stamp, above: Observed | None = None) -> Observed:
        """Bring an object to where it `stands`, with all that is below it, and read it back.

        The mark is swapped before. Groups that it is a member of follow it.

        Raises:
            StaleLease: A newer pass owns it; nothing was changed.
            Permanent: As `put`.
            Waiting: `unit.container_missing`; `unit.below_itself`: what it shall stand below stands below it (yet).
        """
        ...

    async def remove(self, observed: Observed, stamp: Stamp) -> None:
        """Delete an object, only while it carries the mark that was observed, and see that it is gone.

        Raises:
            StaleLease: A newer pass owns it; nothing was deleted.
            Waiting: `unit.not_empty`: something stands below it.
        """
        ...

    async def adopt(self, observed: Observed, stamp: Stamp) -> Observed:
        """Mark an object that has no mark as the key's, and change nothing else. Safe to repeat.

        Raises:
            Permanent: `unit.foreign`: it is somebody else's by now; `unit.adoption_gone`: it is not there any more;
                `unit.mark_taken`: something else stands where the mark would be.
        """
        ...

    async def nested(self, rollup: Observed, *, deadline: float | None = None) -> frozenset[Reference]:
        """Return which of our groups are members of a roll-up, and what names groups that are gone.

        Raises:
            Unavailable: The directory is away.
        """
        ...

    async def nest(self, rollup: Observed, wanted: Collection[Observed], stamp: Stamp) -> Observed:
        """Make these groups members of a roll-up, and no other of ours, in one modification with the mark.

        Whom others put there stays.

        Returns:
            The roll-up as it stands: the one that was given when nothing was written.

        Raises:
            StaleLease: A newer pass owns the roll-up; nothing was changed.
        """
        ...

    async def holds(
        self, group: Observed, references: Collection[Reference], *, deadline: float | None = None
    ) -> frozenset[Reference]:
        """Return which of these are direct members of a group; the other members are not read.

        Raises:
            Unavailable: The directory is away.
        """
        ...

    async def join(self, group: Observed, references: Collection[Reference], *, deadline: float | None = None) -> None:
        """Make all of these members, many in one modification, and see that they are. Who is one already stays.

        A membership carries no mark: who writes it has a lease that outlasts the deadline.

        Raises:
            Transient: `unit.changed_meanwhile`: the group, or one of these, is not there any more.
        """
        ...

    async def leave(self, group: Observed, references: Collection[Reference], *, deadline: float | None = None) -> None:
        """Take all of these out, many in one modification, and see that they are. Who is none, or is gone, is left.

        Raises:
            Transient: `unit.not_verified`.
        """
        ...

    async def references(
        self, organisation: str, entries: Collection[str], *, deadline: float | None = None
    ) -> Mapping[str, Reference]:
        """Return how groups name accounts, by the accounts' immutable ids; without those that are gone.

        Raises:
            Unavailable: The directory is away.
        """
        ...

    async def vacant(
        self, organisation: str, references: Collection[Reference], *, deadline: float | None = None
    ) -> frozenset[Reference]:
        """Return those by which nothing goes now.

        Raises:
            Unavailable: The directory is away.
        """
        ...

    def pages(self, organisation: str) -> AsyncIterator[Sequence[Observed]]:
        """Yield all that carries a mark of the organisation, a page at a time; memory stays bounded.

        Raises:
            Unavailable: The directory went away; begin again.
        """
        ...

    def all_members(self, group: Observed) -> AsyncIterator[Sequence[Reference]]:
        """Yield all direct members of a group, some at a time.

        Raises:
            Unavailable: The directory went away; begin again.
        """
        ...

    async def probe(self) -> None:
        """Return when the directory answers.

        Raises:
            Unavailable: It is away.
        """
        ...
