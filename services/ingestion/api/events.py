"""`POST /v1/events`: CloudEvents 1.0, structured JSON, one or a batch; `GET /v1/events/{id}`: what became of it.

`POST /v1/hooks/{hook}` takes the same, signed by Standard Webhooks in the place of a token: for one source, by name.
"""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response

from contracts.envelope import BATCH_CONTENT_TYPE, CONTENT_TYPE
from services.ingestion.api.body import decoded, limited
from services.ingestion.api.hooks import Hooks
from services.ingestion.api.quotas import Quotas
from services.ingestion.handlers.door import Door, statuses
from services.ingestion.handlers.reception import Sender, Submission, read
from services.ingestion.handlers.verdicts import Status, Verdict
from services.ingestion.store import reading
from services.kernel import telemetry
from services.kernel.database import Database
from services.kernel.problems import ProblemError, documented
from services.kernel.security import Principal, requires

log = telemetry.get_logger(__name__)

BATCH_LIMIT = 1_000
JSON = "application/json"
_KINDS = (CONTENT_TYPE, BATCH_CONTENT_TYPE)
BREATH = 10

Writer = Annotated[Principal, Depends(requires("events:write"))]


TAKES: dict[str, Any] = {
    "response_model": None,
    "responses": {
        200: {"description": "A batch: a verdict for each item, in order"},
        202: {"description": "One event: taken in, or known already; Location tells what became of it"},
        **documented(409, 413, 415, 429),
    },
    "openapi_extra": {"requestBody": {"required": True, "content": {kind: {} for kind in (*_KINDS, JSON)}}},
}


def router(door: Door, database: Database, hooks: Hooks) -> APIRouter:
    """Return the routes of the door."""
    routes, quotas = APIRouter(), Quotas()

    async def take(body: bytes, media_type: str, sender: Sender, *, hooked: bool = False) -> Response:
        content = decoded(body)
        quotas.spend(sender, content, len(body))
        traceparent = telemetry.current_traceparent()
        batch = isinstance(content, list) if media_type == JSON else media_type == BATCH_CONTENT_TYPE
        if not batch:
            return await _accept_one(door, content, sender, traceparent)
        verdicts = await _accept_batch(door, content, sender, traceparent)
        told = {"results": [_result(index, item) for index, item in enumerate(verdicts)], "counts": statuses(verdicts)}
        if hooked and any(verdict.problem is not None for verdict in verdicts):
            raise ProblemError(422, "batch.refused_items", "Events were refused; the others are taken in", members=told)
        return _json(200, told)

    @routes.post("/v1/events", **TAKES)
    async def post_events(request: Request, principal: Writer) -> Response:
        media_type = _media_type(request)
        sender = Sender(principal.subject, request.app.state.organisations[principal.organisation])
        return await take(await limited(request), media_type, sender)

    @routes.post("/v1/hooks/{hook}", **TAKES)
    async def post_hook(request: Request, hook: Annotated[str, Path(max_length=63)]) -> Response:
        media_type = _media_type(request)
        body = await limited(request, hooks.expected(hook, request.headers))
        # who sends webhooks looks at the status alone (Standard Webhooks 1.0): 200 would lose what was refused
        return await take(body, media_type, hooks.sender(hook, body, request.headers), hooked=True)

    @routes.get("/v1/events/{fact}", response_model=None, responses=documented(404))
    async def get_event(fact: UUID, principal: Writer) -> Response:
        async with database.transaction() as conn:
            found = await reading.receipt(conn, principal.organisation, fact)
        if found is None:
            raise ProblemError(404, "event.unknown", "There is no such event")
        return _json(200, {"status": Status.ACCEPTED.value, **_receipt(found)})

    return routes


