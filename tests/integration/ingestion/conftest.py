"""The service's app over a real PostgreSQL; no broker: what it says is read from the outbox."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from deploy.local.issuer import ISSUER, Issuer
from services.ingestion.bootstrap import build
from services.ingestion.settings import Settings
from services.kernel.runner import Service
from tests.support import hr
from tests.support.kernel import ROOT, database_url, migrated
from tests.support.servers import PostgresUnderTest

SCOPES = ("events:write", "records:read")
CONSULTANTS = "https://konsulter.alvsund.example/"
"""Another source of the same organisation."""


@dataclass
class Site:
    """The service under test, and the superuser's view of its tables."""

    service: Service
    client: httpx2.AsyncClient
    issuer: Issuer
    admin: psycopg.Connection

    def bearer(self, organisation: str = "alvsund", *scopes: str, **token: Any) -> dict[str, str]:
        """Headers of a token's bearer."""
        minted = self.issuer.mint(organisation, scopes or SCOPES, **token)
        return {"Authorization": f"Bearer {minted}"}

    async def post(self, content: object, *, kind: str | None = None, **headers: str) -> httpx2.Response:
        """Send one event, or a list of them as a batch."""
        batch = isinstance(content, list)
        media_type = kind or ("application/cloudevents-batch+json" if batch else "application/cloudevents+json")
        return await self.client.post(
            "/v1/events", json=content, headers={**self.bearer(), "Content-Type": media_type, **headers}
        )

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """Read as the organisation's own reader."""
        return await self.client.get(path, headers=dict(headers or self.bearer()))

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Look into the service's schema."""
        return self.admin.execute(statement.encode(), values).fetchall()

    def said(self, person: str) -> list[tuple[str, str]]:
        """Types and routing keys of what was said of a person, in order."""
        return [
            (row[0], row[1])
            for row in self.rows("SELECT type, routing_key FROM outbox WHERE subject = %s ORDER BY seq", person)
        ]

    def versions(self, person: str) -> list[tuple[int, str, str]]:
        """Revision, kind and reason of every version."""
        found = self.rows(
            "SELECT revision, kind, reason FROM person_version WHERE person = %s ORDER BY revision", UUID(person)
        )
        return [(row[0], row[1], row[2]) for row in found]

    def set_business_time(self, at: str) -> None:
        """Move business time (all connections of this database)."""
        self.admin.execute("UPDATE kernel.clock SET clock_offset = %s - now()", (datetime.fromisoformat(at),))


@pytest.fixture(scope="module")
def database(postgres: PostgresUnderTest) -> Iterator[str]:
    """A migrated database for the module's tests; each uses external ids of its own."""
    with postgres.database() as url:
        migrated(url)
        yield url


@pytest.fixture
async def site(database: str, tmp_path: Path) -> AsyncIterator[Site]:
    """The app, in process, at 2026-03-02 08:00 business time."""
    issuer = Issuer(tmp_path / "issuer")
    issuer.prepare()
    organisations = tmp_path / "organisations.toml"
    bound = f'sources = ["{hr.SOURCE}"'
    table = (ROOT / "deploy/local/organisations.toml").read_text("utf-8")
    organisations.write_text(table.replace(bound, f'{bound}, "{CONSULTANTS}"'), "utf-8")
    settings = Settings(
        environment="development",
        database_url=database_url(database, "ingestion"),
        broker_url="amqp://nobody@127.0.0.1:1/",
        organisations=organisations,
        jwks=str(issuer.jwks),
        issuer=ISSUER,
        dead_letter_key=SecretStr(Fernet.generate_key().decode()),
        erasure_key=SecretStr("what ids of erased people are hashed with"),
    )
    service = build(settings)
    await service.database.open()
    transport = httpx2.ASGITransport(app=service.app, raise_app_exceptions=False)
    with psycopg.connect(database, autocommit=True, options="-c search_path=ingestion") as admin:
        async with httpx2.AsyncClient(transport=transport, base_url="http://ingestion") as client:
            site = Site(service, client, issuer, admin)
            site.set_business_time("2026-03-02T08:00:00+01:00")
            yield site
    await service.database.close()
