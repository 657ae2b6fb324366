"""Servers for the kernel's tests: a broker with Stafett's topology, a migrated database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import psycopg
import pytest

from deploy.local.servers import RabbitServer
from services.kernel.database import Database
from services.kernel.messaging import topology
from services.kernel.runner import Service
from tests.support.flow import Collector, emptied, ready_for, running_service
from tests.support.kernel import database_url, migrated, service_settings, stafett_broker
from tests.support.servers import PostgresUnderTest


@pytest.fixture(scope="session")
def broker() -> Iterator[RabbitServer]:
    """A RabbitMQ as an installation has it; a test that kills it starts it again."""
    with stafett_broker() as server:
        yield server


@pytest.fixture
def admin_url(fresh_database: str) -> str:
    """The superuser's URL of a migrated database."""
    migrated(fresh_database)
    return fresh_database


@pytest.fixture
def admin(admin_url: str) -> Iterator[psycopg.Connection]:
    """A superuser's connection, to look at any schema."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def accounts_database(admin_url: str) -> AsyncIterator[Database]:
    """The pool of the accounts service."""
    database = Database(database_url(admin_url, "accounts"), name="accounts")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def postgres_server(postgres: PostgresUnderTest) -> PostgresUnderTest:
    """The server itself, to be killed and started again."""
    return postgres


@pytest.fixture
async def pair(
    admin_url: str, admin: psycopg.Connection, broker: RabbitServer
) -> AsyncIterator[tuple[Service, Service]]:
    """`ingestion` says audit records; `status` consumes, and so do all for whom it waits."""
    ready_for(admin)
    port = broker.config.port
    await emptied(port)
    producer = Service("ingestion", service_settings("ingestion", admin_url, port))
    consumers = {name: Service(name, service_settings(name, admin_url, port)) for name in topology.SUBSCRIPTIONS}
    collector = Collector()
    for name, consumer in consumers.items():
        consumer.consumes(dict.fromkeys(topology.SUBSCRIPTIONS[name], collector))
    consumers["status"].keeps_unrouted()
    async with AsyncExitStack() as running:
        for service in (producer, *consumers.values()):
            await running.enter_async_context(running_service(service))
        yield producer, consumers["status"]
