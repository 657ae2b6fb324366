"""The portal without a provider and without services: people who are signed in, and answers made up for a test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.kernel.security import Principal, rights
from services.portal.domain.answers import Refused, Unreachable
from services.portal.domain.sessions import Session, new_csrf
from services.portal.ports import Bearer, Content, Grant

Answer = Mapping[str, Any] | Exception | Callable[[Bearer], Mapping[str, Any]]


def session(now: datetime, *roles: str, **fields: Any) -> Session:
    """Somebody of Alvsund with these roles; hr without any. The token is good for an hour."""
    values: dict[str, Any] = {
        "subject": "hanna",
        "name": "Hanna",
        "organisation": "alvsund",
        "roles": roles or ("hr",),
        "scopes": rights(roles or ("hr",)),
        "access_token": "first",
        "access_until": now + timedelta(hours=1),
        "refresh_token": "refresh-1",
        "id_token": "i",
        "csrf": new_csrf(),
    }
    return Session.model_validate({**values, **fields})


@dataclass(frozen=True)
class Call:
    """One call of an API."""

    method: str
    service: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any] | None
    bearer: Bearer
    content: bytes | None = None
    key: str | None = None


@dataclass
class FakeApi:
    """The services, as a test says they answer; what it says nothing of does not answer."""

    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

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
        """Return, or raise, what the test said."""
        del deadline
        sent = None if content is None else b"".join([part async for part in content()])
        self.calls.append(Call(method, service, path, query or {}, body, bearer, sent, key))
        found = self.answers.get((method, path), Unreachable(service))
        if isinstance(found, Exception):
            raise found
        return found(bearer) if callable(found) else found

    async def download(
        self, bearer: Bearer, service: str, path: str, *, query: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the file that the test said."""
        found = await self.call(bearer, "GET", service, path, query=query)
        return bytes(found["content"])

    async def stream(self, bearer: Bearer, service: str, path: str) -> AsyncIterator[bytes]:
        """Say that it is ready, and end."""
        self.calls.append(Call("STREAM", service, path, {}, None, bearer))
        yield b"event: ready\ndata: {}\n\n"

    def reasons(self, path: str) -> list[str | None]:
        """Return the reason of each call of a path."""
        return [call.bearer.reason for call in self.calls if call.path == path]


def hidden_without_a_reason(found: Mapping[str, Any]) -> Callable[[Bearer], Mapping[str, Any]]:
    """Answer as the APIs do about somebody with a protected identity."""

    def answer(bearer: Bearer) -> Mapping[str, Any]:
        if bearer.reason is None:
            raise Refused(404, "person.unknown", "There is no such person")
        return found

    return answer


@dataclass
class FakeProvider:
    """An OpenID provider that renews tokens, after a while or never."""

    now: Callable[[], datetime]
    hold: Callable[[], Awaitable[None]] | None = None
    fails: Exception | None = None
    used: list[str] = field(default_factory=list)

    async def authorization_url(self, *, state: str, nonce: str, verifier: str, language: str) -> str:
        """Return an address that shows the state."""
        del nonce, verifier
        return f"https://provider.example/authorize?state={state}&ui_locales={language}"

    async def redeem(self, code: str, *, nonce: str, verifier: str) -> Grant:
        """Give tokens for any code."""
        del code, nonce, verifier
        return self._grant("redeemed")

    async def refresh(self, refresh_token: str, *, id_token: str, name: str) -> Grant:
        """Give newer tokens; a refresh token is good once."""
        del id_token, name
        self.used.append(refresh_token)
        if self.hold is not None:
            await self.hold()
        if self.fails is not None:
            raise self.fails
        return self._grant(f"after-{refresh_token}")

    async def sign_out_url(self, id_token: str) -> str | None:
        """Sign nobody out."""
        del id_token
        return None

    def _grant(self, token: str) -> Grant:
        principal = Principal("hanna", "alvsund", rights(["hr"]), frozenset({"hr"}))
        return Grant("Hanna", principal, token, self.now() + timedelta(hours=1), f"{token}-refresh", "i")
