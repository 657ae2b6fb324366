"""Asks a service's API as it is wired, without a network."""

from typing import Any

import httpx2

from services.kernel.runner import Service
from services.kernel.security import Principal


class FakeAuthenticator:
    """Takes the header for the principal: organisation and scopes."""

    async def principal(self, authorization: str | None) -> Principal:
        organisation, *scopes = (authorization or "").split()
        return Principal("urn:test:reader", organisation, frozenset(scopes))


async def ask(service: Service, method: str, path: str, principal: str, body: Any = None) -> tuple[int, Any]:
    """Return status and body; `principal` is read by the authenticator under test."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=service.app), base_url="http://x") as client:
        answer = await client.request(method, path, json=body, headers={"Authorization": principal})
        return answer.status_code, answer.json()
