"""Fixtures for all tests: the servers, one of each for a session (for each worker under pytest-xdist)."""

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from tests.support.containers import engine, remove_all
from tests.support.servers import (
    PostgresUnderTest,
    RabbitUnderTest,
    SambaUnderTest,
    SlapdUnderTest,
    resolve_postgres,
    resolve_rabbitmq,
    resolve_samba,
    resolve_slapd,
)

LONGEST_FIRST = ("chaos", "e2e", "integration", "conformance", "contract", "unit")


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make screenshots` say where pictures of the pages go."""
    parser.addoption("--screenshots", default=None, help="folder for pictures of every page; none are taken without")


def pytest_configure() -> None:
    """Let SIGTERM end the session as Ctrl-C does: fixtures stop their servers."""
    signal.signal(signal.SIGTERM, _interrupted)


def pytest_unconfigure() -> None:
    """Remove the session's containers, if it has made any."""
    if engine.cache_info().currsize:
        remove_all()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the kinds that take long come first: pytest-xdist hands out a file at a time."""
    kinds = {kind: place for place, kind in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: min((kinds[part] for part in item.path.parts if part in kinds), default=len(kinds)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresUnderTest]:
    """A PostgreSQL that may be killed; for tables of your own ask for `fresh_database`."""
    with resolve_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitUnderTest]:
    """A RabbitMQ that may be killed; use queue names of your own."""
    with resolve_rabbitmq() as server:
        yield server


@pytest.fixture(scope="session")
def slapd() -> Iterator[SlapdUnderTest]:
    """An OpenLDAP that may be killed; use entries of your own."""
    with resolve_slapd() as server:
        yield server


@pytest.fixture(scope="session")
def samba() -> Iterator[SambaUnderTest]:
    """An Active Directory that may be killed; use entries of your own."""
    with resolve_samba() as server:
        yield server


@pytest.fixture
def fresh_database(postgres: PostgresUnderTest) -> Iterator[str]:
    """The superuser's URL of a new, empty database."""
    with postgres.database() as url:
        yield url
