"""Judging the cases of touched people at the end of a batch, in its transaction."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from services.kernel.database import Connection
from services.status.domain import cases, steps
from services.status.domain.cases import EvaluatorKey
from services.status.domain.steps import TROUBLED, Pass, Troubled
from services.status.store import judging
from services.status.store.judging import Touched
from services.status.store.projection import Key


async def judge(conn: Connection, touched: Sequence[Touched]) -> None:
    """Judge the open cases of these people anew, and the closed ones that could have changed."""
    found = await judging.revisions(conn, touched)
    if not found:
        return
    ready, _ = await judging.evaluated(conn, [(one.organisation, one.person) for one in touched])
    since = await judging.evaluators(conn, sorted({one.organisation for one in touched}))
    judged = [
        cases.judge(revisions, since.get(organisation, {}), ready.get((organisation, revisions[0].person), []))
        for (organisation, _), revisions in sorted(found.items())
    ]
    await judging.save_cases(conn, judged)


async def attend(conn: Connection, keys: Sequence[Key]) -> None:
    """Find out anew what needs a hand for these people, and let their cases know."""
    _, passes = await judging.evaluated(conn, keys)
    details, later = await judging.troubled_steps(conn, keys)
    rows = [row for key in keys for row in _attention(key, [*passes[key], *later[key]], details[key])]
    await judging.save_attention(conn, keys, rows)
    await judging.flag(conn, keys)


def _attention(key: Key, passes: Sequence[Pass], details: Sequence[tuple[Pass, Troubled]]) -> list[dict[str, Any]]:
    by_evaluator: dict[EvaluatorKey, list[Pass]] = defaultdict(list)
    for one in passes:
        by_evaluator[one.evaluator].append(one)
    rows: list[dict[str, Any]] = []
    for evaluator, of_one in sorted(by_evaluator.items()):
        since = steps.trouble_since(steps.merge(of_one))
        if since is None:
            continue
        epoch = max((one.generation, one.epoch) for one in of_one)
        newest = [
            detail for one, detail in details if one.evaluator == evaluator and (one.generation, one.epoch) == epoch
        ]
        rows.extend(
            {
                "organisation": key[0],
                "person": key[1],
                "service": evaluator[0],
                "target": evaluator[1],
                "ordinal": ordinal,
                "state": detail.state,
                "code": detail.code,
                "problem": detail.problem.model_dump(mode="json", by_alias=True) if detail.problem else None,
                "hold": detail.hold,
                "revision": detail.revision,
                "attempt": detail.attempt or 0,
                "since": max(since, detail.due) if detail.due else since,
                "recorded_at": detail.recorded_at,
                "retry_at": detail.retry_at,
                "due": detail.due,
            }
            for ordinal, detail in enumerate(steps.condense(newest))
            if detail.state in TROUBLED
        )
    return rows
