"""What accounts need from outside."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from services.accounts.domain.desired import ReservedNames
from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.names import Naming
from services.accounts.domain.plan import Change, Create, Observed, Removal
from services.kernel.database import Connection
from services.kernel.failures import Failure, Permanent, Transient, Waiting
from services.kernel.guard import Budget
from services.kernel.marks import Mark


class NameTaken(Transient):
    """Add: something that is not this person's account has the name; the next candidate shall be tried."""


class ManagerMissing(Transient):
    """Add, change: whom the attribute `manager` names is not there (any more); the rest may or may not be written."""


class PasswordRefused(Permanent):
    """The directory's password policy refuses a password: too short, too simple, used before."""


def missing(grant: Grant) -> Failure:
    """Return why something cannot be given: the target does not have it (yet), or never will."""
    if grant.kind is GrantKind.MAIL_ROUTE:
        return Permanent("account.routes_no_mail", mail_route=grant.value)
    if grant.kind is GrantKind.GROUP:
        return Waiting("account.group_missing", group=grant.value)
    return Waiting("account.licence_missing", licence=grant.value)


@dataclass(frozen=True)
class Lookup:
    """What to look for in one search: the person, the correlation key, the wanted login and addresses.

    `entry` is the account's immutable id as it was last verified, for a directory that is best asked by it; `fresh`:
    that was minutes ago, so one that lags behind its own writes may not show it yet.
    """

    organisation: str
    person: UUID
    correlation: str | None = None
    login: str | None = None
    mail: str | None = None
    entry: str | None = None
    fresh: bool = False


@dataclass(frozen=True)
class Found:
    """What is there: the person's account; an *unmarked* object with their correlation key; wanted names in use."""

    mine: Observed | None = None
    unmanaged: bool = False
    login_taken: bool = False
    mail_taken: bool = False


@dataclass(frozen=True)
class Stamp:
    """Who writes: mark and revision of the pass, and the event loop time by which it must be over.

    `live`: the person's unit is live in the target; else only marks are written. `admitted`: what the guard lets be
    taken away.
    """

    organisation: str
    person: UUID
    mark: Mark
    revision: int
    deadline: float | None = None
    live: bool = True
    admitted: frozenset[Removal] = frozenset()


@dataclass(frozen=True)
class Listed:
    """An account as the whole target is read: its mark says whose it is, or it has none and is not ours."""

    observed: Observed
    organisation: str | None = None
    person: UUID | None = None


