"""The only place that wires. The portal is a process without broker, outbox and work."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from fastapi import FastAPI

from services.kernel import process, telemetry
from services.kernel.aside import Aside
from services.kernel.clock import UTC
from services.kernel.database import Database
from services.kernel.health import Health
from services.kernel.metrics.exposition import Exposition
from services.kernel.schema import Schema
from services.kernel.security import Authenticator
from services.kernel.settings import load_organisations
from services.portal.adapters.provider import OpenIdProvider
from services.portal.adapters.services import HttpServices
from services.portal.api import shell, signin
from services.portal.api.desks import DESKS, LARGER, SHARED
from services.portal.api.door import Doors
from services.portal.api.pages import Pages
from services.portal.handlers.renewing import Renewing
from services.portal.handlers.signing import Signing
from services.portal.handlers.watching import Seats
from services.portal.settings import Settings
from services.portal.store import Sessions

log = telemetry.get_logger(__name__)


class Portal:
    """The portal as a process: pages, health, logs, and an orderly end."""

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] | None = None) -> None:
        self.settings = settings
        self.database = Database(settings.database_url, name="portal", max_size=8)
        organisations = load_organisations(settings.organisations)
        self._services = HttpServices(
            {
                "ingestion": settings.ingestion_url,
                "accounts": settings.accounts_url,
                "orgtree": settings.orgtree_url,
                "status": settings.status_url,
            },
            deadline=settings.deadline_seconds,
        )
        secret = settings.oidc_client_secret
        self._provider = OpenIdProvider(
            settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=secret.get_secret_value() if secret else None,
            scope=settings.oidc_scope,
            redirect_uri=settings.public_url + signin.CALLBACK,
            signed_out_uri=settings.public_url + signin.SIGNED_OUT,
            audience=settings.audience,
            authenticator=Authenticator(settings.jwks, settings.issuer, settings.audience),
        )
        sessions = Sessions(
            settings.session_key.get_secret_value().encode(),
            lifetime=timedelta(hours=settings.session_hours),
            idle=timedelta(minutes=settings.idle_minutes),
        )
        self._renewing = Renewing(self.database, sessions, self._provider)
        pages = Pages(DESKS, organisations)
        # a browser takes a __Host- cookie over TLS only, and from exactly this host (RFC 6265bis, section 4.1.3.2)
        prefix = "__Host-" if settings.secure else ""
        self.app = FastAPI(title="Stafett portal", docs_url=None, redoc_url=None, openapi_url=None)
        self.app.state.doors = Doors(
            pages=pages,
            signing=Signing(
                database=self.database,
                sessions=sessions,
                provider=self._provider,
                renewing=self._renewing,
                organisations=frozenset(organisations),
                glass=timedelta(minutes=settings.glass_minutes),
            ),
            api=self._services,
            seats=Seats(),
            now=now or _now,
            cookie=f"{prefix}stafett",
            login_cookie=f"{prefix}stafett-sign-in",
            secure=settings.secure,
            origin=settings.public_url,
            policy_seconds=settings.policy_seconds,
        )
        health = Health()
        health.add(self.database.problem, door=True)
        health.add(Schema("portal", self.database).problem, door=True)
        self.app.include_router(health.router())
        self.app.include_router(signin.router)
        for router in (*(desk.router for desk in DESKS), *SHARED):
            self.app.include_router(router)
        self.served = shell.dress(
            self.app, pages, oidc_origin=settings.oidc_origin, secure=settings.secure, larger=LARGER
        )

    def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        process.run("portal", self.settings, self.serve)

    async def serve(self) -> None:
        """Serve until stopped; requests under way end first."""
        await self.open()
        exposing = (Aside("portal-metrics", self._expose).run(),) if self.settings.metrics_port else ()
        try:
            await process.serve(self.served, self.settings, exposing)
        finally:
            await self.close()
            log.info("service.stopped")

    async def _expose(self) -> None:
        await Exposition(*self.settings.metrics_address, ()).run()

    async def open(self) -> None:
        """Open what a request needs."""
        await self.database.open()

    async def close(self) -> None:
        """Close every connection, when what the provider is about to say has been kept."""
        await self._renewing.close()
        await self._services.close()
        await self._provider.close()
        await self.database.close()


def build(settings: Settings) -> Portal:
    """Return the portal, ready to run."""
    return Portal(settings)


def _now() -> datetime:
    # validity of tokens and sessions is wall-clock time, not business time
    return datetime.fromtimestamp(time.time(), UTC)
