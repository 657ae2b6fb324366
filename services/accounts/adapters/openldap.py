"""Accounts in OpenLDAP: `uid=<login>,ou=people,<base>`, inetOrgPerson + stafettManaged.

Disabled is ppolicy's `pwdEndTime`, a constant in the past: slapd has its own clock, so the end itself is never written
(deploy/openldap/README.md has what was tried). Of an account that is open it holds the instant at which that expires,
which lies behind the end. The mark is swapped by delete + add in the modification itself.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from services.accounts.domain.expiry import heard, spoken
from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.other_hand import EXPIRES
from services.accounts.domain.plan import Change, Create, Observed
from services.accounts.ports import Found, Listed, Lookup, NameTaken, PasswordRefused, Stamp, missing
from services.kernel.directory import (
    Directory,
    Entry,
    EntryExists,
    Modification,
    NoSuchEntry,
    Operation,
    Scope,
    ValueExists,
    ValueGone,
    absent,
    all_of,
    any_of,
    equals,
    escape_rdn,
    present,
)
from services.kernel.failures import Failure, Permanent, StaleLease, Transient
from services.kernel.marks import Mark

CLOSED = "20000101000000Z"
OBJECT_CLASSES = ("top", "person", "organizationalPerson", "inetOrgPerson", "stafettManaged")
_COMMA = re.compile(r"(?<!\\),")
_GROUP = equals("objectClass", "groupOfNames")
MANAGED = (
    "cn", "displayName", "givenName", "sn", "mail", "employeeNumber", "title", "ou", "departmentNumber", "manager",
)  # fmt: skip
# pwdEndTime is operational: it is returned only when it is asked for by name.
_READ = (
    *MANAGED,
    "objectClass",
    "uid",
    "stafettPerson",
    "stafettMark",
    "stafettOrganisation",
    "pwdEndTime",
    "entryUUID",
)


@dataclass(frozen=True)
class Account(Observed):
    """What was read. `owned`: it says whose it is; `classed`: it is of the class that may."""

    owned: bool = True
    classed: bool = True


class OpenLdapAccounts:
    """The port AccountDirectory on OpenLDAP."""

    def __init__(self, directory: Directory, bases: Mapping[str, str]) -> None:
        self._directory = directory
        self._bases = MappingProxyType(dict(bases))

    def fit(self, attributes: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """Return them as they are: slapd bounds no length."""
        return attributes

    async def find(self, lookup: Lookup, *, deadline: float | None = None) -> Found:
        """Observe in one search below the organisation's base, by indexed attributes.

        An entry that we know by its id is the person's also when somebody has taken its mark away, but not when
        another's is on it.

        Raises:
            Permanent: `account.foreign`: another's mark is on the account; or more than one carries this person.
        """
        asked = [equals("stafettPerson", str(lookup.person))]
        asked += [equals("entryUUID", lookup.entry)] if lookup.entry else []
        keys = (("employeeNumber", lookup.correlation), ("uid", lookup.login), ("mail", lookup.mail))
        asked += [equals(attribute, value) for attribute, value in keys if value]
        base = self._bases[lookup.organisation]
        entries = await self._directory.search(base, any_of(*asked), _READ, deadline=deadline)
        mine = [entry for entry in entries if _is_mine(entry, lookup)]
        if len(mine) > 1:
            raise Permanent("account.duplicate", entries=len(mine))
        others = [entry for entry in entries if entry not in mine]
        return Found(
            mine=_observed(mine[0]) if mine else None,
            unmanaged=lookup.correlation is not None
            and any(_unmarked(entry) and _has(entry, "employeeNumber", lookup.correlation) for entry in others),
            login_taken=lookup.login is not None and any(_has(entry, "uid", lookup.login) for entry in others),
            mail_taken=lookup.mail is not None and any(_has(entry, "mail", lookup.mail) for entry in others),
        )

    async def add(self, login: str, create: Create, stamp: Stamp) -> Observed:
        """Add the entry, closed from its first moment unless it shall be open; it has no password in any case."""
        dn = f"uid={escape_rdn(login)},ou=people,{self._bases[stamp.organisation]}"
        expires = create.attributes.get(EXPIRES, ())
        attributes = {
            **{name: values for name, values in create.attributes.items() if name != EXPIRES},
            "uid": (login,),
            "stafettPerson": (str(stamp.person),),
            "stafettOrganisation": (stamp.organisation,),
            "stafettMark": (str(stamp.mark),),
            "stafettRevision": (str(stamp.revision),),
            "pwdEndTime": generalized(expires) if create.enabled else (CLOSED,),
        }
        try:
            await self._directory.add(
                dn, OBJECT_CLASSES, attributes, subject=str(stamp.person), deadline=stamp.deadline
            )
        except EntryExists as error:
            raise NameTaken("account.name_taken") from error
        return await self._read(dn, stamp)

    async def change(self, observed: Observed, change: Change, stamp: Stamp) -> Observed:
        """Swap the mark and replace what differs, in one modification."""
        _refuse_older(observed, stamp)
        modifications = [*_regained(observed, stamp)]
        modifications.append(Modification(Operation.REPLACE, "stafettRevision", (str(stamp.revision),)))
        if observed.mark_text is not None:
            modifications.append(Modification(Operation.DELETE, "stafettMark", (observed.mark_text,)))
        modifications.append(Modification(Operation.ADD, "stafettMark", (str(stamp.mark),)))
        modifications += [
            Modification(Operation.REPLACE, name, values)
            for name, values in change.attributes.items()
            if name != EXPIRES
        ]
        end = _end(observed, change)
        modifications += [Modification(Operation.REPLACE, "pwdEndTime", end)] if end is not None else []
        try:
            await self._directory.modify(
                observed.handle, modifications, subject=str(stamp.person), deadline=stamp.deadline
            )
        except ValueGone as error:
            raise await self._lost(observed, stamp) from error
        handle = observed.handle if change.login is None else await self._rename(observed, change.login, stamp)
        return await self._read(handle, stamp)

    async def delete(self, observed: Observed, stamp: Stamp) -> None:
        """Delete under the assertion that the mark is still the one observed (RFC 4528)."""
        _refuse_older(observed, stamp)
        text = observed.mark_text
        condition = absent("stafettMark") if text is None else equals("stafettMark", text)
        try:
            await self._directory.delete(
                observed.handle, subject=str(stamp.person), condition=condition, deadline=stamp.deadline
            )
        except NoSuchEntry:
            return
        except ValueGone as error:
            raise await self._lost(observed, stamp) from error
        if await self._entry(observed.handle, stamp) is not None:
            raise Transient("account.not_verified", step="delete")

    async def adopt(self, observed: Observed, stamp: Stamp) -> Observed:
        """Add the mark, its class and whose it is; an entry that has an owner already is left to them."""
        entry = await self._entry(observed.handle, stamp)
        if entry is None or entry.first("entryUUID") != observed.entry:
            raise Permanent("account.adoption_gone")
        if _owner(entry) == (stamp.organisation, str(stamp.person)):
            return _observed(entry)
        if not _unmarked(entry):
            raise Permanent("account.foreign")
        marks = {
            "stafettPerson": str(stamp.person),
            "stafettOrganisation": stamp.organisation,
            "stafettMark": str(stamp.mark),
            "stafettRevision": str(stamp.revision),
        }
        modifications = [Modification(Operation.ADD, name, (value,)) for name, value in marks.items()]
        if not _classed(entry):
            modifications.insert(0, Modification(Operation.ADD, "objectClass", ("stafettManaged",)))
        try:
            await self._directory.modify(
                observed.handle, modifications, subject=str(stamp.person), deadline=stamp.deadline
            )
        except ValueExists as error:
            raise Transient("account.changed_meanwhile") from error
        return await self._read(observed.handle, stamp)

    async def read(self, organisation: str, entry: str, *, deadline: float | None = None) -> Listed | None:
        """Search for it below the organisation's base, by an index."""
        known = equals("entryUUID", entry)
        found = await self._directory.search(self._bases[organisation], known, _READ, deadline=deadline)
        return _listed(found[0]) if found else None

    async def pages(self, organisation: str) -> AsyncIterator[Sequence[Listed]]:
        """Read all people's entries by the paged results control (RFC 2696)."""
        people = equals("objectClass", "inetOrgPerson")
        async for entries in self._directory.search_all(self._bases[organisation], people, _READ):
            yield [_listed(entry) for entry in entries]

    async def held(self, observed: Observed, asked: Set[Grant], *, deadline: float | None = None) -> frozenset[Grant]:
        """Ask the groups, in one search by the indexed `member`: membership stands there and not on the entry."""
        groups = {grant.value.casefold(): grant for grant in asked if grant.kind is GrantKind.GROUP}
        if not groups:
            return frozenset()
        condition = all_of(_GROUP, equals("member", observed.handle))
        entries = await self._directory.search(self._base_of(observed), condition, ["cn"], deadline=deadline)
        names = {name.casefold() for entry in entries for name in entry.values("cn")}
        return frozenset(grant for name, grant in groups.items() if name in names)

    async def holders(self, organisation: str, grant: Grant) -> AsyncIterator[Sequence[str]]:
        """Read the group's `member`."""
        if grant.kind is GrantKind.GROUP:
            condition = all_of(_GROUP, equals("cn", grant.value))
            async for groups in self._directory.search_all(self._bases[organisation], condition, ["member"]):
                for group in groups:
                    yield group.values("member")

    async def grant(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Make the account a member of the group of that `cn`."""
        group = await self._group(grant, stamp)
        if group is None:
            raise missing(grant)
        member = Modification(Operation.ADD, "member", (observed.handle,))
        with suppress(ValueExists):
            await self._directory.modify(group, [member], subject=str(stamp.person), deadline=stamp.deadline)

    async def revoke(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Take the account out of the group; the last member of a groupOfNames is replaced by the group itself."""
        group = await self._group(grant, stamp)
        if group is None:
            return
        member = Modification(Operation.DELETE, "member", (observed.handle,))
        keeper = Modification(Operation.ADD, "member", (group,))
        subject, deadline = str(stamp.person), stamp.deadline
        with suppress(NoSuchEntry, ValueGone):
            try:
                await self._directory.modify(group, [member], subject=subject, deadline=deadline)
            except Permanent as refused:
                if refused.parameters.get("result") != "objectClassViolation":
                    raise
                await self._directory.modify(group, [keeper, member], subject=subject, deadline=deadline)

    async def set_password(self, observed: Observed, password: str, stamp: Stamp) -> None:
        """Set it by the Password Modify operation, so that the server hashes it and its policy judges it."""
        try:
            await self._directory.set_password(
                observed.handle, password, subject=str(stamp.person), deadline=stamp.deadline
            )
        except Permanent as refused:
            if refused.parameters.get("result") != "constraintViolation":
                raise
            raise PasswordRefused("account.password_refused") from refused

    async def probe(self) -> None:
        """Bind anew and read the first organisation's base."""
        await self._directory.probe(next(iter(self._bases.values()), ""))

    async def _rename(self, observed: Observed, login: str, stamp: Stamp) -> str:
        """Rename the entry; groups name their members by DN, so each gets the new one in place of the old one before.

        Cut off in between, the entry still has its old name, and the next pass goes on.
        """
        rdn, old = f"uid={escape_rdn(login)}", observed.handle
        new = f"{rdn},{_COMMA.split(old, maxsplit=1)[1]}"
        if await self._entry(new, stamp) is not None:
            raise NameTaken("account.name_taken")
        subject, deadline = str(stamp.person), stamp.deadline
        named = all_of(_GROUP, equals("member", old))
        for group in await self._directory.search(self._base_of(observed), named, ["1.1"], deadline=deadline):
            members = [
                Modification(Operation.ADD, "member", (new,)),
                Modification(Operation.DELETE, "member", (old,)),
            ]
            await self._directory.modify(group.dn, members, subject=subject, deadline=deadline)
        try:
            await self._directory.rename(old, rdn, subject=subject, deadline=deadline)
        except EntryExists as error:
            raise NameTaken("account.name_taken") from error
        return new

    async def _group(self, grant: Grant, stamp: Stamp) -> str | None:
        if grant.kind is not GrantKind.GROUP:
            return None
        base, named = self._bases[stamp.organisation], all_of(_GROUP, equals("cn", grant.value))
        found = await self._directory.search(base, named, ["1.1"], deadline=stamp.deadline)
        if len(found) > 1:
            raise Permanent("account.group_ambiguous", group=grant.value)
        return found[0].dn if found else None

    def _base_of(self, observed: Observed) -> str:
        return max((base for base in self._bases.values() if observed.handle.endswith(base)), key=len)

    async def _read(self, dn: str, stamp: Stamp) -> Observed:
        entry = await self._entry(dn, stamp)
        if entry is None or _owner(entry) != (stamp.organisation, str(stamp.person)):
            raise Transient("account.not_verified", step="read_back")
        return _observed(entry)

    async def _entry(self, dn: str, stamp: Stamp) -> Entry | None:
        found = await self._directory.search(
            dn, present("objectClass"), _READ, scope=Scope.BASE, deadline=stamp.deadline
        )
        return found[0] if found else None

    async def _lost(self, observed: Observed, stamp: Stamp) -> Failure:
        """Say why compare-and-set was lost: to a newer pass, or to somebody who changed it by hand meanwhile."""
        entry = await self._entry(observed.handle, stamp)
        mark = _observed(entry).mark if entry else None
        if mark is not None and mark > stamp.mark:
            return StaleLease("account.stale_lease")
        return Transient("account.changed_meanwhile")


def _end(observed: Observed, change: Change) -> tuple[str, ...] | None:
    """Return what `pwdEndTime` becomes, or None: what is closed, and stays so, does not expire."""
    if change.enabled is False:
        return (CLOSED,)
    if change.enabled or (observed.enabled and EXPIRES in change.attributes):
        return generalized(change.attributes.get(EXPIRES, observed.attributes.get(EXPIRES, ())))
    return None


def generalized(instant: tuple[str, ...]) -> tuple[str, ...]:
    """Return an instant as slapd writes it (RFC 4517, section 3.3.13)."""
    return tuple(heard(one).strftime("%Y%m%d%H%M%SZ") for one in instant)


def _expires(end: str | None) -> tuple[str, ...]:
    if end is None or end == CLOSED:
        return ()
    try:
        return spoken(datetime.strptime(end, "%Y%m%d%H%M%S%z"))
    except ValueError:
        return ()


def _refuse_older(observed: Observed, stamp: Stamp) -> None:
    if observed.mark is not None and observed.mark > stamp.mark:
        raise StaleLease("account.stale_lease")


def _owner(entry: Entry) -> tuple[str | None, str | None]:
    return entry.first("stafettOrganisation"), entry.first("stafettPerson")


def _unmarked(entry: Entry) -> bool:
    return entry.first("stafettPerson") is None


def _is_mine(entry: Entry, lookup: Lookup) -> bool:
    if _owner(entry) == (lookup.organisation, str(lookup.person)):
        return True
    if lookup.entry is None or entry.first("entryUUID") != lookup.entry:
        return False
    if not _unmarked(entry):
        raise Permanent("account.foreign")
    return True


def _regained(observed: Observed, stamp: Stamp) -> list[Modification]:
    """Return what says again whose an account is, when somebody has taken that away."""
    if not isinstance(observed, Account) or observed.owned:
        return []
    owner = {"stafettPerson": str(stamp.person), "stafettOrganisation": stamp.organisation}
    said = [Modification(Operation.REPLACE, name, (value,)) for name, value in owner.items()]
    return said if observed.classed else [Modification(Operation.ADD, "objectClass", ("stafettManaged",)), *said]


def _classed(entry: Entry) -> bool:
    return "stafettmanaged" in {name.casefold() for name in entry.values("objectClass")}


def _listed(entry: Entry) -> Listed:
    organisation, person = _owner(entry)
    try:
        return Listed(_observed(entry), organisation, UUID(person) if person else None)
    except ValueError:
        return Listed(_observed(entry), organisation)  # a mark that names nobody


def _has(entry: Entry, attribute: str, value: str) -> bool:
    """Compare as the server does for uid, mail and employeeNumber (caseIgnore)."""
    return value.casefold() in {found.casefold() for found in entry.values(attribute)}


def _observed(entry: Entry) -> Account:
    end = entry.first("pwdEndTime")
    expires = _expires(end)
    found = {name: entry.values(name) for name in MANAGED if entry.values(name)}
    return Account(
        handle=entry.dn,
        entry=entry.first("entryUUID") or "",
        user_name=entry.first("uid") or "",
        enabled=False if end == CLOSED else (True if end is None or expires else None),
        mark=_mark(entry.first("stafettMark")),
        attributes={**found, EXPIRES: expires} if expires else found,
        mark_text=entry.first("stafettMark"),
        place=entry.dn,
        reference=entry.dn,
        owned=not _unmarked(entry),
        classed=_classed(entry),
    )


def _mark(text: str | None) -> Mark | None:
    try:
        return Mark.parse(text) if text is not None else None
    except ValueError:
        return None
