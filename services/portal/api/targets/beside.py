"""An account that others made beside the people whose it may be: it is one's, or nobody's."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from services.kernel.security import reason_allowed
from services.portal.api.door import Visit, entering
from services.portal.api.targets.forms import dialog, given
from services.portal.api.targets.views import Beside, Done

router = APIRouter()

Reader = Annotated[Visit, Depends(entering("targets:read"))]
Writer = Annotated[Visit, Depends(entering("targets:write"))]
Name = Annotated[str, Path(pattern="^[a-z0-9_-]{1,60}$")]
Entry = Annotated[str, Query(max_length=200, pattern="^[A-Za-z0-9_.=+-]+$")]
Word = Annotated[str, Query(max_length=100)]


@router.get("/targets/{target}/account")
async def account(visit: Reader, target: Name, entry: Entry) -> Response:
    """Show what the account and each candidate have in common, and what differs."""
    found = await visit.ask.get(Beside, "accounts", f"/v1/takeover/{target}/rows/{entry}")
    if found.trouble is not None and found.trouble.kind == "missing":
        return visit.trouble(found.trouble)
    return visit.page("targets/account.html", target=target, found=found)


@router.get("/targets/{target}/dismiss")
async def ask(visit: Writer, target: Name, plan: Word, entry: Entry) -> Response:
    """Ask why the account is none of theirs."""
    return dialog(visit, "dismiss", target, {"plan": plan, "entry": entry, "reason": ""}, _back(target))


@router.post("/targets/{target}/dismiss")
async def dismiss(visit: Writer, target: Name) -> Response:
    """Say so; the account stays as it is."""
    written = await given(visit, "plan", "entry", "reason")
    if not reason_allowed(written["reason"]):
        return dialog(visit, "dismiss", target, written, _back(target), wrong="reason")
    body = {"plan": written["plan"], "entries": [written["entry"]], "reason": written["reason"]}
    done = await visit.ask.post(Done, "accounts", f"/v1/takeover/{target}/dismiss", body)
    if done.trouble is not None:
        return dialog(visit, "dismiss", target, written, _back(target), trouble=done.trouble)
    return visit.back(_back(target), "decided")


def _back(target: str) -> str:
    return f"/targets/{target}/takeover?certainty=ambiguous"
