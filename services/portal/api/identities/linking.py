"""What somebody sees without a case: two records are one person's, one is two people's, an alias is surplus."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from services.kernel.security import reason_allowed
from services.portal.api.door import Visit, entering
from services.portal.api.identities.views import Known, Parted
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.work import People, PersonDetail

router = APIRouter()

Decider = Annotated[Visit, Depends(entering("identity:write"))]
Words = Annotated[str, Query(max_length=200)]
FOUND = 10
SAME_PERSON = Trouble("refused", "ingestion", "identity.same_person")


async def detail(visit: Visit, person: UUID) -> Part[PersonDetail]:
    """Return what status knows of a person."""
    return await visit.about(person).get(PersonDetail, "status", f"/v1/persons/{person}")


@router.get("/people/{person_id}/merge")
async def choose(visit: Decider, person_id: UUID, q: Words = "", other: UUID | None = None) -> Response:
    """Find the other one by name, then ask whom to keep and why."""
    return await _merge_form(visit, person_id, other, words=q.strip())


@router.post("/people/{person_id}/merge")
async def merge(visit: Decider, person_id: UUID) -> Response:
    """Let two records be one person's; whoever is kept is shown afterwards."""
    form = await visit.request.form()
    reason, other, keep = (str(form.get(name) or "").strip() for name in ("reason", "other", "keep"))
    found = _uuid(other)
    if found is None:
        return await _merge_form(visit, person_id, None, status=422)
    kept = _uuid(keep)
    filled = {"reason": reason, "keep": keep}
    if kept not in (person_id, found):
        return await _merge_form(visit, person_id, found, **filled, wrong="keep", status=422)
    if not reason_allowed(reason):
        return await _merge_form(visit, person_id, found, **filled, wrong="reason", status=422)
    body = {"absorb": str(found if kept == person_id else person_id), "reason": reason}
    done = await visit.ask.post(Known, "ingestion", f"/v1/persons/{kept}/merge", body)
    if done.trouble is not None:
        return await _merge_form(visit, person_id, found, **filled, trouble=done.trouble, status=422)
    return visit.back(f"/people/{kept}", "decided")


@router.get("/people/{person_id}/split")
async def choose_ids(visit: Decider, person_id: UUID) -> Response:
    """Ask which ids are another person's, and why."""
    return await _split_form(visit, person_id, ())


@router.post("/people/{person_id}/split")
async def split(visit: Decider, person_id: UUID) -> Response:
    """Let ids, and what was told under them, be another person's; the answer leads to both."""
    form = await visit.request.form()
    ticked = [one for one in form.getlist("id") if isinstance(one, str) and " " in one]
    reason = str(form.get("reason") or "").strip()
    wrong = "id" if not ticked else None if reason_allowed(reason) else "reason"
    if wrong:
        return await _split_form(visit, person_id, ticked, reason=reason, wrong=wrong, status=422)
    ids = [{"source": source, "externalId": id_} for source, _, id_ in (one.partition(" ") for one in ticked)]
    path = f"/v1/persons/{person_id}/split"
    done = await visit.ask.post(Parted, "ingestion", path, {"ids": ids, "reason": reason})
    if done.value is None:
        return await _split_form(visit, person_id, ticked, reason=reason, trouble=done.trouble, status=422)
    return _page(visit, "parted", person_id, parted=done.value)


@router.get("/people/{person_id}/retire")
async def ask_to_retire(visit: Decider, person_id: UUID) -> Response:
    """List what hangs on an alias, and ask why it is wound up."""
    return await _retire_form(visit, person_id)


@router.post("/people/{person_id}/retire")
async def retire(visit: Decider, person_id: UUID) -> Response:
    """Wind up what hangs on an alias."""
    reason = str((await visit.request.form()).get("reason") or "").strip()
    if not reason_allowed(reason):
        return await _retire_form(visit, person_id, reason=reason, wrong="reason", status=422)
    done = await visit.ask.post(Known, "ingestion", f"/v1/persons/{person_id}/retire", {"reason": reason})
    if done.trouble is not None:
        return await _retire_form(visit, person_id, reason=reason, trouble=done.trouble, status=422)
    return visit.back(f"/people/{person_id}", "decided")


async def _merge_form(visit: Visit, person: UUID, other: UUID | None, *, words: str = "", **values: Any) -> Response:
    if other == person:
        other, values["trouble"] = None, SAME_PERSON
    one, two, found = await asyncio.gather(
        detail(visit, person), _other(visit, other), _search(visit, words if other is None else "")
    )
    shown = {"detail": one, "two": two, "other": other, "found": found, "words": words, "keep": ""}
    return _page(visit, "merge", person, **{**shown, **values})


async def _other(visit: Visit, other: UUID | None) -> Part[PersonDetail] | None:
    return await detail(visit, other) if other else None


async def _search(visit: Visit, words: str) -> Part[People] | None:
    return await visit.searching(words).get(People, "status", "/v1/persons", q=words, limit=FOUND) if words else None


async def _split_form(visit: Visit, person: UUID, ticked: Sequence[str], **values: Any) -> Response:
    path = f"/v1/persons/{person}/identities"
    one, known = await asyncio.gather(detail(visit, person), visit.about(person).get(Known, "ingestion", path))
    return _page(visit, "split", person, detail=one, known=known, ticked=ticked, **values)


async def _retire_form(visit: Visit, person: UUID, **values: Any) -> Response:
    return _page(visit, "retire", person, detail=await detail(visit, person), **values)


def _page(visit: Visit, form: str, person: UUID, *, status: int = 200, **values: Any) -> Response:
    """Show a form in a dialog where there is script, else as a page."""
    shown = {"reason": "", "wrong": None, "trouble": None, "person_id": person, "address": f"/people/{person}"}
    template = f"identities/_{form}.html"
    if visit.partial:
        # htmx puts only answers of success into the page
        return visit.page(template, **{**shown, **values})
    return visit.page("identities/linking.html", status=status, form=template, **{**shown, **values})


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