def _media_type(request: Request) -> str:
    media_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].strip(' "')
    if media_type.strip() not in (CONTENT_TYPE, BATCH_CONTENT_TYPE, JSON) or charset not in ("", "utf-8"):
        raise ProblemError(
            415,
            "content_type.unsupported",
            "The content type is not taken here",
            detail=f"Send {CONTENT_TYPE}, {BATCH_CONTENT_TYPE} or {JSON}, in UTF-8.",
            headers={"Accept": f"{CONTENT_TYPE}, {BATCH_CONTENT_TYPE}, {JSON}"},
        )
    return media_type.strip()


async def _accept_one(door: Door, content: Any, sender: Sender, traceparent: str) -> Response:
    submission = read(content, sender, traceparent)
    verdict = await door.submit(submission) if isinstance(submission, Submission) else submission
    if verdict.problem is not None:
        log.info("event.refused", organisation=sender.settings.key, code=verdict.problem.code)
        raise verdict.problem
    log.info("event.accepted", organisation=sender.settings.key, fact=str(verdict.fact), status=verdict.status.value)
    return _json(202, _body(verdict), location=_location(verdict))


async def _accept_batch(door: Door, content: Any, sender: Sender, traceparent: str) -> list[Verdict]:
    if not isinstance(content, list):
        raise ProblemError(422, "batch.not_an_array", "A batch is a JSON array of events")
    if len(content) > BATCH_LIMIT:
        raise ProblemError(413, "batch.too_large", "The batch is too large", detail=f"At most {BATCH_LIMIT} events.")
    verdicts: dict[int, Verdict] = {}
    taken: list[tuple[int, Submission]] = []
    for index, item in enumerate(content):
        if index % BREATH == BREATH - 1:
            await asyncio.sleep(0)
        found = read(item, sender, traceparent)
        if isinstance(found, Submission):
            taken.append((index, found))
        else:
            verdicts[index] = found
    answers = await door.submit_batch([submission for _, submission in taken])
    verdicts |= {index: verdict for (index, _), verdict in zip(taken, answers, strict=True)}
    ordered = [verdicts[index] for index in range(len(content))]
    counts = str(statuses(ordered))
    log.info("batch.accepted", organisation=sender.settings.key, items=len(content), counts=counts)
    return ordered


def _result(index: int, verdict: Verdict) -> dict[str, Any]:
    if verdict.problem is not None:
        said: dict[str, Any] = {"id": verdict.event_id} if verdict.event_id is not None else {}
        return {"index": index, **said, "status": verdict.status.value, "problem": verdict.problem.body()}
    location = _location(verdict)
    return {"index": index, **_body(verdict), **({"location": location} if location else {})}


def _body(verdict: Verdict) -> dict[str, Any]:
    about: dict[str, Any] = {
        "person": verdict.person,
        "unit": verdict.unit,
        "case": verdict.case_id,
        "revision": verdict.revision,
        "duplicate": True if verdict.status is Status.DUPLICATE else None,
    }
    known = {key: value for key, value in about.items() if value is not None}
    if verdict.warnings:
        known["warnings"] = [asdict(one) for one in verdict.warnings]
    return {"id": verdict.event_id, "status": verdict.status.value, **known}


def _location(verdict: Verdict) -> str | None:
    return None if verdict.fact is None else f"/v1/events/{verdict.fact}"


def _receipt(found: reading.FactReceipt) -> dict[str, Any]:
    links = {"self": f"/v1/events/{found.id}"}
    if found.person is not None:
        links |= {
            "record": f"/v1/persons/{found.person}/record",
            "facts": f"/v1/persons/{found.person}/facts",
        }
    about = {"person": found.person, "unit": found.unit, "case": found.case_id, "revision": found.revision}
    return {
        "id": found.event_id,
        "source": found.source,
        "type": found.kind,
        "assertedAt": found.asserted_at,
        "recordedAt": found.recorded_at,
        **{key: value for key, value in about.items() if value is not None},
        "links": links,
    }


def _json(status: int, content: dict[str, Any], *, location: str | None = None) -> Response:
    headers = {"Location": location} if location else None
    return Response(orjson.dumps(content), status_code=status, headers=headers, media_type=JSON)
