"""Commands from any desk: a confirmation that asks for a reason, then one command with an id that makes it safe."""

from typing import Annotated, Any
from uuid import UUID, uuid4

import orjson
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from services.portal.api.door import Visit, entering
from services.portal.domain.answers import Trouble
from services.portal.domain.sessions import local_path
from services.portal.domain.work import View

router = APIRouter()

Commander = Annotated[Visit, Depends(entering("commands:write"))]


class Act(BaseModel):
    """What the confirmation is about, and sends on."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    type: str = Field(pattern="^(retry|reverify|release|refuse|redeliver)$")
    service: str = Field(min_length=1, max_length=40)
    person: UUID | None = None
    target: str | None = Field(default=None, max_length=200)
    hold: UUID | None = None
    message: UUID | None = None
    name: str = Field(default="", max_length=200)
    next: str = "/attention"
    key: UUID = Field(default_factory=uuid4)
    reason: str = Field(default="", max_length=200)
    matches: int | None = Field(default=None, ge=0)

    @property
    def command(self) -> dict[str, Any]:
        """The body of POST /v1/commands."""
        names = ("type", "service", "person", "target", "hold", "message", "reason")
        body: dict[str, Any] = {name: str(value) for name in names if (value := getattr(self, name)) is not None}
        return body if self.matches is None else {**body, "matches": self.matches}


class Accepted(View):
    """The command was handed over."""

    id: UUID


@router.get("/act")
async def confirm(visit: Commander) -> Response:
    """Ask for the reason; in a dialog where there is script, else as a page."""
    act = _act(dict(visit.request.query_params))
    if act is None:
        return visit.trouble(Trouble("missing", "", "request.invalid"))
    return _form(visit, act)


@router.post("/act")
async def act(visit: Commander) -> Response:
    """Hand the command over; the id was made with the form, so sending it twice is the same command."""
    form = {name: value for name, value in (await visit.request.form()).items() if isinstance(value, str) and value}
    act = _act(form)
    if act is None:
        return visit.trouble(Trouble("missing", "", "request.invalid"))
    if not act.reason:
        return _form(visit, act, wrong="reason", status=422)
    done = await visit.ask.post(Accepted, "status", "/v1/commands", act.command, key=str(act.key))
    if done.trouble is not None:
        return _form(visit, act, trouble=done.trouble, status=422)
    if not visit.partial:
        return visit.back(f"/commands/{done.value.id if done.value else act.key}", "command")
    said = visit.doors.pages.say(visit.request, "Sent. What becomes of it shows here.")
    told = {"closed": True, "said": {"text": _ascii(said)}, "changed": True, "followed": str(act.key)}
    return Response(status_code=204, headers={"HX-Trigger": orjson.dumps(told).decode()})


def _form(
    visit: Visit, act: Act, *, wrong: str | None = None, trouble: Trouble | None = None, status: int = 200
) -> Response:
    template = "acts/_form.html" if visit.partial else "acts/page.html"
    # htmx puts only answers of success into the page
    return visit.page(
        template,
        status=200 if visit.partial else status,
        act=act,
        wrong=wrong,
        trouble=trouble,
        next=local_path(act.next),
    )


def _act(values: dict[str, str]) -> Act | None:
    try:
        return Act.model_validate({name: value for name, value in values.items() if value})
    except ValidationError:
        return None


def _ascii(text: str) -> str:
    """Return text for a header: what is not ASCII travels as a percent-encoded byte (a header is Latin-1 at best)."""
    return "".join(character if character.isascii() and character != "%" else _percent(character) for character in text)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())
