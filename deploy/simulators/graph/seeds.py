"""What a tenant is made of at the start: apps, subscriptions, users (also synced ones), groups, units."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field

from deploy.simulators.graph.clock import spoken
from deploy.simulators.graph.entries import Entry, Kind, Secret
from deploy.simulators.graph.properties import TABLES
from deploy.simulators.graph.tenants import App, Plan, Sku, Tenant, World

ALL_ROLES = (
    "User.ReadWrite.All",
    "User.DeleteRestore.All",
    "User.RevokeSessions.All",
    "User-PasswordProfile.ReadWrite.All",
    "LicenseAssignment.ReadWrite.All",
    "Organization.Read.All",
    "Group.ReadWrite.All",
    "AdministrativeUnit.ReadWrite.All",
    "MailboxSettings.ReadWrite",
)
"""What an app needs that does all that the simulator can."""


class _Seed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AppSeed(_Seed):
    """An app registration; certificates as PEM."""

    id: str
    name: str = "Stafett"
    secrets: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    roles: tuple[str, ...] = ALL_ROLES


class PlanSeed(_Seed):
    """A service plan, and the names of those that it needs."""

    name: str
    needs: tuple[str, ...] = ()


class SkuSeed(_Seed):
    """A subscription; its ids follow from the names."""

    part_number: str
    seats: int = 100
    plans: tuple[PlanSeed, ...] = ()


class UserSeed(_Seed):
    """A user, with any property that Graph shows, read-only ones too; `onPremisesSyncEnabled` makes it a synced one."""

    id: str | None = None
    password: str | None = None
    must_change: bool = False
    manager: str | None = None
    deleted: bool = False
    properties: dict[str, Any] = Field(default_factory=dict)


class CollectiveSeed(_Seed):
    """A group or unit; members by user principal name or id."""

    id: str | None = None
    members: tuple[str, ...] = ()
    properties: dict[str, Any] = Field(default_factory=dict)


class TenantSeed(_Seed):
    """A tenant; sowing one that is there adds to it."""

    id: str
    name: str
    domains: tuple[str, ...] = Field(min_length=1)
    apps: tuple[AppSeed, ...] = ()
    skus: tuple[SkuSeed, ...] = ()
    users: tuple[UserSeed, ...] = ()
    groups: tuple[CollectiveSeed, ...] = ()
    units: tuple[CollectiveSeed, ...] = ()


class SeedRefused(Exception):
    """A seed names a property or a member that does not exist."""


def sow(world: World, seed: TenantSeed) -> Tenant:
    """Add a tenant and what is in it.

    Raises:
        SeedRefused: With the name that is unknown.
    """
    tenant = world.add_tenant(seed.id, seed.name, seed.domains)
    for app in seed.apps:
        certificates = tuple(x509.load_pem_x509_certificate(pem.encode()) for pem in app.certificates)
        tenant.apps[app.id.lower()] = App(app.id, app.name, app.secrets, certificates, frozenset(app.roles))
    for sku in seed.skus:
        made = _sku(sku)
        tenant.skus[made.id] = made
    for user in seed.users:
        _user(world, tenant, user)
    for kind, rows in ((Kind.GROUP, seed.groups), (Kind.UNIT, seed.units)):
        for row in rows:
            _collective(world, tenant, kind, row)
    return tenant


def sku_id(part_number: str) -> str:
    """Return the id of a subscription by its part number."""
    return str(uuid5(NAMESPACE_URL, f"sku:{part_number}"))


def plan_id(name: str) -> str:
    """Return the id of a service plan by its name."""
    return str(uuid5(NAMESPACE_URL, f"plan:{name}"))


def _sku(seed: SkuSeed) -> Sku:
    plans = tuple(
        Plan(plan_id(one.name), one.name, frozenset(plan_id(name) for name in one.needs)) for one in seed.plans
    )
    return Sku(sku_id(seed.part_number), seed.part_number, seed.seats, plans)


def _user(world: World, tenant: Tenant, seed: UserSeed) -> None:
    _known(Kind.USER, seed.properties)
    now = spoken(tenant.now())
    properties = {
        "accountEnabled": True,
        "createdDateTime": now,
        "signInSessionsValidFromDateTime": now,
        "lastPasswordChangeDateTime": now,
        "userType": "Member",
        **seed.properties,
    }
    if (mail := properties.get("mail")) and "proxyAddresses" not in properties:
        properties["proxyAddresses"] = [f"SMTP:{mail}"]
    tenant.shelf.put(
        Entry(
            seed.id or world.new_id(),
            Kind.USER,
            properties,
            password=Secret.of(seed.password) if seed.password is not None else None,
            must_change=seed.must_change,
            manager=_member(tenant, seed.manager) if seed.manager is not None else None,
            deleted=tenant.now() if seed.deleted else None,
        )
    )


def _collective(world: World, tenant: Tenant, kind: Kind, seed: CollectiveSeed) -> None:
    _known(kind, seed.properties)
    properties = dict(seed.properties)
    if kind is Kind.GROUP:
        defaults = {
            "createdDateTime": spoken(tenant.now()),
            "groupTypes": [],
            "mailEnabled": False,
            "securityEnabled": True,
        }
        properties = {**defaults, "mailNickname": seed.properties.get("displayName"), **properties}
    members = frozenset(_member(tenant, name) for name in seed.members)
    tenant.shelf.put(Entry(seed.id or world.new_id(), kind, properties, members=members))


def _member(tenant: Tenant, name: str) -> str:
    for kind in (Kind.USER, Kind.GROUP):
        if (entry := tenant.find(kind, name, tenant.now())) is not None:
            return entry.id
    message = f"there is no {name}"
    raise SeedRefused(message)


def _known(kind: Kind, properties: dict[str, Any]) -> None:
    if unknown := set(properties) - set(TABLES[kind]):
        message = f"{kind} has no {', '.join(sorted(unknown))}"
        raise SeedRefused(message)
