"""Who is who: recognised at first sight, asked when in doubt, and every answer can be taken back."""

from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest

from contracts.registry import HR_UNIT
from tests.integration.ingestion.conftest import CONSULTANTS, Site
from tests.support import hr

SCOPES = ("identity:write", "records:read", "events:write", "commands:write", "persons:read")
WHY = {"reason": "kontrollerat mot folkbokföringen"}


def born(number: str) -> str:
    return f"{number[:4]}-{number[4:6]}-{number[6:8]}"


def a_number(year: int = 1985) -> str:
    """Twelve digits that no other test has; the check digit is HR's to see to."""
    return f"{year}{uuid4().int % 12 + 1:02}{uuid4().int % 28 + 1:02}{uuid4().int % 10_000:04}"


def told(
    external_id: str, number: str | None = None, *, name: tuple[str, str] = ("Åsa", "Öberg"), **attributes: Any
) -> hr.Event:
    """A hire with an official number and a birth date."""
    event = hr.hire(external_id, start="2026-01-01", name=name, **attributes)
    if number is not None:
        event["data"]["identifiers"] = [{"kind": "personnummer", "value": number}]
        event["data"]["birthDate"] = born(number)
    return event


def an_id() -> str:
    return f"i-{uuid4().hex[:10]}"


async def hired(site: Site, *args: Any, **fields: Any) -> str:
    answer = await site.post(told(*args, **fields))
    assert answer.status_code == 202, answer.text
    person: str = answer.json()["person"]
    return person


async def ask(site: Site, path: str, **body: Any) -> httpx2.Response:
    headers = site.bearer("alvsund", *SCOPES, subject="hr-1")
    return await site.client.post(f"/v1{path}", json={**WHY, **body}, headers=headers)


