"""`/v1/drift`: how a target differs from what shall be there, and what people decide of it."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from contracts.codes import Protection
from contracts.person import PersonChanged
from services.accounts.domain.drift import Kind
from services.accounts.handlers import deciding
from services.accounts.handlers.deciding import NotPossible
from services.accounts.handlers.intake import PERSON
from services.accounts.store import drift
from services.accounts.store.drift import Open
from services.kernel import audit
from services.kernel.database import Connection, Database
from services.kernel.messaging import inputs
from services.kernel.problems import ProblemError, confirm, documented
from services.kernel.readings import leases
from services.kernel.readings.leases import Why
from services.kernel.security import READ_PROTECTED, Principal, Reason, requires

Reader = Annotated[Principal, Depends(requires("targets:read"))]
Writer = Annotated[Principal, Depends(requires("targets:write"))]
Decision = Literal["reclaim", "accept", "reopen", "ignore"]
READ_PERSONS = "persons:read"
MOST = 300
"""Letters of an attribute, or of a grant."""
MANY = 5_000
"""How many findings are decided at a time."""


class OneDecision(BaseModel):
    """What becomes of a finding, and why."""

    model_config = ConfigDict(extra="forbid")

    decision: Decision
    reason: Reason


class ManyDecisions(OneDecision):
    """What becomes of all undecided findings of a kind; `matches` repeats how many there are.

    With `person` it is theirs alone, those too of which something else was decided before, and nothing is repeated.
    """

    kind: Kind
    attribute: Annotated[str, StringConstraints(max_length=MOST)] | None = None
    person: UUID | None = None
    matches: Annotated[int, Field(ge=0)] | None = None


def router(database: Database, targets: Collection[str], committed: Callable[[], None]) -> APIRouter:
    """Return the routes; `targets` are those that can be read."""
    routes = APIRouter(prefix="/v1/drift", tags=["drift"])

    @routes.post("/{target}/runs", status_code=202, responses=documented(404))
    async def ask(target: str, principal: Writer) -> dict[str, Any]:
        """Have the whole target read and compared now; once more when that is under way."""
        async with database.transaction() as conn:
            await _standing(conn, principal, target)
            await leases.ask(conn, target, principal.organisation, Why.DRIFT, principal.subject)
            await _say(conn, principal, "drift.asked", parameters={"target": target})
            found = await _standing(conn, principal, target)
        committed()
        return found

    @routes.get("/{target}", responses=documented(404))
    async def show(target: str, principal: Reader) -> dict[str, Any]:
        """Return how many findings of each kind are open, and of when that is."""
        async with database.transaction() as conn:
            return await _standing(conn, principal, target)

    @routes.get("/{target}/findings", responses=documented(404))
    async def findings(
        target: str,
        principal: Reader,
        kind: Kind | None = None,
        attribute: Annotated[str | None, Query(max_length=MOST)] = None,
        person: UUID | None = None,
        ignored: bool = False,
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> dict[str, Any]:
        """Return open findings; values only to who may read people, of the protected only to who may see them.

        With `ignored` it is those that somebody decided to leave as they are.
        """
        async with database.transaction() as conn:
            await _standing(conn, principal, target)
            page = await drift.page(
                conn,
                principal.organisation,
                target,
                kind=kind.value if kind else None,
                attribute=attribute,
                person=person,
                ignored=ignored,
                after=after or UUID(int=0),
                limit=limit,
            )
            hidden = await hidden_among(conn, principal, (one.person for one in page if one.person is not None))
            shown = [one for one in page if one.person not in hidden]
            persons = sorted({one.person for one in shown if one.person is not None})
            await _say(conn, principal, "drift.read", persons=persons, parameters={"target": target})
        committed()
        return {
            "items": [_shown(one, values=READ_PERSONS in principal.scopes) for one in shown],
            "next": str(page[-1].id) if len(page) == limit else None,
        }

    @routes.post("/findings/{finding}/decide", responses=documented(404, 409))
    async def decide(finding: UUID, body: OneDecision, principal: Writer) -> dict[str, Any]:
        """Decide one finding; the person's ordinary pass carries it out, through the gate and the guard."""
        async with database.transaction() as conn:
            found = await drift.lock(conn, principal.organisation, finding=finding)
            hidden = await hidden_among(conn, principal, (one.person for one in found if one.person is not None))
            if not found or found[0].person in hidden:
                raise ProblemError(404, "drift.finding_unknown", "There is no such finding open")
            looked = await _decide(conn, principal, found, body)
        committed()
        return {"decided": 1, "lookedAt": looked}

    @routes.post("/{target}/decide", responses=documented(404, 409))
    async def decide_all(target: str, body: ManyDecisions, principal: Writer) -> dict[str, Any]:
        """Decide all undecided findings of a kind, when their number is repeated; or a person's."""
        async with database.transaction() as conn:
            await _standing(conn, principal, target)
            found = await drift.lock(
                conn,
                principal.organisation,
                target=target,
                kind=body.kind.value,
                attribute=body.attribute,
                person=body.person,
            )
            hidden = await hidden_among(conn, principal, (one.person for one in found if one.person is not None))
            found = [one for one in found if one.person not in hidden]
            if body.person is None:
                found = [one for one in found if deciding.possible(one, body.decision)]
                if len(found) > MANY:
                    detail = f"At most {MANY} at a time."
                    raise ProblemError(409, "drift.too_many", "That is too much at once", detail=detail)
                confirm(body.matches, len(found), "drift.count", "findings would be decided")
            elif not found:
                raise ProblemError(404, "drift.finding_unknown", "There is no such finding open")
            looked = await _decide(conn, principal, found, body)
        committed()
        return {"decided": len(found), "lookedAt": looked}

    async def _standing(conn: Connection, principal: Principal, target: str) -> dict[str, Any]:
        run = await drift.run(conn, principal.organisation, target) if target in targets else None
        if run is None:
            raise ProblemError(404, "target.unknown", "This organisation has no such target")
        counts = await drift.tally(conn, principal.organisation, target)
        return {
            "target": target,
            "comparedAt": run.ended_at,
            "read": run.read,
            "skipped": run.skipped,
            "running": run.running,
            "soFar": run.so_far if run.running else None,
            "nextAt": run.due_at,
            "problem": run.problem,
            "findings": sum(counts.values()),
            "kinds": counts,
        }

    return routes


