"""The Entra token endpoint: client credentials with a secret or a signed assertion, and users' passwords for proofs.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow,
https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from deploy.simulators.graph.assertions import AssertionRefused, Assertions
from deploy.simulators.graph.calls import Answer, Json
from deploy.simulators.graph.entries import Entry, Kind, Secret
from deploy.simulators.graph.operations import GRAPH
from deploy.simulators.graph.tenants import App, Tenant, World

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class TokenRefused(Exception):
    """What the token endpoint answers instead of a token: an OAuth error and an AADSTS code."""

    def __init__(self, error: str, code: int, message: str, status: int = 400) -> None:
        super().__init__(error, code)
        self.error, self.code, self.message, self.status = error, code, message, status


@dataclass(frozen=True)
class Bearer:
    """Whom an access token speaks for."""

    id: str
    tenant: Tenant
    app: str
    roles: frozenset[str]
    expires: datetime

    @property
    def delegated(self) -> bool:
        """Whether it is a user's and not an app's own."""
        return not self.app


@dataclass(frozen=True)
class _Refresh:
    tenant: str
    user: str
    valid_from: str
    password: Secret | None


@dataclass
class Tokens:
    """Issues and reads tokens.

    Attributes:
        lifetime: Seconds that an access token is good for.
    """

    world: World
    lifetime: float = 3599
    _key: OctKey = field(default_factory=lambda: OctKey.import_key(secrets.token_bytes(32)))
    _assertions: Assertions = field(default_factory=Assertions)
    _refreshes: dict[str, _Refresh] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)
    _ended_until: datetime | None = None

    def metadata(self, key: str, root: str) -> Json | None:
        """Return a tenant's OpenID metadata, or None when there is no such tenant."""
        tenant = self.world.tenant(key)
        if tenant is None:
            return None
        base = f"{root}/{tenant.id}"
        return {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{root}/{key}/oauth2/v2.0/authorize",
            "token_endpoint": f"{root}/{key}/oauth2/v2.0/token",
            "jwks_uri": f"{root}/{key}/discovery/v2.0/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "tid", "oid"],
        }

    def issued(self, key: str, form: Mapping[str, str], root: str, changes: list[str]) -> Answer:
        """Answer a token request.

        Raises:
            TokenRefused: With the documented code.
        """
        tenant = self.world.tenant(key)
        if tenant is None:
            raise TokenRefused(
                "invalid_request",
                90002,
                f"Tenant '{key}' not found. Check to make sure you have the correct tenant ID.",
            )
        for name in ("grant_type", "client_id"):
            if not form.get(name):
                raise TokenRefused(
                    "invalid_request", 900144, f"The request body must contain the following parameter: '{name}'."
                )
        app = tenant.apps.get(form["client_id"].lower())
        if app is None:
            raise TokenRefused(
                "unauthorized_client",
                700016,
                f"Application with identifier '{form['client_id']}' was not found in the directory '{tenant.name}'.",
            )
        match form["grant_type"]:
            case "client_credentials":
                return self._for_app(tenant, app, form, f"{root}/{key}", root)
            case "password":
                return self._for_password(tenant, app, form, changes)
            case "refresh_token":
                return self._for_refresh(tenant, app, form)
        raise TokenRefused(
            "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{form['grant_type']}'."
        )

    def read(self, header: str | None) -> Bearer | None:
        """Return whom an `Authorization` header speaks for, also of an expired token; None when it is none."""
        scheme, _, text = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            return None
        try:
            claims = jwt.decode(text, self._key, algorithms=["HS256"]).claims
        except (JoseError, ValueError):
            return None
        tenant = self.world.tenants.get(str(claims.get("tid")))
        if tenant is None:
            return None
        expires = datetime.fromtimestamp(float(claims["exp"]), self.world.clock.now().tzinfo)
        return Bearer(claims["jti"], tenant, claims.get("appid", ""), frozenset(claims.get("roles", ())), expires)

    def valid(self, bearer: Bearer) -> bool:
        """Say whether the token is good now."""
        issued = bearer.expires - timedelta(seconds=self.lifetime)
        ended = bearer.id in self._ended or (self._ended_until is not None and issued <= self._ended_until)
        return not ended and self.world.clock.now() < bearer.expires

    def end(self, bearer: Bearer | None) -> None:
        """Let a token expire now; without one, all that have been issued."""
        if bearer is None:
            self._ended_until = self.world.clock.now()
        else:
            self._ended.add(bearer.id)

    def _for_app(self, tenant: Tenant, app: App, form: Mapping[str, str], authority: str, root: str) -> Answer:
        self._authenticate(tenant, app, form, authority)
        scopes = form.get("scope", "").split()
        if len(scopes) != 1 or not scopes[0].endswith("/.default"):
            raise TokenRefused(
                "invalid_scope",
                1002012,
                f"The provided value for scope {form.get('scope', '')} is not valid. Client credential flows must have "
                "a scope value with /.default suffixed to the resource identifier (application ID URI).",
            )
        resource = scopes[0].removesuffix("/.default")
        if resource not in (GRAPH, root):
            raise TokenRefused(
                "invalid_resource",
                500011,
                f"The resource principal named {resource} was not found in the tenant named {tenant.name}.",
            )
        claims: Json = {"appid": app.id, "roles": sorted(app.roles), "aud": resource}
        return Answer(200, self._token(tenant, claims), _UNSTORED)

    def _authenticate(self, tenant: Tenant, app: App, form: Mapping[str, str], authority: str) -> None:
        if assertion := form.get("client_assertion"):
            if form.get("client_assertion_type") != _ASSERTION:
                raise TokenRefused(
                    "invalid_request",
                    900144,
                    "The request body must contain the following parameter: 'client_assertion_type'.",
                )
            audiences = {
                f"{base}{end}"
                for base in (authority, f"{authority.rpartition('/')[0]}/{tenant.id}")
                for end in ("/oauth2/v2.0/token", "/v2.0")
            }
            # the client's clock is the machine's: how far a test has pushed ours is not its business
            wall = self.world.clock.now() - self.world.clock.offset
            try:
                self._assertions.check(assertion, app, audiences, wall)
            except AssertionRefused as refused:
                raise TokenRefused("invalid_client", refused.code, refused.message, 401) from refused
        elif secret := form.get("client_secret"):
            if not any(secrets.compare_digest(secret.encode(), one.encode()) for one in app.secrets):
                raise TokenRefused(
                    "invalid_client",
                    7000215,
                    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                    f"value, not the client secret ID, for a secret added to app '{app.id}'.",
                    401,
                )
        else:
            raise TokenRefused(
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
                401,
            )

    def _for_password(self, tenant: Tenant, app: App, form: Mapping[str, str], changes: list[str]) -> Answer:
        name = form.get("username", "")
        user = tenant.find(Kind.USER, name, tenant.now())
        if user is None:
            raise TokenRefused(
                "invalid_grant",
                50034,
                f"The user account {{EUII Hidden}} does not exist in the {tenant.name} directory.",
            )
        if user.password is None or not user.password.opens_with(form.get("password", "")):
            raise TokenRefused(
                "invalid_grant", 50126, "Error validating credentials due to invalid username or password."
            )
        _open(user)
        if user.must_change:
            raise TokenRefused("invalid_grant", 50055, "The password is expired.")
        changes.append(f"user.signedIn:{user.id}")
        return self._for_user(tenant, app, user)

    def _for_refresh(self, tenant: Tenant, app: App, form: Mapping[str, str]) -> Answer:
        kept = self._refreshes.get(form.get("refresh_token", ""))
        user = None if kept is None else tenant.find(Kind.USER, kept.user, tenant.now())
        if kept is None or kept.tenant != tenant.id or user is None:
            raise TokenRefused("invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.")
        if kept.valid_from != _valid_from(user) or kept.password != user.password:
            raise TokenRefused(
                "invalid_grant",
                50173,
                "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
            )
        _open(user)
        return self._for_user(tenant, app, user)

    def _for_user(self, tenant: Tenant, app: App, user: Entry) -> Answer:
        refresh = secrets.token_urlsafe(32)
        self._refreshes[refresh] = _Refresh(tenant.id, user.id, _valid_from(user), user.password)
        claims: Json = {"oid": user.id, "scp": "User.Read", "aud": GRAPH, "azp": app.id}
        return Answer(200, {**self._token(tenant, claims), "scope": "User.Read", "refresh_token": refresh}, _UNSTORED)

    def _token(self, tenant: Tenant, claims: Json) -> Json:
        expires = self.world.clock.now() + timedelta(seconds=self.lifetime)
        all_claims: dict[str, Any] = {
            **claims,
            "tid": tenant.id,
            "jti": secrets.token_urlsafe(12),
            "exp": expires.timestamp(),
        }
        token = jwt.encode({"alg": "HS256"}, all_claims, self._key)
        seconds = int(self.lifetime)
        return {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}


_UNSTORED = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}


def _valid_from(user: Entry) -> str:
    return str(user.properties["signInSessionsValidFromDateTime"])


def _open(user: Entry) -> None:
    if user.properties["accountEnabled"] is not True:
        raise TokenRefused("invalid_grant", 50057, "The user account is disabled.")
