"""What changes, as it changes: the status service's stream, passed on to the browser as the signed-in user."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from services.portal.api.door import LIVE, Visit, entering
from services.portal.domain.answers import Unreachable
from services.portal.handlers.watching import Full, Seat

router = APIRouter()

Reader = Annotated[Visit, Depends(entering("cases:read", "cases:read_own"))]
AGAIN = b"retry: 5000\n\n"
"""How many milliseconds a browser waits before it comes back (WHATWG HTML, section 9.2.6)."""


class _Seated(StreamingResponse):
    """A stream that has a seat until it ends, however it ends."""

    def __init__(self, pieces: AsyncIterator[bytes], seat: Seat) -> None:
        super().__init__(pieces, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._seat = seat

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._seat:
            await super().__call__(scope, receive, send)


@router.get(LIVE)
async def live(visit: Reader) -> Response:
    """Pass the stream on. When it breaks off the browser comes back, and pages look by themselves meanwhile.

    503 when there are too many: the browser does not come back, and that page looks by the clock.
    """
    try:
        seat = visit.doors.seats.take(visit.cookie)
    except Full:
        return Response(status_code=503)

    async def pieces() -> AsyncIterator[bytes]:
        yield AGAIN
        try:
            async for piece in visit.ask.api.stream(visit.ask.bearer, "status", "/v1/stream"):
                yield piece
        except Unreachable:
            return

    return _Seated(pieces(), seat)
