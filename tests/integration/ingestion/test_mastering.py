"""Units that the organisation keeps here: recorded and judged over HTTP; what HR's sources say of them is refused."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest

from contracts.registry import HR_UNIT
from services.ingestion.bootstrap import build
from services.ingestion.settings import Settings
from services.kernel.settings import OrganisationsRefused, load_organisations
from tests.integration.ingestion import test_files, test_unit_files
from tests.integration.ingestion.conftest import Site
from tests.integration.ingestion.scim_site import CLIENT, ScimSite, group
from tests.support import hr
from tests.support.kernel import ROOT

WRITE = "organisation:write"
WHY = "beslut av nämnden"
UNITS = "https://hr.alvsund.example/enheter"


@dataclass
class UnitDesk:
    """A clerk of an organisation."""

    site: Site

    async def ask(self, path: str, body: Any, *scopes: str, **headers: str) -> httpx2.Response:
        bearer = self.site.bearer("alvsund", *(scopes or (WRITE,)), subject="clerk-1")
        return await self.site.client.post(f"/v1/units{path}", json=body, headers={**bearer, **headers})

    async def record(self, unit: str, **fields: Any) -> dict[str, Any]:
        answer = await self.ask("", {"externalId": unit, "reason": WHY, **fields})
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def plan(self, *words: object) -> list[dict[str, Any]]:
        answer = await self.ask("/plan", {"units": list(words)})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["units"]
        return found

    def told(self, unit: str) -> list[dict[str, Any]]:
        """Every record that was told of a unit, in order."""
        rows = self.site.rows(
            "SELECT body FROM outbox WHERE subject = %s AND type LIKE '%%unit.recorded%%' ORDER BY seq", unit
        )
        return [orjson.loads(row[0])["data"]["record"] for row in rows]

    def audited(self, action: str) -> list[dict[str, Any]]:
        rows = self.site.rows("SELECT body FROM outbox WHERE type LIKE '%%audit%%' ORDER BY seq")
        return [said for row in rows if (said := orjson.loads(row[0])["data"])["action"] == action]

    async def hired(self, **fields: Any) -> str:
        event = hr.hire(fresh("p"))
        event["data"] |= fields
        found: str = (await self.site.post(event)).json()["person"]
        return found


def fresh(letter: str = "u") -> str:
    """A unit of one's own."""
    return f"{letter}-{uuid4().hex[:8]}"


