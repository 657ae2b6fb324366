"""Who is who: cases that only a person can decide, and the ids by which sources know somebody.

Every read that shows people is logged in the same transaction; protected people are shown to who may see them.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.base import Label
from contracts.codes import Protection
from services.ingestion.api.persons import READ_PROTECTED, opened, unknown
from services.ingestion.domain.projection import Organisation
from services.ingestion.handlers.identifying import Decider, Identities
from services.ingestion.store import identities, ledger
from services.ingestion.store.identities import PAGE, IdentityCase, KnownAs
from services.ingestion.store.ledger import StoredPerson
from services.kernel import audit
from services.kernel.database import Connection, Database
from services.kernel.problems import ProblemError, documented
from services.kernel.security import Principal, requires

Decides = Annotated[Principal, Depends(requires("identity:write"))]
Reader = Annotated[Principal, Depends(requires("records:read"))]


class DecisionBody(BaseModel):
    """`same`: the two are one person, and `keep` says whose id and accounts go on. `separate`: they are two.

    `endFormer`: what was told of the former holder of an id that came back ends today; nobody can tell of it any more.
    """

    model_config = ConfigDict(extra="forbid")

    decision: Literal["same", "separate"]
    keep: UUID | None = None
    end_former: Annotated[bool, Field(alias="endFormer")] = True
    reason: Label


class MergeBody(BaseModel):
    """Who becomes an alias of the person, and why."""

    model_config = ConfigDict(extra="forbid")

    absorb: UUID
    reason: Label


class KnownAsBody(BaseModel):
    """An id of a source."""

    model_config = ConfigDict(extra="forbid")

    source: Label
    external_id: Annotated[Label, Field(alias="externalId")]


class SplitBody(BaseModel):
    """Which ids belong to somebody else, and why."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[KnownAsBody], Field(min_length=1, max_length=100)]
    reason: Label


class RetireBody(BaseModel):
    """Why what hangs on an alias is wound up."""

    model_config = ConfigDict(extra="forbid")

    reason: Label


def router(database: Database, who: Identities) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1", tags=["identity"])

    @routes.get("/identity/cases", response_model=None)
    async def get_cases(
        principal: Decides,
        state: Literal["open", "all"] = "open",
        after_at: Annotated[AwareDatetime | None, Query(alias="afterAt")] = None,
        after: UUID | None = None,
        person: UUID | None = None,
    ) -> Response:
        async with database.transaction() as conn:
            found = await identities.cases(
                conn,
                principal.organisation,
                undecided=state == "open",
                about=person,
                after=(after_at, after) if after_at and after else None,
                protected=READ_PROTECTED in principal.scopes,
            )
            shown = await _shown(conn, principal, found)
        following = None
        if len(found) == PAGE:
            last = found[-1]
            at = last.opened_at.isoformat().replace("+00:00", "Z")
            about = f"&person={person}" if person else ""
            following = f"/v1/identity/cases?state={state}&afterAt={at}&after={last.id}{about}"
        return _json({"items": shown, "next": following})

    @routes.get("/identity/waiting", response_model=None)
    async def get_waiting(principal: Decides) -> Response:
        async with database.transaction() as conn:
            found = await identities.waiting(conn, principal.organisation, protected=READ_PROTECTED in principal.scopes)
        return _json({"items": [{"kind": one.kind, "count": one.count, "since": one.since} for one in found]})

    @routes.get("/identity/cases/{case}", response_model=None, responses=documented(404))
    async def get_case(case: UUID, principal: Decides) -> Response:
        async with database.transaction() as conn:
            return _json(await _whole(conn, principal, await _seen(conn, principal, case)))

    @routes.post("/identity/cases/{case}/decision", response_model=None, responses=documented(404, 409))
    async def decide(case: UUID, principal: Decides, request: Request, body: DecisionBody) -> Response:
        async with database.transaction() as conn:
            await _seen(conn, principal, case)
        decider = _decider(request, principal, body.reason)
        if body.decision == "same":
            done = await who.same(decider, case, body.keep)
        else:
            done = await who.separate(decider, case, end_former=body.end_former)
        async with database.transaction() as conn:
            return _json(await _whole(conn, principal, done))

    @routes.get("/persons/{person}/identities", response_model=None, responses=documented(404))
    async def get_identities(person: UUID, principal: Reader) -> Response:
        async with database.transaction() as conn:
            if not await opened(conn, principal, person, "person.identities_read"):
                raise unknown()
            return _json(await _known(conn, principal, person))

    @routes.post("/persons/{person}/merge", response_model=None, responses=documented(404, 409))
    async def merge(person: UUID, principal: Decides, request: Request, body: MergeBody) -> Response:
        await _visible(database, principal, person, body.absorb)
        await who.merge(_decider(request, principal, body.reason), person, body.absorb)
        async with database.transaction() as conn:
            return _json(await _known(conn, principal, person))

    @routes.post("/persons/{person}/split", response_model=None, responses=documented(404, 409))
    async def split(person: UUID, principal: Decides, request: Request, body: SplitBody) -> Response:
        await _visible(database, principal, person)
        ids = sorted({(one.source, one.external_id) for one in body.ids})
        other = await who.split(_decider(request, principal, body.reason), person, ids)
        async with database.transaction() as conn:
            return _json({**await _known(conn, principal, person), "other": await _known(conn, principal, other)})

    @routes.post("/persons/{person}/retire", response_model=None, responses=documented(404, 409))
    async def retire(person: UUID, principal: Decides, request: Request, body: RetireBody) -> Response:
        await _visible(database, principal, person)
        await who.retire(_decider(request, principal, body.reason), person)
        async with database.transaction() as conn:
            return _json(await _known(conn, principal, person))

    return routes


