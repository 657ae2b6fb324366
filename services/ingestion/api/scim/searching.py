"""What a search asks of the database: `eq` on ids and names, joined by `and`; all else is refused, not approximated."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from scim2_models import InvalidFilterException, InvalidPathException, NotImplementedException, SearchRequest
from scim2_models.path import Comparison, FilterNode, LogicalExpr
from scim2_models.path.expressions import CompareOperator, LogicalOperator

from services.ingestion.api.scim.resources import PAGE_LIMIT
from services.ingestion.store.scim import GROUP, USER, Sought

FIELDS = {
    USER: {"id": "id", "externalid": "external_id", "username": "user_name"},
    GROUP: {"id": "id", "externalid": "external_id", "displayname": "display_name"},
}
"""What may be sought, by its name in lower case."""
ORDERS = {USER: {"id": "id", "username": "user_name"}, GROUP: {"id": "id", "displayname": "display_name"}}
_CORE = "urn:ietf:params:scim:schemas:core:2.0:"
_FURTHEST = 2**31


def sought(kind: str, kinds: Sequence[str], request: SearchRequest[Any]) -> Sought | None:
    """Return what to look for among one kind of resource; None when nothing of that kind can fit.

    Args:
        kind: Which.
        kinds: All that the search is about: what one of them lacks fits none of it (RFC 7644 section 3.4.2.1).
        request: The search.

    Raises:
        InvalidFilterException: Something else than `eq` on what is indexed.
        InvalidPathException: An order that is not offered.
        NotImplementedException: An order over several kinds.
    """
    found: dict[str, str] = {}
    fits = True
    for comparison in _comparisons(request.filter.ast) if request.filter else ():
        names = {one: FIELDS[one].get(_attribute(one, comparison)) for one in kinds}
        name, value = names[kind], comparison.value
        if not any(names.values()) or comparison.op != CompareOperator.eq or not isinstance(value, str):
            offered = ", ".join(sorted({field for one in kinds for field in FIELDS[one]}))
            raise InvalidFilterException(detail=f"filter: only eq on {offered}, and several joined by and")
        fits = fits and name is not None and _possible(kind, name, value) and found.get(name, value) == value
        if name is not None:
            found[name] = value
    order = _order(kind, kinds, request)
    if not fits:
        return None
    return Sought(
        **found,
        order=order,
        descending=request.sort_order == SearchRequest.SortOrder.descending,
        offset=min((request.start_index or 1) - 1, _FURTHEST),
        limit=PAGE_LIMIT if request.count is None else min(request.count, PAGE_LIMIT),
    )


def _order(kind: str, kinds: Sequence[str], request: SearchRequest[Any]) -> str:
    if not request.sort_by:
        return "id"
    if len(kinds) > 1:
        raise NotImplementedException(detail="sortBy: one endpoint at a time")
    order = ORDERS[kind].get(str(request.sort_by).removeprefix(f"{_CORE}{kind}:").casefold())
    if order is None:
        raise InvalidPathException(detail=f"sortBy: one of {', '.join(ORDERS[kind])}")
    return order


def _attribute(kind: str, comparison: Comparison) -> str:
    path = comparison.attr_path
    foreign = path.uri is not None and path.uri.casefold() != f"{_CORE}{kind}".casefold()
    return "" if foreign or path.sub_attr else path.attr.casefold()


def _comparisons(node: FilterNode) -> list[Comparison]:
    if isinstance(node, Comparison):
        return [node]
    if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_:
        return [one for term in node.terms for one in _comparisons(term)]
    raise InvalidFilterException(detail="filter: only eq, and several joined by and")


def _possible(kind: str, name: str, value: str) -> bool:
    """Tell whether a value can be anyone's; PostgreSQL takes neither U+0000 nor half a surrogate pair."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        return False
    if kind != USER or name != "id":
        return True
    try:
        UUID(value)
    except ValueError:
        return False
    return True
