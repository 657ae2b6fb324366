"""Accounts in Active Directory: `CN=<login>,OU=people,<base>`, known by objectGUID and by the mark.

Disabled is the bit ACCOUNTDISABLE of `userAccountControl`; all other bits are left as they stand. One that has expired
or is locked out is closed by another hand, and is opened with the bit when a person, or HR, says so. The mark,
`stafett:<organisation>:<person>:<generation>.<epoch>`, stands in `adminDescription` and is swapped by delete + add in
the modification itself. Names are unique in the whole domain, whoever has them: another unit's people, groups,
computers, and what was deleted and is still kept.
"""

from collections.abc import AsyncIterator, Mapping, Sequence, Set
from types import MappingProxyType
from uuid import UUID

from services.accounts.adapters import windows_control as control
from services.accounts.adapters import windows_marks as marks
from services.accounts.adapters.windows_attributes import LIMITS, READ, Addresses, ours, proxies, theirs
from services.accounts.adapters.windows_control import DISABLED, NEVER, NORMAL, Control
from services.accounts.adapters.windows_entries import Account, has, has_mail, live, refuse_older, replaced
from services.accounts.adapters.windows_groups import Groups
from services.accounts.adapters.windows_names import dns_name, is_login, random_password, unicode_password
from services.accounts.domain.grants import Grant
from services.accounts.domain.limits import within
from services.accounts.domain.plan import Change, Create, Observed
from services.accounts.ports import Found, Listed, Lookup, ManagerMissing, NameTaken, PasswordRefused, Stamp, missing
from services.kernel.directory import (
    Directory,
    Entry,
    EntryExists,
    Modification,
    NoSuchEntry,
    Operation,
    PasswordPolicy,
    Scope,
    Value,
    ValueExists,
    ValueGone,
    ValueTaken,
    any_of,
    begins,
    equals,
    escape_rdn,
    has_guid,
    present,
)
from services.kernel.distinguished import domain
from services.kernel.failures import Failure, Permanent, StaleLease, Transient

OBJECT_CLASSES = ("top", "person", "organizationalPerson", "user")
_USER = "805306368"
"""sAMAccountType of users' accounts, which is indexed (SAM_NORMAL_USER_ACCOUNT)."""


