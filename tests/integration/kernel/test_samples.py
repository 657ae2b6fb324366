"""Samples: replicas share a row, a line tells where nothing is known, and a day is kept."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest

from services.kernel import samples
from services.kernel.database import Database
from services.kernel.metrics import instruments
from tests.support.kernel import background, eventually

DONE = (10, 20, 30, 5)


def bins(admin: psycopg.Connection) -> list[tuple[Any, ...]]:
    return admin.execute(
        "SELECT extract(epoch FROM at)::int, published, taken_in, passes, failed, unpublished, wanted, ready"
        " FROM accounts.sample ORDER BY at"
    ).fetchall()


async def take(database: Database, done: Sequence[int] = DONE) -> None:
    async with database.transaction() as conn:
        await samples.take(conn, done)


async def lines(database: Database, minutes: int) -> dict[str, Any]:
    async with database.transaction() as conn:
        return await samples.lines(conn, minutes)


async def well_within_a_sample() -> None:
    """Two transactions from here on fall into the same ten seconds: they change in the middle of them."""
    if 3 < (second := time.time() % samples.EVERY) < 6:
        await asyncio.sleep(6 - second)


async def test_what_replicas_have_counted_is_added_up(
    accounts_database: Database, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "ready", lambda: 7)
    admin.execute(
        "INSERT INTO accounts.work (organisation, kind, subject, target, lane, wanted, done)"
        " SELECT 'o', 'person', n::text, 't', 1, 2, n % 2 + 1 FROM generate_series(1, 4) n"
    )
    await well_within_a_sample()
    await take(accounts_database)
    await take(accounts_database, (1, 2, 3, 4))
    (only,) = bins(admin)
    assert only[1:] == (11, 22, 33, 9, 0, 2, 7)
    assert only[0] % samples.EVERY == 0
    assert abs(only[0] + samples.EVERY / 2 - time.time()) < samples.EVERY, "it is the sample that ends about now"


async def test_a_line_is_per_second_and_has_gaps_where_nothing_is_known(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    admin.execute(
        "INSERT INTO accounts.sample SELECT date_bin('10 seconds', now(), 'epoch') - n * interval '10 seconds',"
        " 10, 20, 30, 5, n, 2 * n, NULL FROM unnest(ARRAY[0, 1, 2, 4]) n"
    )
    found = await lines(accounts_database, 5)
    assert found["every"] == 10
    assert len(found["at"]) == 30
    assert found["at"][-1] - found["at"][0] == 290
    shift = round((time.time() - found["at"][-1]) // 10) - 1  # the clock may have moved on since they were made
    assert shift in (0, 1)
    assert found["takenIn"][-4 - shift : len(found["at"]) - shift] == [2.0, None, 2.0, 2.0], "what goes on is not told"
    assert found["passes"][-1 - shift] == 3.0
    assert found["wanted"][-4 - shift : len(found["at"]) - shift] == [8, None, 4, 2]
    assert set(found["ready"]) == {None}


async def test_a_day_is_few_points_and_counts_what_short_ones_count(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    admin.execute(
        "INSERT INTO accounts.sample SELECT date_bin('10 seconds', now(), 'epoch') - n * interval '10 seconds',"
        " 10, 0, 0, 0, n % 48, 0, 0 FROM generate_series(0, 9000) n"
    )
    await take(accounts_database, (0, 0, 0, 0))
    kept = bins(admin)
    assert kept[0][0] > time.time() - samples.KEPT_MINUTES * 60 - 20, "what is older than a day is gone"
    found = await lines(accounts_database, samples.KEPT_MINUTES)
    assert samples.POINTS <= len(found["at"]) <= samples.POINTS + 1
    assert found["every"] == samples.KEPT_MINUTES * 60 / samples.POINTS
    assert set(found["published"][1:]) == {1.0}, "the newest point too, though it goes on"
    assert set(found["unpublished"][1:-1]) == {47}, "the most there was"


async def test_what_was_done_while_the_database_was_away_is_in_the_sample_after(
    accounts_database: Database, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "EVERY", 1)
    before, real = samples.counted(), samples.take
    tried: list[Sequence[int]] = []

    async def away(conn: object, done: Sequence[int]) -> None:
        tried.append(done)
        raise psycopg.OperationalError("away")

    async def seen(condition: Callable[[], bool]) -> None:
        async def holds() -> bool:
            return condition()

        await eventually(holds)

    monkeypatch.setattr(samples, "take", away)
    async with background(samples.run(accounts_database)):
        await seen(lambda: len(tried) == 1)
        instruments.TAKEN_IN.labels("accounts.bulk", "new").inc(3)
        await seen(lambda: [*tried[-1]] == [0, 3, 0, 0])
        monkeypatch.setattr(samples, "take", real)
        await seen(lambda: sum(row[2] for row in bins(admin)) == 3)
        instruments.WORK_PASS.labels("openldap", "permanent").observe(0.1)
        instruments.WORK_PASS.labels("openldap", "done").observe(0.1)
        await seen(lambda: [sum(row[n] for row in bins(admin)) for n in (2, 3, 4)] == [3, 2, 1])
    assert [after - first for first, after in zip(before, samples.counted(), strict=True)] == [0, 3, 2, 1]
