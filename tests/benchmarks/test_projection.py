"""A merge of 21 roots into one, carried out in slapd: how long it takes, and that only what changed is written."""

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from typing_extensions import override

from contracts.codes import AccountState
from contracts.facts import AccountChanged, AccountRecord
from contracts.person import UnitChange, UnitRecord, UnitRecorded
from contracts.registry import ACCOUNT_CHANGED, PERSON_JOINER, UNIT_RECORDED
from services.kernel.directory import Directory, equals
from services.orgtree.adapters.openldap import OpenLdapUnits
from services.orgtree.domain.projection import Kind, Layout
from services.orgtree.ports import Observed, Reference
from tests.benchmarks import figures
from tests.benchmarks.test_organisation import TOLD, person, told
from tests.integration.accounts.harness import access
from tests.integration.orgtree.harness import Hall, Site, hall
from tests.support.office import TODAY
from tests.support.servers import SlapdUnderTest
from tests.support.units import Subject, emptied

UNITS, ROOTS, PEOPLE = 500, 21, 5_000
DAY = TODAY + timedelta(days=30)


class Counted(Directory):
    """A directory that counts what is written."""

    written: Counter[str]

    @override
    async def add(self, *values: Any, **options: Any) -> None:
        self.written["add"] += 1
        await super().add(*values, **options)

    @override
    async def modify(self, *values: Any, **options: Any) -> None:
        self.written["modify"] += 1
        await super().modify(*values, **options)

    @override
    async def rename(self, *values: Any, **options: Any) -> None:
        self.written["rename"] += 1
        await super().rename(*values, **options)

    @override
    async def delete(self, *values: Any, **options: Any) -> None:
        self.written["delete"] += 1
        await super().delete(*values, **options)


class CountedUnits(OpenLdapUnits):
    """Units in a directory, with the memberships that are written counted."""

    members: Counter[str]

    @override
    async def join(self, group: Observed, references: Collection[Reference], *, deadline: float | None = None) -> None:
        self.members["joined"] += len(references)
        await super().join(group, references, deadline=deadline)

    @override
    async def leave(self, group: Observed, references: Collection[Reference], *, deadline: float | None = None) -> None:
        self.members["left"] += len(references)
        await super().leave(group, references, deadline=deadline)


def parent(number: int) -> str | None:
    return None if number < ROOTS else str((number * 7_919) % max(ROOTS, number // 6))


def unit(number: int, revision: int, **values: Any) -> UnitRecorded:
    held = UnitRecord(**{"name": f"Enhet {number}", "parent": parent(number), "valid_from": date(2020, 1, 1), **values})
    return UnitRecorded(organisation="alvsund", unit=str(number), revision=revision, tree_revision=1, record=held)


@pytest.mark.timeout(900)
async def test_a_merge_of_21_roots_in_slapd(fresh_database: str, slapd: SlapdUnderTest) -> None:
    directory, base = Counted(access(slapd)), slapd.suffixes[0]
    directory.written = Counter()
    units = CountedUnits(directory, {"alvsund": base})
    units.members = Counter()
    subject = Subject(units, directory, base, "entryUUID", "entryCSN", "stafettMark")
    await emptied(subject)
    layout = Layout("alvsund", frozenset(Kind), nested=True)
    async with hall(fresh_database, Site("directory", units, layout)) as here:
        settings = here.organisations["alvsund"]
        here.organisations["alvsund"] = replace(settings, guard_limit=100)
        with figures.chapter(f"Units in slapd, nested: {UNITS} below {ROOTS} roots, {PEOPLE:,} people"):
            await first(here, units, subject)
            await merged(here, units, directory)
    await emptied(subject)
    await directory.close()


async def first(here: Hall, units: CountedUnits, subject: Subject) -> None:
    """Let everything stand for the first time."""
    people = [uuid4() for _ in range(PEOPLE)]
    entries = await accounts(subject, people)
    began = time.perf_counter()
    await told(here, here.intake.unit_recorded, UNIT_RECORDED, [unit(number, 1) for number in range(UNITS)])
    core = [person(number, who) for number, who in enumerate(people)]
    for one in core:
        (job,) = one.record.employments
        (span,) = job.assignments
        object.__setattr__(span, "unit", str(int(span.unit) % UNITS))
    await told(here, here.intake.person_changed, PERSON_JOINER, core)
    await told(here, here.intake.account_changed, ACCOUNT_CHANGED, [changed(who, entries[who]) for who in people])
    await here.converged(600)
    seconds = time.perf_counter() - began
    assert units.members == {"joined": PEOPLE}
    figures.measured("everything for the first time", f"{seconds:.0f} s, {PEOPLE / seconds:.0f} people/s", "none")


async def merged(here: Hall, units: CountedUnits, directory: Counted) -> None:
    """Close 20 roots into the first one, with all below them."""
    last = DAY - timedelta(days=1)
    closing = [unit(number, 2, valid_to=last, successors=("0",)) for number in range(1, ROOTS)]
    moving = [
        unit(number, 2, changes=(UnitChange(effective_from=DAY, parent="0"),))
        for number in range(ROOTS, UNITS)
        if int(parent(number) or 0) in range(1, ROOTS)
    ]
    await told(here, here.intake.unit_recorded, UNIT_RECORDED, [*closing, *moving])
    await here.converged(60)
    units.members.clear()
    directory.written.clear()
    ((people,),) = await here.rows("SELECT count(*) FROM membership WHERE unit::int BETWEEN 1 AND %s", ROOTS - 1)
    began = time.perf_counter()
    await here.on(DAY)
    await here.converged(300)
    seconds = time.perf_counter() - began
    ((left,),) = await here.rows("SELECT count(*) FROM unit_object WHERE unit::int BETWEEN 1 AND %s", ROOTS - 1)
    assert left == 0
    ((held,),) = await here.rows("SELECT count(*) FROM group_member WHERE held IS NOT NULL")
    assert held == PEOPLE
    assert units.members == {"joined": people, "left": people}, "no membership is written that did not change"
    assert directory.written["rename"] == len(moving)
    assert directory.written["delete"] == 4 * len(closing)
    figures.measured("the merge, until it stands in slapd", f"{seconds:.1f} s", "120 s")
    written = ", ".join(f"{count} {what}" for what, count in sorted(directory.written.items()))
    figures.measured("written", f"{written}; {people} memberships of {PEOPLE:,}, once in and once out", "what changed")


async def accounts(subject: Subject, people: list[UUID]) -> Mapping[UUID, str]:
    """Make everybody an entry; returns the entries' ids."""
    for who in people:
        login = who.hex[:12]
        about = {"uid": (login,), "cn": (login,), "sn": (login,)}
        await subject.hand.add(f"uid={login},ou=people,{subject.base}", ["inetOrgPerson"], about, subject="test")
    found: dict[str | None, str] = {}
    pages = subject.hand.search_all(subject.base, equals("objectClass", "inetOrgPerson"), ["uid", "entryUUID"])
    async for page in pages:
        found |= {entry.first("uid"): entry.first("entryUUID") or "" for entry in page}
    return {who: found[who.hex[:12]] for who in people}


def changed(who: UUID, entry: str) -> AccountChanged:
    return AccountChanged(
        organisation="alvsund", person=who, target="directory", version=1, changed_at=TOLD, verified_at=TOLD,
        record=AccountRecord(state=AccountState.ENABLED, entry=entry),
    )  # fmt: skip
