"""Following a command: handed over, carried out by its service, and what became of each person it concerned."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.responses import Response

from services.portal.api.door import Visit, entering
from services.portal.domain.answers import Part
from services.portal.domain.work import View

router = APIRouter()

Reader = Annotated[Visit, Depends(entering("cases:read"))]
PAGE = 50


class Command(View):
    """A command in a list."""

    id: UUID
    type: str
    service: str
    target: str | None = None
    actor: str
    reason: str
    accepted_at: datetime
    carried_out_at: datetime | None = None
    matched: int
    count: int | None = None


class Match(View):
    """What became of one person at one target."""

    person: UUID
    name: str
    target: str
    state: str


class CommandDetail(Command):
    """A command with its progress."""

    progress: dict[str, int]
    matches: list[Match]

    @property
    def settled(self) -> int:
        """How many stand as the command asked: after a refusal, that is held."""
        return self.progress.get("settled", 0) + (self.progress.get("held", 0) if self.type == "refuse" else 0)

    @property
    def pending(self) -> int:
        """How many have not been heard of since."""
        return self.progress.get("pending", 0)

    @property
    def troubled(self) -> int:
        """How many the service has looked at since, and could not bring home."""
        return sum(self.progress.values()) - self.settled - self.pending

    @property
    def finished(self) -> bool:
        """Whether nothing more comes of it: carried out, and every match heard of or nothing found to do."""
        return self.carried_out_at is not None and (self.pending == 0 or self.count == 0)

    def state_of(self, match: Match) -> str:
        """Return a match's state as it is shown."""
        return "refused" if self.type == "refuse" and match.state == "held" else match.state


class Commands(View):
    """The newest commands."""

    items: list[Command]


async def newest(visit: Visit, limit: int) -> Part[Commands]:
    """Return the newest commands, for a list of them on any desk."""
    return await visit.ask.get(Commands, "status", "/v1/commands", limit=limit)


@router.get("/commands")
async def index(visit: Reader, limit: int = PAGE) -> Response:
    """List the newest commands; as a part for desks that show a few."""
    found = await newest(visit, min(max(limit, 1), PAGE))
    return visit.page("commands/_list.html" if visit.partial else "commands/index.html", recent=found, limit=limit)


@router.get("/commands/{command_id}")
async def command(visit: Reader, command_id: UUID) -> Response:
    """Show one command; it looks again by itself until it is finished."""
    found = await visit.ask.get(CommandDetail, "status", f"/v1/commands/{command_id}")
    if found.trouble is not None and found.trouble.kind == "missing":
        return visit.trouble(found.trouble)
    template = "commands/_command.html" if visit.partial else "commands/command.html"
    return visit.page(template, found=found, command_id=command_id)


@router.get("/commands/{command_id}/panel")
async def panel(visit: Reader, command_id: UUID) -> Response:
    """The same in a corner of the page on which it was given."""
    found = await visit.ask.get(CommandDetail, "status", f"/v1/commands/{command_id}")
    return visit.page("commands/_panel.html", found=found, command_id=command_id)
