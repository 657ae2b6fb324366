"""A directory in memory that behaves as the port promises, and can be told to misbehave."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from services.accounts.domain.grants import Grant
from services.accounts.domain.limits import within
from services.accounts.domain.plan import Change, Create, Observed
from services.accounts.ports import Found, Listed, Lookup, ManagerMissing, NameTaken, PasswordRefused, Stamp, missing
from services.kernel.failures import Permanent, StaleLease, Transient, Unavailable
from services.kernel.marks import Mark


@dataclass
class MemoryEntry:
    """One object; without `person` it is unmanaged. A mark that is text is somebody else's."""

    organisation: str | None
    person: UUID | None
    login: str
    enabled: bool | None
    mark: Mark | str | None
    attributes: dict[str, tuple[str, ...]]
    entry: str = field(default_factory=lambda: str(uuid4()))
    grants: set[Grant] = field(default_factory=set)
    password: str | None = None


class MemoryDirectory:
    """The port AccountDirectory in memory.

    `writes` counts what was written. `answer_lost` makes the next write happen and its answer get lost; `away` makes
    everything fail; `returns` changes what the server gives back for what was written. `offered` is what there is to
    grant.
    """

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], MemoryEntry] = {}
        self.offered: set[Grant] = set()
        self.limits: dict[str, int] = {}
        self.writes = 0
        self.answer_lost = False
        self.away = False
        self.returns: Callable[[str], str] = lambda value: value

    def put_unmanaged(self, organisation: str, login: str, attributes: Mapping[str, tuple[str, ...]]) -> None:
        """Add an object that is not ours."""
        self.entries[organisation, login] = MemoryEntry(None, None, login, True, None, dict(attributes))

    def fit(self, attributes: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """Cut values to `limits`."""
        return within(attributes, self.limits)

    async def find(self, lookup: Lookup, *, deadline: float | None = None) -> Found:
        """Observe."""
        del deadline
        self._answer()
        here = [entry for (base, _), entry in self.entries.items() if base == lookup.organisation]
        mine = [e for e in here if (e.organisation, e.person) == (lookup.organisation, lookup.person)]
        if len(mine) > 1:
            raise Permanent("account.duplicate", entries=len(mine))
        others = [entry for entry in here if entry not in mine]
        return Found(
            mine=self._observed(mine[0], lookup.organisation) if mine else None,
            unmanaged=lookup.correlation is not None
            and any(e.person is None and lookup.correlation in e.attributes.get("employeeNumber", ()) for e in others),
            login_taken=any(e.login == lookup.login for e in others),
            mail_taken=any(lookup.mail in e.attributes.get("mail", ()) for e in others),
        )

    async def add(self, login: str, create: Create, stamp: Stamp) -> Observed:
        """Add an entry."""
        self._answer()
        key = (stamp.organisation, login)
        if key in self.entries:
            raise NameTaken("account.name_taken")
        self._refuse_nobody(create.attributes)
        self.entries[key] = MemoryEntry(
            stamp.organisation, stamp.person, login, create.enabled, stamp.mark, self._stored(create.attributes)
        )
        self._written()
        return self._observed(self.entries[key], stamp.organisation)

    async def change(self, observed: Observed, change: Change, stamp: Stamp) -> Observed:
        """Swap the mark and change what differs."""
        self._answer()
        entry = self._current(observed, stamp)
        if entry is None:
            raise Transient("directory.no_such_entry")
        self._refuse_nobody(change.attributes)
        if change.login is not None:
            if (stamp.organisation, change.login) in self.entries:
                raise NameTaken("account.name_taken")
            del self.entries[stamp.organisation, entry.login]
            self.entries[stamp.organisation, change.login] = entry
            entry.login = change.login
        entry.mark = stamp.mark
        entry.attributes = {k: v for k, v in {**entry.attributes, **self._stored(change.attributes)}.items() if v}
        entry.enabled = entry.enabled if change.enabled is None else change.enabled
        self._written()
        return self._observed(entry, stamp.organisation)

    async def delete(self, observed: Observed, stamp: Stamp) -> None:
        """Delete while the mark is the one observed."""
        self._answer()
        if self._current(observed, stamp) is None:
            return
        del self.entries[stamp.organisation, observed.user_name]
        self._written()

    async def adopt(self, observed: Observed, stamp: Stamp) -> Observed:
        """Mark it."""
        self._answer()
        entry = self._entry(observed)
        if (entry.organisation, entry.person) != (stamp.organisation, stamp.person):
            if entry.person is not None:
                raise Permanent("account.foreign")
            entry.organisation, entry.person, entry.mark = stamp.organisation, stamp.person, stamp.mark
            self._written()
        return self._observed(entry, stamp.organisation)

    async def read(self, organisation: str, entry: str, *, deadline: float | None = None) -> Listed | None:
        """Return it by its id."""
        del deadline
        self._answer()
        here = (one for (base, _), one in self.entries.items() if base == organisation and one.entry == entry)
        found = next(here, None)
        return Listed(self._observed(found, organisation), found.organisation, found.person) if found else None

    async def pages(self, organisation: str) -> AsyncIterator[Sequence[Listed]]:
        """Yield them two at a time."""
        self._answer()
        here = [entry for (base, _), entry in self.entries.items() if base == organisation]
        for at in range(0, len(here), 2):
            pair = here[at : at + 2]
            yield [Listed(self._observed(one, organisation), one.organisation, one.person) for one in pair]

    async def held(self, observed: Observed, asked: Set[Grant], *, deadline: float | None = None) -> frozenset[Grant]:
        """Return which of the grants the account has."""
        del deadline
        self._answer()
        return frozenset(self._entry(observed).grants & asked)

    async def holders(self, organisation: str, grant: Grant) -> AsyncIterator[Sequence[str]]:
        """Yield who has it, two at a time."""
        self._answer()
        here = [self._observed(entry, organisation).handle for entry in self.entries.values() if grant in entry.grants]
        for at in range(0, len(here), 2):
            yield here[at : at + 2]

    async def grant(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Give it."""
        del stamp
        self._answer()
        if grant not in self.offered:
            raise missing(grant)
        if grant not in self._entry(observed).grants:
            self._entry(observed).grants.add(grant)
            self._written()

    async def revoke(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Take it."""
        del stamp
        self._answer()
        if grant in self._entry(observed).grants:
            self._entry(observed).grants.remove(grant)
            self._written()

    async def set_password(self, observed: Observed, password: str, stamp: Stamp) -> None:
        """Set it; the policy asks for twelve characters."""
        del stamp
        self._answer()
        if len(password) < 12:
            raise PasswordRefused("account.password_refused")
        self._entry(observed).password = password
        self._written()

    async def probe(self) -> None:
        """Answer, or not."""
        self._answer()

    def _entry(self, observed: Observed) -> MemoryEntry:
        return next(entry for entry in self.entries.values() if entry.entry == observed.entry)

    def _current(self, observed: Observed, stamp: Stamp) -> MemoryEntry | None:
        entry = self.entries.get((stamp.organisation, observed.user_name))
        for mark in (observed.mark, entry.mark if entry else None):
            if isinstance(mark, Mark) and mark > stamp.mark:
                raise StaleLease("account.stale_lease")
        if entry is not None and _text(entry.mark) != observed.mark_text:
            raise Transient("account.changed_meanwhile")
        return entry

    def _refuse_nobody(self, attributes: Mapping[str, tuple[str, ...]]) -> None:
        there = {self._observed(entry, entry.organisation or "").reference for entry in self.entries.values()}
        if not set(attributes.get("manager", ())) <= there:
            raise ManagerMissing("account.manager_missing")

    def _stored(self, attributes: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {name: tuple(self.returns(value) for value in values) for name, values in attributes.items()}

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("directory.unavailable")

    def _written(self) -> None:
        self.writes += 1
        if self.answer_lost:
            self.answer_lost = False
            raise Unavailable("directory.timeout")

    @staticmethod
    def _observed(entry: MemoryEntry, organisation: str) -> Observed:
        return Observed(
            handle=f"{organisation}/{entry.login}",
            entry=entry.entry,
            user_name=entry.login,
            enabled=entry.enabled,
            mark=entry.mark if isinstance(entry.mark, Mark) else None,
            attributes=dict(entry.attributes),
            mark_text=_text(entry.mark),
            reference=f"{organisation}/{entry.login}",
            place=f"uid={entry.login},ou={organisation}",
        )


def _text(mark: Mark | str | None) -> str | None:
    return None if mark is None else str(mark)
