"""The topology as one table: who consumes which topics. Everything the broker knows is generated from it.

Quorum queues, one per service and lane, plus commands and dead letters. Virtual host, users, permissions, policies,
exchanges and the queue of unrouted messages are definitions that the broker loads when it boots; each service declares
its own queues. Runs unchanged on RabbitMQ 3.10 and 4.x: arguments that cannot change stand in code, limits in policies.
"""

import base64
import hashlib
import os
from collections.abc import Mapping
from types import MappingProxyType

VHOST = "stafett"
EVENTS = "stafett.events"
COMMANDS = "stafett.commands"
DEAD = "stafett.dead"
UNROUTED_EXCHANGE = "stafett.unrouted"
UNROUTED = "stafett.unrouted"
QUEUE_ARGUMENTS: Mapping[str, str] = MappingProxyType({"x-queue-type": "quorum"})

SUBSCRIPTIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "accounts": frozenset({"person.core", "unit.changed"}),
        "orgtree": frozenset({"person.core", "unit.recorded", "account.changed"}),
        "status": frozenset(
            {
                "person.core",
                "unit.recorded",
                "account.changed",
                "placement.changed",
                "service.evaluated",
                "step.recorded",
                "audit.recorded",
            }
        ),
    }
)
"""Topics per consuming service."""

CONSUMED = frozenset[str]().union(*SUBSCRIPTIONS.values())
"""Topics that somebody consumes."""

CONFIDENTIAL_REASONS: Mapping[str, str] = MappingProxyType({})
"""Why a service may bind `person.confidential`; a binding without a reason here is refused."""

PRODUCES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "ingestion": frozenset({"person.core", "person.confidential", "unit.recorded", "audit.recorded"}),
        "accounts": frozenset({"account.changed", "service.evaluated", "step.recorded", "audit.recorded"}),
        "orgtree": frozenset(
            {"unit.changed", "placement.changed", "service.evaluated", "step.recorded", "audit.recorded"}
        ),
        "status": frozenset({"audit.recorded"}),
    }
)
"""Topics per producing service."""

COMMANDED = ("ingestion", "accounts", "orgtree", "status")
"""Services that take commands."""

COMMANDER = "status"
"""The service that gives commands, on behalf of people."""

SERVICES = ("ingestion", "accounts", "orgtree", "status")


def queues(service: str) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Return the service's queues, each with its (exchange, routing key) bindings."""
    topics = sorted(SUBSCRIPTIONS.get(service, ()))
    if "person.confidential" in topics and service not in CONFIDENTIAL_REASONS:
        raise ValueError(f"{service} binds person.confidential without a reason")
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    if topics:
        found[f"{service}.express"] = tuple((EVENTS, f"express.{topic}") for topic in topics)
        found[f"{service}.bulk"] = tuple((EVENTS, f"bulk.{topic}") for topic in topics) + tuple(
            (EVENTS, f"replay.{service}.{topic}") for topic in topics
        )
    if service in COMMANDED:
        found[f"{service}.commands"] = ((COMMANDS, f"command.{service}"),)
    found[f"{service}.dead"] = ((DEAD, service),)
    return MappingProxyType(found)


def awaited(producer: str) -> frozenset[str]:
    """Return the queues that must stand before `producer` may publish, so that no consumer misses anything."""
    waiting = {
        f"{service}.{lane}"
        for service, topics in SUBSCRIPTIONS.items()
        if topics & PRODUCES.get(producer, frozenset())
        for lane in ("express", "bulk")
    }
    if producer == COMMANDER:
        waiting |= {f"{service}.commands" for service in COMMANDED}
    return frozenset(waiting)


def producers_for(consumer: str) -> tuple[str, ...]:
    """Return the services whose state, or commands, `consumer` needs after the loss of a queue."""
    topics = SUBSCRIPTIONS.get(consumer, frozenset())
    return tuple(sorted({producer for producer, made in PRODUCES.items() if made & topics} | {COMMANDER}))


def exchange_for(routing_key: str) -> str:
    """Return the exchange that a routing key belongs to."""
    return COMMANDS if routing_key.startswith("command.") else EVENTS


