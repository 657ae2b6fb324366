"""The other services' APIs over HTTP, as the signed-in user, each call with a deadline."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx2

from services.kernel.security import POLL_HEADER, REASON_HEADER
from services.portal.domain.answers import Refused, Unreachable
from services.portal.ports import Bearer

STREAM_SILENCE = 60.0
"""An event stream says something more often than this, if only a comment."""


class HttpServices:
    """One client for each service. Nothing is retried here: a page says that a part is away, and looks again."""

    def __init__(self, urls: Mapping[str, str], *, deadline: float) -> None:
        limits = httpx2.Limits(max_connections=60, max_keepalive_connections=20)
        self._clients = {
            name: httpx2.AsyncClient(base_url=url, timeout=deadline, limits=limits) for name, url in urls.items()
        }
        self._deadline = deadline

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()

    async def call(
        self,
        bearer: Bearer,
        method: str,
        service: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Any:
        """Return the parsed answer; see `ports.Api`."""
        headers = {"Authorization": f"Bearer {bearer.token}"}
        if bearer.reason is not None:
            headers[REASON_HEADER] = quote(bearer.reason)
        if bearer.poll:
            headers[POLL_HEADER] = "1"
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            async with asyncio.timeout(self._deadline):
                answer = await self._clients[service].request(method, path, params=query, json=body, headers=headers)
        except (httpx2.TransportError, TimeoutError) as error:
            raise Unreachable(service) from error
        try:
            found = answer.json()
        except ValueError as error:
            raise Refused(answer.status_code, "answer.unexpected", "The answer is not JSON") from error
        if answer.is_error:
            raise _refused(answer.status_code, found)
        return found

    async def stream(self, bearer: Bearer, service: str, path: str) -> AsyncIterator[bytes]:
        """Yield an event stream as it comes; see `ports.Api`."""
        headers = {"Authorization": f"Bearer {bearer.token}", "Accept": "text/event-stream"}
        if bearer.reason is not None:
            headers[REASON_HEADER] = quote(bearer.reason)
        patience = httpx2.Timeout(self._deadline, read=STREAM_SILENCE)
        try:
            async with self._clients[service].stream("GET", path, headers=headers, timeout=patience) as answer:
                if answer.status_code != httpx2.codes.OK:
                    raise Unreachable(service)
                async for piece in answer.aiter_bytes():
                    yield piece
        except httpx2.TransportError as error:
            raise Unreachable(service) from error


def _refused(status: int, found: object) -> Refused:
    body = found if isinstance(found, dict) else {}
    errors = {str(one.get("field", "")): str(one.get("reason", "")) for one in body.get("errors", ())}
    code = str(body.get("code", f"http.{status}"))
    matches = body.get("matches")
    return Refused(
        status,
        code,
        str(body.get("title", "")),
        body.get("detail"),
        errors,
        matches=matches if isinstance(matches, int) else None,
    )
