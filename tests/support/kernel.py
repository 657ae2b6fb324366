"""A service of one's own on real servers, for tests of the kernel."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from cryptography.fernet import Fernet

from contracts.facts import AuditRecorded
from contracts.registry import AUDIT_RECORDED
from deploy.local.ports import free_ports
from deploy.local.servers import RabbitConfig, RabbitServer
from deploy.local.targets import present
from deploy.migrate import migrate
from services.kernel.messaging import outbox, topology
from services.kernel.messaging.outbox import Outgoing
from services.kernel.settings import ServiceSettings
from tests.support.servers import running, server_kinds, short_folder

ROOT = Path(__file__).resolve().parents[2]
PASSWORDS = {service: f"pw-{service}" for service in topology.SERVICES}


@contextmanager
def stafett_broker() -> Iterator[RabbitServer]:
    """Run a RabbitMQ with the topology's own users, permissions, policies and exchanges."""
    with short_folder() as folder:
        port, epmd, dist = free_ports(3)
        kinds = server_kinds()
        server = kinds.rabbitmq(
            RabbitConfig(
                folder=folder / "rabbitmq",
                port=port,
                epmd_port=epmd,
                dist_port=dist,
                definitions=topology.definitions(PASSWORDS, broker_major=kinds.broker_major()),
                user="status",
                password=PASSWORDS["status"],
                cookie=secrets.token_hex(16),
            )
        )
        with running(server):
            yield server


def migrated(url: str) -> None:
    """Bring a new database up to date for all services."""
    migrate(url, PASSWORDS, offsets_allowed=True)


def database_url(admin_url: str, service: str) -> str:
    """Return the service's own URL of a migrated database."""
    parts = urlsplit(admin_url)
    return parts._replace(netloc=f"{service}:{PASSWORDS[service]}@{parts.hostname}:{parts.port}").geturl()


def service_settings(service: str, admin_url: str, broker_port: int, **values: object) -> ServiceSettings:
    """Return settings for a service in a test."""
    fields: dict[str, object] = {
        "environment": "development",
        "database_url": database_url(admin_url, service),
        "broker_url": f"amqp://{service}:{PASSWORDS[service]}@127.0.0.1:{broker_port}/{topology.VHOST}",
        "organisations": ROOT / "deploy/local/organisations.toml",
        "jwks": "/nonexistent",
        "issuer": "https://issuer.test",
        "dead_letter_key": Fernet.generate_key().decode(),
        "lease_seconds": 8.0,
        "http_port": free_ports(1)[0],
    }
    return ServiceSettings.model_validate({**fields, **values})


def audit(action: str, *, organisation: str = "alvsund", event_id: UUID | None = None) -> Outgoing:
    """Return a small message that `status` consumes."""
    now = datetime.now(UTC)  # noqa: TID251 - a test's message needs some time
    return Outgoing(
        outbox.make(
            AUDIT_RECORDED,
            AuditRecorded(organisation=organisation, actor="test", action=action, recorded_at=now),
            source="urn:stafett:test",
            subject=organisation,
            organisation=organisation,
            time=now,
            event_id=event_id or uuid4(),
        )
    )


def organisations_file(folder: Path, *targets: str) -> Path:
    """Write the delivered table of organisations with their places in these targets alone; return the file."""
    file = folder / "organisations.toml"
    file.write_text(present((ROOT / "deploy/local/organisations.toml").read_text(), targets))
    return file


async def eventually(condition: Callable[[], Awaitable[object]], *, seconds: float = 20.0) -> None:
    """Wait until a condition holds; fail with its last value when it does not in time."""
    last: object = None
    try:
        async with asyncio.timeout(seconds):
            while not (last := await condition()):  # noqa: ASYNC110 - the condition is another process's
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {last!r}") from None


@asynccontextmanager
async def background(coroutine: Awaitable[None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run a part of a service beside the test and cancel it afterwards."""
    task = asyncio.ensure_future(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def organisations_with_no_agreement() -> str:
    """Return the delivered table of organisations with one source each, without what is agreed with sources."""
    delivered = (ROOT / "deploy/local/organisations.toml").read_text("utf-8")
    bare = re.sub(r"(?m)^\[\w+\.source\..*\]\n(?:[^\[\n].*\n)*", "", delivered)
    return re.sub(r'(?m)^(sources = \["[^"]*").*\]$', r"\1]", bare)
