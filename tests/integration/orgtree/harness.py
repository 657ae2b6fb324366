"""Orgtree on a real PostgreSQL: intake, executor and performer, without the broker."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from typing_extensions import override

from services.kernel.database import Database
from services.kernel.executor import Executor
from services.kernel.settings import load_organisations
from services.orgtree.handlers.intake import OrganisationIntake
from services.orgtree.handlers.tree import TARGET, TreePerformer
from services.orgtree.store.versions import History
from tests.support.kernel import ROOT, background, database_url, migrated
from tests.support.office import TODAY, Office


@dataclass(kw_only=True)
class Hall(Office):
    """An office of orgtree."""

    @property
    @override
    def intake(self) -> OrganisationIntake:
        """What takes messages in."""
        return OrganisationIntake()

    async def paths(self) -> Mapping[str, str]:
        """Return the path of each unit in effect."""
        rows = await self.rows(
            "SELECT unit, record -> 'path' FROM effective_unit WHERE record IS NOT NULL AND organisation = %s",
            self.organisation,
        )
        return {unit: "/".join(path) for unit, path in rows}

    async def troubles(self) -> set[tuple[str, str]]:
        """Return (unit, code) of every problem but that nobody leads."""
        rows = await self.rows(
            "SELECT unit, p ->> 'code' FROM effective_unit, jsonb_array_elements(problems) p"
            " WHERE p ->> 'code' NOT IN ('unit.vacant', 'unit.leaderless')"
        )
        return {(unit, code) for unit, code in rows}

    async def place(self, person: UUID) -> dict[str, Any] | None:
        """Return where somebody is."""
        rows = await self.rows("SELECT place FROM placement WHERE person = %s", person)
        found: dict[str, Any] | None = rows[0][0] if rows else None
        return found

    async def on(self, day: date) -> None:
        """Set business time to noon of a day and let everything converge."""
        await self.at(datetime(day.year, day.month, day.day, 11, tzinfo=UTC))


@asynccontextmanager
async def hall(admin_url: str) -> AsyncIterator[Hall]:
    """Run orgtree for `alvsund`, with business time at TODAY noon."""
    await asyncio.to_thread(migrated, admin_url)
    database = Database(database_url(admin_url, "orgtree"), name="orgtree")
    await database.open()
    try:
        organisations = dict(load_organisations(ROOT / "deploy/local/organisations.toml"))
        here = Hall(database=database, organisations=organisations)
        executor = Executor(
            TARGET, TreePerformer(organisations, History()), database, generation=1, lease_seconds=30,
            slots=32, reserved_express=4, on_commit=lambda: None, crash=lambda _point: None,
        )  # fmt: skip
        async with background(executor.run()):
            await here.on(TODAY)
            yield here
    finally:
        await database.close()
