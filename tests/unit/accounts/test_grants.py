"""What employments give besides the account, and what is done about it."""

from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from typing_extensions import override

from contracts.codes import AbsenceExtent
from contracts.person import Absence, Assignment, CoreRecord
from services.accounts.domain.grants import Birthright, Grant, GrantKind, Standing, compare, entitled
from services.accounts.domain.plan import Create, Mark, Observed
from services.accounts.domain.timeline import timeline
from services.accounts.handlers.granting import Granted, bring_in_line
from services.accounts.ports import Stamp
from services.kernel.failures import Held, Transient, Unavailable
from tests.support.directory import MemoryDirectory
from tests.unit.accounts.builders import ZONE, employment, entitlements, record, utc

STAFF, HEADS, PLAN = Grant(GrantKind.GROUP, "alla"), Grant(GrantKind.GROUP, "rektorer"), Grant(GrantKind.LICENCE, "E3")
WHY = (UUID(int=1), "row")


def ask(one: Standing) -> Sequence[Birthright]:
    """Everybody is in one group, heads in another unless they are away, and a licence stays for 30 days."""
    found = [Birthright(STAFF, 0, 0, "everybody"), Birthright(PLAN, 7, 30, "mail")]
    head = one.assignment is not None and one.assignment.title == "Rektor" and one.absence != "full"
    return [*found, Birthright(HEADS, 0, 0, "heads")] if head else found


def at(core: CoreRecord, now: datetime) -> Set[Grant]:
    return entitled(timeline(core, entitlements(core), ZONE), ask, now, ZONE).grants


def change(core: CoreRecord, now: datetime) -> datetime | None:
    return entitled(timeline(core, entitlements(core), ZONE), ask, now, ZONE).next_boundary


def test_what_is_given_comes_with_its_lead_and_goes_after_its_days() -> None:
    core = record(employment(date(2027, 3, 1), date(2027, 3, 31)))
    assert at(core, utc(2027, 2, 20)) == set()
    assert change(core, utc(2027, 2, 20)) == utc(2027, 2, 21, 23)
    assert at(core, utc(2027, 2, 22)) == {PLAN}
    assert at(core, utc(2027, 3, 1)) == {STAFF, PLAN}
    assert change(core, utc(2027, 3, 1)) == utc(2027, 3, 31, 22)
    assert at(core, utc(2027, 4, 1)) == {PLAN}
    assert change(core, utc(2027, 4, 1)) == utc(2027, 4, 30, 22)
    assert at(core, utc(2027, 5, 1)) == set()
    assert change(core, utc(2027, 5, 1)) is None


def test_all_active_employments_give_and_one_that_ends_takes_only_its_own() -> None:
    title = (Assignment(unit="100", title="Rektor", valid_from=date(2027, 1, 1)),)
    head = employment(date(2027, 1, 1), date(2027, 3, 31), assignments=title)
    core = record(head, employment(date(2027, 2, 1)))
    assert at(core, utc(2027, 3, 1)) == {STAFF, HEADS, PLAN}
    assert at(core, utc(2027, 4, 1)) == {STAFF, PLAN}
    found = entitled(timeline(core, entitlements(core), ZONE), ask, utc(2027, 3, 1), ZONE)
    assert found.why[HEADS] == (head.id, "heads")


def test_a_full_absence_takes_what_policy_says_and_a_partial_one_nothing() -> None:
    title = (Assignment(unit="100", title="Rektor", valid_from=date(2027, 1, 1)),)
    away = (
        Absence(extent=AbsenceExtent.FULL, valid_from=date(2027, 3, 1), valid_to=date(2027, 3, 31)),
        Absence(extent=AbsenceExtent.PARTIAL, valid_from=date(2027, 4, 1), valid_to=date(2027, 4, 30)),
    )
    core = record(employment(date(2027, 1, 1), assignments=title, absences=away))
    assert [HEADS in at(core, utc(2027, month, 15)) for month in (2, 3, 4, 5)] == [True, False, True, True]
    # each of these days is one on which a pass is due
    assert utc(2027, 2, 28, 23) in timeline(core, entitlements(core), ZONE).boundaries


@pytest.mark.parametrize(
    "output",
    [
        {"kind": "role", "value": "x", "lead_days": 0, "keep_days": 0},
        {"kind": "group", "value": " ", "lead_days": 0, "keep_days": 0},
        {"kind": "group", "value": "x", "lead_days": -1, "keep_days": 0},
        {"kind": "group", "value": "x", "keep_days": 0},
        {"kind": "group", "value": 3, "lead_days": 0, "keep_days": 0},
    ],
)
def test_a_row_that_cannot_be_read_names_itself(output: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="policy birthright, row r"):
        Birthright.from_output(output, table="birthright", row="r")


