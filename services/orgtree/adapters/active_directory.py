"""Units in Active Directory: `OU=<name>`, organizationalUnit, and security groups, known by objectGUID and by the mark.

Whose one is stands with the mark in `adminDescription`; what people read in `displayName` and `description`. Groups are
global: all accounts of an organisation stand in one domain, global groups of it may hold each other, and their members
are not copied to every global catalogue, as those of universal ones are.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass

from typing_extensions import override

from services.kernel.directory import (
    Directory,
    Entry,
    Modification,
    Operation,
    Value,
    all_of,
    any_of,
    begins,
    equals,
    has_guid,
)
from services.kernel.distinguished import domain
from services.kernel.failures import Permanent
from services.kernel.marks import Mark
from services.orgtree.adapters import windows_names as names
from services.orgtree.adapters.ldap_members import ASKED, in_order
from services.orgtree.adapters.ldap_objects import batched, has
from services.orgtree.adapters.ldap_units import LdapUnits
from services.orgtree.domain.projection import Kind, Wanted
from services.orgtree.ports import Key, Lookup, Observed, Reference, Stamp

_GROUP = equals("objectClass", "group")
_UNIT = equals("objectClass", "organizationalUnit")
_ACCOUNT = "sAMAccountName"
_GLOBAL_SECURITY_GROUP = "-2147483646"
"""`groupType` ([MS-ADTS] 2.2.12): ACCOUNT_GROUP and SECURITY_ENABLED."""


@dataclass(frozen=True)
class Named(Observed):
    """What was read, with what Active Directory keeps beside it: a group's name in the whole domain."""

    account: str | None = None


