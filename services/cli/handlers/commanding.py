"""Commands. Each has an id made here, so that a retry of the same call cannot act twice."""

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from services.cli.ports import Api, JsonObject


def command(status: Api, type_: str, service: str, reason: str, **narrow: str | int | None) -> JsonObject:
    """Hand a command to its service and return its id."""
    body: dict[str, str | int] = {"type": type_, "service": service, "reason": reason}
    body |= {name: value for name, value in narrow.items() if value is not None}
    return {**status.post("/v1/commands", body, key=str(uuid4())), "service": service}


def decide_all(status: Api, type_: str, holds: Iterable[dict[str, Any]], reason: str) -> list[JsonObject]:
    """Decide exactly the holds that were shown: none that came since is let through unseen."""
    return [command(status, type_, hold["service"], reason, hold=hold["hold"]) for hold in holds if hold["hold"]]


def replay(status: Api, service: str, reason: str) -> JsonObject:
    """Ask every producer to tell a service everything once more."""
    return status.post("/v1/replays", {"to": service, "reason": reason})
