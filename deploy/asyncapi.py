"""The AsyncAPI 3.0 document of what the services say: `python -m deploy.asyncapi` writes it, `--check` compares.

Generated from the registry of messages and the topology of the broker, which do not know each other; so it is neither's
module. The page beside it is generated from the document, for people.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.envelope import BATCH_CONTENT_TYPE, CONTENT_TYPE
from contracts.generate import FOLDER
from contracts.registry import DOOR, INTERNAL
from services.kernel.messaging import topology

DOCUMENT = FOLDER / "asyncapi.json"
PAGE = FOLDER / "ASYNCAPI.md"
LANES = ("express", "bulk")
BINDING = "0.3.0"

Node = dict[str, Any]


def document() -> Node:
    """Return the document; the same tables always give the same one."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Stafett",
            "version": "1",
            "description": "What an HR system may say to Stafett, and what its services say to each other. Events carry"
            " the whole state and a revision; duplicates and any order are harmless, none is promised.",
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "broker": {
                "host": "rabbitmq.example.org:5672",
                "pathname": f"/{topology.VHOST}",
                "protocol": "amqp",
                "protocolVersion": "0.9.1",
                "description": "RabbitMQ, one user for each service; rights by exchange, queue and topic.",
            },
            "door": {
                "host": "stafett.example.org",
                "protocol": "https",
                "description": "The HTTP API of ingestion, for HR systems; bearer tokens.",
            },
        },
        "channels": {**_door(), **_topics(), **_commands(), **_queues()},
        "operations": {**_hearing_hr(), **_sending(), **_receiving()},
        "components": {"messages": {name: _message(name) for name in (*DOOR, *INTERNAL)}},
    }


def _message(name: str) -> Node:
    door = name in DOOR
    model = DOOR[name] if door else INTERNAL[name].model
    said: Node = {
        "name": name,
        "title": name.removeprefix("se.stafett."),
        "summary": (model.__doc__ or "").strip().partition("\n")[0],
        "contentType": CONTENT_TYPE,
        "payload": {"$ref": f"./schemas/{name}.json"},
    }
    if door:
        return said
    return said | {
        "headers": {
            "type": "object",
            "required": ["organisation", "lane"],
            "properties": {
                "organisation": {"type": "string", "description": "The authority that controls the data."},
                "lane": {"type": "string", "enum": list(LANES)},
                "traceparent": {"type": "string", "description": "W3C Trace Context: the span of the publication."},
            },
        },
        "correlationId": {"location": "$message.header#/traceparent"},
        "bindings": {"amqp": {"messageType": name, "bindingVersion": BINDING}},
    }


def _refs(types: Sequence[str]) -> Node:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in types}


def _of_topic(topic: str) -> list[str]:
    return [name for name, row in INTERNAL.items() if row.topic == topic]


def _channel(address: str, types: Sequence[str], description: str, binding: Node, **more: Any) -> Node:
    return {
        "address": address,
        "description": description,
        "servers": [{"$ref": "#/servers/broker"}],
        **({"messages": _refs(types)} if types else {}),
        **more,
        "bindings": {"amqp": {**binding, "bindingVersion": BINDING}},
    }


def _exchange(name: str) -> Node:
    exchange = {"name": name, "type": "topic", "durable": True, "autoDelete": False, "vhost": topology.VHOST}
    return {"is": "routingKey", "exchange": exchange}


def _door() -> Node:
    return {
        "hr": {
            "address": "/v1/events",
            "description": f"One event ({CONTENT_TYPE}), or up to 1,000 ({BATCH_CONTENT_TYPE}).",
            "servers": [{"$ref": "#/servers/door"}],
            "messages": _refs(list(DOOR)),
        }
    }


def _topics() -> Node:
    found: Node = {}
    for topic in sorted({row.topic for row in INTERNAL.values()} - {"command"}):
        types = _of_topic(topic)
        heard = sorted(service for service, topics in topology.SUBSCRIPTIONS.items() if topic in topics)
        heard_by = f"Heard by {', '.join(heard)}." if heard else "Not published while nobody subscribes."
        found[topic] = _channel(
            f"{{lane}}.{topic}",
            types,
            heard_by,
            _exchange(topology.EVENTS),
            parameters={"lane": {"enum": list(LANES), "description": "What is urgent overtakes what is not."}},
        )
        if heard:
            found[f"replay.{topic}"] = _channel(
                f"replay.{{consumer}}.{topic}",
                types,
                "Said once more, under the same ids, to one consumer that asked for it.",
                _exchange(topology.EVENTS),
                parameters={"consumer": {"enum": heard}},
            )
    return found


def _commands() -> Node:
    return {
        "command": _channel(
            "command.{service}",
            _of_topic("command"),
            "What people have a service do; the owning service decides, and answers by a step.",
            _exchange(topology.COMMANDS),
            parameters={"service": {"enum": list(topology.COMMANDED)}},
        )
    }


def _queues() -> Node:
    found: Node = {}
    for service in topology.SERVICES:
        for queue, bound in topology.queues(service).items():
            found[queue] = _channel(
                queue,
                _in_queue(service, queue),
                _about(queue, bound),
                {"is": "queue", "queue": _queue(queue)},
                **{"x-queue-type": topology.QUEUE_ARGUMENTS["x-queue-type"]},
                **{"x-bound-to": [{"exchange": exchange, "routingKey": key} for exchange, key in bound]},
            )
    found[topology.UNROUTED] = _channel(
        topology.UNROUTED,
        (),
        "What no queue wanted, by the alternate exchange; kept as dead letters by status.",
        {"is": "queue", "queue": _queue(topology.UNROUTED)},
    )
    return found


