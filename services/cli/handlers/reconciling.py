"""Targets, drift and take-over, asked of accounts."""

from collections.abc import Iterator, Sequence
from typing import Any

from services.cli.domain.failures import ApiProblem
from services.cli.ports import Api, JsonObject


def targets(accounts: Api) -> list[JsonObject]:
    """Return the organisation's targets."""
    found: list[JsonObject] = accounts.get("/v1/targets")["items"]
    return found


def concerned(accounts: Api, target: str, units: Sequence[str]) -> int:
    """Return how many people would be written if units went live."""
    people: int = accounts.post(f"/v1/targets/{target}/live/plan", {"units": list(units)})["people"]
    return people


def go_live(accounts: Api, target: str, units: Sequence[str], reason: str, people: int) -> JsonObject:
    """Let the people of units be written in a target, if they are as many as was said."""
    return accounts.post(f"/v1/targets/{target}/live", {"units": list(units), "reason": reason, "matches": people})


def compare(accounts: Api, target: str) -> JsonObject:
    """Ask for a run."""
    return accounts.post(f"/v1/drift/{target}/runs", {})


def standing(accounts: Api, target: str) -> JsonObject:
    """Return what is open, by kind, and of when that is."""
    return accounts.get(f"/v1/drift/{target}")


def findings(accounts: Api, target: str, **query: Any) -> Iterator[JsonObject]:
    """Yield open findings, page by page."""
    after: dict[str, str] = {}
    while True:
        page = accounts.get(f"/v1/drift/{target}/findings", limit=200, **query, **after)
        yield from page["items"]
        if page["next"] is None:
            return
        after = {"after": page["next"]}


def decide(accounts: Api, finding: str, decision: str, reason: str) -> JsonObject:
    """Decide one finding."""
    return accounts.post(f"/v1/drift/findings/{finding}/decide", {"decision": decision, "reason": reason})


def matching(accounts: Api, path: str, body: JsonObject) -> int:
    """Return how many something would concern: the API says it when the number is missing, and does nothing."""
    try:
        accounts.post(path, body)
    except ApiProblem as problem:
        if problem.matches is None:
            raise
        return problem.matches
    return 0


def rows(accounts: Api, target: str, certainty: str) -> Iterator[JsonObject]:
    """Yield a plan's accounts, page by page."""
    after: dict[str, str] = {}
    while True:
        page = accounts.get(f"/v1/takeover/{target}/rows", certainty=certainty, limit=200, **after)
        yield from page["items"]
        if page["next"] is None:
            return
        after = {"after": page["next"]}
