"""What a handler is given: the tenant, the call, and where to note what it changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from deploy.simulators.graph import filters, queries
from deploy.simulators.graph.bodies import as_object
from deploy.simulators.graph.calls import Answer, Call, Json, Refused, bad_request, not_found
from deploy.simulators.graph.entries import Entry, Kind
from deploy.simulators.graph.properties import TABLES
from deploy.simulators.graph.tenants import Tenant

GRAPH = "https://graph.microsoft.com"


@dataclass(frozen=True)
class Operation:
    """One call to one tenant's directory.

    Attributes:
        root: The service's own address.
        parts: The parameters of the path.
        roles: The application permissions of the token.
        changes: `user.created:<id>` and the like, for the log.
    """

    tenant: Tenant
    call: Call
    root: str
    parts: Mapping[str, str]
    roles: frozenset[str]
    new_id: Callable[[], str]
    changes: list[str] = field(default_factory=list)

    @property
    def as_of(self) -> datetime:
        """As of when this call sees the directory: reads may lag, writes go to the primary."""
        return self.tenant.replicated() if self.call.method == "GET" else self.tenant.now()

    def entry(self, kind: Kind, part: str = "id", *, deleted: bool = False) -> Entry:
        """Return the entry that the path names.

        Raises:
            Refused: 404.
        """
        key = self.parts[part]
        entry = self.tenant.find(kind, key, self.as_of, deleted=deleted)
        if entry is None:
            raise not_found(key)
        return entry

    def store(self, entry: Entry, what: str) -> None:
        """Store a new version and note the change."""
        self.tenant.shelf.put(entry)
        self.changes.append(f"{entry.kind}.{what}:{entry.id}")

    def listed(self, kind: Kind, *, deleted: bool = False, context: str) -> Answer:
        """Answer with a page of all entries of a kind."""
        return self.collected(kind, self._found(kind, deleted=deleted), context)

    def collected(
        self, kind: Kind, found: Callable[[filters.Filter | None, int], Iterator[tuple[int, Entry]]], context: str
    ) -> Answer:
        """Answer with a page of what `found` yields behind a place and under a filter."""
        queries.check(self.call, expands=kind is Kind.USER)
        names = queries.chosen(kind, self.call)
        condition = filters.parse(kind, self.call)
        items = ((place, self._body(one, names)) for place, one in found(condition, queries.after(self.call)))
        count = sum(1 for _ in found(condition, -1)) if queries.wants_count(self.call) else None
        return Answer(200, queries.page(self.call, self.root, context, items, count=count))

    def counted(self, kind: Kind) -> Answer:
        """Answer `/$count`, which needs `ConsistencyLevel: eventual`."""
        if not self.call.eventual:
            raise bad_request("$count is not currently supported.")
        asked = replace(self.call, query={**self.call.query, "$count": "true"})
        return Answer(200, str(sum(1 for _ in self._found(kind)(filters.parse(kind, asked), -1))))

    def related(self, entries: Iterable[Entry], cast: str | None, context: str) -> Answer:
        """Answer with directory objects of several kinds; a cast or a filter needs an advanced query."""
        queries.check(self.call)
        kind = None if cast is None else _cast(cast)
        if (kind is not None or "$filter" in self.call.query) and not self.call.advanced:
            raise Refused(
                400,
                "Request_UnsupportedQuery",
                "The query needs the request header 'ConsistencyLevel: eventual' and $count=true.",
            )
        condition = filters.parse(kind, self.call) if kind is not None else None
        if kind is None and "$filter" in self.call.query:
            raise Refused(400, "Request_UnsupportedQuery", "A filter on directoryObject needs an OData cast.")
        wanted = [
            entry for entry in entries if kind in (None, entry.kind) and (condition is None or condition.matches(entry))
        ]
        start = queries.after(self.call) + 1
        items = (
            (place, queries.shown(entry, self._names(entry.kind, cast), typed=True))
            for place, entry in enumerate(wanted[start:], start)
        )
        count = len(wanted) if queries.wants_count(self.call) else None
        return Answer(200, queries.page(self.call, self.root, context, items, count=count))

    def shown(self, entry: Entry, context: str, *, status: int = 200) -> Answer:
        """Answer with one entry."""
        queries.check(self.call, expands=entry.kind is Kind.USER)
        body = self._body(entry, queries.chosen(entry.kind, self.call))
        return Answer(status, {"@odata.context": f"{self.root}/v1.0/$metadata#{context}/$entity", **body})

    def referred(self, *, sent: Any = None, kinds: tuple[Kind, ...] = (Kind.USER, Kind.GROUP)) -> Entry:
        """Return the entry that a reference names: the body's `@odata.id`, or what was sent.

        Raises:
            Refused: It is not a reference (400), or to nothing (404).
        """
        link = as_object(self.call.body).get("@odata.id") if sent is None else sent
        if not isinstance(link, str):
            raise bad_request("The body of a reference needs '@odata.id'.")
        parts = urlsplit(link)
        segments = parts.path.strip("/").split("/")
        home = f"{parts.scheme}://{parts.netloc}"
        if (
            home not in (GRAPH, self.root)
            or len(segments) != 3
            or segments[1] not in {"users", "groups", "directoryObjects"}
        ):
            raise bad_request("Invalid URL format specified in @odata.id.")
        found = (self.tenant.find(kind, segments[2], self.tenant.now()) for kind in kinds)
        entry = next((one for one in found if one is not None), None)
        if entry is None:
            raise not_found(segments[2])
        return entry

    def _body(self, entry: Entry, names: Iterable[str]) -> Json:
        """Return an entry as JSON, with its manager where that was asked for and there is one."""
        body, manager_names = queries.shown(entry, names), queries.manager_names(self.call)
        if manager_names is None or entry.manager is None:
            return body
        manager = self.tenant.find(Kind.USER, entry.manager, self.as_of)
        return body if manager is None else {**body, "manager": queries.shown(manager, manager_names, typed=True)}

    def _names(self, kind: Kind, cast: str | None) -> tuple[str, ...]:
        asked = self.call.query.get("$select")
        if cast is not None or not asked:
            return queries.chosen(kind, self.call)
        # of a mixed collection each object shows what its type has
        known = TABLES[kind]
        return ("id", *(name for name in asked.split(",") if name in known and name != "id"))

    def _found(
        self, kind: Kind, *, deleted: bool = False
    ) -> Callable[[filters.Filter | None, int], Iterator[tuple[int, Entry]]]:
        def found(condition: filters.Filter | None, after: int) -> Iterator[tuple[int, Entry]]:
            shelf, as_of = self.tenant.shelf, self.as_of
            entries: Iterable[tuple[int, Entry]]
            if condition is not None and condition.key is not None:
                entries = ((place, one) for place, one in shelf.having(kind, *condition.key, as_of) if place > after)
            else:
                entries = shelf.entries(kind, as_of, after=after)
            for place, entry in entries:
                if (entry.deleted is not None) is deleted and (condition is None or condition.matches(entry)):
                    yield place, entry

        return found


def no_content() -> Answer:
    """Answer 204."""
    return Answer(204)


def _cast(name: str) -> Kind:
    try:
        return Kind(name.removeprefix("microsoft.graph."))
    except ValueError:
        raise Refused(400, "BadRequest", f"The type '{name}' is not known here.") from None


def metadata(root: str, end: str, value: Any) -> Json:
    """Return an action's simple result."""
    return {"@odata.context": f"{root}/v1.0/$metadata#{end}", "value": value}
