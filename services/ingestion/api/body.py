"""Reading a request's body within limits, and as JSON with a position when it is not."""

from typing import Any

import orjson
from fastapi import Request

from services.kernel.problems import FieldError, ProblemError

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes of a request; a batch of 1,000 whole persons is about 2 MB."""


def _too_large(most: int) -> ProblemError:
    return ProblemError(
        413,
        "body.too_large",
        "The body is too large",
        detail=f"At most {most} bytes; send several batches.",
        headers={"Connection": "close"},
    )


async def limited(request: Request, most: int = BODY_LIMIT) -> bytes:
    """Return the body; one that is too large is refused before it is in memory.

    Raises:
        ProblemError: 413.
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return b"".join(parts)


def decoded(body: bytes) -> Any:
    """Return the body's JSON.

    Raises:
        ProblemError: 400 with line, column and character; never with what stands there.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        position = f"line {error.lineno}, column {error.colno}, character {error.pos}"
        raise ProblemError(
            400,
            "json.malformed",
            "The body is not JSON",
            detail=f"Malformed at {position}.",
            errors=[FieldError("", "json.malformed", f"malformed at {position}")],
        ) from error
