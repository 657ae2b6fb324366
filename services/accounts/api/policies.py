"""Policy: what is active, what a table would change, and its activation."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.codes import Protection
from services.accounts.handlers import policies
from services.accounts.handlers.situation import TABLE
from services.kernel import audit, policy
from services.kernel.clock import business_now
from services.kernel.database import Connection, Database
from services.kernel.policy import Policies, PolicyBook, PolicyRefused, Table
from services.kernel.problems import FieldError, ProblemError, documented
from services.kernel.security import READ_PROTECTED, Principal, requires
from services.kernel.settings import OrganisationSettings

Reader = Annotated[Principal, Depends(requires("policy:read"))]
Writer = Annotated[Principal, Depends(requires("policy:write"))]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Candidate(BaseModel):
    """A decision table (GoRules JSON Decision Model); without `content` the installation's own file."""

    model_config = ConfigDict(extra="forbid")

    content: dict[str, Any] | None = None


class Activation(Candidate):
    """What was planned: its hash, why, and the number of removals when the plan asks for confirmation."""

    hash: str
    reason: Reason
    removals: Annotated[int, Field(ge=0)] | None = None


def router(
    database: Database,
    book: PolicyBook,
    organisations: dict[str, OrganisationSettings],
    committed: Callable[[], None],
) -> APIRouter:
    """Return the routes below /v1/policy."""
    routes = APIRouter(prefix=f"/v1/policy/{TABLE}", tags=["policy"])

    @routes.get("")
    async def show(principal: Reader, content: bool = False) -> dict[str, Any]:
        async with database.transaction() as conn:
            active = await policy.activation(conn, principal.organisation, TABLE)
            stored = await policy.content(conn, active.hash) if active and content else None
            before = await policy.content(conn, active.previous) if active and active.previous and content else None
        candidate = _table(book, None)
        shown = _activation(active) if active else None
        waiting: dict[str, Any] = {"hash": candidate.hash, "differs": active is None or active.hash != candidate.hash}
        if content:
            waiting["content"] = orjson.loads(candidate.content)
            if shown is not None and stored is not None:
                shown["content"] = orjson.loads(stored)
            if shown is not None and before is not None:
                shown["previous"]["content"] = orjson.loads(before)
        return {"active": shown, "candidate": waiting}

    @routes.get("/trial", responses=documented(404))
    async def trial(principal: Reader, person: UUID) -> dict[str, Any]:
        """Tell what the active table and the candidate decide for a person now; a read of that person. Acts on nothing.

        It needs `persons:read` too. A person with a protected identity is not there without the right to see them.
        """
        if "persons:read" not in principal.scopes:
            raise ProblemError(403, "scope.missing", "The token lacks a scope", detail="This needs persons:read.")
        candidate = _table(book, None)
        async with database.transaction() as conn:
            await book.refresh(conn)
            now = await business_now(conn)
            tables = {"active": (book.hash(TABLE, principal.organisation), book.decide)}
            if candidate.hash != tables["active"][0]:
                tables["candidate"] = (candidate.hash, Policies({(principal.organisation, TABLE): candidate}).decide)
            record = await policies.record_of(conn, principal.organisation, person)
            if record is not None and record.protection != Protection.NONE and READ_PROTECTED not in principal.scopes:
                record = None
            await audit.record(
                conn,
                "accounts",
                principal.organisation,
                principal.subject,
                "policy.tried",
                subject=person,
                reason=principal.reason,
                parameters={"table": TABLE, "shown": record is not None},
            )
        committed()
        if record is None:
            raise ProblemError(404, "person.unknown", "There is no such person, or this token may not see it")
        organisation = organisations[principal.organisation]
        try:
            said = {
                name: {"hash": digest, **policies.verdict(organisation, decide, record, now)}
                for name, (digest, decide) in tables.items()
            }
        except PolicyRefused as refused:
            raise _refused(refused) from refused
        return {"person": str(person), "now": now, "active": said["active"], "candidate": said.get("candidate")}

    @routes.post("/plan")
    async def plan(principal: Reader, body: Candidate) -> dict[str, Any]:
        table = _table(book, body.content)
        async with database.transaction() as conn:
            return dict(policies.shown(await _impact(conn, principal, table)))

    @routes.post("/activate", status_code=202, responses=documented(409))
    async def activate(principal: Writer, body: Activation) -> dict[str, Any]:
        table = _table(book, body.content)
        if table.hash != body.hash:
            raise ProblemError(409, "policy.changed", "The table is not the one that was planned; plan it again")
        async with database.transaction() as conn:
            found = await _impact(conn, principal, table)
            if found.needs_confirmation and body.removals != found.removals:
                raise ProblemError(
                    409,
                    "policy.held",
                    "The guard holds this activation",
                    detail=f"{found.removals} accounts would be closed or deleted at once,"
                    f" {found.allowance} are allowed."
                    f" To do it all the same, repeat with removals: {found.removals}.",
                )
            people = await policies.activate(
                conn, principal.organisation, table, actor=principal.subject, reason=body.reason
            )
            await audit.record(
                conn,
                "accounts",
                principal.organisation,
                principal.subject,
                "policy.activated",
                reason=body.reason,
                parameters={"table": TABLE, "hash": body.hash, "people": people},
            )
        committed()
        return {**policies.shown(found), "lookedAtAgain": people, "perSecond": policies.PER_SECOND}

    async def _impact(conn: Connection, principal: Principal, table: Table) -> policies.Impact:
        await book.refresh(conn)
        now = await business_now(conn)
        try:
            return await policies.impact(conn, organisations[principal.organisation], table, book.decide, now)
        except PolicyRefused as refused:
            raise _refused(refused) from refused

    return routes


def _activation(active: policy.Activation) -> dict[str, Any]:
    return {
        "hash": active.hash,
        "activatedAt": active.since,
        "actor": active.actor,
        "reason": active.reason,
        "version": active.version,
        "previous": {"hash": active.previous} if active.previous else None,
    }


def _table(book: PolicyBook, content: dict[str, Any] | None) -> Table:
    try:
        if content is None:
            return book.candidate(TABLE)
        return Table.parse(TABLE, orjson.dumps(content).decode(), file="request")
    except PolicyRefused as refused:
        raise _refused(refused) from refused
    except TypeError as error:
        # what JSON lets pass and no text is: half of a surrogate pair, a number beyond 64 bits
        raise _refused(PolicyRefused("request", "-", "it holds what cannot be written as UTF-8 JSON")) from error


def _refused(refused: PolicyRefused) -> ProblemError:
    error = FieldError(f"/{refused.file}/{refused.row}", "policy.row", refused.reason)
    return ProblemError(422, "policy.refused", "The table cannot be used; the active one stands", errors=[error])
