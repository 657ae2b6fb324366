"""Client assertions: JWTs signed with a registered certificate's key.

https://learn.microsoft.com/entra/identity-platform/certificate-credentials
"""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from deploy.simulators.graph.tenants import App

_SKEW = timedelta(minutes=5)
_LONGEST = timedelta(hours=24)


class _Registry(jws.JWSRegistry):
    # a header with the certificate itself (x5c) is longer than the library expects
    max_header_length = 16_384


_REGISTRY = _Registry(algorithms=["RS256", "PS256"])


class AssertionRefused(Exception):
    """The assertion is not good; with the AADSTS code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code)
        self.code, self.message = code, message


@dataclass
class Assertions:
    """Checks assertions, and remembers each `jti` until it has expired."""

    _seen: dict[str, datetime] = field(default_factory=dict)

    def check(self, assertion: str, app: App, audiences: set[str], now: datetime) -> None:
        """Refuse an assertion that is not by this app, for us, now, and for the first time.

        Raises:
            AssertionRefused: With what is wrong.
        """
        certificate = _certificate(assertion, app)
        try:
            key = RSAKey.import_key(
                certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            )
            claims = jwt.decode(assertion, key, registry=_REGISTRY).claims
        except (JoseError, ValueError) as wrong:
            raise AssertionRefused(
                700027,
                "The certificate with identifier used to sign the client assertion is not "
                "registered on application, or its signature is invalid.",
            ) from wrong
        if claims.get("iss") != app.id or claims.get("sub") != app.id:
            raise AssertionRefused(
                700021, "Client assertion application identifier doesn't match 'client_id' parameter."
            )
        if claims.get("aud") not in audiences:
            raise AssertionRefused(700023, "Client assertion audience claim does not match Realm issuer.")
        expires = _moment(claims, "exp", now)
        begins = _moment({"nbf": claims.get("nbf", claims.get("iat", 0))}, "nbf", now)
        if expires + _SKEW <= now or begins - _SKEW > now or expires - now > _LONGEST:
            raise AssertionRefused(700024, "Client assertion is not within its valid time range.")
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise AssertionRefused(7000222, "The provided client certificate has expired.")
        self._once(claims, expires, now)

    def _once(self, claims: dict[str, Any], expires: datetime, now: datetime) -> None:
        identifier = claims.get("jti")
        self._seen = {one: until for one, until in self._seen.items() if until + _SKEW > now}
        if not identifier or identifier in self._seen:
            raise AssertionRefused(
                700027, "Client assertion failed validation: 'jti' is missing or has been used before."
            )
        self._seen[identifier] = expires


def _certificate(assertion: str, app: App) -> x509.Certificate:
    try:
        header = jws.extract_compact(assertion.encode(), registry=_REGISTRY).protected
    except (JoseError, ValueError) as wrong:
        raise AssertionRefused(50027, "JWT token is invalid or malformed.") from wrong
    for certificate in app.certificates:
        der = certificate.public_bytes(Encoding.DER)
        sha1 = _encoded(hashlib.sha1(der, usedforsecurity=False).digest())
        sha256 = _encoded(hashlib.sha256(der).digest())
        named = {name: str(header.get(name, "")).rstrip("=") for name in ("x5t", "x5t#S256")}
        if named["x5t#S256"] == sha256 or (not named["x5t#S256"] and named["x5t"] == sha1):
            return certificate
    raise AssertionRefused(
        700027, "The certificate with identifier used to sign the client assertion is not registered on application."
    )


def _moment(claims: dict[str, Any], name: str, now: datetime) -> datetime:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise AssertionRefused(700024, f"Client assertion is not within its valid time range: '{name}' is missing.")
    return datetime.fromtimestamp(value, now.tzinfo)


def _encoded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
