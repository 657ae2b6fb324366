"""Asking again while a server is away: the demo must get through a night in which everything is killed once."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

_SECONDS = 60.0
_PAUSE = 0.2


def again(ask: Callable[[], Answer], *away: type[Exception]) -> Answer:
    """Ask until there is an answer; all that is asked in the demo is safe to ask twice.

    Raises:
        Exception: The last of `away`, when nobody has answered for a minute; anything else at once.
    """
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            return ask()
        except away:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
