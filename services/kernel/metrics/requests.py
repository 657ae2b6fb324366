"""Rate, errors, duration and the span of HTTP requests: a small ASGI middleware."""

from time import perf_counter

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kernel import telemetry
from services.kernel.metrics.instruments import HTTP_REQUEST

UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Requests:
    """Times and traces each request under the template of its route: no id and no query ever becomes a label."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._timers: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and time it; an exception counts as 5xx, for that is what the client gets."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def watching(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "other"
        began = perf_counter()
        with telemetry.serving(method, _traceparent(scope)):
            try:
                await self._app(scope, receive, watching)
            except BaseException:
                status = 500
                raise
            finally:
                route = getattr(scope.get("route"), "path", UNMATCHED)
                telemetry.served(method, route, status)
                self._timer(method, route, status // 100).observe(perf_counter() - began)

    def _timer(self, method: str, route: str, status: int) -> Histogram:
        key = (method, route, status)
        timer = self._timers.get(key)
        if timer is None:
            timer = self._timers[key] = HTTP_REQUEST.labels(method, route, f"{status}xx")
        return timer


def _traceparent(scope: Scope) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)
