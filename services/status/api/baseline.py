"""What a case took before Stafett, measured: without it nobody can tell what has been gained."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from contracts.base import Label
from services.kernel.clock import business_now, local_date
from services.kernel.problems import FieldError, ProblemError
from services.status.api import door
from services.status.domain.views import ASSUMED, BaselineItem, BaselineKind, BaselineView
from services.status.store import baseline as store

router = APIRouter(prefix="/v1/baseline", tags=["baseline"])

Measure = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]


class BaselineBody(BaseModel):
    """What was measured.

    `minutes`: hands-on minutes of a case, the mean of `cases` that were timed. `leadHours`: from HR's word until all
    was done, the median. `note`: how it was measured, and by whom.
    """

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    kind: BaselineKind
    minutes: Measure
    lead_hours: Measure | None = None
    measured_on: date
    cases: Annotated[int, Field(ge=1, le=1_000_000)]
    note: Label | None = None


@router.get("")
async def get_baseline(database: door.Projections, principal: door.Follower) -> BaselineView:
    """Tell what holds for each kind of case, what is assumed meanwhile, and all that was told. Names nobody."""
    async with database.transaction() as conn:
        found = await store.told(conn, principal.organisation)
    newest: dict[BaselineKind, BaselineItem] = {}
    for item in found:
        newest.setdefault(item.kind, item)
    assumed = {kind: minutes for kind, minutes in ASSUMED.items() if kind not in newest}
    return BaselineView(items=[newest[kind] for kind in BaselineKind if kind in newest], assumed=assumed, told=found)


@router.post("", status_code=201)
async def tell_baseline(
    body: BaselineBody,
    request: Request,
    database: door.Projections,
    principal: door.Operator,
    committed: door.Committed,
) -> BaselineItem:
    """Tell what was measured for a kind of case. The words before it stay."""
    zone = request.app.state.organisations[principal.organisation].zone
    async with database.transaction() as conn:
        if body.measured_on > local_date(await business_now(conn), zone):
            error = FieldError("/body/measuredOn", "baseline.in_future", "it cannot have been measured yet")
            raise ProblemError(422, error.code, "The day is ahead", errors=[error])
        item = BaselineItem(actor=principal.subject, **body.model_dump())
        await store.tell(conn, principal.organisation, item)
        parameters = {"kind": body.kind.value, "minutes": str(body.minutes), "cases": body.cases}
        await door.audit(conn, principal, "baseline.told", parameters=parameters)
    committed()
    return item
