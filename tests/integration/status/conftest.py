"""A migrated database and the status API on it, reached through its ASGI door with tokens of a test's making."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import UUID

import httpx2
import psycopg
import pytest
from fastapi import FastAPI

from services.kernel.database import Database
from services.kernel.problems import ProblemError
from services.kernel.security import Principal
from services.status.bootstrap import build
from services.status.settings import Settings
from tests.integration.status.world import T0, World
from tests.support.kernel import database_url, migrated, service_settings
from tests.support.servers import PostgresUnderTest

READ = "persons:read cases:read commands:write operations:write"
BROKER_PORT = 1


class Tokens:
    """Stands in for the authenticator: a token is `organisation|subject|scopes|person`, unsigned."""

    async def principal(self, authorization: str | None) -> Principal:
        """Return the bearer that the token spells out."""
        _, _, token = (authorization or "").partition(" ")
        if not token:
            raise ProblemError(401, "token.missing", "A bearer token is needed")
        organisation, subject, scopes, *person = token.split("|")
        return Principal(subject, organisation, frozenset(scopes.split()), person=UUID(person[0]) if person else None)


@pytest.fixture(scope="session")
def status_url(postgres: PostgresUnderTest) -> Iterator[str]:
    """The superuser's URL of a migrated database, shared: tests use people of their own."""
    with postgres.database() as url:
        migrated(url)
        yield url


@pytest.fixture
async def database(status_url: str) -> AsyncIterator[Database]:
    """The projections, as the service's own role, empty of people."""
    with psycopg.connect(status_url) as conn:
        conn.execute(
            "TRUNCATE status.person, status.person_revision, status.placement, status.unit, status.account,"
            " status.account_change,"
            ' status.evaluation, status.evaluated, status.step, status."case", status.attention, status.audit,'
            " status.person_tally, status.case_tally, status.evaluation_tally, status.unsettled_tally,"
            " status.open_tally, status.closed_tally, status.command, status.command_item, status.inbox, status.outbox,"
            " kernel.evaluator, kernel.replay_request, kernel.dead_letter"
        )
        conn.execute("UPDATE kernel.clock SET clock_offset = '0'")
        conn.execute(
            "INSERT INTO kernel.evaluator SELECT o, 'accounts', 'ldap', %s FROM unnest(ARRAY['alvsund', 'bergby']) o",
            (T0 - timedelta(days=1),),
        )
    found = Database(database_url(status_url, "status"), name="test")
    await found.open()
    yield found
    await found.close()


@pytest.fixture
def world(database: Database) -> World:
    """What the other services say."""
    return World(database)


@pytest.fixture
def app(status_url: str, database: Database) -> FastAPI:
    """The status API as bootstrap wires it, with tokens of a test's making."""
    service = build(Settings.model_validate(dict(service_settings("status", status_url, BROKER_PORT))))
    service.app.state.authenticator = Tokens()
    service.app.state.projections = database
    return service.app


@pytest.fixture
async def api(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of organisation alvsund that sees no protected people."""
    transport = httpx2.ASGITransport(app=app)
    headers = {"Authorization": f"Bearer alvsund|it@alvsund|{READ}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://status", headers=headers) as client:
        yield client


def token(organisation: str = "alvsund", scopes: str = READ, person: UUID | None = None) -> dict[str, str]:
    """Return the header of another bearer."""
    who = f"|{person}" if person else ""
    return {"Authorization": f"Bearer {organisation}|someone|{scopes}{who}"}
