"""The organisation as HR records it, over a real PostgreSQL: dated, moved, merged, waiting for units above, refused."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson

from contracts.codes import Lane
from contracts.registry import HR_UNIT
from services.ingestion.handlers.dates import DatesReached
from services.ingestion.migrations.ingestion_0015_unit_history import LOOK_AT_ALL
from services.ingestion.store import measures
from services.kernel.work import Claim, Outcome, WorkKey
from tests.integration.ingestion.conftest import Site
from tests.support import hr


def fresh(letter: str = "u") -> str:
    """A unit of one's own."""
    return f"{letter}-{uuid4().hex[:8]}"


def word(unit: str, **fields: Any) -> hr.Event:
    """What HR says of a unit now."""
    return hr.event({"externalId": unit, **fields}, type_=HR_UNIT, time="2026-03-02T07:00:00Z")


def told(site: Site, unit: str) -> list[dict[str, Any]]:
    """Every record that was told of a unit, in order."""
    rows = site.rows("SELECT body FROM outbox WHERE subject = %s AND type LIKE '%%unit.recorded%%' ORDER BY seq", unit)
    return [orjson.loads(row[0])["data"]["record"] for row in rows]


def due(site: Site, unit: str) -> datetime | None:
    """When the dates worker looks at a unit."""
    rows = site.rows("SELECT due_at FROM work WHERE kind = 'unit' AND subject = %s AND target = 'dates'", unit)
    found: datetime | None = rows[0][0] if rows else None
    return found


async def look(site: Site, unit: str) -> Outcome:
    """Let the dates worker pass once."""
    performer = DatesReached(site.service.database, site.service.organisations)
    (business, recorded) = site.rows("SELECT now() + clock_offset, now() FROM kernel.clock")[0]
    key = WorkKey("alvsund", "unit", unit, "dates")
    claim = Claim(key, 1, 1, 1, 1, Lane.BULK, False, False, business, recorded)
    async with site.service.database.transaction() as conn:
        (context,) = await performer.load(conn, [claim])
    return await performer.perform(claim, context)


async def results(site: Site, *events: hr.Event) -> list[dict[str, Any]]:
    answer = await site.post(list(events))
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


async def test_a_planned_change_is_told_with_the_unit_and_again_when_its_date_is_reached(site: Site) -> None:
    root, unit = fresh(), fresh()
    await results(site, hr.unit(root), hr.unit(unit, name="Norr"))
    await site.post(word(unit, name="Söder", parent=root, effectiveFrom="2026-06-01"))
    assert told(site, unit)[-1]["changes"] == [{"effectiveFrom": "2026-06-01", "name": "Söder", "parent": root}]
    assert due(site, unit) == datetime(2026, 5, 31, 22, tzinfo=UTC)
    assert (await look(site, unit)).due_at == due(site, unit)
    assert len(told(site, unit)) == 2
    site.set_business_time("2026-06-01T00:00:01+02:00")
    await asyncio.gather(*(look(site, unit) for _ in range(3)))
    assert len(told(site, unit)) == 3
    assert (told(site, unit)[2]["name"], told(site, unit)[2]["parent"]) == ("Söder", root)
    assert "changes" not in told(site, unit)[2]
    assert (await look(site, unit)).due_at is None


async def test_dates_that_pass_unseen_are_one_revision_and_a_fact_that_comes_first_tells_them(site: Site) -> None:
    one, other = fresh(), fresh()
    for unit in (one, other):
        await site.post(hr.unit(unit))
        await site.post(word(unit, name="B", effectiveFrom="2026-04-01"))
        await site.post({**word(unit, name="C", effectiveFrom="2026-05-01"), "id": str(uuid4())})
    site.set_business_time("2026-05-02T08:00:00+02:00")
    await look(site, one)
    assert [record["name"] for record in told(site, one)][3:] == ["C"]
    await site.post({**word(other, site="Torget"), "time": "2026-05-02T07:00:00+02:00"})
    await look(site, other)
    assert [(record["name"], record["site"]) for record in told(site, other)][3:] == [("C", "Torget")]


