"""The one way to a target: whatever is written passes here, and is let through or withheld with its reason.

`bootstrap` wraps each adapter in a gate and hands out nothing else.
"""

from collections.abc import AsyncIterator, Mapping, Sequence, Set

from services.accounts.domain.grants import Grant
from services.accounts.domain.plan import Change, Create, Observed, Removal
from services.accounts.ports import AccountDirectory, Found, Listed, Lookup, Stamp
from services.kernel.failures import Permanent
from services.kernel.gate import Rules, Withheld


class Gate:
    """An AccountDirectory that reads as the one behind it, and writes only what the rules and the guard let through.

    Raises, from everything that writes:
        Withheld: The target is for reading, this is a dry run, the account lies elsewhere, its unit is not live yet.
        Permanent: Something would be taken away that the guard was not asked about.
    """

    def __init__(self, directory: AccountDirectory, rules: Rules) -> None:
        self._directory = directory
        self._rules = rules

    def fit(self, attributes: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """Neither read nor write."""
        return self._directory.fit(attributes)

    async def find(self, lookup: Lookup, *, deadline: float | None = None) -> Found:
        """Read."""
        return await self._directory.find(lookup, deadline=deadline)

    async def read(self, organisation: str, entry: str, *, deadline: float | None = None) -> Listed | None:
        """Read."""
        return await self._directory.read(organisation, entry, deadline=deadline)

    def pages(self, organisation: str) -> AsyncIterator[Sequence[Listed]]:
        """Read."""
        return self._directory.pages(organisation)

    def holders(self, organisation: str, grant: Grant) -> AsyncIterator[Sequence[str]]:
        """Read."""
        return self._directory.holders(organisation, grant)

    async def held(self, observed: Observed, asked: Set[Grant], *, deadline: float | None = None) -> frozenset[Grant]:
        """Read."""
        return await self._directory.held(observed, asked, deadline=deadline)

    async def probe(self) -> None:
        """Read."""
        await self._directory.probe()

    async def add(self, login: str, create: Create, stamp: Stamp) -> Observed:
        """Write, below the organisation's place."""
        self._admit("add", (self._rules.places or {}).get(stamp.organisation), stamp)
        return await self._directory.add(login, create, stamp)

    async def change(self, observed: Observed, change: Change, stamp: Stamp) -> Observed:
        """Write; a disabling only when the guard admitted it."""
        self._admit("change", observed.place, stamp, Removal.DISABLE if change.enabled is False else None)
        return await self._directory.change(observed, change, stamp)

    async def delete(self, observed: Observed, stamp: Stamp) -> None:
        """Write, when the guard admitted it."""
        self._admit("delete", observed.place, stamp, Removal.DELETE)
        await self._directory.delete(observed, stamp)

    async def adopt(self, observed: Observed, stamp: Stamp) -> Observed:
        """Write the mark, also of somebody whose unit is not live yet."""
        self._admit("adopt", observed.place, stamp, marks_only=True)
        return await self._directory.adopt(observed, stamp)

    async def grant(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Write."""
        self._admit("grant", observed.place, stamp)
        await self._directory.grant(observed, grant, stamp)

    async def revoke(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Write, when the guard admitted it."""
        self._admit("revoke", observed.place, stamp, Removal.REVOKE)
        await self._directory.revoke(observed, grant, stamp)

    async def set_password(self, observed: Observed, password: str, stamp: Stamp) -> None:
        """Write."""
        self._admit("set_password", observed.place, stamp)
        await self._directory.set_password(observed, password, stamp)

    def _admit(
        self, action: str, place: str | None, stamp: Stamp, removal: Removal | None = None, *, marks_only: bool = False
    ) -> None:
        if removal is not None and removal not in stamp.admitted:
            raise Permanent("guard.not_asked", action=removal.value)
        self._rules.admit(action, place)
        if not stamp.live and not marks_only:
            raise Withheld("target.not_live", action=action)
