"""Operations: what each service says of its own work, pauses of targets, and the newest commands."""

import asyncio
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path
from pydantic import BeforeValidator
from starlette.responses import JSONResponse, Response

from services.kernel.security import REASON_LENGTH
from services.portal.api import commands
from services.portal.api.desk import Desk
from services.portal.api.door import Visit, entering
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.work import Summary, View

router = APIRouter()

DESK = Desk("operations", "/operations", "Operations", "pulse", "operations:read", router)

Reader = Annotated[Visit, Depends(entering(DESK.scope))]
Operator = Annotated[Visit, Depends(entering("operations:write"))]
SERVICES = ("ingestion", "accounts", "orgtree", "status")
Service = Literal["ingestion", "accounts", "orgtree", "status"]
Verb = Literal["pause", "resume"]
Target = Annotated[str, Path(min_length=1, max_length=200)]
LATE_SECONDS = 60
SPANS: tuple[Literal[15], Literal[60], Literal[1440]] = (15, 60, 1440)
"""Minutes that the charts can show."""
CHARTS = ("taken_in", "passes", "queued", "wanted")
Span = Annotated[Literal[15, 60, 1440], BeforeValidator(int)]
RECENT = 8


class Outbox(View):
    """What is not published yet."""

    unpublished: int
    oldest_seconds: float


class Queue(View):
    """What waits in the broker's queues; None when it could not be asked."""

    ready: int | None = None


class Work(View):
    """How much work of a target is in a state, and for how long the oldest has asked for a pass or been in trouble."""

    target: str
    state: str
    count: int
    wanted: int
    due: int
    next_due: datetime | None = None
    oldest_seconds: float | None = None


class Breaker(View):
    """A target that is not written to, or was not: it is away, it asked us to wait, or a person has paused it."""

    target: str
    opened_at: datetime | None = None
    reason: str | None = None
    resume_at: datetime | None = None
    paused_at: datetime | None = None
    paused_by: str | None = None
    pause_reason: str | None = None


class Kept(View):
    """Messages that could not be read."""

    kept: int


class Overview(View):
    """What one service says of its work."""

    service: str
    targets: tuple[str, ...] = ()
    outbox: Outbox
    queue: Queue = Queue()
    work: list[Work]
    breakers: list[Breaker]
    dead_letters: Kept

    @property
    def wanted(self) -> int:
        """How much is asked for and not done."""
        return sum(one.wanted for one in self.work)

    @property
    def away(self) -> list[Breaker]:
        """Targets that do not answer."""
        return [one for one in self.breakers if one.opened_at is not None]

    @property
    def paused(self) -> list[Breaker]:
        """Targets that a person has paused."""
        return [one for one in self.breakers if one.paused_at is not None]

    def throttled(self, now: datetime) -> list[Breaker]:
        """Return the targets that asked us to wait, and for which the time has not come."""
        return [one for one in self.breakers if one.resume_at is not None and one.resume_at > now]

    def count(self, *states: str) -> int:
        """Return how much work is in one of some states."""
        return sum(one.count for one in self.work if one.state in states)

    @property
    def known(self) -> list[str]:
        """All targets, with and without work."""
        return sorted({*self.targets, *(one.target for one in self.work), *(one.target for one in self.breakers)})

    def paused_at(self, target: str) -> Breaker | None:
        """Return a target's pause."""
        return next((one for one in self.paused if one.target == target), None)

    def in_order(self, now: datetime) -> bool:
        """Tell whether nothing is wrong: no target kept from being written to, nothing waiting for a person or late."""
        kept = self.away or self.paused or self.throttled(now) or self.count("parked", "held")
        return not kept and not self.behind

    @property
    def behind(self) -> bool:
        """Whether something has waited to be published for more than a minute."""
        return self.outbox.oldest_seconds > LATE_SECONDS


class Lines(View):
    """A service's last minutes: one list for each figure, null where nothing is known; counts are per second."""

    every: int
    at: list[int]
    taken_in: list[float | None]
    passes: list[float | None]
    unpublished: list[int | None]
    wanted: list[int | None]
    ready: list[int | None]

    @property
    def queued(self) -> list[int | None]:
        """What is on its way: not published yet, or in a queue."""
        pairs = zip(self.unpublished, self.ready, strict=True)
        return [None if out is None else out + (waits or 0) for out, waits in pairs]


