"""Keyset cursors: opaque to the client, the sort key of the last row to us. Pure."""

import base64
import binascii
import json
from collections.abc import Sequence


class CursorRefused(ValueError):
    """The cursor was not made here."""


def encode(key: Sequence[str]) -> str:
    """Return the cursor that goes on after the row with this sort key."""
    return base64.urlsafe_b64encode(json.dumps(list(key), ensure_ascii=False).encode()).decode().rstrip("=")


def decode(cursor: str, parts: int) -> tuple[str, ...]:
    """Return the sort key in a cursor.

    Raises:
        CursorRefused: It is not a cursor of `parts` strings.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key = json.loads(raw)
    except (binascii.Error, ValueError) as error:
        raise CursorRefused("not a cursor") from error
    if not isinstance(key, list) or len(key) != parts or not all(isinstance(part, str) for part in key):
        raise CursorRefused("not a cursor of this list")
    if any("\x00" in part for part in key):
        raise CursorRefused("control characters are not allowed")
    return tuple(key)
