"""Membership of groups in Active Directory: written on the group, read from the account."""

from collections.abc import AsyncIterator, Sequence, Set
from contextlib import suppress

from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.ports import Stamp
from services.kernel.directory import (
    Directory,
    Entry,
    Modification,
    Operation,
    Scope,
    ValueExists,
    ValueGone,
    all_of,
    any_of,
    equals,
    present,
)
from services.kernel.failures import Transient

_GROUP = equals("objectClass", "group")
_NAME = "sAMAccountName"


class Groups:
    """The groups of a domain, known by sAMAccountName. Accounts are handles: `<GUID=...>`."""

    def __init__(self, directory: Directory, domain: str) -> None:
        self._directory = directory
        self._domain = domain

    async def of(self, handle: str, asked: Set[Grant], deadline: float | None) -> frozenset[Grant]:
        """Return which of the groups asked about the account is in."""
        groups = {grant.value.casefold(): grant for grant in asked if grant.kind is GrantKind.GROUP}
        if not groups:
            return frozenset()
        named = any_of(*(equals(_NAME, grant.value) for grant in groups.values()))
        found = await self._directory.search(self._domain, all_of(_GROUP, named), [_NAME], deadline=deadline)
        member_of = await self._member_of(handle, deadline)
        names = {name.casefold() for one in found if one.dn.casefold() in member_of for name in one.values(_NAME)}
        return frozenset(grant for name, grant in groups.items() if name in names)

    async def named(self, grant: Grant, deadline: float | None) -> Entry | None:
        """Return the group, or None when there is none; the domain lets only one have the name."""
        if grant.kind is not GrantKind.GROUP:
            return None
        condition = all_of(_GROUP, equals(_NAME, grant.value))
        found = await self._directory.search(self._domain, condition, ["objectGUID"], deadline=deadline)
        return found[0] if found else None

    async def is_member(self, handle: str, group: Entry, deadline: float | None) -> bool:
        """Tell whether the account is in the group itself, not in one within it."""
        return group.dn.casefold() in await self._member_of(handle, deadline)

    async def members(self, base: str, grant: Grant) -> AsyncIterator[Sequence[str]]:
        """Yield the handles of the accounts below a place that are in the group itself, a page at a time."""
        group = await self.named(grant, None)
        if group is not None:
            condition = all_of(equals("objectClass", "user"), equals("memberOf", group.dn))
            async for page in self._directory.search_all(base, condition, ["objectGUID"]):
                yield [f"<GUID={entry.first('objectGUID')}>" for entry in page]

    async def write(self, handle: str, group: Entry, stamp: Stamp, *, member: bool) -> None:
        """Put the account into the group or take it out, and see that it is so. Safe to repeat."""
        operation = Operation.ADD if member else Operation.DELETE
        with suppress(ValueExists, ValueGone):
            await self._directory.modify(
                f"<GUID={group.first('objectGUID')}>",
                [Modification(operation, "member", (handle,))],
                subject=str(stamp.person),
                deadline=stamp.deadline,
            )
        if await self.is_member(handle, group, stamp.deadline) is not member:
            raise Transient("account.not_verified", step="group")

    async def _member_of(self, handle: str, deadline: float | None) -> frozenset[str]:
        found = await self._directory.search(
            handle, present("objectClass"), ["memberOf"], scope=Scope.BASE, deadline=deadline
        )
        return frozenset(dn.casefold() for entry in found for dn in entry.values("memberOf"))
