"""Every record of every unit that we were told, and in memory what they come to on any day, as known on any day."""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts.person import UnitRecord, UnitRecorded
from services.kernel.clock import UTC
from services.kernel.database import Connection
from services.orgtree.domain.periods import Line

KEPT = 16
"""So many states of organisations, as they were known at an instant, are kept."""


@dataclass(frozen=True)
class Told:
    """A unit's record and when the ledger recorded it."""

    data: UnitRecorded
    at: datetime


async def lock(conn: Connection, *, exclusive: bool) -> None:
    """Order "unit recorded" and "person recorded", until the transaction ends.

    Without it, a unit that names a leader and that leader's record could miss each other, and nobody be woken; and
    versions would show in another order than they are numbered.
    """
    function = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    await conn.execute(f"SELECT {function}(hashtext('orgtree.tree'))".encode())


async def append(conn: Connection, told: Sequence[Told]) -> None:
    """Keep records; one that is known already changes nothing. The caller holds the lock."""
    await conn.execute(
        "INSERT INTO unit_version (organisation, unit, generation, revision, told_at, record)"
        " SELECT * FROM unnest(%b::text[], %b::text[], %b::int[], %b::bigint[], %b::timestamptz[], %b::jsonb[])"
        " ON CONFLICT DO NOTHING",
        (
            [one.data.organisation for one in told],
            [one.data.unit for one in told],
            [one.data.generation for one in told],
            [one.data.revision for one in told],
            [one.at for one in told],
            [one.data.record.model_dump_json(by_alias=True) for one in told],
        ),
    )


async def name_leaders(conn: Connection, units: Mapping[tuple[str, str], frozenset[UUID]]) -> None:
    """Make these (organisation, unit) to people all who are named to lead the units; by primary key."""
    rows = [(*key, person) for key, people in sorted(units.items()) for person in sorted(people)]
    keys = sorted(units)
    await conn.execute(
        "DELETE FROM named_leader l USING unnest(%b::text[], %b::text[]) AS k (organisation, unit)"
        " WHERE (l.organisation, l.unit) = (k.organisation, k.unit)",
        ([key[0] for key in keys], [key[1] for key in keys]),
    )
    await conn.execute(
        "INSERT INTO named_leader (organisation, unit, person)"
        " SELECT * FROM unnest(%b::text[], %b::text[], %b::uuid[]) ON CONFLICT DO NOTHING",
        ([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]),
    )


async def leading(conn: Connection, people: Sequence[tuple[str, UUID]]) -> set[str]:
    """Return the organisations of those of the people who are named to lead something; by named_leader_person."""
    cursor = await conn.execute(
        "SELECT DISTINCT l.organisation FROM named_leader l"
        " JOIN unnest(%b::text[], %b::uuid[]) AS k (organisation, person) USING (organisation, person)",
        ([one[0] for one in people], [one[1] for one in people]),
    )
    return {row[0] for row in await cursor.fetchall()}


@dataclass
class _Unit:
    """A unit's versions in their order, and when each was told."""

    versions: list[tuple[int, int]] = field(default_factory=list)
    told: list[datetime] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def add(self, version: tuple[int, int], told: datetime, line: Line) -> None:
        """Put a version in its place; told out of order, it counts from when a newer one had not been told yet."""
        index = bisect_right(self.versions, version)
        self.versions.insert(index, version)
        self.told.insert(index, told)
        self.lines.insert(index, line)

    def known(self, at: datetime | None) -> Line | None:
        """Return the newest version that was told by an instant."""
        for told, line in zip(reversed(self.told), reversed(self.lines), strict=True):
            if at is None or told <= at:
                return line
        return None


class History:
    """All versions of an installation's units, read once and kept; each look first reads what is new."""

    def __init__(self) -> None:
        self._units: dict[str, dict[str, _Unit]] = {}
        self._seen = 0
        self._told: dict[str, list[datetime]] = {}
        self._kept: dict[tuple[str, int], Mapping[str, Line]] = {}

    async def lines(
        self, conn: Connection, organisation: str, known: datetime | None = None
    ) -> tuple[Mapping[str, Line], tuple[int, int]]:
        """Return an organisation's units over time, as they are known, or were known at an instant.

        Returns:
            By id; and what is another one when anything else was known. What was returned for it is returned again,
            so it costs nothing.
        """
        await self._refresh(conn)
        told = self._told.get(organisation, [])
        index = len(told) if known is None else bisect_right(told, known)
        key = (organisation, index)
        kept = self._kept.get(key)
        if kept is None:
            at = None if index == len(told) else (told[index - 1] if index else datetime.min.replace(tzinfo=UTC))
            found = {unit: one.known(at) for unit, one in self._units.get(organisation, {}).items()}
            kept = {unit: line for unit, line in found.items() if line is not None}
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[key] = kept
        return kept, (self._seen, index)

    async def _refresh(self, conn: Connection) -> None:
        """Read what was told since; rows show in the order of their numbers (`lock`)."""
        cursor = await conn.execute(
            "SELECT seq, organisation, unit, generation, revision, told_at, record::text FROM unit_version"
            " WHERE seq > %s ORDER BY seq",
            (self._seen,),
        )
        for seq, organisation, unit, generation, revision, told, record in await cursor.fetchall():
            here = self._units.setdefault(organisation, {}).setdefault(unit, _Unit())
            version = (generation, revision)
            if version not in here.versions:
                here.add(version, told, Line.of(unit, revision, UnitRecord.model_validate_json(record, extra="ignore")))
            instants = self._told.setdefault(organisation, [])
            if told not in instants[-1:]:
                insort(instants, told)
            self._seen = seq
            self._kept.clear()
