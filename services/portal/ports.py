"""What the portal needs from outside."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.kernel.security import Principal
from services.portal.domain.answers import Refused, Unreachable

__all__ = [
    "Api",
    "Bearer",
    "Content",
    "Grant",
    "Provider",
    "ProviderUnavailable",
    "Refused",
    "SignInRefused",
    "Unreachable",
]


@dataclass(frozen=True)
class Bearer:
    """On whose behalf an API is asked, and why protected identities are, if so; `poll`: a page asks by itself.

    Without a token nobody in particular asks, from the browser's address `client`.
    """

    token: str | None
    reason: str | None = None
    poll: bool = False
    client: str | None = None


Content = Callable[[], AsyncIterator[bytes]]
"""A body that is sent as it is read; each call begins it anew."""


class Api(Protocol):
    """The other services by HTTP."""

    async def call(
        self,
        bearer: Bearer,
        method: str,
        service: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: Content | None = None,
        key: str | None = None,
        deadline: float | None = None,
    ) -> Any:
        """Return the parsed answer; `key` makes a POST idempotent, `deadline` (seconds) is for what takes longer.

        `content` is a file in the place of a body, sent in parts and never whole in memory.

        Raises:
            Unreachable: No answer, or none within the deadline.
            Refused: A problem (RFC 9457).
        """
        ...

    async def download(
        self, bearer: Bearer, service: str, path: str, *, query: Mapping[str, str] | None = None
    ) -> bytes:
        """Return a file.

        Raises:
            Unreachable: No answer, or none within the deadline.
            Refused: A problem (RFC 9457).
        """
        ...

    def stream(self, bearer: Bearer, service: str, path: str) -> AsyncIterator[bytes]:
        """Yield an event stream (WHATWG HTML, section 9.2) as it comes.

        Raises:
            Unreachable: It could not be had, or broke off.
        """
        ...


@dataclass(frozen=True)
class Grant:
    """What the provider gave: who it is, and tokens."""

    name: str
    principal: Principal
    access_token: str
    access_until: datetime
    refresh_token: str | None
    id_token: str


class ProviderUnavailable(Exception):
    """The provider does not answer; try again later."""


class SignInRefused(Exception):
    """The provider, or we, refuse; `code` says why and has a text in both languages."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Provider(Protocol):
    """The OpenID provider: authorization code flow with PKCE (RFC 6749, RFC 7636, OpenID Connect Core 1.0)."""

    async def authorization_url(self, *, state: str, nonce: str, verifier: str, language: str) -> str:
        """Return where to send the browser; the provider is asked for its pages in a language (`ui_locales`)."""
        ...

    async def redeem(self, code: str, *, nonce: str, verifier: str) -> Grant:
        """Exchange the code and check the ID token and the access token."""
        ...

    async def refresh(self, refresh_token: str, *, id_token: str, name: str) -> Grant:
        """Return newer tokens.

        Raises:
            SignInRefused: The provider does not know the person any more.
            ProviderUnavailable: Try again later.
        """
        ...

    async def sign_out_url(self, id_token: str) -> str | None:
        """Return where the provider signs people out (OpenID RP-Initiated Logout 1.0), if it does."""
        ...
