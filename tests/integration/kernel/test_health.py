"""What a replica is taken out for, and what not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import psycopg
import pytest
from alembic import command
from alembic.config import Config

from services.kernel import breaker
from services.kernel.runner import Service
from tests.integration.kernel.test_work import Recorder, nothing
from tests.support.flow import running_service
from tests.support.kernel import eventually, migrated, service_settings

NO_BROKER = 1


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=service.app)
    async with running_service(service), httpx2.AsyncClient(transport=transport, base_url="http://door") as client:
        yield client


async def test_neither_the_broker_nor_a_target_closes_the_door(admin_url: str) -> None:
    service = Service("accounts", service_settings("accounts", admin_url, NO_BROKER))
    performer = Recorder(nothing)
    performer.away = True
    service.works("directory", performer)
    async with running(service) as client:

        async def opened() -> bool:
            return (await client.get("/doorz")).status_code == 200

        await eventually(opened)
        async with service.database.transaction() as conn:
            await breaker.open_(conn, "directory", "directory.away")

        async def says_what_is_missing() -> bool:
            missing = (await client.get("/readyz")).json()["missing"]
            return any(one.startswith("target directory") for one in missing) and len(missing) > 1

        await eventually(says_what_is_missing)
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/doorz")).json() == {"status": "ready", "missing": []}


async def test_a_database_that_is_away_closes_the_door(admin_url: str) -> None:
    settings = service_settings("accounts", admin_url, NO_BROKER, database_url="postgresql://a:b@127.0.0.1:1/c")
    async with running(Service("accounts", settings)) as client:
        answer = await client.get("/doorz")
    assert answer.status_code == 503
    assert answer.json()["missing"][0].startswith("database: ")


@pytest.fixture
def old_url(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database in which the pauses of the kernel's second revision are not yet."""
    to_the_newest = command.upgrade

    def to_the_first(config: Config, revision: str, **values: Any) -> None:
        accounts = config.attributes["schema"] == "accounts"
        to_the_newest(config, "accounts_0001" if accounts else revision, **values)

    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", to_the_first)
        migrated(fresh_database)
    return fresh_database


async def test_a_service_waits_for_its_migrations_and_needs_no_restart(old_url: str) -> None:
    started: list[bool] = []

    async def start(_conn: object) -> None:
        started.append(True)

    service = Service("accounts", service_settings("accounts", old_url, NO_BROKER))
    service.on_start(start)
    performer = Recorder(nothing)
    service.works("directory", performer)
    async with running(service) as client:

        async def looked() -> bool:
            return bool((await client.get("/doorz")).json()["missing"])

        await eventually(looked)
        answer = await client.get("/doorz")
        (said,) = answer.json()["missing"]
        assert answer.status_code == 503
        assert said.startswith("schema: waits for ")
        assert "kernel_0002" in said
        assert started == [], "nothing works on tables that are not there"
        migrated(old_url)

        async def opened() -> bool:
            return (await client.get("/doorz")).status_code == 200

        await eventually(opened)
        assert started == [True]
        with psycopg.connect(old_url, autocommit=True) as admin:
            admin.execute("ALTER TABLE accounts.schema_version RENAME TO gone")
        assert (await client.get("/doorz")).status_code == 200, "once it agrees it is not asked again"


async def test_the_schema_that_services_share_is_waited_for_too(admin_url: str, admin: psycopg.Connection) -> None:
    admin.execute("UPDATE kernel.schema_version SET version_num = 'shared_0001'")
    async with running(Service("accounts", service_settings("accounts", admin_url, NO_BROKER))) as client:

        async def waits() -> bool:
            return bool((await client.get("/doorz")).json()["missing"][-1:] == ["schema: waits for shared_0002"])

        await eventually(waits)
        admin.execute("UPDATE kernel.schema_version SET version_num = 'shared_9999'")

        async def opened() -> bool:
            return (await client.get("/doorz")).status_code == 200

        await eventually(opened)
