"""The answer to a question of identity: two are one, or two are two."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.responses import Response

from services.kernel.security import reason_allowed
from services.portal.api.door import Visit, entering
from services.portal.api.identities.views import CaseView
from services.portal.domain.answers import Trouble

SCOPE = "identity:write"
router = APIRouter()

Decider = Annotated[Visit, Depends(entering(SCOPE))]
Answer = Literal["same", "separate"]
DECIDED = "identity.decided"


@router.get("/identity/{case_id}/{answer}")
async def confirm(visit: Decider, case_id: UUID, answer: Answer) -> Response:
    """Say what an answer does and ask for the reason; in a dialog where there is script, else as a page."""
    return await _form(visit, case_id, answer)


@router.post("/identity/{case_id}/{answer}")
async def decide(visit: Decider, case_id: UUID, answer: Answer) -> Response:
    """Answer; what was decided already is said to be so. Safe to send again."""
    form = await visit.request.form()
    reason, keep = str(form.get("reason") or "").strip(), str(form.get("keep") or "")
    if form.get("choice") and answer == "same" and not keep:
        return await _form(visit, case_id, answer, reason=reason, wrong="keep", status=422)
    told: dict[str, Any] = {"reason": reason, "keep": keep, "stays": bool(form.get("stays"))}
    if not reason_allowed(reason):
        return await _form(visit, case_id, answer, **told, wrong="reason", status=422)
    body: dict[str, Any] = {"decision": answer, "reason": reason, **({"keep": keep} if keep else {})}
    body |= {"endFormer": False} if told["stays"] else {}
    done = await visit.ask.post(CaseView, "ingestion", f"/v1/identity/cases/{case_id}/decision", body)
    if done.trouble is not None:
        return await _form(visit, case_id, answer, **told, trouble=done.trouble, status=422)
    return visit.back(f"/identity/{case_id}", "decided")


async def _form(
    visit: Visit,
    case_id: UUID,
    answer: str,
    *,
    reason: str = "",
    keep: str = "",
    stays: bool = False,
    wrong: str | None = None,
    trouble: Trouble | None = None,
    status: int = 200,
) -> Response:
    found = await visit.ask.get(CaseView, "ingestion", f"/v1/identity/cases/{case_id}")
    if found.trouble is not None and not visit.partial:
        return visit.trouble(found.trouble)
    decided = found.value is not None and not found.value.open
    if decided and trouble is None:
        trouble = Trouble("refused", "ingestion", DECIDED)
    return visit.page(
        "identities/_answer.html" if visit.partial else "identities/answer.html",
        # htmx puts only answers of success into the page
        status=200 if visit.partial else status,
        case=found.value,
        case_id=case_id,
        answer=answer,
        reason=reason,
        keep=keep,
        stays=stays,
        wrong=wrong,
        decided=decided,
        trouble=trouble or found.trouble,
        address=f"/identity/{case_id}",
    )
