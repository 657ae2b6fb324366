"""The door's own rules, with code and JSON pointer."""

from typing import Any

import pytest

from contracts.hr import HrPersonRecorded
from services.ingestion.domain.rules import date_violations, time_violations, violations
from tests.support import hr
from tests.unit.ingestion.ledger import ALVSUND, fact, instant, place


def judged(*events: hr.Event) -> list[tuple[str, str]]:
    facts = [fact(event) for event in events]
    said = facts[-1].data
    assert isinstance(said, HrPersonRecorded)
    found = date_violations(said, None) or violations(place(facts), facts[-1], ALVSUND)
    return [(item.field, item.code) for item in found]


@pytest.mark.parametrize(
    ("employment", "expected"),
    [
        ({"id": "1", "form": "permanent", "validFrom": "2026-06-01"}, [("assignments", "employment.unit_missing")]),
        (hr.employment(assignments=[]), [("assignments", "employment.unit_missing")]),
        (
            {"id": "1", "assignments": [hr.assignment()]},
            [
                ("form", "employment.form_missing"),
                ("validFrom", "employment.start_missing"),
            ],
        ),
        (
            hr.employment(form="consultant"),
            [
                ("sponsor", "employment.sponsor_missing"),
                ("validTo", "employment.end_missing"),
            ],
        ),
        (hr.employment(form="consultant", sponsor="p-9", end="2026-12-31"), []),
        (hr.employment(form="consultant", sponsor="p-9", end="2027-06-01"), []),
        (
            hr.employment(form="consultant", sponsor="p-9", end="2027-06-02"),
            [("validTo", "employment.end_too_late")],
        ),
        (
            hr.employment(form="consultant", sponsor="p-9", start="2028-02-29", end="2029-03-01"),
            [("validTo", "employment.end_too_late")],
        ),
        (
            hr.employment(form="consultant", sponsor="p-9", end="9999-12-31"),
            [("validTo", "employment.end_missing")],
        ),
        (
            hr.employment(start="1026-06-01"),
            [
                ("validFrom", "date.implausible"),
                ("assignments/0/validFrom", "date.implausible"),
            ],
        ),
    ],
)
def test_a_new_employment_must_be_whole(employment: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    found = judged(hr.event(hr.person("p-1", hr.employment("0"), employment)))
    assert found == [(f"/data/employments/1/{field}", code) for field, code in expected]


def test_a_new_person_needs_a_name() -> None:
    assert judged(hr.event({"externalId": "p-1"})) == [("/data/name", "person.name_missing")]


def test_a_known_employment_may_say_only_what_changed() -> None:
    assert judged(hr.hire(time="2026-03-02T08:00:00Z"), hr.change(time="2026-03-03T08:00:00Z", extent=50)) == []


def test_an_end_before_a_start_that_was_told_earlier_is_refused() -> None:
    later = hr.change(time="2026-03-03T08:00:00Z", validTo="2026-05-31")
    assert judged(hr.hire(start="2026-06-01", time="2026-03-02T08:00:00Z"), later) == [
        ("/data/employments/0/validTo", "employment.end_before_start")
    ]


def test_a_consultants_end_that_a_baseline_brought_stands_until_it_is_moved() -> None:
    long = hr.employment(form="consultant", sponsor="p-9", start="2024-06-01", end="2026-12-31")
    brought = hr.event(hr.person("p-1", long, baseline=True), time="2026-03-02T08:00:00Z")
    assert judged(brought) == []
    assert judged(brought, hr.change(time="2026-03-03T08:00:00Z", extent=50)) == []
    assert judged(brought, hr.change(time="2026-03-03T08:00:00Z", validTo="2027-12-31")) == [
        ("/data/employments/0/validTo", "employment.end_too_late")
    ]


def test_a_death_in_the_future_is_refused() -> None:
    said = hr.event({"externalId": "p-1", "deceasedOn": "2026-03-09"}, time="2026-03-03T08:00:00Z")
    assert judged(hr.hire(time="2026-03-02T08:00:00Z"), said) == [("/data/deceasedOn", "person.deceased_in_future")]


@pytest.mark.parametrize(
    ("time", "codes"),
    [
        ("2026-03-02T08:00:00Z", []),
        ("2026-03-02T09:04:00+01:00", []),
        ("2026-03-02T09:00:00Z", ["event.time_in_future"]),
        ("2099-01-01T00:00:00Z", ["event.time_in_future"]),
        ("0001-01-01T00:00:00+02:00", ["event.time_implausible"]),
    ],
)
def test_a_source_whose_clock_is_wrong_is_refused(time: str, codes: list[str]) -> None:
    asserted = fact(hr.hire(time=time)).asserted_at
    assert [item.code for item in time_violations(asserted, instant("2026-03-02T09:00").business)] == codes
