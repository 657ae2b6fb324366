"""Signals to a process and to everything below it.

A process group is not enough: PostgreSQL's backends are group leaders of their own, so the tree is read from /proc.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def _status(pid: int) -> list[str] | None:
    """Read state, parent and what follows from the kernel's line about a process, or None when it is gone."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The command name is in brackets and may itself hold spaces and brackets.
    return stat.rpartition(")")[2].split()


def alive(pid: int) -> bool:
    """Say whether the process runs; a zombie does not, unless other threads of it still hold files and ports."""
    status = _status(pid)
    if status is None:
        return False
    state, threads = status[0], int(status[17])
    return state not in "ZX" or threads > 1


def descendants(pid: int) -> list[int]:
    """List all processes below `pid`, parents before children."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (status := _status(int(entry.name))) is not None:
            children.setdefault(int(status[1]), []).append(int(entry.name))
    result: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(0), [])
        result += below
        waiting += below
    return result


def signal_tree(pid: int, number: signal.Signals) -> list[int]:
    """Send a signal to a process and everything below it; return whom it was sent to."""
    family = [pid, *descendants(pid)]
    for member in family:
        with suppress(ProcessLookupError):
            os.kill(member, number)
    return family


def kill_tree(pid: int, patience: float = 10.0) -> None:
    """Kill a process and everything below it with SIGKILL, and wait until nothing of it runs.

    Args:
        pid: The root of the tree.
        patience: Seconds to wait for the kernel to take the processes away.

    Raises:
        TimeoutError: Something of the tree still runs.
    """
    # Stopped first, so that no member can fork or tidy up between the listing and the kill.
    family = set(signal_tree(pid, signal.SIGSTOP))
    family.update(signal_tree(pid, signal.SIGKILL))
    for member in family:
        with suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    deadline = time.monotonic() + patience
    while any(alive(member) for member in family):
        if time.monotonic() > deadline:
            message = f"still running after SIGKILL: {sorted(filter(alive, family))}"
            raise TimeoutError(message)
        time.sleep(0.01)


def runs_in(pid: int, folder: Path) -> bool:
    """Say whether the process runs with `folder`, or a folder below it, as its working folder.

    This is how a pid that was read from a file is told from a stranger's that has got the same number.
    """
    try:
        here = (_PROC / str(pid) / "cwd").readlink()
    except OSError:
        return False
    return here.is_relative_to(folder.resolve()) and alive(pid)


def find(folder: Path, argument: str) -> int | None:
    """Find the process that works in exactly this folder and has this argument on its command line."""
    folder = folder.resolve()
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            here = (entry / "cwd").readlink()
            arguments = (entry / "cmdline").read_text(errors="replace").split("\0")
        except OSError:
            continue
        if here == folder and argument in arguments and alive(int(entry.name)):
            return int(entry.name)
    return None