async def look(site: Site, path: str, *scopes: str) -> Any:
    headers = site.bearer("alvsund", *(scopes or SCOPES), subject="hr-1")
    answer = await site.client.get(f"/v1{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def case_between(site: Site, one: str, other: str) -> dict[str, Any] | None:
    found = (await look(site, "/identity/cases"))["items"]
    return next((case for case in found if {case["person"]["id"], case["other"]["id"]} == {one, other}), None)


def core(site: Site, person: str) -> dict[str, Any]:
    """The newest record that was told of a person."""
    (row,) = site.rows(
        "SELECT core::text FROM person_version WHERE person::text = %s ORDER BY revision DESC LIMIT 1", person
    )
    record: dict[str, Any] = orjson.loads(row[0])
    return record


def starts(record: dict[str, Any]) -> list[str]:
    return [employment["validFrom"] for employment in record["employments"]]


async def test_somebody_whom_another_source_knows_is_recognised_at_first_sight(site: Site) -> None:
    number = a_number()
    known = await hired(site, an_id(), number)
    came = await hired(site, an_id(), number, source=CONSULTANTS, time="2026-03-03T08:00:00+01:00")
    assert came == known
    assert len(core(site, known)["employments"]) == 2
    ids = (await look(site, f"/persons/{known}/identities"))["ids"]
    assert [(one["source"], one["recognised"]) for one in ids] == [(hr.SOURCE, False), (CONSULTANTS, True)]


async def test_two_ids_in_one_batch_with_one_number_are_one_person(site: Site) -> None:
    number = a_number()
    answer = await site.post([told(an_id(), number), told(an_id(), number)])
    assert len({item["person"] for item in answer.json()["results"]}) == 1


@pytest.mark.parametrize("difference", ["name", "birthDate", "protection"])
async def test_who_only_shares_a_number_is_a_case_and_stays_apart(site: Site, difference: str) -> None:
    number = a_number()
    known = await hired(site, an_id(), number)
    event = told(an_id(), number, time="2026-03-03T08:00:00+01:00")
    event["data"] |= {
        "name": {"name": {"given": "Bo", "family": "Ek"}},
        "birthDate": {"birthDate": "1960-01-01"},
        "protection": {"protection": "fictitious"},
    }[difference]
    came = (await site.post(event)).json()["person"]
    assert came != known
    scopes = (*SCOPES, "persons:read_protected")
    cases = (await look(site, "/identity/cases", *scopes))["items"]
    case = next(case for case in cases if case["other"]["id"] == came)
    assert (case["kind"], case["person"]["id"], case["state"]) == ("shared_number", known, "open")
    assert number not in orjson.dumps(cases).decode()
    whole = await look(site, f"/identity/cases/{case['id']}", *scopes)
    assert [one["externalId"] for one in whole["other"]["ids"]] == [event["data"]["externalId"]]
    assert number not in orjson.dumps(whole).decode()
    about = (await look(site, f"/identity/cases?person={known}", *scopes))["items"]
    assert [one["id"] for one in about] == [case["id"]]
    seen_by_all = await case_between(site, known, came)
    assert (seen_by_all is None) is (difference == "protection")
    for as_one in (scopes, ()):
        waiting = (await look(site, "/identity/waiting", *as_one))["items"]
        listed = (await look(site, "/identity/cases", *as_one))["items"]
        assert sum(one["count"] for one in waiting) == len(listed), "who is protected is not counted either"


async def test_case_37_a_corrected_number_that_meets_another_person_is_a_case_and_reversible(site: Site) -> None:
    number, first, second = a_number(), an_id(), an_id()
    kept = await hired(site, first, number)
    other = await hired(site, second, a_number(), name=("Åsa", "Berg"))
    corrected = {"identifier": {"kind": "personnummer", "value": number}}
    answer = await site.post(hr.single("identifier.changed", second, time="2026-03-04T08:00:00Z", **corrected))
    assert answer.status_code == 202
    case = await case_between(site, kept, other)
    assert case is not None
    assert len(core(site, other)["employments"]) == 1

    merged = await ask(site, f"/identity/cases/{case['id']}/decision", decision="same", keep=kept)
    assert (merged.status_code, merged.json()["state"]) == (200, "merged"), merged.text
    assert (core(site, kept)["aliases"], len(core(site, kept)["employments"])) == ([other], 2)
    mirrored = core(site, other)
    assert (mirrored["aliasOf"], mirrored["employments"]) == (kept, core(site, kept)["employments"])
    assert [site.versions(one)[-1][1:] for one in (kept, other)] == [("mover", "merged")] * 2
    assert await case_between(site, kept, other) is None

    # what HR tells under either id is of the one person, and the alias follows
    ended = hr.change(second, time="2026-03-05T08:00:00+01:00", validTo="2026-03-31")
    assert (await site.post(ended)).json()["person"] == kept
    assert core(site, other)["employments"] == core(site, kept)["employments"]
    again = await ask(site, f"/persons/{kept}/merge", absorb=other)
    assert (again.status_code, again.json()["code"]) == (409, "person.merged")

    parted = await ask(site, f"/persons/{kept}/split", ids=[{"source": hr.SOURCE, "externalId": second}])
    assert parted.json()["other"]["person"] == other, parted.text
    assert [len(core(site, one)["employments"]) for one in (kept, other)] == [1, 1]
    assert core(site, other)["employments"][0]["validTo"] == "2026-03-31"
    assert core(site, other)["name"]["family"] == "Berg"
    assert "aliasOf" not in core(site, other)
    assert "aliases" not in core(site, kept)
    assert (await site.post(hr.change(second, time="2026-03-06T08:00:00+01:00", extent=50))).json()["person"] == other


async def test_case_27_who_is_employed_by_two_organisations_is_nobody_to_the_other(site: Site) -> None:
    number, external = a_number(), an_id()
    ours = await hired(site, external, number)
    event = told(external, number, source="https://hr.bergby.example/personal")
    answer = await site.client.post(
        "/v1/events", json=event, headers={**site.bearer("bergby"), "Content-Type": "application/cloudevents+json"}
    )
    theirs = answer.json()["person"]
    assert (answer.status_code, theirs != ours) == (202, True)
    assert (await site.get(f"/v1/persons/{ours}/record", site.bearer("bergby"))).status_code == 404
    assert await case_between(site, ours, theirs) is None


async def test_case_29_a_consultant_without_a_number_is_matched_when_one_is_told(site: Site) -> None:
    number, consultant, sponsor = a_number(), an_id(), an_id()
    known = await hired(site, sponsor, number)
    job = hr.employment(form="consultant", start="2026-02-01", end="2026-12-31", sponsor=sponsor)
    came = await site.post(hr.event(hr.person(consultant, job)))
    person = came.json()["person"]
    assert person != known
    identified = {"identifier": {"kind": "samordningsnummer", "value": number}}
    answer = await site.post(hr.single("identifier.changed", consultant, time="2026-03-04T08:00:00Z", **identified))
    assert answer.json()["person"] == person
    case = await case_between(site, known, person)
    assert case is not None
    done = await ask(site, f"/identity/cases/{case['id']}/decision", decision="same", keep=known)
    assert done.status_code == 200, done.text
    assert {one["form"] for one in core(site, known)["employments"]} == {"permanent", "consultant"}


async def test_case_41_a_made_up_identity_is_a_new_person_without_a_link(site: Site) -> None:
    before, made_up = a_number(), a_number(1986)
    known = await hired(site, an_id(), before)
    event = told(an_id(), made_up, time="2026-03-03T08:00:00+01:00")
    event["data"]["protection"] = "fictitious"
    came = (await site.post(event)).json()["person"]
    assert came != known
    everything = await look(site, "/identity/cases?state=all", *SCOPES, "persons:read_protected")
    assert not [case for case in everything["items"] if came in (case["person"]["id"], case["other"]["id"])]
    assert known not in orjson.dumps(core(site, came)).decode()


async def test_case_38_who_was_wrongly_taken_for_one_is_split_into_two(site: Site) -> None:
    number, first, second = a_number(), an_id(), an_id()
    person = await hired(site, first, number)
    assert await hired(site, second, number, source=CONSULTANTS, time="2026-03-03T08:00:00+01:00") == person
    answer = await ask(site, f"/persons/{person}/split", ids=[{"source": CONSULTANTS, "externalId": second}])
    new = answer.json()["other"]["person"]
    assert new != person
    assert [len(core(site, one)["employments"]) for one in (person, new)] == [1, 1]
    assert site.versions(new) == [(1, "joiner", "hire")]
    assert site.versions(person)[-1][1:] == ("mover", "split")
    assert await case_between(site, person, new) is None
    none_left = await ask(site, f"/persons/{person}/split", ids=[{"source": hr.SOURCE, "externalId": first}])
    assert (none_left.status_code, none_left.json()["code"]) == (422, "identity.none_left")


async def test_an_alias_follows_its_person_out_and_may_be_wound_up_before(site: Site) -> None:
    kept, other = await hired(site, external := an_id()), await hired(site, an_id())
    assert (await ask(site, f"/persons/{kept}/merge", absorb=other)).status_code == 200
    assert (await ask(site, f"/persons/{kept}/retire")).json()["code"] == "person.no_alias"
    assert (await ask(site, f"/persons/{other}/retire")).json()["retired"] is True
    assert (site.versions(other)[-1][1:], core(site, other)["employments"]) == (("leaver", "end"), [])
    assert (await ask(site, f"/persons/{other}/retire")).json()["code"] == "person.retired"
    told_before = len(site.versions(other))
    await site.post(hr.change(external, time="2026-03-05T08:00:00+01:00", extent=50))
    assert len(site.versions(other)) == told_before
    blocked = await ask(site, f"/persons/{other}/access", action="disable")
    assert (blocked.status_code, blocked.json()["code"]) == (422, "person.merged")


async def test_an_id_that_comes_back_with_another_person_is_quarantined_until_somebody_decides(site: Site) -> None:
    external = an_id()
    before = await hired(site, external, a_number(1980))
    came = told(external, a_number(1995), name=("Bo", "Ek"), time="2026-03-10T08:00:00+01:00")
    answer = await site.post(came)
    assert (answer.status_code, answer.json()["status"]) == (202, "quarantined")
    held = answer.json()["person"]
    assert held != before
    assert (await site.post(came)).json()["duplicate"] is True
    later = await site.post(hr.change(external, time="2026-03-11T08:00:00+01:00", extent=80))
    assert (later.json()["status"], later.json()["person"]) == ("quarantined", held)
    assert core(site, before)["name"]["given"] == "Åsa"
    assert (site.versions(held), site.said(held)) == ([], [])
    case = await case_between(site, before, held)
    assert case is not None
    assert (case["kind"], case["other"]["name"]["given"], case["other"]["held"]) == ("id_returned", "Bo", True)

    decided = await ask(site, f"/identity/cases/{case['id']}/decision", decision="separate")
    assert decided.json()["state"] == "separate", decided.text
    assert site.versions(held) == [(1, "joiner", "hire")]
    assert core(site, held)["employments"][0]["extent"] == 80
    # HR has no word for who had it any more: what was told of them under it ends today
    (theirs,), (new,) = core(site, before)["employments"], core(site, held)["employments"]
    assert theirs["validTo"] == "2026-03-02"
    assert theirs["id"] != new["id"], "the source has used the employment's own id for both"
    again = await ask(site, f"/identity/cases/{case['id']}/decision", decision="same")
    assert (again.status_code, again.json()["code"]) == (409, "identity.decided")
    assert (await site.post(hr.change(external, time="2026-03-12T08:00:00+01:00", extent=70))).json()["person"] == held


async def test_who_had_an_id_before_goes_along_when_the_id_is_split_off(site: Site) -> None:
    external, second, number = an_id(), an_id(), a_number(1995)
    before = await hired(site, external, a_number(1980))
    came = told(external, number, name=("Bo", "Ek"), time="2026-03-10T08:00:00+01:00")
    held = (await site.post(came)).json()["person"]
    case = await case_between(site, before, held)
    assert case is not None
    await ask(site, f"/identity/cases/{case['id']}/decision", decision="separate")
    assert await hired(site, second, number, name=("Bo", "Ek"), time="2026-03-11T08:00:00+01:00") == held
    split = await ask(site, f"/persons/{held}/split", ids=[{"source": hr.SOURCE, "externalId": external}])
    assert split.status_code == 200, split.text
    ((other,),) = site.rows("SELECT person::text FROM source_identity WHERE external_id = %s", external)
    assert other not in (before, held)
    assert core(site, other)["employments"][0]["id"] != core(site, before)["employments"][0]["id"]
    late = await site.post(hr.change(external, time="2026-03-05T08:00:00+01:00", extent=40))
    assert late.json()["person"] == before, late.text


async def test_an_id_that_came_back_may_mean_the_same_person_after_all(site: Site) -> None:
    external = an_id()
    before = await hired(site, external, a_number(1980))
    came = told(external, a_number(1995), name=("Bo", "Ek"), time="2026-03-10T08:00:00+01:00")
    held = (await site.post(came)).json()["person"]
    case = await case_between(site, before, held)
    assert case is not None
    answer = await ask(site, f"/identity/cases/{case['id']}/decision", decision="same")
    assert answer.json()["state"] == "merged", answer.text
    assert (core(site, before)["name"]["given"], len(core(site, before)["employments"])) == ("Bo", 1)
    assert (await site.post(hr.change(external, time="2026-03-12T08:00:00+01:00", extent=70))).json()[
        "person"
    ] == before


async def test_who_is_who_is_decided_by_who_may_and_every_look_is_audited(site: Site) -> None:
    kept, other = await hired(site, an_id()), await hired(site, an_id())
    refused = await site.client.post(f"/v1/persons/{kept}/merge", json={**WHY, "absorb": other}, headers=site.bearer())
    assert refused.status_code == 403
    assert (await ask(site, f"/persons/{kept}/merge", absorb=kept)).json()["code"] == "identity.same_person"
    assert (await ask(site, f"/persons/{kept}/merge", absorb=str(uuid4()))).status_code == 404
    assert (await ask(site, f"/persons/{kept}/merge", absorb=other)).status_code == 200
    rows = site.rows("SELECT body FROM outbox WHERE type LIKE '%%audit%%' AND body::text LIKE %s", f"%{other}%")
    said = [orjson.loads(row[0])["data"] for row in rows]
    assert ("identity.merged", "hr-1", WHY["reason"]) in [(one["action"], one["actor"], one["reason"]) for one in said]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("late", [False, True])
async def test_a_late_end_of_who_had_the_id_before_is_theirs(site: Site, whole: bool, late: bool) -> None:
    external, number = an_id(), a_number(1980)
    before = await hired(site, external, number, time="2026-02-01T08:00:00+01:00")
    came = told(external, a_number(1995), name=("Bo", "Ek"), time="2026-03-01T08:00:00+01:00")
    came["data"]["employments"][0]["id"] = "2"
    end = hr.change(external, time="2026-02-20T08:00:00+01:00", validTo="2026-02-28")
    if whole:
        end = told(external, number, time="2026-02-20T08:00:00+01:00")
        end["data"]["employments"][0]["validTo"] = "2026-02-28"
    answers = [await site.post(one) for one in ((came, end) if late else (end, came))]
    assert [one.status_code for one in answers] == [202, 202]
    assert core(site, before)["employments"][0]["validTo"] == "2026-02-28"


async def test_another_source_does_not_lift_protection(site: Site) -> None:
    number, external, other = a_number(), an_id(), an_id()
    person = await hired(site, external, number)
    assert await hired(site, other, number, source=CONSULTANTS, time="2026-03-03T06:00:00+01:00") == person
    hide = hr.change(external, time="2026-03-03T06:10:00+01:00", extent=90)
    hide["data"]["protection"] = "fictitious"
    assert (await site.post(hide)).status_code == 202
    assert core(site, person)["protection"] == "fictitious"
    nightly = hr.change(other, time="2026-03-03T06:20:00+01:00", extent=80)
    nightly["source"] = CONSULTANTS
    nightly["data"]["protection"] = "none"
    answer = await site.post(nightly)
    assert answer.json()["person"] == person
    assert core(site, person)["protection"] == "fictitious"


async def test_a_merge_does_not_lift_protection(site: Site) -> None:
    hidden = await hired(site, x := an_id(), time="2026-02-01T08:00:00+01:00")
    hide = hr.change(x, time="2026-02-02T06:10:00+01:00", extent=90)
    hide["data"]["protection"] = "fictitious"
    assert (await site.post(hide)).status_code == 202
    event = told(an_id(), name=("Eva", "Ny"), time="2026-03-01T08:00:00+01:00")
    event["data"]["protection"] = "none"
    kept = (await site.post(event)).json()["person"]
    headers = site.bearer("alvsund", *SCOPES, "persons:read_protected", subject="hr-1")
    body = {**WHY, "absorb": hidden}
    answer = await site.client.post(f"/v1/persons/{kept}/merge", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert [core(site, one)["protection"] for one in (kept, hidden)] == ["fictitious"] * 2


async def test_who_still_has_a_number_holds_it_when_the_first_loses_it(site: Site) -> None:
    number, first = a_number(), an_id()
    one = await hired(site, first, number)
    two = await hired(site, an_id(), number, name=("Bo", "Ek"))
    assert await case_between(site, one, two)
    fixed = {"identifier": {"kind": "personnummer", "value": a_number()}}
    await site.post(hr.single("identifier.changed", first, time="2026-03-03T06:10:00+01:00", **fixed))
    three = await hired(site, an_id(), number, name=("Bo", "Ek"), source=CONSULTANTS)
    assert three == two or await case_between(site, two, three)


async def test_who_reports_to_an_id_reports_to_whom_it_means(site: Site) -> None:
    x, y, e = an_id(), an_id(), an_id()
    number = a_number()
    boss = await hired(site, x, number, time="2026-02-01T08:00:00+01:00")
    assert await hired(site, y, number, source=CONSULTANTS, time="2026-02-02T08:00:00+01:00") == boss
    clerk = await hired(site, e, manager=x, time="2026-02-03T08:00:00+01:00")
    answer = await ask(site, f"/persons/{boss}/split", ids=[{"source": hr.SOURCE, "externalId": x}])
    other = answer.json()["other"]["person"]
    again = hr.hire(e, start="2026-01-01", manager=x, unit="u-2", time="2026-03-03T08:00:00+01:00")
    assert (await site.post(again)).json()["status"] == "accepted"
    assert core(site, clerk)["employments"][0]["assignments"][0]["manager"] == other


async def test_an_acting_manager_who_is_merged_is_followed(site: Site) -> None:
    x, y, unit = an_id(), an_id(), an_id()
    kept, absorbed = await hired(site, x), await hired(site, y)
    assert (await site.post(hr.unit(unit, manager=x, actingManager=y))).json()["status"] == "accepted"

    def leads() -> list[tuple[str, str]]:
        rows = site.rows("SELECT record ->> 'manager', record ->> 'actingManager' FROM unit WHERE id = %s", unit)
        return [(row[0], row[1]) for row in rows]

    assert leads() == [(kept, absorbed)]
    assert (await ask(site, f"/persons/{kept}/merge", absorb=absorbed)).status_code == 200
    assert core(site, absorbed)["aliasOf"] == kept
    again = hr.event({"externalId": unit, "site": "Torget"}, type_=HR_UNIT, time="2026-03-02T07:30:00Z")
    assert (await site.post(again)).json()["status"] == "accepted"
    assert leads() == [(kept, kept)]


async def test_a_merge_that_would_lift_a_block_is_refused(site: Site) -> None:
    blocked, other = await hired(site, an_id()), await hired(site, an_id())
    for person, action in ((blocked, "disable"), (other, "disable"), (other, "restore")):
        assert (await ask(site, f"/persons/{person}/access", action=action)).status_code == 202
    answer = await ask(site, f"/persons/{other}/merge", absorb=blocked)
    assert (answer.status_code, answer.json()["code"]) == (409, "identity.block_lost")
    assert "aliases" not in core(site, other)
