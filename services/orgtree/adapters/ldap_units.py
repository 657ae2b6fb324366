"""Units and their groups over LDAP: what is alike in all directories; `openldap` and `active_directory` have the rest.

A unit's entry stands in `ou=units,<base>` or below its parent's entry, its groups in `ou=groups,<base>`. Whose an
object is stands on it, with the mark, which is swapped by delete + add in the modification itself.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence

from services.kernel.directory import Entry, EntryExists, Modification, NoSuchEntry, Value, ValueGone
from services.kernel.distinguished import normalised
from services.kernel.failures import Failure, Permanent, Transient, Unavailable, Waiting
from services.kernel.marks import Mark
from services.orgtree.adapters.ldap_members import ASKED, LdapMembers
from services.orgtree.adapters.ldap_objects import batched, refuse_older
from services.orgtree.domain.projection import Kind, Wanted
from services.orgtree.ports import Found, Key, Lookup, Observed, Stamp


class LdapUnits(LdapMembers):
    """The port UnitDirectory, but for what differs."""

    @abstractmethod
    def fit(self, title: str) -> str:
        """Return a title as the directory can hold it."""

    async def find(
        self, organisation: str, lookups: Sequence[Lookup], *, deadline: float | None = None
    ) -> Mapping[str, Found]:
        """Observe by what is indexed, then sort out whose what was found is."""
        found: dict[str, Found] = {}
        for some in batched(lookups, ASKED):
            entries = await self._candidates(organisation, some, deadline)
            owners = self._by_owner(entries)
            ids = {entry.first(self._identity): entry for entry in entries}
            for lookup in some:
                keys = [Key(organisation, lookup.unit, kind) for kind in Kind]
                marked = {key: self._mine(key, lookup, owners, ids) for key in keys}
                mine = {key.kind: self._observed(entry, key) for key, entry in marked.items() if entry is not None}
                taken = {one.entry for one in mine.values()}
                others = [entry for entry in entries if entry.first(self._identity) not in taken]
                found[lookup.unit] = Found(mine, self._unmanaged(organisation, lookup, mine, others))
        return found

    @abstractmethod
    def pages(self, organisation: str) -> AsyncIterator[Sequence[Observed]]:
        """Yield all that carries a mark of the organisation."""

    async def put(self, key: Key, wanted: Wanted, stamp: Stamp, above: Observed | None = None) -> Observed:
        """Add the object in one operation."""
        self._refuse_unusable(key.kind, wanted.name)
        dn = self._place(key, wanted.name, above)
        classes, attributes = self._created(key, Wanted(wanted.name, self.fit(wanted.title)), dn, stamp.mark)
        try:
            await self._directory.add(dn, classes, attributes, subject=key.unit, deadline=stamp.deadline)
        except EntryExists as error:
            return await self._brought_in_line(key, wanted, stamp, above, error)
        except NoSuchEntry as error:
            raise Waiting("unit.container_missing", kind=key.kind) from error
        return await self._read_back(dn, key, stamp)

    async def change(self, observed: Observed, title: str, stamp: Stamp) -> Observed:
        """Swap the mark and write the title."""
        fitting = self.fit(title)
        if observed.marked and observed.title == fitting:
            return observed
        return await self._modified(observed, self._titled(fitting), stamp)

    async def take(self, observed: Observed, stamp: Stamp) -> Observed:
        """Swap the mark."""
        return await self._modified(observed, [], stamp)

    async def move(self, observed: Observed, name: str, stamp: Stamp, above: Observed | None = None) -> Observed:
        """Swap the mark, then change the name by one operation (RFC 4511, section 4.9), with all that is below it."""
        if self.stands(observed, name, above):
            return observed
        self._refuse_unusable(observed.key.kind, name)
        current = await self._current(observed, stamp)
        if self.stands(current, name, above):
            return current
        superior = self._above(observed.key, above)
        if f",{normalised(superior)}".endswith(f",{normalised(current.place)}"):
            # slapd calls this unwillingness, as if all of it could not be written
            raise Waiting("unit.below_itself")
        mine = await self._modified(current, self._renamed(observed.key.kind, name), stamp)
        if not self._has_place(mine, name, above):
            await self._renamed_or_told(mine, name, superior, stamp)
        moved = await self._current(mine, stamp)
        if not self.stands(moved, name, above):
            raise Transient("unit.not_verified", step="move")
        return moved

    async def remove(self, observed: Observed, stamp: Stamp) -> None:
        """Delete it alone: what stands below it is somebody's."""
        refuse_older(observed, stamp)
        try:
            await self._delete(observed, stamp)
        except NoSuchEntry:
            pass  # gone, or moved by hand meanwhile
        except ValueGone as error:
            raise await self._lost(observed, stamp) from error
        except Permanent as refused:
            if refused.parameters.get("result") != "notAllowedOnNonLeaf":
                raise
            raise Waiting("unit.not_empty") from refused
        if await self._again(observed, stamp.deadline) is not None:
            raise Transient("unit.not_verified", step="delete")

    async def adopt(self, observed: Observed, stamp: Stamp) -> Observed:
        """Add the mark and whose it is."""
        entry = await self._again(observed, stamp.deadline)
        if entry is None:
            raise Permanent("unit.adoption_gone")
        owner, seen = self._owner(entry), self._observed(entry, observed.key)
        if owner == observed.key:
            return seen
        if owner is not None:
            raise Permanent("unit.foreign", kind=observed.key.kind)
        self._refuse_taken(entry)
        return await self._modified(seen, [], stamp)

    async def probe(self) -> None:
        """Bind anew and read the first organisation's base."""
        await self._directory.probe(next(iter(self._bases.values()), ""))

    @abstractmethod
    async def _candidates(
        self, organisation: str, lookups: Sequence[Lookup], deadline: float | None
    ) -> Sequence[Entry]:
        """Return what may be meant: by mark, by immutable id, by name."""

    @abstractmethod
    def _in_the_way(self, entry: Entry, key: Key, name: str) -> bool:
        """Tell whether an object has the name that the key's shall have, and is of the class that it would be."""

    @abstractmethod
    def _usable(self, kind: Kind, name: str) -> bool:
        """Tell whether the directory can hold a name."""

    @abstractmethod
    def _created(
        self, key: Key, wanted: Wanted, dn: str, mark: Mark
    ) -> tuple[Sequence[str], dict[str, tuple[Value, ...]]]:
        """Return object classes and attributes of a new object."""

    @abstractmethod
    def _titled(self, title: str) -> list[Modification]:
        """Return what writes a title."""

    @abstractmethod
    async def _rename(self, observed: Observed, rdn: str, superior: str, stamp: Stamp) -> None:
        """Give an object of this pass another place; whoever names it as a member follows."""

    @abstractmethod
    async def _delete(self, observed: Observed, stamp: Stamp) -> None:
        """Delete an object, only while it carries the mark that was observed."""

    def _renamed(self, kind: Kind, name: str) -> list[Modification]:
        """Return what else says an object's own name."""
        del kind, name
        return []

    @abstractmethod
    def _refuse_taken(self, entry: Entry) -> None:
        """Refuse to mark an object that has something else in the mark's place."""

    async def _renamed_or_told(self, mine: Observed, name: str, superior: str, stamp: Stamp) -> None:
        key = mine.key
        try:
            await self._rename(mine, self._rdn(key.kind, name), superior, stamp)
        except Unavailable:
            raise
        except EntryExists as error:
            raise await self._taken(key, name, stamp) from error
        except ValueGone as error:
            raise await self._lost(mine, stamp) from error
        except Transient as error:
            # Samba calls it an operations error
            if await self._entry(superior, stamp.deadline) is None:
                raise Waiting("unit.container_missing", kind=key.kind) from error
            raise

    def _refuse_unusable(self, kind: Kind, name: str) -> None:
        if not name.strip() or not self._usable(kind, name):
            raise Permanent("unit.name_unusable", kind=kind)

    def _by_owner(self, entries: Sequence[Entry]) -> Mapping[Key, Sequence[Entry]]:
        owners: dict[Key, list[Entry]] = {}
        for entry in entries:
            if (owner := self._owner(entry)) is not None:
                owners.setdefault(owner, []).append(entry)
        return owners

    def _mine(
        self,
        key: Key,
        lookup: Lookup,
        owners: Mapping[Key, Sequence[Entry]],
        ids: Mapping[str | None, Entry],
    ) -> Entry | None:
        carrying = owners.get(key, ())
        if len(carrying) > 1:
            raise Permanent("unit.duplicate", kind=key.kind, entries=len(carrying))
        if carrying:
            return carrying[0]
        known = ids.get(lookup.known[key.kind]) if key.kind in lookup.known else None
        if known is not None and self._owner(known) is not None:
            raise Permanent("unit.foreign", kind=key.kind)
        return known

    def _unmanaged(
        self, organisation: str, lookup: Lookup, mine: Mapping[Kind, Observed], others: Sequence[Entry]
    ) -> dict[Kind, Observed]:
        found: dict[Kind, Observed] = {}
        free = [entry for entry in others if self._owner(entry) is None]
        for kind, name in lookup.names.items():
            key = Key(organisation, lookup.unit, kind)
            inside = f",{normalised(self._container(key))}"
            ways = [entry for entry in free if self._in_the_way(entry, key, name)]
            near = [entry for entry in ways if normalised(entry.dn).endswith(inside)]
            if kind not in mine and len(near) == 1:
                found[kind] = self._observed(near[0], key)
        return found

    async def _brought_in_line(
        self, key: Key, wanted: Wanted, stamp: Stamp, above: Observed | None, exists: EntryExists
    ) -> Observed:
        """Go on with what has the name, when it is ours: an answer that was lost, or a pass that was cut off."""
        found = await self._named(key, wanted.name, stamp)
        if key.kind not in found.mine:
            raise self._not_ours(key, found) from exists
        changed = await self.change(found.mine[key.kind], wanted.title, stamp)
        return await self.move(changed, wanted.name, stamp, above)

    async def _named(self, key: Key, name: str, stamp: Stamp) -> Found:
        lookup = Lookup(key.unit, {key.kind: name})
        return (await self.find(key.organisation, [lookup], deadline=stamp.deadline))[key.unit]

    async def _taken(self, key: Key, name: str, stamp: Stamp) -> Failure:
        lookup = Lookup(key.unit, {key.kind: name})
        entries = await self._candidates(key.organisation, [lookup], stamp.deadline)
        others = [entry for entry in entries if self._owner(entry) != key]
        return self._not_ours(key, Found({}, self._unmanaged(key.organisation, lookup, {}, others)))

    def _not_ours(self, key: Key, found: Found) -> Failure:
        return Permanent("unit.unmanaged" if key.kind in found.unmanaged else "unit.foreign", kind=key.kind)
