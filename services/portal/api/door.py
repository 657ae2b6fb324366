"""Who visits: session cookie, CSRF, rights. A route without a `Visit` is open; all others are closed by default."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

import orjson
from fastapi import Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.kernel.security import POLL_HEADER
from services.portal.api.pages import SAID, Pages
from services.portal.domain.answers import Trouble
from services.portal.domain.sessions import Session, unmasks_to
from services.portal.handlers.asking import Asking
from services.portal.handlers.signing import Signing
from services.portal.handlers.watching import Seats
from services.portal.ports import Api, Bearer

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LIVE = "/live"
"""The event stream, which a page opens by itself: a browser gives it no header."""


class SignInNeeded(Exception):
    """Nobody is signed in."""


class ForgedRequest(Exception):
    """An unsafe request that did not come from one of our pages."""


class NoPermission(Exception):
    """The visitor lacks the right; `visit` is who it is."""

    def __init__(self, visit: "Visit", scope: str) -> None:
        super().__init__(scope)
        self.visit = visit
        self.scope = scope


@dataclass(frozen=True)
class Doors:
    """What bootstrap wired for all routes."""

    pages: Pages
    signing: Signing
    api: Api
    seats: Seats
    now: Callable[[], datetime]
    cookie: str
    login_cookie: str
    secure: bool
    origin: str
    policy_seconds: float


@dataclass(frozen=True)
class Visit:
    """One request of somebody who is signed in."""

    request: Request
    doors: Doors
    session: Session
    cookie: str
    now: datetime

    @property
    def ask(self) -> Asking:
        """The APIs as this person, to whom protected identities are hidden."""
        return self._asking(None)

    def about(self, person: UUID) -> Asking:
        """The APIs as this person, with the reason to see `person` if one was given for exactly that."""
        glass = self.session.glass_at(self.now)
        return self._asking(glass.reason if glass and glass.person == person else None)

    def open_for(self, person: UUID) -> bool:
        """Tell whether a protected person is shown for a reason now."""
        glass = self.session.glass_at(self.now)
        return glass is not None and glass.person == person

    def searching(self, words: str) -> Asking:
        """The APIs as this person, with the reason to see whom a search finds if one was given for exactly that."""
        glass = self.session.glass_at(self.now)
        return self._asking(glass.reason if glass and glass.search == words else None)

    def _asking(self, reason: str | None) -> Asking:
        given = None if self.automatic else reason
        # what a page shows for a reason goes away with it
        self.request.state.opened = given is not None or getattr(self.request.state, "opened", False)
        bearer = Bearer(self.session.access_token, given, poll=self.automatic)
        return Asking(self.doors.api, bearer, self._newer)

    async def _newer(self) -> str | None:
        found = await self.doors.signing.renewing.instead_of(self.cookie, self.session)
        return found.access_token if found is not None else None

    @property
    def automatic(self) -> bool:
        """Whether the page asks by itself: nobody's activity, and nobody's look at a protected identity."""
        return is_automatic(self.request)

    @property
    def partial(self) -> bool:
        """Whether htmx asks for a part of a page."""
        headers = self.request.headers
        return headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in headers

    def may(self, *scopes: str) -> bool:
        """Tell whether this person has one of some rights."""
        return not self.session.scopes.isdisjoint(scopes)

    def page(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """Render a template for this person."""
        return self.doors.pages.render(
            self.request, template, session=self.session, now=self.now, status=status, **values
        )

    def trouble(self, trouble: Trouble) -> HTMLResponse:
        """Render a page of which nothing is there."""
        status = {"down": 503, "unknown": 503, "denied": 403, "missing": 404}.get(trouble.kind, 422)
        return self.page("trouble.html", status=status, trouble=trouble)

    def closed(self, said: str, **told: object) -> Response:
        """Answer a dialog that has done its work: it closes, the page says a message, and its parts look again."""
        text = _ascii(self.doors.pages.say(self.request, said))
        trigger = {"closed": True, "said": {"text": text}, "changed": True, **told}
        return Response(status_code=204, headers={"HX-Trigger": orjson.dumps(trigger).decode()})

    def back(self, path: str, said: str) -> Response:
        """Lead back to a page that says what was done; out of a dialog the browser goes there."""
        gone = Response(status_code=204, headers={"HX-Redirect": path})
        answer = gone if self.partial else RedirectResponse(path, 303)
        answer.set_cookie(SAID, said, max_age=30, httponly=True, samesite="lax", secure=self.doors.secure)
        return answer


def doors(request: Request) -> Doors:
    """Return what bootstrap wired."""
    return cast("Doors", request.app.state.doors)


def is_automatic(request: Request) -> bool:
    """Tell whether a page makes a request by itself: that keeps no session from idling out."""
    return request.url.path == LIVE or (request.method in SAFE and request.headers.get(POLL_HEADER) == "1")


async def visit(request: Request) -> Visit:
    """Return who visits; an unsafe request must prove that one of our own pages made it.

    Raises:
        SignInNeeded: No session, or it has ended.
        ForgedRequest: The token is missing or wrong, or the request comes from another origin.
    """
    wired = doors(request)
    cookie = request.cookies.get(wired.cookie)
    now = wired.now()
    active = not is_automatic(request)
    session = await wired.signing.resume(cookie, now, active=active) if cookie else None
    if cookie is None or session is None:
        raise SignInNeeded
    if request.method not in SAFE:
        await _ours(request, wired, session)
    return Visit(request, wired, session, cookie, now)


async def _ours(request: Request, wired: Doors, session: Session) -> None:
    origin = request.headers.get("Origin")
    if origin is not None and origin != wired.origin:
        raise ForgedRequest
    token: Any = request.headers.get("X-CSRF-Token")
    if token is None:
        token = (await request.form()).get("csrf")
    if not isinstance(token, str) or not unmasks_to(token, session.csrf):
        # a form may hold files
        await request.close()
        raise ForgedRequest


AnyVisit = Annotated[Visit, Depends(visit)]


def entering(*scopes: str) -> Callable[[Visit], Awaitable[Visit]]:
    """Return a dependency that lets only people with one of some rights in."""

    async def entered(visit: AnyVisit) -> Visit:
        if not visit.may(*scopes):
            raise NoPermission(visit, scopes[0])
        return visit

    return entered


def _ascii(text: str) -> str:
    """Return text for a header: what is not ASCII travels as a percent-encoded byte (a header is Latin-1 at best)."""
    return "".join(character if character.isascii() and character != "%" else _percent(character) for character in text)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())
