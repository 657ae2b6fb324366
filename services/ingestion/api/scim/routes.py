"""`/scim/v2`: authentication, limits and errors around scim2-server."""

import contextlib
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from scim2_models import PreconditionFailedException
from scim2_server.handler import AsyncScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse

from services.ingestion.api.body import limited
from services.ingestion.api.quotas import Quotas
from services.ingestion.api.scim.protocol import Protocol
from services.ingestion.api.scim.resources import BODY_LIMIT, provider
from services.ingestion.api.scim.storage import Bearer, LedgerStorage
from services.ingestion.handlers.provisioning import Provisioning
from services.ingestion.handlers.reception import Sender
from services.kernel.database import TRANSIENT, Database
from services.kernel.problems import ProblemError
from services.kernel.security import requires

PREFIX = "/scim/v2"
OPEN = "/ServiceProviderConfig"
"""What needs no token (RFC 7643 section 5): whoever has none learns here how to get in."""
TRIES = 5
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

_reader = requires("scim:read")
_writer = requires("scim:write")


def router(database: Database, provisioning: Provisioning) -> APIRouter:
    """Return the routes; OpenAPI has none of them, for SCIM describes itself."""
    routes, quotas, protocol = APIRouter(include_in_schema=False), Quotas(), Protocol(provider())

    async def scim(request: Request) -> Response:
        asked = _request(request)
        try:
            return _response(await _served(request, asked))
        except Exception as error:  # noqa: BLE001 - every error of this door is SCIM's; what is unexpected is logged
            return _refused(protocol, error)

    async def _served(request: Request, asked: ScimRequest) -> ScimResponse:
        if asked.path == OPEN and asked.method == "GET":
            return protocol.service_provider_config(asked.url, asked.query)
        bearer = await _bearer(request, asked)
        asked.body = await limited(request, BODY_LIMIT)
        if not _reads(asked):
            quotas.spend(bearer.sender, _spent(bearer.source, asked), len(asked.body))
        handler = AsyncScimHandler(protocol, LedgerStorage(database, provisioning, bearer))
        conditional = asked.header("if-match") or asked.header("if-none-match")
        for _ in range(0 if conditional else TRIES - 1):
            try:
                return await handler.handle(asked)
            except PreconditionFailedException:
                # the client set no condition: what it says is said again on top of what came between
                continue
        return await handler.handle(asked)

    for path in ("", "/{path:path}"):
        routes.add_api_route(PREFIX + path, scim, methods=METHODS, response_model=None)
    return routes


def _request(request: Request) -> ScimRequest:
    raw = request.scope.get("raw_path") or request.url.path.encode()
    path = raw.partition(b"?")[0].decode("latin-1").removeprefix(PREFIX)
    return ScimRequest(
        method=request.method,
        base_url=str(request.base_url).rstrip("/") + PREFIX,
        path="/" + path.strip("/"),
        query=dict(request.query_params),
        headers=list(request.headers.items()),
    )


def _reads(asked: ScimRequest) -> bool:
    return asked.method == "GET" or (asked.method == "POST" and asked.path.endswith("/.search"))


async def _bearer(request: Request, asked: ScimRequest) -> Bearer:
    """Return who asks.

    Raises:
        ProblemError: 401; 403, the scope is missing or the client is bound to no source.
    """
    principal = await (_reader if _reads(asked) else _writer)(request)
    settings = request.app.state.organisations[principal.organisation]
    source = settings.scim_source(principal.subject)
    if source is None:
        raise ProblemError(403, "source.unbound", "No source of the organisation has this client")
    return Bearer(principal, Sender(principal.subject, settings, source))


def _spent(source: str, asked: ScimRequest) -> list[dict[str, str]]:
    """What a request counts as among the events of its source."""
    operations: list[Any] = []
    if asked.path == "/Bulk":
        with contextlib.suppress(orjson.JSONDecodeError):
            told = orjson.loads(asked.body)
            told = told if isinstance(told, dict) else {}
            # names of attributes have no case (RFC 7643 section 2.1)
            lists = (value for key, value in told.items() if key.casefold() == "operations")
            operations = next((value for value in lists if isinstance(value, list)), [])
    return [{"source": source}] * max(1, len(operations))


def _response(answer: ScimResponse) -> Response:
    headers = {"Cache-Control": "no-cache", **answer.headers}
    if answer.body is None:
        headers.pop("Content-Type", None)
        return Response(status_code=int(answer.status), headers=headers)
    return Response(orjson.dumps(answer.body), status_code=int(answer.status), headers=headers)


def _refused(protocol: Protocol, error: Exception) -> Response:
    answer = protocol.error_response(error)
    if isinstance(error, ProblemError):
        answer.headers.update(error.headers or {})
    if isinstance(error, TRANSIENT):
        answer.headers["Retry-After"] = "5"
    return _response(answer)