class AccountDirectory(Protocol):
    """A directory that holds accounts. A failure to answer means *unknown*: find again before anything else."""

    def fit(self, attributes: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """Return the attributes as the directory can hold them, so that a value it cannot hold is not written for ever.

        What shall be is compared and written after this.
        """
        ...

    async def find(self, lookup: Lookup, *, deadline: float | None = None) -> Found:
        """Observe, in one search.

        Raises:
            Permanent: More than one account carries this person.
            Unavailable: The directory is away.
        """
        ...

    async def add(self, login: str, create: Create, stamp: Stamp) -> Observed:
        """Add the account in its state (never open in between) and read it back.

        Raises:
            NameTaken: The name is somebody else's; find again tells whose.
            ManagerMissing: Find again, and leave the manager out.
            Failure: The directory refuses, or is away: then find again.
        """
        ...

    async def change(self, observed: Observed, change: Change, stamp: Stamp) -> Observed:
        """Change attributes, state and mark in one modification and read it back.

        Another login takes more than one: it is the last thing that is written, so that a pass that is cut off is seen.
        Groups that the account is in follow it.

        Raises:
            NameTaken: The new login is somebody else's; find again tells whose.
            StaleLease: A newer pass owns the account; nothing was changed.
            ManagerMissing: Find again, and leave the manager out.
            Failure: The directory refuses, or is away: then find again.
        """
        ...

    async def delete(self, observed: Observed, stamp: Stamp) -> None:
        """Delete the account, only while it carries the mark that was observed, and see that it is gone.

        Raises:
            StaleLease: A newer pass owns the account; nothing was deleted.
            Failure: The directory refuses, or is away: then find again.
        """
        ...

    async def adopt(self, observed: Observed, stamp: Stamp) -> Observed:
        """Mark an account that has no mark as the person's, and change nothing else. Safe to repeat.

        Raises:
            StaleLease: A newer pass owns the account.
            Permanent: It is somebody else's by now (`account.foreign`), or not there any more, or another one is
                (`account.adoption_gone`).
            Failure: The directory refuses, or is away: then find again.
        """
        ...

    async def read(self, organisation: str, entry: str, *, deadline: float | None = None) -> Listed | None:
        """Return the account with this immutable id as it stands now, whosever it is; None when it is gone.

        It is found where `find` looks, also outside the place that `pages` reads.

        Raises:
            Unavailable: The directory is away.
        """
        ...

    def pages(self, organisation: str) -> AsyncIterator[Sequence[Listed]]:
        """Yield all accounts of people below the organisation's place, a page at a time; memory stays bounded.

        Raises:
            Unavailable: The directory went away; begin again.
        """
        ...

    async def held(self, observed: Observed, asked: Set[Grant], *, deadline: float | None = None) -> frozenset[Grant]:
        """Return which of the grants asked about the account has, whoever gave them.

        Raises:
            Unavailable: The directory is away.
        """
        ...

    def holders(self, organisation: str, grant: Grant) -> AsyncIterator[Sequence[str]]:
        """Yield the handles of all who have a grant, whoever gave it, a page at a time; nobody when there is none such.

        Others than accounts below the organisation's place may be among them. Names are spelled as the target does.

        Raises:
            Unavailable: The directory went away; begin again.
        """
        ...

    async def grant(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Give the account a group, a licence or a mail route. Safe to repeat: one that it has is left as it is.

        Raises:
            Waiting: There is no such group or licence, or none is left; somebody has to make or buy it. The account has
                no mailbox (yet).
            Permanent: This kind of target routes no mail.
            Failure: The directory refuses, or is away: then whether it was given is unknown.
        """
        ...

    async def revoke(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Take a group, licence or route from the account. Safe to repeat: one that it does not have, or that is gone.

        Raises:
            Failure: The directory refuses, or is away: then whether it was taken is unknown.
        """
        ...

    async def set_password(self, observed: Observed, password: str, stamp: Stamp) -> None:
        """Set the password that the person has chosen; it is kept nowhere but in the directory.

        Raises:
            PasswordRefused: The directory's password policy refuses it; another one may do.
            Failure: The directory refuses, or is away: then whether it was set is unknown.
        """
        ...

    async def probe(self) -> None:
        """Return when the directory answers.

        Raises:
            Unavailable: It is away.
        """
        ...


@dataclass(frozen=True)
class Asked:
    """What an account was asked for under, and how many seconds ago, when it is not known what became of that."""

    name: str
    age: float


class AskedNames(Protocol):
    """Under what name an account was asked for in a target, until it is known what became of the call.

    For a directory that lags behind its own writes: an account of which nothing shows yet must not be made once more
    under another name, whoever was killed meanwhile. Each call is a transaction of its own.
    """

    async def ask(self, organisation: str, person: UUID, name: str, *, within: float) -> Asked | None:
        """Write down that an account is about to be asked for under a name; the same one may be asked for again.

        Returns:
            What stands from within so many seconds before. When that is another name, nothing was written down.

        Raises:
            Transient: The database is away: then nothing may be asked for.
        """
        ...

    async def unask(self, organisation: str, person: UUID, age: float) -> None:
        """Say that the last request has certainly made nothing: what stands is as old as before it.

        Raises:
            Transient: The database is away.
        """
        ...

    async def settle(self, organisation: str, person: UUID) -> None:
        """Forget the name: the account was seen, or was certainly not made. Safe to repeat.

        Raises:
            Transient: The database is away.
        """
        ...


class Decision(Protocol):
    """What a decision table answered, and which row did."""

    @property
    def output(self) -> Mapping[str, Any]:
        """The row's outputs."""
        ...

    @property
    def row(self) -> str:
        """The row's id."""
        ...


Decide = Callable[[str, str, Mapping[str, object]], Decision]
"""(table, organisation, state) to what the table says."""


DecideAll = Callable[[str, str, Mapping[str, object]], Sequence[Decision]]
"""(table, organisation, state) to what every row says that matches; nothing when there is no such table."""


class Tables(Protocol):
    """Decision tables, those in force or with another one tried (services.kernel.policy)."""

    def decide(self, table: str, organisation: str, state: Mapping[str, object]) -> Decision:
        """Evaluate a table; it never sees the time."""
        ...

    def decide_all(self, table: str, organisation: str, state: Mapping[str, object]) -> Sequence[Decision]:
        """Evaluate a table of which every row counts that matches."""
        ...


class Policy(Tables, Protocol):
    """The active decision tables (services.kernel.policy)."""

    def hash(self, table: str, organisation: str) -> str:
        """Return the hash of the active content."""
        ...

    async def refresh(self, conn: Connection) -> None:
        """See an activation by another process."""
        ...


@dataclass(frozen=True)
class RemovalRequest:
    """A destructive action before it happens."""

    organisation: str
    target: str
    person: UUID
    removal: Removal
    revision: int
    budget: Budget


@dataclass(frozen=True)
class Admission:
    """The guard's answer: go ahead, or held under this id; `refused` when a person has said no."""

    admitted: bool
    hold: UUID | None = None
    refused: bool = False


class Ledger(Protocol):
    """What a pass needs from the database while it runs; each call is a transaction of its own."""

    async def next_names(
        self, organisation: str, person: UUID, present: ReservedNames, rule: Naming, *, login: bool, mail: bool
    ) -> ReservedNames:
        """Refuse the present login and/or primary address, which others hold in the directory; reserve the next."""
        ...

    async def own(self, organisation: str, person: UUID, target: str, grants: Set[Grant]) -> None:
        """Write down that we are about to give these, so that only ours are ever taken away. Safe to repeat."""
        ...

    async def give_anew(self, organisation: str, person: UUID, target: str) -> Mapping[Grant, bool]:
        """Say that an account which is about to be made has nothing of what the one before it was given.

        What another hand had taken from that one, and is not decided, stays taken. Safe to repeat.

        Returns:
            What is ours, and whether it was seen to be there.
        """
        ...

    async def forget(self, organisation: str, person: UUID) -> None:
        """Leave hashes of an erased person's names, and nothing of what was said of the accounts. Safe to repeat."""
        ...

    async def conceal(self, organisation: str, person: UUID) -> None:
        """Forget what was published of a person's accounts: it holds login and address. Safe to repeat."""
        ...

    async def admit(self, request: RemovalRequest) -> Admission:
        """Ask the guard."""
        ...
