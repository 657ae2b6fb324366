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
from services.accounts.domain.concealment import Telling
from services.accounts.domain.desired import Desired, never_made, retain
from services.accounts.domain.drift import Finding, Last, Marked, Next
from services.accounts.domain.expiry import lapsed
from services.accounts.domain.grants import Grant
from services.accounts.domain.managers import MANAGER
from services.accounts.domain.other_hand import Decided, Verdict
from services.accounts.domain.plan import Observed
from services.accounts.handlers.holding import Holding
from services.accounts.handlers.intake import PERSON
from services.accounts.handlers.situation import Reader, Situation
from services.accounts.ports import AccountDirectory, Listed
from services.accounts.store import concealment, drift, hands
from services.accounts.store.accounts import AccountRow
from services.kernel import telemetry
from services.kernel.clock import business_now, database_now
from services.kernel.database import Connection, Database
from services.kernel.readings import leases
from services.kernel.readings.leases import Reading
from services.kernel.work import Wake, WorkKey, raise_wanted

log = telemetry.get_logger(__name__)

PAGE = 500
LOOKS = 50
"""How many accounts that were not seen are looked for by their ids before the lease is renewed."""
AT_ONCE = 8
US = "urn:stafett:accounts"


@dataclass
class Seen:
    """What a run has seen so far: whose accounts, and how many objects were read or passed over.

    `others`: what bears the mark of somebody whom we know by another account. `telling`: what protected people are
    known by; of a nobody's account that has it no value is kept.
    """

    accounts: dict[UUID, str] = field(default_factory=dict)
    others: dict[UUID, list[str]] = field(default_factory=dict)
    holding: Holding = field(default_factory=Holding)
    read: int = 0
    skipped: int = 0
    telling: Telling = field(default_factory=Telling)


@dataclass(frozen=True)
class Account:
    """A person's account, as it was read.

    `marked`: it says so itself, else we know it by its id. `sure`: there is no other one that we know.
    """

    person: UUID
    observed: Observed
    marked: bool = True
    sure: bool = False


