"""People: search, one person, a person's timeline. Every read is audited in its own transaction."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from contracts.codes import StepState
from contracts.facts import Problem, Step
from services.kernel.clock import business_now
from services.kernel.database import Connection
from services.kernel.problems import ProblemError, documented
from services.status.api import door
from services.status.domain import paging, search
from services.status.domain.steps import desired_state, remaining
from services.status.domain.views import (
    EntitlementView,
    Page,
    PersonDetail,
    PersonItem,
    StepView,
    TargetView,
    TimelineItem,
)
from services.status.store import cases as case_store
from services.status.store import overview
from services.status.store import persons as store
from services.status.store.persons import EvaluationRow

router = APIRouter(prefix="/v1/persons", tags=["persons"])

GONE = documented(404, 410)

TAKEN = "account.grant_taken_elsewhere"
"""Code of what another hand took away: it is ours, and not there."""

PAUSED = "target.paused"
"""Code of what remains where a person has stopped all writes."""

Words = Annotated[str | None, Query(max_length=200, description="Beginnings of words: name, login, mail, number")]


def step_view(service: str, target: str, step: Step, *, follow_up: bool = False) -> StepView:
    """Return a step as it is shown."""
    return StepView(
        service=service,
        target=target,
        code=step.code,
        state=step.state,
        mandatory=step.mandatory,
        due=step.due,
        verified_at=step.verified_at,
        parameters=step.parameters,
        problem=step.problem,
        follow_up=follow_up,
    )


def paused_step(service: str, target: str, since: datetime) -> StepView:
    """Return what remains where nothing is written because a person paused the target."""
    return StepView(
        service=service,
        target=target,
        code=PAUSED,
        state=StepState.WAITING,
        parameters={"since": since.isoformat()},
    )


def steps_of(row: EvaluationRow) -> list[Step]:
    """Return the steps of a stored evaluation."""
    return [Step.model_validate(raw, strict=False, extra="ignore") for raw in row.steps]


@router.get("")
async def find_persons(
    database: door.Projections,
    principal: door.PersonReader,
    q: Words = None,
    limit: door.Limit = 50,
    cursor: door.Cursor = None,
) -> Page[PersonItem]:
    """Find people by the beginnings of words in their name, login, mail address or employee number."""
    place = door.position(cursor, 2)
    try:
        after = None if place is None else (place[0], UUID(place[1]))
    except ValueError as error:
        raise door.refused_cursor("not a cursor of this list") from error
    searched = q is not None and q.strip() != ""
    query = search.query(principal.organisation, (q or "").replace("\x00", " ")) if searched else None
    async with database.transaction() as conn:
        # What holds no word finds nobody: it must never show everybody.
        rows = (
            []
            if searched and query is None
            else await store.search(conn, principal.organisation, query, after, limit + 1, sight=principal.sight)
        )
        shown = rows[:limit]
        await door.audit(conn, principal, "persons.listed", persons=[row.item.id for row in shown])
    following = paging.encode([shown[-1].sort_name, str(shown[-1].item.id)]) if len(rows) > limit else None
    return Page(items=[row.item for row in shown], cursor=following)


@router.get("/{person_id}", responses=GONE)
async def get_person(database: door.Projections, principal: door.PersonReader, person_id: UUID) -> PersonDetail:
    """Show a person: per target what is wanted, what is there and why; open cases; what remains."""
    async with database.transaction() as conn:
        found = await store.person(conn, principal.organisation, person_id, sight=principal.sight)
        if found is None:
            raise await door.denied(conn, principal, "person.read", person_id, "person")
        await _not_erased(conn, principal, "person.read", person_id)
        rows = await store.evaluations(conn, principal.organisation, person_id)
        cases = await case_store.of_person(conn, principal.organisation, person_id)
        place = await store.place(conn, principal.organisation, person_id)
        paused = {(one.service, one.target): one.since for one in await overview.paused(conn, principal.organisation)}
        now = await business_now(conn)
        await door.audit(conn, principal, "person.read", subject=person_id)
    open_ = [step_view(row.service, row.target, step) for row in rows for step in remaining(steps_of(row))]
    settled = {(row.service, row.target) for row in rows if _is_settled(row, found.revision, now)}
    stopped = [paused_step(*key, since) for key, since in paused.items() if key not in settled]
    return PersonDetail(
        id=found.id,
        name=found.name,
        protection=found.protection,
        revision=found.revision,
        access=found.access,
        alias_of=found.alias_of,
        aliases=found.aliases,
        place=place,
        targets=[_target(row, now, paused.get((row.service, row.target))) for row in rows],
        cases=cases,
        remains=[*stopped, *open_],
    )


async def _not_erased(conn: Connection, principal: door.Reader, action: str, person: UUID) -> None:
    """Answer 410 for somebody who was there and is erased; the cases, without a name, still tell how far that is."""
    if await store.erased(conn, principal.organisation, person):
        await door.denied(conn, principal, action, person, "person")
        raise ProblemError(410, "person.erased", "The person is erased")


def _is_settled(row: EvaluationRow, revision: int, now: datetime) -> bool:
    """Tell whether nothing has to be done at a target now."""
    due = [step for step in remaining(steps_of(row)) if step.due is None or step.due <= now]
    return not due and row.revision >= revision and (row.next_due is None or row.next_due > now)


def _target(row: EvaluationRow, now: datetime, paused_at: datetime | None) -> TargetView:
    steps = steps_of(row)
    # the account says when it was read back at its last change, a step when it was looked at last
    seen = [at for at in (row.verified_at, *(step.verified_at for step in steps)) if at is not None]
    return TargetView.model_validate(
        {
            **vars(row),
            "verified_at": max(seen, default=None),
            "desired": desired_state(steps, row.observed, now),
            "steps": [step_view(row.service, row.target, step) for step in steps],
            "entitlements": _entitlements(row, steps),
            "paused_at": paused_at,
        }
    )


def _entitlements(row: EvaluationRow, steps: Sequence[Step]) -> list[EntitlementView]:
    given = {"group": row.groups, "licence": row.licences, "mail_route": row.mail_routes}
    held = {(kind, value) for kind, values in given.items() for value in values}
    wanted = {(why["kind"], why["value"]): why for why in row.why if why.get("value") is not None}
    troubles = {value: step.problem for step in steps if step.problem for value in _named(step.problem)}
    return [
        EntitlementView(
            kind=kind,
            value=value,
            given=(kind, value) in held and (problem is None or problem.code != TAKEN),
            wanted=why is not None,
            problem=problem,
            **{name: why[name] for name in ("table", "row", "employment")} if why else {},
        )
        for kind, value in sorted(held | wanted.keys())
        for why, problem in ((wanted.get((kind, value)), troubles.get(value)),)
    ]


def _named(problem: Problem) -> Iterator[str]:
    """Yield the groups, licences and mail routes that a problem is about."""
    for text in (problem.parameters.get(kind) for kind in ("group", "licence", "mail_route")):
        if isinstance(text, str):
            yield from (text, *text.split(", "))


@router.get("/{person_id}/timeline", responses=GONE)
async def get_timeline(
    database: door.Projections,
    principal: door.PersonReader,
    person_id: UUID,
    limit: door.Limit = 50,
    cursor: door.Cursor = None,
) -> Page[TimelineItem]:
    """Show what happened to a person, the newest first: revisions, steps, changes of accounts."""
    place = door.position(cursor, 3)
    try:
        before = None if place is None else (door.instant(place[0]), place[1], place[2])
    except ValueError as error:
        raise door.refused_cursor("not a cursor of this list") from error
    async with database.transaction() as conn:
        if await store.person(conn, principal.organisation, person_id, sight=principal.sight) is None:
            raise await door.denied(conn, principal, "person.timeline_read", person_id, "person")
        await _not_erased(conn, principal, "person.timeline_read", person_id)
        rows = await store.timeline(conn, principal.organisation, person_id, before, limit + 1)
        await door.audit(conn, principal, "person.timeline_read", subject=person_id)
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    return Page(items=shown, cursor=paging.encode([last.at.isoformat(), last.source, last.key]) if last else None)