async def test_an_edit_moves_the_date_and_null_takes_it_back(site: Site) -> None:
    unit = fresh()
    await site.post(hr.unit(unit, name="Norr"))
    await site.post(word(unit, name="Söder", effectiveFrom="2026-06-01"))
    await site.post({**word(unit, name="Norr", effectiveFrom=None), "time": "2026-03-02T07:01:00Z"})
    assert (due(site, unit), "changes" in told(site, unit)[-1]) == (None, False)
    late = {**word(unit, name="Väster", effectiveFrom="2026-07-01"), "time": "2026-03-02T06:00:00Z"}
    assert (await site.post(late)).json()["status"] == "unchanged"


async def test_what_held_before_is_told_with_the_unit_and_its_change_alone_is_a_revision(site: Site) -> None:
    unit = fresh()
    await site.post(hr.unit(unit, name="Norr"))
    await site.post({**word(unit, name="Syd"), "time": "2026-02-10T08:00:00Z"})
    was = told(site, unit)[-1]["earlier"]
    assert [(one["effectiveFrom"], one["name"]) for one in was] == [("2020-01-01", "Norr"), ("2026-02-10", "Syd")]
    late = {**word(unit, name="Öst"), "time": "2026-01-20T08:00:00Z"}
    assert (await site.post(late)).json() == {"id": late["id"], "status": "accepted", "unit": unit, "revision": 3}
    retroactive = word(unit, name="Syd", effectiveFrom="2026-02-01")
    assert (await site.post(retroactive)).json()["revision"] == 4
    now = told(site, unit)[-1]
    assert [(one["effectiveFrom"], one["name"]) for one in now["earlier"]] == [
        ("2020-01-01", "Norr"),
        ("2026-01-20", "Öst"),
        ("2026-02-01", "Syd"),
    ]
    assert now["name"] == "Syd"
    items = (await site.get(f"/v1/units?on=2026-01-25&limit=1000&after={unit[:-1]}")).json()["items"]
    (then,) = [one["record"] for one in items if one["unit"] == unit]
    assert (then["name"], [one["name"] for one in then["changes"]]) == ("Öst", ["Syd"])


async def test_who_led_a_unit_before_is_shown_as_who_leads_it_is(site: Site) -> None:
    unit, boss = fresh(), fresh("p")
    protected = hr.hire(boss)
    protected["data"]["protection"] = "marked"
    await results(site, protected, hr.unit(unit, manager=boss), {**word(unit, manager=None)})

    async def shown(*scopes: str) -> dict[str, Any]:
        headers = site.bearer("alvsund", "records:read", *scopes)
        items = (await site.get(f"/v1/units?limit=1000&after={unit[:-1]}", headers)).json()["items"]
        return next(one for one in items if one["unit"] == unit)

    found = await shown()
    assert (found["managerWithheld"], [one["manager"] for one in found["record"]["earlier"]]) == (True, [None, None])
    open_ = await shown("persons:read_protected")
    assert open_["record"]["earlier"][0]["manager"] is not None


async def test_a_unit_that_was_folded_without_its_past_is_folded_anew_when_it_is_looked_at(site: Site) -> None:
    looked, spoken = fresh(), fresh()
    for unit in (looked, spoken):
        await site.post(hr.unit(unit, name="Norr"))
        await site.post({**word(unit, name="Syd"), "time": "2026-02-10T08:00:00Z"})
    whole = told(site, looked)[-1]
    site.admin.execute(
        "UPDATE unit SET state = state - 'folding' - 'former', record = record - 'earlier' WHERE id = ANY(%s)",
        ([looked, spoken],),
    )
    site.admin.execute(LOOK_AT_ALL)
    day = due(site, looked)
    assert day is not None
    site.set_business_time(day.isoformat())
    assert (await look(site, looked)).due_at is None
    assert told(site, looked)[2:] == [whole]
    await site.post(word(spoken, site="Torget"))
    assert told(site, spoken)[-1]["earlier"][0]["name"] == "Norr"