@dataclass
class Page:
    """What a page of a target came to."""

    findings: list[Finding] = field(default_factory=list)
    skipped: list[UUID] = field(default_factory=list)
    places: list[tuple[UUID, str, str]] = field(default_factory=list)
    strayed: list[UUID] = field(default_factory=list)
    """Whose account others refer to otherwise than is known: the ordinary pass learns it, and tells whom they lead."""


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
            seen.telling = await concealment.telling(conn, reading.organisation)
        async for listed in self._directory.pages(reading.organisation):
            since = await self._page(reading, listed, seen, since)
        after = UUID(int=0)
        while persons := await self._standing(reading, after):
            after = persons[-1]
            unseen = [one for one in persons if one not in seen.accounts]
            for at in range(0, len(unseen), LOOKS):
                await self._absent(reading, unseen[at : at + LOOKS], seen, began)
        await self._doubled(reading, seen)
        for grant in seen.holding.asked:
            await self._grant(reading, grant, seen, began)
        async with self._database.transaction() as conn:
            await leases.keep(conn, reading, seen.read)
            counts = await drift.conclude(conn, reading, seen.read, seen.skipped)
        log.info("drift.compared", target=self._target, organisation=reading.organisation, read=seen.read, **counts)

    async def _page(self, reading: Reading, listed: Sequence[Listed], seen: Seen, since: datetime) -> datetime:
        bare = [one.observed.entry for one in listed if _bare(one, reading)]
        async with self._database.transaction() as conn:
            now, theirs = await business_now(conn), await database_now(conn)
            owners = await drift.owners(conn, reading.organisation, self._target, bare)
            ours = [one for one in (_ours(each, reading, owners) for each in listed) if one is not None]
            persons = [one.person for one in ours]
            # before the rows: a pass that ends in between is told by its row's time
            busy = await drift.busy(conn, reading.organisation, self._target, persons)
            keys = [(reading.organisation, person) for person in persons]
            known = await self._reader.glance(conn, keys, now, entitling=True)
        situations = {key[1]: situation for key, situation in known.items()}
        page = await asyncio.to_thread(self._compare, ours, situations, busy, seen, now, since, theirs)
        page.findings += _strange(listed, reading, owners, seen.telling)
        seen.read += len(listed)
        await self._keep(reading, page, seen)
        return now

    def _compare(
        self,
        ours: Sequence[Account],
        situations: Mapping[UUID, Situation],
        busy: frozenset[UUID],
        seen: Seen,
        now: datetime,
        since: datetime,
        theirs: datetime,
    ) -> Page:
        page = Page()
        for one in ours:
            person, observed, situation = one.person, one.observed, situations[one.person]
            if not one.sure and _known(situation) not in {None, observed.entry}:
                seen.others.setdefault(person, []).append(observed.entry)
                continue
            first = seen.accounts.setdefault(person, observed.entry)
            if first != observed.entry:
                page.findings.append(domain.duplicate(person, observed.entry, first))
                continue
            if situation.event is None and situation.failure is None:
                page.findings.append(domain.unknown(person, observed))
                continue
            if person in busy or _moving(situation, since) or not _comparable(situation):
                page.skipped.append(person)
                continue
            seen.holding.add(person, observed, situation)
            row = situation.row
            observed = lapsed(observed, situation.hands.written, theirs)
            wanted = situation.desired(now, situation.names)
            wanted = replace(wanted, attributes=self._directory.fit(wanted.attributes))
            closed_at = row.closed_at if row else None
            wanted = retain(wanted, open_now=observed.enabled is not False, closed_at=closed_at, now=now)
            found = domain.compare(person, observed, wanted, _last(row), situation.hands, marked=one.marked)
            page.findings += [_without_name(one) if situation.superior.hidden else one for one in found]
            if row is not None and row.entry == observed.entry and row.reference != observed.reference:
                page.strayed.append(person)
            if row is not None and row.place is None and row.entry == observed.entry and observed.parent:
                page.places.append((person, observed.entry, observed.parent))
        return page

    async def _grant(self, reading: Reading, grant: Grant, seen: Seen, began: datetime) -> None:
        """Find who was given a grant by hand; whoever lost ours is looked at, and the pass says what it meets.

        Of whom a pass has written since the run began nothing is said: it may have given or taken in between.
        """
        holders = [one async for page in self._directory.holders(reading.organisation, grant) for one in page]
        findings, robbed = await asyncio.to_thread(seen.holding.compare, grant, holders)
        for at in range(0, len(findings), PAGE):
            part = findings[at : at + PAGE]
            persons = [one.person for one in part if one.person is not None]
            async with self._database.transaction() as conn:
                moving = await drift.busy(conn, reading.organisation, self._target, persons)
                moving |= await drift.verified_since(conn, reading.organisation, self._target, persons, began)
            page = Page([one for one in part if one.person not in moving])
            await self._keep(reading, page, seen)
            if moving:
                async with self._database.transaction() as conn:
                    await drift.pass_over(conn, reading, sorted(moving))
        async with self._database.transaction() as conn:
            await leases.keep(conn, reading, seen.read)
            await raise_wanted(conn, [Wake(self._key(reading, person)) for person in robbed])

    async def _standing(self, reading: Reading, after: UUID) -> list[UUID]:
        async with self._database.transaction() as conn:
            return await drift.standing(conn, reading.organisation, self._target, after, PAGE)

    async def _absent(self, reading: Reading, persons: Sequence[UUID], seen: Seen, began: datetime) -> None:
        """Find accounts that were verified and that nobody has seen: what was moved elsewhere is no less there."""
        async with self._database.transaction() as conn:
            now, theirs = await business_now(conn), await database_now(conn)
            busy = await drift.busy(conn, reading.organisation, self._target, persons)
            keys = [(reading.organisation, person) for person in persons]
            known = await self._reader.glance(conn, keys, now, entitling=True)
        situations = {key[1]: situation for key, situation in known.items()}
        there = await self._elsewhere(reading, situations, seen)
        page = await asyncio.to_thread(self._compare, list(there.values()), situations, busy, seen, now, began, theirs)
        for person, situation in situations.items():
            row = situation.row
            if person in there:
                continue
            if person in busy or _moving(situation, began) or not _comparable(situation) or row is None:
                page.skipped.append(person)
                continue
            found = domain.missing(person, Last(row.state, row.entry, row.place), self._foreseen(situation, now))
            page.findings += [found] if found is not None else []
        await self._keep(reading, page, seen)

    async def _doubled(self, reading: Reading, seen: Seen) -> None:
        """Tell of second accounts, now that it is known which one is the person's."""
        twice = [(person, entry) for person, entries in seen.others.items() for entry in entries]
        for at in range(0, len(twice), PAGE):
            known = ((person, entry, seen.accounts.get(person, entry)) for person, entry in twice[at : at + PAGE])
            found = [domain.duplicate(person, entry, other) for person, entry, other in known if entry != other]
            await self._keep(reading, Page(found), seen)

    async def _elsewhere(
        self, reading: Reading, situations: Mapping[UUID, Situation], seen: Seen
    ) -> dict[UUID, Account]:
        """Return those accounts that stand outside the place that was read, or under another id by now."""
        free = asyncio.Semaphore(AT_ONCE)

        async def look(person: UUID, situation: Situation) -> Account | None:
            known = _known(situation)
            for entry in (*([known] if known else []), *seen.others.get(person, ())):
                async with free:
                    found = await self._directory.read(reading.organisation, entry)
                one = _ours(found, reading, {entry: person}) if found is not None else None
                if one is not None and one.person == person:
                    return replace(one, sure=True)
            return None

        found = await asyncio.gather(*(look(person, situation) for person, situation in situations.items()))
        return {one.person: one for one in found if one is not None}

    @staticmethod
    def _foreseen(situation: Situation, now: datetime) -> Desired:
        return never_made(situation.desired(now, situation.names))

    async def _keep(self, reading: Reading, page: Page, seen: Seen) -> None:
        seen.skipped += len(page.skipped)
        kept = [one for one in page.findings if one.next is not Next.ACCEPT]
        async with self._database.transaction() as conn:
            await leases.keep(conn, reading, seen.read)
            valued = sorted({one.person for one in kept if one.person is not None and one.detail})
            hidden = await concealment.hidden(conn, reading.organisation, valued)
            await drift.store(conn, reading, [domain.bare(one) if one.person in hidden else one for one in kept])
            if page.skipped:
                await drift.pass_over(conn, reading, page.skipped)
            await drift.learn_places(conn, reading.organisation, self._target, page.places)
            await self._act(conn, reading, page.findings)
            await raise_wanted(conn, [Wake(self._key(reading, one)) for one in page.strayed])

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


