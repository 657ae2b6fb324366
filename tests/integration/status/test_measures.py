"""Gauges of the cases: open by state, late after a quarter of an hour, lead times of groups of five and more."""

from datetime import datetime, timedelta
from typing import Any

from services.kernel.clock import database_now
from services.kernel.database import Connection, Database
from services.status.domain.cases import Case
from services.status.store import judging, measures
from tests.integration.status.world import uid

MINUTE = timedelta(minutes=1)


def case(number: int, kind: str, accepted_at: datetime, **fields: Any) -> Case:
    values: dict[str, Any] = {
        "organisation": "alvsund",
        "case_id": uid(f"{kind}-{number}"),
        "person": uid("anna"),
        "kind": kind,
        "reason": "hire",
        "reasons": ("hire",),
        "opened_revision": 1,
        "generation": 1,
        "revision": 1,
        "effective_at": accepted_at,
        "accepted_at": accepted_at,
        "updated_at": accepted_at,
        "baseline": False,
        "cancelled": False,
        "closed_at": None,
        "done_at": None,
    }
    return Case(**{**values, **fields})


async def read(conn: Connection) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        metric.name: {tuple(sample.labels.values()): sample.value for sample in metric.samples}
        for metric in await measures.cases(conn)
    }


async def test_without_cases_everything_is_nought(database: Database) -> None:
    async with database.transaction() as conn:
        found = await read(conn)
    assert set(found["stafett_cases_open"].values()) == {0.0}
    assert found["stafett_cases_late"] == {("joiner",): 0.0, ("mover",): 0.0, ("leaver",): 0.0}
    assert found["stafett_case_lead_seconds"] == {}


async def test_a_case_is_late_a_quarter_of_an_hour_after_it_was_accepted_and_took_effect(database: Database) -> None:
    async with database.transaction() as conn:
        now = await database_now(conn)
        await judging.save_cases(
            conn,
            [
                case(1, "joiner", now - 14 * MINUTE),
                case(2, "joiner", now - 16 * MINUTE),
                case(3, "joiner", now - 16 * MINUTE, effective_at=now + 60 * MINUTE),
                case(4, "joiner", now - 16 * MINUTE, baseline=True),
                case(5, "joiner", now - 16 * MINUTE, closed_at=now, done_at=now),
                case(6, "leaver", now - 90 * MINUTE, effective_at=now - 14 * MINUTE),
            ],
        )
        found = await read(conn)
    assert found["stafett_cases_late"] == {("joiner",): 1.0, ("mover",): 0.0, ("leaver",): 0.0}
    assert found["stafett_cases_open"]["joiner", "running"] == 3.0
    assert found["stafett_cases_open"]["joiner", "waiting"] == 1.0
    assert found["stafett_cases_open"]["leaver", "running"] == 1.0


async def test_lead_times_are_of_the_last_day_and_of_no_group_below_five(database: Database) -> None:
    async with database.transaction() as conn:
        now = await database_now(conn)
        done = [
            case(n, "joiner", now - 60 * MINUTE, done_at=now - 60 * MINUTE + timedelta(seconds=n), closed_at=now)
            for n in range(1, 6)
        ]
        few = [case(n, "mover", now, done_at=now, closed_at=now) for n in range(4)]
        old = timedelta(days=2)
        before = [case(9, "joiner", now - old, done_at=now, closed_at=now)]
        taken_over = [case(n, "leaver", now, done_at=now, closed_at=now, baseline=True) for n in range(6)]
        await judging.save_cases(conn, [*done, *few, *before, *taken_over])
        found = await read(conn)
    assert found["stafett_case_lead_seconds"] == {("joiner", "0.5"): 3.0, ("joiner", "0.95"): 4.8}
