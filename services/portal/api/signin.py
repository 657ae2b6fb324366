"""Signing in and out. The only routes, beside health and static files, that a stranger reaches."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.door import AnyVisit, Doors, doors
from services.portal.api.pages import LANGUAGE, THEME
from services.portal.domain.sessions import local_path
from services.portal.ports import ProviderUnavailable, SignInRefused

router = APIRouter(tags=["sign-in"])

CALLBACK = "/sign-in/callback"
SIGNED_OUT = "/signed-out"
_YEAR = 31_536_000
Short = Annotated[str, Query(max_length=4_000)]


@router.get("/sign-in")
async def sign_in(
    request: Request, following: Annotated[str | None, Query(alias="next", max_length=2_000)] = None
) -> Response:
    """Send the browser to the provider."""
    wired = doors(request)
    try:
        cookie, url = await wired.signing.begin(local_path(following))
    except ProviderUnavailable:
        return _failed(request, wired, "sign_in.unavailable", 503)
    answer = RedirectResponse(url, 303)
    _set(answer, wired, wired.login_cookie, cookie, max_age=600)
    return answer


@router.get(CALLBACK)
async def come_back(
    request: Request, state: Short = "", code: Short = "", error: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Take the provider's answer; the session gets an id that nobody has seen before."""
    wired = doors(request)
    cookie = request.cookies.get(wired.login_cookie)
    try:
        if error or not code:
            raise SignInRefused("sign_in.refused")  # noqa: TRY301 - one way out for all refusals
        fresh, _, following = await wired.signing.complete(cookie, state=state, code=code)
    except SignInRefused as refused:
        return _failed(request, wired, refused.code, 403)
    except ProviderUnavailable:
        return _failed(request, wired, "sign_in.unavailable", 503)
    old = request.cookies.get(wired.cookie)
    if old:
        await wired.signing.end(old, None)
    answer = RedirectResponse(following, 303)
    _set(answer, wired, wired.cookie, fresh)
    answer.delete_cookie(wired.login_cookie, path="/", secure=wired.secure, httponly=True, samesite="lax")
    return answer


@router.post("/sign-out")
async def sign_out(visit: AnyVisit) -> Response:
    """Forget the session here, and at the provider where it can."""
    elsewhere = await visit.doors.signing.end(visit.cookie, visit.session)
    answer = RedirectResponse(elsewhere or SIGNED_OUT, 303)
    answer.delete_cookie(visit.doors.cookie, path="/", secure=visit.doors.secure, httponly=True, samesite="lax")
    return answer


@router.get(SIGNED_OUT)
async def signed_out(request: Request) -> Response:
    """Say goodbye."""
    return doors(request).pages.render(request, "signed_out.html")


@router.post("/preferences")
async def preferences(visit: AnyVisit) -> Response:
    """Choose language and colours; they live in the browser."""
    form = await visit.request.form()
    answer = RedirectResponse(local_path(str(form.get("next") or "/")), 303)
    for name, allowed in ((LANGUAGE, {"sv", "en"}), (THEME, {"light", "dark", "auto"})):
        value = form.get(name)
        if isinstance(value, str) and value in allowed:
            _set(answer, visit.doors, name, value, max_age=_YEAR)
    return answer


@router.post("/glass")
async def glass(visit: AnyVisit) -> Response:
    """Show protected identities for a while, for a reason that is audited; without a reason hide them again."""
    form = await visit.request.form()
    reason = str(form.get("reason") or "").strip()[:200]
    allowed = visit.may("persons:break_glass")
    await visit.doors.signing.break_glass(
        visit.cookie, visit.session, reason if allowed and reason else None, visit.now
    )
    return visit.back(local_path(str(form.get("next") or "/people")), "glass")


def to_sign_in(path: str) -> str:
    """Return where somebody signs in who wanted to see `path`."""
    return "/sign-in" if path == "/" else f"/sign-in?{urlencode({'next': path})}"


def _set(answer: Response, wired: Doors, name: str, value: str, *, max_age: int | None = None) -> None:
    answer.set_cookie(name, value, max_age=max_age, path="/", secure=wired.secure, httponly=True, samesite="lax")


def _failed(request: Request, wired: Doors, code: str, status: int) -> Response:
    return wired.pages.render(request, "sign_in_failed.html", status=status, code=code)
