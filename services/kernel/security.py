"""Who asks: JWT bearer tokens (RFC 6750, RFC 7519) checked against a JWKS, scopes, organisation claim. Default deny.

Machines carry rights in the claim `scope`; people carry roles in the claim `roles`, and `RIGHTS` says what each may.
Both hold for the one organisation that the token names, and what neither names is refused. The claim `person` says
which of the organisation's people the bearer is; who may read only their own staff sees nobody without it.
"""

import asyncio
import re
import time
import unicodedata
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import unquote
from uuid import UUID

import httpx2
import orjson
from fastapi import Request
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet
from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from services.kernel import telemetry
from services.kernel.problems import ProblemError

log = telemetry.get_logger(__name__)

ALGORITHMS = ["ES256", "ES384", "RS256", "PS256", "EdDSA"]
ACCESS_TOKEN = frozenset({"at+jwt", "application/at+jwt"})
"""What an access token calls itself (RFC 9068, section 2.1)."""
TYPES = ACCESS_TOKEN | {"jwt"}
"""What an access token may call itself: most issuers say JWT."""
ID_TOKEN = frozenset({"at_hash", "c_hash"})
"""Claims that only an ID token has (OpenID Connect Core 1.0, section 3.3.2.11)."""
LEEWAY = 30
REREAD_SECONDS = 30.0
REMEMBERED = 1_000
"""Verified tokens whose signatures are not checked again while the keys are the same; their times always are."""
READ_OWN = MappingProxyType({"persons:read": "persons:read_own", "cases:read": "cases:read_own"})
"""What narrows a right to the people of the bearer's own units; who has the right itself is not narrowed."""
ACTIVATE, ACTIVATE_OWN = "accounts:activate", "accounts:activate_own"
"""Fetches the code by which somebody sets their first password: of everybody, or of the own units."""
READ_PROTECTED = "persons:read_protected"
"""Sees people with a protected identity always: for machines that cannot do without."""
BREAK_GLASS = "persons:break_glass"
"""Sees people with a protected identity in a request that gives a reason (`REASON_HEADER`), which is audited."""
REASON_HEADER = "Stafett-Reason"
"""Why a protected identity is looked at: UTF-8, percent-encoded (RFC 3986, section 2.1), at most 200 characters."""
REASON_LENGTH = 200
POLL_HEADER = "Stafett-Poll"
"""`1`: a page asks again by itself; what it has shown the reader lately is not recorded as read once more."""
_ORGANISATION = re.compile(r"^[a-z][a-z0-9-]{1,62}$")


class Role(StrEnum):
    """What a person is in an organisation. The identity provider says it; `RIGHTS` says what it permits."""

    IT_READ = "it_read"
    OPERATIONS = "operations"
    HR = "hr"
    MANAGER = "manager"
    RECORDS = "records"
    AUDITOR = "auditor"


RIGHTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        # "What has she got, what is missing, why?"
        Role.IT_READ: frozenset({"persons:read", "cases:read", "organisation:read", "policy:read", "targets:read"}),
        # Watches and mends: commands, dead letters, replays, policy, files; helps people in the first time.
        Role.OPERATIONS: frozenset(
            {
                "persons:read",
                "cases:read",
                "commands:write",
                "files:write",
                "organisation:read",
                "organisation:write",
                "operations:read",
                "operations:write",
                "policy:read",
                "policy:write",
                "targets:read",
                "targets:write",
                ACTIVATE,
            }
        ),
        # Knows the facts that HR told, sends its files and says who is who; sees protected identities for a reason.
        # Keeps the organisation's units, where they are kept here.
        Role.HR: frozenset(
            {
                "persons:read",
                "cases:read",
                "organisation:read",
                "organisation:write",
                "records:read",
                "files:write",
                "identity:write",
                BREAK_GLASS,
            }
        ),
        # How far are mine? Nobody else's, and no more than how far they are; and the code for their first day.
        Role.MANAGER: frozenset({*READ_OWN.values(), "organisation:read", ACTIVATE_OWN}),
        # Answers for what was known when, and for what is to be known no more.
        Role.RECORDS: frozenset({"persons:read", "organisation:read", "records:read", "erasure:write"}),
        # Sees how it is run and who looked at whom; changes nothing.
        Role.AUDITOR: frozenset(
            {
                "persons:read",
                "cases:read",
                "operations:read",
                "organisation:read",
                "policy:read",
                "targets:read",
                "audit:read",
            }
        ),
    }
)
"""Scopes by role. A role that is not here permits nothing."""


