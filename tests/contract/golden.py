"""The golden examples: what may be said, and what may not, with the place and the kind of the error."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.generate import FOLDER

EXAMPLES = FOLDER / "examples"


@dataclass(frozen=True)
class Invalid:
    """An event that is refused: by schema and model, or by a rule that only the model knows."""

    event: dict[str, Any]
    refused_by: str
    location: list[str | int]
    error: str


def valid() -> list[Path]:
    """Return the files of valid events."""
    return sorted(EXAMPLES.glob("*/valid-*.json"))


def invalid() -> list[Path]:
    """Return the files of invalid events."""
    return sorted(EXAMPLES.glob("*/invalid-*.json"))


def name(path: Path) -> str:
    """Return how a test names an example."""
    return f"{path.parent.name.removeprefix('se.stafett.')}/{path.stem}"


def read(path: Path) -> dict[str, Any]:
    """Return a valid event."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def read_invalid(path: Path) -> Invalid:
    """Return an invalid event with what is expected of it."""
    found = read(path)
    return Invalid(found["event"], found["refusedBy"], found["location"], found["error"])
