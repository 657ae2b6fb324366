"""Rendering: Jinja with autoescape and strict names, one environment for each language."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from babel import negotiate_locale
from babel.support import NullTranslations, Translations
from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

from services.kernel.clock import UTC
from services.kernel.settings import OrganisationSettings
from services.portal.api.desk import Desk, visible
from services.portal.domain.formats import Formats, Language
from services.portal.domain.sessions import Session, masked

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "static"
LANGUAGE, THEME, SAID = "language", "theme", "said"
SAID_CODES = frozenset(
    {
        "command",
        "policy",
        "glass",
        "switched",
        "decided",
        "proposed",
        "file",
        "same_file",
        "file_decided",
        "asked",
        "live",
        "units",
    }
)
_HEADER_LENGTH = 200


class Pages:
    """Everything that templates need."""

    def __init__(self, desks: Sequence[Desk], organisations: Mapping[str, OrganisationSettings]) -> None:
        self._desks = desks
        self.organisations = organisations
        self._versions = {
            path.relative_to(STATIC).as_posix(): sha256(path.read_bytes()).hexdigest()[:12]
            for path in STATIC.rglob("*")
            if path.is_file()
        }
        self._catalogues: dict[Language, NullTranslations] = {"sv": _catalogue("sv"), "en": NullTranslations()}
        self._environments: dict[Language, Environment] = {"sv": self._environment("sv"), "en": self._environment("en")}

    def _environment(self, language: Language) -> Environment:
        made = Environment(
            loader=FileSystemLoader([ROOT / "templates", ROOT / "api"]),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.install_gettext_translations(self._catalogues[language], newstyle=True)  # type: ignore[attr-defined]
        made.globals["static"] = self.static
        made.globals["act_address"] = _act_address
        return made

    @property
    def desks(self) -> Sequence[Desk]:
        """All desks, in the order of the navigation."""
        return self._desks

    def version(self, name: str) -> str | None:
        """Return the version of a static file, or None when there is no such file."""
        return self._versions.get(name)

    def static(self, name: str) -> str:
        """Return the address of a static file; it changes with the file, so browsers may keep it for ever."""
        return f"/static/{name}?v={self._versions[name]}"

    def say(self, request: Request, message: str) -> str:
        """Return a message of the catalogues in the reader's language."""
        return str(self._catalogues[language_of(request)].gettext(message))

    def formats(self, request: Request, organisation: OrganisationSettings | None = None) -> Formats:
        """Return how the reader sees values; UTC without an organisation."""
        return Formats(language_of(request), organisation.zone if organisation else UTC)

    def render(
        self,
        request: Request,
        template: str,
        *,
        session: Session | None = None,
        now: datetime | None = None,
        status: int = 200,
        **values: object,
    ) -> HTMLResponse:
        """Return a page, or a part of one."""
        language = language_of(request)
        organisation = self.organisations.get(session.organisation) if session else None
        said = request.cookies.get(SAID)
        theme = request.cookies.get(THEME)
        shown = {
            "session": session,
            "organisation": organisation,
            "nav": visible(self._desks, session.scopes) if session else [],
            "may": session.scopes if session else frozenset(),
            "csrf": masked(session.csrf) if session else "",
            "glass": session.glass_at(now) if session and now else None,
            "now": now,
            "f": self.formats(request, organisation),
            "language": language,
            "theme": theme if theme in {"light", "dark"} else "auto",
            "here": request.url.path,
            # a page that answers a form has no address of its own: whoever renders it says where it belongs
            "address": address_of(request) if request.method == "GET" else "/",
            "query": dict(request.query_params),
            "with_query": _with_query(request),
            "said": said if said in SAID_CODES else None,
            **values,
        }
        body = self._environments[language].get_template(template).render(shown)
        answer = HTMLResponse(body, status_code=status, headers={"Vary": "Cookie, Accept-Language, HX-Request"})
        whole = request.headers.get("HX-Request") is None
        if said and whole:
            answer.delete_cookie(SAID)
        if whole and session and now and (glass := session.glass_at(now)) and getattr(request.state, "opened", False):
            # what was shown for a while must not stay on the screen; a search shows nobody before it is asked
            answer.headers["Refresh"] = f"{ceil((glass.until - now).total_seconds())}; url=/people"
        return answer


def _catalogue(language: Language) -> NullTranslations:
    """Load a compiled catalogue; without one, which `make setup` compiles, the portal does not start.

    Raises:
        FileNotFoundError: It is not there.
    """
    folder = ROOT / "locale" / language / "LC_MESSAGES" / "portal.mo"
    with folder.open("rb") as file:
        return Translations(file, "portal")


def address_of(request: Request) -> str:
    """Return path and query of a request."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def language_of(request: Request) -> Language:
    """Return the reader's language: the choice, else what the browser prefers, else Swedish."""
    chosen = request.cookies.get(LANGUAGE)
    if chosen is None:
        wanted = request.headers.get("accept-language", "")[:_HEADER_LENGTH]
        preferred = [part.partition(";")[0].strip() for part in wanted.split(",")]
        chosen = negotiate_locale([one for one in preferred if one], ["sv", "en"], sep="-")
    return "en" if chosen == "en" else "sv"


def _with_query(request: Request) -> Any:
    """Return a function that gives this page's address with parts of its query changed; None takes one away."""

    def changed(**changes: object) -> str:
        merged = {**dict(request.query_params), **changes}
        kept = {name: str(value) for name, value in merged.items() if value is not None and value != ""}
        return request.url.path + (f"?{urlencode(kept)}" if kept else "")

    return changed


def _act_address(**fields: object) -> str:
    """Return where a command is asked for; what it is not about is left out."""
    return "/act?" + urlencode({name: value for name, value in fields.items() if value})