class Switched(View):
    """A target as it is now."""

    target: str
    paused: bool


async def _overviews(visit: Visit) -> dict[str, Part[Overview]]:
    parts = await asyncio.gather(*(visit.ask.get(Overview, service, "/v1/operations") for service in SERVICES))
    return dict(zip(SERVICES, parts, strict=True))


@router.get("/operations")
async def index(visit: Reader, minutes: Span = SPANS[0]) -> Response:
    """Show all services; the part that htmx asks for again is the same without its surroundings."""
    if visit.partial:
        return visit.page("operations/_services.html", services=await _overviews(visit))
    services, summary, recent = await asyncio.gather(_overviews(visit), _summary(visit), _recent(visit))
    return visit.page(
        "operations/index.html",
        services=services,
        summary=summary,
        recent=recent,
        limit=RECENT,
        minutes=minutes,
        spans=SPANS,
    )


@router.get("/operations/lines")
async def lines(visit: Reader, minutes: Span = SPANS[0]) -> Response:
    """The charts' lines, by figure and service; null where a service is or was away."""
    parts = await asyncio.gather(
        *(visit.ask.get(Lines, service, "/v1/operations/samples", minutes=minutes) for service in SERVICES)
    )
    known = {name: part.value for name, part in zip(SERVICES, parts, strict=True) if part.value}
    at = sorted({instant for one in known.values() for instant in one.at})
    found = {what: {name: _placed(at, one.at, getattr(one, what)) for name, one in known.items()} for what in CHARTS}
    formats = visit.doors.pages.formats(visit.request)
    return JSONResponse({"at": at, "lines": found, "names": {name: formats.title(name) for name in known}})


def _placed(at: list[int], own: list[int], line: list[float | None]) -> list[float | None]:
    """Put a service's line on the common times: two that were asked in different seconds may differ by a point."""
    values = dict(zip(own, line, strict=True))
    return [values.get(instant) for instant in at]


@router.get("/operations/{service}/{target}/{verb}")
async def confirm(visit: Operator, service: Service, target: Target, verb: Verb) -> Response:
    """Ask why a target shall be paused or resumed; in a dialog where there is script, else as a page."""
    return _form(visit, service, target, verb)


@router.post("/operations/{service}/{target}/{verb}")
async def switch(visit: Operator, service: Service, target: Target, verb: Verb) -> Response:
    """Pause or resume a target. Doing it twice says that it is done already."""
    reason = str((await visit.request.form()).get("reason") or "").strip()
    if not reason or len(reason) > REASON_LENGTH:
        return _form(visit, service, target, verb, reason=reason, wrong="reason")
    done = await visit.ask.post(
        Switched, service, f"/v1/operations/targets/{quote(target, safe='')}/{verb}", {"reason": reason}
    )
    if done.trouble is not None:
        return _form(visit, service, target, verb, reason=reason, trouble=done.trouble)
    if not visit.partial:
        return visit.back(DESK.path, "switched")
    return Response(status_code=204, headers={"HX-Trigger": '{"closed": true, "changed": true}'})


def _form(
    visit: Visit,
    service: str,
    target: str,
    verb: str,
    *,
    reason: str = "",
    wrong: str | None = None,
    trouble: Trouble | None = None,
) -> Response:
    template = "operations/_switch.html" if visit.partial else "operations/switch.html"
    # htmx puts only answers of success into the page
    status = 422 if (wrong or trouble) and not visit.partial else 200
    return visit.page(
        template,
        status=status,
        service=service,
        target=target,
        verb=verb,
        reason=reason,
        wrong=wrong,
        trouble=trouble,
    )


async def _recent(visit: Visit) -> Part[commands.Commands] | None:
    return await commands.newest(visit, RECENT) if visit.may("cases:read") else None


async def _summary(visit: Visit) -> Part[Summary] | None:
    return await visit.ask.get(Summary, "status", "/v1/summary") if visit.may("cases:read") else None