def _queue(name: str) -> Node:
    return {"name": name, "durable": True, "exclusive": False, "autoDelete": False, "vhost": topology.VHOST}


def _in_queue(service: str, queue: str) -> list[str]:
    if queue.endswith(".commands"):
        return _of_topic("command")
    if queue.endswith(".dead"):
        return []
    return [name for topic in sorted(topology.SUBSCRIPTIONS[service]) for name in _of_topic(topic)]


def _about(queue: str, bound: Sequence[tuple[str, str]]) -> str:
    if queue.endswith(".dead"):
        return "What the broker dead-lettered, as it was; the last resort."
    return f"Bound to {', '.join(key for _, key in bound)}."


def _operation(action: str, channel: str, types: Sequence[str], summary: str, binding: Node) -> Node:
    place = channel.replace("~", "~0").replace("/", "~1")
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{place}"},
        "summary": summary,
        **({"messages": [{"$ref": f"#/channels/{place}/messages/{name}"} for name in types]} if types else {}),
        "bindings": binding,
    }


def _hearing_hr() -> Node:
    http = {"http": {"method": "POST", "bindingVersion": BINDING}}
    return {"ingestion.receive.hr": _operation("receive", "hr", list(DOOR), "Takes in what HR records.", http)}


def _sending() -> Node:
    sent = {"amqp": {"deliveryMode": 2, "mandatory": True, "timestamp": True, "bindingVersion": BINDING}}
    found: Node = {}
    for service in topology.SERVICES:
        for topic in sorted(topology.PRODUCES.get(service, ())):
            found[f"{service}.send.{topic}"] = _operation(
                "send", topic, _of_topic(topic), f"{service} says {topic}.", sent
            )
    commander = f"{topology.COMMANDER}.send.command"
    found[commander] = _operation("send", "command", _of_topic("command"), "Gives commands, on behalf of people.", sent)
    return found


def _receiving() -> Node:
    taken = {"amqp": {"ack": True, "bindingVersion": BINDING}}
    unrouted = _operation("receive", topology.UNROUTED, (), "Keeps what nobody wanted, as dead letters.", taken)
    return {
        f"{service}.receive.{queue.rpartition('.')[2]}": _operation(
            "receive", queue, _in_queue(service, queue), f"{service} takes in {queue}.", taken
        )
        for service in topology.SERVICES
        for queue in topology.queues(service)
    } | {f"{topology.COMMANDER}.receive.unrouted": unrouted}


def page(said: Mapping[str, Any]) -> str:
    """Return the document as a page for people."""
    lines = [
        "# Messages of Stafett",
        "",
        "Generated from `asyncapi.json` (AsyncAPI 3.0) by `python -m deploy.asyncapi`.",
    ]
    lines += [
        "",
        said["info"]["description"],
        "",
        "## Servers",
        "",
        "| name | address | protocol | |",
        "|---|---|---|---|",
    ]
    for name, server in said["servers"].items():
        where = f"{server['host']}{server.get('pathname', '')}"
        lines.append(f"| {name} | `{where}` | {server['protocol']} | {server['description']} |")
    for action, title in (("send", "says"), ("receive", "takes in")):
        lines += ["", f"## Who {title} what", "", "| operation | address | messages |", "|---|---|---|"]
        for name, operation in said["operations"].items():
            if operation["action"] == action:
                channel = said["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
                types = ", ".join(_link(one["$ref"].rpartition("/")[2]) for one in operation.get("messages", ()))
                lines.append(f"| {name} | `{channel['address']}` | {types or 'anything, as it was'} |")
    lines += ["", "## Channels", "", "| address | kind | |", "|---|---|---|"]
    for channel in said["channels"].values():
        binding = channel.get("bindings", {}).get("amqp")
        kind = "HTTP" if binding is None else "queue" if binding["is"] == "queue" else binding["exchange"]["name"]
        lines.append(f"| `{channel['address']}` | {kind} | {channel['description']} |")
    lines += ["", "## Messages", "", "| type | what it says | schema | examples |", "|---|---|---|---|"]
    for name, message in said["components"]["messages"].items():
        schema = message["payload"]["$ref"]
        lines.append(
            f'| <a id="{_anchor(name)}"></a>`{name}` | {message["summary"]} | [schema]({schema})'
            f" | [examples](examples/{name}) |"
        )
    return "\n".join(lines) + "\n"


def _anchor(name: str) -> str:
    return name.replace(".", "-")


def _link(name: str) -> str:
    return f"[{name.removeprefix('se.stafett.')}](#{_anchor(name)})"


def files() -> dict[Path, str]:
    """Return what is generated, with its text."""
    said = document()
    return {DOCUMENT: json.dumps(said, indent=2, ensure_ascii=False) + "\n", PAGE: page(said)}


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with `--check` only tell what differs; exit code 1 when something does."""
    parser = argparse.ArgumentParser(prog="python -m deploy.asyncapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when something differs")
    different = [path for path, text in files().items() if not path.exists() or path.read_text("utf-8") != text]
    if parser.parse_args(arguments).check:
        for path in different:
            sys.stdout.write(f"contracts: {path.name} is not what the tables say; run make contracts\n")
        return 1 if different else 0
    for path in different:
        path.write_text(files()[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
