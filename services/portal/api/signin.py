"""Signing in and out. The only routes, beside health and static files, that a stranger reaches."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.door import AnyVisit, Doors, SignInNeeded, doors, visit
from services.portal.api.pages import LANGUAGE, THEME, language_of
from services.portal.domain.sessions import local_path, login_cookie
from services.portal.ports import ProviderUnavailable, SignInRefused

router = APIRouter(tags=["sign-in"])

CALLBACK = "/sign-in/callback"
SIGNED_OUT = "/signed-out"
SIGN_IN_SECONDS = 600
SIGN_INS_AT_ONCE = 5
_YEAR = 31_536_000
Short = Annotated[str, Query(max_length=4_000)]


@router.get("/sign-in")
async def sign_in(
    request: Request, following: Annotated[str | None, Query(alias="next", max_length=2_000)] = None
) -> Response:
    """Send the browser to the provider. It carries the sign-in itself, so a stranger costs no room here."""
    wired = doors(request)
    try:
        state, carried, url = await wired.signing.begin(local_path(following), language_of(request))
    except ProviderUnavailable:
        return _failed(request, wired, "sign_in.unavailable", 503)
    answer = RedirectResponse(url, 303)
    _set(answer, wired, login_cookie(wired.login_cookie, state), carried, max_age=SIGN_IN_SECONDS)
    # sign-ins that nobody came back from; a request has room for so many cookies only
    begun = [name for name in request.cookies if name.startswith(f"{wired.login_cookie}-")]
    for name in begun[: max(0, len(begun) - SIGN_INS_AT_ONCE + 1)]:
        _forget(answer, wired, name)
    return answer


@router.get(CALLBACK)
async def come_back(
    request: Request, state: Short = "", code: Short = "", error: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Take the provider's answer; whoever is signed in already goes on, whatever became of this sign-in."""
    wired = doors(request)
    name = login_cookie(wired.login_cookie, state)
    begun = wired.signing.begun(request.cookies.get(name), state)
    cookie = request.cookies.get(wired.cookie)
    old = await wired.signing.resume(cookie, wired.now(), active=True) if cookie else None
    answer = RedirectResponse(begun.following if begun else "/", 303)
    try:
        if error or not code:
            raise SignInRefused("sign_in.refused")  # noqa: TRY301 - one way out for all refusals
        fresh, _ = await wired.signing.complete(begun, code, old=(cookie, old) if cookie and old else None)
        _set(answer, wired, wired.cookie, fresh)
    except SignInRefused as refused:
        if old is None:
            return _failed(request, wired, refused.code, 403)
    except ProviderUnavailable:
        if old is None:
            return _failed(request, wired, "sign_in.unavailable", 503)
    if begun:
        _forget(answer, wired, name)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Forget the session here, and at the provider where it can. Who is signed out already stays so."""
    wired = doors(request)
    try:
        found = await visit(request)
    except SignInNeeded:
        elsewhere = None
    else:
        elsewhere = await wired.signing.end(found.cookie, found.session)
    answer = RedirectResponse(elsewhere or SIGNED_OUT, 303)
    _forget(answer, wired, wired.cookie)
    return answer


@router.get(SIGNED_OUT)
async def signed_out(request: Request) -> Response:
    """Say goodbye."""
    return doors(request).pages.render(request, "signed_out.html")


@router.post("/preferences")
async def preferences(someone: AnyVisit) -> Response:
    """Choose language and colours; they live in the browser."""
    form = await someone.request.form()
    answer = RedirectResponse(local_path(str(form.get("next") or "/")), 303)
    for name, allowed in ((LANGUAGE, {"sv", "en"}), (THEME, {"light", "dark", "auto"})):
        value = form.get(name)
        if isinstance(value, str) and value in allowed:
            _set(answer, someone.doors, name, value, max_age=_YEAR)
    return answer


def to_sign_in(path: str) -> str:
    """Return where somebody signs in who wanted to see `path`."""
    return "/sign-in" if path == "/" else f"/sign-in?{urlencode({'next': path})}"


def _set(answer: Response, wired: Doors, name: str, value: str, *, max_age: int | None = None) -> None:
    answer.set_cookie(name, value, max_age=max_age, path="/", secure=wired.secure, httponly=True, samesite="lax")


def _forget(answer: Response, wired: Doors, name: str) -> None:
    answer.delete_cookie(name, path="/", secure=wired.secure, httponly=True, samesite="lax")


def _failed(request: Request, wired: Doors, code: str, status: int) -> Response:
    return wired.pages.render(request, "sign_in_failed.html", status=status, code=code)
