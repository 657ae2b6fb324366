"""`POST /v1/files`: a file of an HR system, to be planned, applied, and its held leavers released or refused."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, BinaryIO, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.base import Label, Text
from services.ingestion.api.file_reading import Writer, as_json, found_file, say, shown
from services.ingestion.domain.mapping import FileMapping
from services.ingestion.domain.rules import AHEAD_OF_CLOCK, EARLIEST_ASSERTION
from services.ingestion.handlers.judging import judged
from services.ingestion.handlers.receiving import FILE_LIMIT, Origin, Spooled, receive, wake_source
from services.ingestion.store import file_lists, files, unit_files
from services.ingestion.store.files import FileImport
from services.kernel.clock import business_now
from services.kernel.database import Connection, Database
from services.kernel.problems import FieldError, ProblemError, documented
from services.kernel.security import Principal

NAMED = 100
"""People who are named when a plan has been overtaken."""

TYPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "csv": frozenset({"text/csv"}),
        "xlsx": frozenset({"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}),
        "jsonl": frozenset({"application/jsonl", "application/x-ndjson"}),
    }
)
ANY = "application/octet-stream"


class DecisionBody(BaseModel):
    """Why held people are released or refused; `persons` names some of them by the source's ids, none means all."""

    model_config = ConfigDict(extra="forbid")

    reason: Label
    persons: Annotated[list[Label], Field(min_length=1, max_length=10_000)] | None = None


def router(database: Database, mappings: Mapping[str, FileMapping], wake: Callable[[], None]) -> APIRouter:
    """Return the routes; `wake` tells the workers that there is something to do."""
    routes = APIRouter(prefix="/v1/files", tags=["files"])
    body = {"requestBody": {"required": True, "content": {kind: {} for kind in (*_kinds(), ANY)}}}

    @routes.post("", status_code=202, response_model=None, responses=documented(409, 413, 415), openapi_extra=body)
    async def upload(
        principal: Writer,
        request: Request,
        source: Annotated[str, Query(max_length=400)],
        kind: Literal["delta", "full"],
        plan: bool | None = None,
        baseline: bool = False,
        made: AwareDatetime | None = None,
        name: Annotated[Text, Query()] = "",
    ) -> Response:
        organisation = request.app.state.organisations[principal.organisation]
        if source not in organisation.sources:
            raise ProblemError(403, "source.forbidden", "The source is not bound to this organisation")
        mapping = mappings.get(source)
        if mapping is None:
            raise ProblemError(409, "file.mapping_missing", "No mapping is agreed with this source")
        _judge_type(request, mapping)
        with tempfile.TemporaryFile() as spooled:
            came = await _spooled(request, spooled)
            planned = kind == "full" if plan is None else plan
            async with database.transaction() as conn:
                _judge_time(made, await business_now(conn))
                whose = Origin(principal.organisation, source, principal.subject)
                file, same = await receive(
                    conn, whose, came, kind=kind, name=name, plan=planned, made=made, baseline=baseline
                )
                content = await shown(conn, file)
        wake()
        return as_json({**content, "duplicate": same}, status=202, location=f"/v1/files/{file.id}")

    @routes.post("/{file}/apply", status_code=202, response_model=None, responses=documented(404, 409))
    async def apply(file: UUID, principal: Writer, request: Request) -> Response:
        async with database.transaction() as conn:
            found = await found_file(conn, principal, file, lock=True)
            if found.state in ("applying", "done"):
                return as_json(await shown(conn, found), status=202)
            if found.state != "planned":
                raise ProblemError(409, "file.not_planned", "There is no plan to apply", detail=f"It is {found.state}.")
            await _still(conn, found, ["planned", "held", "unchanged"])
            settings = request.app.state.organisations[principal.organisation]
            # what other files have taken since it was planned counts, too
            said = await judged(conn, found, settings) if found.records == "persons" else None
            if said is not None:
                parameters = dict(said.parameters)
                found = replace(found, code=said.code, reason=said.reason, parameters=parameters)
            content = await _set_going(conn, principal, found, "file.applied")
        wake()
        return as_json(content, status=202)

    @routes.post("/{file}/release", status_code=202, response_model=None, responses=documented(404, 409))
    async def release(file: UUID, principal: Writer, body: DecisionBody) -> Response:
        async with database.transaction() as conn:
            found = await _held(conn, principal, file)
            await files.decide(conn, file, "planned", body.persons)
            await _still(conn, found, ["planned"])
            count = (await file_lists.tallies(conn, [file]))[file]["states"].get("planned", 0)
            if not count:
                raise ProblemError(409, "file.none_held", "None of them is held")
            content = await _set_going(conn, principal, found, "file.released", count=count, reason=body.reason)
        wake()
        return as_json(content, status=202)

    @routes.post("/{file}/refuse", response_model=None, responses=documented(404, 409))
    async def refuse(file: UUID, principal: Writer, body: DecisionBody) -> Response:
        async with database.transaction() as conn:
            found = await _held(conn, principal, file)
            count = await files.decide(conn, file, "refused", body.persons)
            if not count:
                raise ProblemError(409, "file.none_held", "None of them is held")
            await say(conn, principal, "file.kept", file, reason=body.reason, parameters={"count": count})
            return as_json(await shown(conn, found))

    return routes


