"""Judging the cases of touched people at the end of a batch, in its transaction."""

from collections.abc import Sequence
from typing import Any

from services.kernel.database import Connection
from services.status.domain import cases, steps
from services.status.domain.steps import TROUBLED, Pass, Troubled
from services.status.store import judging
from services.status.store.judging import Target, Touched
from services.status.store.projection import Key


async def judge(conn: Connection, touched: Sequence[Touched]) -> None:
    """Judge the cases anew that what came can have changed."""
    found = await judging.revisions(conn, touched)
    if not found:
        return
    oldest: dict[Key, tuple[int, int]] = {}
    for (organisation, _), revisions in found.items():
        key, first = (organisation, revisions[0].person), min((one.generation, one.revision) for one in revisions)
        oldest[key] = min(first, oldest.get(key, first))
    ready = await judging.evaluated(conn, oldest)
    since = await judging.evaluators(conn, sorted({one.organisation for one in touched}))
    judged = [
        cases.judge(revisions, since.get(organisation, {}), ready.get((organisation, revisions[0].person), []))
        for (organisation, _), revisions in sorted(found.items())
    ]
    await judging.save_cases(conn, judged)


async def attend(conn: Connection, targets: Sequence[Target]) -> None:
    """Find out anew what needs a hand at these evaluators, and let their people's cases know."""
    passes = await judging.passes(conn, targets)
    details, later = await judging.troubled_steps(conn, targets)
    rows = [row for one in targets for row in _attention(one, [*passes[one], *later[one]], details[one])]
    await judging.save_attention(conn, targets, rows)
    await judging.flag(conn, sorted({one[:2] for one in targets}))


def _attention(
    target: Target, passes: Sequence[Pass], details: Sequence[tuple[Pass, Troubled]]
) -> list[dict[str, Any]]:
    since = steps.trouble_since(steps.merge(passes))
    if since is None:
        return []
    epoch = max((one.generation, one.epoch) for one in passes)
    newest = [detail for one, detail in details if (one.generation, one.epoch) == epoch]
    return [
        {
            "organisation": target[0],
            "person": target[1],
            "service": target[2],
            "target": target[3],
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
    ]
