"""An erased person's account goes on its day, and the names stay reserved without being known."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.codes import Form, Reason
from contracts.person import ERASED, Name
from contracts.registry import ACCOUNT_CHANGED, PERSON_MOVER, SERVICE_EVALUATED
from services.accounts.domain.names import PLAIN, Blocklist, base
from services.accounts.handlers.situation import wants
from services.accounts.settings import BLOCKLIST
from services.accounts.store import names
from services.accounts.store.names import LOGIN
from services.kernel.erasure import ErasureKey
from tests.integration.accounts.harness import KEY, Town, town
from tests.support.kernel import eventually
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest

NOON = datetime(2027, 3, 15, 11, tzinfo=UTC)
LEFT = ("anna.andersson", "Andersson", "@alvsund")


@pytest.fixture
async def alvsund(slapd: SlapdUnderTest, fresh_database: str) -> AsyncIterator[Town]:
    async with town(slapd, fresh_database) as here:
        await here.tell_unit("100", "Björkskolan")
        yield here


async def erase(here: Town, person: UUID, revision: int) -> None:
    await here.tell(person, revision, ERASED, type_=PERSON_MOVER, reason=Reason.ERASED)
    await here.converged()


async def left(here: Town) -> list[str]:
    """Tables in which something of the person is found."""
    tables = ("account", "name_reservation", "unit_member", "input", "work", "guard_removal")
    found = [
        table for table in tables for word in LEFT if await here.rows(f"SELECT 1 FROM {table} t WHERE {holds(word)}")
    ]
    said = await here.rows(f"SELECT 1 FROM outbox t WHERE published_at IS NOT NULL AND {holds('anna.andersson')}")
    return [*found, *("outbox" for _ in said)]


def holds(word: str) -> str:
    return f"strpos(lower(t::text), '{word.lower()}') > 0"


async def test_a_closed_account_goes_on_its_day_and_then_nothing_is_known_of_it(alvsund: Town) -> None:
    person = uuid4()
    await alvsund.tell(person, 1, record(employment(TODAY - timedelta(days=90), TODAY, form=Form.ELECTED)))
    await alvsund.converged()
    await alvsund.at(NOON + timedelta(days=1))
    await alvsund.at(NOON + timedelta(days=60))
    await erase(alvsund, person, 2)
    before = await alvsund.entry(person)
    assert before is not None, "it was to stand for ninety days"
    (said, *_) = reversed(await alvsund.said(SERVICE_EVALUATED, person))
    steps = {step["code"]: (step["state"], step["due"]) for step in said["steps"]}
    assert steps["account.deleted"] == ("planned", "2027-06-13T22:00:00Z")
    async with alvsund.database.transaction() as conn:
        await conn.execute("UPDATE outbox SET published_at = now()")
    await alvsund.at(NOON + timedelta(days=91))
    assert await alvsund.entry(person) is None
    assert await left(alvsund) == []
    (last, *_) = reversed(await alvsund.said(ACCOUNT_CHANGED, person))
    assert (last["record"]["state"], last["record"]["userName"]) == ("absent", None)
    writes, said_before = await alvsund.writes(), len(await alvsund.said(ACCOUNT_CHANGED, person))
    await erase(alvsund, person, 3)
    assert (await alvsund.writes(), len(await alvsund.said(ACCOUNT_CHANGED, person))) == (writes, said_before)
    another = uuid4()
    await alvsund.tell(another, 1, record(employment(TODAY)))
    await alvsund.converged()
    entry = await alvsund.entry(another)
    assert entry is not None
    assert (entry.first("uid"), entry.first("mail")) == ("anna.andersson2", "anna.andersson2@alvsund.example")


async def test_without_the_key_the_names_are_kept_and_it_is_said_why(alvsund: Town) -> None:
    person = uuid4()
    async with alvsund.database.transaction() as conn:
        await names.reserve(conn, [_want(alvsund, person, None)])
        assert not await names.erase(conn, "alvsund", person, None)
        assert await names.erase(conn, "alvsund", person, KEY)
        assert await names.erase(conn, "alvsund", person, None), "there is nothing more to hash"
        assert [await names.other_key(conn, key) for key in (KEY, None, ErasureKey("x" * 32))] == [False, True, True]


async def test_a_name_that_becomes_a_hash_meanwhile_is_not_given_away(alvsund: Town) -> None:
    """Who reserves waits for the erasure, and meets the hash; relies on both unique indexes being looked at anew."""
    person, other = uuid4(), uuid4()
    async with alvsund.database.transaction() as conn:
        await names.reserve(conn, [_want(alvsund, person, None)])
    erasing = asyncio.Event()

    async def late() -> str:
        await erasing.wait()
        async with alvsund.database.transaction() as conn:
            (won,) = await names.reserve(conn, [_want(alvsund, other, KEY)])
            return won.value

    async def waits() -> bool:
        return bool(await alvsund.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

    task = asyncio.create_task(late())
    async with alvsund.database.transaction() as conn:
        await names.erase(conn, "alvsund", person, KEY)
        erasing.set()
        await eventually(waits)
    assert await task == "anna.andersson2"


def _want(here: Town, person: UUID, key: ErasureKey | None) -> names.Want:
    want = wants(here.organisations, Blocklist.parse(BLOCKLIST.read_text(encoding="utf-8")), key)
    return want("alvsund", person, LOGIN, base(Name(given="Anna", family="Andersson")), PLAIN)
