"""The portal on a real database, and a certified OpenID provider (npm: oidc-provider) that it signs people in at."""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import psycopg
import pytest
from cryptography.fernet import Fernet

from deploy import texts
from deploy.local.ports import free_ports
from deploy.migrate import migrate
from services.kernel.clock import UTC
from services.portal.bootstrap import Portal
from services.portal.domain.sessions import Session, masked, new_id
from services.portal.handlers.renewing import Renewing
from services.portal.settings import Settings
from tests.support.house import wait_until
from tests.support.portal import FakeApi, FakeProvider, session
from tests.support.servers import PostgresUnderTest, skip_or_fail

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "tests/support/oidc"
SECRET = "a-secret-of-the-test"
PASSWORD = "pw-portal"


@dataclass(frozen=True)
class Real:
    """The provider, and where the portal is said to be."""

    issuer: str
    portal: str
    jwks: Path
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="session")
def installed() -> None:
    """The provider's packages, as its lock file has them."""
    if not shutil.which("npm"):
        skip_or_fail("npm is not installed (Debian packages: nodejs npm)")
    if not (FOLDER / "node_modules/oidc-provider").exists():
        subprocess.run(["npm", "ci", "--silent"], cwd=FOLDER, check=True, timeout=240)


@pytest.fixture
def provider(installed: None, tmp_path: Path) -> Iterator[Real]:
    port, portal = free_ports(2)
    issuer, url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{portal}"
    argv = ["node", "provider.mjs", str(port), f"{url}/sign-in/callback", f"{url}/signed-out"]
    with (tmp_path / "provider.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=FOLDER, stdout=log, stderr=log)
    try:
        file = tmp_path / "jwks.json"

        def published() -> bool:
            with urllib.request.urlopen(f"{issuer}/jwks", timeout=3) as answer:  # noqa: S310
                return file.write_bytes(answer.read()) > 0

        wait_until(published, seconds=30, why=(tmp_path / "provider.log").read_text)
        yield Real(issuer, url, file, process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def admin_url(postgres: PostgresUnderTest) -> Iterator[str]:
    with postgres.database() as url:
        migrate(url, {"portal": PASSWORD}, offsets_allowed=True)
        yield url


@dataclass
class Clock:
    """The portal's clock, which a test may move."""

    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


def settings(admin_url: str, issuer: str, jwks: Path, portal: str, **values: object) -> Settings:
    parts = urlsplit(admin_url)
    url = parts._replace(netloc=f"portal:{PASSWORD}@{parts.hostname}:{parts.port}").geturl()
    # nobody listens on port 1: every part of a page is away, which is not what these tests are about
    away = dict.fromkeys(("ingestion_url", "accounts_url", "orgtree_url", "status_url"), "http://127.0.0.1:1")
    fields: dict[str, object] = {
        "environment": "development",
        "database_url": url,
        "organisations": ROOT / "deploy/local/organisations.toml",
        "jwks": str(jwks),
        "issuer": issuer,
        "public_url": portal,
        "oidc_issuer": issuer,
        "oidc_client_secret": SECRET,
        "session_key": Fernet.generate_key().decode(),
        **away,
    }
    return Settings.model_validate({**fields, **values})


@pytest.fixture
async def portal(provider: Real, admin_url: str, clock: Clock) -> AsyncIterator[Portal]:
    texts.compile_catalogues()
    with psycopg.connect(admin_url) as conn:
        conn.execute("TRUNCATE portal.session")
    found = Portal(settings(admin_url, provider.issuer, provider.jwks, provider.portal), now=clock.now)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
async def lonely(admin_url: str, clock: Clock, tmp_path: Path) -> AsyncIterator[Portal]:
    """A portal whose provider and services are away, but for what a test puts in their place."""
    texts.compile_catalogues()
    with psycopg.connect(admin_url) as conn:
        conn.execute("TRUNCATE portal.session")
    away = "http://127.0.0.1:1"
    found = Portal(settings(admin_url, away, tmp_path / "jwks.json", away), now=clock.now)
    await found.open()
    yield found
    await found.close()


class Surfer:
    """A browser without a screen: cookies and redirects, for the portal and for the provider."""

    def __init__(self, portal: Portal) -> None:
        self.url = portal.settings.public_url
        transport = httpx2.ASGITransport(app=portal.served, raise_app_exceptions=False)
        self.client = httpx2.AsyncClient(
            mounts={f"{self.url}/": transport, self.url: transport}, headers={"Accept-Language": "en"}
        )

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.client.get(self.url + path if path.startswith("/") else path, **options)

    async def post(self, path: str, **options: Any) -> httpx2.Response:
        return await self.client.post(self.url + path, **options)

    async def to_callback(self, who: str, following: str = "/") -> str:
        """Sign in at the provider as `name:organisation:roles`, and agree; return the callback it leads to."""
        answer = await self.get("/sign-in", params={"next": following})
        assert answer.status_code == 303, answer.text
        where = answer.headers["location"]
        asked = parse_qs(urlsplit(where).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert {"state", "nonce", "code_challenge"} <= asked.keys()
        for _ in range(12):
            answer = await self.get(where)
            if answer.status_code == 200:
                prompt = "login" if 'value="login"' in answer.text else "consent"
                form = {"prompt": prompt, **({"login": who, "password": "x"} if prompt == "login" else {})}
                answer = await self.client.post(where, data=form)
            where = str(httpx2.URL(str(answer.url)).join(answer.headers["location"]))
            if where.startswith(f"{self.url}/sign-in/callback"):
                return where
        raise AssertionError(where)

    async def sign_in(self, who: str = "Disa:alvsund:operations", following: str = "/") -> httpx2.Response:
        return await self.get(await self.to_callback(who, following))

    @property
    def cookie(self) -> str | None:
        return next((one.value for one in self.client.cookies.jar if one.name == "stafett"), None)

    async def csrf(self) -> str:
        """Return the token of a page's form."""
        page = await self.get("/people")
        headers = page.text.partition("hx-headers='")[2].partition("'")[0]
        return str(json.loads(headers)["X-CSRF-Token"])


@pytest.fixture
async def surfer(portal: Portal) -> AsyncIterator[Surfer]:
    found = Surfer(portal)
    yield found
    await found.client.aclose()


class Someone(Surfer):
    """Somebody who is signed in, with services that answer as the test says."""

    def __init__(self, portal: Portal, api: FakeApi, one: Session, cookie: str) -> None:
        super().__init__(portal)
        self.api = api
        self.session = one
        self.client.cookies.set("stafett", cookie, domain="127.0.0.1")

    async def send(self, path: str, **form: str) -> httpx2.Response:
        return await self.post(path, data={"csrf": masked(self.session.csrf), **form})


@pytest.fixture
async def api(lonely: Portal, clock: Clock) -> FakeApi:
    found = FakeApi()
    doors = lonely.app.state.doors
    renewing = Renewing(lonely.database, doors.signing.sessions, FakeProvider(clock.now))
    lonely.app.state.doors = replace(doors, api=found, signing=replace(doors.signing, renewing=renewing))
    return found


async def signed_in(portal: Portal, api: FakeApi, clock: Clock, *roles: str, **fields: Any) -> Someone:
    cookie, one = new_id(), session(clock.now(), *roles, **fields)
    async with portal.database.transaction() as conn:
        await portal.app.state.doors.signing.sessions.keep(conn, cookie, one)
    return Someone(portal, api, one, cookie)
