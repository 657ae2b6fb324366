"""Accounts in Microsoft Entra ID, by Microsoft Graph v1.0.

Entra has no compare-and-set, so there is no mark: the lease and the database carry it, every call is over before the
lease is, and the account is read again right before it is written. Reads lag behind writes by seconds or minutes: an id
that was stored is asked for by itself, a 404 soon after is no proof of anything, and nothing is made under another name
while an account of ours may still come into sight.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from typing import Any
from uuid import UUID

from services.accounts.adapters.entra_attributes import (
    EXTENSIONS,
    NEVER_OPEN,
    EntraOptions,
    SignIn,
    User,
    addresses,
    synced,
)
from services.accounts.adapters.entra_grants import EntraGrants
from services.accounts.adapters.entra_search import DELETED, GROUPS, USERS, EntraSearch, addressed
from services.accounts.domain.grants import Grant
from services.accounts.domain.plan import Change, Create, Observed
from services.accounts.ports import Found, Listed, Lookup, NameTaken, PasswordRefused, Stamp
from services.kernel.directory import Answer, EntryExists, Graph, NoSuchEntry, Request
from services.kernel.failures import Failure, LeaseShort, Permanent, Throttled, Transient, Waiting

_SECRET_BYTES = 32
LAG = 900.0
"""Seconds for which Entra may not show what was made."""


class EntraAccounts:
    """The port AccountDirectory on one tenant of Entra ID."""

    def __init__(self, graph: Graph, options: EntraOptions) -> None:
        self._graph = graph
        self._options = options
        self._look = EntraSearch(graph, options)
        self._grants = EntraGrants(graph, options.usage_location)
        self._withheld: set[str] = set()
        """Addresses that Graph refused although no user has them: a deleted one's, or a group's."""
        self._unsure: dict[UUID, tuple[str, float]] = {}
        """Names that an account was asked for under while we learned nothing of it, and until when it may come."""

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
            login_taken=any(self._look.named(user, lookup) for user in others) or self._login_withheld(lookup),
            mail_taken=lookup.mail is not None and self._taken(lookup.mail, others),
        )

    async def add(self, login: str, create: Create, stamp: Stamp) -> Observed:
        """Make the account, or restore it from the deleted items; with a password that nobody has seen.

        A restored account has the state that it was deleted in until the next write, an instant later. Safe after an
        unknown outcome: the name is taken by the account itself then, which is looked for until it shows.
        """
        body = self._body(login, create, stamp)
        deleted = await self._look.all(DELETED, [self._look.of(stamp.person)], stamp.deadline)
        if deleted:
            latest = max(deleted, key=lambda user: str(user.get("deletedDateTime") or ""))
            return await self._restore(str(latest["id"]), body, create, stamp)
        earlier = await self._earlier(str(body["userPrincipalName"]), stamp)
        return self._options.observed(earlier or await self._make(body, create, stamp))

    async def change(self, observed: Observed, change: Change, stamp: Stamp) -> Observed:
        """Write what differs from the account as it is now. One that shall be closed is closed before all else."""
        user = await self._current(observed, stamp)
        body = self._options.properties(change.attributes)
        if self._options.sign_in is SignIn.MAIL and body.get("mail"):
            body["userPrincipalName"] = body["mail"]
        if synced(user):
            return await self._change_synced(user, body, change, stamp)
        body = self._options.changed(user, {**body, EXTENSIONS: {self._options.person_attribute: str(stamp.person)}})
        if change.enabled is False:
            return await self._close(user, body, stamp)
        if change.enabled:
            marks = self._options.marks(stamp.person, None)
            body |= self._options.changed(user, {"accountEnabled": True, EXTENSIONS: marks})
        if body:
            await self._write(_patch(observed.entry, body), stamp)
        return self._options.observed(await self._settled(observed.entry, body, stamp))

    async def delete(self, observed: Observed, stamp: Stamp) -> None:
        """Move the account to the deleted items, where Entra keeps it for 30 days, and see that it is there or gone."""
        user = await self._look.user(observed.entry, stamp.deadline)
        if user is not None:
            self._refuse_foreign(user, stamp)
            if synced(user):
                raise Waiting("account.synced")
        try:
            await self._write(Request("DELETE", "/users/{id}", {"id": observed.entry}), stamp)
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
        mark = {EXTENSIONS: {self._options.person_attribute: str(stamp.person)}}
        if self._options.owner(user) is None and not synced(user):
            await self._write(_patch(observed.entry, mark), stamp)
            user = await self._settled(observed.entry, mark, stamp)
        return self._options.observed(user)

    async def pages(self, organisation: str) -> AsyncIterator[Sequence[Listed]]:
        """Yield the members (not guests) who sign in under the organisation's domain, up to 999 at a time."""
        domain = f"@{self._options.domains[organisation]}".casefold()
        async for page in self._look.members():
            here = [user for user in page if str(user.get("userPrincipalName")).casefold().endswith(domain)]
            yield [self._listed(user, organisation) for user in here]

    async def held(self, observed: Observed, asked: Set[Grant], *, deadline: float | None = None) -> frozenset[Grant]:
        """Return which of the groups and licences asked about the account was given itself."""
        return await self._grants.held(observed, asked, deadline)

    async def grant(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Give a group or a licence; a licence brings the country of use with it where there is none."""
        await self._grants.grant(observed, grant, stamp)

    async def revoke(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Take a group or a licence."""
        await self._grants.revoke(observed, grant, stamp)

    async def set_password(self, observed: Observed, password: str, stamp: Stamp) -> None:
        """Set the password that the person has chosen."""
        profile = {"password": password, "forceChangePasswordNextSignIn": False}
        try:
            await self._write(_patch(observed.entry, {"passwordProfile": profile}), stamp)
        except Permanent as refused:
            if refused.code != "graph.password_refused":
                raise
            raise PasswordRefused("account.password_refused") from refused

    async def manage(self, observed: Observed, manager: str | None, stamp: Stamp) -> None:
        """Say who the manager is, by the id of their account, or that there is none. Writes only a difference."""
        if manager == await self._look.manager(observed.entry, stamp.deadline):
            return
        path, values = "/users/{id}/manager/$ref", {"id": observed.entry}
        if manager is None:
            await self._write(Request("DELETE", path, values), stamp)
        else:
            reference = {"@odata.id": f"{self._graph.root}/users/{manager}"}
            await self._write(Request("PUT", path, values, body=reference), stamp)

    def fit(self, attributes: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """Return what of the attributes Entra can hold, as it can hold it: plan and verify with these."""
        return self._options.fit(attributes)

    async def probe(self) -> None:
        """Fetch a user."""
        await self._graph.probe()

    def _body(self, login: str, create: Create, stamp: Stamp) -> dict[str, str | None]:
        mail = next(iter(create.attributes.get("mail", ())), None)
        location = {"usageLocation": self._options.usage_location} if self._options.usage_location else {}
        return {
            "displayName": login,
            **self._options.properties(create.attributes),
            "mailNickname": login,
            "userPrincipalName": self._options.principal(stamp.organisation, login, mail),
            **location,
        }

    async def _make(self, body: Mapping[str, str | None], create: Create, stamp: Stamp) -> User:
        password = {
            "password": f"aA1-{secrets.token_urlsafe(_SECRET_BYTES)}",
            "forceChangePasswordNextSignIn": self._options.change_password,
        }
        extensions = self._options.marks(stamp.person, None if create.enabled else NEVER_OPEN)
        made = {
            **{name: value for name, value in body.items() if value is not None},
            EXTENSIONS: {name: value for name, value in extensions.items() if value is not None},
            "accountEnabled": create.enabled,
            "passwordProfile": password,
        }
        self._unsure[stamp.person] = (str(body["userPrincipalName"]), time.monotonic() + LAG)
        try:
            answer = await self._write(Request("POST", "/users", body=made), stamp)
        except EntryExists as taken:
            user = await self._whose(body, stamp, taken)
        except (Permanent, Throttled, LeaseShort):
            self._unsure.pop(stamp.person, None)
            raise
        else:
            user = await self._settled(str(answer.body["id"]), made, stamp)
        self._unsure.pop(stamp.person, None)
        return user

    async def _earlier(self, principal: str, stamp: Stamp) -> User | None:
        """Return what an earlier call made under another name, when we never learned what became of it.

        Raises:
            Transient: It does not show, and may yet.
        """
        name, until = self._unsure.get(stamp.person, (principal, 0.0))
        if name == principal:
            return None
        user = await self._look.user(name, stamp.deadline)
        if user is not None and self._options.owner(user) == str(stamp.person):
            return user
        if user is None and time.monotonic() < until:
            raise Transient("account.not_replicated")
        return None

    async def _restore(self, entry: str, body: Mapping[str, Any], create: Create, stamp: Stamp) -> Observed:
        try:
            await self._write(Request("POST", "/directory/deletedItems/{id}/restore", {"id": entry}), stamp)
        except EntryExists as taken:
            raise Permanent("account.restore_conflict") from taken
        user = await self._look.user(entry, stamp.deadline)
        if user is None:
            raise Transient("account.not_replicated")
        state = {"accountEnabled": True, EXTENSIONS: self._options.marks(stamp.person, None)} if create.enabled else {}
        body = self._options.changed(user, {**self._options.empty, **body, **state})
        if not create.enabled and self._options.enabled(user) is not False:
            return await self._close(user, body, stamp)
        if body:
            await self._write(_patch(entry, body), stamp)
        return self._options.observed(await self._settled(entry, body, stamp))

    async def _close(self, user: User, body: Mapping[str, Any], stamp: Stamp) -> Observed:
        """Close, revoke, then write the rest, each when the one before has succeeded: a refused name closes nothing."""
        entry = str(user["id"])
        marks = self._options.marks(stamp.person, self._options.sessions(user))
        closing = {"accountEnabled": False, EXTENSIONS: marks}
        rest = {name: value for name, value in body.items() if name != EXTENSIONS}
        steps = [_patch(entry, closing), _revoke(entry), *([_patch(entry, rest)] if rest else [])]
        results = await self._graph.batch(steps, subject=str(stamp.person), ordered=True, deadline=stamp.deadline)
        for result in results:
            if isinstance(result, Failure):
                raise result
        return self._options.observed(await self._settled(entry, {"accountEnabled": False, **rest}, stamp))

    async def _change_synced(self, user: User, body: Mapping[str, Any], change: Change, stamp: Stamp) -> Observed:
        """Active Directory writes this one: all that can be done here is to end its sessions."""
        if change.enabled is False:
            await self._write(_revoke(str(user["id"])), stamp)
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
        owner = self._options.owner(user)
        if owner not in {None, str(lookup.person)}:
            raise Permanent("account.foreign")
        return user

    async def _current(self, observed: Observed, stamp: Stamp) -> User:
        user = await self._look.user(observed.entry, stamp.deadline)
        if user is None:
            raise Transient("account.changed_meanwhile")
        self._refuse_foreign(user, stamp)
        return user

    def _refuse_foreign(self, user: User, stamp: Stamp) -> None:
        if self._options.owner(user) not in {None, str(stamp.person)}:
            raise Permanent("account.foreign")

    async def _settled(self, entry: str, written: Mapping[str, Any], stamp: Stamp) -> User:
        """Read back until it shows what was written, for a few seconds; the caller judges what it then shows.

        Raises:
            Transient: It does not show at all.
        """
        user: User | None = None
        for wait in (0.0, *self._options.settle):
            await asyncio.sleep(wait)
            user = await self._look.user(entry, stamp.deadline)
            if user is not None and self._options.unchanged(user, written):
                break
        if user is None:
            raise Transient("account.not_replicated", entry=entry)
        return user

    async def _whose(self, body: Mapping[str, str | None], stamp: Stamp, taken: EntryExists) -> User:
        """Return the account that has the name: ours when it is this person's, made by an earlier call.

        Raises:
            NameTaken: It is somebody else's, or withheld by something that is no user.
            Transient: Nothing shows that has it: most likely our own, which is not replicated yet.
        """
        principal, mail = str(body["userPrincipalName"]), body.get("mail")
        names = sorted({principal, mail or principal})
        direct = await self._look.user(principal, stamp.deadline)
        conditions = [self._look.of(stamp.person), *(each for name in names for each in addressed(name))]
        users = [*([direct] if direct else []), *await self._look.all(USERS, conditions, stamp.deadline)]
        mine = next((user for user in users if self._options.owner(user) == str(stamp.person)), None)
        if mine is not None:
            return mine
        if users:
            self._unsure.pop(stamp.person, None)
            raise NameTaken("account.name_taken") from taken
        for path in (DELETED, GROUPS):
            held = [each for name in names for each in addressed(name, users=path is DELETED)]
            if await self._look.all(path, held, stamp.deadline, select="id"):
                self._withheld |= {name.casefold() for name in names}
                self._unsure.pop(stamp.person, None)
                raise NameTaken("account.name_taken") from taken
        raise Transient("account.not_replicated") from taken

    def _taken(self, mail: str, others: Sequence[User]) -> bool:
        wanted = mail.casefold()
        return wanted in self._withheld or any(wanted in addresses(user) for user in others)

    def _login_withheld(self, lookup: Lookup) -> bool:
        if lookup.login is None or self._options.sign_in is not SignIn.LOGIN:
            return False
        return self._options.principal(lookup.organisation, lookup.login, None).casefold() in self._withheld

    async def _write(self, request: Request, stamp: Stamp) -> Answer:
        return await self._graph.write(request, subject=str(stamp.person), deadline=stamp.deadline)


def _patch(entry: str, body: Mapping[str, Any]) -> Request:
    return Request("PATCH", "/users/{id}", {"id": entry}, body=dict(body))


def _revoke(entry: str) -> Request:
    return Request("POST", "/users/{id}/revokeSignInSessions", {"id": entry})
