"""JSON Lines of CloudEvents, in batches. Pure."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

BATCH = 500


@dataclass(frozen=True)
class Line:
    """One line of the file: its number from 1, its text, and the event, or None and why it cannot be read."""

    number: int
    text: str
    event: dict[str, Any] | None
    code: str = "json.invalid"
    reason: str = "not a JSON object"


@dataclass(frozen=True)
class Reject:
    """A line that was not accepted, and why."""

    line: int
    code: str
    reason: str
    text: str


@dataclass
class Tally:
    """How many events got which verdict, and those that were rejected."""

    verdicts: dict[str, int] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)

    def count(self, verdict: str) -> None:
        """Count one verdict."""
        self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1

    def reject(self, line: Line, code: str, reason: str, verdict: str = "rejected") -> None:
        """Count a reject and keep it."""
        self.count(verdict)
        self.rejects.append(Reject(line.number, code, reason, line.text))


def lines(source: Iterable[bytes]) -> Iterator[Line]:
    """Yield the lines that are not blank, each decoded by itself: one in another encoding spoils no other."""
    for number, raw in enumerate(source, start=1):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            reason = f"not UTF-8 at byte {error.start + 1} of the line"
            yield Line(number, raw.decode("utf-8", "backslashreplace").strip(), None, "text.encoding", reason)
            continue
        stripped = text.strip().lstrip("\ufeff")
        if not stripped:
            continue
        try:
            event = json.loads(stripped)
        except ValueError:
            event = None
        yield Line(number, stripped, event if isinstance(event, dict) else None)


def batches(source: Iterable[Line], size: int = BATCH) -> Iterator[list[Line]]:
    """Yield lists of at most `size` lines."""
    iterator = iter(source)
    while batch := list(islice(iterator, size)):
        yield batch


def judge(tally: Tally, batch: list[Line], verdicts: list[dict[str, Any]]) -> None:
    """Count the verdicts of a batch; they come in the order of its events.

    Raises:
        ValueError: There are not as many verdicts as events.
    """
    for line, verdict in zip(batch, verdicts, strict=True):
        status = str(verdict.get("status", "rejected"))
        if status not in {"rejected", "conflict"}:
            tally.count(status)
            continue
        problem = verdict.get("problem") or verdict
        errors = problem.get("errors") or [{}]
        where = "; ".join(f"{error.get('field', '')} {error.get('reason', '')}".strip() for error in errors)
        code = str(problem.get("code", errors[0].get("code", "unknown")))
        tally.reject(line, code, where or str(problem.get("title", "")), status)
