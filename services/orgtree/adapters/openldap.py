"""Units in OpenLDAP: `ou=<name>`, organizationalUnit, and groupOfNames, all of them stafettManaged.

Whose one is stands in `stafettOrganisation`, `stafettUnit` and `stafettUnitKind`; what people read in `description`. A
groupOfNames needs a member, so each that we make holds itself (or a placeholder), which is no member to anybody here.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from typing_extensions import override

from services.kernel.directory import (
    Directory,
    Entry,
    Modification,
    NoSuchEntry,
    Operation,
    Scope,
    Value,
    ValueExists,
    ValueGone,
    absent,
    all_of,
    any_of,
    equals,
    present,
)
from services.kernel.distinguished import normalised
from services.kernel.failures import Permanent
from services.kernel.marks import Mark
from services.orgtree.adapters.ldap_members import ASKED, in_order
from services.orgtree.adapters.ldap_objects import NAMING, batched, has, parsed
from services.orgtree.adapters.ldap_units import LdapUnits
from services.orgtree.domain.projection import Kind, Wanted
from services.orgtree.ports import Key, Lookup, Observed, Reference, Stamp

_CLASS = "stafettManaged"
_CLASSES: Mapping[bool, str] = {True: "organizationalUnit", False: "groupOfNames"}
_GROUP = equals("objectClass", _CLASSES[False])
_READ = (
    "objectClass", "ou", "cn", "description", "stafettOrganisation", "stafettUnit", "stafettUnitKind", "stafettMark",
    "stafettPerson", "entryUUID",
)  # fmt: skip


@dataclass(frozen=True)
class Classed(Observed):
    """What was read. `classed`: it is of the class that may say whose it is."""

    classed: bool = True


class OpenLdapUnits(LdapUnits):
    """The port UnitDirectory on OpenLDAP.

    Args:
        directory: The server.
        bases: Each organisation's tree.
        placeholder: The name of the member that a group holds which has no other; None: the group's own.
    """

    def __init__(self, directory: Directory, bases: Mapping[str, str], *, placeholder: str | None = None) -> None:
        super().__init__(directory, bases, _READ, "entryUUID", "entryDN")
        self._placeholder = placeholder

    @override
    def fit(self, title: str) -> str:
        """Return it as it is: slapd bounds no length."""
        return title

    @override
    async def nested(self, rollup: Observed, *, deadline: float | None = None) -> frozenset[Reference]:
        """Read `member`, which are few, and ask which of these that stand among groups are ours, or are gone."""
        found = await self._directory.search(
            rollup.handle, present("objectClass"), ["member"], scope=Scope.BASE, deadline=deadline
        )
        inside, keepers = f",{normalised(self._container(rollup.key))}", self._keepers(rollup)
        members = [Reference(name) for entry in found for name in entry.values("member")]
        groups = [one for one in members if one.key.endswith(inside) and one not in keepers]
        others: set[Reference] = set()
        for some in batched(groups, ASKED):
            named = any_of(*(equals(self._own_dn, one.name) for one in some))
            base = self._everywhere(rollup.key.organisation)
            entries = await self._directory.search(base, named, _READ, deadline=deadline)
            others.update(Reference(entry.dn) for entry in entries if self._owner(entry) is None)
        return frozenset(groups) - others

    @override
    async def holds(
        self, group: Observed, references: Collection[Reference], *, deadline: float | None = None
    ) -> frozenset[Reference]:
        """Have only these values of `member` returned (RFC 3876): the group itself knows its members, not the account.

        Of one that was moved meanwhile none is told.
        """
        held: set[Reference] = set()
        for some in batched(in_order(references), ASKED):
            names = [one.name for one in some]
            found = await self._directory.among(group.handle, "member", names, deadline=deadline)
            held.update(map(Reference, found))
        return frozenset(held)

    @override
    async def pages(self, organisation: str) -> AsyncIterator[Sequence[Observed]]:
        """Read all that names a unit by the paged results control (RFC 2696)."""
        condition = all_of(present("stafettUnit"), equals("stafettOrganisation", organisation))
        async for entries in self._directory.search_all(self._everywhere(organisation), condition, _READ):
            owned = ((entry, self._owner(entry)) for entry in entries)
            yield [
                self._observed(entry, owner) for entry, owner in owned if owner and owner.organisation == organisation
            ]

    @override
    async def _candidates(
        self, organisation: str, lookups: Sequence[Lookup], deadline: float | None
    ) -> Sequence[Entry]:
        asked = [equals("stafettUnit", lookup.unit) for lookup in lookups]
        asked += [condition for lookup in lookups for one in lookup.known.values() if (condition := self._is(one))]
        for entry, attribute in NAMING.items():
            names = {name for lookup in lookups for kind, name in lookup.names.items() if (kind is Kind.ENTRY) is entry}
            named = [equals(attribute, name) for name in sorted(names)]
            asked += [all_of(equals("objectClass", _CLASSES[entry]), any_of(*named))] if named else []
        base = self._everywhere(organisation)
        return await self._directory.search(base, any_of(*asked), _READ, deadline=deadline)

    @override
    def _everywhere(self, organisation: str) -> str:
        return self._bases[organisation]

    @override
    def _is(self, entry_id: str) -> str | None:
        return equals("entryUUID", entry_id) if entry_id else None

    @override
    def _owner(self, entry: Entry) -> Key | None:
        unit, kind = entry.first("stafettUnit"), entry.first("stafettUnitKind")
        if unit is None:
            # a person's, or another service's, is not ours to adopt
            return Key("", "", Kind.ENTRY) if entry.values("stafettPerson") else None
        try:
            return Key(entry.first("stafettOrganisation") or "", unit, Kind(kind or ""))
        except ValueError:
            return Key("", unit, Kind.ENTRY)  # a mark that names nothing is not ours either

    @override
    def _observed(self, entry: Entry, key: Key) -> Observed:
        titles, classes = entry.values("description"), {name.casefold() for name in entry.values("objectClass")}
        return Classed(
            key=key,
            handle=entry.dn,
            entry=entry.first("entryUUID") or "",
            name=self._own_name(entry, key.kind),
            title=titles[0] if len(titles) == 1 else None,
            place=entry.dn,
            mark=parsed(entry.first("stafettMark")),
            mark_text=entry.first("stafettMark"),
            marked=self._owner(entry) == key,
            classed=_CLASS.casefold() in classes,
        )

    @override
    def _in_the_way(self, entry: Entry, key: Key, name: str) -> bool:
        is_entry = key.kind is Kind.ENTRY
        return has(entry, "objectClass", _CLASSES[is_entry]) and has(entry, NAMING[is_entry], name)

    @override
    def _usable(self, kind: Kind, name: str) -> bool:
        return True

    @override
    def _created(
        self, key: Key, wanted: Wanted, dn: str, mark: Mark
    ) -> tuple[Sequence[str], dict[str, tuple[Value, ...]]]:
        is_entry = key.kind is Kind.ENTRY
        attributes: dict[str, tuple[Value, ...]] = {
            NAMING[is_entry]: (wanted.name,),
            "description": (wanted.title,),
            **{name: (value,) for name, value in _owned(key).items()},
            "stafettMark": (str(mark),),
        }
        if not is_entry:
            attributes["member"] = (self._placeholder or dn,)
        return ("top", _CLASSES[is_entry], _CLASS), attributes

    @override
    def _titled(self, title: str) -> list[Modification]:
        return [Modification(Operation.REPLACE, "description", (title,))]

    @override
    def _swap(self, observed: Observed, mark: Mark) -> list[Modification]:
        changes: list[Modification] = []
        if not observed.marked:
            owned = _owned(observed.key).items()
            changes += [Modification(Operation.REPLACE, name, (value,)) for name, value in owned]
            if isinstance(observed, Classed) and not observed.classed:
                changes.insert(0, Modification(Operation.ADD, "objectClass", (_CLASS,)))
        if observed.mark_text is not None:
            changes.append(Modification(Operation.DELETE, "stafettMark", (observed.mark_text,)))
        return [*changes, Modification(Operation.ADD, "stafettMark", (str(mark),))]

    @override
    def _refuse_taken(self, entry: Entry) -> None:
        """Let it be: the attributes are our own."""

    @override
    def _keepers(self, group: Observed) -> tuple[Reference, ...]:
        own = (group.reference,)
        return own if self._placeholder is None else (*own, Reference(self._placeholder))

    @override
    async def _rename(self, observed: Observed, rdn: str, superior: str, stamp: Stamp) -> None:
        """Rename under the assertion that the mark is still this pass's (RFC 4528).

        Groups name their members by DN, so each gets the new one in place of the old one before. Cut off in between,
        the object still has its old name, and the next pass goes on.
        """
        old, new = observed.handle, f"{rdn},{superior}"
        if observed.key.kind is not Kind.ENTRY:
            await self._replace_member(observed, old, new, stamp)
        await self._directory.rename(
            old,
            rdn,
            subject=observed.key.unit,
            superior=superior,
            condition=equals("stafettMark", str(stamp.mark)),
            deadline=stamp.deadline,
        )

    @override
    async def _delete(self, observed: Observed, stamp: Stamp) -> None:
        """Delete under the assertion that the mark is still the one observed; no group names it after that."""
        text = observed.mark_text
        condition = absent("stafettMark") if text is None else equals("stafettMark", text)
        with suppress(NoSuchEntry):
            await self._directory.delete(
                observed.handle, subject=observed.key.unit, condition=condition, deadline=stamp.deadline
            )
        if observed.key.kind is not Kind.ENTRY:
            await self._replace_member(observed, observed.handle, None, stamp)

    @override
    async def nest(self, rollup: Observed, wanted: Collection[Observed], stamp: Stamp) -> Observed:
        """Write the difference; one that would have no member left gets its placeholder before."""
        try:
            return await super().nest(rollup, wanted, stamp)
        except Permanent as refused:
            await self._keep(rollup.place, rollup.key.unit, stamp.deadline, refused)
        return await super().nest(rollup, wanted, stamp)

    @override
    async def _write_members(
        self, group: Observed, operation: Operation, some: Iterable[Reference], deadline: float | None
    ) -> None:
        members = list(some)
        try:
            await super()._write_members(group, operation, members, deadline)
        except Permanent as refused:
            await self._keep(group.place, group.key.unit, deadline, refused)
            await super()._write_members(group, operation, members, deadline)

    async def _replace_member(self, observed: Observed, old: str, new: str | None, stamp: Stamp) -> None:
        subject, deadline = observed.key.unit, stamp.deadline
        named = all_of(_GROUP, equals("member", old))
        changes = [Modification(Operation.ADD, "member", (new,))] if new else []
        changes.append(Modification(Operation.DELETE, "member", (old,)))
        base = self._everywhere(observed.key.organisation)
        for group in await self._directory.search(base, named, ["1.1"], deadline=deadline):
            with suppress(ValueGone):
                try:
                    await self._directory.modify(group.dn, changes, subject=subject, deadline=deadline)
                except Permanent as refused:
                    await self._keep(group.dn, subject, deadline, refused)
                    await self._directory.modify(group.dn, changes, subject=subject, deadline=deadline)

    async def _keep(self, group: str, subject: str, deadline: float | None, refused: Permanent) -> None:
        """Give a group its placeholder when a write was refused because it would have no member left."""
        if refused.parameters.get("result") != "objectClassViolation":
            raise refused
        keeper = Modification(Operation.ADD, "member", (self._placeholder or group,))
        with suppress(ValueExists):
            await self._directory.modify(group, [keeper], subject=subject, deadline=deadline)

    def _own_name(self, entry: Entry, kind: Kind) -> str:
        own = normalised(entry.dn)
        names = entry.values(NAMING[kind is Kind.ENTRY])
        return next((one for one in names if own.startswith(f"{normalised(self._rdn(kind, one))},")), "")


def _owned(key: Key) -> dict[str, str]:
    return {"stafettOrganisation": key.organisation, "stafettUnit": key.unit, "stafettUnitKind": key.kind}
