"""Absent, null and false are three things, for every field that HR may send: what is not said is not touched."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.base import Message
from contracts.hr import HrContact, HrEmployment, HrName, HrPersonRecorded, HrTerms, HrUnitRecorded
from contracts.registry import parse_hr_event
from services.ingestion.domain.state import EmploymentState, fold_all
from services.ingestion.domain.units import UnitFact, fold_all_units
from services.ingestion.handlers.reception import unit_fact
from tests.support import hr
from tests.unit.ingestion.ledger import ZONE, fact

ABSENT = object()
BEFORE, AFTER = "2026-03-02T08:00:00Z", "2026-03-03T08:00:00Z"

NAME = {"preferred": ("Lill", "Lisa")}
CONTACT = {"mail": ("a@b.example", ""), "phone": ("1", "2"), "address": ("x", "y")}
TERMS = {"pay": ("31000", "0"), "payPeriod": ("month", "hour"), "agreement": ("AB", ""), "noticeMonths": (3, 0)}
LEAVE = {"kind": "leave", "extent": "full", "validFrom": "2026-07-01"}
EMPLOYMENT = {
    "form": ("permanent", "hourly"),
    "validFrom": ("2026-01-01", "2026-02-01"),
    "validTo": ("2026-08-31", "2026-09-30"),
    "endReason": ("resignation", "notice"),
    "cancelled": (True, False),
    "employeeNumber": ("40123", "0"),
    "extent": (75.0, 0.0),
    "sponsor": ("p-8", "p-9"),
    "assignments": ([hr.assignment()], []),
    "absences": ([LEAVE], []),
    "terms": ({"pay": "1"}, {"pay": "2"}),
}
PERSON = {
    "name": ({"given": "Åsa", "family": "Öberg"}, {"given": "Ása", "family": "Berg"}),
    "birthDate": ("1990-01-01", "1991-01-01"),
    "identifiers": ([{"kind": "interim", "value": "T1"}], []),
    "protection": ("marked", "none"),
    "deceasedOn": ("2026-02-01", "2026-02-02"),
    "privateContact": ({"mail": "a"}, {"mail": "b"}),
}
UNIT = {
    "name": ("Norr", "Söder"),
    "parent": ("u-0", "u-9"),
    "manager": ("p-1", "p-2"),
    "actingManager": ("p-3", "p-4"),
    "kind": ("home care", ""),
    "site": ("A", ""),
    "costCentre": ("1", "0"),
    "mailDomain": ("a.example", ""),
    "validFrom": ("2020-01-01", "2021-01-01"),
    "validTo": ("2030-01-01", "2031-01-01"),
    "successors": (["u-7", "u-8"], []),
}
"""For each field a value that is there, and another that replaces it: an empty or false one wherever there is one."""

Values = Mapping[str, tuple[Any, Any]]


def of_employment(said: Mapping[str, Any]) -> dict[str, Any]:
    return {"employments": [{"id": "1", **said}]}


def of_name(said: Mapping[str, Any]) -> dict[str, Any]:
    # given and family name travel together
    return {"name": {"given": "Åsa", "family": "Öberg", **said}}


PLACES: dict[str, tuple[type[Message], Values, Callable[[Mapping[str, Any]], dict[str, Any]], Callable[[Any], Any]]] = {
    "person": (HrPersonRecorded, PERSON, dict, lambda state: state),
    "name": (HrName, NAME, of_name, lambda state: state.name),
    "contact": (HrContact, CONTACT, lambda said: {"privateContact": said}, lambda state: state.private_contact),
    "employment": (HrEmployment, EMPLOYMENT, of_employment, lambda state: state.employments[0]),
    "terms": (HrTerms, TERMS, lambda said: of_employment({"terms": said}), lambda state: state.employments[0].terms),
}
ASSERTED = {"last", "stated_at", "end_stated_at", "dismissed_at", "cancelled_at", "deceased_stated_at"}
DERIVED = ASSERTED | {"protections"}
"""When something was asserted, and by whom; what was asserted is looked at by itself."""


def nullable(model: type[Message], wire: str) -> bool:
    """Whether the contract lets null through: its default is its own, not `ABSENT`'s."""
    found = model.model_json_schema(by_alias=True)["properties"][wire]
    return any(one.get("type") == "null" for one in found.get("anyOf", ()))


def snake(wire: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in wire)


