"""The control API: seeds, faults, time, lag, log. On a port and with a token of its own; Graph has nothing like it."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from datetime import timedelta
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict

from deploy.local.settings import ROOT
from deploy.simulators.graph import page
from deploy.simulators.graph.entries import Kind
from deploy.simulators.graph.faults import Fault, FaultKind
from deploy.simulators.graph.seeds import SeedRefused, TenantSeed, sow
from deploy.simulators.graph.service import Service
from deploy.simulators.graph.tenants import Tenant


class FaultAsked(BaseModel):
    """A fault to put in force; what the fields mean stands at `Fault`."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    method: str | None = None
    path: str = "/v1.0/*"
    tenant: str | None = None
    skip: int = 0
    times: int | None = None
    rate: float = 1.0
    seconds: float | None = None
    status: int = 503
    retry_after: float | None = None
    percentage: float | None = 1.0
    hang: float = 60.0


class ClockAsked(BaseModel):
    """How far to push the time."""

    advance: float


class AddressesAsked(BaseModel):
    """All that a user can be reached by, as Exchange's own administration sets it; Graph only shows it."""

    addresses: list[str]


class LagAsked(BaseModel):
    """How far reads lag behind writes."""

    seconds: float


class BudgetAsked(BaseModel):
    """The write budget."""

    limit: int = 3_000
    window: float = 150.0


class TokensAsked(BaseModel):
    """How long access tokens are good for."""

    lifetime: float


class ListenerAsked(BaseModel):
    """Whether Graph's port listens, and with which certificate."""

    open: bool = True
    certificate: Literal["right", "stranger", "expired"] = "right"


Listen = Callable[[ListenerAsked], Awaitable[None]]


def build(service: Service, token: str, listen: Listen | None = None) -> FastAPI:
    """Return the control API.

    Args:
        service: What it controls.
        token: What callers present as bearer.
        listen: Opens and closes Graph's port; None where there is none, and `down` is an answer of 503 to everything.
    """

    async def authorised(authorization: Annotated[str, Header()] = "") -> None:
        if not secrets.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "the control API wants its own token")

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    guarded = [Depends(authorised)]

    def tenant_of(key: str) -> Tenant:
        if (found := service.world.tenant(key)) is None:
            raise HTTPException(404, "no such tenant")
        return found

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        return JSONResponse({"status": "ready", "missing": []})

    @app.get("/")
    async def shown(lang: str = "", accept_language: Annotated[str, Header()] = "sv") -> HTMLResponse:
        asked = lang or accept_language[:2].lower()
        return HTMLResponse(page.rendered(service, asked if asked in page.LANGUAGES else "sv"))

    app.mount("/static", StaticFiles(directory=ROOT / "services" / "portal" / "static"))

    @app.post("/control/tenants", dependencies=guarded)
    async def sown(seed: TenantSeed) -> dict[str, Any]:
        try:
            tenant = sow(service.world, seed)
        except SeedRefused as refused:
            raise HTTPException(422, str(refused)) from refused
        return {"id": tenant.id, "skus": {one.part_number: one.id for one in tenant.skus.values()}}

    @app.get("/control/tenants/{key}", dependencies=guarded)
    async def dumped(key: str) -> dict[str, Any]:
        tenant = tenant_of(key)
        return {
            kind: [
                {
                    "id": entry.id,
                    **entry.properties,
                    "deleted": entry.deleted is not None,
                    "manager": entry.manager,
                    "members": sorted(entry.members),
                    "rules": list(entry.rules),
                }
                for _, entry in tenant.shelf.entries(kind, tenant.now())
            ]
            for kind in Kind
        }

    @app.put("/control/tenants/{key}/users/{user}/addresses", dependencies=guarded)
    async def addressed(key: str, user: str, asked: AddressesAsked) -> dict[str, list[str]]:
        tenant = tenant_of(key)
        found = tenant.find(Kind.USER, user, tenant.now())
        if found is None:
            raise HTTPException(404, "there is no such user")
        tenant.shelf.put(replace(found, properties={**found.properties, "proxyAddresses": asked.addresses}))
        return {"proxyAddresses": asked.addresses}

    @app.put("/control/tenants/{key}/lag", dependencies=guarded)
    async def lagged(key: str, asked: LagAsked) -> dict[str, float]:
        tenant_of(key).lag = asked.seconds
        return {"seconds": asked.seconds}

    @app.post("/control/faults", dependencies=guarded)
    async def faulted(asked: FaultAsked) -> dict[str, str]:
        world = service.world
        until = None if asked.seconds is None else world.clock.now() + timedelta(seconds=asked.seconds)
        fault = Fault(id=f"fault-{secrets.token_hex(4)}", until=until, **asked.model_dump(exclude={"seconds"}))
        service.faults.faults[fault.id] = fault
        return {"id": fault.id}

    @app.get("/control/faults", dependencies=guarded)
    async def faults() -> list[Any]:
        return [asdict(fault) for fault in service.faults.faults.values()]

    @app.delete("/control/faults", dependencies=guarded)
    async def mended() -> dict[str, int]:
        count = len(service.faults.faults)
        service.faults.faults.clear()
        service.faults.down = False
        return {"mended": count}

    @app.delete("/control/faults/{identifier}", dependencies=guarded)
    async def mended_one(identifier: str) -> dict[str, int]:
        return {"mended": 0 if service.faults.faults.pop(identifier, None) is None else 1}

    @app.put("/control/down", dependencies=guarded)
    async def taken_down(asked: ListenerAsked) -> dict[str, bool]:
        service.faults.down = not asked.open
        return {"down": service.faults.down}

    @app.put("/control/listener", dependencies=guarded)
    async def listening(asked: ListenerAsked) -> dict[str, bool]:
        if listen is None:
            raise HTTPException(409, "there is no listener here")
        await listen(asked)
        return {"open": asked.open}

    @app.post("/control/tokens/expire", dependencies=guarded)
    async def expired() -> dict[str, bool]:
        service.tokens.end(None)
        return {"expired": True}

    @app.put("/control/tokens", dependencies=guarded)
    async def lived(asked: TokensAsked) -> dict[str, float]:
        service.tokens.lifetime = asked.lifetime
        return {"lifetime": asked.lifetime}

    @app.put("/control/budget", dependencies=guarded)
    async def budgeted(asked: BudgetAsked) -> dict[str, float]:
        service.budget.limit, service.budget.window = asked.limit, asked.window
        return {"limit": asked.limit, "window": asked.window}

    @app.post("/control/clock", dependencies=guarded)
    async def advanced(asked: ClockAsked) -> dict[str, str]:
        service.world.clock.advance(asked.advance)
        return {"now": service.world.clock.now().isoformat()}

    @app.post("/control/reset", dependencies=guarded)
    async def reset(seed: int = 0) -> dict[str, int]:
        service.reset(seed)
        return {"seed": seed}

    @app.get("/control/log", dependencies=guarded)
    async def log(
        since: int = 0,
        limit: int = 10_000,
        method: str | None = None,
        tenant: str | None = None,
        change: str | None = None,
    ) -> dict[str, Any]:
        found = (
            record
            for record in service.journal.records(since=since)
            if method in (None, record.method)
            and tenant in (None, record.tenant)
            and (change is None or any(one.startswith(change) for one in record.changes))
        )
        return {"records": [asdict(record) for record in islice(found, limit)]}

    @app.delete("/control/log", dependencies=guarded)
    async def forgotten() -> dict[str, bool]:
        service.journal.clear()
        return {"cleared": True}

    return app
