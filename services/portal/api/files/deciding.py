"""What people decide about a file: that its plan is applied, that those held leave, or that they stay."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from services.kernel.security import reason_allowed
from services.portal.api.door import Visit, entering
from services.portal.api.files.views import FileView
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.work import PersonDetail

SCOPE = "files:write"
router = APIRouter()

Writer = Annotated[Visit, Depends(entering(SCOPE))]
Act = Literal["apply", "release", "refuse"]
NAMED = 10
"""So many of those who have moved are named; each name is a read of a person."""
TICKED = 200
PERSONS = "/persons/"
NOBODY_TICKED = Trouble("refused", "ingestion", "file.nobody_ticked")


@router.get("/files/{file_id}/{act}")
async def confirm(
    visit: Writer,
    file_id: UUID,
    act: Act,
    person: Annotated[list[str] | None, Query(max_length=TICKED)] = None,
    some: bool = False,
) -> Response:
    """Ask for the word; in a dialog where there is script, else as a page. `some`: those ticked, and never all."""
    trouble = NOBODY_TICKED if some and not person else None
    return await _form(visit, file_id, act, person or [], trouble=trouble)


@router.post("/files/{file_id}/{act}")
async def decide(visit: Writer, file_id: UUID, act: Act) -> Response:
    """Decide; what was decided already is said to be so."""
    form = await visit.request.form()
    persons = [one for one in form.getlist("person") if isinstance(one, str)]
    reason = str(form.get("reason") or "").strip()
    if form.get("some") and not persons:
        return await _form(visit, file_id, act, persons, trouble=NOBODY_TICKED, status=422)
    if act != "apply" and not reason_allowed(reason):
        return await _form(visit, file_id, act, persons, reason=reason, wrong="reason", status=422)
    body: dict[str, Any] = {}
    if act != "apply":
        body = {"reason": reason, **({"persons": persons} if persons else {})}
    done = await visit.ask.post(FileView, "ingestion", f"/v1/files/{file_id}/{act}", body)
    if done.trouble is not None:
        return await _form(visit, file_id, act, persons, reason=reason, trouble=done.trouble, status=422)
    return visit.back(f"/files/{file_id}", "file_decided")


async def _form(
    visit: Visit,
    file_id: UUID,
    act: str,
    persons: Sequence[str],
    *,
    reason: str = "",
    wrong: str | None = None,
    trouble: Trouble | None = None,
    status: int = 200,
) -> Response:
    found = await visit.ask.get(FileView, "ingestion", f"/v1/files/{file_id}")
    if found.trouble is not None and not visit.partial:
        return visit.trouble(found.trouble)
    overtaken = trouble is not None and trouble.code == "file.overtaken"
    return visit.page(
        "files/_decide.html" if visit.partial else "files/decide.html",
        # htmx puts only answers of success into the page
        status=200 if visit.partial else status,
        found=found,
        file_id=file_id,
        act=act,
        persons=persons,
        reason=reason,
        wrong=wrong,
        trouble=None if overtaken else trouble or found.trouble or _hindrance(found, act),
        moved=await _moved(visit, trouble) if trouble is not None and overtaken else None,
        address=f"/files/{file_id}",
    )


def _hindrance(found: Part[FileView], act: str) -> Trouble | None:
    """Return why there is nothing to decide, if so."""
    file = found.value
    if file is None:
        return None
    if act == "apply":
        return None if file.state == "planned" else Trouble("refused", "ingestion", "file.not_planned")
    if file.state != "done":
        return Trouble("refused", "ingestion", "file.not_done")
    return None if file.held else Trouble("refused", "ingestion", "file.none_held")


async def _moved(visit: Visit, trouble: Trouble) -> list[tuple[str, str | None]]:
    """Return those of whom HR has told something new, with their names as far as this person may see them."""
    ids = [field.removeprefix(PERSONS) for field in trouble.errors if field.startswith(PERSONS)]
    if not visit.may("persons:read"):
        return [(one, None) for one in ids]
    known = await asyncio.gather(*(visit.ask.get(PersonDetail, "status", f"/v1/persons/{one}") for one in ids[:NAMED]))
    names = [part.value.name if part.value else None for part in known]
    return [*zip(ids, names, strict=False), *((one, None) for one in ids[NAMED:])]
