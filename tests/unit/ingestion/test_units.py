"""Units over time: what was told for which day holds, in any order of arrival; circles and closed units are seen."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.person import UnitChange, UnitRecord
from contracts.registry import HR_UNIT, parse_hr_event
from services.ingestion.domain.tree import UnitPlace, circle, days, parents_first, stranded
from services.ingestion.domain.unit_record import project_unit
from services.ingestion.domain.units import (
    DATED,
    LEADERS,
    UnitDossier,
    UnitFact,
    UnitState,
    fold_all_units,
    fold_unit,
    next_date,
)
from services.ingestion.handlers.reception import unit_fact
from services.orgtree.domain.periods import Line
from tests.support import hr
from tests.unit.ingestion.ledger import ZONE

TODAY = date(2026, 3, 2)
ANNA = UUID(int=8)


def told(time: str, number: int = 0, **fields: Any) -> UnitFact:
    """One word of a source about the unit."""
    event = hr.event({"externalId": "u-1", **fields}, type_=HR_UNIT, time=time, event_id=f"{time} {number}")
    return unit_fact(parse_hr_event(event["type"], orjson.dumps(event)), ZONE)


def state(*words: UnitFact) -> UnitState:
    """A unit that has been told of since 2020, and what was said of it later."""
    return fold_all_units([told("2026-01-02T08:00:00Z", name="Norr", parent="u-0", validFrom="2020-01-01"), *words])


def record(found: UnitState, day: date = TODAY, known: Sequence[str] = ("u-0", "u-2"), **of: Any) -> UnitRecord | None:
    """The unit as it travels on a day."""
    managers = dict.fromkeys(found.references(), ANNA)
    return project_unit(found, managers, day, known, of.get("before"))


DAYS = st.sampled_from(["2026-02-01", "2026-03-02", "2026-06-01", "2026-09-01"])
WORDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["A", "B"]),
        "parent": st.sampled_from([None, "u-0", "u-2"]),
        "manager": st.sampled_from([None, "p-1"]),
        "actingManager": st.sampled_from([None, "p-2"]),
        "validTo": st.sampled_from([None, "2030-01-01"]),
        "effectiveFrom": st.one_of(st.none(), DAYS),
    },
)


@settings(max_examples=150, deadline=None)
@given(words=st.lists(WORDS, max_size=6), data=st.data())
def test_any_order_of_arrival_folds_to_the_same_unit(words: list[dict[str, Any]], data: st.DataObject) -> None:
    start = datetime(2026, 2, 20, 23, 30, tzinfo=UTC)
    facts = [told((start + timedelta(days=5 * n)).isoformat(), n, **word) for n, word in enumerate(words)]
    facts = [told("2026-01-02T08:00:00Z", name="Norr", validFrom="2020-01-01"), *facts]
    folded = UnitState()
    for one in facts:
        folded = fold_unit(folded, one)
    assert fold_all_units(data.draw(st.permutations(facts))) == folded
    found = record(folded)
    assert found is not None
    # what is told of the days to come is what the days will bring
    for change in found.changes:
        there = record(folded, change.effective_from)
        assert there is not None
        assert {name: getattr(there, name) for name in change.model_fields_set - {"effective_from"}} == {
            name: getattr(change, name) for name in change.model_fields_set - {"effective_from"}
        }


PERSONS = {"p-1": UUID(int=1), "p-2": UUID(int=2)}
CALENDAR = [date(2025, 12, 1) + timedelta(days=n) for n in range(400)]


class Calendar:
    """What a unit is, kept day by day: what the rules mean, without any of the means."""

    def __init__(self) -> None:
        self.first = date.max
        self.days: dict[str, dict[date, str | None]] = {}
        self.dated: dict[str, set[date]] = {}

    def hear(self, fact: UnitFact) -> None:
        data, day = fact.data, fact.data.effective_from
        new = self.first == date.max
        if data.says("valid_from"):
            self.first = data.valid_from
        for name in DATED:
            known = self.days.setdefault(name, dict.fromkeys(CALENDAR))
            dated = self.dated.setdefault(name, set())
            if not data.says(name):
                continue
            if new or (day is not None and day <= self.first):
                since, dated = CALENDAR[0], {one for one in dated if day is not None and one > day}
            elif day is not None:
                since, dated = day, {*dated, day}
            else:
                since, dated = fact.day, set() if data.says("effective_from") else {d for d in dated if d > fact.day}
            self.dated[name] = dated
            until = min((one for one in dated if one > since), default=date.max)
            known |= {one: getattr(data, name) for one in CALENDAR if since <= one < until}

    def on(self, day: date) -> dict[str, str | UUID | None]:
        found = {name: self.days[name][day] for name in DATED}
        return found | {name: PERSONS.get(found[name] or "") for name in LEADERS}


SPELLS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["A", "B", "C"]),
        "parent": st.sampled_from([None, "u-0", "u-2"]),
        "manager": st.sampled_from([None, "p-1", "p-2"]),
        "actingManager": st.sampled_from([None, "p-2"]),
        "costCentre": st.sampled_from([None, "1", "2"]),
        "validFrom": st.sampled_from(["2026-01-05", "2026-02-10"]),
        "effectiveFrom": st.one_of(
            st.none(), st.sampled_from([f"2026-0{month}-{day}" for month in range(1, 7) for day in ("03", "17")])
        ),
    },
)


@settings(max_examples=200, deadline=None)
@given(words=st.lists(st.tuples(st.integers(0, 60), SPELLS), max_size=8), later=st.integers(0, 60), data=st.data())
def test_the_record_says_of_every_day_what_its_facts_mean(
    words: list[tuple[int, dict[str, Any]]], later: int, data: st.DataObject
) -> None:
    start = datetime(2026, 2, 1, 12, tzinfo=UTC)
    facts = [told("2026-01-20T08:00:00Z", name="Norr", validFrom="2026-01-05", manager="p-1")]
    facts += [told((start + timedelta(days=n)).isoformat(), i, **word) for i, (n, word) in enumerate(words)]
    calendar = Calendar()
    for fact in sorted(facts, key=lambda fact: fact.order.key):
        calendar.hear(fact)
    folded = fold_all_units(data.draw(st.permutations(facts)))
    today = max(fact.day for fact in facts) + timedelta(days=later)
    people = {(source, one): PERSONS[one] for source, one in folded.references()}
    found = project_unit(folded, people, today, ["u-0", "u-2"], None)
    assert found is not None
    line = Line.of("u-1", 1, UnitRecord.model_validate_json(found.model_dump_json(by_alias=True)))
    for day in CALENDAR:
        if day < found.valid_from:
            continue
        assert asdict(line.on(day)) == calendar.on(day), day
    day = data.draw(st.sampled_from(CALENDAR))
    there = project_unit(folded, people, day, ["u-0", "u-2"], None, today=today)
    assert there is not None
    assert {name: getattr(there, name) for name in DATED} == calendar.on(day)
    steps = [*found.earlier, *found.changes]
    assert [one.effective_from for one in steps] == sorted({one.effective_from for one in steps})
    for one in found.earlier[:1]:
        assert (one.effective_from, one.model_fields_set) == (found.valid_from, {"effective_from", *DATED})
    assert len(found.earlier) != 1


def test_what_was_before_is_kept_and_a_retroactive_word_rewrites_it() -> None:
    renamed = told("2026-02-10T08:00:00Z", name="Syd", manager="p-8")
    found = record(state(renamed))
    assert found is not None
    first, second = found.earlier
    assert (first.effective_from, first.name, first.parent, first.manager) == (date(2020, 1, 1), "Norr", "u-0", None)
    assert second == UnitChange(effective_from=date(2026, 2, 10), name="Syd", manager=ANNA)
    snapshot = told("2026-02-20T08:00:00Z", name="Syd", manager="p-8", parent="u-0")
    assert record(state(renamed, snapshot)) == found
    really = told("2026-03-01T08:00:00Z", name="Syd", effectiveFrom="2026-01-01")
    again = record(state(renamed, really))
    assert again is not None
    assert (again.model_copy(update={"earlier": ()}), again.earlier[1:]) == (
        found.model_copy(update={"earlier": ()}),
        (
            UnitChange(effective_from=date(2026, 1, 1), name="Syd"),
            UnitChange(effective_from=second.effective_from, manager=ANNA),
        ),
    )
    untouched = record(state())
    assert untouched is not None
    assert "earlier" not in orjson.loads(untouched.model_dump_json(by_alias=True))


def test_a_word_whose_day_is_ahead_of_ours_holds_at_once() -> None:
    found = record(state(told("2026-03-02T23:30:00Z", name="Syd")))
    assert found is not None
    assert (found.name, found.changes, found.earlier[1].effective_from) == ("Syd", (), TODAY)


def test_who_led_a_unit_and_is_erased_is_known_no_more() -> None:
    found = state(told("2026-02-01T08:00:00Z", manager="p-1"), told("2026-02-20T08:00:00Z", manager="p-2"))
    told_of = project_unit(found, {(hr.SOURCE, "p-2"): ANNA}, TODAY, ["u-0"], None)
    assert told_of is not None
    assert [one.manager for one in told_of.earlier] == [None, ANNA]


def test_a_unit_that_was_named_by_a_later_fact_alone_has_had_that_name_from_the_beginning() -> None:
    facts = [
        told("2026-01-02T08:00:00Z", parent="u-0"),
        told("2026-02-02T08:00:00Z", name="Norr", validFrom="2020-01-01", parent="u-2"),
    ]
    found = record(fold_all_units(facts))
    assert found is not None
    assert [one.name for one in found.earlier if one.says("name")] == ["Norr"]


def test_what_was_told_last_for_a_date_holds_from_it_until_the_next_one() -> None:
    renamed = told("2026-03-01T08:00:00Z", name="Syd", effectiveFrom="2026-06-01")
    edited = told("2026-03-02T08:00:00Z", name="Söder", manager="p-8", effectiveFrom="2026-06-01")
    later = told("2026-02-01T08:00:00Z", name="Öster", effectiveFrom="2026-09-01")
    snapshot = told("2026-03-03T08:00:00Z", name="Norr", validTo="2030-01-01")
    found = record(state(renamed, edited, later, snapshot))
    assert found is not None
    assert (found.name, found.valid_to) == ("Norr", date(2030, 1, 1))
    assert found.changes == (
        UnitChange(effective_from=date(2026, 6, 1), name="Söder", manager=ANNA),
        UnitChange(effective_from=date(2026, 9, 1), name="Öster"),
    )
    assert orjson.loads(found.model_dump_json(by_alias=True))["changes"] == [
        {"effectiveFrom": "2026-06-01", "name": "Söder", "manager": str(ANNA)},
        {"effectiveFrom": "2026-09-01", "name": "Öster"},
    ]
    july = record(state(renamed, edited, later, snapshot), date(2026, 7, 1))
    assert july is not None
    assert (july.name, july.manager, len(july.changes)) == ("Söder", ANNA, 1)


def test_a_word_without_a_date_ends_what_held_and_null_takes_plans_back() -> None:
    planned = told("2026-03-01T08:00:00Z", name="Syd", parent="u-2", effectiveFrom="2026-06-01")
    after = record(state(planned, told("2026-06-02T08:00:00Z", name="Väst")), date(2026, 6, 2))
    assert after is not None
    assert (after.name, after.parent, after.changes) == ("Väst", "u-2", ())
    kept = record(state(planned, told("2026-03-02T08:00:00Z", name="Norr", effectiveFrom=None)))
    assert kept is not None
    assert kept.changes == (UnitChange(effective_from=date(2026, 6, 1), parent="u-2"),)


def test_an_acting_manager_comes_and_goes_on_a_day_and_each_is_an_id_of_its_own_source() -> None:
    acting = told("2026-03-01T08:00:00Z", actingManager="p-8", managerSource="urn:b", effectiveFrom="2026-06-01")
    back = told("2026-03-01T09:00:00Z", actingManager=None, effectiveFrom="2026-09-01")
    words = (told("2026-02-01T08:00:00Z", manager="p-8", managerSource="urn:a"), acting, back)
    boss, deputy = UUID(int=1), UUID(int=2)
    found = state(*words)
    assert found.references() == {("urn:a", "p-8"), ("urn:b", "p-8")}
    told_of = project_unit(found, {("urn:a", "p-8"): boss, ("urn:b", "p-8"): deputy}, TODAY, ["u-0"], None)
    assert told_of is not None
    assert (told_of.manager, told_of.acting_manager) == (boss, None)
    assert told_of.changes == (
        UnitChange(effective_from=date(2026, 6, 1), acting_manager=deputy),
        UnitChange(effective_from=date(2026, 9, 1), acting_manager=None),
    )
    july = project_unit(found, {("urn:a", "p-8"): boss, ("urn:b", "p-8"): deputy}, date(2026, 7, 1), ["u-0"], None)
    assert july is not None
    assert (july.manager, july.acting_manager) == (boss, deputy)
    assert orjson.loads(july.model_dump_json(by_alias=True))["actingManager"] == str(deputy)


def test_what_is_dated_on_the_first_day_or_before_is_from_the_beginning_however_often_it_is_told() -> None:
    dated = [
        told(f"2026-03-0{day}T08:00:00Z", number, name=name, parent="u-0", validFrom="2020-01-01", effectiveFrom=since)
        for day in (1, 2)
        for number, (name, since) in enumerate([("Norr", "2020-01-01"), ("Söder", "2026-06-01")])
    ]
    once, twice = fold_all_units(dated[:2]), fold_all_units(dated)
    assert twice.model_copy(update={"last": None}) == once.model_copy(update={"last": None})
    assert (twice.name, [one.value for one in twice.plans]) == ("Norr", ["Söder", "u-0"])


def test_a_date_is_reached_at_local_midnight_on_both_sides_of_summer_time() -> None:
    found = state(
        told("2026-03-01T08:00:00Z", name="A", effectiveFrom="2026-03-29"),
        told("2026-03-01T08:00:00Z", 1, name="B", effectiveFrom="2026-10-26"),
    )
    assert next_date(found, TODAY, ZONE) == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert next_date(found, date(2026, 3, 29), ZONE) == datetime(2026, 10, 25, 23, tzinfo=UTC)
    assert next_date(found, date(2026, 10, 26), ZONE) is None


def test_what_names_an_unknown_unit_above_is_not_told_yet() -> None:
    assert record(state(), known=()) is None
    before = record(state())
    moved = state(told("2026-03-01T08:00:00Z", parent="u-9", name="Syd"))
    found = record(moved, before=before)
    assert found is not None
    assert (found.name, found.parent) == ("Syd", "u-0")
    planned = record(state(told("2026-03-01T08:00:00Z", parent="u-9", effectiveFrom="2026-06-01")))
    assert planned == before


def tree(**units: Mapping[str, Any]) -> dict[str, UnitPlace]:
    """A tree; `moves` are (date, parent)."""
    return {
        id_: UnitPlace.of(
            UnitDossier(
                id_,
                state=fold_all_units(
                    [
                        told("2026-01-02T08:00:00Z", name=id_, parent=unit.get("parent"), validFrom="2020-01-01",
                             validTo=unit.get("last")),
                        *(told("2026-01-03T08:00:00Z", n, parent=above, effectiveFrom=day)
                          for n, (day, above) in enumerate(unit.get("moves", ()))),
                    ]
                ),
            )
        )
        for id_, unit in units.items()
    }  # fmt: skip


def test_a_circle_is_found_on_the_day_on_which_it_closes_and_not_in_the_past() -> None:
    places = tree(a={}, b={"parent": "a"}, c={"parent": "b"})
    assert circle(places, "c", days(places, TODAY)) is None
    places = tree(a={"moves": [("2026-06-01", "c")]}, b={"parent": "a"}, c={"parent": "b"})
    assert circle(places, "a", days(places, TODAY)) == (date(2026, 6, 1), ["a", "c", "b", "a"])
    places = tree(
        a={"moves": [("2026-06-01", "c")]}, b={"parent": "a", "moves": [("2026-06-01", None)]}, c={"parent": "b"}
    )
    assert circle(places, "a", days(places, TODAY)) is None
    places = tree(a={"parent": "b", "moves": [("2026-02-01", None)]}, b={"parent": "a"})
    assert circle(places, "b", days(places, TODAY)) is None


@pytest.mark.parametrize(
    ("child", "day"),
    [
        ({"parent": "a"}, "2026-07-01"),
        ({"parent": "a", "last": "2026-06-30"}, None),
        ({"parent": "a", "moves": [("2026-07-01", "b")]}, None),
        ({"parent": "a", "moves": [("2026-08-01", "b")]}, "2026-07-01"),
        ({"parent": "b", "moves": [("2026-08-01", "a")]}, "2026-08-01"),
    ],
)
def test_who_stays_below_a_closed_unit_is_seen(child: dict[str, Any], day: str | None) -> None:
    places = tree(a={"last": "2026-06-30"}, b={}, child=child)
    assert stranded(places, "child", TODAY) == (date.fromisoformat(day) if day else None)
    assert parents_first({"child", "a", "b"}, places, TODAY)[-1] == "child"
