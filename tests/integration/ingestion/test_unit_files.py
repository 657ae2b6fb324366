"""Files of units: planned whole, applied whole, refused whole; the tree is judged before anything is written."""

from typing import Any

import pytest

from contracts.registry import HR_UNIT
from services.ingestion.store import measures
from tests.integration.ingestion.test_files import Crashed, Desk, desk
from tests.support import hr

__all__ = ["desk"]

HEADER = "ENHETSID;BENAMNING;OVERORDNAD;CHEF;TYP;ARBETSSTALLE;ANSVAR;FROM;TOM;GALLERFROM;EFTERTRADARE"


@pytest.fixture(autouse=True)
def of_units(desk: Desk) -> None:
    """Let the desk send the organisation's file."""
    desk.source += "/units"


def line(unit: str, above: str = "", name: str = "", **cells: str) -> str:
    row = {"ENHETSID": unit, "BENAMNING": name or f"Enhet {unit}", "OVERORDNAD": above, "FROM": "2020-01-01", **cells}
    return ";".join(row.get(column, "") for column in HEADER.split(";"))


def sheet(*lines: str) -> bytes:
    return "\r\n".join([HEADER, *lines, ""]).encode()


TREE = (line("c", "b"), line("b", "a"), line("a"))


async def plan(desk: Desk, *lines: str, kind: str = "delta") -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    found = await desk.told(sheet(*lines), kind, plan="true")
    return found, {item["externalId"]: item for item in await desk.persons(found["id"])}


def names(desk: Desk) -> dict[str, tuple[str, str | None]]:
    rows = desk.site.rows(
        "SELECT id, record ->> 'name', record ->> 'parent' FROM unit WHERE organisation = %s", desk.key
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def test_a_file_of_units_becomes_the_tree_whatever_the_order_of_its_rows(desk: Desk) -> None:
    found = await desk.told(sheet(*TREE))
    assert (found["state"], found["records"], found["rows"]) == ("done", "units", 3)
    assert found["counts"] == {"applied": 3, "created": 3, "missing": 0, "rejectedRows": 0}
    assert names(desk) == {"a": ("Enhet a", None), "b": ("Enhet b", "a"), "c": ("Enhet c", "b")}
    again = await desk.told(sheet(*TREE, line("d", "a")))
    assert (again["counts"]["unchanged"], again["counts"]["applied"], desk.count("fact")) == (3, 1, 4)


async def test_managers_of_a_file_of_units_are_people_of_another_source(desk: Desk) -> None:
    people, name = desk.source.removesuffix("/units"), {"given": "Anna", "family": "Berg"}
    await desk.told(sheet(line("a", CHEF="p-1")))
    event = hr.event({"externalId": "p-1", "name": name}, source=people)
    headers = {**desk.headers(), "Content-Type": "application/cloudevents+json"}
    person = (await desk.site.client.post("/v1/events", json=event, headers=headers)).json()["person"]
    manager = desk.site.rows("SELECT record ->> 'manager' FROM unit WHERE organisation = %s AND id = 'a'", desk.key)
    assert manager == [(person,)]
    other = hr.event({"externalId": "a", "managerSource": "https://other.example"}, type_=HR_UNIT, source=people)
    answer = await desk.site.client.post("/v1/events", json=other, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (403, "/data/managerSource")


async def test_who_acts_for_a_manager_comes_with_a_file_and_goes_with_an_empty_cell(desk: Desk) -> None:
    def acting(*cells: str) -> bytes:
        rows = [f"{line('a', CHEF='p-1')};{cell}" for cell in cells]
        return "\r\n".join([f"{HEADER};TFCHEF", *rows, ""]).encode()

    def leads() -> dict[str, Any]:
        rows = desk.site.rows("SELECT record FROM unit WHERE organisation = %s AND id = 'a'", desk.key)
        found: dict[str, Any] = rows[0][0]
        return found

    await desk.told(acting("p-2"))
    assert leads()["actingManager"] not in (None, leads()["manager"])
    found = await desk.told(acting(""), plan="true")
    (item,) = await desk.persons(found["id"])
    assert (item["kind"], item["fields"]) == ("manager_changed", ["actingManager"])
    await desk.do(found["id"], "apply")
    await desk.work()
    assert "actingManager" not in leads()


async def test_a_plan_says_what_becomes_of_each_unit_and_leaves_no_trace(desk: Desk) -> None:
    await desk.told(sheet(*TREE, line("d", "a"), line("e", "a")))
    facts, versions = desk.count("fact"), desk.count("unit_version")
    found, items = await plan(
        desk,
        line("f", "a"),
        line("b", "a", "Nytt namn"),
        line("c", "a", CHEF="p-1"),
        line("d", "a", CHEF="p-1"),
        line("e", "a", TOM="2026-06-30", EFTERTRADARE="b, c"),
        line("a"),
        line("a", name="Ny topp", GALLERFROM="2026-09-01"),
        line("g", "unknown"),
    )
    assert found["state"] == "planned"
    assert {unit: (item["kind"], item["fields"]) for unit, item in items.items()} == {
        "a": ("renamed", ["name"]),
        "b": ("renamed", ["name"]),
        "c": ("moved", ["parent", "manager"]),
        "d": ("manager_changed", ["manager"]),
        "e": ("closed", ["validTo", "successors"]),
        "f": ("created", []),
        "g": ("created", []),
    }
    assert items["g"]["reason"] == "parked"
    assert (desk.count("fact"), desk.count("unit_version")) == (facts, versions)
    await desk.do(found["id"], "apply")
    await desk.work()
    assert (await desk.status(found["id"]))["counts"]["applied"] == 7
    record = desk.site.rows("SELECT record FROM unit WHERE organisation = %s AND id = 'a'", desk.key)[0][0]
    assert record["changes"] == [{"effectiveFrom": "2026-09-01", "name": "Ny topp"}]


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ((*TREE, line("d", FROM="soon")), (5, "FROM", "soon", "date.unreadable")),
        ((*TREE, line("d", TOM="2019-12-31")), (5, "TOM", "2019-12-31", "dates.end_before_start")),
        ((*TREE, line("d", "d")), (5, "OVERORDNAD", "d", "unit.own_parent")),
        ((*TREE, line("d", EFTERTRADARE="b")), (5, "EFTERTRADARE", "b", "unit.end_missing")),
        ((*TREE, line("a", "b")), (4, "OVERORDNAD", "", "row.disagrees")),
        ((line("a", "c"), *TREE[:2]), (3, "OVERORDNAD", "b", "unit.cycle")),
        ((*TREE, line("a", "c", GALLERFROM="2026-09-01")), (5, "OVERORDNAD", "c", "unit.cycle")),
        ((*TREE, line("")), (5, "ENHETSID", "", "row.nobody")),
    ],
)
async def test_one_bad_row_refuses_the_whole_file_and_is_named(
    desk: Desk, lines: tuple[str, ...], wrong: tuple[object, ...]
) -> None:
    found = await desk.told(sheet(*lines))
    assert (found["state"], found["code"], desk.count("fact")) == ("refused", "file.bad_rows", 0)
    answer = await desk.site.get(f"/v1/files/{found['id']}/rejected", desk.headers())
    items = answer.json()["items"]
    assert wrong[3] in {item["code"] for item in items}
    if wrong[3] not in ("row.disagrees", "unit.cycle"):
        assert [(item["row"], item["column"], item["value"], item["code"]) for item in items] == [wrong]


