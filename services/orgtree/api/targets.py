"""`/v1/organisation/targets`: how units stand in each target, what differs, what of others may be taken over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.kernel import audit
from services.kernel.database import Connection, Database
from services.kernel.problems import ProblemError, confirm, documented
from services.kernel.readings import leases
from services.kernel.readings.leases import Why
from services.kernel.security import Principal, Reason, requires
from services.kernel.work import Wake, WorkKey, raise_wanted
from services.orgtree.handlers.tree import UNIT
from services.orgtree.store import adoption, drift, projection

Reader = Annotated[Principal, Depends(requires("targets:read"))]
Writer = Annotated[Principal, Depends(requires("targets:write"))]
Unit = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
MOST = 500
Limit = Annotated[int, Query(ge=1, le=MOST)]


@dataclass(frozen=True)
class About:
    """What is configured of a target: what may be done with units there, how they stand, which objects there are."""

    kind: str
    mode: str
    placement: str
    objects: tuple[str, ...]
    organisations: frozenset[str]


class Adopt(BaseModel):
    """Units whose objects, made by others, become ours; `*`: all. `matches` repeats how many objects they are."""

    model_config = ConfigDict(extra="forbid")

    units: Annotated[list[Unit], Field(min_length=1, max_length=1_000)]
    reason: Reason
    matches: Annotated[int, Field(ge=0)] | None = None


def router(database: Database, about: Mapping[str, About], committed: Callable[[], None]) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/organisation/targets", tags=["targets"])

    @routes.get("")
    async def everything(principal: Reader) -> dict[str, Any]:
        """Return the organisation's targets: what stands, what does not stand as it shall, what the last look found."""
        async with database.transaction() as conn:
            return {"items": [await _shown(conn, principal, name) for name in _own(principal)]}

    @routes.get("/{target}/problems", responses=documented(404))
    async def problems(target: str, principal: Reader, limit: Limit = 100) -> dict[str, Any]:
        """Return units that do not stand as they shall, and why."""
        _known(principal, target)
        async with database.transaction() as conn:
            return {
                "target": target,
                "items": await projection.problems(conn, principal.organisation, target, limit=limit),
            }

    @routes.get("/{target}/findings", responses=documented(404))
    async def findings(target: str, principal: Reader, limit: Limit = 100) -> dict[str, Any]:
        """Return what the last reading of a target found otherwise than it shall be."""
        _known(principal, target)
        async with database.transaction() as conn:
            standing = await leases.standing(conn, target, principal.organisation, Why.DRIFT)
            items = await drift.findings(conn, principal.organisation, target, limit=limit)
        return {
            "target": target,
            "reading": bool(standing and standing.waits),
            "problem": standing.problem if standing else None,
            "items": items,
        }

    @routes.post("/{target}/read", status_code=202, responses=documented(404))
    async def read(target: str, principal: Writer) -> dict[str, Any]:
        """Have a target read whole, and compared, now."""
        _known(principal, target)
        async with database.transaction() as conn:
            await leases.ask(conn, target, principal.organisation, Why.DRIFT, principal.subject)
            parameters = {"target": target}
            await _noted(conn, principal, "units.compared", None, parameters)
        committed()
        return {"target": target, "reading": True}

    @routes.get("/{target}/candidates", responses=documented(404))
    async def candidates(target: str, principal: Reader, limit: Limit = 100) -> dict[str, Any]:
        """Return what others made that has the name of ours, and whether it is approved to be taken over."""
        _known(principal, target)
        async with database.transaction() as conn:
            items = await adoption.candidates(conn, principal.organisation, target, limit=limit)
        return {"target": target, "items": items}

    @routes.post("/{target}/candidates/adopt", status_code=202, responses=documented(404, 409))
    async def adopt(target: str, body: Adopt, principal: Writer) -> dict[str, Any]:
        """Take over what others made: it is marked, named as ours are, and its members stay. It cannot be undone."""
        _known(principal, target)
        async with database.transaction() as conn:
            found = await adoption.open_(conn, principal.organisation, target, body.units)
            if not found:
                raise ProblemError(
                    409, "target.nothing_to_adopt", "Nothing of others waits to be taken over here any more"
                )
            confirm(body.matches, len(found), "target.count", "objects would be taken over")
            await adoption.approve(conn, principal.organisation, target, found, principal.subject, body.reason)
            units = sorted({one.unit for one in found})
            await raise_wanted(conn, [Wake(WorkKey(principal.organisation, UNIT, unit, target)) for unit in units])
            parameters = {"target": target, "units": ",".join(units)[:200], "count": len(found)}
            await _noted(conn, principal, "units.adopted", body.reason, parameters)
        committed()
        return {"target": target, "objects": len(found), "units": units}

    async def _noted(
        conn: Connection, principal: Principal, action: str, reason: str | None, parameters: Mapping[str, Any]
    ) -> None:
        await audit.record(
            conn, "orgtree", principal.organisation, principal.subject, action, reason=reason, parameters=parameters
        )

    def _own(principal: Principal) -> list[str]:
        return sorted(name for name, one in about.items() if principal.organisation in one.organisations)

    def _known(principal: Principal, target: str) -> None:
        if target not in _own(principal):
            raise ProblemError(404, "target.unknown", "This organisation has no such target")

    async def _shown(conn: Connection, principal: Principal, name: str) -> dict[str, Any]:
        one = about[name]
        return {
            "target": name,
            "kind": one.kind,
            "mode": one.mode,
            "placement": one.placement,
            "objects": list(one.objects),
            **await projection.tally(conn, principal.organisation, name),
        }

    return routes
