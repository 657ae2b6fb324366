"""What a tenant's directory holds, with its recent past: a replica that lags sees the past."""

import hashlib
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from deploy.simulators.graph.clock import Clock

KEPT_DAYS = 30
"""Days that a deleted user or group can be restored."""
_REMEMBERED = timedelta(hours=1)
INDEXED = ("userPrincipalName", "mail", "employeeId", "mailNickname", "displayName", "proxyAddresses", "uniqueName")


class Kind(StrEnum):
    """A type of entry, by its name in the metadata."""

    USER = "user"
    GROUP = "group"
    UNIT = "administrativeUnit"


@dataclass(frozen=True, slots=True)
class Secret:
    """A password as a salted digest."""

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str) -> "Secret":
        """Keep a password."""
        salt = secrets.token_bytes(16)
        return cls(salt, hashlib.blake2b(password.encode(), salt=salt).digest())

    def opens_with(self, password: str) -> bool:
        """Say whether this is the password."""
        return secrets.compare_digest(self.digest, hashlib.blake2b(password.encode(), salt=self.salt).digest())


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a directory object; a change makes a new one.

    Attributes:
        properties: What Graph shows, without `id` and `deletedDateTime`.
        must_change: Whether the user has to change the password before signing in.
        rules: Those of the user's inbox, as they are shown.
        deleted: Since when it is in deleted items.
    """

    id: str
    kind: Kind
    properties: Mapping[str, Any]
    password: Secret | None = None
    must_change: bool = False
    manager: str | None = None
    members: frozenset[str] = frozenset()
    rules: tuple[Mapping[str, Any], ...] = ()
    deleted: datetime | None = None

    @property
    def synced(self) -> bool:
        """Whether it is mastered in an on-premises directory."""
        return self.properties.get("onPremisesSyncEnabled") is True

    @property
    def seats(self) -> list[str]:
        """The subscriptions of which it takes a seat now; in deleted items none."""
        return [] if self.deleted else [one["skuId"] for one in self.properties.get("assignedLicenses") or ()]


@dataclass
class _History:
    place: int
    versions: list[tuple[datetime, Entry | None]] = field(default_factory=list)


class Shelf:
    """All versions of all entries of one tenant.

    Reads name the moment as of which they see: now for writes, earlier for a replica that lags.

    Attributes:
        note: Is told of every version, by id; None when the entry is purged.
    """

    def __init__(self, clock: Clock) -> None:
        self.note: Callable[[str, Entry | None], None] | None = None
        self._clock = clock
        self._histories: dict[str, _History] = {}
        self._order: dict[Kind, list[str]] = defaultdict(list)
        self._index: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._seats: Counter[str] = Counter()

    def put(self, entry: Entry) -> None:
        """Store the newest version of an entry."""
        history = self._histories.get(entry.id)
        if history is None:
            history = self._histories[entry.id] = _History(len(self._order[entry.kind]))
            self._order[entry.kind].append(entry.id)
        self._append(history, entry)
        if self.note is not None:
            self.note(entry.id, entry)
        for name, value in _indexed(entry):
            self._index[name, value].add(entry.id)

    def purge(self, identifier: str) -> None:
        """Forget an entry for good; a replica that lags still sees it for a while."""
        self._append(self._histories[identifier], None)
        if self.note is not None:
            self.note(identifier, None)

    def get(self, identifier: str, as_of: datetime) -> Entry | None:
        """Return the entry as it was, live or deleted."""
        history = self._histories.get(identifier)
        if history is None:
            return None
        for since, entry in reversed(history.versions):
            if since <= as_of:
                return None if entry is None or self._lapsed(entry) else entry
        return None

    def entries(self, kind: Kind, as_of: datetime, *, after: int = -1) -> Iterator[tuple[int, Entry]]:
        """Yield the entries of a kind in a steady order, each with its place, from the one behind `after`."""
        for place, identifier in enumerate(self._order[kind][after + 1 :], after + 1):
            if (entry := self.get(identifier, as_of)) is not None:
                yield place, entry

    def having(self, kind: Kind, name: str, value: str, as_of: datetime) -> list[tuple[int, Entry]]:
        """Return the entries that may have an indexed value: all that do, and some that once did."""
        found = (self.get(identifier, as_of) for identifier in self._index.get((name, value.lower()), ()))
        placed = [(self._histories[one.id].place, one) for one in found if one is not None and one.kind is kind]
        return sorted(placed, key=lambda pair: pair[0])

    def seats_taken(self, sku: str) -> int:
        """Return how many hold a seat of a subscription now."""
        return self._seats[sku]

    def _append(self, history: _History, entry: Entry | None) -> None:
        now = self._clock.now()
        versions = history.versions
        if versions and (before := versions[-1][1]) is not None:
            self._seats.subtract(before.seats)
        if entry is not None:
            self._seats.update(entry.seats)
        versions.append((now, entry))
        while len(versions) > 1 and versions[1][0] < now - _REMEMBERED:
            del versions[0]

    def _lapsed(self, entry: Entry) -> bool:
        return entry.deleted is not None and entry.deleted + timedelta(days=KEPT_DAYS) <= self._clock.now()


def _indexed(entry: Entry) -> Iterator[tuple[str, str]]:
    for name in INDEXED:
        value = entry.properties.get(name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str):
                yield name, one.lower()
    for name, value in (entry.properties.get("onPremisesExtensionAttributes") or {}).items():
        if isinstance(value, str):
            yield f"onPremisesExtensionAttributes/{name}", value.lower()
