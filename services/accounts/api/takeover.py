"""`/v1/takeover`: whose the accounts are that others have made, as a plan, and their adoption when it is approved."""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.accounts.api.drift import hidden_among
from services.accounts.domain.takeover import Certainty
from services.accounts.handlers import candidates
from services.accounts.handlers import takeover as handler
from services.accounts.handlers.candidates import Candidate
from services.accounts.handlers.takeover import PairsRefused
from services.accounts.store import takeover
from services.accounts.store.takeover import Plan, Row
from services.kernel import audit
from services.kernel.database import Connection, Database
from services.kernel.problems import ProblemError, confirm, documented
from services.kernel.readings import leases
from services.kernel.readings.leases import Why
from services.kernel.security import Principal, Reason, requires
from services.kernel.settings import OrganisationSettings

Reader = Annotated[Principal, Depends(requires("targets:read"))]
Writer = Annotated[Principal, Depends(requires("targets:write"))]
READ_PERSONS = "persons:read"


Entry = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Pair(BaseModel):
    """Whose an account is, chosen among the candidates."""

    model_config = ConfigDict(extra="forbid")

    entry: Entry
    person: UUID


class Adoption(BaseModel):
    """What is adopted of a plan: all that is certain, or pairs; `matches` repeats how many that are."""

    model_config = ConfigDict(extra="forbid")

    plan: Annotated[str, StringConstraints(max_length=64)]
    rows: Literal["certain"] | Annotated[list[Pair], Field(min_length=1, max_length=1_000)]
    reason: Reason
    matches: Annotated[int, Field(ge=0)] | None = None


class Dismissal(BaseModel):
    """Accounts of a plan that are none of their candidates', and why."""

    model_config = ConfigDict(extra="forbid")

    plan: Annotated[str, StringConstraints(max_length=64)]
    entries: Annotated[list[Entry], Field(min_length=1, max_length=1_000)]
    reason: Reason


