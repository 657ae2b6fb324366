"""The page of somebody who has a code and no password: no session, no desk, and works without script."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from services.portal.api.door import Doors, ForgedRequest, doors
from services.portal.api.pages import LANGUAGE
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.sessions import masked, new_csrf, unmasks_to
from services.portal.domain.work import View
from services.portal.handlers.asking import Asking
from services.portal.ports import Bearer

open_router = APIRouter(tags=["activation"])

ACTIVATE_PATH = "/activate"
DEADLINE_SECONDS = 55.0
"""Longer than accounts takes at most, with a target that hangs."""
_YEAR, _HOUR = 31_536_000, 3_600
_MOST = 1_000


class Rules(View):
    """What a password needs before any target judges it."""

    shortest: int
    longest: int


class TargetOutcome(View):
    """What became of the password in one target."""

    target: str
    outcome: str


class Activated(View):
    """The password is set: in all (`done`) or in some of the targets."""

    state: str
    targets: list[TargetOutcome]
    opens_at: datetime | None = None


@open_router.get(ACTIVATE_PATH)
async def form(request: Request, lang: Annotated[Literal["sv", "en"] | None, Query()] = None) -> Response:
    """Ask for login, code and password; `lang` chooses the language for good."""
    wired = doors(request)
    if lang is not None:
        chosen = RedirectResponse(ACTIVATE_PATH, 303)
        _set(chosen, wired, LANGUAGE, lang, _YEAR)
        return chosen
    return await _form(request, wired)


@open_router.post(ACTIVATE_PATH)
async def choose(request: Request) -> Response:
    """Set the password. Nothing that was written is shown again but the login and the code."""
    wired = doors(request)
    given = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    _ours(request, wired, given.get("csrf", ""))
    login, code = given.get("login", "").strip()[:_MOST], given.get("code", "").strip()[:_MOST]
    password, again = given.get("password", ""), given.get("again", "")
    wrong = next((name for name in ("login", "code", "password") if not given.get(name, "").strip()), None)
    if wrong is None and password != again:
        wrong = "again"
    if wrong is not None:
        return await _form(request, wired, login=login, code=code, wrong=wrong, status=422)
    body = {"login": login, "code": code, "password": password}
    done = await _stranger(request, wired).post(
        Activated, "accounts", "/v1/activations", body, deadline=DEADLINE_SECONDS
    )
    if done.value is None:
        return await _form(request, wired, login=login, code=code, trouble=done.trouble, status=422)
    return wired.pages.render(request, "activation/activated.html", done=done.value)


def _stranger(request: Request, wired: Doors) -> Asking:
    async def none_newer() -> str | None:
        return None

    return Asking(wired.api, Bearer(None, client=request.client.host if request.client else None), none_newer)


async def _form(
    request: Request,
    wired: Doors,
    *,
    login: str = "",
    code: str = "",
    wrong: str | None = None,
    trouble: Trouble | None = None,
    status: int = 200,
) -> Response:
    rules: Part[Rules] = await _stranger(request, wired).get(Rules, "accounts", "/v1/activations")
    secret = _secret(request, wired)
    answer = wired.pages.render(
        request,
        "activation/activate.html",
        status=status,
        csrf=masked(secret),
        rules=rules,
        login=login,
        code=code,
        wrong=wrong or _wrong_field(trouble),
        trouble=trouble,
    )
    _set(answer, wired, _cookie(wired), secret, _HOUR)
    return answer


def _wrong_field(trouble: Trouble | None) -> str | None:
    """Return the field that a refusal is about; login and code are not told apart."""
    if trouble is None:
        return None
    return {"account.password_refused": "password", "activation.invalid": "code", "activation.expired": "code"}.get(
        trouble.code
    )


def _ours(request: Request, wired: Doors, token: str) -> None:
    """Let only our own page through: its form carries what its cookie holds (double submit), masked."""
    origin = request.headers.get("Origin")
    kept = request.cookies.get(_cookie(wired), "")
    if (origin is not None and origin != wired.origin) or not _is_secret(kept) or not unmasks_to(token, kept):
        raise ForgedRequest


def _secret(request: Request, wired: Doors) -> str:
    kept = request.cookies.get(_cookie(wired), "")
    return kept if _is_secret(kept) else new_csrf()


def _is_secret(text: str) -> bool:
    return len(text) == len(new_csrf()) and set(text) <= set("0123456789abcdef")


def _cookie(wired: Doors) -> str:
    return f"{wired.cookie}-activation"


def _set(answer: Response, wired: Doors, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=wired.secure, httponly=True, samesite="lax")
