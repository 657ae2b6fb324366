"""Orgtree on a real PostgreSQL: intake, executor and performer, without the broker."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from typing_extensions import override

from contracts.codes import AccountState
from contracts.facts import AccountChanged, AccountRecord
from contracts.person import UnitRecord, UnitRecorded
from contracts.registry import ACCOUNT_CHANGED, UNIT_RECORDED
from services.kernel.database import Database
from services.kernel.executor import Executor
from services.kernel.gate import Rules
from services.kernel.readings import leases
from services.kernel.readings.leases import Why
from services.kernel.readings.rounds import Readings
from services.kernel.settings import load_organisations
from services.kernel.work import Performer
from services.orgtree.domain.projection import Layout
from services.orgtree.handlers.drift import DriftRun
from services.orgtree.handlers.gate import Gate
from services.orgtree.handlers.intake import OrganisationIntake
from services.orgtree.handlers.targets import TargetPerformer
from services.orgtree.handlers.tree import TARGET, TreePerformer
from services.orgtree.ports import UnitDirectory
from services.orgtree.store import drift
from services.orgtree.store.versions import History
from tests.support.kernel import ROOT, background, database_url, migrated
from tests.support.office import TODAY, Office


@dataclass(kw_only=True)
class Hall(Office):
    """An office of orgtree; `targets`: where its units stand."""

    targets: Sequence[str] = ()

    @property
    @override
    def intake(self) -> OrganisationIntake:
        """What takes messages in."""
        return OrganisationIntake({self.organisation: self.targets})

    @override
    async def tell_units(self, units: Mapping[str, Mapping[str, Any]], revision: int = 1) -> None:
        """Take in what HR says of many units, at once."""
        found = [
            UnitRecorded(
                organisation=self.organisation,
                unit=unit,
                revision=revision,
                tree_revision=revision,
                record=UnitRecord(**{"valid_from": date(2020, 1, 1), **values}),
            )
            for unit, values in units.items()
        ]
        await self._take_in(self.intake.unit_recorded, UNIT_RECORDED, *[(data, data.unit) for data in found])

    async def tell_account(
        self, person: UUID, target: str, entry: str | None, *, enabled: bool = True, version: int = 1
    ) -> None:
        """Take in that somebody's account in a target is another one, or none."""
        now = datetime(2027, 1, 1, tzinfo=UTC)
        state = AccountState.ABSENT if entry is None else AccountState.ENABLED if enabled else AccountState.DISABLED
        data = AccountChanged(
            organisation=self.organisation, person=person, target=target, version=version, changed_at=now,
            verified_at=now, record=AccountRecord(state=state, entry=entry),
        )  # fmt: skip
        await self._take_in(self.intake.account_changed, ACCOUNT_CHANGED, (data, str(person)))

    async def read_whole(self, site: "Site") -> set[tuple[str, str, str, int]]:
        """Have a target read whole; returns what was found, once everything is in line again."""
        run = DriftRun(site.target, site.directory, {self.organisation: site.layout}, self.database)
        async with self.database.transaction() as conn:
            await leases.register(conn, {site.target: [self.organisation]}, 24)
            await leases.ask(conn, site.target, self.organisation, Why.DRIFT, "test")
        assert await Readings(self.database, {(Why.DRIFT, site.target): run}, 24, lambda: None).once()
        async with self.database.transaction() as conn:
            found = await drift.findings(conn, self.organisation, site.target, limit=100)
        await self.converged()
        return {(one["unit"], one["kind"], one["code"].partition(".")[2], one["count"]) for one in found}

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

    async def hindrances(self) -> dict[str, str]:
        """Return the reason for each unit that does not stand in a target as it shall."""
        rows = await self.rows("SELECT unit, problem::jsonb ->> 'code' FROM projection WHERE problem IS NOT NULL")
        return dict(rows)

    async def place(self, person: UUID) -> dict[str, Any] | None:
        """Return where somebody is."""
        rows = await self.rows("SELECT place FROM placement WHERE person = %s", person)
        found: dict[str, Any] | None = rows[0][0] if rows else None
        return found

    async def on(self, day: date) -> None:
        """Set business time to noon of a day and let everything converge."""
        await self.at(datetime(day.year, day.month, day.day, 11, tzinfo=UTC))


@dataclass(frozen=True)
class Site:
    """A target where units stand, for a test: what is behind the gate, its rules, how units stand there."""

    target: str
    directory: UnitDirectory
    layout: Layout
    rules: Rules = field(default_factory=Rules)
    lease_seconds: float = 30


@asynccontextmanager
async def hall(admin_url: str, *sites: Site) -> AsyncIterator[Hall]:
    """Run orgtree for `alvsund`, with business time at TODAY noon."""
    await asyncio.to_thread(migrated, admin_url)
    database = Database(database_url(admin_url, "orgtree"), name="orgtree")
    await database.open()
    try:
        organisations = dict(load_organisations(ROOT / "deploy/local/organisations.toml"))
        here = Hall(database=database, organisations=organisations, targets=[site.target for site in sites])
        tree = TreePerformer(organisations, History(), {here.organisation: here.targets})
        async with AsyncExitStack() as stack:
            _ = await stack.enter_async_context(background(_executor(TARGET, tree, database).run()))
            for site in sites:
                gate, layouts = Gate(site.directory, site.rules), {here.organisation: site.layout}
                performer = TargetPerformer(site.target, gate, organisations, layouts)
                executor = _executor(site.target, performer, database, site.lease_seconds)
                _ = await stack.enter_async_context(background(executor.run()))
            await here.on(TODAY)
            yield here
    finally:
        await database.close()


def _executor(target: str, performer: Performer[Any], database: Database, lease_seconds: float = 30) -> Executor:
    return Executor(
        target, performer, database, generation=1, lease_seconds=lease_seconds,
        slots=32, reserved_express=4, on_commit=lambda: None, crash=lambda _point: None,
    )  # fmt: skip
