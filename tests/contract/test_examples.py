"""Every golden example means the same to the models, to the committed schemas and to the official CloudEvents SDK."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import orjson
import pytest
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent as JudgesEvent
from pydantic import BaseModel, ValidationError

from contracts.envelope import CONTENT_TYPE, CloudEvent
from contracts.generate import SCHEMAS
from contracts.registry import DOOR, INTERNAL, parse_event, parse_hr_event
from tests.contract import golden


def parse(type_: str, body: bytes) -> BaseModel:
    """Parse as a producer must have written it: strictly."""
    if type_ in DOOR:
        return parse_hr_event(type_, body)
    return cast("type[BaseModel]", CloudEvent.__class_getitem__(INTERNAL[type_].model)).model_validate_json(body)


def validator(type_: str) -> jsonschema_rs.Validator:
    schema = json.loads((SCHEMAS / f"{type_}.json").read_text(encoding="utf-8"))
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def test_every_type_has_valid_and_invalid_examples() -> None:
    types = set(DOOR) | set(INTERNAL)
    assert {path.parent.name for path in golden.valid()} == types
    assert {path.parent.name for path in golden.invalid()} == types


@pytest.mark.parametrize("path", golden.valid(), ids=golden.name)
def test_a_valid_event_is_accepted_by_model_and_schema(path: Path) -> None:
    event = golden.read(path)
    assert event["type"] == path.parent.name
    parse(event["type"], path.read_bytes())
    validator(event["type"]).validate(event)


@pytest.mark.parametrize("path", golden.valid(), ids=golden.name)
def test_what_we_write_of_a_valid_event_is_valid_again(path: Path) -> None:
    event = golden.read(path)
    parsed = parse(event["type"], path.read_bytes())
    door = event["type"] in DOOR
    written = parsed.model_dump_json(by_alias=True, serialize_as_any=True, exclude_unset=door)
    assert parse(event["type"], written.encode()) == parsed
    validator(event["type"]).validate(json.loads(written))


@pytest.mark.parametrize("path", golden.invalid(), ids=golden.name)
def test_an_invalid_event_is_refused_where_and_why_it_says(path: Path) -> None:
    expected = golden.read_invalid(path)
    with pytest.raises(ValidationError) as refusal:
        parse(path.parent.name, orjson.dumps(expected.event))
    errors = [(list(error["loc"]), error["type"]) for error in refusal.value.errors()]
    assert (expected.location, expected.error) in errors


@pytest.mark.parametrize("path", golden.invalid(), ids=golden.name)
def test_the_schema_refuses_the_same_except_for_rules_that_only_the_model_knows(path: Path) -> None:
    expected = golden.read_invalid(path)
    accepted = validator(path.parent.name).is_valid(expected.event)
    assert accepted == (expected.refused_by == "model")


@pytest.mark.parametrize("path", golden.valid(), ids=golden.name)
def test_consumers_ignore_unknown_fields_and_producers_forbid_them(path: Path) -> None:
    event = golden.read(path)
    type_ = event["type"]
    for place in (event, event["data"]):
        place["addedLater"] = 1
        body = orjson.dumps(event)
        with pytest.raises(ValidationError):
            parse(type_, body)
        assert not validator(type_).is_valid(event)
        if type_ in INTERNAL:
            assert not hasattr(parse_event(type_, body).data, "added_later")
        del place["addedLater"]


@pytest.mark.parametrize("path", golden.valid(), ids=golden.name)
def test_the_official_sdk_reads_our_json(path: Path) -> None:
    event = golden.read(path)
    read = JSONFormat().read(JudgesEvent, path.read_bytes())
    assert (read.get_id(), read.get_source(), read.get_type()) == (event["id"], event["source"], event["type"])
    assert read.get_data() == event["data"]
    attributes = cast("Mapping[str, Any]", read.get_attributes())
    for name in ("organisation", "traceparent", "sequence"):
        if event.get(name) is not None:
            assert attributes[name] == event[name]


def test_the_official_sdk_reads_our_amqp_message() -> None:
    path = next(path for path in golden.valid() if path.parent.name in INTERNAL)
    message = RabbitMQMessage(headers={"lane": "bulk"}, content_type=CONTENT_TYPE, body=path.read_bytes())
    assert from_structured_event(message).get_id() == golden.read(path)["id"]


def test_hr_events_without_optional_attributes_are_read_by_the_sdk_as_we_write_them() -> None:
    path = next(path for path in golden.valid() if path.parent.name in DOOR)
    event = parse_hr_event(path.parent.name, path.read_bytes())
    assert JSONFormat().read(JudgesEvent, event.model_dump_json(by_alias=True, exclude_unset=True)).get_id() == event.id