def rights(roles: Iterable[str]) -> frozenset[str]:
    """Return the scopes that roles give; an unknown role gives none."""
    return frozenset[str]().union(*(RIGHTS.get(role, frozenset()) for role in roles))


@dataclass(frozen=True)
class Principal:
    """The bearer of a valid token: acts for exactly one organisation.

    `scopes` are those of the token and of its roles. `person` is the bearer among the organisation's own people, if the
    token says so. `reason` is why protected identities are asked for, when they are. `poll`: nobody asked, a page that
    stands open did.
    """

    subject: str
    organisation: str
    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    person: UUID | None = None
    reason: str | None = None
    poll: bool = False


class KeysUnavailable(Exception):
    """The JWKS cannot be read; no token can be checked."""


class Authenticator:
    """Checks signature, issuer, audience, expiry, organisation; keys are cached and read again when one is unknown."""

    def __init__(
        self, jwks: str, issuer: str, audience: str, *, max_age: float = 300.0, now: Callable[[], float] = time.time
    ) -> None:
        self._location = jwks
        self._max_age = max_age
        self._keys: KeySet | None = None
        self._read_at = 0.0
        self._verified: dict[str, dict[str, Any]] = {}
        self._rules = jwt.JWTClaimsRegistry(
            now=lambda: int(now()),
            leeway=LEEWAY,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        self._lock = asyncio.Lock()

    async def _load(self, *, force: bool = False) -> KeySet:
        """Return the keys: fresh ones at once, without a lock; old ones while the issuer cannot be reached."""
        age = time.monotonic() - self._read_at
        if self._keys is not None and age < self._max_age and not force:
            return self._keys
        async with self._lock:
            age = time.monotonic() - self._read_at
            if self._keys is not None and age < (REREAD_SECONDS if force else self._max_age):
                return self._keys
            try:
                self._keys = KeySet.import_key_set(await self._read())
                self._verified.clear()
            except (KeysUnavailable, JoseError, ValueError) as error:
                if self._keys is None:
                    raise KeysUnavailable(str(error)) from error
                log.warning("keys.not_read", cause=type(error).__name__)
            self._read_at = time.monotonic()
            return self._keys

    async def _read(self) -> Any:
        if self._location.startswith("https://"):
            try:
                async with httpx2.AsyncClient(timeout=5) as client:
                    answer = await client.get(self._location)
                    answer.raise_for_status()
                    return answer.json()
            except (httpx2.HTTPError, ValueError) as error:
                raise KeysUnavailable(str(error)) from error
        try:
            return orjson.loads(await asyncio.to_thread(Path(self._location).read_bytes))
        except (OSError, ValueError) as error:
            raise KeysUnavailable(str(error)) from error

    async def principal(self, authorization: str | None) -> Principal:
        """Return the bearer of the `Authorization` header.

        Raises:
            ProblemError: 401 with the reason, 503 when the keys cannot be read.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _unauthorised("token.missing", "A bearer token is needed")
        try:
            claims = await self._claims(token.strip())
        except KeysUnavailable as error:
            raise ProblemError(503, "keys.unavailable", "The signing keys cannot be read") from error
        except ExpiredTokenError as error:
            raise _unauthorised("token.expired", "The token has expired; fetch a new one") from error
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise _unauthorised("token.invalid", "The token is not valid here") from error
        organisation = claims.get("organisation")
        if not isinstance(organisation, str) or not _ORGANISATION.match(organisation):
            raise _unauthorised("token.organisation_missing", "The token names no organisation")
        roles = _roles(claims.get("roles"))
        return Principal(
            subject=str(claims["sub"]),
            organisation=organisation,
            scopes=frozenset(str(claims.get("scope", "")).split()) | rights(roles),
            roles=roles,
            person=_person(claims.get("person")),
        )

    async def _claims(self, token: str) -> dict[str, Any]:
        keys = await self._load()
        known = self._verified.get(token)
        if known is not None:
            self._rules.validate(known)
            return known
        if _key_id(token) not in {key.kid for key in keys.keys}:
            # the issuer may have rotated its keys since we read them
            keys = await self._load(force=True)
        decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
        kind = str(decoded.header.get("typ", "JWT")).lower()
        if kind not in TYPES or _is_id_token(kind, decoded.claims):
            raise ValueError("not an access token")
        self._rules.validate(decoded.claims)
        if len(self._verified) >= REMEMBERED:
            self._verified.clear()
        self._verified[token] = dict(decoded.claims)
        return self._verified[token]


def _is_id_token(kind: str, claims: Mapping[str, Any]) -> bool:
    """Tell whether a token says who has signed in, and not what its bearer may do.

    Where a client's id is the API's audience, the audience keeps none out. A `nonce` is the browser's sign-in (OpenID
    Connect Core 1.0, section 2) unless the token says what it is: by its type, or as Keycloak does, by a claim.
    """
    if claims.get("typ") == "ID" or not ID_TOKEN.isdisjoint(claims):
        return True
    return "nonce" in claims and kind not in ACCESS_TOKEN and claims.get("typ") != "Bearer"


def _key_id(token: str) -> object:
    header = orjson.loads(urlsafe_b64decode(token.partition(".")[0] + "=="))
    return header.get("kid") if isinstance(header, dict) else None


def _roles(claim: object) -> frozenset[str]:
    return frozenset(role for role in claim if isinstance(role, str)) if isinstance(claim, list) else frozenset()


def _person(claim: object) -> UUID | None:
    """Return who the bearer is; whom the directory has no mark for gets an empty claim from many a provider."""
    try:
        return UUID(claim) if isinstance(claim, str) else None
    except ValueError:
        return None


def reason_allowed(reason: str) -> bool:
    """Tell whether a reason may land in the audit: something on one line, at most `REASON_LENGTH` characters."""
    return 0 < len(reason) <= REASON_LENGTH and not any(unicodedata.category(one) == "Cc" for one in reason)


def _on_one_line(reason: str) -> str:
    if not reason_allowed(reason):
        raise PydanticCustomError("reason.invalid", "The reason is empty, too long or holds control characters")
    return reason


Reason = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_on_one_line)]
"""Why somebody decides something, as a field of a body: as `reason_allowed` has it, or it is refused by its name."""


def _given_reason(header: str | None) -> str | None:
    """Return the reason in the header, or None without one.

    Raises:
        ProblemError: 422, it is too long or holds control characters: it would land in the audit.
    """
    reason = unquote(header or "").strip()
    if reason and not reason_allowed(reason):
        raise ProblemError(422, "reason.invalid", "The reason is too long or holds control characters")
    return reason or None


def _unauthorised(code: str, title: str) -> ProblemError:
    return ProblemError(401, code, title, headers={"WWW-Authenticate": f'Bearer error="{code}"'})


def requires(*scopes: str) -> Callable[[Request], Awaitable[Principal]]:
    """Return a FastAPI dependency that lets only bearers of one of `scopes` in, of an organisation that we know."""

    async def principal(request: Request) -> Principal:
        found: Principal = await request.app.state.authenticator.principal(request.headers.get("authorization"))
        if found.organisation not in request.app.state.organisations:
            raise ProblemError(403, "organisation.unknown", "The token's organisation is not served here")
        if found.scopes.isdisjoint(scopes):
            needed = " or ".join(scopes)
            raise ProblemError(
                403, "scope.missing", "The token lacks a scope", detail=f"This needs the scope {needed}."
            )
        if request.headers.get(POLL_HEADER) == "1":
            found = replace(found, poll=True)
        if BREAK_GLASS in found.scopes and (reason := _given_reason(request.headers.get(REASON_HEADER))):
            return replace(found, scopes=found.scopes | {READ_PROTECTED}, reason=reason)
        return found

    return principal
