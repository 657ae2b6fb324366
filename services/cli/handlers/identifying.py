"""Who is who, asked of the ledger."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from services.cli.ports import Api, JsonObject

CASES = "/v1/identity/cases"


class NoPair(Exception):
    """What should be SOURCE=EXTERNAL is not."""


def listed(ingestion: Api, *, everything: bool) -> list[JsonObject]:
    """Return the cases that wait, or all, oldest first and page by page."""
    query: dict[str, str] = {"state": "all" if everything else "open"}
    found: list[JsonObject] = []
    while True:
        page = ingestion.get(CASES, **query)
        found += page["items"]
        if page["next"] is None:
            return found
        query = dict(parse_qsl(urlsplit(page["next"]).query))


def case(ingestion: Api, case_id: str) -> JsonObject:
    """Return one case with both people."""
    return ingestion.get(f"{CASES}/{case_id}")


def decide(ingestion: Api, case_id: str, decision: str, reason: str, keep: str | None = None) -> JsonObject:
    """Answer a case; one that is decided is a problem, so sending it twice decides once."""
    body = {"decision": decision, "reason": reason, **({"keep": keep} if keep else {})}
    return ingestion.post(f"{CASES}/{case_id}/decision", body)


def merge(ingestion: Api, kept: str, absorbed: str, reason: str) -> JsonObject:
    """Let two records be one person's."""
    return ingestion.post(f"/v1/persons/{kept}/merge", {"absorb": absorbed, "reason": reason})


def split(ingestion: Api, person: str, ids: Sequence[dict[str, str]], reason: str) -> JsonObject:
    """Let ids of sources be another person's."""
    return ingestion.post(f"/v1/persons/{person}/split", {"ids": list(ids), "reason": reason})


def retire(ingestion: Api, alias: str, reason: str) -> JsonObject:
    """Wind up what hangs on an alias."""
    return ingestion.post(f"/v1/persons/{alias}/retire", {"reason": reason})


def pairs(given: Sequence[str]) -> list[dict[str, Any]]:
    """Read SOURCE=EXTERNAL; the first sign divides, so an id may hold one.

    Raises:
        NoPair: One of them has no source or no id.
    """
    found = []
    for one in given:
        source, _, external_id = one.partition("=")
        if not source or not external_id:
            raise NoPair(one)
        found.append({"source": source, "externalId": external_id})
    return found
