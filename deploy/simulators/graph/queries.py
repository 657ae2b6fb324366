"""`$select`, `$top`, `$count` and paging."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from deploy.simulators.graph.calls import Call, Json, Refused
from deploy.simulators.graph.clock import spoken
from deploy.simulators.graph.entries import Entry, Kind
from deploy.simulators.graph.properties import TABLES, default_of

PAGE = 100
LARGEST_PAGE = 999
_KNOWN = {"$select", "$filter", "$top", "$count", "$skiptoken", "$orderby", "$expand", "$search"}
_NOT_HERE = {"$orderby", "$search"}
_EXPANDED = re.compile(r"manager(?:\(\$select=([A-Za-z,]+)\))?")
_SEAL = b"a page token is read by nobody but the simulator"


def check(call: Call, *, expands: bool = False) -> None:
    """Refuse query options that are unknown, or that the simulator does not speak.

    Raises:
        Refused: 400; what Graph would answer to `$orderby`, `$search` and to another `$expand` than that of a user's
            manager is not simulated.
    """
    for name in call.query:
        if name.startswith("$") and (name not in _KNOWN or name in _NOT_HERE or (name == "$expand" and not expands)):
            raise Refused(400, "BadRequest", f"The query parameter '{name}' is not supported.")
    if expands and "$expand" in call.query and (call.advanced or not _EXPANDED.fullmatch(call.query["$expand"])):
        raise Refused(400, "Request_UnsupportedQuery", "The expression of $expand is not supported.")


def manager_names(call: Call) -> tuple[str, ...] | None:
    """Return which properties of a user's manager to show with the user; None: `$expand` was not asked for.

    https://learn.microsoft.com/graph/api/user-list-manager
    """
    found = _EXPANDED.fullmatch(call.query.get("$expand", ""))
    if found is None:
        return None
    return chosen(Kind.USER, replace(call, query={"$select": found[1]} if found[1] else {}))


def chosen(kind: Kind, call: Call) -> tuple[str, ...]:
    """Return the names of the properties to show."""
    table = TABLES[kind]
    asked = call.query.get("$select")
    if not asked:
        return tuple(name for name, known in table.items() if known.shown)
    names = tuple(name.strip() for name in asked.split(","))
    for name in names:
        if name not in table:
            raise Refused(
                400,
                "BadRequest",
                "Parsing OData Select and Expand failed: Could not find a property named "
                f"'{name}' on type 'microsoft.graph.{kind}'.",
            )
    return names if "id" in names else ("id", *names)


def shown(entry: Entry, names: Iterable[str], *, typed: bool = False) -> Json:
    """Return an entry as JSON; `typed` where the collection is of directory objects of any kind."""
    table = TABLES[entry.kind]
    body: Json = {"@odata.type": f"#microsoft.graph.{entry.kind}"} if typed else {}
    for name in names:
        if name == "id":
            body["id"] = entry.id
        elif name == "deletedDateTime":
            body[name] = spoken(entry.deleted) if entry.deleted else None
        elif name == "passwordProfile":
            body[name] = None
        else:
            value = entry.properties.get(name)
            body[name] = default_of(name, table[name]) if value is None else value
            if name == "onPremisesExtensionAttributes":
                body[name] = {**default_of(name, table[name]), **body[name]}
    return body


def page(call: Call, root: str, context: str, found: Iterator[tuple[int, Json]], *, count: int | None = None) -> Json:
    """Return one page of a collection with the link to the next.

    Args:
        call: What was asked.
        root: The service's address, for the links.
        context: The end of `@odata.context`.
        found: (place, item) of everything behind `after(call)`, in the order of places.
        count: How many there are in all, when that was asked for.
    """
    size = _size(call)
    items = list(islice(found, size + 1))
    body: Json = {"@odata.context": f"{root}/v1.0/$metadata#{context}"}
    if count is not None:
        body["@odata.count"] = count
    if len(items) > size:
        query = {**call.query, "$skiptoken": _token(call, items[size - 1][0])}
        body["@odata.nextLink"] = f"{root}{call.path}?{urlencode(query)}"
    body["value"] = [item for _, item in items[:size]]
    return body


def after(call: Call) -> int:
    """Return the place behind which the page begins.

    Raises:
        Refused: The token is not one of ours, or belongs to another query.
    """
    token = call.query.get("$skiptoken")
    if token is None:
        return -1
    try:
        kept = json.loads(base64.urlsafe_b64decode(token))
        place, seal = int(kept[0]), str(kept[1])
    except (ValueError, TypeError, IndexError, KeyError):
        raise _expired() from None
    if not hmac.compare_digest(seal, _sealed(call, place)):
        raise _expired()
    return place


def wants_count(call: Call) -> bool:
    """Say whether `@odata.count` is asked for; without `ConsistencyLevel: eventual` Graph ignores `$count=true`."""
    return call.advanced


def _size(call: Call) -> int:
    text = call.query.get("$top")
    if text is None:
        return PAGE
    if not text.isdigit() or not 1 <= int(text) <= LARGEST_PAGE:
        raise Refused(
            400,
            "Request_UnsupportedQuery",
            f"Invalid page size specified: '{text}'. Must be between 1 and 999 inclusive.",
        )
    return int(text)


def _token(call: Call, place: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([place, _sealed(call, place)]).encode()).decode()


def _sealed(call: Call, place: int) -> str:
    asked: list[Any] = [
        place,
        call.path,
        sorted((name, text) for name, text in call.query.items() if name != "$skiptoken"),
    ]
    return hmac.new(_SEAL, json.dumps(asked).encode(), hashlib.sha256).hexdigest()[:32]


def _expired() -> Refused:
    return Refused(
        400,
        "Directory_ExpiredPageToken",
        "The specified page token value has expired and can no longer be included in your request.",
    )
