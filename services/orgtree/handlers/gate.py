"""The one way to a target: whatever is written for units passes here, and is let through or withheld with its reason.

`bootstrap` wraps each adapter in a gate and hands out nothing else.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from services.kernel.failures import Permanent
from services.kernel.gate import Rules
from services.orgtree.domain.projection import Wanted
from services.orgtree.ports import Found, Key, Lookup, Observed, Reference, Stamp, UnitDirectory


class Gate:
    """A UnitDirectory that reads as the one behind it, and writes only what the rules and the guard let through.

    Raises, from everything that writes:
        Withheld: The target is for reading, this is a dry run, the object lies elsewhere.
        Permanent: An object would be taken away that the guard was not asked about.
    """

    def __init__(self, directory: UnitDirectory, rules: Rules) -> None:
        self._directory = directory
        self._rules = rules

    def fit(self, title: str) -> str:
        """Neither read nor write."""
        return self._directory.fit(title)

    def stands(self, observed: Observed, name: str, above: Observed | None = None) -> bool:
        """Neither read nor write."""
        return self._directory.stands(observed, name, above)

    async def find(
        self, organisation: str, lookups: Sequence[Lookup], *, deadline: float | None = None
    ) -> Mapping[str, Found]:
        """Read."""
        return await self._directory.find(organisation, lookups, deadline=deadline)

    async def nested(self, rollup: Observed, *, deadline: float | None = None) -> frozenset[Reference]:
        """Read."""
        return await self._directory.nested(rollup, deadline=deadline)

    async def holds(
        self, group: Observed, references: Collection[Reference], *, deadline: float | None = None
    ) -> frozenset[Reference]:
        """Read."""
        return await self._directory.holds(group, references, deadline=deadline)

    async def references(
        self, organisation: str, entries: Collection[str], *, deadline: float | None = None
    ) -> Mapping[str, Reference]:
        """Read."""
        return await self._directory.references(organisation, entries, deadline=deadline)

    async def vacant(
        self, organisation: str, references: Collection[Reference], *, deadline: float | None = None
    ) -> frozenset[Reference]:
        """Read."""
        return await self._directory.vacant(organisation, references, deadline=deadline)

    def pages(self, organisation: str) -> AsyncIterator[Sequence[Observed]]:
        """Read."""
        return self._directory.pages(organisation)

    def all_members(self, group: Observed) -> AsyncIterator[Sequence[Reference]]:
        """Read."""
        return self._directory.all_members(group)

    async def probe(self) -> None:
        """Read."""
        await self._directory.probe()

    async def put(self, key: Key, wanted: Wanted, stamp: Stamp, above: Observed | None = None) -> Observed:
        """Write, below the organisation's place."""
        self._rules.admit("put", (self._rules.places or {}).get(key.organisation))
        return await self._directory.put(key, wanted, stamp, above)

    async def change(self, observed: Observed, title: str, stamp: Stamp) -> Observed:
        """Write."""
        self._rules.admit("change", observed.place)
        return await self._directory.change(observed, title, stamp)

    async def take(self, observed: Observed, stamp: Stamp) -> Observed:
        """Write."""
        self._rules.admit("take", observed.place)
        return await self._directory.take(observed, stamp)

    async def move(self, observed: Observed, name: str, stamp: Stamp, above: Observed | None = None) -> Observed:
        """Write."""
        self._rules.admit("move", observed.place)
        return await self._directory.move(observed, name, stamp, above)

    async def remove(self, observed: Observed, stamp: Stamp) -> None:
        """Write, when the guard admitted it."""
        if not stamp.removes:
            raise Permanent("guard.not_asked", action="remove")
        self._rules.admit("remove", observed.place)
        await self._directory.remove(observed, stamp)

    async def adopt(self, observed: Observed, stamp: Stamp) -> Observed:
        """Write the mark."""
        self._rules.admit("adopt", observed.place)
        return await self._directory.adopt(observed, stamp)

    async def nest(self, rollup: Observed, wanted: Collection[Observed], stamp: Stamp) -> Observed:
        """Write."""
        self._rules.admit("nest", rollup.place)
        return await self._directory.nest(rollup, wanted, stamp)

    async def join(self, group: Observed, references: Collection[Reference], *, deadline: float | None = None) -> None:
        """Write."""
        self._rules.admit("join", group.place)
        await self._directory.join(group, references, deadline=deadline)

    async def leave(self, group: Observed, references: Collection[Reference], *, deadline: float | None = None) -> None:
        """Write: what the guard was asked about, for each person."""
        self._rules.admit("leave", group.place)
        await self._directory.leave(group, references, deadline=deadline)
