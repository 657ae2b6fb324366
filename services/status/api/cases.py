"""Cases: lists with counts, and one case with its steps. What names people is audited in its own transaction."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from contracts.codes import CaseKind, Reason, StepState
from services.status.api import door
from services.status.api.persons import paused_step, step_view, steps_of
from services.status.domain import paging
from services.status.domain.cases import CaseState
from services.status.domain.views import CaseDetail, CaseItem, CasePage, EvaluatorView, StepView
from services.status.store import cases as store
from services.status.store import persons as person_store
from services.status.store.persons import EvaluationRow

router = APIRouter(prefix="/v1/cases", tags=["cases"])

PENDING = "evaluation.pending"
"""Code of what remains at an evaluator that has not brought the case's revision home and names no open step."""


@router.get("")
async def list_cases(
    database: door.Projections,
    principal: door.CaseReader,
    state: CaseState | None = None,
    kind: CaseKind | None = None,
    reason: Reason | None = None,
    person: UUID | None = None,
    since: Annotated[AwareDatetime | None, Query(description="Accepted at or after")] = None,
    limit: door.Limit = 50,
    cursor: door.Cursor = None,
) -> CasePage:
    """List cases, the newest first, with counts by kind and state of all that match, whatever their state."""
    place = door.position(cursor, 2)
    try:
        before = None if place is None else (door.instant(place[0]), UUID(place[1]))
    except ValueError as error:
        raise door.refused_cursor("not a cursor of this list") from error
    wanted = store.Filter(
        organisation=principal.organisation,
        sight=principal.sight,
        state=state,
        kind=kind,
        reason=reason,
        since=since,
        person=person,
    )
    async with database.transaction() as conn:
        rows = await store.listed(conn, wanted, before, limit + 1)
        counts = await store.counts(conn, wanted)
        shown = rows[:limit]
        await door.audit(conn, principal, "cases.listed", persons=[row.person for row in shown])
    last = shown[-1] if len(rows) > limit else None
    following = paging.encode([last.accepted_at.isoformat(), str(last.id)]) if last else None
    return CasePage(items=shown, cursor=following, counts=counts)


@router.get("/{case_id}", responses=door.NOT_FOUND)
async def get_case(database: door.Projections, principal: door.CaseReader, case_id: UUID) -> CaseDetail:
    """Show a case: each step, what it waits for, what remains, what has been done and how long it took."""
    async with database.transaction() as conn:
        case = await store.one(conn, principal.organisation, case_id, sight=principal.sight)
        if case is None:
            raise await door.denied(conn, principal, "case.read", None, "case", {"case": str(case_id)})
        rows = await person_store.evaluations(conn, principal.organisation, case.person)
        evaluators = await store.evaluators(conn, principal.organisation, case)
        history = await store.history(conn, principal.organisation, case)
        await door.audit(conn, principal, "case.read", subject=case.person, parameters={"case": str(case_id)})
    steps = steps_of_case(case, rows)
    return CaseDetail(
        **dict(case),
        evaluators=list(evaluators),
        steps=steps,
        remains=remains(case, steps, evaluators),
        history=list(history),
    )


def steps_of_case(case: CaseItem, rows: Sequence[EvaluationRow]) -> list[StepView]:
    """Return all steps of the newest evaluations that know the case; those due later are its follow-ups."""
    return [
        step_view(row.service, row.target, step, follow_up=step.due is not None and step.due > case.effective_at)
        for row in rows
        if row.revision >= case.revision
        for step in steps_of(row)
    ]


def remains(case: CaseItem, steps: Sequence[StepView], evaluators: Sequence[EvaluatorView]) -> list[StepView]:
    """Return what is left: paused targets, open mandatory steps (only follow-ups once closed) and silent evaluators."""
    left = [
        step
        for step in steps
        if step.mandatory and step.state is not StepState.VERIFIED and (case.closed_at is None or step.follow_up)
    ]
    waits = [one for one in evaluators if not one.handled and case.closed_at is None]
    paused = [paused_step(one.service, one.target, one.paused_at) for one in waits if one.paused_at is not None]
    named = {(step.service, step.target) for step in (*left, *paused)}
    silent = [
        StepView(service=one.service, target=one.target, code=PENDING, state=StepState.PLANNED, due=case.effective_at)
        for one in waits
        if (one.service, one.target) not in named
    ]
    return [*paused, *left, *silent]
