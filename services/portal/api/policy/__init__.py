"""The policy desk of accounts: the table as a table, what a candidate would change, and its activation."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

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
    found = await visit.ask.get(Shown, "accounts", API, content="true")
    planned = await visit.ask.post(Impact, "accounts", f"{API}/plan", {})
    return visit.page("policy/plan.html", found=found, planned=planned, wrong=None, trouble=None, **_tables(found))


@router.post("/policy/activate")
async def activate(visit: Writer) -> Response:
    """Activate exactly what was planned; the number of removals that was shown is what is confirmed."""
    form = await visit.request.form()
    digest, reason, removals = (str(form.get(name) or "").strip() for name in ("hash", "reason", "removals"))
    wrong = "reason" if not reason or len(reason) > 200 else None
    trouble: Trouble | None = None
    if wrong is None:
        body = {"hash": digest, "reason": reason, **({"removals": int(removals)} if removals.isdecimal() else {})}
        done = await visit.ask.post(Impact, "accounts", f"{API}/activate", body)
        if done.trouble is None:
            return visit.back("/policy", "policy")
        trouble = done.trouble
    found = await visit.ask.get(Shown, "accounts", API, content="true")
    planned = await visit.ask.post(Impact, "accounts", f"{API}/plan", {})
    return visit.page(
        "policy/plan.html", status=422, found=found, planned=planned, wrong=wrong, trouble=trouble, **_tables(found)
    )


def _tables(found: Part[Shown]) -> dict[str, Any]:
    shown = found.value
    active = table_of(shown.active.content) if shown and shown.active and shown.active.content else None
    candidate = table_of(shown.candidate.content) if shown and shown.candidate.content else None
    differs = shown is not None and shown.candidate.differs
    return {"active": active, "candidate": candidate if differs else None, "differs": differs}
