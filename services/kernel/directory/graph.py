"""Microsoft Graph for asyncio: requests by template, pages, batches, and a pace of writes that Graph can take."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

import httpx2
from opentelemetry.trace import SpanKind
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, stop_any, wait_random_exponential

from services.kernel import telemetry
from services.kernel.directory.answers import ConnectionFailed
from services.kernel.directory.client import READ_ATTEMPTS, RETRY_CAP, TooLate, no_crash
from services.kernel.directory.graph_access import GraphAccess, Tokens
from services.kernel.directory.graph_answers import Answer, CallFailed, away, malformed, refusal
from services.kernel.directory.graph_pacing import WritePacer
from services.kernel.failures import Failure, LeaseShort, Permanent, Throttled, Transient, Unavailable
from services.kernel.metrics.instruments import GRAPH_OPERATION

log = telemetry.get_logger(__name__)

BATCH = 20
"""Most requests in one `$batch` (https://learn.microsoft.com/graph/json-batching)."""
ROUNDS = 3
"""How often a batch is sent in all, for those of its requests that were throttled by themselves."""


@dataclass(frozen=True)
class Request:
    """A request to Graph: `path` is a template such as `/users/{id}`, and the only thing of it that is ever logged.

    `eventual`: an advanced query (`ConsistencyLevel: eventual` with `$count`), answered from an index that lags behind.
    `create_if_missing`: a PATCH by alternate key that makes the object where there is none.
    """

    method: str
    path: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    eventual: bool = False
    create_if_missing: bool = False

    @property
    def operation(self) -> str:
        """Method and template: what kind of request it is."""
        return f"{self.method} {self.path}"

    @property
    def url(self) -> str:
        """Relative to the service's root, as `$batch` wants it too."""
        path = self.path.format_map({name: quote(value, safe="") for name, value in self.values.items()})
        query = {**self.query, "$count": "true"} if self.eventual else self.query
        return f"{path}?{urlencode(query, quote_via=quote, safe='$')}" if query else path

    @property
    def headers(self) -> dict[str, str]:
        """What goes with this request alone."""
        found = {"ConsistencyLevel": "eventual"} if self.eventual else {}
        return {**found, "Prefer": "create-if-missing"} if self.create_if_missing else found


_SOMEBODY = Request("GET", "/users", query={"$top": "1", "$select": "id"})


class Graph:
    """One tenant by one application. A call that ends in `Unavailable` may still have been carried out: observe again.

    Every call takes `deadline` (event loop time): one that could outlive it is not begun.
    """

    def __init__(self, access: GraphAccess, *, crash: Callable[[str], None] = no_crash) -> None:
        self._access = access
        self._crash = crash
        self._tokens = Tokens(access)
        self._pacer = WritePacer(access.writes * access.share, access.window, time.monotonic)
        self._resume_at = 0.0
        self._closed = False
        self._root = access.url.rstrip("/")
        there = urlsplit(self._root)
        self._about: dict[str, str | int] = {"server.address": there.hostname or self._root}
        if there.port:
            self._about["server.port"] = there.port
        self._http = httpx2.AsyncClient(
            verify=access.tls,
            proxy=access.proxy,
            trust_env=False,
            http2=False,
            timeout=access.timeout,
            limits=httpx2.Limits(max_connections=access.connections, max_keepalive_connections=access.connections),
        )

    @property
    def longest_call(self) -> float:
        """Seconds that one call can take at most."""
        return self._access.timeout

    @property
    def root(self) -> str:
        """The address of the service, for references to its objects."""
        return self._root

    async def read(self, request: Request, *, deadline: float | None = None) -> Answer:
        """Ask. A connection that fails, or a server that stumbles, is asked anew, three times in all.

        Raises:
            NoSuchEntry: There is no such object, or it is not replicated yet.
            Throttled: Graph wants to be left alone for a while.
            Unavailable: Graph is away, does not answer in time, or refuses us.
            Failure: It refuses.
        """
        return await self._retried(request, self._root + request.url, deadline)

    async def pages(self, request: Request, *, deadline: float | None = None) -> AsyncIterator[list[Mapping[str, Any]]]:
        """Yield all objects of a collection, a page at a time; the next page is only asked for at the same service.

        Raises:
            Failure: As `read`; begin again.
        """
        url: str | None = self._root + request.url
        seen: set[str] = set()
        while url is not None:
            seen.add(url)
            answer = await self._retried(request, url, deadline)
            yield answer.values
            url = answer.following
            if url is not None and not url.startswith(f"{self._root}/"):
                raise Permanent("graph.page_elsewhere")
            if url in seen:
                raise malformed()

    async def write(self, request: Request, *, subject: str, deadline: float | None = None) -> Answer:
        """Change something, at a pace that Graph can take; `subject` is whom the log names. Never tried again.

        Raises:
            EntryExists, ValueExists: Something has the value already.
            NoSuchEntry: There is no such object, or it is not replicated yet.
            Throttled: Graph wants to be left alone for a while; nothing was written.
            Failure: It refuses, or is away: then whether it was written is unknown.
        """
        await self._pace(1, deadline)
        self._crash("graph.before_write")
        try:
            answer = await self._call(request, self._root + request.url, deadline)
        except Failure as failure:
            log.info("graph.refused", operation=request.operation, subject=subject, problem=failure.code)
            raise
        self._crash("graph.after_write")
        self._pacer.told(answer.load)
        log.info("graph.written", operation=request.operation, subject=subject)
        return answer

    async def batch(
        self, requests: Sequence[Request], *, subject: str, ordered: bool = False, deadline: float | None = None
    ) -> list[Answer | Failure]:
        """Send up to twenty requests at once, and return what became of each.

        One that was throttled by itself is sent again by itself after its Retry-After, if there is time for that.

        Args:
            requests: What to do.
            subject: Whom the log names.
            ordered: Each begins when the one before it has succeeded; after one that fails none is begun.
            deadline: Event loop time.

        Raises:
            Failure: The batch as a whole was refused, or Graph is away: then what was carried out is unknown.
        """
        if len(requests) > BATCH:
            raise Permanent("directory.request_invalid", result="batch")
        results: dict[int, Answer | Failure] = {}
        pending = list(range(len(requests)))
        for attempt in range(1, ROUNDS + 1):
            results |= await self._round(requests, pending, ordered=ordered, subject=subject, deadline=deadline)
            pending, wait = _again(results, ordered=ordered)
            loop_time = asyncio.get_running_loop().time()
            late = deadline is not None and loop_time + wait + self.longest_call > deadline
            if not pending or attempt == ROUNDS or late:
                break
            await asyncio.sleep(wait)
        return [results[index] for index in range(len(requests))]

    async def probe(self) -> None:
        """Return when Graph knows us and lets us read users.

        Raises:
            Unavailable: It is away, or refuses us.
        """
        try:
            await self._call(_SOMEBODY, self._root + _SOMEBODY.url, None)
        except Permanent as refused:
            raise Unavailable(refused.code, **refused.parameters) from refused

    async def close(self) -> None:
        """Cut all connections; calls under way end in `Unavailable`."""
        self._closed = True
        self._tokens.close()
        await self._http.aclose()

    async def _round(
        self,
        requests: Sequence[Request],
        pending: Sequence[int],
        *,
        ordered: bool,
        subject: str,
        deadline: float | None,
    ) -> dict[int, Answer | Failure]:
        items = [_item(index, requests[index]) for index in pending]
        if ordered:
            for before, item in pairwise(items):
                item["dependsOn"] = [before["id"]]
        await self._pace(sum(requests[index].method != "GET" for index in pending), deadline)
        self._crash("graph.before_write")
        whole = Request("POST", "/$batch", body={"requests": items})
        answer = await self._call(whole, self._root + whole.url, deadline)
        self._crash("graph.after_write")
        said: dict[int, Answer | Failure] = {index: Transient("graph.no_answer") for index in pending}
        parts = answer.body.get("responses")
        for part in parts if isinstance(parts, list) else ():
            index = _numbered(part, pending)
            if index is None:
                continue
            said[index] = self._part(part)
            outcome = said[index]
            problem = outcome.code if isinstance(outcome, Failure) else None
            log.info("graph.batched", operation=requests[index].operation, subject=subject, problem=problem)
        return said

    def _part(self, part: Mapping[str, Any]) -> Answer | Failure:
        told, body = part.get("headers"), part.get("body")
        headers = {str(name).lower(): str(value) for name, value in told.items()} if isinstance(told, Mapping) else {}
        answer = Answer(part["status"], body if isinstance(body, Mapping) else {}, headers)
        self._pacer.told(answer.load)
        if answer.status == 401:
            # the token ended while the batch was on its way: nothing was done with this one
            self._tokens.forget()
            return Throttled("graph.token_refused", retry_after=0.0)
        return answer if answer.done else refusal(answer)

    async def _pace(self, writes: int, deadline: float | None) -> None:
        if not writes:
            return
        loop_time = asyncio.get_running_loop().time()
        latest = None if deadline is None else time.monotonic() + deadline - loop_time - self.longest_call
        wait = self._pacer.reserve(writes, latest=latest)
        if wait is None:
            raise LeaseShort("directory.lease_short")
        if wait:
            await asyncio.sleep(wait)

    async def _retried(self, request: Request, url: str, deadline: float | None) -> Answer:
        retrying = AsyncRetrying(
            stop=stop_any(
                stop_after_attempt(READ_ATTEMPTS),
                TooLate(None if deadline is None else deadline - self.longest_call - RETRY_CAP),
            ),
            wait=wait_random_exponential(multiplier=0.2, max=RETRY_CAP),
            retry=retry_if_exception_type((ConnectionFailed, CallFailed)),
            reraise=True,
        )
        return await retrying(self._call, request, url, deadline)

    async def _call(self, request: Request, url: str, deadline: float | None) -> Answer:
        """Make one call, and once more with a new token when Graph no longer takes the one that we have."""
        call_id = str(uuid4())
        about = {**self._about, "http.request.method": request.method, "url.template": request.path}
        about["az.client_request_id"] = call_id
        with telemetry.span(f"Graph {request.operation}", kind=SpanKind.CLIENT, attributes=about), _timed(request):
            answer = await self._authorised(request, url, call_id, deadline)
            if answer.status == 401:
                answer = await self._authorised(request, url, call_id, deadline)
            if answer.done:
                return answer
            failure = refusal(answer)
            if isinstance(failure, Throttled):
                self._resume_at = max(self._resume_at, time.monotonic() + failure.retry_after)
            request_id = answer.headers.get("request-id")  # what Microsoft's support asks for
            log.info("graph.answered", operation=request.operation, status=answer.status, request_id=request_id)
            raise failure

    async def _authorised(self, request: Request, url: str, call_id: str, deadline: float | None) -> Answer:
        self._refuse_now()
        token = await self._tokens.bearer()
        self._in_time(deadline)
        answer = await self._exchange(request, url, token, call_id)
        if answer.status == 401:
            self._tokens.forget(token)
        return answer

    async def _exchange(self, request: Request, url: str, token: str, call_id: str) -> Answer:
        headers = {**request.headers, "Authorization": f"Bearer {token}", "client-request-id": call_id}
        try:
            async with asyncio.timeout(self._access.timeout):
                response = await self._http.request(request.method, url, headers=headers, json=request.body)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError, UnicodeError) as error:
            raise away(error) from error
        except RuntimeError as error:  # the client was closed under it
            raise Unavailable("directory.closed") from error
        try:
            body = response.json() if response.content else {}
        except (ValueError, RecursionError):
            body = {}
        return Answer(response.status_code, body if isinstance(body, Mapping) else {}, dict(response.headers))

    def _refuse_now(self) -> None:
        if self._closed:
            raise Unavailable("directory.closed")
        left = self._resume_at - time.monotonic()
        if left > 0:
            # what is asked meanwhile counts against the limit too, and makes the wait longer
            raise Throttled("directory.throttled", retry_after=left)

    def _in_time(self, deadline: float | None) -> None:
        if deadline is not None and deadline - asyncio.get_running_loop().time() < self.longest_call:
            raise LeaseShort("directory.lease_short")


