"""Single changes: each says what a snapshot would say, and what it adds to a list stands beside the rest."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.hr import HrAssignment, HrPersonRecorded
from services.ingestion.domain.facts import Fact
from services.ingestion.domain.merging import assigned
from services.ingestion.domain.rules import date_violations, violations
from services.ingestion.domain.state import PersonState, fold, fold_all
from tests.support import hr
from tests.unit.ingestion.ledger import ALVSUND, fact, place

FIRST = datetime(2026, 3, 2, 8, tzinfo=UTC)
DAYS = st.dates(date(2026, 1, 1), date(2026, 2, 20))


def told(*events: hr.Event) -> PersonState:
    return fold_all(fact(event) for event in events)


def spans(state: PersonState) -> list[tuple[str, str | None, str | None]]:
    return sorted((one.unit, hr.iso(one.valid_from), hr.iso(one.valid_to)) for one in state.employments[0].assignments)


@st.composite
def assignments(draw: st.DrawFn) -> HrAssignment:
    start = draw(DAYS)
    end = draw(st.none() | st.integers(0, 40).map(lambda days: start + timedelta(days=days)))
    return HrAssignment(unit=draw(st.sampled_from("abc")), valid_from=start, valid_to=end)


def on(one: list[HrAssignment], day: date) -> list[HrAssignment]:
    return [span for span in one if span.valid_from <= day and (span.valid_to is None or day <= span.valid_to)]


@settings(max_examples=300, deadline=None)
@given(st.lists(assignments(), max_size=6), assignments())
def test_assignments_never_overlap_and_every_day_has_the_right_one(
    before: list[HrAssignment], new: HrAssignment
) -> None:
    known: list[HrAssignment] = []
    for one in before:
        known = list(assigned(known, one))
    after = list(assigned(known, new))
    planned = [one.valid_from for one in known if one.valid_from > new.valid_from]
    for day in (date(2025, 12, 1) + timedelta(days=n) for n in range(150)):
        held = next(iter(on(known, day)), None)
        found = on(after, day)
        assert len(found) <= 1, day
        covered = new.valid_from <= day and (day <= new.valid_to if new.valid_to else not planned or day < min(planned))
        corrected = held is not None and held.valid_from == new.valid_from
        if covered:
            assert found[0].unit == new.unit
        elif not corrected:
            assert [one.unit for one in found] == ([held.unit] if held else [])


def test_a_move_ends_what_held_the_day_before_and_leaves_what_is_planned() -> None:
    hired = hr.single("employment.started", employment=hr.employment(start="2026-01-01"), name=hr.NAME)
    planned = hr.single("employment.changed", employment="1", assignment=hr.assignment("u-9", "2026-09-01"))
    moved = hr.single("employment.changed", employment="1", assignment=hr.assignment("u-2", "2026-04-01"))
    assert spans(told(hired, planned, moved)) == [
        ("u-1", "2026-01-01", "2026-03-31"),
        ("u-2", "2026-04-01", "2026-08-31"),
        ("u-9", "2026-09-01", None),
    ]
    acting = hr.assignment("u-3", "2026-05-01", validTo="2026-05-31")
    lent = hr.single("employment.changed", employment="1", assignment=acting)
    assert spans(told(hired, lent)) == [
        ("u-1", "2026-01-01", "2026-04-30"),
        ("u-1", "2026-06-01", None),
        ("u-3", "2026-05-01", "2026-05-31"),
    ]


@pytest.mark.parametrize("end", ["9999-12-31", "9999-06-30", None])
def test_an_assignment_until_further_notice_leaves_nothing_of_what_held(end: str | None) -> None:
    hired = hr.single("employment.started", employment=hr.employment(start="2026-01-01"), name=hr.NAME)
    moved = hr.assignment("u-2", "2026-04-01", validTo=end)
    assert spans(told(hired, hr.single("employment.changed", employment="1", assignment=moved))) == [
        ("u-1", "2026-01-01", "2026-03-31"),
        ("u-2", "2026-04-01", None),
    ]


def test_the_same_day_corrects_a_unit_and_lends_to_another() -> None:
    hired = hr.single("employment.started", employment=hr.employment(start="2026-01-01"), name=hr.NAME)

    def then(unit: str, end: str | None) -> list[tuple[str, str | None, str | None]]:
        placed = hr.assignment(unit, "2026-01-01", validTo=end)
        return spans(told(hired, hr.single("employment.changed", employment="1", assignment=placed)))

    assert then("u-1", "2026-01-31") == [("u-1", "2026-01-01", "2026-01-31")]
    assert then("u-2", None) == [("u-2", "2026-01-01", None)]
    assert then("u-2", "2026-01-31") == [("u-1", "2026-02-01", None), ("u-2", "2026-01-01", "2026-01-31")]


def test_a_hire_told_again_takes_a_cancellation_and_an_end_back_unless_it_states_them() -> None:
    first = hr.single("employment.started", employment=hr.employment(start="2026-01-01"), name=hr.NAME)
    cancelled = hr.single("employment.cancelled", employment="1")
    ended = hr.single("employment.ended", employment="1", validTo="2026-05-31", endReason="dismissal")
    bare = {key: value for key, value in hr.employment(start="2026-02-01").items() if key != "validTo"}
    (one,) = told(first, ended, cancelled, hr.single("employment.started", employment=bare)).employments
    assert (one.cancelled_at, one.valid_to, one.end_reason, one.dismissed_at) == (None, None, None, None)
    stated = hr.employment(start="2026-02-01", end="2026-12-31", cancelled=True)
    (one,) = told(first, hr.single("employment.started", employment=stated)).employments
    assert (hr.iso(one.valid_to), one.cancelled_at is None) == ("2026-12-31", False)


def test_an_absence_stands_beside_others_and_is_moved_corrected_and_withdrawn() -> None:
    def away(start: str, end: str | None = None, **fields: Any) -> hr.Event:
        absence = {"kind": "parental", "extent": "full", "validFrom": start, "validTo": end}
        return hr.single("absence.recorded", employment="1", absence=absence, **fields)

    def held(*events: hr.Event) -> list[tuple[str | None, str | None]]:
        absences = told(hr.hire(start="2026-01-01", time="2026-03-01T08:00:00Z"), *events).employments[0].absences
        return sorted((hr.iso(one.valid_from), hr.iso(one.valid_to)) for one in absences)

    first, second = away("2026-05-01", "2026-05-31"), away("2026-09-01")
    assert held(first, second) == [("2026-05-01", "2026-05-31"), ("2026-09-01", None)]
    assert held(first, second, away("2026-09-01", "2027-01-31")) == [
        ("2026-05-01", "2026-05-31"),
        ("2026-09-01", "2027-01-31"),
    ]
    assert held(first, away("2026-06-01", movedFrom="2026-05-01")) == [("2026-06-01", None)]
    assert held(first, second, away("2026-05-01", withdrawn=True)) == [("2026-09-01", None)]
    assert held(first, away("2026-05-01", withdrawn=False)) == [("2026-05-01", None)]


def test_a_new_number_ends_the_old_one_and_a_corrected_one_replaces_it() -> None:
    def number(value: str, **fields: Any) -> hr.Event:
        withdrawn = {"withdrawn": fields.pop("withdrawn")} if "withdrawn" in fields else {}
        identifier = {"kind": "samordningsnummer", "value": value, **fields}
        return hr.single("identifier.changed", identifier=identifier, **withdrawn)

    other = hr.single("identifier.changed", identifier={"kind": "hsa_id", "value": "SE1-A"})
    personal = {"kind": "personnummer", "value": "P", "validFrom": "2026-03-02"}

    def becomes() -> hr.Event:
        return hr.single("identifier.changed", identifier=personal)

    def held(*events: hr.Event) -> list[tuple[str, str | None, str | None]]:
        found = told(hr.hire(time="2026-03-01T08:00:00Z"), other, *events).identifiers
        return sorted((one.value, hr.iso(one.valid_from), hr.iso(one.valid_to)) for one in found)

    kept = ("SE1-A", None, None)
    assert held(number("701063-2391")) == [("701063-2391", None, None), kept]
    assert held(number("1"), number("2")) == [("2", None, None), kept]
    assert held(number("1"), number("2", validFrom="2026-03-02")) == [
        ("1", None, "2026-03-01"),
        ("2", "2026-03-02", None),
        kept,
    ]
    assert held(number("1"), number("1", withdrawn=True)) == [kept]
    assert held(number("1"), becomes()) == [("1", None, "2026-03-01"), ("P", "2026-03-02", None), kept]
    assert held(becomes(), number("1", withdrawn=True)) == [("P", "2026-03-02", None), kept]


def test_an_end_is_stated_taken_back_and_cancelled() -> None:
    hired = hr.hire(start="2026-01-01", time="2026-03-01T08:00:00Z")
    ended = hr.single("employment.ended", employment="1", validTo="2026-08-31", endReason="resignation")
    back = hr.single("employment.ended", employment="1", validTo=None)
    notice = hr.single("employment.ended", employment="1", validTo="9999-12-31", endReason="notice")
    (one,) = told(hired, ended).employments
    assert (hr.iso(one.valid_to), one.end_reason) == ("2026-08-31", "resignation")
    for taken in (back, notice):
        (one,) = told(hired, ended, taken).employments
        assert (one.valid_to, one.end_reason, one.end_stated_at) == (None, None, None)
    (one,) = told(hired, hr.single("employment.cancelled", employment="1")).employments
    assert one.cancelled_at is not None


def test_a_name_and_a_protection_are_told_alone() -> None:
    state = told(
        hr.hire(time="2026-03-01T08:00:00Z"),
        hr.single("name.changed", name={"given": "Åsa", "family": "Berg"}),
        hr.single("protection.changed", protection="marked"),
    )
    assert (state.name and state.name.family, state.protection) == ("Berg", "marked")
    assert len(state.employments) == 1


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("employment.started", {"employment": hr.employment("1", start="2026-02-01")}),
    ("employment.started", {"employment": hr.employment("2")}),
    ("employment.changed", {"employment": "1", "assignment": hr.assignment("u-2", "2026-07-01")}),
    ("employment.changed", {"employment": "1", "assignment": hr.assignment("u-3", "2026-06-15"), "extent": 50.0}),
    ("employment.ended", {"employment": "1", "validTo": "2026-12-31"}),
    ("employment.ended", {"employment": "1", "validTo": None}),
    ("employment.cancelled", {"employment": "2"}),
    (
        "absence.recorded",
        {"employment": "1", "absence": {"kind": "leave", "extent": "full", "validFrom": "2026-08-01"}},
    ),
    ("name.changed", {"name": {"given": "Åsa", "family": "Berg"}}),
    ("identifier.changed", {"identifier": {"kind": "interim", "value": "T1", "validFrom": "2026-03-01"}}),
    ("identifier.changed", {"identifier": {"kind": "interim", "value": "T2", "validFrom": "2026-04-01"}}),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 3)), min_size=1, max_size=6), st.data())
def test_single_changes_fold_alike_in_any_order(
    said: list[tuple[tuple[str, dict[str, Any]], int]], data: st.DataObject
) -> None:
    facts = [fact(hr.hire(time=FIRST.isoformat(), event_id="e"))] + [
        fact(hr.single(name, time=(FIRST + timedelta(hours=hour)).isoformat(), event_id=f"e{number}", **fields))
        for number, ((name, fields), hour) in enumerate(said)
    ]
    state, arrived = PersonState(), list[Fact]()
    for new in data.draw(st.permutations(facts)):
        arrived.append(new)
        state = fold(state, new) if state.precedes(new) else fold_all(arrived)
    assert state == fold_all(facts)


def test_of_facts_at_the_same_moment_a_hire_comes_first_whatever_their_ids() -> None:
    moment = "2026-03-02T08:00:00Z"
    hired = hr.single(
        "employment.started", time=moment, event_id="z", name=hr.NAME, employment=hr.employment(start="2026-01-01")
    )
    ended = hr.single("employment.ended", time=moment, event_id="a", employment="1", validTo="2026-08-31")
    (one,) = told(ended, hired).employments
    assert (one.form, hr.iso(one.valid_to)) == ("permanent", "2026-08-31")
    facts = [fact(hired), fact(ended)]
    assert violations(place(facts), facts[-1], ALVSUND) == []


def test_what_an_older_version_wrote_is_written_as_it_was() -> None:
    state = told(hr.event(hr.person("p-1", identifiers=[{"kind": "interim", "value": "T1"}])))
    written = state.model_dump_json(by_alias=True)
    assert "validFrom" not in written
    assert "rank" not in written


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (hr.single("name.changed", "p-2", name=hr.NAME), ("/data/externalId", "person.unknown")),
        (hr.single("employment.cancelled", "p-2", employment="1"), ("/data/externalId", "person.unknown")),
        (
            hr.single(
                "absence.recorded",
                employment="1",
                movedFrom="2026-07-01",
                absence={"kind": "leave", "extent": "full", "validFrom": "2026-08-01"},
            ),
            ("/data/movedFrom", "absence.unknown"),
        ),
        (hr.single("employment.ended", employment="7", validTo=None), ("/data/employment", "employment.unknown")),
        (
            hr.single("employment.ended", employment="1", validTo="2026-05-31"),
            ("/data/validTo", "employment.end_before_start"),
        ),
        (
            hr.single("employment.changed", employment="1", assignment=hr.assignment("u", "1026-01-01")),
            ("/data/assignment/validFrom", "date.implausible"),
        ),
        (
            hr.single("employment.started", employment=hr.employment("2", form="consultant", end="2026-12-31")),
            ("/data/employment/sponsor", "employment.sponsor_missing"),
        ),
        (
            hr.single("identifier.changed", identifier={"kind": "interim", "value": "1", "validFrom": "1026-01-01"}),
            ("/data/identifier/validFrom", "date.implausible"),
        ),
    ],
)
def test_what_is_wrong_is_named_by_the_changes_own_field(event: hr.Event, expected: tuple[str, str]) -> None:
    facts = [fact(hr.hire(start="2026-06-01", time="2026-03-01T08:00:00Z")), fact(event)]
    if event["data"]["externalId"] != "p-1":
        del facts[0]
    data = facts[-1].data
    assert isinstance(data, HrPersonRecorded)
    found = date_violations(data, facts[-1].change) or violations(place(facts), facts[-1], ALVSUND)
    assert [(one.field, one.code) for one in found] == [expected]