@pytest.fixture
async def desk(site: Site, tmp_path: Path) -> AsyncIterator[UnitDesk]:
    """Älvsund keeps its units here."""
    settings = site.service.settings
    assert isinstance(settings, Settings)
    path = tmp_path / "kept-here.toml"
    table = settings.organisations.read_text("utf-8")
    table = table.replace("[alvsund]\n", '[alvsund]\norganisation_data = "stafett"\n')
    agreed = f'[alvsund.source."{UNITS}"]\n'
    path.write_text(table.replace(agreed, f'{agreed}scim_clients = ["{CLIENT}"]\n'), "utf-8")
    service = build(settings.model_copy(update={"organisations": path, "mappings": ROOT / "deploy/mappings"}))
    await service.database.open()
    transport = httpx2.ASGITransport(app=service.app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://ingestion") as client:
        yield UnitDesk(replace(site, service=service, client=client))
    await service.database.close()


async def test_a_unit_is_recorded_now_with_a_reason_and_told_like_any_other(desk: UnitDesk) -> None:
    root, unit, boss = fresh(), fresh(), await desk.hired()
    assert (await desk.record(root, name="Kommunen", validFrom="2020-01-01"))["status"] == "accepted"
    found = await desk.record(unit, name="Norr", validFrom="2020-01-01", parent=root, manager=boss)
    assert (found["status"], found["unit"], found["revision"]) == ("accepted", unit, 1)
    await desk.record(unit, name="Söder", actingManager=boss, effectiveFrom="2026-06-01")
    now = desk.told(unit)[-1]
    assert (now["name"], now["parent"], now["manager"]) == ("Norr", root, boss)
    assert now["changes"] == [{"effectiveFrom": "2026-06-01", "name": "Söder", "actingManager": boss}]
    facts = desk.site.rows("SELECT source, actor, asserted_at FROM fact WHERE unit = %s ORDER BY seq", unit)
    assert {(source, actor) for source, actor, _ in facts} == {("urn:stafett:organisation", "clerk-1")}
    assert [f"{at:%Y-%m-%dT%H:%M}" for *_, at in facts] == ["2026-03-02T07:00"] * 2
    said = [one for one in desk.audited("unit.recorded") if one["parameters"]["unit"] == unit]
    assert [(one["actor"], one["reason"]) for one in said] == [("clerk-1", WHY)] * 2


async def test_a_word_here_is_newer_than_all_before_whatever_clock_told_them(desk: UnitDesk, site: Site) -> None:
    unit = fresh()
    ahead = hr.unit(unit, name="Norr", time="2026-03-02T20:00:00Z")
    assert (await site.post(ahead)).status_code == 202
    assert (await desk.record(unit, name="Söder"))["status"] == "accepted"
    assert desk.told(unit)[-1]["name"] == "Söder"


async def test_the_same_word_again_is_a_duplicate_and_another_one_a_conflict(desk: UnitDesk) -> None:
    unit, key = fresh(), {"Idempotency-Key": str(uuid4())}
    word = {"externalId": unit, "name": "Norr", "validFrom": "2020-01-01", "reason": WHY}
    first = await desk.ask("", word, **key)
    desk.site.set_business_time("2026-03-03T08:00:00+01:00")
    again = await desk.ask("", word, **key)
    assert (again.status_code, again.json()) == (202, {**first.json(), "status": "duplicate", "duplicate": True})
    other = await desk.ask("", {**word, "name": "Söder"}, **key)
    assert (other.status_code, other.json()["code"]) == (409, "event.conflict")
    assert desk.site.rows("SELECT count(*) FROM fact WHERE unit = %s", unit) == [(1,)]
    assert len([one for one in desk.audited("unit.recorded") if one["parameters"]["unit"] == unit]) == 1


@pytest.mark.parametrize(
    ("fields", "code", "wrong"),
    [
        ({"reason": None}, "request.invalid", ("/body/reason", "string_type")),
        ({"reason": " "}, "request.invalid", ("/body/reason", "value_error")),
        ({"name": None}, "event.invalid", ("/body/name", "string_type")),
        ({"strange": 1}, "event.invalid", ("/body/strange", "extra_forbidden")),
        ({"parent": "same"}, "event.invalid", ("/body", "unit.own_parent")),
        ({"validTo": "2019-01-01"}, "event.invalid", ("/body", "dates.end_before_start")),
        ({"successors": ["u"]}, "unit.end_missing", ("/body/successors", "unit.end_missing")),
        ({"manager": str(uuid4())}, "person.unknown", ("/body/manager", "person.unknown")),
        ({"actingManager": "p-1"}, "person.unknown", ("/body/actingManager", "person.unknown")),
        ({"managerSource": "urn:x"}, "source.forbidden", ("/body/managerSource", "source.forbidden")),
        (
            {"manager": "p", "managerSource": "urn:stafett:operator"},
            "source.forbidden",
            ("/body/managerSource", "source.forbidden"),
        ),
    ],
)
async def test_what_is_wrong_is_named_and_leaves_no_trace(
    desk: UnitDesk, fields: dict[str, Any], code: str, wrong: tuple[str, str]
) -> None:
    unit = fresh()
    fields = {name: unit if value == "same" else value for name, value in fields.items()}
    word = {"externalId": unit, "name": "Norr", "validFrom": "2020-01-01", "reason": WHY, **fields}
    answer = await desk.ask("", word)
    found = answer.json()
    assert (found["code"], (found["errors"][0]["field"], found["errors"][0]["code"])) == (code, wrong)
    assert desk.site.rows("SELECT count(*) FROM fact WHERE unit = %s", unit) == [(0,)]
    assert desk.site.rows("SELECT count(*) FROM unit WHERE id = %s", unit) == [(0,)]
    del word["reason"]
    if "reason" not in fields:
        (judged,) = await desk.plan(word)
        place = wrong[0].replace("/body", "/body/units/0")
        assert (judged["status"], judged["code"], judged["errors"][0]["field"]) == ("rejected", code, place)


async def test_a_protected_person_is_named_by_who_may_see_them(desk: UnitDesk) -> None:
    unit, boss = fresh(), await desk.hired(protection="marked")
    word = {"externalId": unit, "name": "Norr", "validFrom": "2020-01-01", "manager": boss, "reason": WHY}
    assert (await desk.ask("", word)).json()["code"] == "person.unknown"
    assert (await desk.ask("", word, WRITE, "persons:read_protected")).status_code == 202
    assert desk.told(unit)[-1]["manager"] == boss


async def test_a_manager_may_be_named_by_the_id_of_a_source(desk: UnitDesk) -> None:
    unit, person = fresh(), fresh("p")
    boss = (await desk.site.post(hr.hire(person))).json()["person"]
    await desk.record(unit, name="Norr", validFrom="2020-01-01", manager=person, managerSource=hr.SOURCE)
    assert desk.told(unit)[-1]["manager"] == boss


async def test_who_was_merged_after_being_named_is_followed(desk: UnitDesk) -> None:
    unit, kept, absorbed = fresh(), await desk.hired(), await desk.hired()
    await desk.record(unit, name="Norr", validFrom="2020-01-01", manager=absorbed)
    headers = desk.site.bearer("alvsund", "identity:write", "persons:read")
    body = {"absorb": absorbed, "reason": WHY}
    merged = await desk.site.client.post(f"/v1/persons/{kept}/merge", json=body, headers=headers)
    assert merged.status_code == 200, merged.text
    await desk.record(unit, site="Torget")
    assert desk.told(unit)[-1]["manager"] == kept


async def test_a_plan_judges_words_together_and_stores_nothing(desk: UnitDesk) -> None:
    root, unit, new, boss = fresh("a"), fresh("b"), fresh("c"), await desk.hired()
    await desk.record(root, name="Kommunen", validFrom="2020-01-01")
    await desk.record(unit, name="Norr", validFrom="2020-01-01", parent=root)
    tables = ("fact", "unit", "unit_version", "source_identity")
    before = [desk.site.rows(f"SELECT count(*) FROM {table}") for table in tables]
    found = await desk.plan(
        {"externalId": new, "name": "Ny", "validFrom": "2026-05-01", "parent": unit},
        {"externalId": unit, "name": "Söder", "manager": boss, "effectiveFrom": "2026-06-01"},
        {"externalId": root, "parent": new, "effectiveFrom": "2026-07-01"},
        {"externalId": fresh("d"), "name": "Utan början"},
        {"externalId": unit, "name": "Norr"},
        {"externalId": fresh("e"), "name": "Väntar", "validFrom": "2026-05-01", "parent": fresh("x")},
        "no word",
        {"externalId": root, "validTo": "2026-09-30"},
    )
    assert [(one["index"], one["status"]) for one in found] == list(
        enumerate(["accepted", "accepted", "rejected", "rejected", "unchanged", "parked", "rejected", "accepted"])
    )
    assert (found[0]["kind"], found[1]["kind"], found[1]["fields"]) == ("created", "renamed", ["name", "manager"])
    (circle,) = found[2]["errors"]
    assert (circle["field"], circle["code"]) == ("/body/units/2/parent", "unit.cycle")
    assert circle["reason"].endswith("from 2026-07-01")
    assert found[3]["errors"][0]["field"] == "/body/units/3/validFrom"
    assert found[7]["warnings"][0]["code"] == "unit.children_open"
    assert [desk.site.rows(f"SELECT count(*) FROM {table}") for table in tables] == before
    assert desk.audited("units.planned")[-1]["parameters"] == {"units": 8, "rejected": 3}
    wrong: tuple[Any, ...] = ({}, {"units": []}, {"units": [{}], "x": 1}, {"units": [{}] * 1001}, [])
    for body in wrong:
        answer = await desk.ask("/plan", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    (empty,) = await desk.plan({})
    assert (empty["status"], empty["errors"][0]["field"]) == ("rejected", "/body/units/0/externalId")


async def test_a_plan_is_recorded_whole_and_once(desk: UnitDesk) -> None:
    root, unit, boss = fresh("a"), fresh("b"), await desk.hired()
    words = [
        {"externalId": unit, "name": "Norr", "validFrom": "2020-01-01", "parent": root, "manager": boss},
        {"externalId": root, "name": "Kommunen", "validFrom": "2020-01-01"},
        {"externalId": unit, "name": "Söder", "effectiveFrom": "2026-06-01"},
    ]
    key = {"Idempotency-Key": str(uuid4())}
    first = await desk.ask("/all", {"units": words, "reason": WHY}, **key)
    assert (first.status_code, first.json()["counts"]) == (202, {"accepted": 3}), first.text
    assert desk.told(unit)[-1]["parent"] == root
    assert desk.told(unit)[-1]["changes"] == [{"effectiveFrom": "2026-06-01", "name": "Söder"}]
    desk.site.set_business_time("2026-03-03T08:00:00+01:00")
    again = await desk.ask("/all", {"units": words, "reason": WHY}, **key)
    assert (again.status_code, again.json()["counts"]) == (202, {"duplicate": 3})
    for other in (words[:2], [*words[:2], {**words[2], "name": "Väster"}]):
        answer = await desk.ask("/all", {"units": other, "reason": WHY}, **key)
        assert (answer.status_code, answer.json()["code"]) == (409, "event.conflict")
    assert desk.site.rows("SELECT count(*) FROM fact WHERE unit IN (%s, %s)", unit, root) == [(3,)]
    said = [one for one in desk.audited("unit.recorded") if one["parameters"]["unit"] in {unit, root}]
    assert [one["reason"] for one in said] == [WHY] * 3


@pytest.mark.parametrize(
    ("last", "code", "field"),
    [
        ({"strange": 1}, "event.invalid", "/body/units/1/strange"),
        ({"manager": "nobody"}, "person.unknown", "/body/units/1/manager"),
        ({"name": "Utan början"}, "unit.start_missing", "/body/units/1/validFrom"),
        ("no word", "event.invalid", "/body/units/1"),
    ],
)
async def test_a_plan_of_which_one_word_cannot_be_records_nothing(
    desk: UnitDesk, last: Any, code: str, field: str
) -> None:
    unit, other = fresh(), fresh()
    word = {"externalId": unit, "name": "Norr", "validFrom": "2020-01-01"}
    wrong = {"externalId": other, **last} if isinstance(last, dict) else last
    answer = await desk.ask("/all", {"units": [word, wrong], "reason": WHY})
    found = answer.json()
    assert (answer.status_code, found["code"], found["errors"][0]["field"]) == (422, code, field), found
    assert desk.site.rows("SELECT count(*) FROM fact WHERE unit = %s", unit) == [(0,)]
    assert desk.site.rows("SELECT count(*) FROM unit WHERE id = %s", unit) == [(0,)]
    assert (await desk.ask("/all", {"units": [word]})).json()["errors"][0]["field"] == "/body/reason"
    assert (await desk.ask("/all", {"units": [word], "reason": WHY}, "organisation:read")).status_code == 403


async def test_what_sources_say_of_units_is_refused_by_every_way(desk: UnitDesk) -> None:
    unit, person = fresh(), fresh("p")
    answer = await desk.site.post(hr.unit(unit))
    assert (answer.status_code, answer.json()["code"]) == (409, "unit.mastered_here")
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [("/type", "unit.mastered_here")]
    results = (await desk.site.post([hr.unit(unit), hr.hire(person, unit=unit)])).json()["results"]
    assert [one["status"] for one in results] == ["rejected", "accepted"]
    own = hr.event({"externalId": unit}, type_=HR_UNIT, source="urn:stafett:organisation")
    assert (await desk.site.post(own)).json()["code"] == "source.forbidden"
    scim = await ScimSite(desk.site).ask("POST", "/Groups", group(unit))
    assert (scim.status_code, "unit.mastered_here" in scim.text) == (409, True)
    files = test_files.Desk(desk.site, "alvsund", UNITS)
    found = await files.told(test_unit_files.sheet(test_unit_files.line(unit)))
    assert (found["state"], found["code"]) == ("refused", "unit.mastered_here")
    assert desk.site.rows("SELECT count(*) FROM unit WHERE id = %s", unit) == [(0,)]


async def test_where_hr_masters_units_nothing_is_recorded_or_planned_here(site: Site) -> None:
    hr_desk, word = UnitDesk(site), {"externalId": fresh(), "name": "Norr", "validFrom": "2020-01-01"}
    bodies = (("", {**word, "reason": WHY}), ("/plan", {"units": [word]}), ("/all", {"units": [word], "reason": WHY}))
    for path, body in bodies:
        answer = await hr_desk.ask(path, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "unit.mastered_by_hr")
        assert (await hr_desk.ask(path, body, "organisation:read", "records:read")).status_code == 403
    assert site.rows("SELECT count(*) FROM unit WHERE id = %s", word["externalId"]) == [(0,)]


def test_a_table_of_organisations_names_who_masters_units_and_no_source_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "organisations.toml"
    table = (ROOT / "deploy/local/organisations.toml").read_text("utf-8")
    path.write_text(table)
    assert {one.organisation_data for one in load_organisations(path).values()} == {"hr"}
    path.write_text(table.replace("[alvsund]\n", '[alvsund]\norganisation_data = "both"\n'))
    with pytest.raises(OrganisationsRefused, match="organisation_data"):
        load_organisations(path)
    path.write_text(table.replace(f'"{UNITS}"]', f'"{UNITS}", "urn:stafett:organisation"]', 1))
    with pytest.raises(OrganisationsRefused, match="urn:stafett:organisation"):
        load_organisations(path)
