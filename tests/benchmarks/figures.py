"""Printing figures: ours and the floor's, round by round, their medians, and what else the machine was doing."""

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local.processes import descendants

TICKS = os.sysconf("SC_CLK_TCK")


def show(text: str) -> None:
    """Print a line of the report."""
    print(text, flush=True)


def compare(name: str, unit: str, ours: Sequence[float], floor: Sequence[float], *, target: float) -> float:
    """Print rates beside the floor's; return the ratio of the medians."""
    mine, bare = statistics.median(ours), statistics.median(floor)
    share = mine / bare
    show(
        f"  {name}: {mine:,.0f} {unit}, floor {bare:,.0f}: {share:.0%} of the floor (target {target:.0%})"
        f"   [{_rounds(ours)} | {_rounds(floor)}]"
    )
    return share


def measured(name: str, value: str, target: str) -> None:
    """Print one value beside its target."""
    show(f"  {name}: {value} (target {target})")


def _rounds(values: Sequence[float]) -> str:
    return " ".join(f"{value:,.0f}" for value in values)


@contextmanager
def chapter(title: str) -> Iterator[None]:
    """Print a heading, and at the end what else the machine did meanwhile."""
    show(f"\n{title}")
    since, busy, own = time.monotonic(), _busy(), _own()
    yield
    seconds = time.monotonic() - since
    others = max(0.0, (_busy() - busy) - (_own() - own)) / seconds
    show(
        f"  beside us others kept {others:.1f} of {os.cpu_count()} cores busy (load {os.getloadavg()[0]:.1f},"
        f" {seconds:.0f} s)"
    )


def _busy() -> float:
    """Return the seconds of CPU that the whole machine has used."""
    user, nice, system = (int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:4])
    return (user + nice + system) / TICKS


def _own() -> float:
    """Return the seconds of CPU that we and all below us have used, those that have ended and were waited for too."""
    total = 0
    for pid in (os.getpid(), *descendants(os.getpid())):
        try:
            fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / TICKS