async def test_a_late_fact_may_bring_back_a_manager_whom_nothing_mentions(site: Site) -> None:
    unit = fresh()
    await site.post(hr.unit(unit, manager=fresh("p")))
    await site.post({**word(unit, manager=None, effectiveFrom="2020-01-01"), "time": "2026-02-10T08:00:00Z"})
    assert "earlier" not in told(site, unit)[-1]
    answer = await site.post({**word(unit, validFrom="2019-01-01"), "time": "2026-02-01T08:00:00Z"})
    assert answer.json()["status"] == "accepted"
    assert [one["manager"] is None for one in told(site, unit)[-1]["earlier"]] == [False, True]


async def test_case_47_a_unit_that_is_merged_renamed_or_moved_keeps_its_id_and_its_subtree(site: Site) -> None:
    root, unit, child, other = fresh(), fresh(), fresh(), fresh()
    domain = {"mailDomain": "skola.alvsund.example"}
    await results(
        site, hr.unit(root), hr.unit(other), hr.unit(unit, parent=root, **domain), hr.unit(child, parent=unit)
    )
    answers = await results(
        site, word(unit, name="Nytt namn", parent=other), word(root, validTo="2026-06-30", successors=[other])
    )
    assert [answer["status"] for answer in answers] == ["accepted", "accepted"]
    assert "warnings" not in answers[1]
    assert len(told(site, child)) == 1
    now = told(site, unit)[-1]
    assert (now["name"], now["parent"], now["mailDomain"]) == ("Nytt namn", other, "skola.alvsund.example")
    assert (told(site, root)[-1]["validTo"], told(site, root)[-1]["successors"]) == ("2026-06-30", [other])


async def test_case_49_a_unit_that_comes_before_the_one_above_it_waits_and_is_told_after_it(site: Site) -> None:
    root, unit, child = fresh(), fresh(), fresh()
    assert (await site.post(hr.hire(fresh("p"), unit=child))).json()["status"] == "accepted"
    for low, high in ((child, unit), (unit, root)):
        answer = await site.post(hr.unit(low, parent=high))
        assert (answer.status_code, answer.json()["status"]) == (202, "parked")
    assert (told(site, child), told(site, unit)) == ([], [])
    assert (await site.post(hr.unit(root))).json()["status"] == "accepted"
    trees = site.rows("SELECT unit FROM unit_version WHERE unit = ANY(%s) ORDER BY tree_revision", [root, unit, child])
    assert [row[0] for row in trees] == [root, unit, child]
    assert len(told(site, child)) == 1


async def test_a_batch_brings_units_in_any_order_and_lets_them_change_places(site: Site) -> None:
    root, unit, child = fresh(), fresh(), fresh()
    same = [hr.unit(child, parent=unit), hr.unit(unit, parent=root), hr.unit(root)]
    assert [answer["status"] for answer in await results(site, *same)] == ["accepted"] * 3
    swapped = [word(unit, parent=child), word(child, parent=root)]
    for ids in (("1", "2"), ("2", "1")):
        both = [{**event, "id": f"{fresh('e')}-{number}"} for event, number in zip(swapped, ids, strict=True)]
        answers = await results(site, *both)
        assert not {"rejected"} & {answer["status"] for answer in answers}
    assert told(site, unit)[-1]["parent"] == child


async def test_a_move_to_an_unknown_unit_waits_while_all_else_is_told(site: Site) -> None:
    root, unit, later = fresh(), fresh(), fresh()
    await results(site, hr.unit(root), hr.unit(unit, parent=root))
    answer = (await site.post(word(unit, parent=later, name="Nytt namn"))).json()
    assert answer["status"] == "parked"
    assert (told(site, unit)[-1]["name"], told(site, unit)[-1]["parent"]) == ("Nytt namn", root)
    await site.post(hr.unit(later, parent=root))
    assert told(site, unit)[-1]["parent"] == later


