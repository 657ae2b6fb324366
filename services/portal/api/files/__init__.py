"""Files of HR systems: which have come, what each does person by person, what was set aside, and the word to do it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import PurePath
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from contracts.codes import CaseKind, UnitKind
from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.api.files import deciding
from services.portal.api.files.views import Files, FileView, People, Rejects
from services.portal.api.pages import address_of
from services.portal.domain.answers import Part, Trouble

router = APIRouter()

DESK = Desk("files", "/files", "Files", "file", deciding.SCOPE, router)

Reader = Annotated[Visit, Depends(entering(DESK.scope))]
STAGES = ("held", "received", "planned", "applying", "done", "refused")
STATES = ("planned", "applied", "held", "refused", "rejected", "unchanged")
KINDS = tuple(kind.value for kind in (*CaseKind, *UnitKind))
TAKE_OVER = "baseline"
"""A full file of who was there before Stafett."""
PAGE = 25
PEOPLE = 50
UPLOAD_LIMIT = (64 << 20) + (1 << 16)
"""Bytes of a form with a file: as much as ingestion takes of a file, and the form around it."""
UPLOAD_SECONDS = 120.0
CHUNK = 1 << 18
NAME_LENGTH = 200


@router.get("/files")
async def index(
    visit: Reader, source: str | None = None, state: str | None = None, after: UUID | None = None
) -> Response:
    """List files; the filter is in the address."""
    return await _listed(visit, source, state, after)


@router.post("/files")
async def upload(visit: Reader) -> Response:
    """Pass a file on, to be planned: nothing of it is applied before somebody has looked."""
    async with visit.request.form() as form:
        return await _passed_on(visit, form)


async def _passed_on(visit: Visit, form: FormData) -> Response:
    source, kind, file = str(form.get("source") or ""), str(form.get("kind") or ""), form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return await _listed(visit, None, None, None, wrong="file", status=422)
    if source not in _sources(visit) or kind not in ("full", "delta", TAKE_OVER):
        return await _listed(visit, None, None, None, wrong="source" if kind else "kind", status=422)

    async def content() -> AsyncIterator[bytes]:
        await file.seek(0)
        while part := await file.read(CHUNK):
            yield part

    name = "".join(one for one in PurePath(file.filename).name if one.isprintable())[:NAME_LENGTH]
    told = {"kind": "full", "baseline": "true"} if kind == TAKE_OVER else {"kind": kind}
    query = {"source": source, "plan": "true", "name": name, **told}
    sent = await visit.ask.upload(FileView, "ingestion", "/v1/files", content, deadline=UPLOAD_SECONDS, **query)
    if sent.value is None:
        return await _listed(visit, None, None, None, trouble=sent.trouble, status=422)
    return visit.back(f"/files/{sent.value.id}", "same_file" if sent.value.duplicate else "file")


@router.get("/files/{file_id}")
async def file(
    visit: Reader,
    file_id: UUID,
    state: str | None = None,
    kind: str | None = None,
    after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> Response:
    """Show one file. While it moves, its head looks again by itself and names nobody."""
    path = f"/v1/files/{file_id}"
    found = await visit.ask.get(FileView, "ingestion", path)
    if found.trouble is not None and found.trouble.kind == "missing":
        return visit.trouble(found.trouble)
    if visit.partial:
        answer: Response = visit.page("files/_file.html", found=found, file_id=file_id)
        if found.value and not found.value.moves:
            # it stands: the plan, the rejects and what can be done are for the whole page to show
            answer.headers["HX-Refresh"] = "true"
        return answer
    wanted = {"state": state if state in STATES else None, "kind": kind if kind in KINDS else None}
    people, rejects = None, None
    if found.value and found.value.state not in ("received", "refused"):
        people, rejects = await asyncio.gather(
            visit.ask.get(People, "ingestion", f"{path}/persons", **wanted, after=after or None, limit=PEOPLE),
            _rejects(visit, found.value),
        )
    elif found.value and found.value.state == "refused" and found.value.counts.get("rejectedRows"):
        rejects = await _rejects(visit, found.value)
    return visit.page(
        "files/file.html",
        found=found,
        file_id=file_id,
        people=people,
        rejects=rejects,
        wanted=wanted,
        states=STATES,
        kinds=found.value.kinds if found.value else (),
        further=after > 0,
        full=people is not None and people.value is not None and people.value.next is not None,
    )


@router.get("/files/{file_id}/rejects.csv")
async def rejects(visit: Reader, file_id: UUID) -> Response:
    """Return what was set aside as a table, in the reader's language."""
    language = visit.doors.pages.formats(visit.request).language
    found = await visit.ask.download("ingestion", f"/v1/files/{file_id}/rejects", language=language)
    if found.value is None:
        return visit.trouble(found.trouble or Trouble("down", "ingestion", "service.unreachable"))
    headers = {"Content-Disposition": 'attachment; filename="rejects.csv"'}
    return Response(found.value, media_type="text/csv; charset=utf-8", headers=headers)


async def held(visit: Visit) -> Part[Files] | None:
    """Return the files whose leavers wait for a decision, for whoever may give it."""
    if not visit.may(DESK.scope):
        return None
    return await visit.ask.get(Files, "ingestion", "/v1/files", state="held")


async def _rejects(visit: Visit, file: FileView) -> Part[Rejects] | None:
    if not file.counts.get("rejectedRows"):
        return None
    return await visit.ask.get(Rejects, "ingestion", f"/v1/files/{file.id}/rejected", limit=PEOPLE)


def _sources(visit: Visit) -> list[str]:
    """Return the sources that files may come from, in the organisation's order: those with an agreed mapping."""
    organisation = visit.doors.pages.organisations[visit.session.organisation]
    return [source for source, agreed in organisation.agreed.items() if agreed.mapping]


async def _listed(
    visit: Visit,
    source: str | None,
    state: str | None,
    after: UUID | None,
    *,
    wrong: str | None = None,
    trouble: Trouble | None = None,
    status: int = 200,
) -> Response:
    sources = _sources(visit)
    wanted = {"source": source if source in sources else None, "state": state if state in STAGES else None}
    found = await visit.ask.get(Files, "ingestion", "/v1/files", **wanted, after=after, limit=PAGE)
    return visit.page(
        "files/_list.html" if visit.partial else "files/index.html",
        status=status,
        found=found,
        wanted=wanted,
        sources=sources,
        stages=STAGES,
        further=after is not None,
        wrong=wrong,
        trouble=trouble,
        address=DESK.path if visit.request.method == "POST" else address_of(visit.request),
    )


# after this desk's own routes: whatever follows a file's id is an act
router.include_router(deciding.router)
