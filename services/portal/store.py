"""Sessions in PostgreSQL, encrypted: who reads the table gets neither a session nor a token."""

from dataclasses import dataclass
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken
from pydantic import TypeAdapter

from services.kernel.database import Connection
from services.portal.domain.sessions import Session, SigningIn, stored_id

_KEPT: TypeAdapter[Session | SigningIn] = TypeAdapter(Session | SigningIn)


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

    async def keep(self, conn: Connection, cookie: str, kept: Session | SigningIn) -> None:
        """Store a new session, and sweep those that have ended."""
        await conn.execute("DELETE FROM session WHERE expires_at < now()")
        lifetime = self.lifetime if isinstance(kept, Session) else self.signing
        await conn.execute(
            "INSERT INTO session (id, body, expires_at) VALUES (%s, %s, now() + %s)",
            (stored_id(cookie), self._sealed(kept), lifetime),
        )

    async def find(
        self, conn: Connection, cookie: str, *, lock: bool = False, active: bool = True
    ) -> Session | SigningIn | None:
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
        try:
            return _KEPT.validate_json(Fernet(self.key).decrypt(bytes(row[0])))
        except (InvalidToken, ValueError):
            # the key was changed, or an older version wrote it: as if it had ended
            return None

    async def replace(self, conn: Connection, cookie: str, kept: Session) -> None:
        """Store what a session holds now."""
        await conn.execute("UPDATE session SET body = %s WHERE id = %s", (self._sealed(kept), stored_id(cookie)))

    async def drop(self, conn: Connection, cookie: str) -> None:
        """End a session."""
        await conn.execute("DELETE FROM session WHERE id = %s", (stored_id(cookie),))

    def _sealed(self, kept: Session | SigningIn) -> bytes:
        return Fernet(self.key).encrypt(kept.model_dump_json().encode())
