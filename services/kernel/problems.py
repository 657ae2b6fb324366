"""Problem details for HTTP APIs (RFC 9457): a code, the field and the reason, never a stack trace."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from services.kernel import telemetry
from services.kernel.database import TRANSIENT

MEDIA_TYPE = "application/problem+json"
_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "What to tell problems apart by"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "reason"],
                "properties": {
                    "field": {"type": "string", "description": "JSON pointer (RFC 6901)"},
                    "code": {"type": "string"},
                    "reason": {"type": "string"},
                },
            },
        },
    },
}
_MEANINGS = {
    400: "Not what the protocol asks for",
    401: "No valid token",
    403: "The token lacks the scope, or its organisation is not served here",
    404: "Unknown, or hidden from this token",
    409: "It contradicts what is there, or has to be confirmed",
    410: "It was there, and is erased",
    413: "Too large",
    415: "This content type is not taken",
    422: "The request does not follow the API",
    429: "Too much at once; Retry-After says when to send the same again",
    503: "Something that is needed is away; send the same again later",
}
TYPE_BASE = "https://stafett.se/problems/"

log = telemetry.get_logger(__name__)


@dataclass(frozen=True)
class FieldError:
    """One field that is wrong: JSON pointer (RFC 6901), code and reason."""

    field: str
    code: str
    reason: str


class ProblemError(Exception):
    """An answer that is a problem; `status` is the HTTP status, `members` are extensions (RFC 9457 section 3.2)."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        *,
        detail: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = headers
        self.members = members

    def body(self, instance: str | None = None) -> dict[str, object]:
        """Return the problem as RFC 9457 section 3 members."""
        members: dict[str, object] = {
            "type": TYPE_BASE + self.code,
            "title": self.title,
            "status": self.status,
            "code": self.code,
        }
        if self.detail is not None:
            members["detail"] = self.detail
        if self.errors:
            members["errors"] = [
                {"field": error.field, "code": error.code, "reason": error.reason} for error in self.errors
            ]
        if instance is not None:
            members["instance"] = instance
        return {**members, **(self.members or {})}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of answers that are problems (RFC 9457)."""
    return {
        status: {"description": _MEANINGS[status], "content": {MEDIA_TYPE: {"schema": _SCHEMA}}} for status in statuses
    }


EVERYWHERE = documented(400, 401, 403, 422, 503)
"""What every route may answer."""


def from_validation(error: ValidationError | RequestValidationError) -> list[FieldError]:
    """Translate pydantic's errors; values are left out, they may be a person's.

    A field is named by its place alone, also where one of several shapes was expected: pydantic adds which.
    """
    return [
        FieldError(
            field="/" + "/".join(_escaped(part) for part in item["loc"] if not _SHAPE.fullmatch(str(part))),
            code=str(item["type"]),
            reason=str(item["msg"]),
        )
        for item in error.errors()
    ]


_SHAPE = re.compile(r"(literal|list)\[.*\]")
"""How pydantic calls the members of a union among the parts of a place."""


def _escaped(part: int | str) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def response(problem: ProblemError, instance: str | None = None) -> Response:
    """Render a problem."""
    return Response(
        orjson.dumps(problem.body(instance)),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=dict(problem.headers or {}),
    )


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)  # noqa: S101 - registered for this class only
        return response(error, request.url.path)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        problem = ProblemError(
            422, "request.invalid", "The request does not follow the API", errors=from_validation(error)
        )
        return response(problem, request.url.path)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        phrase = HTTPStatus(error.status_code).phrase
        code = "http." + phrase.lower().replace(" ", "_")
        return response(ProblemError(error.status_code, code, phrase, headers=error.headers), request.url.path)

    async def on_database(request: Request, _error: Exception) -> Response:
        problem = ProblemError(
            503,
            "database.unavailable",
            "The database does not answer",
            detail="Whether it was stored is unknown. Send the same request again later; ids make it safe.",
            headers={"Retry-After": "5"},
        )
        return response(problem, request.url.path)

    async def on_data(request: Request, error: Exception) -> Response:
        # refused by the driver before it is sent, and nothing that the database would say
        if type(error) is not psycopg.DataError or "NUL" not in str(error):
            return await on_unexpected(request, error)
        wrong = [FieldError("", "text.nul", "U+0000 is no text that can be stored or looked for")]
        return response(
            ProblemError(422, "request.invalid", "The request does not follow the API", errors=wrong), request.url.path
        )

    async def on_unexpected(request: Request, error: Exception) -> Response:
        log.error("http.unexpected", exc_info=error, path=request.scope.get("route_path"))
        return response(ProblemError(500, "internal", "Something went wrong on our side"), request.url.path)

    app.add_exception_handler(ProblemError, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    for error in TRANSIENT:
        app.add_exception_handler(error, on_database)
    app.add_exception_handler(psycopg.DataError, on_data)
    app.add_exception_handler(Exception, on_unexpected)


def confirm(said: int | None, count: int, code: str, what: str) -> None:
    """Go on where the number of those concerned was said, and still is the same: what concerns many is done so.

    Raises:
        ProblemError: 409 with `matches`, the number, when it was not said, or is another by now.
    """
    if said != count:
        raise ProblemError(
            409,
            code,
            "The number has to be confirmed",
            detail=f"{count} {what}. To do it, repeat with matches: {count}.",
            members={"matches": count},
        )
