"""The Graph simulator for tests: in this process, over real TLS on a port of its own."""

import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from typing_extensions import override

from deploy.local.certificates import tls_files
from deploy.local.ports import free_ports
from deploy.simulators.graph.budget import Budget
from deploy.simulators.graph.clock import Clock
from deploy.simulators.graph.control import ListenerAsked
from deploy.simulators.graph.entries import Entry, Kind
from deploy.simulators.graph.faults import Fault, FaultKind
from deploy.simulators.graph.journal import Journal, Record
from deploy.simulators.graph.seeds import AppSeed, CollectiveSeed, PlanSeed, SkuSeed, TenantSeed, UserSeed, sow
from deploy.simulators.graph.service import Service
from deploy.simulators.graph.serving import Listener
from deploy.simulators.graph.tenants import Tenant, World
from deploy.simulators.settings import GraphSettings
from services.accounts.adapters.entra_attributes import EntraOptions, SignIn
from services.accounts.ports import Asked
from services.kernel.directory import GraphAccess

TENANT = "3c1f2f4e-1c39-4b5e-9a57-1f0c9b6c7d10"
CLIENT = "8a5e3c52-7d2b-4a4e-a3d1-2f6f0f6f1d20"
SECRET = "test-only-secret"
DOMAIN = "alvsund.example"
ORGANISATION = "alvsund"
SKU = "SPE_E3"


@dataclass
class GraphUnderTest:
    """A simulator with one tenant, and what tests may do to it."""

    service: Service
    listener: Listener
    tenant: Tenant
    url: str
    ca_file: str

    def access(self, **changes: Any) -> GraphAccess:
        """Return how to reach it."""
        settings: dict[str, Any] = {
            "url": f"{self.url}/v1.0",
            "authority": f"{self.url}/{TENANT}",
            "client_id": CLIENT,
            "secret": SECRET,
            "ca_file": self.ca_file,
        }
        return GraphAccess(**{**settings, **changes})

    def sow(self, **seeds: Any) -> None:
        """Add to the tenant."""
        sow(self.service.world, TenantSeed(id=TENANT, name="Älvsund", domains=(DOMAIN,), **seeds))

    def user(self, **properties: Any) -> UserSeed:
        """Return a user as others would have made it."""
        login = properties.get("mailNickname", "hand")
        named = {"displayName": login, "mailNickname": login, "userPrincipalName": f"{login}@{DOMAIN}"}
        return UserSeed(properties={**named, **properties})

    def fault(self, kind: str, **fields: Any) -> Fault:
        """Put a fault in force."""
        fault = Fault(id=f"fault-{len(self.service.faults.faults)}", kind=FaultKind(kind), **fields)
        self.service.faults.faults[fault.id] = fault
        return fault

    def mend(self) -> None:
        """Lift all faults."""
        self.service.faults.faults.clear()

    def later(self, seconds: float) -> None:
        """Push the simulator's clock."""
        self.service.world.clock.advance(seconds)

    def delete_by_hand(self, entry: str) -> None:
        """Move a user to the deleted items, as an administrator would."""
        (found,) = [user for user in self.users() if user.id == entry]
        self.tenant.shelf.put(replace(found, deleted=self.tenant.now()))

    async def logs_in(self, login: str, password: str) -> bool:
        """Tell whether a user can sign in, by asking the token endpoint as a client would."""
        form = {"grant_type": "password", "client_id": CLIENT, "client_secret": SECRET, "scope": "openid"}
        form |= {"username": f"{login}@{DOMAIN}", "password": password}
        tls = ssl.create_default_context(cafile=self.ca_file)
        async with httpx2.AsyncClient(verify=tls, trust_env=False) as client:
            answer = await client.post(f"{self.url}/{TENANT}/oauth2/v2.0/token", data=form)
        return answer.status_code == httpx2.codes.OK

    def users(self, *, deleted: bool = False) -> list[Entry]:
        """Return the users as the write replica has them."""
        entries = self.tenant.shelf.entries(Kind.USER, self.tenant.now())
        return [entry for _, entry in entries if (entry.deleted is not None) is deleted]

    def log(self, change: str | None = None) -> list[Record]:
        """Return what it was asked for; only what `change` names when given."""
        records = self.service.journal.records()
        return [one for one in records if change is None or any(c.startswith(change) for c in one.changes)]


class MemoryAskedNames:
    """The port AskedNames in memory; it outlives the adapter, as a database does."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, UUID], Asked] = {}

    async def ask(self, organisation: str, person: UUID, name: str, *, within: float) -> Asked | None:
        """Write the name down, and return what stands."""
        known = self.names.get((organisation, person))
        standing = None if known is None or known.age >= within else known
        if standing is None or standing.name == name:
            self.names[organisation, person] = Asked(name, 0.0)
        return standing

    async def unask(self, organisation: str, person: UUID, age: float) -> None:
        """Let what stands be as old as before."""
        self.names[organisation, person] = replace(self.names[organisation, person], age=age)

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.names = {key: replace(one, age=one.age + seconds) for key, one in self.names.items()}

    async def settle(self, organisation: str, person: UUID) -> None:
        """Forget the name."""
        self.names.pop((organisation, person), None)


class TickingClock(Clock):
    """A second passes between two looks at it: Entra's times have no fractions."""

    @override
    def now(self) -> datetime:
        """Return the time, a second later than the last."""
        self.advance(1)
        return super().now()


@asynccontextmanager
async def graph_under_test(folder: Path, clock: Clock | None = None, **budget: Any) -> AsyncIterator[GraphUnderTest]:
    """Run a simulator for as long as the block lasts."""
    files = tls_files(folder)
    (port,) = free_ports(1)
    settings = GraphSettings(
        environment="development",
        port=port,
        certificate_file=files.certificate,
        key_file=files.key,
        control_token=SecretStr("test-only"),
    )
    world = World(chance=random.Random(1), clock=clock or Clock())  # noqa: S311 - reproducible, not secret
    service = Service(world, Journal())
    service.budget = Budget(**budget)
    listener = Listener(service, settings)
    await listener.set(ListenerAsked())
    apps = (AppSeed(id=CLIENT, secrets=(SECRET,)),)
    sku = SkuSeed(part_number=SKU, seats=1, plans=(PlanSeed(name="EXCHANGE_S_ENTERPRISE"),))
    seed = TenantSeed(
        id=TENANT,
        name="Älvsund",
        domains=(DOMAIN,),
        apps=apps,
        skus=(sku,),
    )
    try:
        yield GraphUnderTest(service, listener, sow(world, seed), f"https://localhost:{port}", str(files.ca))
    finally:
        await listener.close()


def options(**changes: Any) -> EntraOptions:
    """Return a tenant's wishes, with looks that follow each other quickly."""
    settings: dict[str, Any] = {
        "domains": {ORGANISATION: DOMAIN},
        "sign_in": SignIn.LOGIN,
        "usage_location": "SE",
        "settle": (0.02, 0.05),
    }
    return EntraOptions(**{**settings, **changes})


def group(name: str, **properties: Any) -> CollectiveSeed:
    """Return a group as others would have made it."""
    return CollectiveSeed(properties={"displayName": name, **properties})


def key_and_certificate() -> tuple[str, str]:
    """Return a private key and a certificate of its own, for an application to prove itself by (PEM)."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stafett")])
    now = datetime.now(UTC)  # noqa: TID251 - a certificate's time
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, none).decode()
    return private, certificate.public_bytes(pem).decode()