async def test_units_that_a_full_file_leaves_out_wait_for_a_person(desk: Desk) -> None:
    await desk.told(sheet(*TREE))
    found = await desk.told(sheet(line("a"), line("b", "a", "Nytt namn")), "full", plan="false")
    assert (found["state"], found["code"], found["counts"]["held"]) == ("done", "file.units_missing", 1)
    assert (names(desk)["b"], desk.count("fact")) == (("Nytt namn", "a"), 4)
    (item,) = await desk.persons(found["id"], state="held")
    assert (item["externalId"], item["kind"], item["missing"]) == ("c", "closed", True)
    async with desk.service.database.transaction() as conn:
        (people,) = await measures.held(conn)
    assert not [one for one in people.samples if one.labels["source"] == desk.source and one.value]
    assert (await desk.do(found["id"], "release", reason="nedlagd")).status_code == 202
    await desk.work()
    closed = desk.site.rows("SELECT record ->> 'validTo' FROM unit WHERE organisation = %s AND id = 'c'", desk.key)
    assert closed == [("2026-03-02",)]


async def test_a_plan_of_units_that_the_world_has_overtaken_is_refused(desk: Desk) -> None:
    await desk.told(sheet(*TREE))
    found, _ = await plan(desk, line("b", "a", "Nytt namn"))
    await desk.told(sheet(line("b", "a", "Annat namn")))
    answer = await desk.do(found["id"], "apply")
    assert (answer.status_code, answer.json()["code"]) == (409, "file.overtaken")
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [("/units/b", "file.unit_moved")]


@pytest.mark.parametrize("point", ["files.after_plan", "files.before_mark", "accept.before_commit"])
async def test_units_change_places_and_a_crash_loses_nothing(
    desk: Desk, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.told(sheet(*TREE))
    await desk.send(sheet(line("b", "c"), line("c", "a")))

    def crash(here: str) -> None:
        if here == point:
            raise Crashed

    performer: Any = next(one._performer for one in desk.service._executors if one.target == "files")
    monkeypatch.setattr(performer, "_crash", crash)
    monkeypatch.setattr(performer._door, "_crash", crash)
    with pytest.raises(Crashed):
        await desk.work()
    monkeypatch.undo()
    await desk.work()
    assert (names(desk)["b"][1], names(desk)["c"][1], desk.count("fact")) == ("c", "a", 5)