def _decider(request: Request, principal: Principal, reason: str) -> Decider:
    settings = request.app.state.organisations[principal.organisation]
    return Decider(Organisation(settings.key, settings.zone), principal.subject, reason)


async def _visible(database: Database, principal: Principal, *persons: UUID) -> None:
    """Refuse a decision about someone whom the bearer may not see, as if there were no such person."""
    async with database.transaction() as conn:
        seen = [await opened(conn, principal, person, None) for person in persons]
    if not all(seen):
        raise unknown()


async def _seen(conn: Connection, principal: Principal, case: UUID) -> IdentityCase:
    found = await identities.find(conn, principal.organisation, case)
    if found is None or (_hidden(await _both(conn, [found])) and READ_PROTECTED not in principal.scopes):
        raise ProblemError(404, "identity.unknown", "There is no such case")
    return found


async def _both(conn: Connection, cases: list[IdentityCase]) -> Mapping[tuple[str, UUID], StoredPerson]:
    keys = {(case.organisation, person) for case in cases for person in (case.person, case.other)}
    return await ledger.by_id(conn, keys, lock=False)


def _hidden(people: Mapping[tuple[str, UUID], StoredPerson]) -> bool:
    return any(_level(stored) is not Protection.NONE for stored in people.values())


def _level(stored: StoredPerson) -> Protection:
    """What is told of an alias is its person's; somebody held has no record yet."""
    records = stored.dossier.records
    return stored.dossier.state.protection if records is None else records.core.protection


async def _shown(conn: Connection, principal: Principal, cases: list[IdentityCase]) -> list[dict[str, Any]]:
    people = await _both(conn, cases)
    organisation, subject, reason = principal.organisation, principal.subject, principal.reason
    read = [person for _, person in people]
    if read:
        await audit.record(conn, "ingestion", organisation, subject, "identity.read", persons=read, reason=reason)
    return [_case(case, people) for case in cases]


async def _whole(conn: Connection, principal: Principal, case: IdentityCase) -> dict[str, Any]:
    """Return a case with the ids by which sources know the two."""
    (shown,) = await _shown(conn, principal, [case])
    for one in (shown["person"], shown["other"]):
        one["ids"] = [_known_as(known) for known in await identities.known_as(conn, case.organisation, one["id"])]
    return shown


def _case(case: IdentityCase, people: Mapping[tuple[str, UUID], StoredPerson]) -> dict[str, Any]:
    return {
        "id": case.id,
        "kind": case.kind,
        "state": case.state,
        "source": case.source,
        "externalId": case.external_id,
        "openedAt": case.opened_at,
        "decidedAt": case.decided_at,
        "decidedBy": case.actor,
        "reason": case.reason,
        "person": _person(case.person, people.get((case.organisation, case.person))),
        "other": _person(case.other, people.get((case.organisation, case.other))),
    }


def _person(person: UUID, stored: StoredPerson | None) -> dict[str, Any]:
    if stored is None:
        return {"id": person}
    state = stored.dossier.state
    return {
        "id": person,
        "name": None if state.name is None else state.name.model_dump(by_alias=True, exclude_none=True),
        "birthDate": state.birth_date,
        "protection": state.protection,
        "aliasOf": stored.dossier.ties.alias_of,
        "held": stored.dossier.ties.held_by is not None,
        "employments": [
            {
                "source": one.source,
                "externalId": one.person,
                "id": one.id,
                "form": one.form,
                "validFrom": one.valid_from,
                "validTo": one.valid_to,
                "employeeNumber": one.employee_number,
                "unit": one.assignments[-1].unit if one.assignments else None,
            }
            for one in state.employments
        ],
    }


async def _known(conn: Connection, principal: Principal, person: UUID) -> dict[str, Any]:
    organisation = principal.organisation
    stored = (await ledger.by_id(conn, [(organisation, person)], lock=False)).get((organisation, person))
    ties = None if stored is None else stored.dossier.ties
    return {
        "person": person,
        "aliasOf": ties.alias_of if ties else None,
        "aliases": list(ties.aliases) if ties else [],
        "retired": ties.retired if ties else False,
        "ids": [_known_as(one) for one in await identities.known_as(conn, organisation, person)],
    }


def _known_as(one: KnownAs) -> dict[str, Any]:
    return {
        "source": one.source,
        "externalId": one.external_id,
        "origin": one.origin,
        "recognised": one.recognised,
        "firstSeenAt": one.first_seen_at,
    }


def _json(content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
