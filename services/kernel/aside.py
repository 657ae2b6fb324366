"""A thread with an event loop of its own, for what must not wait for the service's.

A door that takes in thousands of events holds its loop for a tenth of a second at a time; a dismissal that has been
committed must not queue behind that at every step of its publication.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop


class Aside:
    """Runs a coroutine in a thread of its own until cancelled; what it raises is raised here."""

    def __init__(self, name: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name = name
        self._main = main
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Start the thread and wait for its end; cancelling this cancels what runs there and waits for it."""
        here = asyncio.get_running_loop()
        ended: asyncio.Future[BaseException | None] = here.create_future()
        thread = threading.Thread(target=self._thread, args=(here, ended), name=self._name, daemon=True)
        thread.start()
        try:
            error = await asyncio.shield(ended)
        except asyncio.CancelledError:
            if self._loop is not None and self._task is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._task.cancel)
            await asyncio.wait({ended}, timeout=5)
            raise
        if error is not None:
            raise error

    def _thread(self, here: asyncio.AbstractEventLoop, ended: "asyncio.Future[BaseException | None]") -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.current_task()
            await self._main()

        found: BaseException | None = None
        try:
            uvloop.run(main())
        except asyncio.CancelledError:
            found = None
        except BaseException as error:  # noqa: BLE001 - it is raised again in the service's own thread
            found = error
        if not here.is_closed():
            here.call_soon_threadsafe(_settle, ended, found)


def _settle(ended: "asyncio.Future[BaseException | None]", found: BaseException | None) -> None:
    if not ended.done():
        ended.set_result(found)
