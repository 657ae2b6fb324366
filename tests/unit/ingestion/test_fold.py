"""Facts fold to the same state in any order, and absent, null and false are three things."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codes import EndReason
from services.ingestion.domain.facts import Fact, in_order
from services.ingestion.domain.state import PersonState, fold, fold_all
from tests.support import hr
from tests.unit.ingestion.ledger import fact

MARCH = datetime(2026, 3, 2, 8, tzinfo=UTC)


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """A person's facts, with equal times and several sources among them."""
    facts = []
    for number in range(draw(st.integers(1, 7))):
        data: dict[str, Any] = {"externalId": "p-1"}
        optional: dict[str, st.SearchStrategy[Any]] = {
            "name": st.sampled_from([{"given": "Åsa", "family": ""}, {"given": "Å", "family": "B", "preferred": "C"}]),
            "birthDate": st.sampled_from([None, "1990-01-01"]),
            "protection": st.sampled_from(["none", "marked"]),
            "deceasedOn": st.sampled_from([None, "2026-02-01"]),
            "privateContact": st.sampled_from([None, {"mail": "a@b.example"}, {"phone": None}]),
            "baseline": st.booleans(),
        }
        data |= {key: draw(value) for key, value in optional.items() if draw(st.booleans())}
        data["employments"] = [draw(employments(key)) for key in ("1", "2") if draw(st.booleans())]
        time = MARCH + timedelta(hours=draw(st.integers(0, 3)))
        source = draw(st.sampled_from([hr.SOURCE, "urn:other"]))
        facts.append(fact(hr.event(data, time=time.isoformat(), event_id=f"e{number}", source=source)))
    return facts


@st.composite
def employments(draw: st.DrawFn, key: str) -> dict[str, Any]:
    optional: dict[str, st.SearchStrategy[Any]] = {
        "form": st.sampled_from(["permanent", "hourly"]),
        "validFrom": st.sampled_from(["2026-01-01", "2026-04-01"]),
        "validTo": st.sampled_from([None, "2026-05-31", "2026-08-31"]),
        "endReason": st.sampled_from([None, "dismissal", "resignation"]),
        "cancelled": st.booleans(),
        "extent": st.sampled_from([0.0, 50.0, 100.0]),
        "assignments": st.just([hr.assignment()]),
        "terms": st.sampled_from([None, {"pay": "31000"}, {"noticeMonths": 3}]),
    }
    return {"id": key} | {name: draw(value) for name, value in optional.items() if draw(st.booleans())}


@settings(max_examples=150, deadline=None)
@given(histories(), st.data())
def test_any_order_and_any_repetition_fold_to_the_same_state(facts: list[Fact], data: st.DataObject) -> None:
    repeated = facts + data.draw(st.lists(st.sampled_from(facts), max_size=5))
    assert fold_all(data.draw(st.permutations(repeated))) == fold_all(facts)


@settings(max_examples=150, deadline=None)
@given(histories(), st.data())
def test_the_fast_path_agrees_with_folding_all_again(facts: list[Fact], data: st.DataObject) -> None:
    state, arrived = PersonState(), list[Fact]()
    for new in data.draw(st.permutations(facts)):
        arrived.append(new)
        state = fold(state, new) if state.precedes(new) else fold_all(arrived)
    assert state == fold_all(facts)


@settings(max_examples=80, deadline=None)
@given(histories(), st.data())
def test_facts_that_are_not_kept_stand_in_the_basis_and_told_again_they_change_nothing(
    facts: list[Fact], data: st.DataObject
) -> None:
    """The first ones are forgotten; later ones come in any order, with some of the forgotten ones once more."""
    ordered = in_order(facts)
    forgotten = ordered[: data.draw(st.integers(1, len(ordered)))]
    again = data.draw(st.lists(st.sampled_from(forgotten), max_size=3))
    basis = fold_all(forgotten)
    found = fold_all(data.draw(st.permutations([*ordered[len(forgotten) :], *again])), basis)
    assert found.model_copy(update={"basis": None}) == fold_all(facts)
    stored = PersonState.model_validate_json(found.model_dump_json(by_alias=True))
    assert stored.basis == basis


@settings(max_examples=80, deadline=None)
@given(histories())
def test_a_state_survives_being_stored(facts: list[Fact]) -> None:
    state = fold_all(facts)
    assert PersonState.model_validate_json(state.model_dump_json(by_alias=True)) == state


def _folded(*events: hr.Event) -> PersonState:
    return fold_all(fact(event) for event in events)


def test_absent_changes_nothing_null_clears_and_false_is_false() -> None:
    first = hr.event(
        hr.person("p-1", hr.employment(end="2026-08-31", cancelled=True), birthDate="1990-01-01"),
        time="2026-03-02T08:00:00Z",
    )
    silent = hr.event({"externalId": "p-1", "employments": [{"id": "1"}]}, time="2026-03-03T08:00:00Z")
    assert _folded(first, silent).employments == _folded(first).employments
    assert _folded(first, silent).birth_date == date(1990, 1, 1)
    clearing = hr.event(
        {"externalId": "p-1", "birthDate": None, "employments": [{"id": "1", "validTo": None, "cancelled": False}]},
        time="2026-03-03T08:00:00Z",
    )
    cleared = _folded(first, clearing)
    assert cleared.birth_date is None
    assert (cleared.employments[0].valid_to, cleared.employments[0].cancelled_at) == (None, None)
    assert cleared.employments[0].end_stated_at is None


