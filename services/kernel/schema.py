"""Whether a service's tables are those that its code knows: revisions by file, and what the database says it has."""

import ast
import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from psycopg.errors import InsufficientPrivilege, UndefinedTable

from services.kernel.database import TRANSIENT, Database
from services.kernel.messaging import topology

_SERVICES = Path(__file__).parents[1]
SHARED = _SERVICES / "kernel/migrations/shared"
"""Migrations of the schema that all services share."""
_APPLIED = "SELECT false, version_num FROM schema_version UNION ALL SELECT true, version_num FROM kernel.schema_version"


def folders(service: str) -> list[Path]:
    """Return where a service's migrations lie; one without messages has none of the kernel's tables."""
    shared = [_SERVICES / "kernel/migrations/service"] if service in topology.SERVICES else []
    return [*shared, _SERVICES / service / "migrations"]


def revisions(where: Iterable[Path]) -> dict[str, frozenset[str]]:
    """Return every revision in these folders, with those that it stands on directly (Alembic's words for both)."""
    return dict(_read(file) for folder in where for file in sorted(folder.glob("*.py")))


def missing(known: Mapping[str, frozenset[str]], applied: Iterable[str]) -> set[str]:
    """Return what the code knows and the database has not got.

    Nothing is missing when the database has a revision that the code does not know: a newer version has migrated it,
    which is done beside the old one.

    Args:
        known: The code's revisions, as `revisions` gives them.
        applied: The rows of `schema_version`; a row stands for all that it stands on.
    """
    waiting, found = list(applied), set[str]()
    while waiting:
        revision = waiting.pop()
        if revision not in known:
            return set()
        if revision not in found:
            found.add(revision)
            waiting.extend(known[revision])
    return known.keys() - found


class Schema:
    """The schema of one service, and the one that it shares with the others."""

    def __init__(self, service: str, database: Database) -> None:
        self._database = database
        self._known = {False: revisions(folders(service)), True: revisions([SHARED])}
        self._agreed = False

    async def problem(self) -> str | None:
        """Return which migrations have not run, or None; once they have, the database is not asked again."""
        if self._agreed:
            return None
        applied: list[tuple[bool, str]] = []
        try:
            async with asyncio.timeout(2), self._database.transaction() as conn:
                cursor = await conn.execute(_APPLIED)
                applied = [(shared, version) for shared, version in await cursor.fetchall()]
        except (UndefinedTable, InsufficientPrivilege):
            pass  # the migration has not come that far
        except (*TRANSIENT, TimeoutError) as error:
            return f"database: {type(error).__name__}"
        left = [
            revision
            for part, known in self._known.items()
            for revision in missing(known, [version for shared, version in applied if shared is part])
        ]
        if left:
            return f"schema: waits for {', '.join(sorted(left))}"
        self._agreed = True
        return None


def _read(file: Path) -> tuple[str, frozenset[str]]:
    said: dict[str, Any] = {}
    for line in ast.parse(file.read_text(encoding="utf-8")).body:
        match line:
            case ast.Assign(targets=[ast.Name(id="revision" | "down_revision" | "depends_on" as name)], value=value):
                said[name] = ast.literal_eval(value)
    return said["revision"], frozenset({*_names(said["down_revision"]), *_names(said["depends_on"])})


def _names(said: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else said or ()
