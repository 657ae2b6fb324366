"""The Graph simulator in this process, without a network: its state, its time and its faults are at hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from deploy.simulators.graph import control, web
from deploy.simulators.graph.faults import Fault, FaultKind
from deploy.simulators.graph.journal import Journal
from deploy.simulators.graph.seeds import TenantSeed, sow
from deploy.simulators.graph.service import Limits, Service
from deploy.simulators.graph.tenants import Tenant, World
from tests.support.graph import CLIENT, CONTROL_TOKEN, DOMAIN, SCOPE, SECRET, TENANT, tenant_seed

ROOT = "https://graph.test"
EVENTUAL = {"ConsistencyLevel": "eventual"}
PASSWORD = "Hemligt-2026"


def user_body(login: str = "anna.berg", **fields: Any) -> dict[str, Any]:
    """Return the least that creates a user, and what is said besides; None takes a field away."""
    body = {
        "accountEnabled": True,
        "displayName": "Anna Berg",
        "mailNickname": login,
        "userPrincipalName": f"{login}@{DOMAIN}",
        "passwordProfile": {"password": PASSWORD, "forceChangePasswordNextSignIn": False},
        **fields,
    }
    return {name: value for name, value in body.items() if value is not None}


@dataclass
class Graph:
    """A service, and a client of it that has a token."""

    service: Service
    http: httpx2.AsyncClient
    control: httpx2.AsyncClient

    @property
    def tenant(self) -> Tenant:
        """The tenant that is there from the start."""
        return self.service.world.tenants[TENANT]

    def fault(self, kind: FaultKind, **fields: Any) -> Fault:
        """Put a fault in force."""
        fault = Fault(id=f"fault-{len(self.service.faults.faults)}", kind=kind, **fields)
        self.service.faults.faults[fault.id] = fault
        return fault

    async def token(self, form: dict[str, str] | None = None, tenant: str = TENANT) -> httpx2.Response:
        """Ask for a token; for the app's own unless said otherwise."""
        own = {"grant_type": "client_credentials", "client_secret": SECRET, "scope": SCOPE}
        return await self.http.post(
            f"{ROOT}/{tenant}/oauth2/v2.0/token", data={"client_id": CLIENT, **(own if form is None else form)}
        )

    async def renew(self) -> None:
        """Get a new token for the client."""
        self.http.headers["Authorization"] = f"Bearer {(await self.token()).json()['access_token']}"

    async def sign_in(self, login: str = "anna.berg", password: str = PASSWORD) -> httpx2.Response:
        """Log in as a user."""
        return await self.token({"grant_type": "password", "username": f"{login}@{DOMAIN}", "password": password})

    async def create(self, login: str = "anna.berg", **fields: Any) -> str:
        """Create a user; return its id."""
        made = await self.http.post("/users", json=user_body(login, **fields))
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def shown(self, identifier: str, *names: str) -> dict[str, Any]:
        """Read properties of a user."""
        answer = await self.http.get(f"/users/{identifier}", params={"$select": ",".join(names)})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@asynccontextmanager
async def graph_in_process(seed: TenantSeed | None = None, limits: Limits | None = None) -> AsyncIterator[Graph]:
    """Give a service with one tenant, and clients of it and of its control API."""
    service = Service(World(), Journal(), limits)
    sow(service.world, seed or tenant_seed())
    transport = httpx2.ASGITransport(app=web.build(service))
    governing = httpx2.ASGITransport(app=control.build(service, CONTROL_TOKEN))
    bearer = {"Authorization": f"Bearer {CONTROL_TOKEN}"}
    async with (
        httpx2.AsyncClient(transport=transport, base_url=f"{ROOT}/v1.0") as http,
        httpx2.AsyncClient(transport=governing, base_url="http://control.test", headers=bearer) as ruling,
    ):
        graph = Graph(service, http, ruling)
        await graph.renew()
        yield graph


def error(answer: httpx2.Response) -> tuple[int, str]:
    """Return an answer's status and the code of its error."""
    return answer.status_code, answer.json()["error"]["code"]


def message(answer: httpx2.Response) -> str:
    """Return the text of an answer's error."""
    return str(answer.json()["error"]["message"])