class ActiveDirectoryAccounts:
    """The port AccountDirectory on Active Directory, over LDAPS, on one domain controller: replication lags.

    Args:
        directory: The domain controller.
        bases: Each organisation's unit; accounts are made in `OU=people` below it, and found in the whole domain.
        suffixes: What follows the `@` of user principal names, by organisation; without one, the domain's name.
        mark: The attribute of the mark. It should be indexed, as `employeeNumber` should.

    Raises:
        ValueError: The connection is not encrypted, or not made for Active Directory.
    """

    def __init__(
        self,
        directory: Directory,
        bases: Mapping[str, str],
        *,
        suffixes: Mapping[str, str] = MappingProxyType({}),
        mark: str = "adminDescription",
    ) -> None:
        if not (directory.active_directory and directory.encrypted):
            raise ValueError("Active Directory needs ldaps:// or StartTLS")
        self._directory = directory
        self._bases = MappingProxyType(dict(bases))
        self._suffixes = {name: suffixes.get(name) or dns_name(base) for name, base in bases.items()}
        self._groups = Groups(directory, domain(next(iter(bases.values()), "")))
        self._mark = mark
        self._read = (
            *READ, mark, "cn", "sAMAccountName", "userPrincipalName", "objectGUID",
            "objectClass", "isDeleted", *control.READ,
        )  # fmt: skip

    def fit(self, attributes: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """Cut what is longer than the schema allows."""
        return within(attributes, LIMITS)

    async def find(self, lookup: Lookup, *, deadline: float | None = None) -> Found:
        """Observe in one search of the domain, by indexed attributes; by the mark only when that leaves a doubt.

        No index helps with the beginning of a value in Samba: that search reads the whole domain. An account that is
        not known by its id yet has the names that are reserved for the person, so it is found by them.
        """
        keys = [*([has_guid(lookup.entry)] if lookup.entry else []), *self._keys(lookup)]
        entries = await self._search(lookup, any_of(*keys), deadline) if keys else []
        doubt = lookup.login is None or lookup.entry is not None
        if doubt and not any(live(entry) and self._is_mine(entry, lookup) for entry in entries):
            mark = begins(self._mark, marks.prefix(lookup.organisation, str(lookup.person)))
            seen = {entry.dn for entry in entries}
            entries += [one for one in await self._search(lookup, mark, deadline) if one.dn not in seen]
        mine = [entry for entry in entries if live(entry) and self._is_mine(entry, lookup)]
        if len(mine) > 1:
            raise Permanent("account.duplicate", entries=len(mine))
        others = [entry for entry in entries if entry not in mine and not self._was_mine(entry, lookup)]
        return Found(
            mine=self._observed(mine[0], lookup.mail) if mine else None,
            unmanaged=lookup.correlation is not None
            and any(self._adoptable(entry) and has(entry, "employeeNumber", lookup.correlation) for entry in others),
            login_taken=any(self._has_login(entry, lookup) for entry in others),
            mail_taken=lookup.mail is not None and any(has_mail(entry, lookup.mail) for entry in others),
        )

    async def add(self, login: str, create: Create, stamp: Stamp) -> Observed:
        """Add the object in its state, with a random password that nobody has seen, in one operation."""
        if not is_login(login):
            raise Permanent("account.login_unusable")
        dn = f"CN={escape_rdn(login)},{self._people(stamp.organisation)}"
        mails = create.attributes.get("mail", ())
        attributes: dict[str, tuple[Value, ...]] = {
            **theirs(create.attributes),
            "mail": mails[:1],
            "proxyAddresses": proxies(mails),
            "sAMAccountName": (login,),
            "userPrincipalName": (self._principal(stamp.organisation, login),),
            "userAccountControl": (str(NORMAL if create.enabled else NORMAL | DISABLED),),
            "unicodePwd": (unicode_password(random_password()),),
            self._mark: (marks.written(stamp),),
        }
        try:
            await self._directory.add(
                dn, OBJECT_CLASSES, attributes, subject=str(stamp.person), deadline=stamp.deadline
            )
        except (EntryExists, ValueTaken) as error:
            raise NameTaken("account.name_taken") from error
        except PasswordPolicy as error:
            raise Permanent("account.password_policy") from error
        except (NoSuchEntry, Permanent) as refused:
            raise await self._judged(refused, create.attributes, stamp) from refused
        return await self._read_back(dn, stamp, mails)

    async def change(self, observed: Observed, change: Change, stamp: Stamp) -> Observed:
        """Swap the mark and replace what differs, in one modification."""
        refuse_older(observed, stamp)
        account = await self._account(observed, stamp)
        changes = [*self._swap(observed, stamp), *replaced(theirs(change.attributes))]
        mails = change.attributes.get("mail")
        changes += account.addresses.changes(mails) if mails is not None else []
        changes += account.control.switched(enabled=change.enabled) if change.enabled is not None else []
        try:
            await self._modify(observed, changes, stamp)
        except (NoSuchEntry, Permanent) as refused:
            raise await self._judged(refused, change.attributes, stamp) from refused
        if change.login is not None:
            await self._rename(observed, change.login, stamp)
        return await self._read_back(observed.handle, stamp, mails)

    async def _rename(self, observed: Observed, login: str, stamp: Stamp) -> None:
        """Give the object another name, and then the account: by the latter it is seen what is still to do.

        Groups name their members by the object itself, so they follow. The mark must be this pass's own still.
        """
        if not is_login(login):
            raise Permanent("account.login_unusable")
        subject, deadline, mark = str(stamp.person), stamp.deadline, marks.written(stamp)
        entry, rdn = await self._entry(observed.handle, deadline), f"CN={escape_rdn(login)}"
        if entry is None:
            raise Transient("account.changed_meanwhile")
        names = [
            Modification(Operation.DELETE, self._mark, (mark,)),
            Modification(Operation.ADD, self._mark, (mark,)),
            Modification(Operation.REPLACE, "sAMAccountName", (login,)),
            Modification(Operation.REPLACE, "userPrincipalName", (self._principal(stamp.organisation, login),)),
        ]
        try:
            if not entry.dn.casefold().startswith(f"{rdn},".casefold()):
                # Samba finds no object by its id here
                await self._directory.rename(entry.dn, rdn, subject=subject, deadline=deadline)
            await self._modify(observed, names, stamp)
        except (EntryExists, ValueTaken) as error:
            raise NameTaken("account.name_taken") from error

    async def delete(self, observed: Observed, stamp: Stamp) -> None:
        """Delete after the mark that was observed has been swapped: there is no assertion control.

        Whoever had the lease before us comes to nothing then; whoever gets it after us finds that ours has run out,
        and no call is begun that could outlive it.
        """
        refuse_older(observed, stamp)
        try:
            await self._modify(observed, self._swap(observed, stamp), stamp)
            await self._remove(observed, stamp)
        except NoSuchEntry:
            return
        if await self._entry(observed.handle, stamp.deadline) is not None:
            raise Transient("account.not_verified", step="delete")

    async def adopt(self, observed: Observed, stamp: Stamp) -> Observed:
        """Write the mark; an account that has an owner, or something of others in the mark's place, is left to them."""
        entry = await self._entry(observed.handle, stamp.deadline)
        if entry is None:
            raise Transient("account.changed_meanwhile")
        seen, owner = self._observed(entry), marks.owner(entry.first(self._mark))
        if owner == (stamp.organisation, str(stamp.person)):
            return seen
        if owner is not None:
            raise Permanent("account.foreign")
        if seen.mark_text is not None:
            raise Permanent("account.mark_taken", attribute=self._mark)
        await self._modify(seen, self._swap(seen, stamp), stamp)
        return await self._read_back(observed.handle, stamp, None)

    async def read(self, organisation: str, entry: str, *, deadline: float | None = None) -> Listed | None:
        """Read the object by its objectGUID, wherever in the domain it is."""
        del organisation
        found = await self._entry(f"<GUID={entry}>", deadline)
        return self._listed(found) if found else None

    async def pages(self, organisation: str) -> AsyncIterator[Sequence[Listed]]:
        """Read all users' objects below the organisation's base by the paged results control (RFC 2696)."""
        people = equals("sAMAccountType", _USER)
        async for entries in self._directory.search_all(self._bases[organisation], people, self._read):
            yield [self._listed(entry) for entry in entries]

    async def held(self, observed: Observed, asked: Set[Grant], *, deadline: float | None = None) -> frozenset[Grant]:
        """Ask the account which groups it is in, and the domain which of those asked for they are."""
        return await self._groups.of(observed.handle, asked, deadline)

    def holders(self, organisation: str, grant: Grant) -> AsyncIterator[Sequence[str]]:
        """Ask for the users whose `memberOf` names the group: a group's own `member` comes in ranges."""
        return self._groups.members(self._bases[organisation], grant)

    async def grant(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Make the account a member of the group with that sAMAccountName, and see that it is."""
        group = await self._groups.named(grant, stamp.deadline)
        if group is None:
            raise missing(grant)
        if not await self._groups.is_member(observed.handle, group, stamp.deadline):
            await self._refuse_stale(observed, stamp)
            await self._groups.write(observed.handle, group, stamp, member=True)

    async def revoke(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Take the account out of the group, and see that it is out."""
        group = await self._groups.named(grant, stamp.deadline)
        if group is not None and await self._groups.is_member(observed.handle, group, stamp.deadline):
            await self._refuse_stale(observed, stamp)
            await self._groups.write(observed.handle, group, stamp, member=False)

    async def set_password(self, observed: Observed, password: str, stamp: Stamp) -> None:
        """Replace `unicodePwd`, and see that the domain says that it was set."""
        before = await self._entry(observed.handle, stamp.deadline)
        change = Modification(Operation.REPLACE, "unicodePwd", (unicode_password(password),))
        try:
            await self._directory.modify(observed.handle, [change], subject=str(stamp.person), deadline=stamp.deadline)
        except PasswordPolicy as refused:
            raise PasswordRefused("account.password_refused") from refused
        after = await self._entry(observed.handle, stamp.deadline)
        if before is None or after is None or control.password_set(after) in {NEVER, control.password_set(before)}:
            raise Transient("account.not_verified", step="password")

    async def probe(self) -> None:
        """Bind anew and read the first organisation's base."""
        await self._directory.probe(next(iter(self._bases.values()), ""))

    def _keys(self, lookup: Lookup) -> list[str]:
        keys: list[tuple[str, str | None]] = [("employeeNumber", lookup.correlation)]
        if lookup.login:
            principal = self._principal(lookup.organisation, lookup.login)
            keys += [("sAMAccountName", lookup.login), ("userPrincipalName", principal), ("cn", lookup.login)]
        if lookup.mail:
            keys += [("mail", lookup.mail), ("proxyAddresses", f"smtp:{lookup.mail}")]
        return [equals(attribute, value) for attribute, value in keys if value]

    async def _search(self, lookup: Lookup, condition: str, deadline: float | None) -> list[Entry]:
        base = domain(self._bases[lookup.organisation])
        return await self._directory.search(base, condition, self._read, deleted=True, deadline=deadline)

    def _is_mine(self, entry: Entry, lookup: Lookup) -> bool:
        """Tell by the mark; an object that we know by its id is the person's too, unless another's mark is on it."""
        owner = marks.owner(entry.first(self._mark))
        if owner == (lookup.organisation, str(lookup.person)):
            return True
        if lookup.entry is None or not has(entry, "objectGUID", lookup.entry):
            return False
        if owner is not None:
            raise Permanent("account.foreign")
        return True

    def _was_mine(self, entry: Entry, lookup: Lookup) -> bool:
        """Tell whether a deleted object was the person's: their names may come back, for a new account."""
        if live(entry):
            return False
        owner = marks.owner(entry.first(self._mark))
        known = lookup.entry is not None and has(entry, "objectGUID", lookup.entry)
        return known or owner == (lookup.organisation, str(lookup.person))

    def _adoptable(self, entry: Entry) -> bool:
        return live(entry) and has(entry, "objectClass", "user") and marks.owner(entry.first(self._mark)) is None

    def _has_login(self, entry: Entry, lookup: Lookup) -> bool:
        if not lookup.login:
            return False
        if has(entry, "sAMAccountName", lookup.login):
            return True
        if has(entry, "userPrincipalName", self._principal(lookup.organisation, lookup.login)):
            return True
        beside = live(entry) and entry.dn.casefold().endswith(f",{self._people(lookup.organisation)}".casefold())
        return beside and has(entry, "cn", lookup.login)

    def _people(self, organisation: str) -> str:
        return f"OU=people,{self._bases[organisation]}"

    def _principal(self, organisation: str, login: str) -> str:
        return f"{login}@{self._suffixes[organisation]}"

    async def _entry(self, handle: str, deadline: float | None) -> Entry | None:
        found = await self._directory.search(
            handle, present("objectClass"), self._read, scope=Scope.BASE, deadline=deadline
        )
        return found[0] if found else None

    async def _account(self, observed: Observed, stamp: Stamp) -> Account:
        """Return what was observed with what Active Directory keeps beside it."""
        if isinstance(observed, Account):
            return observed
        entry = await self._entry(observed.handle, stamp.deadline)
        if entry is None:
            raise Transient("account.changed_meanwhile")
        return self._observed(entry)

    async def _read_back(self, handle: str, stamp: Stamp, mails: Sequence[str] | None) -> Account:
        entry = await self._entry(handle, stamp.deadline)
        if entry is None or marks.owner(entry.first(self._mark)) != (stamp.organisation, str(stamp.person)):
            raise Transient("account.not_verified", step="read_back")
        return self._observed(entry, mails[0] if mails else None)

    def _listed(self, entry: Entry) -> Listed:
        organisation, person = marks.owner(entry.first(self._mark)) or (None, None)
        try:
            return Listed(self._observed(entry), organisation, UUID(person) if person else None)
        except ValueError:
            return Listed(self._observed(entry), organisation)  # a mark that names nobody

    def _observed(self, entry: Entry, primary: str | None = None) -> Account:
        guid, text, state = entry.first("objectGUID") or "", entry.first(self._mark), Control.of(entry)
        return Account(
            handle=f"<GUID={guid}>",
            entry=guid,
            user_name=entry.first("sAMAccountName") or "",
            enabled=state.enabled,
            mark=marks.parsed(text),
            attributes=ours(entry, primary),
            mark_text=text,
            place=entry.dn,
            reference=entry.dn,
            control=state,
            addresses=Addresses.of(entry),
        )

    def _swap(self, observed: Observed, stamp: Stamp) -> list[Modification]:
        old = observed.mark_text
        gone = [] if old is None else [Modification(Operation.DELETE, self._mark, (old,))]
        return [*gone, Modification(Operation.ADD, self._mark, (marks.written(stamp),))]

    async def _modify(self, observed: Observed, changes: Sequence[Modification], stamp: Stamp) -> None:
        try:
            await self._directory.modify(observed.handle, changes, subject=str(stamp.person), deadline=stamp.deadline)
        except (ValueGone, ValueExists) as error:
            raise await self._lost(observed, stamp) from error

    async def _judged(self, refused: Failure, attributes: Mapping[str, tuple[str, ...]], stamp: Stamp) -> Failure:
        """Say why a write was refused: the domain takes no manager who is not there, moved away for example."""
        for manager in attributes.get("manager", ()):
            if await self._entry(manager, stamp.deadline) is None:
                return ManagerMissing("account.manager_missing")
        return refused

    async def _refuse_stale(self, observed: Observed, stamp: Stamp) -> None:
        """Read again: a membership carries no mark that could be compared while it is written."""
        entry = await self._entry(observed.handle, stamp.deadline)
        if entry is not None:
            refuse_older(self._observed(entry), stamp)

    async def _lost(self, observed: Observed, stamp: Stamp) -> Failure:
        """Say why compare-and-set was lost: to a newer pass, or to somebody who changed it by hand meanwhile."""
        entry = await self._entry(observed.handle, stamp.deadline)
        mark = marks.parsed(entry.first(self._mark)) if entry else None
        if mark is not None and mark > stamp.mark:
            return StaleLease("account.stale_lease")
        return Transient("account.changed_meanwhile")

    async def _remove(self, observed: Observed, stamp: Stamp) -> None:
        subject, deadline = str(stamp.person), stamp.deadline
        try:
            await self._directory.delete(observed.handle, subject=subject, deadline=deadline)
        except Permanent as refused:
            # devices of a mailbox, for example, stand below their user
            if refused.parameters.get("result") != "notAllowedOnNonLeaf":
                raise
            await self._directory.delete(observed.handle, subject=subject, subtree=True, deadline=deadline)
