"""Tokens are renewed outside any transaction: a provider that is slow delays nobody whose token is still good."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.kernel import telemetry
from services.kernel.database import Database
from services.portal.domain.sessions import Session, stored_id
from services.portal.ports import Grant, Provider, ProviderUnavailable, SignInRefused
from services.portal.store import Sessions

log = telemetry.get_logger(__name__)

EARLY = timedelta(seconds=60)
"""A token is renewed this long before it ends."""
ENOUGH = timedelta(seconds=12)
"""A token that lasts this long outlives the calls of a page; nobody waits for a newer one."""
REST = timedelta(seconds=20)
"""How long nobody asks again about a session after the provider gave no answer; longer than `PATIENCE`."""
PATIENCE = 15.0


@dataclass(frozen=True)
class Renewing:
    """One renewal at a time for each session, whoever asks for it and in whichever process."""

    database: Database
    sessions: Sessions
    provider: Provider
    _under_way: dict[bytes, asyncio.Task[Session | None]] = field(default_factory=dict)

    async def current(self, cookie: str, session: Session, now: datetime) -> Session | None:
        """Return the session with a token that is good now, or None: sign in again.

        Near its end a renewal begins and the old token is used; only at its very end somebody waits.
        """
        left = session.access_until - now
        if left > EARLY:
            return session
        if session.refresh_token is not None:
            renewal = self._renewal(cookie, session)
            if left <= ENOUGH:
                newer = await asyncio.shield(renewal)
                return newer if newer is not None and newer.access_until > now else None
        return session if left > timedelta() else None

    async def instead_of(self, cookie: str, session: Session) -> Session | None:
        """Return the session with another token than one that was refused, or None when there is none."""
        if session.refresh_token is None:
            return None
        newer = await asyncio.shield(self._renewal(cookie, session))
        return newer if newer is not None and newer.access_token != session.access_token else None

    async def close(self) -> None:
        """Let renewals under way end: their answers hold the only good refresh tokens."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def _renewal(self, cookie: str, session: Session) -> asyncio.Task[Session | None]:
        key = stored_id(cookie)
        found = self._under_way.get(key)
        if found is None:
            found = self._under_way[key] = asyncio.create_task(self._renew(cookie, session))
            found.add_done_callback(lambda task: self._ended(key, task))
        return found

    def _ended(self, key: bytes, task: asyncio.Task[Session | None]) -> None:
        del self._under_way[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("session.not_renewed", cause=type(error).__name__)

    async def _renew(self, cookie: str, used: Session) -> Session | None:
        async with self.database.transaction() as conn:
            found = await self.sessions.find(conn, cookie, active=False)
            if found is None or found.access_token != used.access_token:
                return found
            claimed = await self.sessions.claim_renewal(conn, cookie, REST)
        if claimed is None or claimed.refresh_token is None:
            return found
        try:
            async with asyncio.timeout(PATIENCE):
                grant = await self.provider.refresh(claimed.refresh_token, id_token=claimed.id_token, name=claimed.name)
        except (ProviderUnavailable, TimeoutError):
            log.warning("session.not_renewed", cause="provider")
            return claimed
        except SignInRefused as refused:
            log.info("session.ended", code=refused.code)
            return await self._settle(cookie, None)
        same = (grant.principal.subject, grant.principal.organisation) == (claimed.subject, claimed.organisation)
        return await self._settle(cookie, grant if same else None)

    async def _settle(self, cookie: str, grant: Grant | None) -> Session | None:
        """Store new tokens beside what else the session holds by now, or end it."""
        async with self.database.transaction() as conn:
            found = await self.sessions.find(conn, cookie, lock=True, active=False)
            if grant is None or found is None:
                await self.sessions.drop(conn, cookie)
                return None
            newer = found.model_copy(update=granted(grant))
            await self.sessions.replace(conn, cookie, newer)
        return newer


def granted(grant: Grant) -> dict[str, object]:
    """Return the fields of a session that come from the provider."""
    return {
        "subject": grant.principal.subject,
        "name": grant.name,
        "organisation": grant.principal.organisation,
        "roles": tuple(sorted(grant.principal.roles)),
        "scopes": grant.principal.scopes,
        "person": grant.principal.person,
        "access_token": grant.access_token,
        "access_until": grant.access_until,
        "refresh_token": grant.refresh_token,
        "id_token": grant.id_token,
    }