def _kinds() -> list[str]:
    return sorted(kind for kinds in TYPES.values() for kind in kinds)


def _judge_type(request: Request, mapping: FileMapping) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    taken = TYPES[mapping.format]
    if media_type not in taken and media_type != ANY:
        raise ProblemError(
            415,
            "content_type.unsupported",
            "The content type is not taken here",
            detail=f"The source's mapping reads {mapping.format}: send {' or '.join(sorted(taken))}.",
        )


async def _spooled(request: Request, spooled: BinaryIO) -> Spooled:
    """Bring the body to disk; one that is too large is refused before it is whole."""
    size, digest = 0, hashlib.sha256()
    async for content in request.stream():
        size += len(content)
        if size > FILE_LIMIT:
            raise ProblemError(
                413,
                "body.too_large",
                "The body is too large",
                detail=f"At most {FILE_LIMIT} bytes.",
                headers={"Connection": "close"},
            )
        digest.update(content)
        spooled.write(content)
    return Spooled(spooled, size, digest.digest())


def _judge_time(made: datetime | None, now: datetime) -> None:
    if made is not None and (made > now + AHEAD_OF_CLOCK or made < EARLIEST_ASSERTION):
        error = FieldError("/query/made", "file.made_implausible", "the file cannot have been made then")
        raise ProblemError(422, "file.made_implausible", "The time is implausible", errors=[error])


async def _held(conn: Connection, principal: Principal, file: UUID) -> FileImport:
    found = await found_file(conn, principal, file, lock=True)
    if found.state != "done":
        raise ProblemError(409, "file.not_done", "The rest of the file comes first", detail=f"It is {found.state}.")
    return found


async def _still(conn: Connection, file: FileImport, states: list[str]) -> None:
    """Refuse what was planned on ground that has moved, and name who it is."""
    units = file.records == "units"
    moved = await (unit_files if units else files).moved(conn, file, states, NAMED)
    if moved:
        reason = f"HR has told something new of this {'unit' if units else 'person'} since the plan was made"
        code = "file.unit_moved" if units else "file.person_moved"
        errors = [FieldError(f"/{file.records}/{one}", code, reason) for one in moved]
        detail = "Upload the file once more for a new plan."
        raise ProblemError(409, "file.overtaken", "The plan has been overtaken", detail=detail, errors=errors)


async def _set_going(
    conn: Connection,
    principal: Principal,
    file: FileImport,
    action: str,
    *,
    count: int | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    await files.move(conn, file.id, "applying", code=file.code, reason=file.reason, parameters=file.parameters)
    await say(conn, principal, action, file.id, reason=reason, parameters={} if count is None else {"count": count})
    await wake_source(conn, file)
    return await shown(conn, await found_file(conn, principal, file.id))
