"""The active decision tables, as the database has them: an activation is seen by every process at its next batch."""

from collections.abc import Mapping
from pathlib import Path

from services.kernel import policy, telemetry
from services.kernel.database import Connection
from services.kernel.policy import Decision, PolicyBook, PolicyRefused, Table

log = telemetry.get_logger(__name__)


class ActivePolicy:
    """The port Policy. Empty until `start` has run."""

    def __init__(self, folder: Path, table: str) -> None:
        self._folder = folder
        self._table = table
        self._book: PolicyBook | None = None

    async def start(self, conn: Connection) -> None:
        """Activate the candidate where nothing is active yet; a bad candidate is refused and the last good one stands.

        Raises:
            PolicyRefused: The candidate is bad and nothing has been active.
        """
        file = self._folder / f"{self._table}.json"
        candidates: dict[str, Table] = {}
        try:
            candidates[self._table] = Table.parse(self._table, file.read_text(encoding="utf-8"), file=file.name)
        except PolicyRefused as refused:
            log.exception("policy.refused", file=refused.file, row=refused.row, reason=refused.reason)
            if self._table not in await policy.active(conn):
                raise
        self._book = PolicyBook(await policy.settle(conn, candidates))

    async def refresh(self, conn: Connection) -> None:
        """Load the table anew when another content has become active."""
        cursor = await conn.execute("SELECT hash FROM policy_active WHERE decision = %s", (self._table,))
        row = await cursor.fetchone()
        if row is not None and (self._book is None or self._book.hash(self._table) != row[0]):
            self._book = PolicyBook(await policy.active(conn))

    def decide(self, table: str, organisation: str, state: Mapping[str, object]) -> Decision:
        """Evaluate a table.

        Raises:
            PolicyRefused: No row matches.
            KeyError: Nothing is active.
        """
        return self._loaded().decide(table, organisation, state)

    def hash(self, table: str) -> str:
        """Return the hash of the active content."""
        return self._loaded().hash(table)

    def _loaded(self) -> PolicyBook:
        if self._book is None:
            raise KeyError(self._table)
        return self._book
