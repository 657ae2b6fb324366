"""Accounts when the directory hangs, leases expire, and many ask for the same name at once."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from contracts.person import Name
from contracts.registry import ACCOUNT_CHANGED
from services.accounts.domain.names import PLAIN, Blocklist, base
from services.accounts.handlers.situation import wants
from services.accounts.settings import BLOCKLIST
from services.accounts.store import names
from services.accounts.store.names import LOGIN, MAIL
from services.accounts.store.replay import AccountSource
from tests.integration.accounts.harness import Town, town
from tests.support.kernel import eventually
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest


@pytest.fixture
async def alvsund(slapd: SlapdUnderTest, fresh_database: str) -> AsyncIterator[Town]:
    async with town(slapd, fresh_database) as here:
        yield here


async def test_a_directory_that_hangs_burns_no_attempts_and_all_arrive_afterwards(alvsund: Town) -> None:
    people = [uuid4() for _ in range(12)]
    await alvsund.tell_unit("100", "Björkskolan")
    alvsund.slapd.pause()
    try:
        for person in people:
            await alvsund.tell(person, 1, record(employment(TODAY)))

        async def opened() -> bool:
            return bool(await alvsund.rows("SELECT 1 FROM breaker WHERE opened_at IS NOT NULL"))

        await eventually(opened, seconds=30)
    finally:
        alvsund.slapd.resume()
    await alvsund.converged()
    assert await alvsund.rows("SELECT state, count(*) FROM work GROUP BY 1") == [("idle", 12)]
    assert len({entry.first("uid") for person in people if (entry := await alvsund.entry(person))}) == 12


async def test_an_expired_lease_swaps_the_mark_and_writes_nothing_else(alvsund: Town) -> None:
    person = uuid4()
    await alvsund.tell_unit("100", "Björkskolan")
    await alvsund.tell(person, 1, record(employment(TODAY)))
    await alvsund.converged()
    before, writes = await alvsund.entry(person), await alvsund.writes()
    async with alvsund.database.transaction() as conn:
        await conn.execute("UPDATE work SET wanted = wanted + 1, lease_until = now() - interval '1 second'")
    await alvsund.converged()
    after = await alvsund.entry(person)
    assert before is not None
    assert after is not None
    assert await alvsund.writes() == writes + 1
    assert after.first("stafettMark") != before.first("stafettMark")
    assert after.values("cn") == before.values("cn")


async def test_case_60_a_crash_between_the_write_and_its_completion_is_no_second_write(alvsund: Town) -> None:
    person = uuid4()
    await alvsund.tell_unit("100", "Björkskolan")
    await alvsund.tell(person, 1, record(employment(TODAY)))
    await alvsund.converged()
    writes = await alvsund.writes()
    async with alvsund.database.transaction() as conn:
        await conn.execute("DELETE FROM account")
        await conn.execute("UPDATE work SET wanted = wanted + 1")
    await alvsund.converged()
    assert await alvsund.writes() == writes
    assert len(await alvsund.said(ACCOUNT_CHANGED, person)) == 2


async def test_reservations_are_free_of_races_and_deterministic(alvsund: Town) -> None:
    want = wants(alvsund.organisations, Blocklist.parse(BLOCKLIST.read_text(encoding="utf-8")))
    stem = base(Name(given="Åsa", family="Öberg"))

    async def reserve(count: int) -> list[str]:
        wanted = [want("alvsund", uuid4(), kind, stem, PLAIN) for _ in range(count) for kind in (LOGIN, MAIL)]
        async with alvsund.database.transaction() as conn:
            return [reservation.value for reservation in await names.reserve(conn, wanted)]

    won = [value for values in await asyncio.gather(*(reserve(5) for _ in range(8))) for value in values]
    logins = {value for value in won if "@" not in value}
    assert len(won) == len(set(won)) == 80
    assert logins == {"asa.oberg", *(f"asa.oberg{number}" for number in range(2, 41))}


async def test_replay_says_the_last_state_under_the_same_id(alvsund: Town) -> None:
    person = uuid4()
    await alvsund.tell(person, 1, record(employment(TODAY)))
    await alvsund.converged()
    (said,) = await alvsund.rows("SELECT message_id, body::jsonb FROM outbox WHERE type = %s", ACCOUNT_CHANGED)
    async with alvsund.database.transaction() as conn:
        source = AccountSource()
        pages = [p async for p in source.messages(conn, "x", frozenset({"account.changed"}), everything=False)]
        none = [p async for p in source.messages(conn, "x", frozenset({"step.recorded"}), everything=False)]
    ((message,),) = pages
    assert none == []
    assert message.event.id == said[0]
    assert message.event.data.record.user_name == said[1]["data"]["record"]["userName"]
