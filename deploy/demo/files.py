"""The same events as files, one event a line, for `stafett import` and for reading."""

from pathlib import Path

from deploy.demo.generator import act_one, act_two, line
from deploy.demo.people import Plan
from deploy.demo.units import ALVSUND, ORGANISATIONS


def write(folder: Path, plan: Plan | None = None, *, people: int | None = None) -> list[tuple[Path, int]]:
    """Write both acts as JSON Lines, one file for each act and organisation.

    Args:
        folder: Where; it is made.
        plan: Seed and business date.
        people: How many people the municipality has; by default 1,000.

    Returns:
        Each file and how many events it holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = {
        f"act-1-{organisation.key}": act_one(organisation, people if organisation is ALVSUND else None, plan=plan)
        for organisation in ORGANISATIONS
    }
    sources[f"act-2-{ALVSUND.key}"] = iter(act_two(ALVSUND, people, plan=plan))
    written = []
    for name, told in sources.items():
        path, count = folder / f"{name}.jsonl", 0
        with path.open("wb") as file:
            for count, one in enumerate(told, 1):  # noqa: B007 - the last count is the number of events
                file.write(line(one.event) + b"\n")
        written.append((path, count))
    return written
