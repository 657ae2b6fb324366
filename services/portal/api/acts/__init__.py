"""Commands from any desk: a confirmation that asks for a reason, then one command with an id that makes it safe.

What the confirmation says is fetched by ids: an address, which anybody may have made up, names nobody and nothing.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.responses import Response

from services.kernel.security import REASON_LENGTH
from services.portal.api.acts.subjects import About, Subject, letters, person
from services.portal.api.door import Visit, entering
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.sessions import local_path
from services.portal.domain.work import View

router = APIRouter()

Commander = Annotated[Visit, Depends(entering("commands:write"))]
Read = TypeVar("Read", bound=BaseModel)


class Asked(BaseModel):
    """What somebody wants to do, by ids alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    type: str = Field(pattern="^(retry|reverify|release|refuse|redeliver|skip)$")
    service: str = Field(min_length=1, max_length=40)
    person: UUID | None = None
    target: str | None = Field(default=None, max_length=200)
    hold: UUID | None = None
    message: UUID | None = None
    next: str = "/attention"

    @model_validator(mode="after")
    def _about_somebody(self) -> Self:
        if (self.type == "redeliver") != (self.person is None):
            raise ValueError("messages are about nobody, all else about one person")
        return self

    @property
    def counted(self) -> bool:
        """Whether a number has to be confirmed: of all that is held of a person, and of what is given up."""
        return self.type == "skip" or (self.type in {"release", "refuse"} and self.hold is None)


class Act(Asked):
    """What the confirmation sends on."""

    key: UUID = Field(default_factory=uuid4)
    reason: str = Field(default="", max_length=REASON_LENGTH)
    confirmed: int | None = Field(default=None, ge=0)
    """How many it concerns. Not `matches`: a form's field of that name hides the element's method from scripts."""

    @property
    def command(self) -> dict[str, Any]:
        """The body of POST /v1/commands."""
        names = ("type", "service", "person", "target", "hold", "message", "reason")
        body: dict[str, Any] = {name: str(value) for name in names if (value := getattr(self, name)) is not None}
        return body if self.confirmed is None else {**body, "matches": self.confirmed}


class Accepted(View):
    """The command was handed over."""

    id: UUID


@router.get("/act")
async def confirm(visit: Commander) -> Response:
    """Ask for the reason; in a dialog where there is script, else as a page."""
    asked = _read(Asked, dict(visit.request.query_params))
    if asked is None:
        return visit.trouble(Trouble("missing", "", "request.invalid"))
    return await _form(visit, Act.model_validate(asked.model_dump()))


@router.post("/act")
async def act(visit: Commander) -> Response:
    """Hand the command over; the id was made with the form, so sending it twice is the same command."""
    form = {name: value for name, value in (await visit.request.form()).items() if isinstance(value, str) and value}
    act = _read(Act, form)
    if act is None:
        return visit.trouble(Trouble("missing", "", "request.invalid"))
    if not act.reason:
        return await _form(visit, act, wrong="reason", status=422)
    if act.counted and act.confirmed is None:
        return await _form(visit, act, status=422)
    ask = visit.ask if act.person is None else visit.about(act.person)
    done = await ask.post(Accepted, "status", "/v1/commands", act.command, key=str(act.key))
    if done.trouble is not None:
        return await _form(visit, act, trouble=done.trouble, status=422)
    if not visit.partial:
        return visit.back(f"/commands/{done.value.id if done.value else act.key}", "command")
    return visit.closed("Sent. What becomes of it shows here.", followed=str(act.key))


async def _form(
    visit: Visit, act: Act, *, wrong: str | None = None, trouble: Trouble | None = None, status: int = 200
) -> Response:
    found = await _subject(visit, act)
    if found.trouble is not None and not visit.partial:
        return visit.trouble(found.trouble)
    template = "acts/_form.html" if visit.partial else "acts/page.html"
    following = local_path(act.next)
    # htmx puts only answers of success into the page
    return visit.page(
        template,
        status=200 if visit.partial else status,
        address=following,
        act=act,
        found=found,
        wrong=wrong,
        trouble=trouble,
        next=following,
    )


async def _subject(visit: Visit, act: Asked) -> Part[Subject]:
    about = About(act.type, act.service, act.target, act.hold, act.message)
    if act.person is None:
        return await letters(visit.ask, about)
    return await person(visit.about(act.person), about, act.person)


def _read(model: type[Read], values: Mapping[str, str]) -> Read | None:
    try:
        return model.model_validate({name: value for name, value in values.items() if value})
    except ValidationError:
        return None
