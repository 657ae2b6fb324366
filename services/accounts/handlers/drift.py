"""A run over a whole target: every account is compared with what shall be, and what differs is kept as findings.

Safe to repeat and to be killed: a run that is taken over starts over, and a finding is one row however often it is
found. Nobody whose work is under way is compared: what differs there is not drift but work.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from services.accounts.domain import drift as domain
from services.accounts.domain.desired import Desired, never_made, retain
from services.accounts.domain.drift import Finding, Last, Marked, Next
from services.accounts.domain.other_hand import Decided, Verdict
from services.accounts.handlers.intake import PERSON
from services.accounts.handlers.situation import Reader, Situation
from services.accounts.ports import AccountDirectory, Listed
from services.accounts.store import drift, hands, readings
from services.accounts.store.accounts import AccountRow
from services.accounts.store.readings import Reading
from services.kernel import telemetry
from services.kernel.clock import business_now
from services.kernel.database import Connection, Database
from services.kernel.work import Wake, WorkKey, raise_wanted

log = telemetry.get_logger(__name__)

PAGE = 500
US = "urn:stafett:accounts"


@dataclass
class Seen:
    """What a run has seen so far: whose accounts, and how many objects were read or passed over."""

    accounts: dict[UUID, str] = field(default_factory=dict)
    read: int = 0
    skipped: int = 0


@dataclass
class Page:
    """What a page of a target came to."""

    findings: list[Finding] = field(default_factory=list)
    skipped: list[UUID] = field(default_factory=list)
    places: list[tuple[UUID, str, str]] = field(default_factory=list)


class DriftRun:
    """Compares one target. Memory is bounded by a page, and by an id for each account."""

    def __init__(self, target: str, directory: AccountDirectory, reader: Reader, database: Database) -> None:
        self._target = target
        self._directory = directory
        self._reader = reader
        self._database = database

    async def run(self, reading: Reading) -> None:
        """Read and compare everything.

        Raises:
            ReadingLost: Somebody else reads by now.
            Failure: The target is away; nothing that was found before is closed.
        """
        seen = Seen()
        async with self._database.transaction() as conn:
            began = since = await business_now(conn)
        async for listed in self._directory.pages(reading.organisation):
            since = await self._page(reading, listed, seen, since)
        after = UUID(int=0)
        while persons := await self._standing(reading, after):
            after = persons[-1]
            await self._absent(reading, [one for one in persons if one not in seen.accounts], seen, began)
        async with self._database.transaction() as conn:
            await readings.keep(conn, reading, seen.read)
            counts = await drift.conclude(conn, reading, seen.read, seen.skipped)
        log.info("drift.compared", target=self._target, organisation=reading.organisation, read=seen.read, **counts)

    async def _page(self, reading: Reading, listed: Sequence[Listed], seen: Seen, since: datetime) -> datetime:
        ours = [one.person for one in listed if one.organisation == reading.organisation and one.person is not None]
        async with self._database.transaction() as conn:
            now = await business_now(conn)
            # before the rows: a pass that ends in between is told by its row's time
            busy = await drift.busy(conn, reading.organisation, self._target, ours)
            known = await self._reader.glance(conn, [(reading.organisation, person) for person in ours], now)
        situations = {key[1]: situation for key, situation in known.items()}
        page = await asyncio.to_thread(self._compare, reading, listed, situations, busy, seen, now, since)
        seen.read += len(listed)
        await self._keep(reading, page, seen)
        return now

    def _compare(
        self,
        reading: Reading,
        listed: Sequence[Listed],
        situations: Mapping[UUID, Situation],
        busy: frozenset[UUID],
        seen: Seen,
        now: datetime,
        since: datetime,
    ) -> Page:
        page = Page()
        for one in listed:
            marked = Marked(one.observed, one.organisation, one.person)
            strange = domain.foreign(marked, reading.organisation)
            if strange is not None or one.person is None:
                page.findings += [strange] if strange is not None else []
                continue
            person, observed, situation = one.person, one.observed, situations[one.person]
            first = seen.accounts.setdefault(person, observed.entry)
            if first != observed.entry:
                page.findings.append(domain.duplicate(person, observed, first))
                continue
            if situation.event is None and situation.failure is None:
                page.findings.append(domain.unknown(person, observed))
                continue
            if person in busy or _moving(situation, since) or not _comparable(situation):
                page.skipped.append(person)
                continue
            row = situation.row
            wanted = situation.desired(now, situation.names)
            wanted = replace(wanted, attributes=self._directory.fit(wanted.attributes))
            closed_at = row.closed_at if row else None
            wanted = retain(wanted, open_now=observed.enabled is not False, closed_at=closed_at, now=now)
            page.findings += domain.compare(person, observed, wanted, _last(row), situation.hands)
            if row is not None and row.place is None and row.entry == observed.entry and observed.parent:
                page.places.append((person, observed.entry, observed.parent))
        return page

    async def _standing(self, reading: Reading, after: UUID) -> list[UUID]:
        async with self._database.transaction() as conn:
            return await drift.standing(conn, reading.organisation, self._target, after, PAGE)

    async def _absent(self, reading: Reading, persons: Sequence[UUID], seen: Seen, began: datetime) -> None:
        """Find accounts that were verified and that nobody has seen."""
        if not persons:
            return
        page = Page()
        async with self._database.transaction() as conn:
            now = await business_now(conn)
            busy = await drift.busy(conn, reading.organisation, self._target, persons)
            known = await self._reader.glance(conn, [(reading.organisation, person) for person in persons], now)
        for (_, person), situation in known.items():
            row = situation.row
            if person in busy or _moving(situation, began) or not _comparable(situation) or row is None:
                page.skipped.append(person)
                continue
            found = domain.missing(person, Last(row.state, row.entry, row.place), self._foreseen(situation, now))
            page.findings += [found] if found is not None else []
        await self._keep(reading, page, seen)

    @staticmethod
    def _foreseen(situation: Situation, now: datetime) -> Desired:
        return never_made(situation.desired(now, situation.names))

    async def _keep(self, reading: Reading, page: Page, seen: Seen) -> None:
        seen.skipped += len(page.skipped)
        kept = [one for one in page.findings if one.next is not Next.ACCEPT]
        async with self._database.transaction() as conn:
            await readings.keep(conn, reading, seen.read)
            await drift.store(conn, reading, kept)
            if page.skipped:
                await drift.pass_over(conn, reading, page.skipped)
            await drift.learn_places(conn, reading.organisation, self._target, page.places)
            await self._act(conn, reading, page.findings)

    async def _act(self, conn: Connection, reading: Reading, findings: Sequence[Finding]) -> None:
        """Accept what the target's rules accept; have what they reclaim, or what stands open, looked at."""
        accepted = {
            (one.person, one.attribute): Decided(Verdict.ACCEPT, one.digest)
            for one in findings
            if one.person is not None and one.next is Next.ACCEPT
        }
        if accepted:
            await hands.decide(conn, reading.organisation, self._target, accepted, actor=US, reason="rule")
        wakes = [
            Wake(self._key(reading, one.person), removal=one.next is Next.CLOSE)
            for one in findings
            if one.person is not None and one.next in {Next.LOOK, Next.CLOSE}
        ]
        await raise_wanted(conn, wakes)

    def _key(self, reading: Reading, person: UUID) -> WorkKey:
        return WorkKey(reading.organisation, PERSON, str(person), self._target)


def _moving(situation: Situation, since: datetime) -> bool:
    """Tell whether a pass has written since the page was asked for: it may show what was before."""
    return situation.row is not None and situation.row.verified_at >= since


def _comparable(situation: Situation) -> bool:
    """Tell whether it is known what shall be, and whether it is ours to bring about."""
    return situation.failure is None and situation.live and situation.event is not None


def _last(row: AccountRow | None) -> Last | None:
    if row is None:
        return None
    return Last(row.state, row.entry, row.place, row.hold is not None, frozenset(row.echoes))
