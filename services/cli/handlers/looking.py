"""Looking: people, cases, holds, explanations, and following until done."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from services.cli.domain.failures import ApiProblem
from services.cli.ports import Api, JsonObject

CLOSED = frozenset({"done", "cancelled"})


class NobodyFound(Exception):
    """No person matches."""


class SeveralFound(Exception):
    """More than one person matches; `page` holds them."""

    def __init__(self, page: JsonObject) -> None:
        super().__init__("several")
        self.page = page


def as_uuid(text: str) -> UUID | None:
    """Return the id that `text` is, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None


def person_id(status: Api, who: str) -> UUID:
    """Return the person that an id or a search names.

    Raises:
        NobodyFound: The search finds nobody.
        SeveralFound: The search finds more than one.
    """
    given = as_uuid(who)
    if given is not None:
        return given
    page = status.get("/v1/persons", q=who, limit=50)
    if not page["items"]:
        raise NobodyFound(who)
    if len(page["items"]) > 1:
        raise SeveralFound(page)
    return UUID(page["items"][0]["id"])


def cases_of(status: Api, what: str) -> list[str]:
    """Return the ids of the case, or of the person's open cases; without any, of the last one."""
    given = as_uuid(what)
    if given is not None:
        try:
            return [status.get(f"/v1/cases/{given}")["id"]]
        except ApiProblem as problem:
            if problem.status != 404:
                raise
    person = status.get(f"/v1/persons/{person_id(status, what)}")
    if person["cases"]:
        return [case["id"] for case in person["cases"]]
    return [case["id"] for case in status.get("/v1/cases", person=person["id"], limit=1)["items"]]


def follow(
    status: Api, ids: list[str], pause: Callable[[float], None], *, interval: float, timeout: float | None
) -> Iterator[list[JsonObject]]:
    """Yield the cases at every look, until all are closed.

    Raises:
        TimeoutError: They were not within `timeout` seconds.
    """
    end = None if timeout is None else time.monotonic() + timeout
    known: dict[str, JsonObject] = {}
    while True:
        for one in ids:
            if known.get(one, {}).get("state") not in CLOSED:
                known[one] = status.get(f"/v1/cases/{one}")
        yield [known[one] for one in ids]
        if all(case["state"] in CLOSED for case in known.values()):
            return
        if end is not None and time.monotonic() >= end:
            raise TimeoutError
        pause(interval)


def all_holds(status: Api) -> list[dict[str, Any]]:
    """Return everything the guard holds, page by page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = status.get("/v1/holds", limit=200, cursor=cursor)
        found += page["items"]
        cursor = page["cursor"]
        if cursor is None:
            return found


def explanation(status: Api, ingestion: Api, who: str) -> JsonObject:
    """Return a person with the facts of HR behind the record; without them, why they cannot be had."""
    person = person_id(status, who)
    found: JsonObject = {"person": status.get(f"/v1/persons/{person}"), "facts": None, "factsProblem": None}
    try:
        found["facts"] = list(_facts(ingestion, f"/v1/persons/{person}/facts"))
    except ApiProblem as problem:
        found["factsProblem"] = problem.title
    return found


def _facts(ingestion: Api, path: str | None) -> Iterator[dict[str, Any]]:
    while path is not None:
        page = ingestion.get(path)
        yield from page["facts"]
        path = page.get("next")
