"""Server-sent events (WHATWG HTML, section 9.2): whose state has changed, as it is committed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.kernel.database import TRANSIENT, Database
from services.status.api import door
from services.status.domain.stream import Change
from services.status.handlers.streaming import Broadcast
from services.status.store import sight as sights

router = APIRouter(prefix="/v1", tags=["stream"])

LIFE_SECONDS = 300.0
"""A stream ends after five minutes; readers come back by themselves, and their token is looked at anew."""
GATHER_SECONDS = 1.0
"""How long changes are gathered for who sees some people only: whom of them is asked of the database once for all."""


def broadcast(request: Request) -> Broadcast:
    """Return what bootstrap wired."""
    found: Broadcast = request.app.state.broadcast
    return found


@router.get("/stream", response_class=EventSourceResponse)
async def stream(
    database: door.Projections, principal: door.CaseReader, broadcast: Annotated[Broadcast, Depends(broadcast)]
) -> AsyncIterable[ServerSentEvent]:
    """Tell of changes: `{"topic", "persons"}`; `persons` null means many, so look at everything anew.

    It begins with `ready`: what is committed after that is told. Protected people are never named, nor is anybody whom
    the reader does not see.
    """
    with broadcast.reader(principal.organisation) as changes:
        try:
            async with asyncio.timeout(LIFE_SECONDS):
                await broadcast.listening()
                yield ServerSentEvent(event="ready", data={})
                async with aclosing(_seen(database, principal, changes)) as seen:
                    async for change in seen:
                        said = change.shown(protected=principal.sight.protected)
                        if said is not None:
                            yield ServerSentEvent(event="changed", data=said)
        except (TimeoutError, *TRANSIENT):
            # the reader comes back by itself
            return


async def _seen(database: Database, principal: door.Reader, changes: asyncio.Queue[Change]) -> AsyncGenerator[Change]:
    """Yield changes as they come, or what is left of them for who sees some people only."""
    while principal.sight.staff is None:
        yield await changes.get()
    while True:
        gathered = [await changes.get()]
        await asyncio.sleep(GATHER_SECONDS)
        while not changes.empty():
            gathered.append(changes.get_nowait())
        named = {person for change in gathered for person in change.persons or ()}
        async with database.transaction() as conn:
            seen = await sights.seen(conn, principal.organisation, principal.sight, named)
        for change in gathered:
            left = change.among(seen)
            if left is not None:
                yield left
