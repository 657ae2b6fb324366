"""One request and one answer, whether they came by HTTP or as an item of a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        path: Decoded, from the root: `/v1.0/users`.
        query: Decoded parameters; of one that is given twice, the last.
        headers: By lower-case name.
        body: What was sent, parsed; None when nothing was.
        batched: Whether it is an item of a batch.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    batched: bool = False

    @property
    def advanced(self) -> bool:
        """Say whether advanced queries are asked for: `ConsistencyLevel: eventual` and `$count=true`.

        https://learn.microsoft.com/graph/aad-advanced-queries
        """
        return self.eventual and self.query.get("$count", "").lower() == "true"

    @property
    def eventual(self) -> bool:
        """Say whether the caller put up with the eventually consistent store."""
        return self.headers.get("consistencylevel", "").lower() == "eventual"


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        body: JSON, or text for `$count`; None for no content.
        hang: Seconds to keep the caller waiting before the answer goes out.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: float = 0.0


class Refused(Exception):
    """Graph's own refusal: `error.code`, `error.message`, and `error.details` where it has them."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: tuple[Json, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = dict(headers or {})


def bad_request(message: str, *, target: str | None = None, reason: str = "InvalidValue") -> Refused:
    """Return 400 `Request_BadRequest`, with the property it is about."""
    details = ({"code": reason, "message": message, "target": target},) if target else ()
    return Refused(400, "Request_BadRequest", message, details=details)


def not_found(identifier: str) -> Refused:
    """Return 404 `Request_ResourceNotFound`."""
    return Refused(
        404,
        "Request_ResourceNotFound",
        f"Resource '{identifier}' does not exist or one of its queried reference-property objects are not present.",
    )


def conflict(name: str) -> Refused:
    """Return what Graph says when another object has the value already."""
    message = f"Another object with the same value for property {name} already exists."
    return bad_request(message, target=name, reason="ObjectConflict")
