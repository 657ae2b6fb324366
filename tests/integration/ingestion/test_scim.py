"""What SCIM says becomes facts like any other; what it shows is the ledger's own; nobody sees or writes too much."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from services.ingestion.store.scim import USER_WHERE, USERS, Sought, narrowed
from tests.integration.ingestion.conftest import Site
from tests.integration.ingestion.scim_site import (
    CORE,
    EMPLOYMENT,
    ENTERPRISE,
    UNIT,
    ScimSite,
    group,
    scim_site,
    user,
)
from tests.support import hr

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
FULL = {
    "validTo": "2027-05-31",
    "extent": 75,
    "assignments": [
        {"unit": "u-1", "title": "Lärare", "manager": "p-boss", "costCentre": "410", "site": "Norr",
         "validFrom": "2026-06-01", "validTo": "2026-12-31"},
        {"unit": "u-2", "title": "Rektor", "titleCode": "R1", "validFrom": "2027-01-01"},
    ],
    "absences": [{"kind": "parental", "extent": "full", "validFrom": "2026-09-01", "validTo": "2026-10-31"}],
}  # fmt: skip


@pytest.fixture
async def scim(site: Site, tmp_path: Path) -> AsyncIterator[ScimSite]:
    """The service with a SCIM client."""
    async with scim_site(site, tmp_path) as found:
        yield found


def new() -> str:
    return f"p-{uuid4().hex[:10]}"


def audited(scim: ScimSite) -> list[dict[str, Any]]:
    rows = scim.site.rows("SELECT body FROM outbox WHERE type LIKE '%%audit%%' ORDER BY seq")
    return [orjson.loads(row[0])["data"] for row in rows]


def settled(record: Any, *ids: str) -> Any:
    """A record with what differs between any two people taken out."""
    text = orjson.dumps(record).decode()
    for one in ids:
        text = text.replace(one, "x")
    return orjson.loads(text)


async def test_a_hire_by_scim_is_the_same_as_by_event(scim: ScimSite) -> None:
    by_scim, by_event = new(), new()
    fields = {"nickName": "Ossi", ENTERPRISE: {"employeeNumber": "4711"}}
    created = await scim.hire(by_scim, employment=FULL, schemas=[CORE, EMPLOYMENT, ENTERPRISE], **fields)
    told = {**FULL, "id": "1", "form": "permanent", "validFrom": "2026-06-01", "employeeNumber": "4711"}
    name = {"given": "Åsa", "family": "Öberg", "preferred": "Ossi"}
    ((at,),) = scim.site.rows("SELECT asserted_at FROM fact WHERE person = %s", UUID(created["id"]))
    event = hr.event({"externalId": by_event, "name": name, "employments": [told]}, time=at.isoformat())
    answer = await scim.site.post(event)
    other = answer.json()["person"]
    ids = [
        *(by_scim, by_event),
        *(item["id"] for person in (created["id"], other) for item in scim.records(person)[0]["employments"]),
    ]
    assert settled(scim.records(created["id"]), *ids) == settled(scim.records(other), *ids)
    states = [scim.state(person) for person in (created["id"], other)]
    for state in states:
        del state["last"]
    assert settled(states[0], *ids) == settled(states[1], *ids)
    assert scim.site.versions(created["id"]) == scim.site.versions(other) == [(1, "joiner", "hire")]
    shown = (await scim.ask("GET", f"/Users/{other}")).json()
    assert (shown["userName"], shown["externalId"]) == (by_event, by_event), "events tell of no other names"
    assert shown[EMPLOYMENT] == created[EMPLOYMENT] | {"absences": shown[EMPLOYMENT]["absences"]}
    assert shown[ENTERPRISE]["employeeNumber"] == "4711"


async def test_a_patch_of_one_attribute_tells_just_that(scim: ScimSite) -> None:
    person = (await scim.hire(new(), employment=FULL))["id"]
    before = scim.state(person)
    answer = await scim.patch(person, f"{EMPLOYMENT}:validTo", "2027-03-31")
    assert (answer.status_code, answer.text) == (204, "")
    (_, fact) = scim.facts(person)
    assert fact["employments"] == [{"id": "1", "validTo": "2027-03-31"}]
    assert set(fact) == {"externalId", "employments"}
    after = scim.state(person)
    for state in (before, after):
        del state["last"], state["employments"][0]["validTo"], state["employments"][0]["endStatedAt"]
    assert before == after
    assert (await scim.patch(person, f"{EMPLOYMENT}:validTo", "2027-03-31")).status_code == 204
    assert len(scim.facts(person)) == 2, "what says nothing new is no fact"


async def test_absent_null_and_false_are_three_things(scim: ScimSite) -> None:
    key = new()
    person = (await scim.hire(key, employment=FULL, nickName="Ossi"))["id"]
    whole = user(key)
    del whole[EMPLOYMENT]["assignments"][0]["title"]
    absent = {**whole, EMPLOYMENT: {**whole[EMPLOYMENT], "assignments": FULL["assignments"]}}
    answer = await scim.ask("PUT", f"/Users/{person}", absent)
    assert answer.status_code == 200, answer.text
    assert answer.json()["nickName"] == "Ossi"
    assert answer.json()[EMPLOYMENT]["validTo"] == "2027-05-31"
    assert len(scim.facts(person)) == 1
    null = {**absent, "nickName": None, EMPLOYMENT: {**absent[EMPLOYMENT], "validTo": None, "absences": []}}
    answer = await scim.ask("PUT", f"/Users/{person}", null)
    assert answer.status_code == 200, answer.text
    fact = scim.facts(person)[-1]
    assert fact["employments"] == [{"id": "1", "validTo": None, "absences": []}]
    assert fact["name"]["preferred"] is None
    false = await scim.ask("PUT", f"/Users/{person}", {**absent, "active": False})
    assert (false.status_code, false.json()["scimType"]) == (400, "mutability")
    assert "validTo" in false.json()["detail"]
    assert len(scim.facts(person)) == 2
    assert (await scim.patch(person, "active", value=False)).status_code == 400
    wrong = {**absent, EMPLOYMENT: {**absent[EMPLOYMENT], "extent": False}}
    assert (await scim.ask("PUT", f"/Users/{person}", wrong)).status_code == 400, "false is no number"
    assert (await scim.patch(person, f"{EMPLOYMENT}:extent", value=False)).status_code == 400
    assert (await scim.patch(person, f"{EMPLOYMENT}:extent", 0)).status_code == 204
    assert scim.facts(person)[-1]["employments"] == [{"id": "1", "extent": 0.0}]


async def test_of_two_writers_with_the_same_version_one_wins(scim: ScimSite) -> None:
    created = await scim.hire(new())
    version = created["meta"]["version"]
    answers = await asyncio.gather(
        *(scim.patch(created["id"], "nickName", name, If_Match=version) for name in ("Ettan", "Tvåan", "Trean"))
    )
    assert sorted(answer.status_code for answer in answers) == [204, 412, 412]
    assert len(scim.facts(created["id"])) == 2
    names = await asyncio.gather(
        *(
            scim.patch(created["id"], "userName", f"{uuid4().hex}", If_Match=answers[index].headers["etag"])
            for index in range(3)
            if answers[index].status_code == 204
            for _ in range(2)
        )
    )
    assert sorted(answer.status_code for answer in names) == [204, 412], "names that are no facts have versions too"


async def test_writers_without_a_condition_are_all_heard(scim: ScimSite) -> None:
    created = await scim.hire(new())
    changes = [("nickName", "Ossi"), ("userName", uuid4().hex), (f"{EMPLOYMENT}:validTo", "2027-01-31")]
    answers = await asyncio.gather(*(scim.patch(created["id"], path, value) for path, value in changes))
    assert [answer.status_code for answer in answers] == [204, 204, 204]
    shown = (await scim.ask("GET", f"/Users/{created['id']}")).json()
    found = (shown["nickName"], shown["userName"], shown[EMPLOYMENT]["validTo"])
    assert found == tuple(value for _, value in changes)


async def test_the_same_person_twice_is_refused(scim: ScimSite) -> None:
    key = new()
    answers = await asyncio.gather(*(scim.ask("POST", "/Users", user(key)) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["scimType"] == "uniqueness"
    assert "externalId" in refused.json()["detail"]
    other = await scim.ask("POST", "/Users", user(new()) | {"userName": f"{key.upper()}@ALVSUND.example"})
    assert (other.status_code, "userName" in other.json()["detail"]) == (409, True)


async def test_a_rule_of_the_register_names_its_field(scim: ScimSite) -> None:
    ends_first = await scim.ask("POST", "/Users", user(new(), employment={"validTo": "2026-05-01"}))
    assert (ends_first.status_code, ends_first.json()["scimType"]) == (400, "invalidValue")
    assert "dates.end_before_start" in ends_first.json()["detail"]
    consultant = await scim.ask("POST", "/Users", user(new(), employment={"form": "consultant"}))
    assert f"{EMPLOYMENT}:sponsor" in consultant.json()["detail"]
    assert "employment.sponsor_missing" in consultant.json()["detail"]
    day = await scim.ask("POST", "/Users", user(new(), employment={"validFrom": "i morgon"}))
    assert (day.status_code, f"{EMPLOYMENT}:validFrom" in day.json()["detail"]) == (400, True)
    strange = await scim.ask("POST", "/Users", user(new(), emails=[{"value": "a@b.example"}]))
    assert (strange.status_code, "emails" in strange.json()["detail"]) == (400, True), "nothing is dropped unnoticed"
    lost = user(new(), schemas=[CORE, EMPLOYMENT, ENTERPRISE], **{ENTERPRISE: {"costCenter": "410"}})
    assert (await scim.ask("POST", "/Users", lost)).json()["scimType"] == "mutability"


async def test_a_deleted_user_is_cancelled_before_the_start_and_ends_today_after_it(scim: ScimSite) -> None:
    ahead, begun = await scim.hire(new()), new()
    started = await scim.hire(begun, employment={"validFrom": "2026-01-01"})
    for person in (ahead["id"], started["id"]):
        assert (await scim.ask("DELETE", f"/Users/{person}")).status_code == 204
        assert (await scim.ask("GET", f"/Users/{person}")).status_code == 404
        assert (await scim.ask("DELETE", f"/Users/{person}")).status_code == 404
    assert scim.facts(ahead["id"])[-1]["employments"] == [{"id": "1", "cancelled": True}]
    assert scim.site.versions(ahead["id"])[-1][2] == "hire_cancelled"
    assert scim.facts(started["id"])[-1]["employments"] == [{"id": "1", "validTo": "2026-03-02"}]
    assert scim.site.versions(started["id"])[-1][2] == "end_date_changed", "access closes at midnight"
    again = await scim.hire(begun, employment={"validFrom": "2026-01-01"})
    assert again["id"] == started["id"]
    assert again["active"] is True
    assert scim.facts(again["id"])[-1]["employments"] == [{"id": "1", "validTo": None}], "the end is taken back"
    back = await scim.hire(ahead["externalId"])
    assert scim.facts(back["id"])[-1]["employments"] == [{"id": "1", "cancelled": False}]


async def test_another_employment_stands_beside_the_first(scim: ScimSite) -> None:
    key = new()
    person = (await scim.hire(key))["id"]
    second = user(key, employment={"employment": "2", "form": "elected", "extent": 10})
    answer = await scim.ask("PUT", f"/Users/{person}", second)
    assert answer.json()[EMPLOYMENT]["employment"] == "2"
    core, _ = scim.records(person)
    assert sorted(item["form"] for item in core["employments"]) == ["elected", "permanent"]
    assert (await scim.ask("DELETE", f"/Users/{person}")).status_code == 204
    core, _ = scim.records(person)
    assert [item["cancelled"] for item in core["employments"]] == [True, True], "never half of it"
    assert len(scim.facts(person)) == 3


async def test_lists_are_found_by_id_and_name_and_in_pages(scim: ScimSite) -> None:
    people = [await scim.hire(new()) for _ in range(3)]
    wanted = people[1]
    for sought in (
        f'id eq "{wanted["id"]}"',
        f'externalId eq "{wanted["externalId"]}"',
        f'userName eq "{wanted["userName"].upper()}"',
        f'userName eq "{wanted["userName"]}" and externalId eq "{wanted["externalId"]}"',
        f'{CORE}:userName eq "{wanted["userName"]}"',
    ):
        found = (await scim.ask("GET", f"/Users?filter={sought}")).json()
        assert [item["id"] for item in found["Resources"]] == [wanted["id"]], sought
    total = (await scim.ask("GET", "/Users?count=0")).json()["totalResults"]
    pages = [
        (await scim.ask("GET", f"/Users?sortBy=id&startIndex={start}&count=2")).json()["Resources"]
        for start in range(1, total + 1, 2)
    ]
    ids = [item["id"] for page in pages for item in page]
    assert ids == sorted(set(ids))
    assert len(ids) == total
    both = await scim.ask("POST", "/.search", {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": f'externalId eq "{wanted["externalId"]}"',
    })  # fmt: skip
    assert [item["id"] for item in both.json()["Resources"]] == [wanted["id"]]


async def test_a_patch_is_taken_whole_or_not_at_all(scim: ScimSite) -> None:
    created = await scim.hire(new())
    said = [
        {"op": "replace", "path": "userName", "value": uuid4().hex},
        {"op": "replace", "path": "nickName", "value": "Ossi"},
        {"op": "replace", "path": f"{EMPLOYMENT}:validTo", "value": "2026-05-01"},
    ]
    answer = await scim.ask("PATCH", f"/Users/{created['id']}", {"schemas": [PATCH], "Operations": said})
    assert (answer.status_code, "employment.end_before_start" in answer.text) == (400, True)
    assert (await scim.ask("GET", f"/Users/{created['id']}")).json() == created
    assert len(scim.facts(created["id"])) == 1


async def test_a_person_told_of_without_an_employment_is_shown_and_changed(scim: ScimSite) -> None:
    key = new()
    person = (await scim.site.post(hr.event(hr.person(key)))).json()["person"]
    shown = (await scim.ask("GET", f"/Users/{person}")).json()
    assert (EMPLOYMENT in shown, shown["active"]) == (False, False)
    assert (await scim.patch(person, "nickName", "Ossi")).status_code == 204
    assert scim.facts(person)[-1] == {"externalId": key, "name": {**hr.NAME, "preferred": "Ossi"}}
    assert (await scim.patch(person, "userName", uuid4().hex)).status_code == 204
    assert len(scim.facts(person)) == 2


async def test_a_person_is_found_without_reading_them_all(scim: ScimSite) -> None:
    scim.site.admin.execute(
        "INSERT INTO source_identity (organisation, source, external_id, person)"
        " SELECT 'alvsund', %s, 'many-' || n, gen_random_uuid() FROM generate_series(1, 20000) n",
        (hr.SOURCE,),
    )
    scim.site.admin.execute(
        'INSERT INTO person (organisation, id, core) SELECT organisation, person, \'{"protection": "none"}\''
        " FROM source_identity WHERE external_id LIKE 'many-%%'"
    )
    scim.site.admin.execute("VACUUM ANALYZE source_identity, person, scim_name")
    for sought in (Sought(id=str(UUID(int=1))), Sought(user_name="many-7"), Sought(external_id="many-7")):
        statement = f"EXPLAIN SELECT 1{USERS}{narrowed(USER_WHERE, sought)}"
        values = {**asdict(sought), "organisation": "alvsund", "source": hr.SOURCE}
        plan = str(scim.site.admin.execute(statement.encode(), values).fetchall())
        assert "Seq Scan on source_identity" not in plan, plan
        assert "Seq Scan on person" not in plan, plan
    scim.site.admin.execute("DELETE FROM person WHERE revision = 0")
    scim.site.admin.execute("DELETE FROM source_identity WHERE external_id LIKE 'many-%%'")


async def test_a_renamed_user_is_found_by_its_names_and_its_old_ones_stay_taken(scim: ScimSite) -> None:
    created = await scim.hire(new())
    name, number = uuid4().hex, new()
    assert (await scim.patch(created["id"], "userName", name)).status_code == 204
    assert (await scim.patch(created["id"], "externalId", number)).status_code == 204
    assert len(scim.facts(created["id"])) == 1, "a client's own names are no facts of HR"
    for sought, count in (("userName", created["userName"]), ("externalId", created["externalId"])):
        assert (await scim.ask("GET", f'/Users?filter={sought} eq "{count}"')).json()["totalResults"] == 0
    assert (await scim.ask("GET", f'/Users?filter=externalId eq "{number}"')).json()["totalResults"] == 1
    taken = await scim.ask("POST", "/Users", user(created["externalId"]))
    assert taken.status_code == 409, "a number is never given to another person"
    event = hr.change(created["externalId"], time="2026-03-02T08:00:30+01:00", validTo="2027-12-31")
    assert (await scim.site.post(event)).json()["person"] == created["id"], "events know it by the source's own id"


@pytest.mark.parametrize(
    "sought",
    [
        'name.familyName co "a"', 'not (userName eq "a")', 'userName eq "a" or userName eq "b"', "userName pr",
        'displayName eq "a"', "userName eq 1", 'userName gt "a"', "userName", "(" * 3000, f'{EMPLOYMENT}:form eq "x"',
    ],
)  # fmt: skip
async def test_what_cannot_be_sought_is_refused(sought: str, scim: ScimSite) -> None:
    answer = await scim.site.client.get("/scim/v2/Users", params={"filter": sought}, headers=scim.bearer())
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")


@pytest.mark.parametrize("value", ["' OR 1=1 --", "%", "\\\\", "a\\u0000b", "\\ud800", "%(organisation)s", "x" * 5000])
async def test_a_hostile_value_finds_nobody(value: str, scim: ScimSite) -> None:
    await scim.hire(new())
    for name in ("id", "userName", "externalId"):
        answer = await scim.site.client.get(
            "/scim/v2/Users", params={"filter": f'{name} eq "{value}"'}, headers=scim.bearer()
        )
        assert answer.json().get("totalResults", 0) == 0, answer.text
        assert answer.status_code in (200, 400)


async def test_only_the_bound_client_with_the_scope_is_let_in(scim: ScimSite) -> None:
    person = (await scim.hire(new()))["id"]
    path = f"/Users/{person}"
    other = await scim.ask("GET", path, bearer=scim.bearer("bergby", "scim:read", subject="bergby-client"))
    assert other.status_code == 404
    unbound = await scim.ask("GET", path, bearer=scim.bearer("alvsund", "scim:read", subject="bergby-client"))
    assert (unbound.status_code, "source.unbound" in unbound.json()["detail"]) == (403, True)
    for scopes, method, content in (
        (("scim:write",), "GET", None),
        (("scim:read",), "PUT", user("x")),
        (("scim:read",), "DELETE", None),
        (("events:write", "persons:read"), "GET", None),
    ):
        denied = await scim.ask(method, path, content, bearer=scim.bearer("alvsund", *scopes))
        assert (denied.status_code, "scope.missing" in denied.json()["detail"]) == (403, True)
    assert (await scim.ask("POST", "/Groups", group(".search"))).status_code == 201
    hidden = await scim.ask("DELETE", "/Groups/.search", bearer=scim.bearer("alvsund", "scim:read"))
    assert (hidden.status_code, "scope.missing" in hidden.text) == (403, True), "only a POST there is a search"
    nobody = await scim.site.client.get(f"/scim/v2{path}")
    assert (nobody.status_code, "Bearer" in nobody.headers["www-authenticate"]) == (401, True)
    assert (await scim.site.client.get("/scim/v2/Schemas")).status_code == 401
    assert (await scim.site.client.get("/scim/v2/ServiceProviderConfig")).status_code == 200


async def test_a_protected_person_is_not_there_without_the_scope(scim: ScimSite) -> None:
    key = new()
    person = (await scim.hire(key))["id"]
    await scim.site.post(hr.event({"externalId": key, "protection": "marked"}, time="2026-03-02T08:00:30+01:00"))
    assert (await scim.ask("GET", f"/Users/{person}")).status_code == 404
    assert (await scim.patch(person, "nickName", "Ossi")).status_code == 404
    assert (await scim.ask("DELETE", f"/Users/{person}")).status_code == 404
    assert (await scim.ask("GET", f'/Users?filter=id eq "{person}"')).json()["totalResults"] == 0
    assert audited(scim)[-4]["action"] == "person.read_denied"
    allowed = scim.bearer("alvsund", "scim:read", "persons:read_protected")
    assert (await scim.ask("GET", f"/Users/{person}", bearer=allowed)).status_code == 200
    assert (await scim.ask("GET", f'/Users?filter=id eq "{person}"', bearer=allowed)).json()["totalResults"] == 1


async def test_who_was_shown_is_in_the_audit(scim: ScimSite) -> None:
    person = (await scim.hire(new()))["id"]
    await scim.ask("GET", f"/Users/{person}")
    read = audited(scim)[-1]
    assert (read["action"], read["subject"], read["actor"]) == ("scim.user_read", person, "hr-personal")
    await scim.ask("GET", f'/Users?filter=id eq "{person}"')
    listed = audited(scim)[-1]
    assert (listed["action"], listed["persons"]) == ("scim.users_listed", [person])


async def test_a_unit_is_told_of_as_a_group(scim: ScimSite) -> None:
    unit = f"u/{uuid4().hex[:8]} å"
    created = await scim.ask("POST", "/Groups", group(unit, parent="u-0", manager="p-boss"))
    assert created.status_code == 201, created.text
    shown = created.json()
    assert (shown["id"], shown[UNIT]["parent"]) == (unit, "u-0")
    path = shown["meta"]["location"].partition("/scim/v2")[2]
    patch = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "displayName", "value": "Söder"}]}
    moved = await scim.ask("PATCH", path, patch, If_Match=shown["meta"]["version"])
    assert moved.status_code == 204, moved.text
    late = await scim.ask("PATCH", path, patch | {}, If_Match=shown["meta"]["version"])
    assert late.status_code == 412
    found = (await scim.ask("GET", '/Groups?filter=displayName eq "söder"')).json()
    assert unit in [item["id"] for item in found["Resources"]]
    bodies = scim.site.rows("SELECT body -> 'data' FROM fact WHERE unit = %s ORDER BY seq", unit)
    assert bodies[-1][0] == {"externalId": unit, "name": "Söder"}
    assert (await scim.ask("POST", "/Groups", group(unit))).status_code == 409
    assert (await scim.ask("DELETE", path)).status_code == 204
    assert (await scim.ask("GET", path)).status_code == 404
    ((state,),) = scim.site.rows("SELECT state FROM unit WHERE id = %s", unit)
    assert state["validTo"] == "2026-03-02"
    assert (await scim.ask("POST", "/Groups", group(unit))).status_code == 201


async def test_what_is_shown_does_not_need_the_versions_that_were_told(scim: ScimSite) -> None:
    person, unit = (await scim.hire(new()))["id"], new()
    assert (await scim.ask("POST", "/Groups", group(unit))).status_code == 201
    scim.site.admin.execute("DELETE FROM person_version WHERE person = %s", (UUID(person),))
    scim.site.admin.execute("DELETE FROM unit_version WHERE unit = %s", (unit,))
    scim.site.admin.execute("DELETE FROM scim_name WHERE subject = %s", (unit,))
    assert (await scim.ask("GET", f"/Users/{person}")).status_code == 200
    assert (await scim.ask("GET", f"/Groups/{unit}")).status_code == 200


async def test_a_bulk_does_each_operation_by_itself(scim: ScimSite) -> None:
    good, bad = new(), user(new(), employment={"form": "consultant"})
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": user(good)},
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": bad},
        {"method": "PATCH", "path": "/Users/bulkId:a", "data": {
            "schemas": [PATCH], "Operations": [{"op": "add", "path": "nickName", "value": "Ossi"}]}},
    ]  # fmt: skip
    answer = await scim.ask("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
    assert [item["status"] for item in answer.json()["Operations"]] == ["201", "400", "200"], answer.text
    assert "employment.sponsor_missing" in answer.text
    many = {"schemas": [BULK], "Operations": [operations[0]] * 101}
    assert (await scim.ask("POST", "/Bulk", many)).status_code == 413


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/scim+json", 400), (b"[]", "application/scim+json", 400), (b"null", "application/json", 400),
        (b"\xff\xfe", "application/scim+json", 400), (b"<a/>", "application/xml", 415),
        (b'{"specversion":"1.0","type":"x"}', "application/json", 400), (b"[" * 100_000, "application/scim+json", 400),
        (b'{"a":"' + b"x" * 1_000_000 + b'"}', "application/scim+json", 413), (b"", "application/scim+json", 400),
    ],
)  # fmt: skip
async def test_a_body_that_is_not_scim_is_refused_as_scim_says(
    body: bytes, kind: str, status: int, scim: ScimSite
) -> None:
    headers = scim.bearer() | {"Content-Type": kind}
    for method, path in (("POST", "/Users"), ("POST", "/Bulk"), ("POST", "/Groups"), ("POST", "/Users/.search")):
        answer = await scim.site.client.request(method, f"/scim/v2{path}", content=body, headers=headers)
        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["content-type"] == "application/scim+json"
        assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


async def test_a_source_is_held_to_what_is_agreed(site: Site, tmp_path: Path) -> None:
    async with scim_site(site, tmp_path, "events_per_minute = 3") as scim:
        await scim.hire(new())
        operation = {"method": "POST", "path": "/Users", "bulkId": "a", "data": user(new())}
        bulk = await scim.ask("POST", "/Bulk", {"schemas": [BULK], "Operations": [operation] * 3})
        assert (bulk.status_code, int(bulk.headers["retry-after"]) > 0) == (429, True)
        await scim.hire(new())
        await scim.hire(new())
        assert (await scim.ask("POST", "/Users", user(new()))).status_code == 429
        assert (await scim.ask("GET", "/Users?count=1")).status_code == 200


async def test_without_the_database_scim_says_when_to_come_back(scim: ScimSite) -> None:
    await scim.site.service.database.close()
    for method, path, content in (
        ("GET", "/Users", None),
        ("POST", "/Users", user(new())),
        ("GET", "/Groups/u-1", None),
    ):
        answer = await scim.ask(method, path, content)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert (await scim.ask("GET", "/Schemas")).status_code == 200
