"""First passwords: a code for somebody, shown once to who fetches it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.responses import Response

from services.kernel.security import ACTIVATE, ACTIVATE_OWN, reason_allowed
from services.portal.api.activation.choosing import ACTIVATE_PATH, open_router
from services.portal.api.door import Visit, entering
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.work import PersonDetail, View

__all__ = ["Standing", "of_person", "open_router", "router"]

router = APIRouter()

Issuer = Annotated[Visit, Depends(entering(ACTIVATE, ACTIVATE_OWN))]


class Standing(View):
    """How somebody's newest code stands."""

    state: str
    issued_by: str | None = None
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    spent_at: datetime | None = None

    @property
    def usable(self) -> bool:
        """Whether a new code makes one worthless that may be in use."""
        return self.state in {"issued", "fetched"}


class Issued(View):
    """A code, which is shown once."""

    code: str
    user_name: str | None = None
    expires_at: datetime
    opens_at: datetime | None = None


async def of_person(visit: Visit, person: UUID) -> Part[Standing] | None:
    """Return how somebody's code stands, for whoever may issue one."""
    if not visit.may(ACTIVATE, ACTIVATE_OWN):
        return None
    return await visit.about(person).get(Standing, "accounts", f"/v1/accounts/{person}/activation")


@router.get("/people/{person_id}/activation")
async def part(visit: Issuer, person_id: UUID) -> Response:
    """How the code stands, alone. What was shown for a reason stays as it was seen."""
    found = await of_person(visit, person_id)
    if visit.automatic and visit.open_for(person_id) and found is not None and found.trouble is not None:
        return Response(status_code=204)
    return visit.page("activation/_person.html", activations=found, person_id=person_id)


@router.get("/people/{person_id}/activation/issue")
async def confirm(visit: Issuer, person_id: UUID) -> Response:
    """Ask why; in a dialog where there is script, else as a page."""
    return await _form(visit, person_id)


@router.post("/people/{person_id}/activation/issue")
async def issue(visit: Issuer, person_id: UUID) -> Response:
    """Issue a code and show it: in this answer, which no browser keeps, and never again."""
    reason = str((await visit.request.form()).get("reason") or "").strip()
    if not reason_allowed(reason):
        return await _form(visit, person_id, reason=reason, wrong=True, status=422)
    body = {"reason": reason}
    done = await visit.about(person_id).post(Issued, "accounts", f"/v1/accounts/{person_id}/activation", body)
    if done.value is None:
        return await _form(visit, person_id, reason=reason, trouble=done.trouble, status=422)
    answer = visit.page(
        "activation/_code.html" if visit.partial else "activation/code.html",
        issued=done.value,
        where=visit.doors.origin + ACTIVATE_PATH,
        person_id=person_id,
        address=f"/people/{person_id}",
    )
    answer.headers["HX-Trigger"] = "changed"
    return answer


async def _form(
    visit: Visit,
    person: UUID,
    *,
    reason: str = "",
    wrong: bool = False,
    trouble: Trouble | None = None,
    status: int = 200,
) -> Response:
    detail = await visit.about(person).get(PersonDetail, "status", f"/v1/persons/{person}")
    if detail.trouble is not None and not visit.partial:
        return visit.trouble(detail.trouble)
    standing = await of_person(visit, person)
    values: dict[str, Any] = {"detail": detail, "standing": standing, "reason": reason, "wrong": wrong}
    return visit.page(
        "activation/_form.html" if visit.partial else "activation/confirm.html",
        # htmx puts only answers of success into the page
        status=200 if visit.partial else status,
        trouble=trouble,
        person_id=person,
        address=f"/people/{person}",
        **values,
    )
