"""Health: live is not ready. Live: the process can do its work; ready: nothing that it needs is missing."""

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from fastapi.responses import JSONResponse

Check = Callable[[], Awaitable[str | None]]
"""Returns what is missing, in words, or None."""


class Health:
    """Collects checks; readiness names everything that is missing."""

    def __init__(self) -> None:
        self._ready: list[Check] = []
        self._live: list[Callable[[], bool]] = []

    def add(self, check: Check) -> None:
        """Add something that readiness needs."""
        self._ready.append(check)

    def add_liveness(self, stalled: Callable[[], bool]) -> None:
        """Add a watchdog: true means that only a restart helps."""
        self._live.append(stalled)

    def router(self) -> APIRouter:
        """Return `/livez` and `/readyz`: no authentication, no person data."""
        router = APIRouter(tags=["health"])

        @router.get("/livez")
        async def livez() -> JSONResponse:
            stalled = any(check() for check in self._live)
            return JSONResponse({"status": "stalled" if stalled else "live"}, 503 if stalled else 200)

        @router.get("/readyz")
        async def readyz() -> JSONResponse:
            # all at once: a probe does not wait for the sum of what is away
            found = await asyncio.gather(*(check() for check in self._ready))
            missing = [problem for problem in found if problem is not None]
            return JSONResponse(
                {"status": "waiting" if missing else "ready", "missing": missing}, 503 if missing else 200
            )

        return router
