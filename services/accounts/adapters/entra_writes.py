"""Writes to users in Entra ID: what they look like, and reading back until it shows what was written."""

import asyncio
from collections.abc import Mapping
from typing import Any

from services.accounts.adapters.entra_attributes import EXTENSIONS, EntraOptions, User
from services.accounts.adapters.entra_search import EntraSearch
from services.accounts.ports import Stamp
from services.kernel.directory import Answer, Graph, Request
from services.kernel.failures import Failure, Transient


class EntraWrites:
    """The writes of the adapter. Nothing is remembered."""

    def __init__(self, graph: Graph, options: EntraOptions, look: EntraSearch) -> None:
        self._graph = graph
        self._options = options
        self._look = look

    async def write(self, request: Request, stamp: Stamp) -> Answer:
        """Carry a request out in the person's name, within what is left of the lease."""
        return await self._graph.write(request, subject=str(stamp.person), deadline=stamp.deadline)

    async def each(self, steps: list[Request], stamp: Stamp) -> None:
        """Carry requests out at once, each when the one before has succeeded.

        Raises:
            Failure: What the first that failed was refused by.
        """
        results = await self._graph.batch(steps, subject=str(stamp.person), ordered=True, deadline=stamp.deadline)
        for result in results:
            if isinstance(result, Failure):
                raise result

    async def close(self, user: User, body: Mapping[str, Any], stamp: Stamp) -> User:
        """Close, revoke, then write the rest, each when the one before has succeeded: a refused name closes nothing."""
        entry = str(user["id"])
        marks = self._options.marks(stamp.person, self._options.sessions(user))
        rest = {name: value for name, value in body.items() if name != EXTENSIONS}
        closing = patch(entry, {"accountEnabled": False, EXTENSIONS: marks})
        await self.each([closing, revoke(entry), *([patch(entry, rest)] if rest else [])], stamp)
        return await self.settled(entry, {"accountEnabled": False, **rest}, stamp)

    async def settled(self, entry: str, written: Mapping[str, Any], stamp: Stamp) -> User:
        """Read back until it shows what was written, for a few seconds; the caller judges what it then shows.

        Raises:
            Transient: It does not show at all.
        """
        user: User | None = None
        for wait in (0.0, *self._options.settle):
            await asyncio.sleep(wait)
            user = await self._look.user(entry, stamp.deadline)
            if user is not None and self._options.unchanged(user, written):
                break
        if user is None:
            raise Transient("account.not_replicated", entry=entry)
        return user


def patch(entry: str, body: Mapping[str, Any]) -> Request:
    """Return the request that changes properties."""
    return Request("PATCH", "/users/{id}", {"id": entry}, body=dict(body))


def revoke(entry: str) -> Request:
    """Return the request that ends all sessions."""
    return Request("POST", "/users/{id}/revokeSignInSessions", {"id": entry})
