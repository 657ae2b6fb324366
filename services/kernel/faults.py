"""Named points at which a process can be killed or frozen, so that tests prove what survives (`CRASH_AT=…`)."""

import signal
import threading
from collections import Counter


class CrashPoints:
    """Kills the process with SIGKILL at the armed point: `name`, or `name:n` for its n-th passing. Inert by default.

    `name:n/stop` freezes it with SIGSTOP instead: whoever wakes it has a process that does not know how late it is.
    """

    def __init__(self, armed: str | None = None) -> None:
        point, _, how = (armed or "").partition("/")
        name, _, count = point.partition(":")
        self._name = name
        self._count = int(count or 1)
        self._signal = signal.SIGSTOP if how == "stop" else signal.SIGKILL
        self._passed: Counter[str] = Counter()

    def __call__(self, name: str) -> None:
        """Pass the point `name`; does not return when it is the armed one, or not before somebody wakes the process."""
        if name == self._name:
            self._passed[name] += 1
            if self._passed[name] == self._count:
                # to this very thread: sent to the process, another thread may take it while this one goes on
                signal.pthread_kill(threading.get_ident(), self._signal)
