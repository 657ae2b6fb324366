"""What surrounds every page: security headers, errors as pages, static files that browsers keep."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import override

from services.kernel import telemetry
from services.kernel.database import TRANSIENT
from services.kernel.metrics.requests import Requests
from services.portal.api.door import ForgedRequest, NoPermission, SignInNeeded, doors, is_automatic, visit
from services.portal.api.pages import STATIC, Pages, address_of
from services.portal.api.signin import to_sign_in
from services.portal.domain.answers import TokenRefused, Trouble
from services.portal.domain.sessions import local_path

log = telemetry.get_logger(__name__)

BODY_LIMIT = 1 << 20
"""Bytes of a request's body, unless its desk says more."""
PATIENCE = 4
"""How many times as much is read past before a request is broken off."""


class _Static(StaticFiles):
    """Static files; the address with a file's own version never changes what it gives."""

    def __init__(self, pages: Pages) -> None:
        super().__init__(directory=STATIC)
        self._pages = pages

    @override
    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        versioned = scope.get("query_string", b"").decode("latin-1") == f"v={self._pages.version(path)}"
        # a style sheet names its fonts without a version
        unversioned = "public, max-age=86400" if path.endswith(".woff2") else "no-cache"
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else unversioned
        return answer


class Headers:
    """Security headers on every answer, whatever made it; pages are never stored outside the browser's memory."""

    def __init__(self, app: ASGIApp, policy: str, *, secure: bool) -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        }
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; its answer gets the headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


class Bounded:
    """Bodies of requests have a largest size: what comes above it is read past and answered with 413.

    Read past, because a browser shows the answer only when it could send all. Far above it nothing more is read.
    """

    def __init__(self, app: ASGIApp, larger: Mapping[str, int]) -> None:
        self._app = app
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body counted."""
        limit = self._larger.get(scope.get("path", ""), BODY_LIMIT)
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size <= limit:
                return message
            while message.get("more_body", False) and size <= PATIENCE * limit:
                message = await receive()
                size += len(message.get("body", b""))
            raise HTTPException(413)

        await self._app(scope, counted if scope["type"] == "http" else receive, send)


def policy(oidc_origin: str) -> str:
    """Return the content security policy. Sign-out is a form that ends at the provider, so it may lead there."""
    return "; ".join(
        (
            "default-src 'self'",
            "base-uri 'none'",
            f"form-action 'self' {oidc_origin}",
            "frame-ancestors 'none'",
            "object-src 'none'",
        )
    )


def dress(app: FastAPI, pages: Pages, *, oidc_origin: str, secure: bool, larger: Mapping[str, int]) -> ASGIApp:
    """Add static files, compression and error pages; return the application in its headers, as it is served.

    `larger`: paths whose bodies may be larger than others, in bytes.

    Headers, and the span by which a failure is found in the logs, lie outside of what answers with error pages.
    """
    app.mount("/static", _Static(pages), name="static")
    app.add_middleware(GZipMiddleware, minimum_size=500)
    handlers: dict[type[Exception], Callable[[Request, Any], Any]] = {
        SignInNeeded: _sign_in_needed,
        ForgedRequest: _forged,
        NoPermission: _no_permission,
        TokenRefused: _token_refused,
        HTTPException: _http,
        RequestValidationError: _invalid,
        Exception: _unexpected,
    }
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)
    for transient in TRANSIENT:
        app.add_exception_handler(transient, _database)
    return Headers(Bounded(Requests(app), larger), policy(oidc_origin), secure=secure)


async def _sign_in_needed(request: Request, _error: SignInNeeded) -> Response:
    if is_automatic(request):
        return _signed_out(request)
    if request.headers.get("HX-Request") == "true":
        # the part cannot lead to another page; the browser goes, and comes back to the page it is on
        return Response(status_code=401, headers={"HX-Redirect": to_sign_in(_page_of(request))})
    return RedirectResponse(to_sign_in(address_of(request) if request.method == "GET" else "/"), 303)


async def _token_refused(request: Request, error: TokenRefused) -> Response:
    """End the session. Nobody is sent to the provider at once: it could send them back for ever."""
    log.warning("session.refused", service=str(error))
    wired = doors(request)
    cookie = request.cookies.get(wired.cookie)
    if cookie:
        await wired.signing.end(cookie, None)
    if is_automatic(request):
        return _signed_out(request)
    if request.headers.get("HX-Request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": to_sign_in(_page_of(request))})
    return wired.pages.render(request, "sign_in_failed.html", status=401, code="sign_in.token")


def _signed_out(request: Request) -> Response:
    """Tell a page that asks by itself: what it shows goes away, and nobody is signed in again unattended."""
    if request.headers.get("HX-Request") != "true":
        # an event stream does not come back after this (WHATWG HTML, section 9.2.3)
        return Response(status_code=204)
    answer = doors(request).pages.render(request, "_signed_out.html", sign_in=to_sign_in(_page_of(request)))
    answer.headers["HX-Retarget"] = "#main"
    answer.headers["HX-Reswap"] = "innerHTML"
    answer.headers["HX-Trigger"] = "closed"
    return answer


def _page_of(request: Request) -> str:
    """Return the path of the page that htmx asks from."""
    said = request.headers.get("HX-Current-URL", "")
    origin = doors(request).origin
    return local_path(said.removeprefix(origin)) if said.startswith(f"{origin}/") else "/"


async def _forged(request: Request, _error: ForgedRequest) -> Response:
    log.warning("csrf.refused", path=request.url.path)
    return _simple(request, 403, "forged")


async def _no_permission(_request: Request, error: NoPermission) -> Response:
    return error.visit.trouble(Trouble("denied", "", "scope.missing"))


async def _http(request: Request, error: HTTPException) -> Response:
    if error.status_code == 404:
        with suppress(SignInNeeded, ForgedRequest):
            return (await visit(request)).page("error.html", status=404, what="missing")
    return _simple(request, error.status_code, {404: "missing", 413: "large"}.get(error.status_code, "invalid"))


async def _invalid(request: Request, _error: RequestValidationError) -> Response:
    return _simple(request, 422, "invalid")


async def _database(request: Request, _error: Exception) -> Response:
    return _simple(request, 503, "down")


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("http.unexpected", exc_info=error)
    return _simple(request, 500, "unexpected", reference=telemetry.current_traceparent()[3:35])


def _simple(request: Request, status: int, what: str, *, reference: str | None = None) -> Response:
    return doors(request).pages.render(request, "error.html", status=status, what=what, reference=reference)
