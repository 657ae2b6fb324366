"""Accounts in Microsoft Entra ID, by Microsoft Graph v1.0.

Entra has no compare-and-set, so there is no mark: the lease and the database carry it, every call is over before the
lease is, and the account is read again right before it is written. Reads lag behind writes by seconds or minutes: an id
that was stored is asked for by itself, a 404 soon after is no proof of anything, and nothing is made under another name
while an account of ours may still come into sight.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from typing import Any

from services.accounts.adapters.entra_attributes import (
    DELETED_BY_US,
    EXTENSIONS,
    EntraOptions,
    SignIn,
    User,
    addresses,
    synced,
)
from services.accounts.adapters.entra_creation import EntraCreation
from services.accounts.adapters.entra_grants import EntraGrants
from services.accounts.adapters.entra_managers import EntraManagers
from services.accounts.adapters.entra_search import USERS, EntraSearch
from services.accounts.adapters.entra_writes import EntraWrites, patch, revoke
from services.accounts.domain.grants import Grant
from services.accounts.domain.plan import Change, Create, Observed
from services.accounts.ports import AskedNames, Found, Listed, Lookup, NameTaken, PasswordRefused, Stamp
from services.kernel.directory import EntryExists, Graph, NoSuchEntry, Request
from services.kernel.failures import Permanent, Transient, Waiting


class EntraAccounts:
    """The port AccountDirectory on one tenant of Entra ID."""

    def __init__(self, graph: Graph, options: EntraOptions, asked: AskedNames) -> None:
        self._graph = graph
        self._options = options
        self._look = EntraSearch(graph, options)
        self._managers = EntraManagers(graph, self._look, options.settle)
        self._grants = EntraGrants(graph, options.usage_location)
        self._writes = EntraWrites(graph, options, self._look)
        self._creation = EntraCreation(options, self._look, self._writes, asked)

    async def find(self, lookup: Lookup, *, deadline: float | None = None) -> Found:
        """Observe by id when there is one, which sees the latest; else in one search of the index, which lags.

        Raises:
            Transient: `account.not_replicated`: it was just made, and does not show yet.
        """
        known = await self._known(lookup, deadline)
        if known is not None and (lookup.mail is None or lookup.mail.casefold() in addresses(known)):
            return Found(mine=self._options.observed(known))
        users = await self._look.all(USERS, self._look.candidates(lookup), deadline)
        mine = {str(user["id"]): user for user in users if self._options.owner(user) == str(lookup.person)}
        if known is not None:
            mine[str(known["id"])] = known
        if len(mine) > 1:
            raise Permanent("account.duplicate", entries=len(mine))
        others = [user for user in users if user["id"] not in mine]
        if known is None and mine:
            known = await self._look.user(next(iter(mine)), deadline)
            if known is None:
                raise Transient("account.not_replicated")
        return Found(
            mine=self._options.observed(known) if known else None,
            unmanaged=any(self._look.unmanaged(user, lookup) for user in others),
            login_taken=any(self._look.named(user, lookup) for user in others) or self._creation.login_withheld(lookup),
            mail_taken=lookup.mail is not None and self._creation.taken(lookup.mail, others),
        )

    async def add(self, login: str, create: Create, stamp: Stamp) -> Observed:
        """Make the account, or restore what another hand deleted; with a password that nobody has seen.

        A restored account has the state that it was deleted in until the next write, an instant later. Safe after an
        unknown outcome: the name is taken by the account itself then, which is looked for until it shows.
        """
        added = self._options.observed(await self._creation.add(login, create, stamp))
        return await self._managers.lead(added, create.attributes, stamp)

    async def change(self, observed: Observed, change: Change, stamp: Stamp) -> Observed:
        """Write what differs from the account as it is now. One that shall be closed is closed before all else.

        The manager is a write by itself, and the last one.
        """
        return await self._managers.lead(await self._changed(observed, change, stamp), change.attributes, stamp)

    async def _changed(self, observed: Observed, change: Change, stamp: Stamp) -> Observed:
        user = await self._current(observed, stamp)
        body = self._options.properties(change.attributes)
        if self._options.sign_in is SignIn.MAIL and body.get("mail"):
            body["userPrincipalName"] = body["mail"]
        if change.login is not None:
            body |= self._options.named(stamp.organisation, change.login)
        if synced(user):
            return await self._change_synced(user, body, change, stamp)
        body = self._options.changed(user, {**body, EXTENSIONS: {self._options.person_attribute: str(stamp.person)}})
        if change.enabled is False:
            return self._options.observed(await self._writes.close(user, body, stamp))
        if change.enabled:
            marks = self._options.marks(stamp.person, None)
            body |= self._options.changed(user, {"accountEnabled": True, EXTENSIONS: marks})
        if body:
            try:
                await self._writes.write(patch(observed.entry, body), stamp)
            except EntryExists as taken:
                if change.login is None:
                    raise
                raise NameTaken("account.name_taken") from taken
        return self._options.observed(await self._writes.settled(observed.entry, body, stamp))

    async def delete(self, observed: Observed, stamp: Stamp) -> None:
        """Move the account to the deleted items, where Entra keeps it for 30 days, and see that it is there or gone.

        It is noted on it that it was us: then it is nobody's any more, and its person would get a new one.
        """
        user = await self._look.user(observed.entry, stamp.deadline)
        if user is not None:
            self._refuse_foreign(user, stamp)
            if synced(user):
                raise Waiting("account.synced")
        note = {EXTENSIONS: self._options.marks(stamp.person, DELETED_BY_US)}
        try:
            delete = Request("DELETE", "/users/{id}", {"id": observed.entry})
            await self._writes.each([patch(observed.entry, note), delete], stamp)
        except NoSuchEntry:
            return
        for wait in (0.0, *self._options.settle):
            await asyncio.sleep(wait)
            if await self._look.deleted(observed.entry, stamp.deadline):
                return
            if await self._look.user(observed.entry, stamp.deadline) is None:
                return
        raise Transient("account.not_verified", step="delete")

    async def adopt(self, observed: Observed, stamp: Stamp) -> Observed:
        """Write whose it is; on one that Active Directory writes, the id that the database keeps has to do."""
        user = await self._current(observed, stamp)
        if self._options.owner(user) is not None and self._options.person(user) is None:
            raise Permanent("account.mark_taken", attribute=self._options.person_attribute)
        if self._options.owner(user) not in {None, str(stamp.person)}:
            raise Permanent("account.foreign")
        mark = {EXTENSIONS: {self._options.person_attribute: str(stamp.person)}}
        if self._options.owner(user) is None and not synced(user):
            await self._writes.write(patch(observed.entry, mark), stamp)
            user = await self._writes.settled(observed.entry, mark, stamp)
        return self._options.observed(user)

    async def read(self, organisation: str, entry: str, *, deadline: float | None = None) -> Listed | None:
        """Fetch the user, under whatever domain they sign in by now."""
        user = await self._look.user(entry, deadline)
        return self._listed(user, organisation) if user else None

    async def pages(self, organisation: str) -> AsyncIterator[Sequence[Listed]]:
        """Yield the members (not guests) who sign in under the organisation's domain, up to 999 at a time."""
        domain = f"@{self._options.domains[organisation]}".casefold()
        async for page in self._look.members():
            here = [user for user in page if str(user.get("userPrincipalName")).casefold().endswith(domain)]
            yield [self._listed(user, organisation) for user in here]

    async def held(self, observed: Observed, asked: Set[Grant], *, deadline: float | None = None) -> frozenset[Grant]:
        """Return which of the groups, licences and mail routes asked about the account was given itself."""
        return await self._grants.held(observed, asked, deadline)

    def holders(self, organisation: str, grant: Grant) -> AsyncIterator[Sequence[str]]:
        """Read the group's members, or of all users their licences, up to 999 at a time."""
        del organisation
        return self._grants.holders(grant)

    async def grant(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Give a group, a mail route or a licence; a licence brings the country of use with it where there is none."""
        await self._grants.grant(observed, grant, stamp)

    async def revoke(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Take a group, a licence or a mail route."""
        await self._grants.revoke(observed, grant, stamp)

    async def set_password(self, observed: Observed, password: str, stamp: Stamp) -> None:
        """Set the password that the person has chosen."""
        profile = {"password": password, "forceChangePasswordNextSignIn": False}
        try:
            await self._writes.write(patch(observed.entry, {"passwordProfile": profile}), stamp)
        except Permanent as refused:
            if refused.code != "graph.password_refused":
                raise
            raise PasswordRefused("account.password_refused") from refused

    def fit(self, attributes: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """Return what of the attributes Entra can hold, as it can hold it: plan and verify with these."""
        return self._options.fit(attributes)

    async def probe(self) -> None:
        """Fetch a user."""
        await self._graph.probe()

    async def _change_synced(self, user: User, body: Mapping[str, Any], change: Change, stamp: Stamp) -> Observed:
        """Active Directory writes this one: all that can be done here is to end its sessions."""
        if change.enabled is False:
            await self._writes.write(revoke(str(user["id"])), stamp)
        elif self._options.changed(user, body):
            raise Waiting("account.synced")
        if change.enabled is not None and user.get("accountEnabled") is not change.enabled:
            raise Waiting("account.synced")
        return self._options.observed(user)

    def _listed(self, user: User, organisation: str) -> Listed:
        person = self._options.person(user)
        return Listed(self._options.observed(user), organisation if person else None, person)

    async def _known(self, lookup: Lookup, deadline: float | None) -> User | None:
        if lookup.entry is None:
            return None
        user = await self._look.user(lookup.entry, deadline)
        if user is None:
            if lookup.fresh and not await self._look.deleted(lookup.entry, deadline):
                raise Transient("account.not_replicated")
            return None
        if self._options.person(user) not in {None, lookup.person}:
            raise Permanent("account.foreign")
        return user

    async def _current(self, observed: Observed, stamp: Stamp) -> User:
        user = await self._look.user(observed.entry, stamp.deadline)
        if user is None:
            raise Transient("account.changed_meanwhile")
        self._refuse_foreign(user, stamp)
        return user

    def _refuse_foreign(self, user: User, stamp: Stamp) -> None:
        if self._options.person(user) not in {None, stamp.person}:
            raise Permanent("account.foreign")
