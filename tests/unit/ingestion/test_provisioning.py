"""The difference between what a client says and what is known, as HR would have told it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.hr import HrPersonRecorded, HrUnitRecorded
from services.ingestion.domain.facts import Fact
from services.ingestion.domain.provisioning import (
    PersonTold,
    closed,
    described,
    ended,
    goes_on,
    person_data,
    unit_data,
)
from services.ingestion.domain.state import PersonState, fold
from services.ingestion.domain.units import UnitState

SOURCE, OTHER, SUBJECT = "https://hr.example/a", "https://hr.example/b", "p-1"
AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
TODAY = date(2026, 3, 2)
NAME = {"given": "Åsa", "family": "Öberg", "preferred": None}


def folded(*told: dict[str, Any], source: str = SOURCE, state: PersonState | None = None) -> PersonState:
    state = state or PersonState()
    for index, data in enumerate(told):
        at = (state.last.asserted_at if state.last else AT) + timedelta(seconds=index + 1)
        fact = Fact(source, f"e-{at}", at, 0, HrPersonRecorded.model_validate(data, strict=False))
        state = fold(state, fact)
    return state


def fields(**said: Any) -> dict[str, Any]:
    whole = dict.fromkeys(("form", "validFrom", "validTo", "endReason", "employeeNumber", "sponsor", "extent"))
    placed = dict.fromkeys(("title", "titleCode", "manager", "site", "costCentre", "extent", "validTo"))
    assignments = [{"unit": "u-1", "validFrom": "2026-01-01", **placed}]
    found = {**whole, "assignments": assignments, "absences": [], "form": "permanent", "validFrom": "2026-01-01"}
    return {**found, **said}


def told(employment: str | None = "1", **said: Any) -> PersonTold:
    return PersonTold(NAME, employment, fields(**said))


days = st.none() | st.dates(date(2026, 1, 2), date(2030, 1, 1)).map(date.isoformat)
wishes = st.fixed_dictionaries(
    {
        "validTo": days,
        "extent": st.none() | st.sampled_from([0.0, 37.5, 100.0]),
        "employeeNumber": st.none() | st.sampled_from(["1", "0"]),
        "endReason": st.none() | st.sampled_from(["expired", "transfer"]),
        "absences": st.just([])
        | days.map(lambda end: [{"kind": "leave", "extent": "full", "validFrom": "2026-01-01", "validTo": end}]),
    }
)


@given(st.lists(wishes, min_size=1, max_size=4))
def test_what_is_told_is_what_is_known_then_and_telling_it_again_says_nothing(said: list[dict[str, Any]]) -> None:
    state = PersonState()
    for one in said:
        data = person_data(state, SOURCE, SUBJECT, told(**one))
        if data is not None:
            state = folded(data, state=state)
        known = state.employments[0].model_dump(mode="json", by_alias=True)
        for key, value in fields(**one).items():
            full = 100.0 if key == "extent" else None
            assert (full if known[key] is None else known[key]) == (full if value is None else value), key
        assert person_data(state, SOURCE, SUBJECT, told(**one)) is None


def test_only_the_clients_own_source_is_compared_and_ended() -> None:
    state = folded(
        {"externalId": SUBJECT, "name": NAME, "employments": [{"id": "1", **fields(extent=50.0)}]}, source=OTHER
    )
    data = person_data(state, SOURCE, SUBJECT, told())
    assert data is not None
    assert data["employments"][0]["form"] == "permanent", "the other source's employment is not this one's"
    assert described(state, SOURCE, SUBJECT) is None
    assert ended(state, SOURCE, SUBJECT, TODAY) is None


def test_the_employment_that_was_told_of_last_is_described() -> None:
    one = {"externalId": SUBJECT, "name": NAME, "employments": [{"id": "9", **fields(extent=50.0)}]}
    state = folded(one, {"externalId": SUBJECT, "employments": [{"id": "1", **fields(extent=10.0)}]})
    found = described(state, SOURCE, SUBJECT)
    assert found is not None
    assert found.id == "1"
    gone = folded({"externalId": SUBJECT, "employments": [{"id": "1", "cancelled": True}]}, state=state)
    found = described(gone, SOURCE, SUBJECT)
    assert found is not None
    assert found.id == "9"


def test_an_end_is_stated_for_all_that_goes_on_and_for_nothing_else() -> None:
    spans = {"a": ("2026-01-01", None), "b": ("2026-03-03", None), "c": ("2026-01-01", "2026-03-02"),
             "d": ("2025-01-01", "2025-12-31"), "e": ("2026-03-02", "2027-01-01")}  # fmt: skip
    said = [{"id": key, **fields(extent=10.0, validFrom=start, validTo=end)} for key, (start, end) in spans.items()]
    state = folded({"externalId": SUBJECT, "name": NAME, "employments": said})
    data = ended(state, SOURCE, SUBJECT, TODAY)
    assert data is not None
    assert data["employments"] == [
        {"id": "a", "validTo": "2026-03-02"},
        {"id": "b", "cancelled": True},
        {"id": "e", "validTo": "2026-03-02"},
    ]
    assert goes_on(state, SOURCE, SUBJECT, TODAY)
    after = folded(data, state=state)
    assert ended(after, SOURCE, SUBJECT, TODAY) is None
    assert not goes_on(after, SOURCE, SUBJECT, TODAY)


def test_without_an_employment_only_the_name_is_told() -> None:
    state = folded({"externalId": SUBJECT, "name": {"given": "A", "family": "B"}})
    data = person_data(state, SOURCE, SUBJECT, PersonTold(NAME, None, {}))
    assert data == {"externalId": SUBJECT, "name": {"given": "Åsa", "family": "Öberg"}}


def test_a_unit_closes_today_or_with_its_first_day() -> None:
    assert closed(UnitState(valid_from=date(2020, 1, 1)), "u", TODAY) == {"externalId": "u", "validTo": "2026-03-02"}
    ahead = closed(UnitState(valid_from=date(2026, 5, 1)), "u", TODAY)
    assert ahead == {"externalId": "u", "validTo": "2026-05-01"}
    assert closed(UnitState(valid_from=date(2020, 1, 1), valid_to=date(2021, 1, 1)), "u", TODAY) is None


def test_of_a_unit_only_what_is_otherwise_is_told() -> None:
    state = UnitState(name="Norr", parent="u-0", valid_from=date(2020, 1, 1))
    said = dict.fromkeys(("manager", "actingManager", "kind", "site", "costCentre", "mailDomain", "validTo"))
    data = unit_data(state, "u", {**said, "name": "Norr", "parent": None, "validFrom": "2020-01-01"})
    assert data == {"externalId": "u", "parent": None}
    HrUnitRecorded.model_validate(data)
