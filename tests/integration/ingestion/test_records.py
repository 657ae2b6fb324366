"""Reading the ledger: as known at a time, on a date, protected, logged; and what the dates worker tells."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.codes import Lane
from services.ingestion.handlers.dates import DatesReached
from services.ingestion.handlers.replaying import LedgerReplay
from services.ingestion.store.versions import URGENT
from services.kernel.messaging.outbox import Outgoing
from services.kernel.work import Claim, Outcome, WorkKey
from tests.integration.ingestion.conftest import Site
from tests.support import hr

READ_ALL = ("records:read", "events:write", "persons:read_protected")


def fresh() -> str:
    """An external id of one's own."""
    return f"p-{uuid4().hex[:10]}"


async def look(site: Site, person: str) -> Outcome:
    """Let the dates worker pass once."""
    performer = DatesReached(site.service.database, site.service.organisations)
    (business, recorded) = site.rows("SELECT now() + clock_offset, now() FROM kernel.clock")[0]
    claim = Claim(
        key=WorkKey("alvsund", "person", person, "dates"),
        generation=1,
        epoch=1,
        captured=1,
        attempt=1,
        lane=Lane.BULK,
        removal=False,
        takeover=False,
        business_now=business,
        recorded_at=recorded,
    )
    async with site.service.database.transaction() as conn:
        (context,) = await performer.load(conn, [claim])
    return await performer.perform(claim, context)


async def test_a_start_that_is_reached_is_told_once_and_the_next_boundary_is_the_end(site: Site) -> None:
    person = (await site.post(hr.hire(fresh(), start="2026-06-01", end="2026-08-31"))).json()["person"]
    assert (await look(site, person)).due_at == datetime(2026, 5, 31, 22, tzinfo=UTC)
    assert len(site.versions(person)) == 1
    site.set_business_time("2026-06-01T00:00:01+02:00")
    for _ in range(2):
        assert (await look(site, person)).due_at == datetime(2026, 8, 31, 22, tzinfo=UTC)
    assert site.versions(person)[1:] == [(2, "joiner", "date_reached")]
    site.set_business_time("2026-09-15T12:00:00+02:00")
    assert (await look(site, person)).due_at is None
    assert site.versions(person)[2:] == [(3, "leaver", "date_reached")]
    cases = site.rows("SELECT case_id FROM person_version WHERE person = %s ORDER BY revision", UUID(person))
    assert cases[0] == cases[1] != cases[2]
    assert len(site.said(person)) == 3


async def test_two_workers_at_the_same_boundary_tell_it_once(site: Site) -> None:
    person = (await site.post(hr.hire(fresh(), start="2026-06-01"))).json()["person"]
    site.set_business_time("2026-06-01T00:00:01+02:00")
    await asyncio.gather(*(look(site, person) for _ in range(4)))
    assert len(site.versions(person)) == 2


async def test_a_fact_that_comes_before_the_worker_tells_the_boundary_first(site: Site) -> None:
    external = fresh()
    person = (await site.post(hr.hire(external, start="2026-06-01"))).json()["person"]
    site.set_business_time("2026-06-01T08:00:00+02:00")
    await site.post(hr.change(external, time="2026-06-01T08:00:00+02:00", extent=50))
    assert [row[1:] for row in site.versions(person)] == [
        ("joiner", "hire"),
        ("joiner", "date_reached"),
        ("mover", "correction"),
    ]
    await look(site, person)
    assert len(site.versions(person)) == 3


async def test_the_record_as_known_at_a_time_and_on_a_date(site: Site) -> None:
    external = fresh()
    person = (await site.post(hr.hire(external, start="2026-06-01"))).json()["person"]
    (between,) = site.rows("SELECT clock_timestamp()")[0]
    placed = [
        hr.assignment("u-1", "2026-06-01", validTo="2026-06-30"),
        hr.assignment("u-2", "2026-07-01"),
    ]
    await site.post(hr.change(external, time="2026-03-02T08:05:00+01:00", assignments=placed))
    now = (await site.get(f"/v1/persons/{person}/record")).json()
    assert now["revision"] == 2
    path = f"/v1/persons/{person}/record"
    then = (await site.client.get(path, params={"known_at": between.isoformat()}, headers=site.bearer())).json()
    assert then["revision"] == 1
    july = (await site.get(f"{path}?on=2026-07-15")).json()["record"]["employments"]
    assert [item["unit"] for item in july[0]["assignments"]] == ["u-2"]
    assert (await site.get(f"{path}?on=2026-05-31")).json()["record"]["employments"] == []
    early = (between - timedelta(days=1)).isoformat()
    assert (await site.client.get(path, params={"known_at": early}, headers=site.bearer())).status_code == 404


async def test_facts_are_paged_in_the_order_in_which_we_learned_them(site: Site) -> None:
    external = fresh()
    events = [hr.hire(external, end=f"2027-01-0{n}", time=f"2026-03-02T06:0{9 - n}:00Z") for n in range(1, 6)]
    person = (await site.post(events)).json()["results"][0]["person"]
    first = (await site.get(f"/v1/persons/{person}/facts?limit=3")).json()
    rest = (await site.get(first["next"])).json()
    assert [item["id"] for item in first["facts"] + rest["facts"]] == [event["id"] for event in events]
    assert rest["next"] is None
    assert first["facts"][0]["event"] == events[0]


