"""Signing in, staying signed in, signing out."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.kernel import telemetry
from services.kernel.database import Database
from services.portal.domain.sessions import Glass, Session, SigningIn, new_csrf, new_id
from services.portal.handlers.renewing import Renewing, granted
from services.portal.ports import Provider, SignInRefused
from services.portal.store import Sessions

log = telemetry.get_logger(__name__)

LONGEST_PATH = 1_000
"""In bytes. A browser carries where it goes on in a cookie, which holds 4,096 (RFC 6265, section 6.1)."""


@dataclass(frozen=True)
class Signing:
    """Everything about sessions.

    Args:
        database: Where they are kept.
        sessions: The table.
        provider: Who says who somebody is.
        renewing: Keeps their tokens good.
        organisations: Whom we serve.
        glass: How long a protected identity stays visible after somebody gave a reason.
    """

    database: Database
    sessions: Sessions
    provider: Provider
    renewing: Renewing
    organisations: frozenset[str]
    glass: timedelta

    async def begin(self, following: str, language: str) -> tuple[str, str, str]:
        """Begin a sign-in in a language; return its state, what the browser carries of it, and where to send it.

        Raises:
            ProviderUnavailable: Try again later.
        """
        kept = following if len(following.encode()) <= LONGEST_PATH else "/"
        signing = SigningIn(state=new_id(), nonce=new_id(), verifier=new_id(), following=kept)
        url = await self.provider.authorization_url(
            state=signing.state, nonce=signing.nonce, verifier=signing.verifier, language=language
        )
        return signing.state, self.sessions.sealed(signing), url

    def begun(self, carried: str | None, state: str) -> SigningIn | None:
        """Return the sign-in that a browser brings back, if it is the one that `state` belongs to."""
        found = self.sessions.unsealed(carried) if carried else None
        same = found is not None and hmac.compare_digest(found.state.encode(), state.encode())
        return found if same else None

    async def complete(
        self, begun: SigningIn | None, code: str, *, old: tuple[str, Session] | None
    ) -> tuple[str, Session]:
        """Turn the provider's code into a session under an id that nobody has seen; return its cookie and itself.

        The browser's `old` session ends. If it was the same person's, its open pages go on working.

        Raises:
            SignInRefused: Another browser began this, it took too long, or the provider or an API refuses.
            ProviderUnavailable: Try again later.
        """
        if begun is None:
            raise SignInRefused("sign_in.state")
        grant = await self.provider.redeem(code, nonce=begun.nonce, verifier=begun.verifier)
        if grant.principal.organisation not in self.organisations:
            raise SignInRefused("organisation.unknown")
        who = (grant.principal.subject, grant.principal.organisation)
        same = old is not None and (old[1].subject, old[1].organisation) == who
        csrf = old[1].csrf if old is not None and same else new_csrf()
        session, fresh = Session.model_validate({**granted(grant), "csrf": csrf}), new_id()
        async with self.database.transaction() as conn:
            if old is not None:
                await self.sessions.drop(conn, old[0])
            await self.sessions.keep(conn, fresh, session)
        log.info("sign_in.done", organisation=session.organisation, roles=sorted(session.roles))
        return fresh, session

    async def resume(self, cookie: str, now: datetime, *, active: bool) -> Session | None:
        """Return who this browser belongs to, with a token that is good for a while; None: sign in again."""
        async with self.database.transaction() as conn:
            found = await self.sessions.find(conn, cookie, active=active)
        return None if found is None else await self.renewing.current(cookie, found, now)

    async def break_glass(
        self, cookie: str, reason: str, now: datetime, *, person: UUID | None, search: str | None
    ) -> None:
        """Show one person, or what one search finds, for a while; what was shown before is hidden again.

        That it was done, and why, must have been said to the audit before.
        """
        await self._glass(cookie, Glass(reason=reason, until=now + self.glass, person=person, search=search))

    async def mend_glass(self, cookie: str) -> None:
        """Hide protected identities again."""
        await self._glass(cookie, None)

    async def _glass(self, cookie: str, glass: Glass | None) -> None:
        async with self.database.transaction() as conn:
            found = await self.sessions.find(conn, cookie, lock=True)
            if found is not None:
                await self.sessions.replace(conn, cookie, found.model_copy(update={"glass": glass}))
                log.info("glass.broken" if glass else "glass.mended", organisation=found.organisation)

    async def end(self, cookie: str, session: Session | None) -> str | None:
        """Forget a session; return where the provider signs people out, if it does."""
        async with self.database.transaction() as conn:
            await self.sessions.drop(conn, cookie)
        return await self.provider.sign_out_url(session.id_token) if session is not None else None
