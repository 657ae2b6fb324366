"""The door over a real PostgreSQL: what is accepted, what is refused and why, and what is said to the others."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.integration.ingestion.conftest import Site
from tests.support import hr
from tests.support.kernel import background, eventually

JOINER = "se.stafett.person.joiner.v1"


def fresh() -> str:
    """An external id of one's own."""
    return f"p-{uuid4().hex[:10]}"


async def test_an_accepted_event_answers_202_with_a_location_that_answers(site: Site) -> None:
    event = hr.hire(fresh(), manager=fresh())
    answer = await site.post(event, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert (body["id"], body["status"], body["revision"]) == (event["id"], "accepted", 1)
    found = (await site.get(answer.headers["location"])).json()
    assert (found["id"], found["person"], found["case"]) == (event["id"], body["person"], body["case"])
    record = (await site.get(found["links"]["record"])).json()
    assert record["record"]["name"]["family"] == "Öberg"
    assert site.said(body["person"])[:1] == [(JOINER, "bulk.person.core")]
    said = site.rows("SELECT traceparent, body FROM outbox WHERE subject = %s ORDER BY seq LIMIT 1", body["person"])
    assert said[0][0].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    told = orjson.loads(said[0][1])
    assert told["data"]["effectiveAt"].startswith("2026-05-31T22:00:00")
    assert told["data"]["record"]["employments"][0]["assignments"][0]["manager"] is not None
    work = site.rows("SELECT target, wanted, due_at FROM work WHERE subject = %s", body["person"])
    assert work == [("dates", 0, datetime(2026, 5, 31, 22, tzinfo=UTC))], "looked at when it starts, not before"


async def test_the_door_is_open_and_accepts_while_the_broker_is_away(site: Site) -> None:
    async with background(site.service._parts()):

        async def opened() -> bool:
            return (await site.client.get("/doorz")).status_code == 200

        await eventually(opened)
        assert (await site.client.get("/readyz")).status_code == 503, "the relay and the intakes have no broker"
        assert (await site.post(hr.hire(fresh()))).status_code == 202
        assert (await site.client.get("/doorz")).status_code == 200


async def test_the_same_event_again_is_a_duplicate_and_changes_nothing(site: Site) -> None:
    event = hr.hire(fresh())
    first = await site.post(event)
    again = await site.post({**event, "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    assert again.status_code == 202
    assert again.headers["location"] == first.headers["location"]
    assert (again.json()["status"], again.json()["duplicate"]) == ("duplicate", True)
    assert len(site.versions(first.json()["person"])) == 1


async def test_the_same_id_with_another_body_is_a_conflict(site: Site) -> None:
    external = fresh()
    event = hr.hire(external)
    await site.post(event)
    answer = await site.post(hr.hire(external, start="2026-07-01", event_id=event["id"]))
    assert (answer.status_code, answer.json()["code"]) == (409, "event.conflict")


async def test_single_changes_make_the_history_that_snapshots_make(site: Site) -> None:
    external, manager = fresh(), fresh()

    def said(what: str, at: str, **fields: Any) -> hr.Event:
        return hr.single(what, external, time=f"2026-03-02T0{at}:00+01:00", **fields)

    moved = hr.assignment("u-2", "2026-05-01", manager=manager)
    events = [
        said("employment.started", "6:00", name=hr.NAME, employment=hr.employment(start="2026-02-01")),
        said("employment.changed", "6:10", employment="1", assignment=moved),
        said("name.changed", "6:20", name={"given": "Åsa", "family": "Berg"}),
        said("employment.ended", "6:30", employment="1", validTo="2026-08-31", endReason="resignation"),
        said("employment.ended", "6:40", employment="9", validTo="2026-08-31"),
    ]
    answers = (await site.post(events)).json()["results"]
    assert [one["status"] for one in answers] == ["accepted"] * 4 + ["rejected"]
    (wrong,) = answers[4]["problem"]["errors"]
    assert (wrong["field"], wrong["code"]) == ("/data/employment", "employment.unknown")
    person = answers[0]["person"]
    kinds = [row[0].split(".")[3] for row in site.said(person) if ".core" in row[1]]
    assert kinds == ["joiner", "mover", "mover", "mover"], "the end is ahead"
    late = said("employment.changed", "6:05", employment="1", assignment=hr.assignment("u-3", "2026-04-01"))
    assert (await site.post(late)).json()["status"] == "accepted", "asserted before the move, told after it"
    record = (await site.get(f"/v1/persons/{person}/record")).json()["record"]
    assert record["name"]["family"] == "Berg"
    (employment,) = record["employments"]
    assert employment["validTo"] == "2026-08-31"
    placed = [(one["unit"], one["validFrom"], one["validTo"]) for one in employment["assignments"]]
    assert placed == [
        ("u-1", "2026-02-01", "2026-03-31"),
        ("u-3", "2026-04-01", "2026-04-30"),
        ("u-2", "2026-05-01", None),
    ]
    assert employment["assignments"][2]["manager"] is not None


async def test_the_same_snapshot_under_another_id_is_accepted_and_makes_no_revision(site: Site) -> None:
    external = fresh()
    first = await site.post(hr.hire(external))
    answer = await site.post(hr.hire(external, time="2026-03-02T08:01:00+01:00"))
    assert (answer.status_code, answer.json()["status"]) == (202, "unchanged")
    assert len(site.versions(first.json()["person"])) == 1


async def test_case_13_facts_that_arrive_out_of_order_fold_by_the_time_of_their_assertion(site: Site) -> None:
    external = fresh()
    later = hr.hire(external, start="2026-07-01", time="2026-03-02T07:30:00+01:00")
    earlier = hr.hire(external, start="2026-06-01", end="2026-12-31", time="2026-03-02T07:00:00+01:00")
    person = (await site.post(later)).json()["person"]
    await site.post(earlier)
    other = fresh()
    both = [
        {**event, "data": {**event["data"], "externalId": other}, "id": f"{event['id']}-b"}
        for event in (earlier, later)
    ]
    in_order = (await site.post(both)).json()["results"][1]["person"]
    records = [(await site.get(f"/v1/persons/{one}/record")).json()["record"] for one in (person, in_order)]
    for record in records:
        record["employments"][0].pop("id")
    assert records[0] == records[1]
    assert records[0]["employments"][0]["validFrom"] == "2026-07-01"


async def test_several_events_of_one_person_in_a_batch_apply_in_order(site: Site) -> None:
    external = fresh()
    batch = [
        hr.hire(external, time="2026-03-02T07:00:00+01:00"),
        hr.change(external, time="2026-03-02T07:10:00+01:00", extent=50),
        hr.change(external, time="2026-03-02T07:05:00+01:00", extent=75),
        hr.cancel(external, time="2026-03-02T07:20:00+01:00"),
    ]
    results = (await site.post(batch)).json()["results"]
    assert [(item["status"], item["revision"]) for item in results] == [
        ("accepted", 1),
        ("accepted", 3),
        ("accepted", 2),
        ("accepted", 4),
    ]
    versions = site.versions(results[0]["person"])
    assert [reason for _, _, reason in versions] == ["hire", "correction", "correction", "hire_cancelled"]
    assert len({item["case"] for item in results if "case" in item}) == 1


async def test_an_older_fact_is_judged_by_what_came_before_it_and_a_contradiction_is_void(site: Site) -> None:
    external = fresh()
    person = (await site.post(hr.hire(external, time="2026-03-02T07:00:00+01:00"))).json()["person"]
    await site.post(hr.change(external, time="2026-03-02T07:20:00+01:00", validTo="2026-06-30"))
    older = await site.post(hr.change(external, time="2026-03-02T07:10:00+01:00", validFrom="2026-07-01"))
    assert older.status_code == 202, older.text
    record = (await site.get(f"/v1/persons/{person}/record")).json()["record"]
    assert record["employments"][0]["cancelled"] is True
    other = await site.post(hr.change(external, time="2026-03-02T07:30:00+01:00", extent=50))
    assert other.status_code == 202, other.text
    await site.post(hr.change(external, time="2026-03-02T07:40:00+01:00", validFrom="2026-06-01"))
    record = (await site.get(f"/v1/persons/{person}/record")).json()["record"]
    assert record["employments"][0]["cancelled"] is False


async def test_a_batch_gives_a_verdict_for_each_item_and_takes_the_valid_ones(site: Site) -> None:
    twice = hr.hire(fresh())
    half = hr.event(hr.person(fresh(), {"id": "1", "form": "permanent", "validFrom": "2026-06-01"}))
    batch = [
        hr.hire(fresh()),
        {"specversion": "1.0", "type": "se.stafett.hr.unheard.of.v1", "id": "x"},
        half,
        twice,
        twice,
        {**twice, "data": hr.person(fresh())},
        "no event",
        hr.unit(fresh()),
        hr.hire(fresh(), source="https://hr.bergby.example/personal"),
    ]
    answer = await site.post(batch)
    assert answer.status_code == 200
    body = answer.json()
    statuses = [item["status"] for item in body["results"]]
    assert statuses == [
        "accepted",
        "rejected",
        "rejected",
        "accepted",
        "duplicate",
        "conflict",
        "rejected",
        "accepted",
        "rejected",
    ]
    codes = [item["problem"]["code"] for item in body["results"] if "problem" in item]
    assert codes == [
        "type.unknown",
        "employment.unit_missing",
        "event.conflict",
        "event.not_an_object",
        "source.forbidden",
    ]
    assert body["counts"] == {"accepted": 3, "rejected": 4, "duplicate": 1, "conflict": 1}
    assert body["results"][2]["problem"]["errors"][0]["field"] == "/data/employments/0/assignments"


@pytest.mark.parametrize("with_culprit", [False, True])
async def test_the_refused_items_of_a_mixed_batch_leave_no_trace(
    site: Site, poisoned: str, *, with_culprit: bool
) -> None:
    good, bad, stranger, mentioned = fresh(), fresh(), fresh(), fresh()
    half = {"id": "1", "form": "permanent", "validFrom": "2026-06-01", "sponsor": mentioned}
    first = hr.hire(good)
    batch = [first, hr.event(hr.person(bad, half)), {**first, "data": hr.person(stranger)}, hr.unit(fresh()), first]
    if with_culprit:
        batch.append(hr.hire(fresh(), event_id=poisoned))
    before = site.rows("SELECT count(*) FROM person")[0][0]
    results = (await site.post(batch)).json()["results"]
    statuses = ["accepted", "rejected", "conflict", "accepted", "duplicate"]
    assert [item["status"] for item in results] == [*statuses, *["rejected"] * with_culprit]
    assert results[4]["person"] == results[0]["person"]
    known = {row[0] for row in site.rows("SELECT external_id FROM source_identity")}
    assert known & {good, bad, stranger, mentioned} == {good}
    assert site.rows("SELECT count(*) FROM person") == [(before + 1,)]
    assert site.versions(results[0]["person"]) == [(1, "joiner", "hire")]


@pytest.fixture
async def poisoned(site: Site) -> AsyncIterator[str]:
    """A database that refuses facts of one event id as data errors."""
    site.admin.execute(
        "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.event_id LIKE 'poison%' THEN"
        " RAISE EXCEPTION USING ERRCODE = '22000'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER poison BEFORE INSERT ON fact FOR EACH ROW EXECUTE FUNCTION poison()"
    )
    yield f"poison-{uuid4()}"
    site.admin.execute("DROP TRIGGER poison ON fact; DROP FUNCTION poison()")


async def test_an_item_that_the_database_refuses_is_found_and_the_others_are_accepted(
    site: Site, poisoned: str
) -> None:
    batch = [hr.hire(fresh()) for _ in range(6)] + [hr.hire(fresh(), event_id=poisoned)] + [hr.hire(fresh())]
    body = (await site.post(batch)).json()
    assert body["counts"] == {"accepted": 7, "rejected": 1}
    assert body["results"][6]["problem"]["code"] == "event.refused"
    people = [item["person"] for item in body["results"] if "person" in item]
    assert all(len(site.said(person)) == 1 for person in people)


async def test_single_events_that_share_a_transaction_do_not_share_a_culprit(site: Site, poisoned: str) -> None:
    events = [hr.hire(fresh()) for _ in range(10)] + [hr.hire(fresh(), event_id=poisoned)]
    answers = await asyncio.gather(*(site.post(event) for event in events))
    assert [answer.status_code for answer in answers] == [202] * 10 + [422]


async def test_concurrent_posts_for_one_person_keep_the_revision_gapless(site: Site) -> None:
    external = fresh()
    events = [hr.hire(external, end=f"2027-01-{day:02}", time=f"2026-03-02T06:{day:02}:00Z") for day in range(1, 21)]
    parts = [events[index::4] for index in range(4)]
    answers = await asyncio.gather(*(site.post(part) for part in parts), *(site.post(event) for event in events))
    assert {answer.status_code for answer in answers} <= {200, 202}
    person = answers[-1].json()["person"]
    assert [row[0] for row in site.versions(person)] == list(range(1, len(site.versions(person)) + 1))
    record = (await site.get(f"/v1/persons/{person}/record")).json()["record"]
    assert record["employments"][0]["validTo"] == "2027-01-20"
    assert site.rows("SELECT count(*) FROM fact WHERE person = %s", person) == [(20,)]


async def test_the_same_event_at_the_same_moment_is_stored_once(site: Site) -> None:
    event = hr.hire(fresh())
    answers = await asyncio.gather(*(site.post([event]) for _ in range(6)))
    statuses = sorted(answer.json()["results"][0]["status"] for answer in answers)
    assert statuses == ["accepted", *["duplicate"] * 5]


async def test_one_id_for_two_persons_at_the_same_moment_is_a_conflict(site: Site) -> None:
    name = f"e-{uuid4()}"
    answers = await asyncio.gather(*(site.post([hr.hire(fresh(), event_id=name)]) for _ in range(4)))
    statuses = sorted(answer.json()["results"][0]["status"] for answer in answers)
    assert statuses == ["accepted", "conflict", "conflict", "conflict"]


async def test_a_refused_person_leaves_nothing_behind(site: Site) -> None:
    external = fresh()
    answer = await site.post(hr.event({"externalId": external}))
    assert (answer.status_code, answer.json()["code"]) == (422, "person.name_missing")
    assert site.rows("SELECT 1 FROM source_identity WHERE external_id = %s", external) == []


async def test_a_unit_not_known_yet_is_no_obstacle_and_units_get_tree_revisions(site: Site) -> None:
    unit = fresh()
    assert (await site.post(hr.hire(fresh(), unit=unit))).status_code == 202
    results = (await site.post([hr.unit(unit, manager=fresh()), hr.unit(fresh(), parent=unit)])).json()["results"]
    assert [item["revision"] for item in results] == [1, 1]
    trees = site.rows("SELECT tree_revision FROM unit_version ORDER BY seq DESC LIMIT 2")
    assert trees[0][0] == trees[1][0] + 1
    renamed = hr.event({"externalId": unit, "name": "Nytt namn"}, type_="se.stafett.hr.unit.recorded.v1")
    assert (await site.post(renamed)).json()["revision"] == 2
    late = hr.unit(unit, name="Gammalt namn", time="2026-01-01T08:00:00Z", manager=None)
    # nothing is otherwise today, but what held before is
    assert (await site.post(late)).json()["revision"] == 3
    record = site.rows("SELECT record FROM unit WHERE id = %s", unit)[0][0]
    assert (record["name"], record["earlier"][0]["name"]) == ("Nytt namn", "Gammalt namn")


def without(event: dict[str, Any], *path: str) -> dict[str, Any]:
    """The event without one of its fields."""
    copy = orjson.loads(orjson.dumps(event))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return dict(copy)


def bent(**employment: Any) -> dict[str, Any]:
    return hr.event(hr.person(fresh(), hr.employment(**employment)))


FAULTS: list[tuple[dict[str, Any], int, str, str, str]] = [
    (bent(extent=False), 422, "event.invalid", "/data/employments/0/extent", "float_type"),
    (bent(favourite="x"), 422, "event.invalid", "/data/employments/0/favourite", "extra_forbidden"),
    (
        bent(employeeNumber="1\x002"),
        422,
        "event.invalid",
        "/data/employments/0/employeeNumber",
        "text.control_characters",
    ),
    (bent(employeeNumber=" \u00a0 "), 422, "event.invalid", "/data/employments/0/employeeNumber", "text.blank"),
    (bent(end="2026-01-01"), 422, "event.invalid", "/data/employments/0", "dates.end_before_start"),
    (
        bent(assignments=[hr.assignment("a"), hr.assignment("b")]),
        422,
        "event.invalid",
        "/data/employments/0",
        "assignments.overlap",
    ),
    (
        bent(form="consultant"),
        422,
        "employment.sponsor_missing",
        "/data/employments/0/sponsor",
        "employment.sponsor_missing",
    ),
    (bent(form=None), 422, "event.invalid", "/data/employments/0/form", "enum"),
    (without(hr.hire(), "time"), 422, "event.invalid", "/time", "missing"),
    (hr.hire(time="2026-03-02T08:00:00"), 422, "event.invalid", "/time", "timezone_aware"),
    (hr.hire(time="2027-03-02T08:00:00Z"), 422, "event.time_in_future", "/time", "event.time_in_future"),
    (without(hr.hire(), "type"), 422, "event.invalid", "/type", "missing"),
    (hr.hire(organisation="bergby"), 403, "organisation.forbidden", "/organisation", "organisation.forbidden"),
    (hr.hire(source="https://hr.bergby.example/personal"), 403, "source.forbidden", "/source", "source.forbidden"),
]


@pytest.mark.parametrize(("event", "status", "code", "field", "field_code"), FAULTS, ids=[row[4] for row in FAULTS])
async def test_a_fault_answers_with_code_field_and_reason_and_stores_nothing(
    site: Site, event: dict[str, Any], status: int, code: str, field: str, field_code: str
) -> None:
    before = site.rows("SELECT (SELECT count(*) FROM fact), (SELECT count(*) FROM outbox)")
    answer = await site.post(event)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert (field, field_code) in [(error["field"], error["code"]) for error in body["errors"]], body["errors"]
    assert all(error["reason"] for error in body["errors"])
    assert site.rows("SELECT (SELECT count(*) FROM fact), (SELECT count(*) FROM outbox)") == before


async def _raw(site: Site, content: Any, media_type: str = "application/cloudevents+json", **headers: str) -> Any:
    return await site.client.post(
        "/v1/events", content=content, headers={**site.bearer(), "Content-Type": media_type, **headers}
    )


async def test_malformed_json_names_the_position(site: Site) -> None:
    answer = await _raw(site, b'{"id": 1,\n oops}')
    assert (answer.status_code, answer.json()["code"]) == (400, "json.malformed")
    assert "line 2" in answer.json()["detail"]


async def test_ten_megabytes_are_refused_without_being_read(site: Site) -> None:
    read = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(10):
            read += 1
            yield b" " * 1024 * 1024

    answer = await _raw(site, stream())
    assert (answer.status_code, answer.json()["code"]) == (413, "body.too_large")
    declared = await _raw(site, b" " * 10 * 1024 * 1024)
    assert declared.status_code == 413


async def test_the_wrong_kind_of_content_is_refused(site: Site) -> None:
    assert (await _raw(site, b"<event/>", "text/xml")).status_code == 415
    assert (await _raw(site, b"{}", "application/json; charset=iso-8859-1")).status_code == 415
    assert (await _raw(site, b"[]")).json()["code"] == "event.not_an_object"
    assert (await _raw(site, b"{}", "application/cloudevents-batch+json")).json()["code"] == "batch.not_an_array"
    many = await _raw(site, orjson.dumps([{}] * 1001), "application/json")
    assert (many.status_code, many.json()["code"]) == (413, "batch.too_large")
    assert (await _raw(site, b"[]", "application/json")).json() == {"results": [], "counts": {}}


async def test_only_bearers_of_the_right_token_come_in(site: Site) -> None:
    event = orjson.dumps(hr.hire(fresh()))
    kind = {"Content-Type": "application/cloudevents+json"}
    without_token = await site.client.post("/v1/events", content=event, headers=kind)
    assert (without_token.status_code, without_token.json()["code"]) == (401, "token.missing")
    for headers, status, code in (
        (site.bearer(lifetime=-60), 401, "token.expired"),
        (site.bearer("alvsund", "records:read"), 403, "scope.missing"),
        (site.bearer("nowhere"), 403, "organisation.unknown"),
        (site.bearer("bergby"), 403, "source.forbidden"),
    ):
        answer = await site.client.post("/v1/events", content=event, headers={**headers, **kind})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
