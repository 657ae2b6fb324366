"""What employments give besides the account, and what is done about it."""

from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from contracts.codes import AbsenceExtent, AccountState
from contracts.person import Absence, Assignment, CoreRecord
from contracts.texts import CODES
from services.accounts.domain.grants import Begins, Birthright, Grant, GrantKind, Standing, compare, entitled
from services.accounts.domain.plan import Create, Observed
from services.accounts.domain.timeline import shifted, timeline
from services.accounts.handlers.granting import Granted, bring_in_line, reasons
from services.accounts.ports import Stamp
from services.kernel.clock import UTC, day_after, start_of_day
from services.kernel.failures import Held, Transient, Unavailable
from services.kernel.marks import Mark
from tests.support.directory import MemoryDirectory
from tests.unit.accounts.builders import NAMES, ZONE, employment, entitlements, record, records, utc
from tests.unit.accounts.builders import at as state

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


def test_case_14_all_active_employments_give_and_one_that_ends_takes_only_its_own() -> None:
    title = (Assignment(unit="100", title="Rektor", valid_from=date(2027, 1, 1)),)
    head = employment(date(2027, 1, 1), date(2027, 3, 31), assignments=title)
    core = record(head, employment(date(2027, 2, 1)))
    assert at(core, utc(2027, 3, 1)) == {STAFF, HEADS, PLAN}
    assert at(core, utc(2027, 4, 1)) == {STAFF, PLAN}
    found = entitled(timeline(core, entitlements(core), ZONE), ask, utc(2027, 3, 1), ZONE)
    assert found.why[HEADS] == (head.id, "heads")


def head(*away: Absence) -> CoreRecord:
    title = (Assignment(unit="100", title="Rektor", valid_from=date(2027, 1, 1)),)
    return record(employment(date(2027, 1, 1), assignments=title, absences=away))


def test_case_24_in_a_long_leave_account_and_mailbox_stay_and_privileges_rest_until_a_return_that_moves() -> None:
    until = (date(2028, 4, 30), date(2028, 1, 31))
    for last in until:
        core = head(Absence(extent=AbsenceExtent.FULL, valid_from=date(2027, 3, 1), valid_to=last))
        assert [HEADS in at(core, now) for now in (utc(2027, 2, 15), utc(2027, 6, 15))] == [True, False]
        assert at(core, utc(2027, 6, 15)) == {STAFF, PLAN}
        assert state(core, utc(2027, 6, 15)).state == AccountState.ENABLED
        assert state(core, utc(2027, 6, 15)).attributes["mail"] == NAMES.mails
        # each of these days is one on which a pass is due
        boundaries = timeline(core, entitlements(core), ZONE).boundaries
        assert utc(2027, 2, 28, 23) in boundaries
        back = day_after(last, ZONE)
        assert back in boundaries
        assert [HEADS in at(core, now) for now in (back - timedelta(seconds=1), back)] == [False, True]


def test_case_25_in_a_partial_leave_nothing_is_suspended() -> None:
    away = head(Absence(extent=AbsenceExtent.PARTIAL, valid_from=date(2027, 3, 1), valid_to=date(2027, 3, 31)))
    for now in (utc(2027, 2, 15), utc(2027, 3, 15), utc(2027, 4, 15)):
        assert (at(away, now), state(away, now).state) == ({STAFF, HEADS, PLAN}, AccountState.ENABLED)


@pytest.mark.parametrize(
    "output",
    [
        {"kind": "role", "value": "x", "lead_days": 0, "keep_days": 0},
        {"kind": "group", "value": " ", "lead_days": 0, "keep_days": 0},
        {"kind": "group", "value": "x", "lead_days": -1, "keep_days": 0},
        {"kind": "group", "value": "x", "keep_days": 0},
        {"kind": "group", "value": 3, "lead_days": 0, "keep_days": 0},
        {"kind": "group", "value": "x", "lead_days": 0, "keep_days": 0, "begins": "middle"},
        {"kind": "group", "value": "x", "lead_days": 1, "keep_days": 1, "begins": "end"},
        {"kind": "group", "value": "x", "lead_days": 0, "keep_days": 0, "begins": "end"},
        {"kind": "mail_route", "value": "registrator", "lead_days": 0, "keep_days": 0},
    ],
)
def test_a_row_that_cannot_be_read_names_itself(output: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="policy birthright, row r"):
        Birthright.from_output(output, table="birthright", row="r")


ROUTE = Grant(GrantKind.MAIL_ROUTE, "registrator@x.example")


def routing(_: Standing) -> Sequence[Birthright]:
    return [Birthright(ROUTE, 0, 30, "route", Begins.END)]


def routed(core: CoreRecord, now: datetime) -> tuple[bool, datetime | None]:
    found = entitled(timeline(core, entitlements(core), ZONE), routing, now, ZONE)
    return ROUTE in found.grants, found.next_boundary


def test_what_begins_at_the_end_begins_there_and_lasts_its_days() -> None:
    core = record(employment(date(2027, 1, 1), date(2027, 3, 31)))
    end, over = utc(2027, 3, 31, 22), utc(2027, 4, 30, 22)
    assert routed(core, utc(2027, 2, 1)) == (False, end)
    assert routed(core, end) == (True, over)
    assert routed(core, over) == (False, None)
    assert routed(record(employment(date(2027, 1, 1))), utc(2027, 2, 1)) == (False, None)