def literal(value: str) -> str:
    """Return `value` as a string in a `$filter` (OData 4.01 URL conventions, section 5.1.1.14.1)."""
    return "'" + value.replace("'", "''") + "'"


def _item(index: int, request: Request) -> dict[str, Any]:
    item: dict[str, Any] = {"id": str(index), "method": request.method, "url": request.url}
    headers = request.headers
    if request.body is not None:
        item["body"] = request.body
        headers["Content-Type"] = "application/json"
    return {**item, "headers": headers} if headers else item


def _numbered(part: object, pending: Sequence[int]) -> int | None:
    """Return to which request an answer within a batch belongs; None for what is none, or to nothing that was asked."""
    if not isinstance(part, Mapping) or not isinstance(part.get("status"), int):
        return None
    return next((index for index in pending if str(index) == part.get("id")), None)


def _again(results: Mapping[int, Answer | Failure], *, ordered: bool) -> tuple[list[int], float]:
    """Return which requests of a batch to send again, and after how many seconds: those that certainly did nothing."""
    throttled = {index: result for index, result in results.items() if isinstance(result, Throttled)}
    if not throttled:
        return [], 0.0
    not_begun = [
        index
        for index, result in results.items()
        if ordered and isinstance(result, Failure) and result.code == "graph.not_begun" and index > min(throttled)
    ]
    return sorted([*throttled, *not_begun]), max(failure.retry_after for failure in throttled.values())


@contextmanager
def _timed(request: Request) -> Iterator[None]:
    """Count how a call ended; one that was not begun for want of time is none."""
    began, outcome = time.perf_counter(), "done"
    try:
        yield
    except LeaseShort:
        outcome = ""
        raise
    except Throttled:
        outcome = "throttled"
        raise
    except Unavailable:
        outcome = "unavailable"
        raise
    except Failure:
        outcome = "refused"
        raise
    finally:
        if outcome:
            GRAPH_OPERATION.labels(request.operation, outcome).observe(time.perf_counter() - began)
