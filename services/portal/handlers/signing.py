"""Signing in, staying signed in, signing out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.kernel import telemetry
from services.kernel.database import Database
from services.portal.domain.sessions import Glass, Session, SigningIn, new_csrf, new_id
from services.portal.ports import Grant, Provider, ProviderUnavailable, SignInRefused
from services.portal.store import Sessions

log = telemetry.get_logger(__name__)

EARLY = timedelta(seconds=60)
"""A token is renewed this long before it ends: it must outlive the calls of the page it is used for."""


@dataclass(frozen=True)
class Signing:
    """Everything about sessions.

    Args:
        database: Where they are kept.
        sessions: The table.
        provider: Who says who somebody is.
        organisations: Whom we serve.
        glass: How long protected identities stay visible after somebody gave a reason.
    """

    database: Database
    sessions: Sessions
    provider: Provider
    organisations: frozenset[str]
    glass: timedelta

    async def begin(self, following: str) -> tuple[str, str]:
        """Remember a browser that wants to sign in; return its cookie and where to send it.

        Raises:
            ProviderUnavailable: Try again later.
        """
        cookie, signing = new_id(), SigningIn(state=new_id(), nonce=new_id(), verifier=new_id(), following=following)
        url = await self.provider.authorization_url(state=signing.state, nonce=signing.nonce, verifier=signing.verifier)
        async with self.database.transaction() as conn:
            await self.sessions.keep(conn, cookie, signing)
        return cookie, url

    async def complete(self, cookie: str | None, *, state: str, code: str) -> tuple[str, Session, str]:
        """Turn the provider's code into a session under a new id; return its cookie, itself and where to go on.

        A code is good once: the sign-in is forgotten before the code is used, whatever comes of it.

        Raises:
            SignInRefused: Another browser began this, it took too long, or the provider or an API refuses.
            ProviderUnavailable: Try again later.
        """
        async with self.database.transaction() as conn:
            begun = await self.sessions.find(conn, cookie, lock=True) if cookie else None
            if cookie:
                await self.sessions.drop(conn, cookie)
        if not isinstance(begun, SigningIn) or begun.state != state:
            raise SignInRefused("sign_in.state")
        grant = await self.provider.redeem(code, nonce=begun.nonce, verifier=begun.verifier)
        if grant.principal.organisation not in self.organisations:
            raise SignInRefused("organisation.unknown")
        session, fresh = _session(grant, new_csrf()), new_id()
        async with self.database.transaction() as conn:
            await self.sessions.keep(conn, fresh, session)
        log.info("sign_in.done", organisation=session.organisation, roles=sorted(session.roles))
        return fresh, session, begun.following

    async def resume(self, cookie: str, now: datetime, *, active: bool) -> Session | None:
        """Return who this browser belongs to, with a token that is good for a while; None: sign in again.

        The row is locked while tokens are renewed: a provider that rotates refresh tokens takes each one once.
        """
        async with self.database.transaction() as conn:
            found = await self.sessions.find(conn, cookie, active=active)
        if not isinstance(found, Session):
            return None
        if found.access_until - now > EARLY:
            return found
        async with self.database.transaction() as conn:
            locked = await self.sessions.find(conn, cookie, lock=True, active=active)
            if not isinstance(locked, Session) or locked.access_until - now > EARLY:
                return locked if isinstance(locked, Session) else None
            renewed = await self._renewed(locked, now)
            if renewed is None:
                await self.sessions.drop(conn, cookie)
            elif renewed is not locked:
                await self.sessions.replace(conn, cookie, renewed)
        return renewed

    async def _renewed(self, session: Session, now: datetime) -> Session | None:
        usable = session if now < session.access_until else None
        if session.refresh_token is None:
            return usable
        try:
            grant = await self.provider.refresh(session.refresh_token, id_token=session.id_token, name=session.name)
        except ProviderUnavailable:
            return usable
        except SignInRefused as refused:
            log.info("session.ended", code=refused.code)
            return None
        same = (grant.principal.subject, grant.principal.organisation) == (session.subject, session.organisation)
        return _session(grant, session.csrf, session.glass) if same else None

    async def break_glass(self, cookie: str, session: Session, reason: str | None, now: datetime) -> None:
        """Show protected identities for a while, for a reason, or hide them again without one."""
        glass = Glass(reason=reason, until=now + self.glass) if reason else None
        async with self.database.transaction() as conn:
            found = await self.sessions.find(conn, cookie, lock=True)
            if isinstance(found, Session):
                await self.sessions.replace(conn, cookie, found.model_copy(update={"glass": glass}))
        log.info("glass.broken" if glass else "glass.mended", organisation=session.organisation)

    async def end(self, cookie: str, session: Session | None) -> str | None:
        """Forget a session; return where the provider signs people out, if it does."""
        async with self.database.transaction() as conn:
            await self.sessions.drop(conn, cookie)
        return await self.provider.sign_out_url(session.id_token) if session is not None else None


def _session(grant: Grant, csrf: str, glass: Glass | None = None) -> Session:
    return Session(
        subject=grant.principal.subject,
        name=grant.name,
        organisation=grant.principal.organisation,
        roles=tuple(sorted(grant.principal.roles)),
        scopes=grant.principal.scopes,
        access_token=grant.access_token,
        access_until=grant.access_until,
        refresh_token=grant.refresh_token,
        id_token=grant.id_token,
        csrf=csrf,
        glass=glass,
    )