def test_nobody_who_works_on_or_comes_back_has_their_mail_sent_elsewhere() -> None:
    first, second = employment(date(2027, 1, 1), date(2027, 3, 31)), employment(date(2027, 2, 1), date(2027, 4, 15))
    back, never = employment(date(2027, 4, 26)), employment(date(2027, 9, 1), date(2027, 8, 1))
    core = record(first, second, back, never)
    assert routed(core, utc(2027, 4, 1)) == (False, utc(2027, 4, 15, 22))
    assert routed(core, utc(2027, 4, 16)) == (True, utc(2027, 4, 25, 22))
    assert routed(core, utc(2027, 4, 26)) == (False, None)
    assert routed(record(never), utc(2027, 8, 15)) == (False, None)


@given(records, st.datetimes(datetime(2026, 1, 1), datetime(2029, 6, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_mail_goes_elsewhere_exactly_after_an_end_while_nothing_goes_on(core: CoreRecord, now: datetime) -> None:
    line = timeline(core, entitlements(core), ZONE)
    begun = [span for span in line.spans if span.starts < span.ends]
    ended = any(span.ends <= now < start_of_day(shifted(span.last_day, 31), ZONE) for span in begun)
    goes_on = any(span.starts <= now < span.ends for span in begun)
    there, following = routed(core, now)
    assert there == (ended and not goes_on)
    if following is not None:
        assert following > now
        assert routed(core, following - timedelta(microseconds=1))[0] == there


def test_a_route_in_a_full_absence_is_there_for_as_long() -> None:
    away = (Absence(extent=AbsenceExtent.FULL, valid_from=date(2027, 3, 1), valid_to=date(2027, 3, 31)),)
    core = record(employment(date(2027, 1, 1), absences=away))

    def asked(one: Standing) -> Sequence[Birthright]:
        return [Birthright(ROUTE, 0, 0, "away")] if one.absence == "full" else []

    found = [
        ROUTE in entitled(timeline(core, entitlements(core), ZONE), asked, utc(2027, month, 15), ZONE).grants
        for month in (2, 3, 4)
    ]
    assert found == [False, True, False]


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

    async def run(self, wanted: Set[Grant], owned: Mapping[Grant, bool], left: Set[Grant] = frozenset()) -> Granted:
        if self.account is None:
            self.account = await self.directory.add("a", Create(True, {}), self.stamp)
        ledger: Any = self
        why = dict.fromkeys(wanted, WHY)
        return await bring_in_line(self.directory, ledger, self.account, self.stamp, "ad", why, owned, left, self.ask)

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
    ((grant, failure),) = found.refused
    assert (grant, failure.code, found.given) == (PLAN, "account.licence_missing", (STAFF,))
    assert (found.owned, found.gone) == (frozenset({STAFF}), frozenset({PLAN}))


async def test_a_route_is_given_after_the_licence_that_brings_the_mailbox_and_taken_before_it() -> None:
    place = Place()
    place.directory.offered = {PLAN, ROUTE, STAFF}
    first = await place.run({ROUTE, STAFF, PLAN}, {})
    assert first.given == (STAFF, PLAN, ROUTE)
    assert (await place.run(set(), dict.fromkeys(first.owned, True))).taken == (ROUTE, PLAN, STAFF)


async def test_a_target_that_routes_no_mail_says_so_and_gives_the_rest() -> None:
    place = Place()
    found = await place.run({STAFF, ROUTE}, {})
    ((grant, failure),) = found.refused
    assert (grant, failure.code, found.given) == (ROUTE, "account.routes_no_mail", (STAFF,))
    assert failure.code in CODES


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
    (failure,) = reasons(found)
    assert (failure.code, failure.parameters) == ("account.grant_taken_elsewhere", {"group": "alla"})
    assert found.owned == found.elsewhere == {STAFF}
    assert not place.has


async def test_all_that_is_missing_and_all_that_was_taken_is_told_what_may_end_by_itself_first() -> None:
    place, more, few = Place(), Grant(GrantKind.GROUP, "a-finns-inte"), Grant(GrantKind.GROUP, "finns-inte")
    await place.run({STAFF, HEADS}, {})
    place.has.clear()
    found = await place.run({STAFF, HEADS, PLAN, few, more}, {STAFF: True, HEADS: True})
    assert [(one.code, one.parameters) for one in reasons(found)] == [
        ("account.group_missing", {"group": "a-finns-inte, finns-inte"}),
        ("account.licence_missing", {"licence": PLAN.value}),
        ("account.grant_taken_elsewhere", {"group": "alla, rektorer"}),
    ]


async def test_what_is_left_to_another_hand_is_not_given_and_not_ours() -> None:
    place = Place()
    await place.run({STAFF, HEADS}, {})
    place.has.clear()
    writes = place.directory.writes
    found = await place.run({STAFF, HEADS}, {STAFF: True, HEADS: False}, {STAFF})
    assert (place.has, place.directory.writes) == ({HEADS}, writes + 1)
    assert (found.owned, found.elsewhere) == (frozenset({HEADS}), frozenset())
    assert found.gone == found.left == {STAFF}
    assert [(one.code, one.parameters) for one in reasons(found)] == [("account.grant_left", {"group": "alla"})]
    # given by another hand it is no difference any more, and still not ours to take
    place.has.add(STAFF)
    again = await place.run({STAFF}, {}, {STAFF})
    assert (again.owned, reasons(again)) == (frozenset(), [])
    later = await place.run(set(), {STAFF: True}, {STAFF})
    assert (later.gone, later.taken) == (frozenset({STAFF}), ())
    assert STAFF in place.has


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
