"""Health. Live: the process can do its work. Open: its API can. Ready: nothing that it needs is missing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from fastapi import APIRouter
from fastapi.responses import JSONResponse

Check = Callable[[], Awaitable[str | None]]
"""Returns what is missing, in words, or None."""


class Health:
    """Collects checks; readiness names everything that is missing, the door only what its requests need."""

    def __init__(self) -> None:
        self._ready: list[Check] = []
        self._door: list[Check] = []
        self._live: list[Callable[[], bool]] = []

    def add(self, check: Check, *, door: bool = False) -> None:
        """Add something that readiness needs; `door`: without it no request can be answered."""
        self._ready.append(check)
        if door:
            self._door.append(check)

    def add_liveness(self, stalled: Callable[[], bool]) -> None:
        """Add a watchdog: true means that only a restart helps."""
        self._live.append(stalled)

    def router(self) -> APIRouter:
        """Return `/livez`, `/doorz` and `/readyz`: no authentication, no person data.

        Who spreads requests over replicas asks `/doorz`: what is accepted while the broker or a target is away is kept
        and told later, so a replica must not be taken out for that. `/readyz` is for people, and for a first start.
        """
        router = APIRouter(tags=["health"])

        @router.get("/livez")
        async def livez() -> JSONResponse:
            stalled = any(check() for check in self._live)
            return JSONResponse({"status": "stalled" if stalled else "live"}, 503 if stalled else 200)

        @router.get("/doorz")
        async def doorz() -> JSONResponse:
            return await _answer(self._door)

        @router.get("/readyz")
        async def readyz() -> JSONResponse:
            return await _answer(self._ready)

        return router


async def _answer(checks: Iterable[Check]) -> JSONResponse:
    # all at once: a probe does not wait for the sum of what is away
    found = await asyncio.gather(*(check() for check in checks))
    missing = [problem for problem in found if problem is not None]
    return JSONResponse({"status": "waiting" if missing else "ready", "missing": missing}, 503 if missing else 200)
