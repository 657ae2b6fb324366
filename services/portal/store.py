"""Sessions in PostgreSQL, encrypted: who reads the table gets neither a session nor a token."""

from dataclasses import dataclass
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken

from services.kernel.database import Connection
from services.portal.domain.sessions import Session, SigningIn, stored_id


@dataclass(frozen=True)
class Sessions:
    """The table of sessions: absolute lifetime and idle time are the database's clock's.

    Args:
        key: Fernet key.
        lifetime: How long somebody stays signed in at most.
        idle: How long without a request of their own.
        signing: How long a sign-in may take.
    """

    key: bytes
    lifetime: timedelta
    idle: timedelta
    signing: timedelta = timedelta(minutes=10)

    def sealed(self, signing: SigningIn) -> str:
        """Return a sign-in for the browser to carry: strangers begin them, so they take no room here."""
        return self._sealed(signing).decode()

    def unsealed(self, cookie: str) -> SigningIn | None:
        """Return the sign-in that a browser brings back, or None when it is not ours or took too long."""
        try:
            raw = Fernet(self.key).decrypt(cookie.encode(), ttl=int(self.signing.total_seconds()))
            return SigningIn.model_validate_json(raw)
        except (InvalidToken, ValueError):
            return None

    async def keep(self, conn: Connection, cookie: str, session: Session) -> None:
        """Store a new session, and sweep those that have ended."""
        await conn.execute("DELETE FROM session WHERE expires_at < now()")
        await conn.execute(
            "INSERT INTO session (id, body, expires_at) VALUES (%s, %s, now() + %s)",
            (stored_id(cookie), self._sealed(session), self.lifetime),
        )

    async def find(self, conn: Connection, cookie: str, *, lock: bool = False, active: bool = True) -> Session | None:
        """Return a session that has not ended. `active`: a person's own request, which keeps it from idling out."""
        where = "WHERE id = %(id)s AND expires_at > now() AND seen_at > now() - %(idle)s"
        values = {"id": stored_id(cookie), "idle": self.idle}
        cursor = await conn.execute(f"SELECT body FROM session {where}" + (" FOR UPDATE" if lock else ""), values)
        row = await cursor.fetchone()
        if row is None:
            return None
        if active:
            # once a minute is enough, and spares a write at every click
            await conn.execute(
                f"UPDATE session SET seen_at = now() {where} AND seen_at < now() - interval '1 minute'", values
            )
        return self._opened(row[0])

    async def claim_renewal(self, conn: Connection, cookie: str, rest: timedelta) -> Session | None:
        """Return the session if its tokens may be renewed now, and keep everybody else from it for `rest`.

        A refresh token is good once (RFC 9700, section 4.14.2): two replicas must not use the same one. A claim that
        is not followed by `replace`, since the provider or we went away, ends by itself.
        """
        cursor = await conn.execute(
            "UPDATE session SET renew_after = now() + %s WHERE id = %s AND expires_at > now()"
            " AND (renew_after IS NULL OR renew_after < now()) RETURNING body",
            (rest, stored_id(cookie)),
        )
        row = await cursor.fetchone()
        return None if row is None else self._opened(row[0])

    async def replace(self, conn: Connection, cookie: str, session: Session) -> None:
        """Store what a session holds now."""
        await conn.execute(
            "UPDATE session SET body = %s, renew_after = NULL WHERE id = %s",
            (self._sealed(session), stored_id(cookie)),
        )

    async def drop(self, conn: Connection, cookie: str) -> None:
        """End a session."""
        await conn.execute("DELETE FROM session WHERE id = %s", (stored_id(cookie),))

    def _sealed(self, kept: Session | SigningIn) -> bytes:
        return Fernet(self.key).encrypt(kept.model_dump_json().encode())

    def _opened(self, body: bytes) -> Session | None:
        try:
            return Session.model_validate_json(Fernet(self.key).decrypt(bytes(body)))
        except (InvalidToken, ValueError):
            # the key was changed, or an older version wrote it: as if it had ended
            return None
