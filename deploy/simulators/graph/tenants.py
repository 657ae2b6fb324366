"""Tenants: their verified domains, app registrations, subscriptions, and directory."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from cryptography import x509

from deploy.simulators.graph.clock import Clock
from deploy.simulators.graph.entries import Entry, Kind, Shelf
from deploy.simulators.graph.keeping import Kept


@dataclass(frozen=True)
class App:
    """An app registration in a tenant.

    Attributes:
        roles: The application permissions that an administrator has consented to.
        certificates: Those that may sign its assertions.
    """

    id: str
    name: str = "Stafett"
    secrets: tuple[str, ...] = ()
    certificates: tuple[x509.Certificate, ...] = ()
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Plan:
    """A service plan of a subscription; `needs` are the ids of plans without which it cannot be given."""

    id: str
    name: str
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sku:
    """A subscription with its seats."""

    id: str
    part_number: str
    seats: int
    plans: tuple[Plan, ...] = ()


@dataclass
class Tenant:
    """One organisation's Entra ID."""

    id: str
    name: str
    domains: tuple[str, ...]
    shelf: Shelf
    clock: Clock
    apps: dict[str, App] = field(default_factory=dict)
    skus: dict[str, Sku] = field(default_factory=dict)
    lag: float = 0.0

    def now(self) -> datetime:
        """Return the time at the primary."""
        return self.clock.now()

    def replicated(self) -> datetime:
        """Return as of when a reader sees the directory."""
        return self.clock.now() - timedelta(seconds=self.lag)

    def find(self, kind: Kind, key: str, as_of: datetime, *, deleted: bool = False) -> Entry | None:
        """Return an entry by id, or a user by UPN."""
        if (entry := self.shelf.get(key, as_of)) is None and kind is Kind.USER and not deleted:
            found = self.shelf.having(kind, "userPrincipalName", key, as_of)
            entry = next((one for _, one in found if _is_called(one, key) and one.deleted is None), None)
        if entry is None or entry.kind is not kind or (entry.deleted is not None) is not deleted:
            return None
        return entry

    def named(self, name: str, as_of: datetime) -> Entry | None:
        """Return the group whose alternate key `uniqueName` is this."""
        for _, entry in self.shelf.having(Kind.GROUP, "uniqueName", name, as_of):
            if entry.deleted is None and str(entry.properties.get("uniqueName")).lower() == name.lower():
                return entry
        return None


@dataclass
class World:
    """All tenants, with the time and the chance that they share, and the file that keeps what is in them, if any."""

    clock: Clock = field(default_factory=Clock)
    chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 (reproducible, not secret)
    tenants: dict[str, Tenant] = field(default_factory=dict)
    kept: Kept | None = None

    def new_id(self) -> str:
        """Return an id for a new object; the same seed gives the same ids."""
        return str(UUID(int=self.chance.getrandbits(128), version=4))

    def tenant(self, key: str) -> Tenant | None:
        """Return a tenant by its id or one of its verified domains."""
        key = key.lower()
        if key in self.tenants:
            return self.tenants[key]
        return next((one for one in self.tenants.values() if key in one.domains), None)

    def add_tenant(self, identifier: str, name: str, domains: tuple[str, ...]) -> Tenant:
        """Add a tenant, or return the one that is there with its name and domains as given."""
        identifier = identifier.lower()
        tenant = self.tenants.get(identifier)
        if tenant is None:
            tenant = Tenant(identifier, name, domains, Shelf(self.clock), self.clock)
            self.tenants[identifier] = tenant
            self._note(tenant)
        tenant.name, tenant.domains = name, tuple(domain.lower() for domain in domains)
        return tenant

    def keep(self, kept: Kept) -> None:
        """Keep every version of an entry from now on."""
        self.kept = kept
        for tenant in self.tenants.values():
            self._note(tenant)

    def _note(self, tenant: Tenant) -> None:
        if self.kept is not None:
            tenant.shelf.note = partial(self.kept.note, tenant.id)


def _is_called(entry: Entry, name: str) -> bool:
    return str(entry.properties.get("userPrincipalName", "")).lower() == name.lower()
