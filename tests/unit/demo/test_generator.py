"""The demo's generator: how many of each, the same bytes every time, and nothing that HR's door would refuse."""

import json
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from itertools import islice, pairwise
from typing import Any

import pytest

from contracts.codes import Form
from contracts.registry import parse_hr_event
from deploy.demo import identity
from deploy.demo.dates import AFTERNOON, BUSINESS_DATE, MORNING, ZONE
from deploy.demo.files import write
from deploy.demo.generator import Kind, Told, act_one, act_two, line
from deploy.demo.people import Plan
from deploy.demo.units import ALVSUND, BERGBY, ORGANISATIONS
from deploy.local.provider import MANAGERS
from deploy.local.settings import ROOT
from services.ingestion.domain.facts import Fact
from services.ingestion.domain.projection import Organisation
from services.ingestion.domain.rules import Place, date_violations, violations
from services.ingestion.domain.state import PersonState, fold
from services.kernel.settings import load_organisations

ONE = [told for organisation in ORGANISATIONS for told in act_one(organisation)]
TWO = act_two()


def people(told: list[Told]) -> Iterator[dict[str, Any]]:
    return (one.event["data"] for one in told if one.kind is not Kind.UNIT)


def employments(told: list[Told]) -> Iterator[dict[str, Any]]:
    return (said for data in people(told) for said in data.get("employments", ()))


def test_act_one_is_a_municipality_of_1000_people_in_60_units_and_a_small_organisation() -> None:
    counts = Counter((one.organisation, one.kind is Kind.UNIT) for one in ONE)
    assert counts == {("alvsund", True): 60, ("alvsund", False): 1000, ("bergby", True): 5, ("bergby", False): 40}


def test_the_hr_day_has_exactly_so_many_of_each_kind_and_meets_nobody_twice() -> None:
    counts = Counter(one.kind for one in TWO)
    assert counts == {Kind.HIRE: 25, Kind.MOVE: 40, Kind.EXIT: 30, Kind.CANCELLED_HIRE: 5, Kind.DISMISSAL: 1}
    assert len({one.event["data"]["externalId"] for one in TWO}) == len(TWO)


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_any_seed_gives_a_whole_hr_day(seed: int) -> None:
    assert len(act_two(plan=Plan(seed=seed))) == 101


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_people() -> None:
    again = [line(one.event) for organisation in ORGANISATIONS for one in act_one(organisation)]
    assert again == [line(one.event) for one in ONE]
    assert [line(one.event) for one in act_two()] == [line(one.event) for one in TWO]
    other = [line(one.event) for one in act_one(ALVSUND, 100, plan=Plan(seed=2))]
    assert not set(other[60:]) & set(again)


def test_every_event_is_what_the_door_takes_and_comes_from_its_organisations_source() -> None:
    sources = {key: row.sources for key, row in load_organisations(ROOT / "deploy/local/organisations.toml").items()}
    for told in [*ONE, *TWO]:
        event = parse_hr_event(told.event["type"], line(told.event))
        assert event.source in sources[told.organisation]
    ids = [one.event["id"] for one in [*ONE, *TWO]]
    assert len(set(ids)) == len(ids)


def test_no_event_breaks_a_rule_of_the_ledger() -> None:
    organisation = Organisation("alvsund", ZONE)
    states: dict[tuple[str, str], PersonState] = defaultdict(PersonState)
    for told in (one for one in [*ONE, *TWO] if one.kind is not Kind.UNIT):
        event = parse_hr_event(told.event["type"], line(told.event))
        fact = Fact(event.source, event.id, event.time, event.sequence, event.data)
        key = (told.organisation, event.data.external_id)
        assert date_violations(event.data, None) == []
        there = Place(states[key], fold(states[key], fact))
        assert violations(there, fact, organisation) == []
        states[key] = there.after


def test_what_is_said_was_said_before_it_is_sent() -> None:
    assert max(datetime.fromisoformat(one.event["time"]) for one in ONE) < MORNING
    times = [datetime.fromisoformat(one.event["time"]) for one in TWO]
    assert times == sorted(times)
    assert MORNING < times[0] <= times[-1] < AFTERNOON


def test_employments_and_what_lies_within_them_are_in_order() -> None:
    for said in employments([*ONE, *TWO]):
        first, last = said.get("validFrom", "0001"), said.get("validTo") or "9999"
        assert first <= last
        spans = said.get("assignments", [])
        assert all(one["validFrom"] <= one.get("validTo", "9999") for one in spans)
        assert all(one["validTo"] < other["validFrom"] for one, other in pairwise(spans))