async def hidden_among(conn: Connection, principal: Principal, persons: Iterable[UUID]) -> frozenset[UUID]:
    """Return who of these people is protected and not for this reader to see."""
    if READ_PROTECTED in principal.scopes:
        return frozenset()
    keys = [(principal.organisation, str(person)) for person in set(persons)]
    bodies = await inputs.load(conn, PERSON, keys) if keys else {}
    return frozenset(UUID(key[1]) for key, body in bodies.items() if _protected(body))


def _protected(body: bytes) -> bool:
    try:
        return PersonChanged.model_validate_json(body, extra="ignore").record.protection != Protection.NONE
    except ValidationError:
        return True


async def _decide(conn: Connection, principal: Principal, found: Sequence[Open], body: OneDecision) -> int:
    try:
        looked = await deciding.decide(conn, found, body.decision, actor=principal.subject, reason=body.reason)
    except NotPossible as no:
        raise ProblemError(
            409, "drift.not_possible", "This cannot be decided of such a finding", detail=f"It is: {no.kind}."
        ) from no
    persons = sorted({one.person for one in found if one.person is not None})
    parameters = {"decision": body.decision, "count": len(found), "target": found[0].target if found else ""}
    grants = sorted({one.attribute for one in found if one.kind == Kind.GRANT_TAKEN})
    if grants:
        parameters["grants"] = ", ".join(grants)
    await _say(conn, principal, "drift.decided", persons=persons, reason=body.reason, parameters=parameters)
    return looked


async def _say(
    conn: Connection,
    principal: Principal,
    action: str,
    *,
    persons: Sequence[UUID] = (),
    reason: str | None = None,
    parameters: dict[str, str | int],
) -> None:
    await audit.record(
        conn,
        "accounts",
        principal.organisation,
        principal.subject,
        action,
        persons=persons,
        reason=reason or principal.reason,
        parameters=dict(parameters),
    )


def _shown(one: Open, *, values: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": one.id,
        "kind": one.kind,
        "person": one.person,
        "attribute": one.attribute or None,
        "object": one.about,
        "firstSeen": one.first_seen,
        "lastSeen": one.last_seen,
        "decisions": [choice for choice in _CHOICES if deciding.possible(one, choice)],
        "decision": _decision(one.decision, one.actor, one.reason, one.decided_at),
    }
    open_ = one.detail if values else {k: v for k, v in one.detail.items() if k in _STATES and isinstance(v, str)}
    return {**found, "detail": open_}


def _decision(
    decision: str | None, actor: str | None, reason: str | None, at: datetime | None
) -> dict[str, Any] | None:
    return None if decision is None else {"decision": decision, "actor": actor, "reason": reason, "at": at}


_CHOICES: tuple[Decision, ...] = ("reclaim", "accept", "reopen", "ignore")
_STATES = frozenset({"wanted", "observed", "state"})
