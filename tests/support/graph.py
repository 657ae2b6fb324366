"""The Graph simulator for tests: as a process with TLS, or in this one without a network."""

import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import requests

from deploy.local.certificates import tls_files
from deploy.local.ports import free_ports
from deploy.local.server import BASE_ENVIRONMENT, HOST
from deploy.local.settings import ROOT
from deploy.simulators.graph.seeds import AppSeed, SkuSeed, TenantSeed

TENANT = "11111111-1111-4111-8111-111111111111"
CLIENT = "22222222-2222-4222-8222-222222222222"
SECRET = "a secret of the simulator"
DOMAIN = "alvsund.example"
CONTROL_TOKEN = "control"
SCOPE = "https://graph.microsoft.com/.default"


def tenant_seed(**fields: Any) -> TenantSeed:
    """One tenant with one app that may do all, and one subscription of ten seats, unless said otherwise."""
    values: dict[str, Any] = {
        "id": TENANT,
        "name": "Alvsund",
        "domains": (DOMAIN,),
        "apps": (AppSeed(id=CLIENT, secrets=(SECRET,)),),
        "skus": (SkuSeed(part_number="SPE_E3", seats=10),),
    }
    return TenantSeed(**{**values, **fields})


@dataclass
class GraphSimulator:
    """A simulator that runs.

    Attributes:
        url: Where Graph and the token endpoint are; `https`.
        ca: The authority that a client must trust.
        control: A client of the control API.
    """

    url: str
    ca: Path
    control: httpx2.Client
    log_file: Path

    def seed(self, seed: TenantSeed) -> dict[str, Any]:
        """Add a tenant, or to it."""
        return self._said(self.control.post("/control/tenants", json=seed.model_dump(mode="json")))

    def reset(self, seed: TenantSeed | None = None) -> None:
        """Begin anew, with the port open and the right certificate."""
        self._said(self.control.post("/control/reset"))
        self._said(self.control.put("/control/listener", json={}))
        self.seed(seed or tenant_seed())

    def fault(self, kind: str, **fields: Any) -> str:
        """Put a fault in force; return its id."""
        return str(self._said(self.control.post("/control/faults", json={"kind": kind, **fields}))["id"])

    def mend(self) -> None:
        """Take all faults away."""
        self._said(self.control.delete("/control/faults"))

    def lag(self, seconds: float, tenant: str = TENANT) -> None:
        """Let reads lag behind writes."""
        self._said(self.control.put(f"/control/tenants/{tenant}/lag", json={"seconds": seconds}))

    def advance(self, seconds: float) -> None:
        """Push the simulator's time."""
        self._said(self.control.post("/control/clock", json={"advance": seconds}))

    def expire_tokens(self) -> None:
        """Let all access tokens expire now."""
        self._said(self.control.post("/control/tokens/expire"))

    def listen(self, *, open_port: bool = True, certificate: str = "right") -> None:
        """Close or open Graph's port, with the right certificate, a `stranger`'s or an `expired` one."""
        self._said(self.control.put("/control/listener", json={"open": open_port, "certificate": certificate}))

    def budget(self, limit: int, window: float) -> None:
        """Set the write budget."""
        self._said(self.control.put("/control/budget", json={"limit": limit, "window": window}))

    def log(self, **query: Any) -> list[dict[str, Any]]:
        """Read the simulator's own log; `change="user.created"` gives the requests that created users."""
        return list(self._said(self.control.get("/control/log", params=query))["records"])

    def state(self, tenant: str = TENANT) -> dict[str, list[dict[str, Any]]]:
        """Read all that a tenant holds, past any lag."""
        return dict(self._said(self.control.get(f"/control/tenants/{tenant}")))

    def trust(self) -> ssl.SSLContext:
        """A context for httpx2 that trusts the simulator and nobody else."""
        return ssl.create_default_context(cafile=str(self.ca))

    def session(self) -> requests.Session:
        """A session for msal's `http_client`; the environment's bundle of authorities must not go before ours."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.ca)
        return session

    def sign_in(self, name: str, password: str, tenant: str = TENANT) -> httpx2.Response:
        """Log in as a user (for proofs): 200 with tokens, or 400 with an AADSTS code."""
        form = {
            "grant_type": "password",
            "client_id": CLIENT,
            "username": name,
            "password": password,
            "scope": "openid",
        }
        return self._token(form, tenant)

    def renew(self, refresh_token: str, tenant: str = TENANT) -> httpx2.Response:
        """Redeem a refresh token."""
        form = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": refresh_token}
        return self._token(form, tenant)

    def _token(self, form: dict[str, str], tenant: str) -> httpx2.Response:
        return httpx2.post(f"{self.url}/{tenant}/oauth2/v2.0/token", data=form, verify=self.trust())

    @staticmethod
    def _said(answer: httpx2.Response) -> dict[str, Any]:
        answer.raise_for_status()
        return dict(answer.json())


@contextmanager
def running_simulator(folder: Path) -> Iterator[GraphSimulator]:
    """Run a simulator in a process of its own, with one tenant; stopped at the end."""
    files = tls_files(folder)
    port, control_port = free_ports(2)
    log = folder / "requests.jsonl"
    environment = {
        **BASE_ENVIRONMENT,
        "PYTHONPATH": str(ROOT),
        "STAFETT_SIM_ENVIRONMENT": "development",
        "STAFETT_SIM_PORT": str(port),
        "STAFETT_SIM_CONTROL_PORT": str(control_port),
        "STAFETT_SIM_CONTROL_TOKEN": CONTROL_TOKEN,
        "STAFETT_SIM_CERTIFICATE_FILE": str(files.certificate),
        "STAFETT_SIM_KEY_FILE": str(files.key),
        "STAFETT_SIM_LOG": str(log),
    }
    argv = [sys.executable, "-m", "deploy.simulators", "graph"]
    with (folder / "simulator.log").open("ab") as output:
        process = subprocess.Popen(argv, env=environment, cwd=folder, stdout=output, stderr=output)
    headers = {"Authorization": f"Bearer {CONTROL_TOKEN}"}
    try:
        with httpx2.Client(base_url=f"http://{HOST}:{control_port}", headers=headers) as control:
            _await_ready(process, control, folder / "simulator.log")
            simulator = GraphSimulator(f"https://{HOST}:{port}", files.ca, control, log)
            simulator.seed(tenant_seed())
            yield simulator
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(process: subprocess.Popen[bytes], control: httpx2.Client, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if control.get("/readyz").status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.05)
    message = f"the Graph simulator did not come up:\n{log.read_text()}"
    raise RuntimeError(message)
