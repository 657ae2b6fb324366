"""The audit: who has done or read what, and why. Reading it is recorded too."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.api.people import who
from services.portal.domain.answers import Part
from services.portal.domain.work import Parameter, PersonDetail, View

router = APIRouter()

DESK = Desk("audit", "/audit", "Audit", "log", "audit:read", router)

Reader = Annotated[Visit, Depends(entering(DESK.scope))]
Short = Annotated[str, Query(max_length=200)]
PAGE = 50
READS = (
    "person.read",
    "persons.listed",
    "person.timeline_read",
    "person.record_read",
    "units.read",
    "unit.people_read",
    "unit.leaders_read",
    "units.adopted",
    "units.compared",
    "person.facts_read",
    "person.read_denied",
    "scim.user_read",
    "scim.users_listed",
    "accounts.read",
    "person.access_read",
    "access.listed",
    "person.identities_read",
    "identity.read",
    "person.erasure_planned",
    "case.read",
    "cases.listed",
    "attention.listed",
    "command.read",
    "audit.read",
    "policy.tried",
    "drift.read",
    "takeover.read",
)
"""Somebody looked."""
ACTS = (
    "command.retry",
    "command.reverify",
    "command.release",
    "command.refuse",
    "command.redeliver",
    "command.skip",
    "command.refused",
    "se.stafett.command.retry.v1",
    "se.stafett.command.reverify.v1",
    "se.stafett.command.release.v1",
    "se.stafett.command.refuse.v1",
    "se.stafett.command.redeliver.v1",
    "se.stafett.command.skip.v1",
    "target.paused",
    "target.resumed",
    "target.live",
    "drift.asked",
    "drift.decided",
    "takeover.asked",
    "takeover.approved",
    "retention.paused",
    "retention.resumed",
    "retention.purged",
    "policy.activated",
    "replay.requested",
    "glass.broken",
    "access.disable",
    "access.restore",
    "access.proposed",
    "access.approved",
    "access.refused",
    "access.withdraw",
    "identity.merged",
    "identity.split",
    "identity.same",
    "identity.separate",
    "identity.retired",
    "person.erasure",
    "baseline.told",
)
"""Somebody, or a service on somebody's behalf, did something."""


class Record(View):
    """Who did or read what."""

    id: UUID
    recorded_at: datetime
    actor: str
    action: str
    subject: str | None = None
    name: str | None = None
    persons: int = 0
    reason: str | None = None
    parameters: dict[str, Parameter] = Field(default_factory=dict)

    @property
    def shown(self) -> dict[str, Parameter]:
        """The parameters that say more than the rest of the row."""
        return {name: value for name, value in self.parameters.items() if value is not None and name != "shown"}

    @property
    def in_vain(self) -> bool:
        """Whether it showed nothing."""
        return self.parameters.get("shown") is False


class Records(View):
    """A page of the audit."""

    items: list[Record]
    cursor: str | None = None


@router.get("/audit")
async def index(
    visit: Reader,
    person: Short = "",
    actor: Short = "",
    action: Short = "",
    cursor: Annotated[str | None, Query(max_length=2_000)] = None,
) -> Response:
    """List it, the newest first; the filters are in the address. `person` is an id, or words that name one person."""
    wanted = action if action in READS + ACTS else None
    about, choices = await who(visit, person.strip())
    found: Part[Records] | None = None
    if about is not None or not person.strip():
        found, named = await asyncio.gather(
            visit.ask.get(
                Records,
                "status",
                "/v1/audit",
                person=about,
                actor=actor.strip() or None,
                action=wanted,
                cursor=cursor,
                limit=PAGE,
            ),
            _named(visit, about),
        )
    else:
        named = None
    return visit.page(
        "audit/index.html",
        found=found,
        choices=choices,
        about=about,
        named=named,
        wanted={"person": person.strip(), "actor": actor.strip(), "action": wanted},
        reads=READS,
        acts=ACTS,
    )


async def _named(visit: Visit, person: UUID | None) -> PersonDetail | None:
    if person is None or not visit.may("persons:read"):
        return None
    return (await visit.about(person).get(PersonDetail, "status", f"/v1/persons/{person}")).value
