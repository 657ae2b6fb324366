"""A reorganisation before it takes effect: what it changes is shown; where units are kept here it is applied whole."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID, uuid4

import orjson
from fastapi import APIRouter, Depends
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from services.kernel import unit_plan
from services.kernel.security import reason_allowed
from services.kernel.spreadsheet import CSV, table
from services.kernel.unit_plan import COLUMNS, PlannedEdit, PlanUnreadable
from services.portal.api.door import Visit, entering
from services.portal.api.organisation.asking import API, as_file, day, whole_tree
from services.portal.api.organisation.drawing import Picture, picture
from services.portal.api.organisation.plan_views import (
    Difference,
    Judgement,
    Plan,
    PlanDay,
    RowFault,
    Side,
    after,
    judged,
    refused,
    word,
)
from services.portal.api.organisation.views import Leader
from services.portal.domain.answers import Part, Trouble

router = APIRouter()

READ, WRITE = "organisation:read", "organisation:write"
PATH = "/organisation/plan"
LIMIT = 4 << 20
"""Bytes of a form with a plan: as many edits as orgtree takes, with some room."""
CARRIED = 4 * LIMIT
"""Bytes of a form that carries a plan on: what stands in it takes more room there."""
APPLIED = 1_000
"""Edits that are applied at once: ingestion takes no more in one transaction."""
PICTURED = 4
"""Days of which the page shows pictures; those of the others are files."""
DAYS, SHOWN = 30, 200
"""Days, and units of each, that the page lists; the table has them all."""
WITHHELD = "(withheld)"
HEADING = (
    "on", "unit", "name", "what", "pathBefore", "pathAfter", "nameBefore", "nameAfter", "managerBefore",
    "managerAfter", "actingManagerBefore", "actingManagerAfter", "people", "problem", "code", "other", "row",
)  # fmt: skip

Reader = Annotated[Visit, Depends(entering(READ))]
Writer = Annotated[Visit, Depends(entering(WRITE))]


@dataclass(frozen=True)
class Pictured:
    """A day of a plan, without it and with it; None where the tree could not be had."""

    day: PlanDay
    before: Picture | None
    after: Picture | None


@dataclass(frozen=True)
class Foreseen:
    """What would come of a plan: what orgtree and ingestion say of it, and what is wrong by row."""

    plan: Part[Plan]
    faults: Sequence[RowFault] = ()
    warnings: Sequence[RowFault] = ()
    trouble: Trouble | None = None

    @property
    def stands(self) -> bool:
        """Whether all of it can be."""
        return self.plan.value is not None and not self.faults and self.trouble is None


@router.get(PATH)
async def ask(visit: Reader) -> Response:
    """Show where a plan is handed in."""
    return _page(visit, "plan_form.html")


@router.post(PATH)
async def show(visit: Reader) -> Response:
    """Show what a plan changes. Nothing is changed by it."""
    async with visit.request.form() as form:
        try:
            edits = await _handed_in(form)
        except PlanUnreadable as unreadable:
            return _page(visit, "plan_form.html", status=422, unreadable=unreadable, text=str(form.get("text") or ""))
    seen = await foresee(visit, edits)
    if seen.plan.value is None:
        return _page(visit, "plan_form.html", status=422, seen=seen, text=_said(form, "text"))
    pictures = await asyncio.gather(*(_pictured(visit, one) for one in seen.plan.value.days[:PICTURED]))
    return _page(
        visit, "plan.html", seen=seen, plan=seen.plan.value, packed=packed(edits), edits=len(edits),
        pictures={one.day.on: one for one in pictures}, days=DAYS, shown=SHOWN, applied=APPLIED, places=_places(edits),
    )  # fmt: skip


@router.post(f"{PATH}/table")
async def as_table(visit: Reader) -> Response:
    """Return what a plan changes as a table: a row a unit and day, and one for each thing that would be wrong."""
    edits = await _sent(visit)
    found = await _planned(visit, edits)
    if found.value is None:
        return visit.trouble(found.trouble or Trouble("down", "orgtree", "service.unreachable"))
    return as_file(table(HEADING, _rows(visit, found.value, _places(edits))), CSV, "plan.csv")


@router.post(f"{PATH}/picture")
async def as_picture(visit: Reader) -> Response:
    """Return the picture of one day of a plan; `picture`: `before` or `after` it, and the day."""
    form = await visit.request.form()
    found = await _planned(visit, await _sent(visit))
    if found.value is None:
        return visit.trouble(found.trouble or Trouble("down", "orgtree", "service.unreachable"))
    side, _, said = _said(form, "picture").partition(" ")
    on = day(said)
    chosen = next((one for one in found.value.days if one.on == on), None)
    if chosen is None:
        return visit.trouble(Trouble("missing", "orgtree", "plan.no_such_day"))
    drawn = await _pictured(visit, chosen)
    one = drawn.before if side == "before" else drawn.after
    if one is None:
        return visit.trouble(Trouble("down", "orgtree", "service.unreachable"))
    page = visit.page("organisation/_plan_picture.html", picture=one, side=side, on=chosen.on)
    name = f"plan-{chosen.on}-{'before' if side == 'before' else 'after'}.svg"
    return as_file(bytes(page.body).strip(), "image/svg+xml; charset=utf-8", name)


@router.post(f"{PATH}/confirm")
async def confirm(visit: Writer) -> Response:
    """Ask for the word, with the numbers."""
    return await asked(visit, await _sent(visit))


@router.post(f"{PATH}/apply")
async def apply(visit: Writer) -> Response:
    """Apply a plan, whole or not at all; the form carries a key, so sending it twice applies it once."""
    form = await visit.request.form()
    edits = await _sent(visit)
    reason, key = _said(form, "reason").strip(), _key(_said(form, "key"))
    if not kept_here(visit):
        return visit.trouble(Trouble("refused", "ingestion", "unit.mastered_by_hr"))
    if not reason_allowed(reason):
        return await asked(visit, edits, key=key, reason=reason, wrong=True)
    body = {"units": [word(one.edit) for one in edits], "reason": reason}
    done = await visit.ask.post(
        Judgement, "ingestion", "/v1/units/all", body, key=str(key), deadline=visit.doors.policy_seconds
    )
    if done.trouble is not None:
        return await asked(visit, edits, key=key, reason=reason, trouble=done.trouble)
    return visit.back("/organisation/changes", "units")


async def asked(
    visit: Visit,
    edits: Sequence[PlannedEdit],
    *,
    key: UUID | None = None,
    reason: str = "",
    wrong: bool = False,
    trouble: Trouble | None = None,
    seen: Foreseen | None = None,
) -> Response:
    """Return the page that asks whether a plan shall be applied, or says why it cannot be."""
    if not kept_here(visit):
        return visit.trouble(Trouble("refused", "ingestion", "unit.mastered_by_hr"))
    seen = seen or await foresee(visit, edits)
    faults = refused(trouble, edits) if trouble is not None else []
    return _page(
        visit, "plan_confirm.html", status=422 if wrong or trouble or not seen.stands else 200,
        seen=seen, faults=faults or seen.faults, trouble=trouble, packed=packed(edits), edits=len(edits),
        key=key or uuid4(), reason=reason, wrong=wrong,
        only=[str(one.edit.get("unit")) for one in edits] if len(edits) == 1 else None,
    )  # fmt: skip


async def foresee(visit: Visit, edits: Sequence[PlannedEdit]) -> Foreseen:
    """Return what would come of a plan; who may apply it hears of every word that cannot be."""
    if not (kept_here(visit) and visit.may(WRITE)) or len(edits) > APPLIED:
        found = await _planned(visit, edits)
        return Foreseen(found, refused(found.trouble, edits) if found.trouble else ())
    words = {"units": [word(one.edit) for one in edits]}
    found, verdict = await asyncio.gather(
        _planned(visit, edits),
        visit.ask.post(
            Judgement, "ingestion", "/v1/units/plan", words, changes=False, deadline=visit.doors.policy_seconds
        ),
    )
    if found.value is None:
        return Foreseen(found, refused(found.trouble, edits) if found.trouble else ())
    if verdict.value is None:
        return Foreseen(found, trouble=verdict.trouble)
    return Foreseen(found, judged(verdict.value, edits), judged(verdict.value, edits, warned=True))


def kept_here(visit: Visit) -> bool:
    """Tell whether the organisation keeps its units here, and not in HR's system."""
    return visit.doors.pages.organisations[visit.session.organisation].organisation_data == "stafett"


