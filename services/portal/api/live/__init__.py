"""What changes, as it changes: the status service's stream, passed on to the browser as the signed-in user."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response, StreamingResponse

from services.portal.api.door import Visit, entering
from services.portal.domain.answers import Unreachable

router = APIRouter()

Reader = Annotated[Visit, Depends(entering("cases:read"))]
AGAIN = b"retry: 5000\n\n"
"""How many milliseconds a browser waits before it comes back (WHATWG HTML, section 9.2.6)."""


@router.get("/live")
async def live(visit: Reader) -> Response:
    """Pass the stream on. When it breaks off the browser comes back, and pages look by themselves meanwhile."""

    async def pieces() -> AsyncIterator[bytes]:
        yield AGAIN
        try:
            async for piece in visit.ask.api.stream(visit.ask.bearer, "status", "/v1/stream"):
                yield piece
        except Unreachable:
            return

    return StreamingResponse(pieces(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
