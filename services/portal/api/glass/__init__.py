"""Breaking the glass: one person with a protected identity, or one search, is shown for a while and for a reason."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.responses import Response

from services.kernel.security import BREAK_GLASS, reason_allowed
from services.portal.api.door import AnyVisit, NoPermission
from services.portal.domain.answers import Trouble
from services.portal.domain.sessions import local_path
from services.portal.domain.work import View

router = APIRouter()

WORDS_LENGTH = 200


@dataclass(frozen=True)
class Opening:
    """What is to be shown: a person, or what a search finds; exactly one of them."""

    person: UUID | None
    search: str | None

    @property
    def body(self) -> dict[str, Any]:
        """What the audit is told: of a search only that it was one, for its words may be a name."""
        return {"search": True} if self.person is None else {"person": str(self.person)}


class Broken(View):
    """It is in the audit."""

    opened: str


@router.post("/glass")
async def break_glass(visit: AnyVisit) -> Response:
    """Say to the audit who is about to look at what and why; only when that is kept is anything shown."""
    if not visit.may(BREAK_GLASS):
        raise NoPermission(visit, BREAK_GLASS)
    form = await visit.request.form()
    opening = _opening(form)
    if opening is None:
        return visit.trouble(Trouble("refused", "", "request.invalid"))
    reason = str(form.get("reason") or "").strip()
    following = local_path(str(form.get("next") or "/people"))
    shown = {"opening": opening, "reason": reason, "address": following}
    if not reason_allowed(reason):
        return visit.page("glass/page.html", status=422, wrong=True, trouble=None, **shown)
    body = {**opening.body, "reason": reason}
    said = await visit.ask.post(Broken, "status", "/v1/audit/glass", body, changes=False)
    if said.trouble is not None:
        status = 404 if said.trouble.kind == "missing" else 503
        return visit.page("glass/page.html", status=status, wrong=False, trouble=said.trouble, **shown)
    await visit.doors.signing.break_glass(visit.cookie, reason, visit.now, person=opening.person, search=opening.search)
    return visit.back(following, "glass")


@router.post("/glass/mend")
async def mend_glass(visit: AnyVisit) -> Response:
    """Hide protected identities again."""
    form = await visit.request.form()
    await visit.doors.signing.mend_glass(visit.cookie)
    return visit.back(local_path(str(form.get("next") or "/people")), "glass")


def _opening(form: FormData) -> Opening | None:
    search = str(form.get("search") or "").strip()
    try:
        person = UUID(str(form["person"])) if form.get("person") else None
    except ValueError:
        return None
    if (person is None) == (not search) or len(search) > WORDS_LENGTH:
        return None
    return Opening(person, search or None)
