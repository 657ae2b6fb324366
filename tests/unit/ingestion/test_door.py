"""The door: nobody who comes while a commit ends waits for nobody, and commits on their way are few."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from typing_extensions import override

from services.ingestion.handlers.door import COMMITTERS, GATHERED, Door
from services.ingestion.handlers.reception import Submission
from services.ingestion.handlers.verdicts import Verdict


class Ledger(Door):
    """A door whose commits take a turn of the loop; the ledger itself is the integration tests'."""

    def __init__(self) -> None:
        super().__init__(cast("Any", None), generation=1, on_commit=lambda: None, crash=lambda _: None)
        self.under_way = self.most = 0
        self.sizes: list[int] = []
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    @override
    async def submit_batch(self, submissions: Sequence[Submission]) -> list[Verdict]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.sizes.append(len(submissions))
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
            if self.broken:
                raise ConnectionError("the database went away")
            return cast("list[Verdict]", list(submissions))
        finally:
            self.under_way -= 1


def submission(number: int) -> Submission:
    return cast("Submission", number)


def verdict(number: int) -> Verdict:
    return cast("Verdict", number)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("clients", [1, COMMITTERS, 2 * COMMITTERS + 1, 24])
async def test_whoever_asks_again_as_soon_as_it_is_answered_is_always_served(clients: int) -> None:
    door = Ledger()

    async def client(base: int) -> None:
        for number in range(base, base + 50):
            assert await door.submit(submission(number)) == verdict(number)

    async with asyncio.timeout(20):
        await asyncio.gather(*(client(1_000 * n) for n in range(clients)))
    assert door.most <= COMMITTERS
    assert sum(door.sizes) == 50 * clients


async def test_who_comes_in_the_turn_in_which_all_commits_end_is_served() -> None:
    door = Ledger()
    door.gate.clear()

    async def twice() -> None:
        await door.submit(submission(1))
        await door.submit(submission(2))

    first = asyncio.create_task(twice())
    await turns(3)
    assert door.under_way == 1
    second = asyncio.create_task(door.submit(submission(3)))
    await turns(3)
    assert door.under_way == COMMITTERS
    door.gate.set()
    async with asyncio.timeout(5):
        await asyncio.gather(first, second)


async def test_who_fails_is_told_and_the_next_is_served() -> None:
    door = Ledger()
    door.broken = True
    answers = await asyncio.gather(*(door.submit(submission(n)) for n in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionError] * 5
    door.broken = False
    async with asyncio.timeout(5):
        assert await door.submit(submission(7)) == verdict(7)


async def test_a_crowd_shares_transactions_of_a_bounded_size() -> None:
    door = Ledger()
    await asyncio.gather(*(door.submit(submission(n)) for n in range(3 * GATHERED)))
    assert max(door.sizes) <= GATHERED
    assert len(door.sizes) <= 3 + COMMITTERS
