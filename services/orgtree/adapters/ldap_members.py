"""Members of groups over LDAP: asked for one by one, however many there are, and written many at a time."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

from services.kernel.directory import Modification, NoSuchEntry, Operation, ValueExists, ValueGone, any_of, equals
from services.kernel.failures import Transient
from services.orgtree.adapters.ldap_objects import LdapObjects, batched, refuse_older
from services.orgtree.ports import Observed, Reference, Stamp

ASKED = 100
"""How many things one search asks for."""
WRITTEN = 500
"""How many members one modification names: some tenths of a second."""


class LdapMembers(LdapObjects):
    """Members of groups that carry our marks."""

    @abstractmethod
    async def nested(self, rollup: Observed, *, deadline: float | None = None) -> frozenset[Reference]:
        """Return which of our groups are members of a roll-up."""

    @abstractmethod
    async def holds(
        self, group: Observed, references: Collection[Reference], *, deadline: float | None = None
    ) -> frozenset[Reference]:
        """Return which of these are direct members of a group."""

    async def nest(self, rollup: Observed, wanted: Collection[Observed], stamp: Stamp) -> Observed:
        """Add what is missing and delete what is too much."""
        refuse_older(rollup, stamp)
        present_now = await self.nested(rollup, deadline=stamp.deadline)
        shall = {one.reference for one in wanted}
        missing = shall - present_now
        missing -= await self.holds(rollup, missing, deadline=stamp.deadline)
        changes = [
            *membership(Operation.ADD, missing),
            *membership(Operation.DELETE, present_now - shall),
        ]
        return await self._modified(rollup, changes, stamp) if changes else rollup

    async def join(self, group: Observed, references: Collection[Reference], *, deadline: float | None = None) -> None:
        """Add them all; when one is a member already, those that are not."""
        for some in batched(in_order(references), WRITTEN):
            try:
                await self._membership(group, Operation.ADD, some, deadline)
            except NoSuchEntry as error:
                raise Transient("unit.changed_meanwhile") from error
            if await self.holds(group, some, deadline=deadline) != frozenset(some):
                raise Transient("unit.not_verified", step="members")

    async def leave(self, group: Observed, references: Collection[Reference], *, deadline: float | None = None) -> None:
        """Delete them all; when one is no member, those that are."""
        for some in batched(in_order(references), WRITTEN):
            await self._membership(group, Operation.DELETE, some, deadline)
            if await self.holds(group, some, deadline=deadline):
                raise Transient("unit.not_verified", step="members")

    async def references(
        self, organisation: str, entries: Collection[str], *, deadline: float | None = None
    ) -> Mapping[str, Reference]:
        """Search for the accounts by their ids, which are indexed."""
        found: dict[str, Reference] = {}
        conditions = [condition for one in sorted(set(entries)) if (condition := self._is(one)) is not None]
        for some in batched(conditions, ASKED):
            base = self._everywhere(organisation)
            for entry in await self._directory.search(base, any_of(*some), [self._identity], deadline=deadline):
                found[entry.first(self._identity) or ""] = Reference(entry.dn)
        return {one: found[one] for one in entries if one in found}

    async def vacant(
        self, organisation: str, references: Collection[Reference], *, deadline: float | None = None
    ) -> frozenset[Reference]:
        """Search for what has these names, which the server finds without an index of ours."""
        taken: set[Reference] = set()
        for some in batched(in_order(references), ASKED):
            named = any_of(*(equals(self._own_dn, one.name) for one in some))
            base = self._everywhere(organisation)
            entries = await self._directory.search(base, named, ["1.1"], deadline=deadline)
            taken.update(Reference(entry.dn) for entry in entries)
        return frozenset(references) - taken

    async def all_members(self, group: Observed) -> AsyncIterator[Sequence[Reference]]:
        """Read the attribute `member`."""
        keepers = self._keepers(group)
        async for values in self._directory.values(group.handle, "member"):
            for some in batched(values, WRITTEN):
                yield [one for one in map(Reference, some) if one not in keepers]

    def _keepers(self, group: Observed) -> tuple[Reference, ...]:
        """Return members that are none."""
        del group
        return ()

    async def _membership(
        self, group: Observed, operation: Operation, some: Sequence[Reference], deadline: float | None
    ) -> None:
        adds = operation is Operation.ADD
        try:
            await self._write_members(group, operation, some, deadline)
        except (ValueExists, ValueGone, NoSuchEntry) as error:
            if adds and isinstance(error, NoSuchEntry):
                raise
            held = await self.holds(group, some, deadline=deadline)
            rest = [one for one in some if (one in held) is not adds]
            if rest:
                await self._write_members(group, operation, rest, deadline)

    async def _write_members(
        self, group: Observed, operation: Operation, some: Iterable[Reference], deadline: float | None
    ) -> None:
        changes = membership(operation, some)
        await self._directory.modify(group.handle, changes, subject=group.key.unit, deadline=deadline)


def membership(operation: Operation, references: Iterable[Reference]) -> list[Modification]:
    """Return what adds members or deletes them; nothing for nobody."""
    names = tuple(one.name for one in in_order(references))
    return [Modification(operation, "member", names)] if names else []


def in_order(references: Iterable[Reference]) -> list[Reference]:
    """Return each once, in an order that does not change."""
    return sorted(set(references), key=lambda one: one.key)
