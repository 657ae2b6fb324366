"""The OpenID provider: Authlib's grammar and claims, joserfc's signatures, httpx2's transport."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx2
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.kernel import telemetry
from services.kernel.clock import UTC
from services.kernel.problems import ProblemError
from services.kernel.security import ALGORITHMS, Authenticator, Principal
from services.portal.ports import Grant, ProviderUnavailable, SignInRefused

log = telemetry.get_logger(__name__)

TIMEOUT = 8.0
LEEWAY = 30
METADATA_SECONDS = 3600.0
SHORT, LONG = timedelta(minutes=5), timedelta(days=1)
"""How long an access token is taken to be good when the provider does not say, and at most."""
_UNUSABLE = (httpx2.HTTPError, httpx2.InvalidURL, ValueError, RecursionError)
"""No answer, or one that is not JSON."""


class OpenIdProvider:
    """One provider, discovered at first use (OpenID Connect Discovery 1.0) and again after an hour.

    Args:
        issuer: The provider; its ID tokens must name exactly this.
        client_id: Who we are there.
        client_secret: Our secret there; None for a public client, which PKCE alone protects.
        scope: What is asked for; `openid` is among it.
        redirect_uri: Where the provider sends people back to.
        signed_out_uri: Where it sends them after signing out.
        audience: The API that the access token is for (RFC 8707).
        authenticator: What our APIs check access tokens with.
    """

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        client_secret: str | None,
        scope: str,
        redirect_uri: str,
        signed_out_uri: str,
        audience: str,
        authenticator: Authenticator,
        client: httpx2.AsyncClient | None = None,
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._secret = client_secret
        self._scope = scope
        self._redirect_uri = redirect_uri
        self._signed_out_uri = signed_out_uri
        self._audience = audience
        self._authenticator = authenticator
        self._http = client or httpx2.AsyncClient(timeout=TIMEOUT)
        self._metadata: dict[str, Any] = {}
        self._read_at = 0.0

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def authorization_url(self, *, state: str, nonce: str, verifier: str, language: str) -> str:
        """Return where to send the browser; see `ports.Provider`."""
        return str(
            prepare_grant_uri(
                await self._endpoint("authorization_endpoint"),
                self._client_id,
                "code",
                redirect_uri=self._redirect_uri,
                scope=self._scope,
                state=state,
                nonce=nonce,
                ui_locales=language,
                code_challenge=create_s256_code_challenge(verifier),
                code_challenge_method="S256",
                resource=self._audience if self._audience.startswith("https://") else None,
            )
        )

    async def redeem(self, code: str, *, nonce: str, verifier: str) -> Grant:
        """Exchange the code and check both tokens; see `ports.Provider`."""
        told = await self._token(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect_uri,
                "code_verifier": verifier,
            }
        )
        id_token = str(told.get("id_token", ""))
        claims = await self._checked(id_token, nonce=nonce, access_token=str(told["access_token"]))
        name = str(claims.get("name") or claims.get("preferred_username") or claims["sub"])
        grant = await self._grant(told, id_token=id_token, name=name)
        # RFC 9068 and OpenID Connect name people alike: both tokens must be about the same one
        if grant.principal.subject != claims["sub"]:
            raise SignInRefused("sign_in.other_person")
        return grant

    async def refresh(self, refresh_token: str, *, id_token: str, name: str) -> Grant:
        """Return newer tokens; a provider that rotates refresh tokens gives a new one (RFC 6749, section 6)."""
        told = await self._token({"grant_type": "refresh_token", "refresh_token": refresh_token})
        return await self._grant({"refresh_token": refresh_token, **told}, id_token=id_token, name=name)

    async def sign_out_url(self, id_token: str) -> str | None:
        """Return where the provider signs people out, if it does."""
        try:
            endpoint = (await self._discovered()).get("end_session_endpoint")
        except ProviderUnavailable:
            return None
        if not endpoint:
            return None
        query = {"id_token_hint": id_token, "post_logout_redirect_uri": self._signed_out_uri}
        return str(httpx2.URL(str(endpoint), params=query))

    async def _grant(self, told: Mapping[str, Any], *, id_token: str, name: str) -> Grant:
        access = str(told["access_token"])
        principal = await self._principal(access)
        until = datetime.fromtimestamp(time.time(), UTC) + lifetime(told.get("expires_in"))
        refresh = told.get("refresh_token")
        return Grant(name, principal, access, until, str(refresh) if refresh else None, id_token)

    async def _principal(self, access_token: str) -> Principal:
        """Read the access token as our APIs will: what they refuse is no sign-in."""
        try:
            return await self._authenticator.principal(f"Bearer {access_token}")
        except ProblemError as problem:
            if problem.status == 503:
                raise ProviderUnavailable(problem.code) from problem
            log.warning("sign_in.access_token_refused", code=problem.code)
            raise SignInRefused(problem.code) from problem

    async def _checked(self, id_token: str, *, nonce: str, access_token: str) -> dict[str, Any]:
        """Return the claims of an ID token (OpenID Connect Core 1.0, section 3.1.3.7)."""
        published = await self._get(await self._endpoint("jwks_uri"))
        try:
            keys = KeySet.import_key_set(published)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProviderUnavailable("jwks") from error
        try:
            decoded = jwt.decode(id_token, keys, algorithms=ALGORITHMS)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                options={
                    "iss": {"essential": True, "value": self._issuer},
                    "aud": {"essential": True, "value": self._client_id},
                },
                params={"nonce": nonce, "client_id": self._client_id, "access_token": access_token},
            )
            claims.validate(leeway=LEEWAY)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            log.warning("sign_in.id_token_refused", cause=type(error).__name__)
            raise SignInRefused("sign_in.id_token") from error
        return dict(claims)

    async def _token(self, form: Mapping[str, str]) -> dict[str, Any]:
        basic = httpx2.BasicAuth(self._client_id, self._secret) if self._secret is not None else None
        sent = dict(form) if basic else {**form, "client_id": self._client_id}
        try:
            answer = await self._http.post(
                await self._endpoint("token_endpoint"), data=sent, auth=basic or httpx2.USE_CLIENT_DEFAULT
            )
            told = answer.json()
        except _UNUSABLE as error:
            raise ProviderUnavailable(type(error).__name__) from error
        if answer.status_code >= 500:
            raise ProviderUnavailable(str(answer.status_code))
        if answer.is_error or not isinstance(told, dict) or "access_token" not in told:
            code = told.get("error") if isinstance(told, dict) else None
            log.warning("sign_in.token_refused", status=answer.status_code, code=str(code))
            raise SignInRefused("sign_in.refused")
        return told

    async def _endpoint(self, name: str) -> str:
        try:
            return str((await self._discovered())[name])
        except KeyError as error:
            raise ProviderUnavailable(name) from error

    async def _discovered(self) -> dict[str, Any]:
        if not self._metadata or time.monotonic() - self._read_at > METADATA_SECONDS:
            found = await self._get(get_well_known_url(self._issuer, external=True))
            # OpenID Connect Discovery 1.0, section 4.3: metadata of another issuer are not ours
            if not isinstance(found, dict) or found.get("issuer") != self._issuer:
                raise ProviderUnavailable("issuer")
            self._metadata, self._read_at = found, time.monotonic()
        return self._metadata

    async def _get(self, url: str) -> Any:
        try:
            answer = await self._http.get(url)
            answer.raise_for_status()
            return answer.json()
        except _UNUSABLE as error:
            raise ProviderUnavailable(type(error).__name__) from error


def lifetime(seconds: object) -> timedelta:
    """Return how long a token is good by `expires_in` (RFC 6749, section 5.1); text with some, absent with others."""
    try:
        found = float(str(seconds))
    except ValueError:
        return SHORT
    return min(timedelta(seconds=found), LONG) if 0 < found < 1e9 else SHORT
