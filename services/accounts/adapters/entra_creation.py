"""New accounts in Entra ID: one for each person, whatever became of the calls before, and whatever lags."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from services.accounts.adapters.entra_attributes import (
    EXTENSIONS,
    NEVER_OPEN,
    EntraOptions,
    SignIn,
    User,
    addresses,
    synced,
)
from services.accounts.adapters.entra_search import DELETED, GROUPS, USERS, EntraSearch, addressed
from services.accounts.adapters.entra_writes import EntraWrites, patch
from services.accounts.domain.plan import Create
from services.accounts.ports import Asked, AskedNames, Lookup, NameTaken, Stamp
from services.kernel.directory import EntryExists, Request, identified, malformed
from services.kernel.failures import LeaseShort, Permanent, Throttled, Transient, Waiting

_SECRET_BYTES = 32
LAG = 900.0
"""Seconds for which Entra may not show what was made."""


class EntraCreation:
    """Makes accounts, and restores those that another hand deleted."""

    def __init__(self, options: EntraOptions, look: EntraSearch, writes: EntraWrites, asked: AskedNames) -> None:
        self._options = options
        self._look = look
        self._writes = writes
        self._asked = asked
        self._withheld: set[str] = set()
        """Addresses that Graph refused although no user has them: a deleted one's, or a group's.

        Memory will do: who starts without it asks once more, is refused once more, and has made nothing.
        """

    async def add(self, login: str, create: Create, stamp: Stamp) -> User:
        """Return the person's new account: restored, found where an earlier call has made it, or made."""
        body = self._body(login, create, stamp)
        found = await self._look.all(DELETED, [self._look.of(stamp.person)], stamp.deadline)
        mine = [user for user in found if self._options.owner(user) == str(stamp.person)]
        deleted = [user for user in mine if not self._options.deleted_by_us(user)]
        if deleted:
            latest = max(deleted, key=lambda user: str(user.get("deletedDateTime") or ""))
            return await self._restore(latest, body, create, stamp)
        earlier, standing = await self._earlier(str(body["userPrincipalName"]), stamp)
        return earlier or await self._make(body, create, standing, stamp)

    def taken(self, mail: str, others: Sequence[User]) -> bool:
        """Tell whether an address is somebody else's, or was refused as if it were."""
        wanted = mail.casefold()
        return wanted in self._withheld or any(wanted in addresses(user) for user in others)

    def login_withheld(self, lookup: Lookup) -> bool:
        """Tell whether the name that the person would sign in by was refused."""
        if lookup.login is None or self._options.sign_in is not SignIn.LOGIN:
            return False
        return self._options.principal(lookup.organisation, lookup.login, None).casefold() in self._withheld

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

    async def _earlier(self, name: str, stamp: Stamp) -> tuple[User | None, Asked | None]:
        """Write down what is about to be asked for: a name, or the id of what is restored.

        Returns:
            What an earlier call made under another name, if it did; and the earlier call under this name, of which we
            never learned what became of it.

        Raises:
            Transient: So it is of one under another name; nothing of it shows, and may yet.
        """
        standing = await self._asked.ask(stamp.organisation, stamp.person, name, within=LAG)
        if standing is None or standing.name == name:
            return None, standing
        user = await self._look.user(standing.name, stamp.deadline)
        if user is None:
            raise Transient("account.not_replicated")
        await self._asked.settle(stamp.organisation, stamp.person)
        if self._options.owner(user) == str(stamp.person):
            return user, None
        return await self._earlier(name, stamp)

    async def _make(self, body: Mapping[str, str | None], create: Create, standing: Asked | None, stamp: Stamp) -> User:
        extensions = self._options.marks(stamp.person, None if create.enabled else NEVER_OPEN)
        made = {
            **{name: value for name, value in body.items() if value is not None},
            EXTENSIONS: {name: value for name, value in extensions.items() if value is not None},
            "accountEnabled": create.enabled,
            "passwordProfile": self._secret(),
        }
        try:
            answer = await self._writes.write(Request("POST", "/users", body=made), stamp)
        except EntryExists as taken:
            user = await self._whose(body, stamp, standing, taken)
        except (Permanent, Throttled, LeaseShort):
            await self._asked.settle(stamp.organisation, stamp.person)
            raise
        else:
            user = await self._writes.settled(identified(answer.body), made, stamp)
            if self._options.owner(user) != str(stamp.person):
                raise malformed()
        await self._asked.settle(stamp.organisation, stamp.person)
        return user

    async def _whose(
        self, body: Mapping[str, str | None], stamp: Stamp, standing: Asked | None, taken: EntryExists
    ) -> User:
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
        # what a deleted account of the name seems to hold may be held by our own, made by the earlier call
        withheld = not users and standing is None and await self._hidden(names, stamp)
        if not users and not withheld:
            if standing is not None:
                await self._asked.unask(stamp.organisation, stamp.person, standing.age)
            raise Transient("account.not_replicated") from taken
        self._withheld |= {name.casefold() for name in names} if withheld else set()
        await self._asked.settle(stamp.organisation, stamp.person)
        raise NameTaken("account.name_taken") from taken

    async def _hidden(self, names: Sequence[str], stamp: Stamp) -> bool:
        """Tell whether a deleted user or a group has one of the names."""
        for path in (DELETED, GROUPS):
            held = [each for name in names for each in addressed(name, users=path is DELETED)]
            if await self._look.some(path, held, stamp.deadline):
                return True
        return False

    async def _restore(self, deleted: User, body: Mapping[str, Any], create: Create, stamp: Stamp) -> User:
        """Take back what another hand deleted, with its mailbox; nobody gets in by what they knew of it before."""
        entry = str(deleted["id"])
        if synced(deleted):
            raise Waiting("account.synced")
        earlier, _ = await self._earlier(entry, stamp)
        if earlier is not None:
            return earlier
        try:
            await self._writes.write(Request("POST", "/directory/deletedItems/{id}/restore", {"id": entry}), stamp)
        except EntryExists as taken:
            await self._asked.settle(stamp.organisation, stamp.person)
            raise Permanent("account.restore_conflict") from taken
        user = await self._look.user(entry, stamp.deadline)
        if user is None:
            raise Transient("account.not_replicated")
        await self._asked.settle(stamp.organisation, stamp.person)
        body = {**self._options.changed(user, {**self._options.empty, **body}), "passwordProfile": self._secret()}
        user = await self._writes.close(user, body, stamp)
        if not create.enabled:
            return user
        opened = {"accountEnabled": True, EXTENSIONS: self._options.marks(stamp.person, None)}
        await self._writes.write(patch(entry, opened), stamp)
        return await self._writes.settled(entry, opened, stamp)

    def _secret(self) -> dict[str, object]:
        """Return a password that nobody has seen."""
        password = f"aA1-{secrets.token_urlsafe(_SECRET_BYTES)}"
        return {"password": password, "forceChangePasswordNextSignIn": self._options.change_password}