def values(found: Any) -> dict[str, Any]:
    kept: dict[str, Any] = found.model_dump(mode="json", by_alias=True)
    if isinstance(found, EmploymentState):
        kept["cancelled"] = found.cancelled_at is not None
    return {name: value for name, value in kept.items() if snake(name) not in DERIVED}


def test_every_field_of_the_contract_is_here() -> None:
    for model, known, *_ in PLACES.values():
        told = set(model.model_json_schema(by_alias=True)["properties"]) - {
            "externalId",
            "id",
            "employments",
            "baseline",
        }
        assert set(known) | ({"given", "family"} if model is HrName else set()) == told
    assert set(UNIT) == set(HrUnitRecorded.model_json_schema(by_alias=True)["properties"]) - {
        "externalId",
        "effectiveFrom",
        "managerSource",
    }


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_exactly_what_is_said_changes(place: str, data: st.DataObject) -> None:
    model, known, wrap, part = PLACES[place]
    first = {field: pair[0] for field, pair in known.items()}
    choices = {
        field: st.sampled_from([ABSENT, pair[1], *([None] if nullable(model, field) else [])])
        for field, pair in known.items()
    }
    said = {field: value for field, choice in choices.items() if (value := data.draw(choice)) is not ABSENT}
    base = hr.person("p-1", hr.employment(start="2026-01-01"))
    before = [
        fact(hr.event(base, time="2026-03-01T08:00:00Z", event_id="0")),
        fact(hr.event({"externalId": "p-1", **wrap(first)}, time=BEFORE, event_id="1")),
    ]
    after = fact(hr.event({"externalId": "p-1", **wrap(said)}, time=AFTER, event_id="2"))
    stood, stands = values(part(fold_all(before))), values(part(fold_all([*before, after])))
    for field in known:
        if field not in said:
            assert stands[field] == stood[field], f"{field} was not said"
        elif said[field] is None:
            assert stands[field] is None, f"{field} was cleared"
        elif isinstance(said[field], dict):
            assert {name: stands[field][name] for name in said[field]} == said[field]
        elif isinstance(said[field], list):
            assert len(stands[field]) == len(said[field])
        else:
            assert stands[field] == said[field], field
    untouched = stood.keys() - known.keys()
    assert {name: stands[name] for name in untouched} == {name: stood[name] for name in untouched}


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_exactly_what_is_said_of_a_unit_changes(data: st.DataObject) -> None:
    def told(said: Mapping[str, Any], time: str) -> UnitFact:
        event = hr.event({"externalId": "u-1", **said}, type_="se.stafett.hr.unit.recorded.v1", time=time)
        return unit_fact(parse_hr_event(event["type"], orjson.dumps(event)), ZONE)

    choices = {
        field: st.sampled_from([ABSENT, pair[1], *([None] if nullable(HrUnitRecorded, field) else [])])
        for field, pair in UNIT.items()
    }
    said = {field: value for field, choice in choices.items() if (value := data.draw(choice)) is not ABSENT}
    first = told({field: pair[0] for field, pair in UNIT.items()}, BEFORE)
    stood = fold_all_units([first]).model_dump(mode="json", by_alias=True)
    stands = fold_all_units([first, told(said, AFTER)]).model_dump(mode="json", by_alias=True)
    for field in UNIT:
        assert stands[field] == said.get(field, stood[field]), field


REFUSING = [
    (model, field)
    for model in (HrPersonRecorded, HrEmployment, HrName, HrUnitRecorded)
    for field in model.model_json_schema(by_alias=True)["properties"]
    if not nullable(model, field)
]


@pytest.mark.parametrize(("model", "field"), REFUSING, ids=lambda one: getattr(one, "__name__", one))
def test_null_is_refused_where_there_is_nothing_to_clear(model: type[Message], field: str) -> None:
    needed = {HrPersonRecorded: {"externalId": "p"}, HrEmployment: {"id": "1"}, HrUnitRecorded: {"externalId": "u"}}
    base = needed.get(model, {"given": "a", "family": "b"})
    model.model_validate_json(orjson.dumps(base))
    with pytest.raises(ValidationError) as refused:
        model.model_validate_json(orjson.dumps({**base, field: None}))
    assert refused.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize(
    ("field", "wrong"), [("extent", False), ("extent", "75"), ("cancelled", 0), ("cancelled", "false"), ("validTo", 0)]
)
def test_false_zero_and_text_are_not_taken_for_each_other(field: str, wrong: object) -> None:
    with pytest.raises(ValidationError):
        HrEmployment.model_validate_json(orjson.dumps({"id": "1", field: wrong}))