def test_an_employment_that_is_left_out_keeps_standing() -> None:
    both = hr.event(hr.person("p-1", hr.employment("1"), hr.employment("2")), time="2026-03-02T08:00:00Z")
    one = hr.event(hr.person("p-1", hr.employment("1", extent=50)), time="2026-03-03T08:00:00Z")
    assert [told.id for told in _folded(both, one).employments] == ["1", "2"]
    none = hr.event(hr.person("p-1", employments=[]), time="2026-03-04T08:00:00Z")
    assert len(_folded(both, none).employments) == 2


def test_objects_merge_and_lists_replace() -> None:
    first = hr.event(
        hr.person(
            "p-1",
            hr.employment(terms={"pay": "31000", "noticeMonths": 3}),
            name={"given": "Åsa", "family": "Öberg", "preferred": "Åsa-Lill"},
        ),
        time="2026-03-02T08:00:00Z",
    )
    second = hr.event(
        {
            "externalId": "p-1",
            "name": {"given": "Åsa", "family": "Berg"},
            "employments": [{"id": "1", "terms": {"pay": "32000"}, "assignments": [hr.assignment("u-2")]}],
        },
        time="2026-03-03T08:00:00Z",
    )
    state = _folded(first, second)
    assert state.name is not None
    assert (state.name.family, state.name.preferred) == ("Berg", "Åsa-Lill")
    told = state.employments[0]
    assert told.terms is not None
    assert (told.terms.pay, told.terms.notice_months) == ("32000", 3)
    assert [placed.unit for placed in told.assignments] == ["u-2"]


def test_an_end_that_is_repeated_keeps_the_time_at_which_it_was_first_stated() -> None:
    first = hr.hire(end="2026-08-31", time="2026-03-02T08:00:00Z")
    again = hr.change(time="2026-03-09T08:00:00Z", validTo="2026-08-31")
    moved = hr.change(time="2026-03-10T08:00:00Z", validTo="2026-09-30")
    assert _folded(first, again).employments[0].end_stated_at == datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert _folded(first, again, moved).employments[0].end_stated_at == datetime(2026, 3, 10, 8, tzinfo=UTC)


def test_facts_with_the_same_time_follow_the_sequence_then_the_id() -> None:
    time = "2026-03-02T08:00:00Z"
    early = hr.event(hr.person("p-1", hr.employment(extent=50)), time=time, event_id="z", sequence=1)
    late = hr.event(hr.person("p-1", hr.employment(extent=60)), time=time, event_id="a", sequence=2)
    assert _folded(late, early).employments[0].extent == 60
    tie = hr.event(hr.person("p-1", hr.employment(extent=70)), time=time, event_id="b", sequence=2)
    assert _folded(tie, late, early).employments[0].extent == 70


def test_baseline_stays_with_the_employments_it_first_brought() -> None:
    baseline = hr.event(hr.person("p-1", hr.employment("1"), baseline=True), time="2026-03-02T08:00:00Z")
    later = hr.event(hr.person("p-1", hr.employment("1"), hr.employment("2")), time="2026-03-03T08:00:00Z")
    assert [told.baseline for told in _folded(later, baseline).employments] == [True, False]


def test_a_dismissal_is_dated_by_its_first_assertion() -> None:
    state = _folded(
        hr.hire(time="2026-03-02T08:00:00Z", start="2026-01-01"),
        hr.change(time="2026-03-05T10:00:00Z", endReason="dismissal", validTo="2026-03-05"),
        hr.change(time="2026-03-06T10:00:00Z", endReason="dismissal"),
    )
    assert state.employments[0].end_reason is EndReason.DISMISSAL
    assert state.employments[0].dismissed_at == datetime(2026, 3, 5, 10, tzinfo=UTC)


def test_9999_12_31_is_until_further_notice() -> None:
    away = {"kind": "leave", "extent": "full", "validFrom": "2026-07-01", "validTo": "9999-12-31"}
    placed = [hr.assignment(validTo="9999-12-31")]
    said = hr.change(time="2026-03-03T08:00:00Z", validTo="9999-12-31", assignments=placed, absences=[away])
    told = _folded(hr.hire(end="2026-12-31"), said).employments[0]
    assert (told.valid_to, told.end_stated_at) == (None, None)
    assert (told.assignments[0].valid_to, told.absences[0].valid_to) == (None, None)


def test_an_employment_is_stated_when_the_first_fact_named_it_in_any_order_of_arrival() -> None:
    early, late = hr.hire(time="2026-03-02T08:00:00Z"), hr.hire(time="2026-03-05T08:00:00Z")
    assert _folded(late, early).employments[0].stated_at == datetime(2026, 3, 2, 8, tzinfo=UTC)
