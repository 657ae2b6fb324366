"""Policy: which tables there are, what is active, what a table would change, its activation, and trials."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from contracts.codes import Protection
from services.accounts.handlers import policies
from services.accounts.handlers.rulings import Impact, Proposal, Ruling
from services.kernel import audit, policy
from services.kernel.clock import business_now
from services.kernel.database import Connection, Database
from services.kernel.policy import PolicyBook, PolicyRefused, Table
from services.kernel.problems import FieldError, ProblemError, documented
from services.kernel.security import READ_PROTECTED, Principal, Reason, requires
from services.kernel.settings import OrganisationSettings

Reader = Annotated[Principal, Depends(requires("policy:read"))]
Writer = Annotated[Principal, Depends(requires("policy:write"))]


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
    rulings: Mapping[str, Ruling],
    organisations: dict[str, OrganisationSettings],
    committed: Callable[[], None],
) -> APIRouter:
    """Return the routes below /v1/policy."""
    routes = APIRouter(prefix="/v1/policy", tags=["policy"])

    def named(table: Annotated[str, Path(description="A table's name, as the list of tables has it")]) -> Ruling:
        found = rulings.get(table)
        if found is None:
            names = ", ".join(rulings)
            raise ProblemError(404, "policy.unknown", "There is no such table", detail=f"There are: {names}.")
        return found

    @routes.get("")
    async def tables(principal: Reader) -> dict[str, Any]:
        """List the tables that accounts decides by: what is active, and whether the installation's file differs."""
        async with database.transaction() as conn:
            found = [(one, await policy.activation(conn, principal.organisation, one.name)) for one in rulings.values()]
        return {"items": [{"table": one.name, **standing(one, principal.organisation, at)} for one, at in found]}

    @routes.get("/{table}", responses=documented(404))
    async def show(
        ruling: Annotated[Ruling, Depends(named)], principal: Reader, content: bool = False
    ) -> dict[str, Any]:
        """Tell which table is active since when, by whom and why, and which one the installation's file holds.

        `active` is null before the first one; `candidate` is null without a file, or when `refused` says what is wrong
        with it. With `content` each comes as a JSON Decision Model, the one before the active one too.
        """
        async with database.transaction() as conn:
            active = await policy.activation(conn, principal.organisation, ruling.name)
            stored = await policy.content(conn, active.hash) if active and content else None
            before = await policy.content(conn, active.previous) if active and active.previous and content else None
        found = standing(ruling, principal.organisation, active, content=content)
        if stored is not None:
            found["active"]["content"] = orjson.loads(stored)
        if before is not None:
            found["active"]["previous"]["content"] = orjson.loads(before)
        return found

    @routes.get("/{table}/trial", responses=documented(404))
    async def trial(ruling: Annotated[Ruling, Depends(named)], principal: Reader, person: UUID) -> dict[str, Any]:
        """Tell what the active table and the candidate decide for a person now; a read of that person. Acts on nothing.

        It needs `persons:read` too. A person with a protected identity is not there without the right to see them.
        """
        if "persons:read" not in principal.scopes:
            raise ProblemError(403, "scope.missing", "The token lacks a scope", detail="This needs persons:read.")
        organisation = organisations[principal.organisation]
        candidate = _candidate(book, ruling, organisation) if ruling.needed or book.offers(ruling.name) else None
        async with database.transaction() as conn:
            await book.refresh(conn)
            now = await business_now(conn)
            tried = {"active": book.active}
            if candidate is not None and _hash(book, ruling, organisation.key) != candidate.hash:
                tried["candidate"] = book.active.trying(organisation.key, candidate)
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
                parameters={"table": ruling.name, "shown": record is not None},
            )
        committed()
        if record is None:
            raise ProblemError(404, "person.unknown", "There is no such person, or this token may not see it")
        said: dict[str, Any] = {"person": str(person), "now": now, "active": None, "candidate": None}
        for name, tables in tried.items():
            digest = tables.hashes.get((organisation.key, ruling.name))
            if digest is not None:
                with refusals():
                    said[name] = {"hash": digest, **ruling.verdict(organisation, tables, record, now)}
        return said

    @routes.post("/{table}/plan", responses=documented(404))
    async def plan(ruling: Annotated[Ruling, Depends(named)], principal: Reader, body: Candidate) -> dict[str, Any]:
        """Count whom a table would change if it were active now. Changes nothing.

        Of `accounts`: accounts opened, prepared, closed, deleted. Of `birthright`: people who gain or lose groups and
        licences, by target and value. Of `names`: people without a name who would be tried with another one first.
        `removals` is what an activation has to repeat when it needs confirmation.
        """
        table = _proposed(book, ruling, organisations[principal.organisation], body.content)
        async with database.transaction() as conn:
            return dict(policies.shown(await _impact(conn, ruling, principal, table)))

    @routes.post("/{table}/activate", status_code=202, responses=documented(404, 409))
    async def activate(
        ruling: Annotated[Ruling, Depends(named)], principal: Writer, body: Activation
    ) -> dict[str, Any]:
        """Make exactly the planned table the active one; everybody is looked at again, so many a second."""
        table = _proposed(book, ruling, organisations[principal.organisation], body.content)
        if table.hash != body.hash:
            raise ProblemError(409, "policy.changed", "The table is not the one that was planned; plan it again")
        async with database.transaction() as conn:
            found = await _impact(conn, ruling, principal, table)
            if found.needs_confirmation and body.removals != found.removals:
                raise ProblemError(
                    409,
                    "policy.held",
                    "The guard holds this activation",
                    detail=f"Something would be taken at once {found.removals} times, {found.allowance} are allowed."
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
                parameters={"table": ruling.name, "hash": body.hash, "people": people},
            )
        committed()
        return {**policies.shown(found), "lookedAtAgain": people, "perSecond": policies.PER_SECOND}

    async def _impact(conn: Connection, ruling: Ruling, principal: Principal, table: Table) -> Impact:
        await book.refresh(conn)
        now = await business_now(conn)
        before, key = book.active, principal.organisation
        found = ruling.impact(Proposal(organisations[key], table, before, before.trying(key, table), now))
        with refusals():
            await policies.measure(conn, found)
        return found

    def standing(
        ruling: Ruling, organisation: str, active: policy.Activation | None, *, content: bool = False
    ) -> dict[str, Any]:
        candidate, refused = None, None
        try:
            if ruling.needed or book.offers(ruling.name):
                candidate = _candidate(book, ruling, organisations[organisation])
        except PolicyRefused as error:
            refused = {"file": error.file, "row": error.row, "reason": error.reason}
        waiting = candidate and {"hash": candidate.hash, "differs": active is None or active.hash != candidate.hash}
        if candidate and waiting and content:
            waiting["content"] = orjson.loads(candidate.content)
        return {"active": _activation(active) if active else None, "candidate": waiting, "refused": refused}

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


