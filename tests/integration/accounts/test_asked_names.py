"""What is written down before an account is asked for, on a real PostgreSQL."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from services.accounts.store import asked
from services.accounts.store.asked import DatabaseAskedNames
from services.kernel.database import Database
from services.kernel.failures import Transient
from tests.support.kernel import database_url, migrated

HERE = "alvsund"


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[Database]:
    migrated(fresh_database)
    database = Database(database_url(fresh_database, "accounts"), name="test")
    await database.open()
    yield database
    await database.close()


async def test_a_name_stands_until_it_is_settled_or_old(database: Database) -> None:
    names, elsewhere, person = DatabaseAskedNames(database, "entra"), DatabaseAskedNames(database, "other"), uuid4()
    assert await names.ask(HERE, person, "anna@x", within=900) is None
    assert await standing(names, person, "anna@x") == "anna@x"
    assert await standing(DatabaseAskedNames(database, "entra"), person, "ek@x") == "anna@x"
    assert await elsewhere.ask(HERE, person, "ek@x", within=900) is None
    assert await names.ask(HERE, uuid4(), "ek@x", within=900) is None
    async with database.transaction() as conn:
        await conn.execute("UPDATE asked_name SET asked_at = asked_at - interval '15 minutes'")
    assert await names.ask(HERE, person, "ek@x", within=900) is None
    assert await standing(names, person, "anna@x") == "ek@x"
    for _ in range(2):
        await names.settle(HERE, person)
    assert await names.ask(HERE, person, "anna@x", within=900) is None


async def standing(names: DatabaseAskedNames, person: UUID, name: str) -> str | None:
    found = await names.ask(HERE, person, name, within=900)
    return None if found is None else found.name


async def test_a_request_that_made_nothing_leaves_what_stands_as_old_as_it_was(database: Database) -> None:
    names, person = DatabaseAskedNames(database, "entra"), uuid4()
    await names.ask(HERE, person, "anna@x", within=900)
    await names.unask(HERE, person, 800.0)
    for _ in range(2):
        again = await names.ask(HERE, person, "anna@x", within=900)
        assert again is not None
        assert 800 <= again.age < 900
        await names.unask(HERE, person, again.age)
    await names.ask(HERE, person, "anna@x", within=900)
    fresh = await names.ask(HERE, person, "anna@x", within=900)
    assert fresh is not None
    assert fresh.age < 800


async def test_of_an_erased_person_no_name_is_left(database: Database) -> None:
    person = uuid4()
    await DatabaseAskedNames(database, "entra").ask(HERE, person, "anna@x", within=900)
    async with database.transaction() as conn:
        await asked.forget(conn, HERE, person)
        rows = await (await conn.execute("SELECT 1 FROM asked_name")).fetchall()
    assert rows == []


async def test_nothing_is_asked_for_while_the_database_is_away(database: Database) -> None:
    await database.close()
    names = DatabaseAskedNames(database, "entra")
    for call in (names.ask(HERE, uuid4(), "anna@x", within=900), names.settle(HERE, uuid4())):
        with pytest.raises(Transient) as away:
            await call
        assert away.value.code == "database.unavailable"