def router(
    database: Database,
    targets: Collection[str],
    organisations: Mapping[str, OrganisationSettings],
    committed: Callable[[], None],
    crash: Callable[[str], None],
) -> APIRouter:
    """Return the routes; `targets` are those that can be read. `crash` passes points at which a test may kill."""
    routes = APIRouter(prefix="/v1/takeover", tags=["takeover"])

    @routes.post("/{target}/plan", status_code=202, responses=documented(404))
    async def plan(target: str, principal: Writer) -> dict[str, Any]:
        """Have the whole target read, and its unmarked accounts matched with people; nothing is written there."""
        async with database.transaction() as conn:
            _known(principal, target)
            await leases.ask(conn, target, principal.organisation, Why.TAKEOVER, principal.subject)
            await _say(conn, principal, "takeover.asked", {"target": target})
            found = await _standing(conn, principal, target)
        committed()
        return found

    @routes.get("/{target}", responses=documented(404))
    async def show(target: str, principal: Reader) -> dict[str, Any]:
        """Return the newest plan's hash and numbers, and how far its adoption has come."""
        _known(principal, target)
        async with database.transaction() as conn:
            return await _standing(conn, principal, target)

    @routes.get("/{target}/rows", responses=documented(404, 409))
    async def rows(
        target: str,
        principal: Reader,
        certainty: Certainty,
        after: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> dict[str, Any]:
        """Return accounts of the plan with their candidates; it needs `persons:read` too."""
        _known(principal, target)
        _reads_people(principal)
        async with database.transaction() as conn:
            newest = await _newest(conn, principal, target)
            page = await takeover.page(
                conn, principal.organisation, target, newest.id, certainty=certainty.value, after=after, limit=limit
            )
            persons = {person for row in page for person in row.candidates}
            hidden = await hidden_among(conn, principal, persons)
            shown = [row for row in page if hidden.isdisjoint(row.candidates)]
            seen = sorted({person for row in shown for person in row.candidates})
            await _say(conn, principal, "takeover.read", {"target": target}, persons=seen)
        committed()
        return {
            "plan": newest.digest,
            "items": [_shown(row) for row in shown],
            "next": page[-1].entry if len(page) == limit else None,
        }

    @routes.get("/{target}/rows/{entry}", responses=documented(404, 409))
    async def row(target: str, entry: Annotated[str, Path(max_length=200)], principal: Reader) -> dict[str, Any]:
        """Return an account of the plan beside its candidates: what they have in common, and which accounts share them.

        It needs `persons:read` too.
        """
        _known(principal, target)
        _reads_people(principal)
        async with database.transaction() as conn:
            newest = await _newest(conn, principal, target)
            found = await takeover.row(conn, principal.organisation, target, newest.id, entry)
            if found is None or await hidden_among(conn, principal, found.candidates):
                raise ProblemError(404, "takeover.unknown", "There is no such account in the plan")
            rivals = await takeover.rivals(conn, newest.id, found)
            unseen = await hidden_among(conn, principal, (person for _, theirs in rivals for person in theirs))
            seen = [(login, theirs) for login, theirs in rivals if unseen.isdisjoint(theirs)]
            people = await candidates.beside(conn, principal.organisation, found, seen)
            await _say(conn, principal, "takeover.read", {"target": target}, persons=sorted(found.candidates))
        committed()
        return {"plan": newest.digest, **_shown(found), "people": [_beside(one) for one in people]}

    @routes.post("/{target}/dismiss", responses=documented(404, 409))
    async def dismiss(target: str, body: Dismissal, principal: Writer) -> dict[str, Any]:
        """Say of accounts that they are none of their candidates': they stay as they are, until a pair is approved."""
        _known(principal, target)
        async with database.transaction() as conn:
            newest = await _newest(conn, principal, target, body.plan)
            found = await takeover.undecided(conn, principal.organisation, target, newest.id, body.entries)
            hidden = await hidden_among(conn, principal, (person for row in found for person in row.candidates))
            known = [row.entry for row in found if hidden.isdisjoint(row.candidates)]
            done = await takeover.dismiss(conn, principal.organisation, target, newest.id, known)
            if len(done) != len(set(body.entries)):
                raise ProblemError(409, "takeover.pairs", "An account is not one of the plan's, or is approved")
            told: dict[str, str | int] = {"target": target, "plan": newest.digest, "count": len(done)}
            await _say(conn, principal, "takeover.dismissed", told, reason=body.reason)
        committed()
        return {"dismissed": len(done)}

    @routes.post("/{target}/adopt", status_code=202, responses=documented(404, 409))
    async def adopt(target: str, body: Adoption, principal: Writer) -> dict[str, Any]:
        """Approve accounts of the plan; each person's ordinary pass marks theirs, and goes on when the unit is live."""
        _known(principal, target)
        async with database.transaction() as conn:
            newest = await _newest(conn, principal, target, body.plan)
            pairs = None if body.rows == "certain" else {pair.entry: pair.person for pair in body.rows}
            found = await takeover.undecided(
                conn, principal.organisation, target, newest.id, None if pairs is None else list(pairs)
            )
            hidden = await hidden_among(conn, principal, (person for row in found for person in row.candidates))
            found = [row for row in found if hidden.isdisjoint(row.candidates)]
            try:
                picked = handler.chosen(found, pairs)
            except PairsRefused as refused:
                raise ProblemError(409, "takeover.pairs", "A pair is not one of the plan's") from refused
            confirm(body.matches, len(picked), "takeover.count", "accounts would be adopted")
            count, refusals = await handler.adopt(
                conn,
                organisations[principal.organisation],
                target,
                newest.id,
                picked,
                actor=principal.subject,
                reason=body.reason,
            )
            told: dict[str, str | int] = {
                "target": target,
                "plan": newest.digest,
                "count": count,
                "refused": len(refusals),
            }
            people = sorted({person for _, person in picked})
            await _say(conn, principal, "takeover.approved", told, persons=people, reason=body.reason)
            crash("takeover.before_commit")
        crash("takeover.after_commit")
        committed()
        return {"approved": count, "refused": [{"entry": one, "code": why} for one, why in sorted(refusals.items())]}

    def _known(principal: Principal, target: str) -> None:
        if target not in targets or target not in organisations[principal.organisation].targets:
            raise ProblemError(404, "target.unknown", "This organisation has no such target")

    async def _newest(conn: Connection, principal: Principal, target: str, digest: str | None = None) -> Plan:
        newest = await takeover.newest(conn, principal.organisation, target)
        if newest is None:
            raise ProblemError(409, "takeover.missing", "There is no plan yet")
        if digest not in (None, newest.digest):
            raise ProblemError(409, "takeover.overtaken", "There is a newer plan; look at it first")
        return newest

    async def _standing(conn: Connection, principal: Principal, target: str) -> dict[str, Any]:
        newest = await takeover.newest(conn, principal.organisation, target)
        state = await leases.standing(conn, target, principal.organisation, Why.TAKEOVER)
        return {
            "target": target,
            "planning": state is not None and state.waits,
            "soFar": state.so_far if state else None,
            "problem": state.problem if state else None,
            "plan": newest.digest if newest else None,
            "madeAt": newest.made_at if newest else None,
            "read": newest.read if newest else 0,
            "people": newest.people if newest else 0,
            "counts": await takeover.progress(conn, principal.organisation, target, newest.id) if newest else None,
        }

    return routes


def _reads_people(principal: Principal) -> None:
    if READ_PERSONS not in principal.scopes:
        raise ProblemError(403, "scope.missing", "The token lacks a scope", detail="This needs persons:read.")


async def _say(
    conn: Connection,
    principal: Principal,
    action: str,
    parameters: Mapping[str, str | int],
    *,
    persons: Collection[UUID] = (),
    reason: str | None = None,
) -> None:
    await audit.record(
        conn,
        "accounts",
        principal.organisation,
        principal.subject,
        action,
        persons=list(persons),
        reason=reason or principal.reason,
        parameters=dict(parameters),
    )


def _shown(row: Row) -> dict[str, Any]:
    return {
        "entry": row.entry,
        "userName": row.user_name,
        "mails": row.mails,
        "enabled": row.enabled,
        "by": row.by,
        "candidates": row.candidates,
        "detail": row.detail,
        "adoptedBy": row.adopted,
        "adoptedAt": row.done_at,
        "refused": row.refused,
    }


def _beside(one: Candidate) -> dict[str, Any]:
    return {
        "person": one.person,
        "name": one.name,
        "employeeNumbers": one.numbers,
        "userNames": one.logins,
        "mails": one.mails,
        "titles": one.titles,
        "units": one.units,
        "shared": one.shared,
        "rivals": one.rivals,
    }
