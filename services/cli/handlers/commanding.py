"""Commands. Each has an id made here, so that a retry of the same call cannot act twice."""

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import uuid4

from services.cli.domain.failures import ApiProblem
from services.cli.ports import Api, JsonObject

MEANWHILE = frozenset({"command.nothing_to_do", "command.under_way"})
"""Somebody else has decided it, or is about to."""


def command(status: Api, type_: str, service: str, reason: str, **narrow: str | int | None) -> JsonObject:
    """Hand a command to its service and return its id."""
    body: dict[str, str | int] = {"type": type_, "service": service, "reason": reason}
    body |= {name: value for name, value in narrow.items() if value is not None}
    return {**status.post("/v1/commands", body, key=str(uuid4())), "service": service}


def decide_all(
    status: Api, type_: str, holds: Iterable[dict[str, Any]], reason: str
) -> Iterator[tuple[str, JsonObject | None]]:
    """Decide exactly the holds that were shown: none that came since is let through unseen.

    Yields:
        Each hold with the command that was given, or None when it was decided meanwhile, which stops none of the rest.
    """
    for hold in holds:
        if not hold["hold"]:
            continue
        try:
            yield hold["hold"], command(status, type_, hold["service"], reason, hold=hold["hold"])
        except ApiProblem as problem:
            if problem.code not in MEANWHILE:
                raise
            yield hold["hold"], None


def replay(status: Api, service: str, reason: str) -> JsonObject:
    """Ask every producer to tell a service everything once more."""
    return status.post("/v1/replays", {"to": service, "reason": reason})
