"""An OpenID provider for the local run: `python -m deploy.local.provider`. For development only.

It speaks the real protocol (authorization code with PKCE, RFC 6749 and 7636; OpenID Connect Core 1.0; rotating refresh
tokens), so the portal has one way in, here as in production. Instead of a password there is a page where one picks who
to be: an organisation and roles, and for a manager an employee number. Who that is among the organisation's people (the
claim `person`) it asks the status API, where a provider of one's own reads it in the directory. It signs with the local
issuer's key, and refuses to start outside development.
"""

import base64
import hashlib
import secrets
import sys
import time
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import httpx2
import uvicorn
from fastapi import FastAPI, Form, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.local.issuer import Issuer
from deploy.local.settings import ROOT
from services.kernel.security import Role
from services.kernel.settings import load_organisations

CODE_SECONDS = 60
PERSONS = {
    Role.OPERATIONS: "Disa Driftsson",
    Role.IT_READ: "Isak Teknik",
    Role.HR: "Hanna Personal",
    Role.MANAGER: "Malin Chef",
    Role.RECORDS: "Rut Registrator",
    Role.AUDITOR: "Rolf Revisor",
}
TEXTS = {
    "sv": {
        Role.OPERATIONS: "Drift: ser allt om driften, rättar, byter policy",
        Role.IT_READ: "IT: ser personer, ärenden och policy",
        Role.HR: "HR: ser personer och HR:s uppgifter, skyddade med skäl",
        Role.MANAGER: "Chef: ser personer och ärenden i sina egna enheter",
        Role.RECORDS: "Registrator: ser personer och uppgifter",
        Role.AUDITOR: "Revisor: ser drift, ärenden och policy",
        "title": "Logga in lokalt",
        "who": "Vem vill du vara?",
        "where": "Bara i den lokala körningen: i drift svarar organisationens egen inloggningstjänst.",
        "organisation": "Organisation",
        "roles": "Roller",
        "number": "Anställningsnummer, för den som är chef (tomt: en chef i demon)",
        "go": "Logga in",
        "back": "Avbryt",
    },
    "en": {
        Role.OPERATIONS: "Operations: sees all of how it runs, mends it, changes policy",
        Role.IT_READ: "IT: sees people, cases and policy",
        Role.HR: "HR: sees people and what HR told, protected ones with a reason",
        Role.MANAGER: "Manager: sees people and cases in the own units",
        Role.RECORDS: "Records: sees people and what HR told",
        Role.AUDITOR: "Auditor: sees operations, cases and policy",
        "title": "Local sign-in",
        "who": "Who do you want to be?",
        "where": "In the local run only: in production your organisation's own sign-in answers.",
        "organisation": "Organisation",
        "roles": "Roles",
        "number": "Employee number, for a manager (empty: a manager of the demo)",
        "go": "Sign in",
        "back": "Cancel",
    },
}

MANAGERS = {"alvsund": "400035", "bergby": "700002"}
"""Employee numbers of people of the demo who manage a unit: care of the elderly with all its homes, a fire station."""


class ProviderSettings(BaseSettings):
    """Read from `STAFETT_*`; `provider_url` is where browsers and the portal reach it, one address for both."""

    model_config = SettingsConfigDict(env_prefix="STAFETT_", extra="ignore", frozen=True)

    environment: Literal["development"]
    organisations: Path
    issuer_folder: Path
    http_host: str = "127.0.0.1"
    http_port: int = 18011
    provider_url: str
    portal_url: str
    status_url: str
    client_id: str = "stafett-portal"
    access_seconds: int = 300


@dataclass(frozen=True)
class _Person:
    organisation: str
    roles: tuple[str, ...]
    nonce: str
    challenge: str = ""
    person: str | None = None
    known_as: str | None = None
    made: float = field(default_factory=time.monotonic)

    @property
    def subject(self) -> str:
        return f"{'+'.join(self.roles) or 'nobody'}@{self.organisation}"

    @property
    def name(self) -> str:
        return self.known_as or next((PERSONS[Role(role)] for role in self.roles if role in PERSONS), "Nils Ingenroll")


