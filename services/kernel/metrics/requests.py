"""Rate, errors and duration of HTTP requests: a small ASGI middleware."""

from time import perf_counter

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kernel.metrics.instruments import HTTP_REQUEST

UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetrics:
    """Times each request under the template of its route, so that no id and no query ever becomes a label."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._timers: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and time it; an exception counts as 5xx, for that is what the client gets."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 5

        async def watching(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"] // 100
            await send(message)

        began = perf_counter()
        try:
            await self._app(scope, receive, watching)
        except BaseException:
            status = 5
            raise
        finally:
            self._timer(scope, status).observe(perf_counter() - began)

    def _timer(self, scope: Scope, status: int) -> Histogram:
        key = (scope["method"], getattr(scope.get("route"), "path", UNMATCHED), status)
        timer = self._timers.get(key)
        if timer is None:
            method = key[0] if key[0] in _METHODS else "other"
            timer = HTTP_REQUEST.labels(method, key[1], f"{status}xx")
            if method == key[0]:  # what a stranger makes up is not remembered
                self._timers[key] = timer
        return timer