def test_everything_that_makes_a_municipality_difficult_is_there() -> None:
    assert {said["form"] for said in employments(ONE)} == {form.value for form in Form}
    alvsund = [data for data in people(ONE) if data["externalId"].startswith("alvsund")]
    assert sum(data.get("protection", "none") != "none" for data in alvsund) == 1
    assert any("absences" in said for said in employments(ONE))
    assert sum(data.get("baseline", False) for data in alvsund) > 700
    two_at_once = [
        data for data in alvsund if {said["form"] for said in data["employments"]} >= {"elected", "permanent"}
    ]
    assert two_at_once
    names = Counter((data["name"]["given"], data["name"]["family"]) for data in alvsund)
    assert names["Anna", "Andersson"] >= 4
    letters = {letter for name in names for letter in " ".join(name)}
    assert letters >= set("åäöéáđ-")
    assert any(family.startswith(("von ", "af ")) for _, family in names)
    starts = [said["validFrom"] for said in employments(ONE)]
    ends = [said["validTo"] for said in employments(ONE) if said["validTo"]]
    today = BUSINESS_DATE.isoformat()
    assert min(starts) < today < max(starts)
    assert min(ends) < today < max(ends)


def test_personal_numbers_are_test_numbers_with_a_right_checksum_and_differ() -> None:
    assert identity.checked(date(1970, 10, 3), 239, coordination=True) == "197010632391"  # DOMAIN's official example
    numbers = [one["value"] for data in people(ONE) for one in data["identifiers"] if one["kind"] != "interim"]
    for number in numbers:
        digits = [int(digit) for digit in number[2:]]
        assert identity.luhn(digits[:9]) == digits[9]
        assert 980 <= int(number[8:11]) <= 999
    shared = [number for number, count in Counter(numbers).items() if count > 1]
    assert len(shared) == 1, "one human works in both organisations, and nobody else shares a number"


def test_some_of_the_day_takes_effect_at_once_and_some_later() -> None:
    today = BUSINESS_DATE.isoformat()
    hires = [said["validFrom"] for said in employments([one for one in TWO if one.kind is Kind.HIRE])]
    exits = [said["validTo"] for said in employments([one for one in TWO if one.kind is Kind.EXIT])]
    assert min(hires) < today
    assert sum(start == today for start in hires) >= 5
    assert sum(start > today for start in hires) >= 10
    assert sum(end < today for end in exits) >= 10
    assert sum(end == today for end in exits) == 5
    assert sum(end > today for end in exits) >= 10


def test_cancelled_are_hires_that_lay_ahead() -> None:
    ahead = {one.event["data"]["externalId"] for one in ONE if one.kind is Kind.STARTS_LATER}
    cancelled = {one.event["data"]["externalId"] for one in TWO if one.kind is Kind.CANCELLED_HIRE}
    assert cancelled <= ahead


def test_every_unit_has_a_manager_who_works_there_and_a_parent_that_came_before() -> None:
    for organisation in (ALVSUND, BERGBY):
        told = list(act_one(organisation))
        units = [one.event["data"] for one in told if one.kind is Kind.UNIT]
        placed = {data["externalId"]: data["employments"][0]["assignments"][0]["unit"] for data in people(told)}
        seen: set[str | None] = {None}
        for unit in units:
            assert placed[unit["manager"]] == unit["externalId"]
            assert unit["parent"] in seen
            seen.add(unit["externalId"])


def test_50000_people_stream() -> None:
    told = act_one(ALVSUND, 50_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in islice(told, 3_000)) == 3_000
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_there_is_a_number_of_its_own_for_each_of_50000() -> None:
    births = {identity.birth(number) for number in range(60_000)}
    assert len(births) == 60_000
    with pytest.raises(ValueError, match="test numbers"):
        identity.birth(identity.PEOPLE_AT_MOST)


def test_too_small_an_organisation_has_no_such_day() -> None:
    with pytest.raises(ValueError, match="too few"):
        act_two(ALVSUND, 100)


def test_the_files_hold_the_same_events(tmp_path: Any) -> None:
    written = dict(write(tmp_path))
    assert {path.name: count for path, count in written.items()} == {
        "act-1-alvsund.jsonl": 1060,
        "act-1-bergby.jsonl": 45,
        "act-2-alvsund.jsonl": 101,
    }
    lines = (tmp_path / "act-2-alvsund.jsonl").read_bytes().splitlines()
    assert [json.loads(one) for one in lines] == [one.event for one in TWO]


def test_who_signs_in_as_a_manager_at_home_manages_people_of_the_demo() -> None:
    numbers = {said["employeeNumber"]: data["externalId"] for data in people(ONE) for said in data["employments"]}
    for organisation in ORGANISATIONS:
        manager = numbers[MANAGERS[organisation.key]]
        units = {unit.id for unit in organisation.units if organisation.person_id(unit.number) == manager}
        units |= {unit.id for unit in organisation.units if unit.parent in units}
        staff = [
            data for data in people(ONE) for said in data["employments"] if said["assignments"][0]["unit"] in units
        ]
        assert len(staff) > 10
