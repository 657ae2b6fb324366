"""`/v1/targets`: what may be written in each target, and which units are live there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.accounts.handlers.intake import PERSON
from services.accounts.store import accounts, drift, targets
from services.kernel import audit, oversight
from services.kernel.database import Connection, Database
from services.kernel.problems import FieldError, ProblemError, confirm, documented
from services.kernel.security import Principal, Reason, requires

Reader = Annotated[Principal, Depends(requires("targets:read"))]
Writer = Annotated[Principal, Depends(requires("targets:write"))]
Unit = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
PER_SECOND = 200.0
"""How many people are looked at again in a second when units go live."""


@dataclass(frozen=True)
class About:
    """What is configured of a target: what may be done there, where, for whom, and what becomes of drift."""

    kind: str
    mode: str
    staged: bool
    subtrees: tuple[str, ...]
    organisations: frozenset[str]
    drift: Mapping[str, str]


class Chosen(BaseModel):
    """Units whose people shall be written; `*` is everybody."""

    model_config = ConfigDict(extra="forbid")

    units: Annotated[list[Unit], Field(min_length=1, max_length=1_000)]


class GoLive(Chosen):
    """Units whose people are written from now on, and why; `matches` repeats how many people are concerned."""

    reason: Reason
    matches: Annotated[int, Field(ge=0)] | None = None


def router(database: Database, about: Mapping[str, About], committed: Callable[[], None]) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/targets", tags=["targets"])

    @routes.get("")
    async def everything(principal: Reader) -> dict[str, Any]:
        """Return the organisation's targets: mode, units that are live, accounts that stand, open drift."""
        async with database.transaction() as conn:
            return {"items": [await _shown(conn, principal, name) for name in _own(principal)]}

    @routes.get("/{target}/live", responses=documented(404))
    async def live(target: str, principal: Reader) -> dict[str, Any]:
        """Return which units are live in a target, since when, by whom and why."""
        _known(principal, target)
        async with database.transaction() as conn:
            units = await targets.units(conn, principal.organisation, target)
        return {"target": target, "staged": about[target].staged, "units": units}

    @routes.get("/{target}/units", responses=documented(404))
    async def units(
        target: str,
        principal: Reader,
        after: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """Return the units that are recorded, how many people each has, and which are live; `all`: everybody is."""
        _known(principal, target)
        async with database.transaction() as conn:
            live = await targets.units(conn, principal.organisation, target)
            page = await targets.recorded_units(conn, principal.organisation, target, after=after, limit=limit)
        return {
            "target": target,
            "staged": about[target].staged,
            "all": next((one for one in live if one["unit"] == targets.EVERY_UNIT), None),
            "live": len(live),
            "items": page,
            "next": page[-1]["unit"] if len(page) == limit else None,
        }

    @routes.post("/{target}/live/plan", responses=documented(404, 409))
    async def plan(target: str, body: Chosen, principal: Reader) -> dict[str, Any]:
        """Count the people who would be written if units went live, and are not by now. Changes nothing."""
        async with database.transaction() as conn:
            await _staged(conn, principal, target, body.units)
            people = await targets.concerned(conn, principal.organisation, target, body.units)
        return {"target": target, "units": body.units, "people": people}

    @routes.post("/{target}/live", status_code=202, responses=documented(404, 409))
    async def go_live(target: str, body: GoLive, principal: Writer) -> dict[str, Any]:
        """Let the people of units be written in a target; they are looked at again, paced."""
        async with database.transaction() as conn:
            await _staged(conn, principal, target, body.units)
            count = await targets.concerned(conn, principal.organisation, target, body.units)
            confirm(body.matches, count, "target.count", "people would be written")
            first = await targets.go_live(
                conn, principal.organisation, target, body.units, actor=principal.subject, reason=body.reason
            )
            people = 0
            if first:
                people = await oversight.stagger(conn, principal.organisation, PERSON, target, per_second=PER_SECOND)
            await audit.record(
                conn,
                "accounts",
                principal.organisation,
                principal.subject,
                "target.live",
                reason=body.reason,
                parameters={"target": target, "units": ",".join(first)[:200], "count": len(first)},
            )
        committed()
        return {"target": target, "units": first, "lookedAtAgain": people}

    def _own(principal: Principal) -> list[str]:
        return sorted(name for name, one in about.items() if principal.organisation in one.organisations)

    async def _staged(conn: Connection, principal: Principal, target: str, units: list[str]) -> None:
        _known(principal, target)
        if not about[target].staged:
            raise ProblemError(409, "target.not_staged", "Everybody is written in this target already")
        if unknown := await targets.unknown_units(conn, principal.organisation, units):
            errors = [FieldError(f"/body/units/{units.index(one)}", "unit.unknown", one) for one in unknown]
            raise ProblemError(422, "unit.unknown", "A unit is not known", errors=errors)

    def _known(principal: Principal, target: str) -> None:
        if target not in _own(principal):
            raise ProblemError(404, "target.unknown", "This organisation has no such target")

    async def _shown(conn: Connection, principal: Principal, name: str) -> dict[str, Any]:
        one = about[name]
        run = await drift.run(conn, principal.organisation, name)
        return {
            "target": name,
            "kind": one.kind,
            "mode": one.mode,
            "staged": one.staged,
            "subtrees": list(one.subtrees),
            "live": len(await targets.units(conn, principal.organisation, name)) if one.staged else None,
            "accounts": await accounts.population(conn, principal.organisation, name),
            "rules": dict(one.drift),
            "comparedAt": run.ended_at if run else None,
            "comparing": bool(run and run.running),
            "findings": await drift.tally(conn, principal.organisation, name),
        }

    return routes
