"""Units go live in a target that does so in stages: which are, who they are, and the word for more."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from services.kernel.security import reason_allowed
from services.portal.api.door import Visit, entering
from services.portal.api.targets.forms import dialog, number
from services.portal.api.targets.views import Concerned, Done, Units
from services.portal.domain.answers import Trouble

router = APIRouter()

Reader = Annotated[Visit, Depends(entering("targets:read"))]
Writer = Annotated[Visit, Depends(entering("targets:write"))]
Name = Annotated[str, Path(pattern="^[a-z0-9_-]{1,60}$")]
SHOWN = 100


@router.get("/targets/{target}/live")
async def units(visit: Reader, target: Name, after: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Show which units are live, and let others be chosen."""
    found = await visit.ask.get(Units, "accounts", f"/v1/targets/{target}/units", limit=SHOWN, after=after or None)
    if found.trouble is not None and found.trouble.kind == "missing":
        return visit.trouble(found.trouble)
    return visit.page("targets/units.html", target=target, found=found, further=bool(after))


@router.post("/targets/{target}/live/ask")
async def ask(visit: Writer, target: Name) -> Response:
    """Tell how many people the chosen units concern, and ask for the word."""
    return await _form(visit, target, await _chosen(visit), {"reason": "", "confirmed": ""})


@router.post("/targets/{target}/live")
async def go_live(visit: Writer, target: Name) -> Response:
    """Let the units go live; only when the number of people on the form still holds."""
    form = await visit.request.form()
    written = {name: str(form.get(name) or "").strip() for name in ("reason", "confirmed")}
    chosen = await _chosen(visit)
    if not reason_allowed(written["reason"]):
        return await _form(visit, target, chosen, written, wrong="reason")
    if not written["confirmed"].isdecimal():
        return await _form(visit, target, chosen, written, wrong="confirmed")
    body: dict[str, Any] = {"units": chosen, "reason": written["reason"], **number(written["confirmed"])}
    done = await visit.ask.post(Done, "accounts", f"/v1/targets/{target}/live", body)
    if done.trouble is not None and done.trouble.matches is not None:
        return await _form(visit, target, chosen, written, wrong="confirmed")
    if done.trouble is not None:
        return await _form(visit, target, chosen, written, trouble=done.trouble)
    return visit.back(f"/targets/{target}/live", "live")


async def _chosen(visit: Visit) -> list[str]:
    form = await visit.request.form()
    return sorted({str(one) for one in form.getlist("unit")})


async def _form(
    visit: Visit,
    target: str,
    chosen: Sequence[str],
    written: dict[str, str],
    *,
    wrong: str | None = None,
    trouble: Trouble | None = None,
) -> Response:
    people = None
    if not chosen:
        wrong = "unit"
    elif trouble is None:
        counted = await visit.ask.post(
            Concerned, "accounts", f"/v1/targets/{target}/live/plan", {"units": list(chosen)}
        )
        people, trouble = counted.value.people if counted.value else None, counted.trouble
    return dialog(
        visit,
        "live",
        target,
        written,
        f"/targets/{target}/live",
        wrong=wrong,
        trouble=trouble,
        chosen=chosen,
        people=people,
    )