def packed(edits: Sequence[PlannedEdit]) -> str:
    """Return a plan as a form carries it from page to page."""
    return orjson.dumps([[one.row, one.edit] for one in edits]).decode()


async def _handed_in(form: FormData) -> list[PlannedEdit]:
    file = form.get("file")
    if isinstance(file, UploadFile) and file.filename:
        return unit_plan.read(await file.read())
    if form.get("plan"):
        return _unpacked(_said(form, "plan"))
    return unit_plan.read(_said(form, "text").encode(errors="replace"))


def _unpacked(text: str) -> list[PlannedEdit]:
    try:
        rows = orjson.loads(text)
        found = [PlannedEdit(row, dict(edit)) for row, edit in rows]
    except (ValueError, TypeError) as error:
        raise PlanUnreadable("plan.no_json") from error
    if not found:
        raise PlanUnreadable("plan.no_edits")
    return found


async def _sent(visit: Visit) -> list[PlannedEdit]:
    """Return the plan that a form of ours carries; of one that cannot be read none, which is refused."""
    try:
        return _unpacked(_said(await visit.request.form(), "plan"))
    except PlanUnreadable:
        return []


def _said(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return uuid4()


async def _planned(visit: Visit, edits: Sequence[PlannedEdit]) -> Part[Plan]:
    body: dict[str, Any] = {"units": [one.edit for one in edits]}
    return await visit.ask.post(
        Plan, "orgtree", f"{API}/plan", body, changes=False, deadline=visit.doors.policy_seconds
    )


async def _pictured(visit: Visit, one: PlanDay) -> Pictured:
    """Draw the units that change on a day, with those above them, as they are to be anyway and as they would be."""
    found = await whole_tree(visit, one.on)
    if found.value is None:
        return Pictured(one, None, None)
    marks = {unit.unit: unit.marks for unit in one.units if unit.marks}
    old = {unit: kinds for unit, kinds in marks.items() if "created" not in kinds}
    new = {unit: kinds for unit, kinds in marks.items() if "closed" not in kinds}
    planned = after(found.value.units, one.units)
    return Pictured(
        one,
        picture(found.value.units, only=old, marks=old),
        picture(planned, only=new, marks=new),
    )


def _places(edits: Sequence[PlannedEdit]) -> Mapping[str, int]:
    """Return in which row each unit stands: the last one, which comes on top of the others."""
    return {str(one.edit.get("unit")): one.row for one in edits}


def _rows(visit: Visit, plan: Plan, places: Mapping[str, int]) -> Iterator[Sequence[str | int | None]]:
    code = visit.doors.pages.formats(visit.request).code
    for one in plan.days:
        for unit in one.units:
            what = ", ".join(code(f"plan.{kind}") for kind in unit.marks) or code("plan.follows")
            yield (one.on.isoformat(), unit.unit, unit.name, what, *_sides(unit), unit.people, *(None,) * 4)
        for wrong in one.problems:
            said = (code(wrong.code), wrong.code, wrong.other, places.get(wrong.unit))
            yield (one.on.isoformat(), wrong.unit, wrong.name, None, *(None,) * 9, *said)


def _sides(unit: Difference) -> Iterator[str | None]:
    both = (unit.before, unit.after)
    for side in both:
        yield " / ".join(side.path) if side else None
    for side in both:
        yield side.name if side else None
    for name in ("manager", "acting_manager"):
        for side in both:
            yield _leader(side, name)


def _leader(side: Side | None, name: str) -> str | None:
    leader: Leader | None = getattr(side, name) if side else None
    return (leader.name or WITHHELD) if leader else None


def _page(visit: Visit, template: str, *, status: int = 200, **values: Any) -> Response:
    common: dict[str, Any] = {
        "columns": COLUMNS, "kept_here": kept_here(visit), "may_apply": visit.may(WRITE), "address": PATH,
        "unreadable": None, "seen": None, "text": "",
    }  # fmt: skip
    return visit.page(f"organisation/{template}", status=status, **{**common, **values})