def _hash(book: PolicyBook, ruling: Ruling, organisation: str) -> str | None:
    return book.active.hashes.get((organisation, ruling.name))


def _candidate(book: PolicyBook, ruling: Ruling, organisation: OrganisationSettings) -> Table:
    table = book.candidate(ruling.name)
    ruling.fits(table, organisation)
    return table


def _proposed(
    book: PolicyBook, ruling: Ruling, organisation: OrganisationSettings, content: dict[str, Any] | None
) -> Table:
    with refusals():
        if content is None:
            return _candidate(book, ruling, organisation)
        try:
            written = orjson.dumps(content).decode()
        except TypeError as error:
            # what JSON lets pass and no text is: half of a surrogate pair, a number beyond 64 bits
            raise PolicyRefused("request", "-", "it holds what cannot be written as UTF-8 JSON") from error
        table = book.parse(ruling.name, written, file="request")
        ruling.fits(table, organisation)
        return table


@contextmanager
def refusals() -> Iterator[None]:
    """Answer a table that cannot be used with its file, row and reason."""
    try:
        yield
    except PolicyRefused as refused:
        error = FieldError(f"/{refused.file}/{refused.row}", "policy.row", refused.reason)
        title = "The table cannot be used; the active one stands"
        raise ProblemError(422, "policy.refused", title, errors=[error]) from refused
