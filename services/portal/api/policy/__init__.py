"""The policy desk of accounts: the table as a table, what a candidate would change, and its activation."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from services.kernel.security import REASON_LENGTH
from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.api.policy.views import Impact, Shown, table_of
from services.portal.domain.answers import Part, Trouble

router = APIRouter()

DESK = Desk("policy", "/policy", "Policy", "table", "policy:read", router)

Reader = Annotated[Visit, Depends(entering(DESK.scope))]
Writer = Annotated[Visit, Depends(entering("policy:write"))]
API = "/v1/policy/accounts"


@router.get("/policy")
async def index(visit: Reader) -> Response:
    """Show the active table and the candidate's differences."""
    found = await visit.ask.get(Shown, "accounts", API, content="true")
    return visit.page("policy/index.html", found=found, **_tables(found))


@router.post("/policy/plan")
async def plan(visit: Reader) -> Response:
    """Count who would change. Nothing is activated, and nothing is kept."""
    return await _planned(visit)


@router.post("/policy/activate")
async def activate(visit: Writer) -> Response:
    """Activate exactly what was planned; the number of removals that was shown is what is confirmed."""
    form = await visit.request.form()
    digest, reason, removals = (str(form.get(name) or "").strip() for name in ("hash", "reason", "removals"))
    if not reason or len(reason) > REASON_LENGTH:
        return await _planned(visit, wrong="reason", status=422)
    body = {"hash": digest, "reason": reason, **({"removals": int(removals)} if removals.isdecimal() else {})}
    done = await visit.ask.post(Impact, "accounts", f"{API}/activate", body, deadline=visit.doors.policy_seconds)
    if done.trouble is None:
        return visit.back("/policy", "policy")
    if done.trouble.kind == "refused":
        # what was planned may be no longer so
        return await _planned(visit, trouble=done.trouble, status=422)
    return visit.page("policy/not_activated.html", status=503, address=DESK.path, trouble=done.trouble)


async def _planned(
    visit: Visit, *, wrong: str | None = None, trouble: Trouble | None = None, status: int = 200
) -> Response:
    found, planned = await asyncio.gather(
        visit.ask.get(Shown, "accounts", API, content="true"),
        visit.ask.post(Impact, "accounts", f"{API}/plan", {}, changes=False, deadline=visit.doors.policy_seconds),
    )
    return visit.page(
        "policy/plan.html",
        status=status,
        address=DESK.path,
        found=found,
        planned=planned,
        wrong=wrong,
        trouble=trouble,
        **_tables(found),
    )


def _tables(found: Part[Shown]) -> dict[str, Any]:
    shown = found.value
    active = table_of(shown.active.content) if shown and shown.active and shown.active.content else None
    candidate = table_of(shown.candidate.content) if shown and shown.candidate.content else None
    differs = shown is not None and shown.candidate.differs
    return {"active": active, "candidate": candidate if differs else None, "differs": differs}
