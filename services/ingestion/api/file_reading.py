"""`GET /v1/files`: which files came, what each does person by person, and what was set aside.

Every read that shows people is logged in the same transaction; protected people are shown to who may see them.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Response

from contracts.codes import CaseKind, UnitKind
from contracts.sentences import Language, sentence
from services.ingestion.api.persons import READ_PROTECTED
from services.ingestion.domain.rows import Reject
from services.ingestion.store import file_lists, files
from services.ingestion.store.files import FileImport, PlannedPerson
from services.kernel import audit
from services.kernel.database import Connection, Database
from services.kernel.problems import ProblemError, documented
from services.kernel.security import Principal, requires
from services.kernel.spreadsheet import CSV, table

PAGE_LIMIT = 500
LIST_LIMIT = 100

Writer = Annotated[Principal, Depends(requires("files:write"))]
Stage = Literal["received", "planned", "applying", "done", "refused", "held"]
State = Literal["planned", "held", "unchanged", "rejected", "applied", "refused"]


def router(database: Database) -> APIRouter:
    """Return the routes that read."""
    routes = APIRouter(prefix="/v1/files", tags=["files"])

    @routes.get("", response_model=None)
    async def index(
        principal: Writer,
        source: Annotated[str | None, Query(max_length=400)] = None,
        state: Stage | None = None,
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=LIST_LIMIT)] = 25,
    ) -> Response:
        """List files, the newest first; `held`: the newest full ones of their sources, in which people are held."""
        async with database.transaction() as conn:
            if state == "held":
                found = await file_lists.held(conn, principal.organisation, source)
            else:
                found = await file_lists.listed(
                    conn, principal.organisation, source=source, state=state, after=after, limit=limit
                )
            tallies = await file_lists.tallies(conn, [one.id for one in found])
        more = found[-1].id if state != "held" and len(found) == limit else None
        return as_json({"items": [_file(one, tallies[one.id]) for one in found], "next": more})

    @routes.get("/{file}", response_model=None, responses=documented(404))
    async def status(file: UUID, principal: Writer) -> Response:
        async with database.transaction() as conn:
            return as_json(await shown(conn, await found_file(conn, principal, file)))

    @routes.get("/{file}/persons", response_model=None, responses=documented(404))
    async def persons(
        file: UUID,
        principal: Writer,
        state: State | None = None,
        kind: CaseKind | UnitKind | None = None,
        after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 100,
    ) -> Response:
        async with database.transaction() as conn:
            await found_file(conn, principal, file)
            may = READ_PROTECTED in principal.scopes
            found = await file_lists.persons(
                conn, file, state=state, kind=kind, after=after, limit=limit, protected=may
            )
            seen = [one.person for one in found if one.person is not None]
            await say(conn, principal, "file.persons_read", file, persons=seen, reason=principal.reason)
        narrowed = (f"&state={state}" if state else "") + (f"&kind={kind}" if kind else "")
        more = (
            f"/v1/files/{file}/persons?after={found[-1].place}&limit={limit}{narrowed}" if len(found) == limit else None
        )
        return as_json({"items": [_person(one) for one in found], "next": more})

    @routes.get("/{file}/rejected", response_model=None, responses=documented(404))
    async def rejected(
        file: UUID,
        principal: Writer,
        after: Annotated[int, Query(ge=-1, lt=2**31)] = -1,
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 100,
    ) -> Response:
        """List what was set aside, by row; a row's rejects are never parted, so there may be more than `limit`."""
        async with database.transaction() as conn:
            await found_file(conn, principal, file)
            found = await file_lists.rejects(conn, file, after, limit)
            await say(conn, principal, "file.rejects_read", file, reason=principal.reason)
        return as_json(
            {"items": [_reject(one) for one in found], "next": found[-1].row if len(found) >= limit else None}
        )

    @routes.get(
        "/{file}/rejects", response_model=None, responses={**documented(404), 200: {"content": {"text/csv": {}}}}
    )
    async def rejects(file: UUID, principal: Writer, language: Language = "en") -> Response:
        """Return what was set aside as a table, its reasons in words of a language."""
        async with database.transaction() as conn:
            found = await found_file(conn, principal, file)
            rows = await file_lists.rejects(conn, file, -1, PAGE_LIMIT * 200)
            await say(conn, principal, "file.rejects_read", file, reason=principal.reason)
        heading = ("file", "row", "column", "value", "code", "reason")
        content = table(
            heading,
            (
                (
                    found.name,
                    one.row,
                    one.column,
                    one.value,
                    one.code,
                    sentence(one.code, one.parameters, language) or one.reason,
                )
                for one in rows
            ),
        )
        headers = {"Content-Disposition": 'attachment; filename="rejects.csv"'}
        return Response(content, media_type=CSV, headers=headers)

    return routes


async def found_file(conn: Connection, principal: Principal, file: UUID, *, lock: bool = False) -> FileImport:
    """Return a file of the bearer's organisation.

    Raises:
        ProblemError: 404, there is none.
    """
    found = await files.find(conn, principal.organisation, file, lock=lock)
    if found is None:
        raise ProblemError(404, "file.unknown", "There is no such file")
    return found


async def say(conn: Connection, principal: Principal, action: str, file: UUID, **more: Any) -> None:
    """Tell the audit what was done with a file, or seen of it."""
    parameters = {"file": str(file), **more.pop("parameters", {})}
    organisation, subject = principal.organisation, principal.subject
    await audit.record(conn, "ingestion", organisation, subject, action, parameters=parameters, **more)


async def shown(conn: Connection, file: FileImport) -> dict[str, Any]:
    """Return how a file stands."""
    return _file(file, (await file_lists.tallies(conn, [file.id]))[file.id])


def _file(file: FileImport, tally: dict[str, Any]) -> dict[str, Any]:
    states = tally["states"]
    here = f"/v1/files/{file.id}"
    return {
        "id": file.id,
        "source": file.source,
        "kind": file.kind,
        "records": file.records,
        "name": file.name,
        "state": file.state,
        "plan": file.plan,
        "baseline": file.baseline,
        "madeAt": file.made_at,
        "uploadedAt": file.uploaded_at,
        "finishedAt": file.finished_at,
        "actor": file.actor,
        "size": file.size,
        "sha256": file.hash.hex(),
        "rows": file.row_count,
        "persons": file.person_count,
        "counts": {**states, "missing": tally["missing"], "rejectedRows": tally["rejectedRows"], **tally["kinds"]},
        "toApply": tally["planned"],
        "progress": {
            "planned": sum(states.values()),
            "toApply": states.get("planned", 0) if file.state == "applying" else 0,
        },
        "code": file.code,
        "parameters": file.parameters,
        "reason": file.reason,
        "links": {"self": here, "persons": f"{here}/persons", "rejects": f"{here}/rejects"},
    }


def _person(one: PlannedPerson) -> dict[str, Any]:
    return {
        "place": one.place,
        "externalId": one.external_id,
        "person": one.person,
        "state": one.state,
        "kind": one.kind,
        "reason": one.reason,
        "fields": list(one.fields),
        "missing": one.missing,
        "announced": one.announced,
    }


def _reject(one: Reject) -> dict[str, Any]:
    return {
        "row": one.row,
        "column": one.column,
        "value": one.value,
        "code": one.code,
        "parameters": dict(one.parameters),
        "reason": one.reason,
    }


def as_json(content: dict[str, Any], *, status: int = 200, location: str | None = None) -> Response:
    """Return an answer."""
    headers = {"Location": location} if location else None
    return Response(orjson.dumps(content), status_code=status, headers=headers, media_type="application/json")