class ActiveDirectoryUnits(LdapUnits):
    """The port UnitDirectory on Active Directory, over LDAPS, on one domain controller: replication lags.

    Args:
        directory: The domain controller.
        bases: Each organisation's place; objects are made below it, and found in the whole domain.
        mark: The attribute of the mark. It should be indexed.

    Raises:
        ValueError: The connection is not encrypted, or not made for Active Directory.
    """

    def __init__(self, directory: Directory, bases: Mapping[str, str], *, mark: str = "adminDescription") -> None:
        if not (directory.active_directory and directory.encrypted):
            raise ValueError("Active Directory needs ldaps:// or StartTLS")
        read = ("objectClass", "name", "displayName", "description", _ACCOUNT, mark, "objectGUID")
        super().__init__(directory, bases, read, "objectGUID", "distinguishedName")
        self._mark = mark

    @override
    def fit(self, title: str) -> str:
        """Cut what is longer than the schema allows."""
        return title[: names.TITLE_LIMIT]

    @override
    def stands(self, observed: Observed, name: str, above: Observed | None = None) -> bool:
        """Compare names as the domain does, also the one that a group has in the whole domain."""
        account = observed.account if isinstance(observed, Named) else None
        shall = names.account_name(name).casefold()
        named = observed.key.kind is Kind.ENTRY or (account or "").casefold() == shall
        return named and super().stands(observed, name, above)

    @override
    async def nested(self, rollup: Observed, *, deadline: float | None = None) -> frozenset[Reference]:
        """Ask for the groups whose `memberOf` names it; what names groups that are gone goes with them."""
        groups = await self._directory.search(
            self._everywhere(rollup.key.organisation),
            all_of(_GROUP, equals("memberOf", rollup.place)),
            self._read,
            deadline=deadline,
        )
        return frozenset(Reference(entry.dn) for entry in groups if self._owner(entry) is not None)

    @override
    async def holds(
        self, group: Observed, references: Collection[Reference], *, deadline: float | None = None
    ) -> frozenset[Reference]:
        """Ask which of these have a `memberOf` that names it: a group's own `member` comes in ranges."""
        held: set[Reference] = set()
        for some in batched(in_order(references), ASKED):
            named = any_of(*(equals(self._own_dn, one.name) for one in some))
            condition = all_of(equals("memberOf", group.place), named)
            base = self._everywhere(group.key.organisation)
            found = await self._directory.search(base, condition, ["1.1"], deadline=deadline)
            held.update(Reference(entry.dn) for entry in found)
        return frozenset(held)

    @override
    async def pages(self, organisation: str) -> AsyncIterator[Sequence[Observed]]:
        """Read all of the domain that has the organisation's mark by the paged results control (RFC 2696)."""
        condition = begins(self._mark, names.prefix(organisation))
        async for entries in self._directory.search_all(self._everywhere(organisation), condition, self._read):
            owned = ((entry, self._owner(entry)) for entry in entries)
            yield [self._observed(entry, key) for entry, key in owned if key and key.organisation == organisation]

    @override
    async def _candidates(
        self, organisation: str, lookups: Sequence[Lookup], deadline: float | None
    ) -> Sequence[Entry]:
        """Search by what is indexed; by the mark only what was known and is not found so.

        No index helps with the beginning of a value in Samba: that search reads the whole domain.
        """
        base, keys = self._everywhere(organisation), [key for lookup in lookups for key in self._keys(lookup)]
        entries = await self._directory.search(base, any_of(*keys), self._read, deadline=deadline) if keys else []
        owners, ids = {self._owner(entry) for entry in entries}, {entry.first("objectGUID") for entry in entries}
        lost = [
            lookup.unit
            for lookup in lookups
            if any(
                known not in ids and Key(organisation, lookup.unit, kind) not in owners
                for kind, known in lookup.known.items()
            )
        ]
        if lost:
            marks = any_of(*(begins(self._mark, names.prefix(organisation, unit)) for unit in lost))
            found = await self._directory.search(base, marks, self._read, deadline=deadline)
            entries += [entry for entry in found if entry.first("objectGUID") not in ids]
        return entries

    def _keys(self, lookup: Lookup) -> list[str]:
        keys = [condition for one in lookup.known.values() if (condition := self._is(one)) is not None]
        for kind, name in lookup.names.items():
            if kind is Kind.ENTRY:
                keys.append(all_of(_UNIT, equals("name", name)))
            else:
                keys += [equals(_ACCOUNT, names.account_name(name)), all_of(_GROUP, equals("name", name))]
        return keys

    @override
    def _everywhere(self, organisation: str) -> str:
        return domain(self._bases[organisation])

    @override
    def _is(self, entry_id: str) -> str | None:
        try:
            return has_guid(entry_id)
        except ValueError:
            return None

    @override
    def _owner(self, entry: Entry) -> Key | None:
        return names.owner(entry.first(self._mark))

    @override
    def _observed(self, entry: Entry, key: Key) -> Observed:
        guid, text = entry.first("objectGUID") or "", entry.first(self._mark)
        shown, described = entry.values("displayName"), entry.values("description")
        return Named(
            key=key,
            handle=f"<GUID={guid}>",
            entry=guid,
            name=entry.first("name") or "",
            title=shown[0] if len(shown) == 1 and shown == described else None,
            place=entry.dn,
            mark=names.mark(text),
            mark_text=text,
            marked=self._owner(entry) == key,
            account=entry.first(_ACCOUNT),
        )

    @override
    def _in_the_way(self, entry: Entry, key: Key, name: str) -> bool:
        if key.kind is Kind.ENTRY:
            return has(entry, "objectClass", "organizationalUnit") and has(entry, "name", name)
        named = has(entry, "name", name) or has(entry, _ACCOUNT, names.account_name(name))
        return has(entry, "objectClass", "group") and named

    @override
    def _usable(self, kind: Kind, name: str) -> bool:
        return len(name) <= names.NAME_LIMIT

    @override
    def _created(
        self, key: Key, wanted: Wanted, dn: str, mark: Mark
    ) -> tuple[Sequence[str], dict[str, tuple[Value, ...]]]:
        attributes: dict[str, tuple[Value, ...]] = {
            "displayName": (wanted.title,),
            "description": (wanted.title,),
            self._mark: (names.written(key, mark),),
        }
        if key.kind is Kind.ENTRY:
            return ("top", "organizationalUnit"), attributes
        attributes[_ACCOUNT] = (names.account_name(wanted.name),)
        attributes["groupType"] = (_GLOBAL_SECURITY_GROUP,)
        return ("top", "group"), attributes

    @override
    def _titled(self, title: str) -> list[Modification]:
        return [Modification(Operation.REPLACE, name, (title,)) for name in ("displayName", "description")]

    @override
    def _renamed(self, kind: Kind, name: str) -> list[Modification]:
        if kind is Kind.ENTRY:
            return []
        return [Modification(Operation.REPLACE, _ACCOUNT, (names.account_name(name),))]

    @override
    def _swap(self, observed: Observed, mark: Mark) -> list[Modification]:
        old = observed.mark_text
        gone = [] if old is None else [Modification(Operation.DELETE, self._mark, (old,))]
        return [*gone, Modification(Operation.ADD, self._mark, (names.written(observed.key, mark),))]

    @override
    def _refuse_taken(self, entry: Entry) -> None:
        if entry.first(self._mark) is not None:
            raise Permanent("unit.mark_taken", attribute=self._mark)

    @override
    async def _rename(self, observed: Observed, rdn: str, superior: str, stamp: Stamp) -> None:
        """Rename by name, for Samba finds no object by its id here; groups name the object itself, so they follow."""
        await self._directory.rename(
            observed.place, rdn, subject=observed.key.unit, superior=superior, deadline=stamp.deadline
        )

    @override
    async def _delete(self, observed: Observed, stamp: Stamp) -> None:
        """Delete after the mark that was observed has been swapped: there is no assertion control."""
        subject, deadline = observed.key.unit, stamp.deadline
        await self._directory.modify(
            observed.handle, self._swap(observed, stamp.mark), subject=subject, deadline=deadline
        )
        await self._directory.delete(observed.handle, subject=subject, deadline=deadline)
