"""The AsyncAPI document is valid by AsyncAPI's own schema, whole, committed, and says what the tables say."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from contracts.registry import DOOR, INTERNAL, PERSON_CONFIDENTIAL
from deploy import asyncapi
from services.kernel.messaging import topology

OFFICIAL = Path(__file__).parent / "asyncapi" / "3.0.0.json"


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(asyncapi.DOCUMENT.read_text())
    return found


@pytest.fixture(scope="module")
def judge() -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(json.loads(OFFICIAL.read_text()))


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for one in node.values():
            yield from references(one)
    elif isinstance(node, list):
        for one in node:
            yield from references(one)


def resolve(root: Any, pointer: str) -> Any:
    for part in pointer.removeprefix("#/").split("/"):
        root = root[part.replace("~1", "/").replace("~0", "~")]
    return root


def test_what_is_committed_is_what_the_tables_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncapi.main(["--check"]) == 0, capsys.readouterr().out


def test_the_document_is_valid_by_asyncapis_own_schema(
    committed: dict[str, Any], judge: jsonschema_rs.Draft7Validator
) -> None:
    assert [f"{error.instance_path}: {error.message[:200]}" for error in judge.iter_errors(committed)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("#/asyncapi", "2.6.0"),
        ("#/channels/hr/servers", 3),
        ("#/operations/accounts.send.step.recorded/action", "publish"),
        ("#/channels/accounts.bulk/bindings/amqp/is", "pipe"),
        ("#/operations/accounts.send.step.recorded/bindings/amqp/deliveryMode", 7),
    ],
)
def test_the_schema_refuses_what_is_wrong(
    committed: dict[str, Any], judge: jsonschema_rs.Draft7Validator, path: str, value: object
) -> None:
    broken = copy.deepcopy(committed)
    place, _, name = path.rpartition("/")
    (resolve(broken, place) if place != "#" else broken)[name] = value
    assert not judge.is_valid(broken)


def test_every_reference_leads_somewhere(committed: dict[str, Any]) -> None:
    found = set(references(committed))
    assert len(found) > 40
    for reference in found:
        if reference.startswith("#/"):
            assert resolve(committed, reference), reference
        else:
            assert (asyncapi.DOCUMENT.parent / reference).is_file(), reference


def test_operations_use_messages_of_their_channel(committed: dict[str, Any]) -> None:
    for name, operation in committed["operations"].items():
        channel = resolve(committed, operation["channel"]["$ref"])
        for one in operation.get("messages", ()):
            assert one["$ref"].startswith(operation["channel"]["$ref"] + "/messages/"), name
            assert resolve(committed, one["$ref"]) in channel["messages"].values()


def test_every_type_topic_queue_and_right_is_told(committed: dict[str, Any]) -> None:
    assert committed["components"]["messages"].keys() == DOOR.keys() | INTERNAL.keys()
    channels, operations = committed["channels"], committed["operations"]
    bound = {
        name: {(one["exchange"], one["routingKey"]) for one in channel["x-bound-to"]}
        for name, channel in channels.items()
        if "x-bound-to" in channel
    }
    queues = {queue: set(keys) for service in topology.SERVICES for queue, keys in topology.queues(service).items()}
    assert bound == queues
    said = {name for name in operations if ".send." in name and not name.endswith(".command")}
    assert said == {f"{service}.send.{topic}" for service, topics in topology.PRODUCES.items() for topic in topics}
    carry = {name for name, channel in channels.items() if PERSON_CONFIDENTIAL in channel.get("messages", {})}
    reasons = {f"{service}.{lane}" for service in topology.CONFIDENTIAL_REASONS for lane in asyncapi.LANES}
    assert carry & queues.keys() == reasons, "no queue has it without a reason"


def test_the_page_links_every_message(committed: dict[str, Any]) -> None:
    page = asyncapi.PAGE.read_text()
    for name, message in committed["components"]["messages"].items():
        assert f'<a id="{name.replace(".", "-")}"></a>`{name}`' in page
        assert message["payload"]["$ref"] in page
        assert (asyncapi.PAGE.parent / "examples" / name).is_dir()