def test_only_ours_is_taken_and_what_another_hand_took_is_not_given_again() -> None:
    difference = compare({STAFF, HEADS}, {HEADS: True, PLAN: True}, {PLAN})
    assert (difference.missing, difference.surplus) == (frozenset({STAFF}), frozenset({PLAN}))
    assert (difference.taken, difference.gone) == (frozenset({HEADS}), frozenset[Grant]())
    # begun and never seen to be there: our own crash
    assert compare({STAFF}, {STAFF: False}, set()).missing == {STAFF}
    assert compare(set(), {STAFF: True}, set()).gone == {STAFF}
    assert compare(set(), {}, {STAFF}).surplus == frozenset()


class Place:
    """One account in a directory in memory, and what is written down of its grants."""

    def __init__(self) -> None:
        self.directory = MemoryDirectory()
        self.directory.offered = {STAFF, HEADS}
        self.stamp = Stamp("alvsund", uuid4(), Mark(1, 1), 1)
        self.written: set[Grant] = set()
        self.held: Held | None = None
        self.account: Observed | None = None

    async def own(self, organisation: str, person: UUID, target: str, grants: Set[Grant]) -> None:
        del organisation, person, target
        assert self.directory.entries["alvsund", "a"].grants.isdisjoint(grants)
        self.written |= grants

    async def ask(self) -> Held | None:
        return self.held

    async def run(self, wanted: Set[Grant], owned: Mapping[Grant, bool]) -> Granted:
        if self.account is None:
            self.account = await self.directory.add("a", Create(True, {}), self.stamp)
        ledger: Any = self
        why = dict.fromkeys(wanted, WHY)
        return await bring_in_line(self.directory, ledger, self.account, self.stamp, "ad", why, owned, self.ask)

    @property
    def has(self) -> set[Grant]:
        return self.directory.entries["alvsund", "a"].grants


async def test_it_is_written_down_before_it_is_given_and_a_second_pass_writes_nothing() -> None:
    place = Place()
    first = await place.run({STAFF, HEADS}, {})
    assert (place.has, place.written, set(first.given)) == ({STAFF, HEADS}, {STAFF, HEADS}, {STAFF, HEADS})
    writes = place.directory.writes
    second = await place.run({STAFF, HEADS}, dict.fromkeys(first.owned, True))
    assert (place.directory.writes, second.given, second.taken) == (writes, (), ())


async def test_a_crash_between_the_two_leaves_ours_ours() -> None:
    place = Place()
    await place.run(set(), {})
    place.directory.answer_lost = True
    with pytest.raises(Unavailable):
        await place.run({STAFF}, {})
    assert (place.written, place.has) == ({STAFF}, {STAFF})
    again = await place.run(set(), {STAFF: False})
    assert (again.taken, place.has) == ((STAFF,), set())


async def test_what_others_gave_stays_although_policy_gives_it_no_longer() -> None:
    place = Place()
    await place.run(set(), {})
    place.has.add(HEADS)
    given = await place.run({HEADS}, {})
    assert (given.given, given.owned, place.written) == ((), frozenset(), set())
    await place.run(set(), dict.fromkeys(given.owned, True))
    assert place.has == {HEADS}


async def test_a_group_that_is_missing_holds_up_no_other_and_is_nobodys() -> None:
    place = Place()
    found = await place.run({STAFF, PLAN}, {})
    assert found.failure is not None
    assert (found.failure.code, found.given) == ("account.licence_missing", (STAFF,))
    assert (found.owned, found.gone) == (frozenset({STAFF}), frozenset({PLAN}))


async def test_what_the_guard_holds_is_not_taken() -> None:
    place = Place()
    first = await place.run({STAFF}, {})
    place.held = Held("guard.held", hold="1", action="revoke")
    held = await place.run(set(), dict.fromkeys(first.owned, True))
    assert (held.held, held.taken, place.has) == (place.held, (), {STAFF})
    assert held.owned == {STAFF}


async def test_what_another_hand_took_is_told_and_not_given_again() -> None:
    place = Place()
    await place.run({STAFF}, {})
    place.has.clear()
    found = await place.run({STAFF}, {STAFF: True})
    assert found.failure is not None
    assert (found.failure.code, found.failure.parameters["group"]) == ("account.grant_taken_elsewhere", "alla")
    assert found.owned == {STAFF}
    assert not place.has


async def test_what_was_given_and_is_not_there_is_not_believed() -> None:
    class Forgetful(MemoryDirectory):
        @override
        async def held(self, *_a: Any, **_k: Any) -> frozenset[Grant]:
            return frozenset()

    place = Place()
    place.directory = Forgetful()
    place.directory.offered = {STAFF}
    with pytest.raises(Transient, match=r"account\.not_verified"):
        await place.run({STAFF}, {})
