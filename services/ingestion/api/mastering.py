"""`POST /v1/units`, `/all` and `/plan` below it: units that an organisation keeps here, recorded and judged."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any
from uuid import UUID, uuid4

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import TypeAdapter, ValidationError

from contracts.base import Label
from contracts.hr import HrUnitRecorded
from services.ingestion.api.body import decoded, limited
from services.ingestion.api.persons import JSON, READ_PROTECTED
from services.ingestion.handlers.door import statuses
from services.ingestion.handlers.mastering import Clerk, Judged, UnitsKeptHere
from services.ingestion.handlers.verdicts import Status, Verdict
from services.kernel.problems import FieldError, ProblemError, documented, from_validation
from services.kernel.security import Principal, requires

PLAN_LIMIT = 1_000
"""Words of a plan: they are judged in one transaction."""

Keeper = Annotated[Principal, Depends(requires("organisation:write"))]

_REASON: TypeAdapter[str] = TypeAdapter(Label)
_WORD = HrUnitRecorded.model_json_schema(by_alias=True)


def _body(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


RECORD = _body(
    {
        **_WORD,
        "properties": {**_WORD["properties"], "reason": {"type": "string", "minLength": 1, "maxLength": 200}},
        "required": [*_WORD["required"], "reason"],
    }
)
PLAN = _body(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["units"],
        "properties": {"units": {"type": "array", "minItems": 1, "maxItems": PLAN_LIMIT, "items": _WORD}},
    }
)
ALL = _body(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["units", "reason"],
        "properties": {
            "units": {"type": "array", "minItems": 1, "maxItems": PLAN_LIMIT, "items": _WORD},
            "reason": {"type": "string", "minLength": 1, "maxLength": 200},
        },
    }
)


def router(kept: UnitsKeptHere) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/units", tags=["units"])

    @routes.post("", status_code=202, response_model=None, responses=documented(409, 413), openapi_extra=RECORD)
    async def record(
        principal: Keeper,
        request: Request,
        idempotency_key: Annotated[UUID | None, Header(description="Becomes the fact's id")] = None,
    ) -> Response:
        """Record what is said of one unit, by the fields of HR's event, asserted now; a field left out stays.

        Without `managerSource` those who lead it are people by our own ids.
        """
        word = _object(decoded(await limited(request)))
        reason = _reason(word.pop("reason", None))
        try:
            verdict = await kept.record(_clerk(request, principal), idempotency_key or uuid4(), word, reason)
        except ProblemError as problem:
            problem.errors = tuple(_placed(error, "/body") for error in problem.errors)
            raise
        return _json(202, {"id": verdict.event_id, **_verdict(verdict, "/body")})

    @routes.post("/plan", response_model=None, responses=documented(409, 413), openapi_extra=PLAN)
    async def plan(principal: Keeper, request: Request) -> Response:
        """Judge words together as if they were recorded now, in their order; nothing is stored."""
        words = _words(_object(decoded(await limited(request))))
        found = await kept.plan(_clerk(request, principal), words)
        items = [_judged(index, one) for index, one in enumerate(found)]
        return _json(200, {"units": items, "counts": statuses([one.verdict for one in found])})

    @routes.post("/all", status_code=202, response_model=None, responses=documented(409, 413), openapi_extra=ALL)
    async def record_all(
        principal: Keeper,
        request: Request,
        idempotency_key: Annotated[UUID | None, Header(description="The facts' ids come from it")] = None,
    ) -> Response:
        """Record what is said of several units, in their order, for one reason: all of it or nothing."""
        body = _object(decoded(await limited(request)))
        reason = _reason(body.pop("reason", None))
        words = _words(body)
        try:
            found = await kept.record_all(_clerk(request, principal), idempotency_key or uuid4(), words, reason)
        except ProblemError as problem:
            problem.errors = tuple(_placed(error, "/body/units") for error in problem.errors)
            raise
        items = [{"index": index, **_verdict(one, f"/body/units/{index}")} for index, one in enumerate(found)]
        return _json(202, {"units": items, "counts": statuses(found)})

    return routes


def _clerk(request: Request, principal: Principal) -> Clerk:
    settings = request.app.state.organisations[principal.organisation]
    return Clerk(principal.subject, settings, protected=READ_PROTECTED in principal.scopes)


def _object(content: object) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise _invalid("/body", "dict_type", "the body is a JSON object")
    return content


def _words(body: Mapping[str, Any]) -> list[object]:
    words = body.get("units")
    if body.keys() != {"units"} or not isinstance(words, list) or not 1 <= len(words) <= PLAN_LIMIT:
        raise _invalid("/body/units", "list_type", f"a plan has units alone, from 1 to {PLAN_LIMIT}")
    return words


def _reason(said: object) -> str:
    try:
        return _REASON.validate_python(said)
    except ValidationError as error:
        (found, *_) = from_validation(error)
        raise _invalid("/body/reason", found.code, found.reason) from error


def _invalid(field: str, code: str, reason: str) -> ProblemError:
    title = "The request does not follow the API"
    return ProblemError(422, "request.invalid", title, errors=[FieldError(field, code, reason)])


def _placed(error: FieldError, place: str) -> FieldError:
    """Say where in the body a field of a word stands."""
    known = error.field.startswith("/data")
    return replace(error, field=place + error.field.removeprefix("/data")) if known else error


def _judged(index: int, one: Judged) -> dict[str, Any]:
    place = f"/body/units/{index}"
    return {
        "index": index,
        "unit": one.unit,
        **({"kind": one.kind, "fields": one.fields} if one.kind is not None else {}),
        **_verdict(one.verdict, place),
    }


def _verdict(verdict: Verdict, place: str) -> dict[str, Any]:
    said: dict[str, Any] = {"status": verdict.status.value}
    if verdict.problem is not None:
        errors = [_placed(error, place) for error in verdict.problem.errors]
        return {**said, "code": verdict.problem.code, "title": verdict.problem.title, "errors": _fields(errors)}
    known = {"unit": verdict.unit, "revision": verdict.revision}
    said |= {name: value for name, value in known.items() if value is not None}
    if verdict.status is Status.DUPLICATE:
        said["duplicate"] = True
    if verdict.warnings:
        said["warnings"] = _fields([_placed(one, place) for one in verdict.warnings])
    return said


def _fields(errors: Sequence[FieldError]) -> list[dict[str, Any]]:
    return [asdict(one) for one in errors]


def _json(status: int, content: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type=JSON)
