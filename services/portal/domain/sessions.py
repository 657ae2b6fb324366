"""What the portal remembers of a browser between requests. Pure; encrypted where it is stored."""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from hashlib import sha256
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

CSRF_BYTES = 32


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class SigningIn(_Kept):
    """A browser that has been sent to the provider and has not come back (RFC 6749 10.12, RFC 7636, OIDC nonce)."""

    kind: Literal["signing_in"] = "signing_in"
    state: str
    nonce: str
    verifier: str
    following: str


class Glass(_Kept):
    """One person, or what one search finds, is shown in spite of protection, until a time and for a reason.

    The reason goes with the requests that this concerns and with no others; the services audit it with every read.
    """

    reason: str
    until: datetime
    person: UUID | None = None
    search: str | None = None


class Session(_Kept):
    """Somebody who has signed in, for one organisation. Tokens stay here: no browser ever sees one.

    `person` is who that is among the organisation's own people, if the access token says so.
    """

    kind: Literal["signed_in"] = "signed_in"
    subject: str
    name: str
    organisation: str
    roles: tuple[str, ...]
    scopes: frozenset[str]
    person: UUID | None = None
    access_token: str
    access_until: datetime
    refresh_token: str | None
    id_token: str
    csrf: str
    glass: Glass | None = None

    def glass_at(self, now: datetime) -> Glass | None:
        """Return the broken glass, while it is."""
        return self.glass if self.glass is not None and now < self.glass.until else None


def login_cookie(prefix: str, state: str) -> str:
    """Return the cookie in which a browser carries one sign-in: each has its own, so tabs do not disturb each other."""
    return f"{prefix}-{sha256(state.encode()).hexdigest()[:16]}"


def new_id() -> str:
    """Return a session's id for a cookie: 256 bits that nobody can guess."""
    return secrets.token_urlsafe(32)


def stored_id(cookie: str) -> bytes:
    """Return what the database knows a session by: who reads the database cannot take a session over."""
    return sha256(cookie.encode()).digest()


def new_csrf() -> str:
    """Return a session's CSRF secret."""
    return secrets.token_hex(CSRF_BYTES)


def masked(csrf: str) -> str:
    """Return the secret under a mask of its own, so that compression tells nothing of it (BREACH)."""
    secret = bytes.fromhex(csrf)
    mask = secrets.token_bytes(len(secret))
    return urlsafe_b64encode(mask + bytes(a ^ b for a, b in zip(mask, secret, strict=True))).decode()


def unmasks_to(token: str, csrf: str) -> bool:
    """Tell whether a form's token is the session's secret."""
    try:
        raw = urlsafe_b64decode(token.encode())
    except ValueError:
        return False
    if len(raw) != 2 * CSRF_BYTES:
        return False
    secret = bytes(a ^ b for a, b in zip(raw[:CSRF_BYTES], raw[CSRF_BYTES:], strict=True))
    return hmac.compare_digest(secret, bytes.fromhex(csrf))


def local_path(wanted: str | None) -> str:
    """Return a path of the portal to go to; anything that could lead elsewhere becomes the start page."""
    if not wanted or not wanted.startswith("/") or wanted.startswith(("//", "/\\")) or not wanted.isprintable():
        return "/"
    return wanted