def _password_hash(password: str) -> str:
    """Hash as RabbitMQ's rabbit_password_hashing_sha256: base64(salt + sha256(salt + password)), 4 bytes of salt."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def definitions(passwords: Mapping[str, str], *, broker_major: int) -> dict[str, object]:
    """Return the broker's definitions file (https://www.rabbitmq.com/docs/definitions).

    Args:
        passwords: One broker user per service, by name.
        broker_major: From 4 on quorum queues count deliveries up to 20 by default; we lift that limit.
    """
    own = r"^{0}\.(express|bulk|commands|dead)$"
    exchanges = r"stafett\.(events|commands|dead)"
    limit = {"delivery-limit": -1} if broker_major >= 4 else {}
    return {
        "vhosts": [{"name": VHOST}],
        "users": [
            {
                "name": service,
                "password_hash": _password_hash(password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [],
            }
            for service, password in passwords.items()
        ],
        "permissions": [
            {
                "user": service,
                "vhost": VHOST,
                "configure": own.format(service),
                "write": rf"^({exchanges}|{service}\.(express|bulk|commands|dead))$",
                "read": rf"^({exchanges}|{service}\.(express|bulk|commands|dead)"
                + (r"|stafett\.unrouted" if service == "status" else "")
                + ")$",
            }
            for service in passwords
        ],
        "topic_permissions": [permission for service in passwords for permission in _topic_permissions(service)],
        "policies": [
            {
                "vhost": VHOST,
                "name": f"{service}-dead-letters",
                "pattern": rf"^{service}\.(express|bulk|commands)$",
                "apply-to": "queues",
                "priority": 10,
                "definition": {
                    "dead-letter-exchange": DEAD,
                    "dead-letter-routing-key": service,
                    "dead-letter-strategy": "at-least-once",
                    "overflow": "reject-publish",
                    **limit,
                },
            }
            for service in passwords
        ]
        # Else the last queues would drop a letter after 20 deliveries, and there is none behind them.
        + ([_last_resort()] if limit else []),
        "exchanges": [
            _exchange(EVENTS, "topic", {"alternate-exchange": UNROUTED_EXCHANGE}),
            _exchange(COMMANDS, "topic", {"alternate-exchange": UNROUTED_EXCHANGE}),
            _exchange(DEAD, "direct", {}),
            _exchange(UNROUTED_EXCHANGE, "fanout", {}),
        ],
        "queues": [
            {
                "name": UNROUTED,
                "vhost": VHOST,
                "durable": True,
                "auto_delete": False,
                "arguments": dict(QUEUE_ARGUMENTS),
            }
        ],
        "bindings": [
            {
                "source": UNROUTED_EXCHANGE,
                "vhost": VHOST,
                "destination": UNROUTED,
                "destination_type": "queue",
                "routing_key": "",
                "arguments": {},
            }
        ],
    }


def _last_resort() -> dict[str, object]:
    return {
        "vhost": VHOST,
        "name": "last-resort",
        "pattern": r"^(stafett\.unrouted|[a-z_]+\.dead)$",
        "apply-to": "queues",
        "priority": 10,
        "definition": {"delivery-limit": -1},
    }


def _topic_permissions(service: str) -> list[dict[str, str]]:
    """A service says its own topics and hears those it subscribes to; only the commander gives commands."""
    says = "|".join(sorted(topic.replace(".", r"\.") for topic in PRODUCES.get(service, ())))
    hears = "|".join(sorted(topic.replace(".", r"\.") for topic in SUBSCRIPTIONS.get(service, ())))
    commands = r"^command\." if service == COMMANDER else "^$"
    return [
        {
            "user": service,
            "vhost": VHOST,
            "exchange": EVENTS,
            "write": rf"^(express|bulk|replay\.[a-z_]+)\.({says})$" if says else "^$",
            "read": rf"^(express|bulk|replay\.{service})\.({hears})$" if hears else "^$",
        },
        {
            "user": service,
            "vhost": VHOST,
            "exchange": COMMANDS,
            "write": commands,
            "read": rf"^command\.{service}$",
        },
    ]


def _exchange(name: str, kind: str, arguments: Mapping[str, str]) -> dict[str, object]:
    return {
        "name": name,
        "vhost": VHOST,
        "type": kind,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": dict(arguments),
    }