async def test_another_organisation_sees_nothing(site: Site) -> None:
    answer = await site.post(hr.hire(fresh()))
    person = answer.json()["person"]
    other = site.bearer("bergby")
    for path in (f"/v1/persons/{person}/record", f"/v1/persons/{person}/facts", answer.headers["location"]):
        assert (await site.get(path, other)).status_code == 404


async def test_a_protected_person_answers_404_without_the_scope_and_every_read_is_logged(site: Site) -> None:
    event = hr.hire(fresh())
    event["data"]["protection"] = "marked"
    person = (await site.post(event)).json()["person"]
    assert (await site.get(f"/v1/persons/{person}/record")).status_code == 404
    assert (await site.get(f"/v1/persons/{person}/record", site.bearer("alvsund", *READ_ALL))).status_code == 200
    assert (await site.get(f"/v1/persons/{person}/facts", site.bearer("alvsund", *READ_ALL))).status_code == 200
    audits = site.rows(
        "SELECT body::jsonb -> 'data' ->> 'action' FROM outbox WHERE subject = %s AND type LIKE '%%audit%%'"
        " ORDER BY seq",
        person,
    )
    assert [row[0] for row in audits] == ["person.read_denied", "person.record_read", "person.facts_read"]


async def test_a_replay_says_the_same_under_the_same_ids(site: Site) -> None:
    external, unit = fresh(), fresh()
    await site.post([hr.unit(unit), hr.hire(external)])
    person = (await site.post(hr.cancel(external, time="2026-03-02T08:05:00+01:00"))).json()["person"]
    topics = frozenset({"person.core", "person.confidential", "unit.recorded"})
    said = {row[0] for row in site.rows("SELECT message_id FROM outbox WHERE subject IN (%s, %s)", person, unit)}
    found: list[Outgoing] = []
    core: list[Outgoing] = []
    for everything, count in ((True, 5), (False, 3)):
        found.clear()
        async with site.service.database.transaction() as conn:
            async for page in LedgerReplay().messages(conn, "status", topics, everything=everything):
                found += [message for message in page if message.event.subject in (person, unit)]
        assert len(found) == count
        core = [message for message in found if not message.confidential]
        assert {message.event.id for message in core} <= said
    bodies = {row[0] for row in site.rows("SELECT body FROM outbox WHERE subject IN (%s, %s)", person, unit)}
    assert {message.event.model_dump_json(by_alias=True, serialize_as_any=True) for message in core} <= bodies


async def test_a_replay_begins_with_todays_dismissals(site: Site) -> None:
    external = fresh()
    await site.post(hr.hire(external, start="2025-01-01"))
    dismissal = hr.change(external, validTo="2026-03-02", endReason="dismissal", time="2026-03-02T08:05:00+01:00")
    person = (await site.post(dismissal)).json()["person"]
    renamed = hr.event(
        {"externalId": external, "name": {"given": "Åsa", "family": "Ny"}}, time="2026-03-02T08:10:00+01:00"
    )
    assert (await site.post(renamed)).json()["revision"] == 3, "what is told later does not make it less urgent"
    async with site.service.database.transaction() as conn:
        pages = LedgerReplay().messages(conn, "accounts", frozenset({"person.core"}), everything=False)
        replayed = [message async for page in pages for message in page]
    about = [(message.lane, message.event.data.revision) for message in replayed if message.event.subject == person]
    assert about == [(Lane.EXPRESS, 3), (Lane.BULK, 3)], "first express, then in its turn"
    urgent = [message for message in replayed if message.lane is Lane.EXPRESS]
    assert replayed[: len(urgent)] == urgent


@pytest.mark.parametrize("on", ["0001-01-01", "1899-12-31", "9999-12-31"])
async def test_a_date_beyond_the_calendar_is_refused(site: Site, on: str) -> None:
    person = (await site.post(hr.hire(fresh()))).json()["person"]
    answer = await site.get(f"/v1/persons/{person}/record?on={on}")
    assert answer.status_code == 422, answer.text


async def test_what_was_urgent_is_found_without_reading_every_version(site: Site) -> None:
    person = (await site.post(hr.hire(fresh(), start="2026-06-01"))).json()["person"]
    site.admin.execute(
        "INSERT INTO person_version (organisation, person, revision, generation, recorded_at, effective_at,"
        " accepted_at, case_id, kind, reason, lane, baseline, event_id, confidential_event_id, traceparent, core,"
        " confidential)"
        " SELECT organisation, person, 100 + n, generation, recorded_at - interval '2 days', effective_at, accepted_at,"
        " case_id, kind, reason, 'bulk', baseline, gen_random_uuid(), gen_random_uuid(), traceparent, core,"
        " confidential FROM person_version, generate_series(1, 20000) n WHERE person = %s AND revision = 1",
        (UUID(person),),
    )
    site.admin.execute("VACUUM ANALYZE person_version")
    plan = site.rows(f"EXPLAIN SELECT v.seq FROM person_version v {URGENT} WHERE v.seq > 0 ORDER BY v.seq LIMIT 50")
    assert "person_version_urgent" in str(plan), plan
    site.admin.execute("DELETE FROM person_version WHERE revision > 100")
