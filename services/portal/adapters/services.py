"""The other services' APIs over HTTP, as the signed-in user, each call with a deadline."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx2

from services.kernel import telemetry
from services.kernel.security import POLL_HEADER, REASON_HEADER
from services.portal.domain.answers import Refused, Unreachable
from services.portal.ports import Bearer, Content

STREAM_SILENCE = 60.0
"""An event stream says something more often than this, if only a comment."""
CALLS = httpx2.Limits(max_connections=60, max_keepalive_connections=20)
STREAMS = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
"""How many streams there are is bounded at the door (`handlers.watching`)."""


class HttpServices:
    """Two clients for each service: streams stay open for minutes, and no call must wait for one of them to end.

    Nothing is retried here: a page says that a part is away, and looks again.
    """

    def __init__(self, urls: Mapping[str, str], *, deadline: float) -> None:
        def clients(limits: httpx2.Limits) -> dict[str, httpx2.AsyncClient]:
            return {name: httpx2.AsyncClient(base_url=url, limits=limits) for name, url in urls.items()}

        self._calls = clients(CALLS)
        self._streams = clients(STREAMS)
        self._deadline = deadline

    async def close(self) -> None:
        """Close every connection."""
        for client in (*self._calls.values(), *self._streams.values()):
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
        content: Content | None = None,
        key: str | None = None,
        deadline: float | None = None,
    ) -> Any:
        """Return the parsed answer; see `ports.Api`."""
        headers = _headers(bearer)
        if key is not None:
            headers["Idempotency-Key"] = key
        if content is not None:
            headers["Content-Type"] = "application/octet-stream"
        sent = {"json": body} if content is None else {"content": content()}
        return _parsed(await self._answer(service, method, path, deadline, params=query, headers=headers, **sent))

    async def download(
        self, bearer: Bearer, service: str, path: str, *, query: Mapping[str, str] | None = None
    ) -> bytes:
        """Return a file; see `ports.Api`."""
        answer = await self._answer(service, "GET", path, None, params=query, headers=_headers(bearer))
        if not answer.is_success:
            _parsed(answer)
        return answer.content

    async def _answer(
        self, service: str, method: str, path: str, deadline: float | None, **options: Any
    ) -> httpx2.Response:
        patience = deadline or self._deadline
        try:
            async with asyncio.timeout(patience):
                return await self._calls[service].request(method, path, timeout=patience, **options)
        except (httpx2.RequestError, TimeoutError) as error:
            raise Unreachable(service) from error

    async def stream(self, bearer: Bearer, service: str, path: str) -> AsyncIterator[bytes]:
        """Yield an event stream as it comes; see `ports.Api`."""
        headers = {**_headers(bearer), "Accept": "text/event-stream"}
        patience = httpx2.Timeout(self._deadline, read=STREAM_SILENCE)
        try:
            async with self._streams[service].stream("GET", path, headers=headers, timeout=patience) as answer:
                if answer.status_code != httpx2.codes.OK:
                    raise Unreachable(service)
                async for piece in answer.aiter_bytes():
                    yield piece
        except httpx2.RequestError as error:
            raise Unreachable(service) from error


def _headers(bearer: Bearer) -> dict[str, str]:
    headers = {"traceparent": telemetry.current_traceparent()}
    if bearer.token is not None:
        headers["Authorization"] = f"Bearer {bearer.token}"
    if bearer.client is not None:
        headers["X-Forwarded-For"] = bearer.client
    if bearer.reason is not None:
        headers[REASON_HEADER] = quote(bearer.reason)
    if bearer.poll:
        headers[POLL_HEADER] = "1"
    return headers


def _parsed(answer: httpx2.Response) -> Any:
    try:
        found = answer.json()
    except (ValueError, RecursionError) as error:
        raise Refused(answer.status_code, "answer.unexpected", "The answer is not JSON") from error
    if not answer.is_success:
        raise _refused(answer.status_code, found)
    return found


def _refused(status: int, found: object) -> Refused:
    """Read a problem (RFC 9457) as far as it is one: nobody's malformed answer becomes our own failure."""
    body = found if isinstance(found, dict) else {}
    errors = body.get("errors")
    fields = [one for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
    detail, matches, targets = body.get("detail"), body.get("matches"), body.get("targets")
    reached = [one for one in targets if isinstance(one, dict)] if isinstance(targets, list) else []
    return Refused(
        status,
        str(body.get("code", f"http.{status}")),
        str(body.get("title", "")),
        detail if isinstance(detail, str) else None,
        {str(one.get("field", "")): str(one.get("reason", "")) for one in fields},
        matches=matches if isinstance(matches, int) else None,
        codes=[str(one["code"]) for one in fields if one.get("code")],
        outcomes={str(one.get("target", "")): str(one.get("outcome", "")) for one in reached},
    )
