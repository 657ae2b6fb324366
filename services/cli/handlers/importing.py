"""Sending a file of events. Safe to repeat: ids are idempotent, so an interrupted import is simply run again."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from services.cli.domain.batches import BATCH, Line, Tally, batches, judge, lines
from services.cli.domain.failures import ApiProblem
from services.cli.ports import Api

PATH = "/v1/events"


def send(api: Api, source: Iterable[bytes], advance: Callable[[int], None], size: int = BATCH) -> Tally:
    """Send the events in batches and return the verdicts; `advance` is told the bytes of each batch that is done."""
    tally = Tally()
    for batch in batches(lines(source), size):
        events = []
        for line in batch:
            if line.event is None:
                tally.reject(line, line.code, line.reason)
            else:
                events.append(line)
        if events:
            _send(api, events, tally)
        advance(sum(len(line.text.encode()) + 1 for line in batch))
    return tally


def _send(api: Api, batch: list[Line], tally: Tally) -> None:
    try:
        verdicts = api.post_batch(PATH, [line.event for line in batch if line.event is not None])
    except ApiProblem as problem:
        if problem.status not in {400, 413, 422}:
            raise
        if len(batch) == 1:
            reason = "; ".join(f"{one.field} {one.reason}" for one in problem.errors) or problem.title
            tally.reject(batch[0], problem.code, reason)
            return
        # one event spoils the whole request: halve until it stands alone
        middle = len(batch) // 2
        _send(api, batch[:middle], tally)
        _send(api, batch[middle:], tally)
        return
    judge(tally, batch, verdicts)


def write_rejects(tally: Tally, path: Path) -> None:
    """Write each rejected line with its number, code and reason as JSON Lines; an older file is replaced."""
    if not tally.rejects:
        path.unlink(missing_ok=True)
        return
    with path.open("w", encoding="utf-8") as file:
        for reject in tally.rejects:
            file.write(json.dumps(vars(reject), ensure_ascii=False) + "\n")