def build(settings: ProviderSettings) -> FastAPI:
    """Return the provider."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    issuer = Issuer(settings.issuer_folder)
    base = settings.provider_url
    callback = f"{settings.portal_url}/sign-in/callback"
    known = load_organisations(settings.organisations)
    codes: dict[str, _Person] = {}
    refreshes: dict[str, _Person] = {}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        return JSONResponse({"status": "ready", "missing": []})

    @app.get("/.well-known/openid-configuration")
    async def metadata() -> JSONResponse:
        return JSONResponse(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "jwks_uri": f"{base}/jwks.json",
                "end_session_endpoint": f"{base}/sign-out",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
            }
        )

    @app.get("/jwks.json")
    async def jwks() -> Response:
        return Response(issuer.jwks.read_bytes(), media_type="application/json")

    @app.get("/authorize")
    async def authorize(
        client_id: str,
        redirect_uri: str,
        response_type: str,
        code_challenge: str,
        code_challenge_method: str,
        state: str = "",
        nonce: str = "",
        ui_locales: str = "sv",
    ) -> Response:
        asked = (client_id, redirect_uri, response_type, code_challenge_method)
        if asked != (settings.client_id, callback, "code", "S256"):
            return HTMLResponse("client_id, redirect_uri, response_type or code_challenge_method is wrong", 400)
        kept = {"state": state, "nonce": nonce, "code_challenge": code_challenge}
        language = next((one for one in ui_locales.split() if one in TEXTS), "sv")
        return HTMLResponse(_page({key: row.name for key, row in known.items()}, kept, settings.portal_url, language))

    @app.post("/authorize")
    async def choose(
        organisation: Annotated[str, Form()],
        state: Annotated[str, Form()],
        nonce: Annotated[str, Form()],
        code_challenge: Annotated[str, Form()],
        role: Annotated[list[str], Form(default_factory=list)],
        number: Annotated[str, Form()] = "",
    ) -> Response:
        chosen = _Person(organisation, tuple(sorted(role)), nonce, code_challenge)
        if Role.MANAGER in role:
            chosen = await _among_people(
                settings.status_url, issuer, chosen, number.strip() or MANAGERS.get(organisation)
            )
        code = secrets.token_urlsafe(24)
        codes[code] = chosen
        return RedirectResponse(f"{callback}?{urlencode({'code': code, 'state': state})}", 303)

    @app.post("/token")
    async def token(request: Request) -> JSONResponse:
        form = await request.form()
        if form.get("client_id") != settings.client_id:
            return JSONResponse({"error": "invalid_client"}, 401)
        person = _redeemed(form, codes, refreshes, callback)
        if person is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        refresh = secrets.token_urlsafe(24)
        refreshes[refresh] = person
        access = issuer.mint(
            person.organisation,
            (),
            subject=person.subject,
            lifetime=settings.access_seconds,
            roles=person.roles,
            person=person.person,
        )
        claims = {"sub": person.subject, "name": person.name, "nonce": person.nonce, "at_hash": _half_hash(access)}
        return JSONResponse(
            {
                "access_token": access,
                "id_token": issuer.sign({"iss": base, "aud": settings.client_id, **claims}, settings.access_seconds),
                "refresh_token": refresh,
                "token_type": "Bearer",
                "expires_in": settings.access_seconds,
            },
            headers={"Cache-Control": "no-store"},
        )

    @app.get("/sign-out")
    async def sign_out(post_logout_redirect_uri: Annotated[str, Query()] = "") -> Response:
        allowed = post_logout_redirect_uri == f"{settings.portal_url}/signed-out"
        return RedirectResponse(post_logout_redirect_uri if allowed else settings.portal_url, 303)

    app.mount("/static", StaticFiles(directory=ROOT / "services" / "portal" / "static"))
    return app


def _redeemed(form: Any, codes: dict[str, _Person], refreshes: dict[str, _Person], callback: str) -> _Person | None:
    """Return whose code or refresh token this is; each is good once."""
    if form.get("grant_type") == "refresh_token":
        return refreshes.pop(str(form.get("refresh_token")), None)
    person = codes.pop(str(form.get("code")), None)
    digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    if (
        person is None
        or form.get("redirect_uri") != callback
        or not secrets.compare_digest(challenge, person.challenge)
    ):
        return None
    return person if time.monotonic() - person.made < CODE_SECONDS else None


async def _among_people(status: str, issuer: Issuer, chosen: _Person, number: str | None) -> _Person:
    """Return who was chosen with the id and the name of the only one whom the number finds, or as it was."""
    token = issuer.mint(chosen.organisation, ["persons:read"], subject=f"provider@{chosen.organisation}", lifetime=60)
    try:
        async with httpx2.AsyncClient(base_url=status, timeout=3) as client:
            answer = await client.get(
                "/v1/persons", params={"q": number or "-", "limit": 2}, headers={"Authorization": f"Bearer {token}"}
            )
        answer.raise_for_status()
        found = answer.json()["items"]
    except (httpx2.HTTPError, ValueError, KeyError):
        return chosen
    return replace(chosen, person=found[0]["id"], known_as=found[0]["name"]) if len(found) == 1 else chosen


def _half_hash(access_token: str) -> str:
    """Return `at_hash` (OpenID Connect Core 1.0, section 3.1.3.6)."""
    digest = hashlib.sha256(access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def _page(organisations: dict[str, str], kept: dict[str, str], portal: str, language: str) -> str:
    say = {key: escape(text) for key, text in TEXTS[language].items()}
    hidden = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in kept.items())
    choices = "".join(f'<option value="{escape(key)}">{escape(name)}</option>' for key, name in organisations.items())
    roles = "".join(
        f'<p><label><input type="checkbox" name="role" value="{role}"{" checked" if role is Role.OPERATIONS else ""}> '
        f"{say[role]}</label></p>"
        for role in PERSONS
    )
    return f"""<!doctype html>
<html lang="{language}" data-theme="auto"><head><meta charset="utf-8"><title>{say["title"]} · Stafett</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/static/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/tokens.css"><link rel="stylesheet" href="/static/shell.css">
<link rel="stylesheet" href="/static/parts.css"></head>
<body><main><form class="alone" method="post" action="/authorize">{hidden}
<p class="brand"><svg class="icon" aria-hidden="true"><use href="/static/icons.svg#baton"></use></svg>Stafett</p>
<h1>{say["who"]}</h1>
<p>{say["where"]}</p>
<p class="field"><label for="organisation">{say["organisation"]}</label>
<select id="organisation" name="organisation">{choices}</select></p>
<fieldset class="choices"><legend>{say["roles"]}</legend>{roles}</fieldset>
<p class="field"><label for="number">{say["number"]}</label>
<input id="number" name="number" autocomplete="off" maxlength="64"></p>
<p class="acts"><button class="button primary">{say["go"]}</button>
<a class="button" href="{escape(portal)}/signed-out">{say["back"]}</a></p></form></main></body></html>"""


def main() -> int:
    """Serve until stopped."""
    settings = ProviderSettings()
    config = uvicorn.Config(
        build(settings), host=settings.http_host, port=settings.http_port, lifespan="off", log_level="warning"
    )
    uvicorn.Server(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