async def test_a_circle_is_refused_on_whatever_day_it_would_close_and_leaves_no_trace(site: Site) -> None:
    root, unit, child = fresh(), fresh(), fresh()
    await results(site, hr.unit(root), hr.unit(unit, parent=root), hr.unit(child, parent=unit))
    for at, said in ((None, ""), ("2026-06-01", " from 2026-06-01")):
        answer = await site.post(word(root, parent=child, **({"effectiveFrom": at} if at else {})))
        assert (answer.status_code, answer.json()["code"]) == (422, "unit.cycle")
        (error,) = answer.json()["errors"]
        assert (error["field"], error["code"]) == ("/data/parent", "unit.cycle")
        assert error["reason"].endswith(f": {root} > {child} > {unit} > {root}{said}")
    assert site.rows("SELECT count(*) FROM fact WHERE unit = %s", root) == [(1,)]
    # of a batch only the event that closes the circle is refused
    good = hr.unit(fresh())
    bad = word(root, parent=child)
    assert [answer["status"] for answer in await results(site, bad, good, bad)] == ["rejected", "accepted", "rejected"]
    waits, above = fresh(), fresh()
    await site.post(hr.unit(waits, parent=above))
    assert (await site.post(hr.unit(above, parent=waits))).json()["code"] == "unit.cycle"


async def test_a_unit_closes_above_open_ones_with_a_warning(site: Site) -> None:
    root, unit = fresh(), fresh()
    await results(site, hr.unit(root), hr.unit(unit, parent=root))
    closed = (await site.post(word(root, validTo="2026-06-30"))).json()
    assert (closed["status"], [one["code"] for one in closed["warnings"]]) == ("accepted", ["unit.children_open"])
    moved = (await site.post(word(unit, parent=None, effectiveFrom="2026-07-01"))).json()
    assert "warnings" not in moved
    alone = await site.post(word(root, successors=[unit]))
    assert alone.status_code == 202
    assert (await site.post(word(unit, successors=[root]))).json()["code"] == "unit.end_missing"


async def test_the_tree_is_read_as_of_a_date_and_what_waits_or_hangs_loose_is_listed(site: Site) -> None:
    root, unit, waits, boss = fresh("a"), fresh("b"), fresh("c"), fresh("p")
    protected = hr.hire(boss)
    protected["data"]["protection"] = "marked"
    await results(site, protected, hr.unit(root), hr.unit(unit, parent=root, manager=boss))
    await results(
        site, hr.unit(waits, parent=fresh("x")), word(unit, name="Syd", parent=None, effectiveFrom="2026-06-01")
    )
    await site.post(word(root, validTo="2026-04-30"))

    async def shown(query: str, *scopes: str) -> dict[str, Any]:
        answer = await site.get(f"/v1/units?limit=1000&{query}", site.bearer("alvsund", "records:read", *scopes))
        assert answer.status_code == 200, answer.text
        return {item["unit"]: item for item in answer.json()["items"]}

    now = await shown("")
    assert (now[unit]["record"]["name"], now[unit]["strandedFrom"]) == ("Hemtjänst norr", "2026-05-01")
    assert (now[unit]["record"]["manager"], now[unit]["managerWithheld"]) == (None, True)
    assert (await shown("", "persons:read_protected"))[unit]["record"]["manager"] is not None
    june = await shown("on=2026-06-01")
    assert (june[unit]["record"]["name"], june[unit]["record"]["parent"], root in june) == ("Syd", None, False)
    assert (unit in await shown("state=stranded"), waits in await shown("state=stranded")) == (True, False)
    parked = await shown("state=parked")
    assert (unit in parked, parked[waits]["revision"], len(parked[waits]["waitsFor"])) == (False, 0, 1)
    first = (await site.get(f"/v1/units?limit=1&after={root}", site.bearer())).json()
    assert (first["items"][0]["unit"] > root, first["next"].startswith("/v1/units?limit=1&after=")) == (True, True)
    async with site.service.database.transaction() as conn:
        (metric,) = await measures.parked(conn)
    waiting = next(one.value for one in metric.samples if one.labels["organisation"] == "alvsund")
    assert waiting == len(parked)
