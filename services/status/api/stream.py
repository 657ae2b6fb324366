"""Server-sent events (WHATWG HTML, section 9.2): whose state has changed, as it is committed."""

import asyncio
from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.status.api import door
from services.status.handlers.streaming import Broadcast

router = APIRouter(prefix="/v1", tags=["stream"])

LIFE_SECONDS = 300.0
"""A stream ends after five minutes; readers come back by themselves, and their token is looked at anew."""


def broadcast(request: Request) -> Broadcast:
    """Return what bootstrap wired."""
    found: Broadcast = request.app.state.broadcast
    return found


@router.get("/stream", response_class=EventSourceResponse)
async def stream(
    principal: door.CaseReader, broadcast: Annotated[Broadcast, Depends(broadcast)]
) -> AsyncIterable[ServerSentEvent]:
    """Tell of changes: `{"topic", "persons"}`; `persons` null means many, so look at everything anew.

    It begins with `ready`: what is committed after that is told. Protected people are never named.
    """
    protected = door.sees_protected(principal)
    with broadcast.reader(principal.organisation) as changes:
        try:
            async with asyncio.timeout(LIFE_SECONDS):
                await broadcast.listening()
                yield ServerSentEvent(event="ready", data={})
                while True:
                    said = (await changes.get()).shown(protected=protected)
                    if said is not None:
                        yield ServerSentEvent(event="changed", data=said)
        except TimeoutError:
            return