def _without_name(finding: Finding) -> Finding:
    """Return a finding that does not tell what somebody protected is called."""
    return replace(finding, detail={}) if finding.attribute == MANAGER else finding


def _bare(listed: Listed, reading: Reading) -> bool:
    """Tell whether an object does not say whose it is."""
    return listed.person is None and listed.organisation in {None, reading.organisation}


def _ours(listed: Listed, reading: Reading, owners: Mapping[str, UUID]) -> Account | None:
    """Return a person's account, by what it says or, where it says nothing, by what we know."""
    if _bare(listed, reading):
        person = owners.get(listed.observed.entry)
        return None if person is None else Account(person, listed.observed, marked=False)
    if listed.organisation != reading.organisation or listed.person is None:
        return None
    return Account(listed.person, listed.observed)


def _strange(listed: Sequence[Listed], reading: Reading, owners: Mapping[str, UUID], telling: Telling) -> list[Finding]:
    """Return what is the matter with objects that are nobody's, or not ours."""
    found = (
        domain.foreign(
            Marked(one.observed, one.organisation, one.person), reading.organisation, hidden=telling.has(one.observed)
        )
        for one in listed
        if _ours(one, reading, owners) is None
    )
    return [one for one in found if one is not None]


def _known(situation: Situation) -> str | None:
    return situation.row.entry if situation.row is not None else None


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
