"""One house with a small town in it, and one browser, for all tests of pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support import town
from tests.support.browsing import chromium
from tests.support.house import House, running_house


@pytest.fixture(scope="package")
def house() -> Iterator[House]:
    with running_house(guard_limit=town.LIMIT, portal=True) as house:
        town.staged(house)
        town.settle(house)
        yield house


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def url(house: House) -> str:
    return house.installation.services["portal"].url


@pytest.fixture
def pictures(pytestconfig: pytest.Config) -> Path | None:
    folder = pytestconfig.getoption("--screenshots")
    return Path(folder) if folder else None
