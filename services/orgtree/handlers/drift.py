"""A run over a whole target: what stands for units is compared with what shall be.

What is ours is put right: whoever finds a difference has the unit looked at, and the ordinary pass writes it. Members
that others put into a group of ours are told, and stay. Units whose work is under way are not compared.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from services.kernel import telemetry
from services.kernel.database import Database
from services.kernel.readings import leases
from services.kernel.readings.leases import Reading
from services.kernel.work import Wake, WorkKey, raise_wanted
from services.orgtree.domain.projection import Kind, Layout
from services.orgtree.handlers.projecting import GROUPS
from services.orgtree.handlers.tree import UNIT
from services.orgtree.ports import Observed, UnitDirectory
from services.orgtree.store import drift
from services.orgtree.store.drift import Finding, Shall

log = telemetry.get_logger(__name__)

MISSING, STRANGE, DOUBLE = "drift.unit_missing", "drift.unit_strange", "drift.unit_double"
ELSEWHERE, RENAMED, NESTING = "drift.unit_elsewhere", "drift.unit_renamed", "drift.unit_nesting"
MEMBER_ADDED, MEMBER_MISSING = "drift.member_added", "drift.member_missing"
TOLD = frozenset({MEMBER_ADDED, STRANGE, DOUBLE})
"""What is told and left: somebody has to decide."""


@dataclass
class Seen:
    """What a run has read: objects by unit and kind, and those of which there are two."""

    objects: dict[str, dict[Kind, Observed]] = field(default_factory=dict)
    doubled: list[Finding] = field(default_factory=list)
    read: int = 0


class DriftRun:
    """Compares one target; memory is bounded by its units and the largest of their groups."""

    def __init__(
        self, target: str, directory: UnitDirectory, layouts: Mapping[str, Layout], database: Database
    ) -> None:
        self._target = target
        self._directory = directory
        self._layouts = layouts
        self._database = database

    async def run(self, reading: Reading) -> None:
        """Read and compare everything.

        Raises:
            ReadingLost: Somebody else reads by now.
            Failure: The target is away; nothing that was found before is closed.
        """
        seen = await self._read(reading)
        async with self._database.transaction() as conn:
            wanted = await drift.shall(conn, reading.organisation, self._target)
        found = [*seen.doubled, *self._strange(seen, wanted)]
        below: dict[str, list[str]] = {}
        for unit, shall in wanted.items():
            below.setdefault(shall.parent or "", []).append(unit)
        for unit, shall in sorted(wanted.items()):
            found += self._objects(self._layouts[reading.organisation], unit, shall, seen)
            for kind, there in seen.objects.get(unit, {}).items():
                if kind in GROUPS:
                    found += await self._members(reading, there)
                elif kind is Kind.ROLLUP and shall.name is not None:
                    found += await self._nested(there, below.get(unit, ()), seen)
            async with self._database.transaction() as conn:
                await leases.keep(conn, reading, seen.read)
        await self._keep(reading, found)
        log.info(
            "drift.compared", target=self._target, organisation=reading.organisation, read=seen.read, found=len(found)
        )

    async def _read(self, reading: Reading) -> Seen:
        seen = Seen()
        async for page in self._directory.pages(reading.organisation):
            for one in page:
                here = seen.objects.setdefault(one.key.unit, {})
                if here.setdefault(one.key.kind, one) is not one:
                    seen.doubled.append(Finding(one.key.unit, one.key.kind, DOUBLE))
            seen.read += len(page)
            async with self._database.transaction() as conn:
                await leases.keep(conn, reading, seen.read)
        return seen

    def _strange(self, seen: Seen, wanted: Mapping[str, Shall]) -> Iterator[Finding]:
        """Yield what has the mark of a unit that nobody knows."""
        for unit, objects in seen.objects.items():
            if unit not in wanted:
                yield from (Finding(unit, kind, STRANGE) for kind in sorted(objects))

    def _objects(self, layout: Layout, unit: str, shall: Shall, seen: Seen) -> Iterator[Finding]:
        here = seen.objects.get(unit, {})
        if shall.name is None:
            return
        nested = layout.nested and shall.parent is not None
        above = seen.objects.get(shall.parent or "", {}).get(Kind.ENTRY) if nested else None
        for kind, wanted in layout.wanted(unit, shall.name).items():
            there = here.get(kind)
            if there is None:
                yield Finding(unit, kind, MISSING)
                continue
            over = above if kind is Kind.ENTRY else None
            if not self._directory.stands(there, wanted.name, over):
                yield Finding(unit, kind, ELSEWHERE)
            if there.title != self._directory.fit(wanted.title):
                yield Finding(unit, kind, RENAMED)

    async def _nested(self, rollup: Observed, below: Iterable[str], seen: Seen) -> list[Finding]:
        unit = rollup.key.unit
        groups = [seen.objects.get(unit, {}).get(Kind.UNIT)]
        groups += [seen.objects.get(other, {}).get(Kind.ROLLUP) for other in below]
        shall = {one.reference for one in groups if one is not None}
        return [] if await self._directory.nested(rollup) == shall else [Finding(unit, Kind.ROLLUP, NESTING)]

    async def _members(self, reading: Reading, group: Observed) -> list[Finding]:
        """Compare a group's members; whoever was taken out by hand is to be put in again."""
        unit, kind = group.key.unit, group.key.kind
        async with self._database.transaction() as conn:
            before = await drift.held(conn, reading.organisation, self._target, unit, kind)
        names = await self._directory.references(reading.organisation, before)
        members = {one async for page in self._directory.all_members(group) for one in page}
        async with self._database.transaction() as conn:
            if await drift.busy(conn, reading.organisation, self._target, [unit]):
                return []
            now = await drift.held(conn, reading.organisation, self._target, unit, kind)
            gone = {entry for entry, name in names.items() if name not in members} & now.keys()
            if gone:
                await drift.lost(conn, reading.organisation, self._target, unit, kind, gone)
        later = await self._directory.references(reading.organisation, now.keys() - before.keys())
        added = members - set(names.values()) - set(later.values())
        found = [(MEMBER_MISSING, len(gone)), (MEMBER_ADDED, len(added))]
        return [Finding(unit, kind, code, count) for code, count in found if count]

    async def _keep(self, reading: Reading, found: list[Finding]) -> None:
        async with self._database.transaction() as conn:
            await leases.keep(conn, reading, 0)
            moving = await drift.busy(conn, reading.organisation, self._target, {one.unit for one in found})
            found = [one for one in found if one.unit not in moving]
            await drift.keep(conn, reading, found)
            await drift.conclude(conn, reading)
            units = sorted({one.unit for one in found if one.code not in TOLD})
            await raise_wanted(conn, [Wake(WorkKey(reading.organisation, UNIT, unit, self._target)) for unit in units])
