"""Whom files take away: beyond the guard they are held, and a person decides."""

from tests.integration.ingestion.test_files import Desk, desk, line, sheet, staff

__all__ = ["desk"]


async def test_case_51_too_many_missing_are_held_and_the_rest_goes_on(desk: Desk) -> None:
    await desk.told(staff(*range(1, 11)))
    found = await desk.told(staff(1, 2, 3, 4, 5, 11), "full", plan="false")
    assert (found["state"], found["code"]) == ("done", "file.missing_many")
    assert found["counts"] == {
        "applied": 1, "held": 5, "unchanged": 5, "joiner": 1, "leaver": 5, "missing": 5, "rejectedRows": 0
    }  # fmt: skip
    assert desk.count("fact") == 11
    held = [one["externalId"] for one in await desk.persons(found["id"], state="held")]
    assert held == ["p-10", "p-6", "p-7", "p-8", "p-9"]
    assert await desk.told_of_held() == 5.0
    assert (await desk.do(found["id"], "release", reason="de har slutat", persons=held[:2])).status_code == 202
    await desk.work()
    refused = await desk.do(found["id"], "refuse", reason="halv fil")
    assert {name: refused.json()["counts"].get(name) for name in ("applied", "held", "refused")} == {
        "applied": 3,
        "held": None,
        "refused": 3,
    }
    assert desk.count("fact") == 13
    assert await desk.told_of_held() == 0.0
    assert (await desk.do(found["id"], "release", reason="ändå")).status_code == 409
    said = desk.site.rows(
        "SELECT body::text FROM outbox WHERE type LIKE '%%audit%%' AND body::text LIKE %s", f"%{desk.key}%"
    )
    actions = {action for action in ("file.uploaded", "file.released", "file.kept") if action in str(said)}
    assert actions == {"file.uploaded", "file.released", "file.kept"}


async def test_too_many_who_end_by_their_rows_are_held_and_a_release_travels(desk: Desk) -> None:
    await desk.told(staff(*range(1, 11)))
    ends = [line(f"p-{one}", f"Berg, Anna{one}", TOM="2026-03-04") for one in range(1, 6)]
    found = await desk.told(sheet(*ends, line("p-6", "Berg, Anna6", ENHET="1200")), plan="false")
    assert (found["state"], found["code"]) == ("done", "file.leavers_many")
    assert (found["counts"]["held"], found["counts"]["applied"]) == (5, 1)
    assert await desk.told_of_held() == 5.0
    listed = await desk.site.client.get("/v1/files", params={"state": "held"}, headers=desk.headers())
    assert [one["id"] for one in listed.json()["items"]] == [found["id"]]
    assert (await desk.do(found["id"], "release", reason="de slutar", persons=["p-1", "p-2"])).status_code == 202
    await desk.work()
    released = desk.site.rows(
        "SELECT count(*) FROM person_version WHERE organisation = %s AND guard_released", desk.key
    )
    assert released == [(2,)]
    said = desk.site.rows(
        "SELECT count(*) FROM outbox WHERE type LIKE '%%mover.v1' AND body::json ->> 'organisation' = %s"
        " AND (body::json -> 'data' ->> 'guardReleased')::boolean",
        desk.key,
    )
    assert said == [(2,)]


async def test_a_few_who_are_missing_leave_on_the_day_of_the_file(desk: Desk) -> None:
    await desk.told(sheet(line("p-1"), line("p-2"), line("p-3", FROM="2026-09-01")))
    found = await desk.told(sheet(line("p-1")), "full", plan="false")
    assert found["counts"]["missing"] == 2
    bodies = desk.site.rows(
        "SELECT body -> 'data' -> 'employments' -> 0 FROM fact WHERE organisation = %s ORDER BY seq DESC LIMIT 2",
        desk.key,
    )
    assert sorted((row[0] for row in bodies), key=str) == [
        {"id": "1", "cancelled": True},
        {"id": "1", "validTo": "2026-03-02"},
    ]
    again = await desk.told(sheet(line("p-1")), "full", plan="false", made="2026-03-02T08:01:00+01:00")
    assert again["counts"] == {"unchanged": 1, "missing": 0, "rejectedRows": 0}


async def test_ends_that_were_stated_long_ago_do_not_count(desk: Desk) -> None:
    seasonal = [line(f"s-{number}", ANSTFORM="X", TOM="2026-03-05") for number in range(9)]
    await desk.told(sheet(line("p-1"), *seasonal), made="2026-02-01T08:00:00+01:00")
    found = await desk.told(sheet(line("p-1")), "full", plan="false")
    assert (found["code"], found["counts"]["applied"], found["counts"].get("held")) == (None, 9, None)


async def test_when_a_row_tells_of_nobody_nobody_leaves_for_being_missing(desk: Desk) -> None:
    await desk.told(staff(1, 2))
    found = await desk.told(
        staff(1) + b"P;p-2;afskuren rad;\r\n" + line("p-1", "Berg, Anna1").encode(), "full", plan="false"
    )
    assert (found["code"], found["counts"]["held"]) == ("file.missing_unsure", 1)


async def test_plans_are_judged_together(desk: Desk) -> None:
    await desk.told(staff(*range(1, 21)))
    pairs = ((1, 2), (3, 4), (5, 6))
    plans = [
        await desk.told(sheet(*(line(f"p-{n}", f"Berg, Anna{n}", TOM="2026-03-02") for n in pair)), plan="true")
        for pair in pairs
    ]
    for one in plans:
        assert one["counts"].get("held", 0) == 0
        assert (await desk.do(one["id"], "apply")).status_code == 202
        await desk.work()
    found = [await desk.status(one["id"]) for one in plans]
    assert [one["counts"].get("held", 0) for one in found] == [0, 2, 2]


async def test_a_file_made_long_ago_is_judged(desk: Desk) -> None:
    await desk.told(staff(*range(1, 11)), made="2026-01-10T08:00:00Z")
    ends = sheet(*(line(f"p-{n}", f"Berg, Anna{n}", TOM="2026-03-01") for n in range(1, 11)))
    found = await desk.told(ends, made="2026-02-20T08:00:00Z")
    assert found["counts"].get("held", 0) == 10
