"""Objects in a directory that are known by whose they are: read, found again, and written by compare-and-set."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import TypeVar

from services.kernel.directory import (
    Directory,
    Entry,
    Modification,
    NoSuchEntry,
    Scope,
    ValueExists,
    ValueGone,
    escape_rdn,
    present,
)
from services.kernel.distinguished import normalised
from services.kernel.failures import Failure, Permanent, StaleLease, Transient
from services.kernel.marks import Mark
from services.orgtree.domain.projection import Kind
from services.orgtree.ports import Key, Observed, Stamp

Item = TypeVar("Item")

NAMING: Mapping[bool, str] = {True: "ou", False: "cn"}
"""What names a unit's entry, and what a group."""


class LdapObjects(ABC):
    """What carries our marks.

    Args:
        directory: The directory.
        bases: Each organisation's place.
        read: The attributes that are read of everything.
        identity: The attribute of the immutable id.
        own_dn: The attribute that holds an entry's own name, for filters.
    """

    def __init__(
        self, directory: Directory, bases: Mapping[str, str], read: Sequence[str], identity: str, own_dn: str
    ) -> None:
        self._directory = directory
        self._bases = MappingProxyType(dict(bases))
        self._read = tuple(read)
        self._identity = identity
        self._own_dn = own_dn

    @abstractmethod
    def _everywhere(self, organisation: str) -> str:
        """Return below what an organisation's objects are found."""

    @abstractmethod
    def _is(self, entry_id: str) -> str | None:
        """Return the filter for the object with an immutable id; None: there can be none."""

    @abstractmethod
    def _owner(self, entry: Entry) -> Key | None:
        """Return whose an object says it is."""

    @abstractmethod
    def _observed(self, entry: Entry, key: Key) -> Observed:
        """Return what was read, as the key's."""

    @abstractmethod
    def _swap(self, observed: Observed, mark: Mark) -> list[Modification]:
        """Return what swaps the mark, and says again whose the object is when it does not."""

    def stands(self, observed: Observed, name: str, above: Observed | None = None) -> bool:
        """Compare names as the directory does."""
        return self._has_place(observed, name, above)

    def _container(self, key: Key) -> str:
        return f"{'ou=units' if key.kind is Kind.ENTRY else 'ou=groups'},{self._bases[key.organisation]}"

    def _above(self, key: Key, above: Observed | None) -> str:
        return above.place if above is not None and key.kind is Kind.ENTRY else self._container(key)

    def _rdn(self, kind: Kind, name: str) -> str:
        return f"{NAMING[kind is Kind.ENTRY]}={escape_rdn(name)}"

    def _place(self, key: Key, name: str, above: Observed | None) -> str:
        return f"{self._rdn(key.kind, name)},{self._above(key, above)}"

    def _has_place(self, observed: Observed, name: str, above: Observed | None) -> bool:
        return normalised(observed.place) == normalised(self._place(observed.key, name, above))

    async def _modified(self, observed: Observed, changes: Sequence[Modification], stamp: Stamp) -> Observed:
        """Swap the mark and make changes, in one modification, and read back; an object that was moved is followed."""
        refuse_older(observed, stamp)
        modifications = [*self._swap(observed, stamp.mark), *changes]
        try:
            await self._directory.modify(
                observed.handle, modifications, subject=observed.key.unit, deadline=stamp.deadline
            )
        except (ValueGone, ValueExists) as error:
            raise await self._lost(observed, stamp) from error
        except NoSuchEntry as error:
            fresh = await self._again(observed, stamp.deadline)
            if fresh is None or fresh.dn == observed.place:
                raise Transient("unit.changed_meanwhile") from error
            return await self._modified(self._observed(fresh, observed.key), changes, stamp)
        return await self._read_back(observed.handle, observed.key, stamp)

    async def _read_back(self, handle: str, key: Key, stamp: Stamp) -> Observed:
        entry = await self._entry(handle, stamp.deadline)
        if entry is None or self._owner(entry) != key:
            raise Transient("unit.not_verified", step="read_back")
        return self._observed(entry, key)

    async def _entry(self, handle: str, deadline: float | None) -> Entry | None:
        found = await self._directory.search(
            handle, present("objectClass"), self._read, scope=Scope.BASE, deadline=deadline
        )
        return found[0] if found else None

    async def _again(self, observed: Observed, deadline: float | None) -> Entry | None:
        """Read an object by its immutable id, wherever it stands now."""
        condition = self._is(observed.entry)
        if condition is None:
            return None
        base = self._everywhere(observed.key.organisation)
        found = await self._directory.search(base, condition, self._read, deadline=deadline)
        return found[0] if found else None

    async def _current(self, observed: Observed, stamp: Stamp) -> Observed:
        entry = await self._again(observed, stamp.deadline)
        if entry is None:
            raise Transient("unit.changed_meanwhile")
        if self._owner(entry) not in {None, observed.key}:
            raise Permanent("unit.foreign", kind=observed.key.kind)
        return self._observed(entry, observed.key)

    async def _lost(self, observed: Observed, stamp: Stamp) -> Failure:
        """Say why compare-and-set was lost: to a newer pass, or to somebody who changed it by hand meanwhile."""
        entry = await self._again(observed, stamp.deadline)
        mark = self._observed(entry, observed.key).mark if entry else None
        if mark is not None and mark > stamp.mark:
            return StaleLease("unit.stale_lease")
        return Transient("unit.changed_meanwhile")


def refuse_older(observed: Observed, stamp: Stamp) -> None:
    """Let nobody write over a newer pass.

    Raises:
        StaleLease: There was one.
    """
    if observed.mark is not None and observed.mark > stamp.mark:
        raise StaleLease("unit.stale_lease")


def parsed(text: str | None) -> Mark | None:
    """Return the pass that wrote last, or None when that cannot be read."""
    try:
        return Mark.parse(text) if text is not None else None
    except ValueError:
        return None


def has(entry: Entry, attribute: str, value: str) -> bool:
    """Compare as directories do: without regard to case."""
    return value.casefold() in {found.casefold() for found in entry.values(attribute)}


def batched(items: Iterable[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield so many at a time."""
    ahead = iter(items)
    while some := tuple(islice(ahead, size)):
        yield some
