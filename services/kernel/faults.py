"""Named points at which a process can be killed, so that tests prove what survives (`CRASH_AT=relay.after_publish`)."""

import os
import signal
from collections import Counter


class CrashPoints:
    """Kills the process with SIGKILL at the armed point: `name`, or `name:n` for its n-th passing. Inert by default."""

    def __init__(self, armed: str | None = None) -> None:
        name, _, count = (armed or "").partition(":")
        self._name = name
        self._count = int(count or 1)
        self._passed: Counter[str] = Counter()

    def __call__(self, name: str) -> None:
        """Pass the point `name`; does not return when it is the armed one."""
        if name == self._name:
            self._passed[name] += 1
            if self._passed[name] == self._count:
                os.kill(os.getpid(), signal.SIGKILL)
