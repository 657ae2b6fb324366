"""The directory's own last line: where policy draws it, what moves it, and what it must never do."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from contracts.codes import AccountState
from contracts.person import CoreRecord
from services.accounts.adapters.windows_attributes import ours, theirs
from services.accounts.domain.drift import Kind, Last, compare
from services.accounts.domain.expiry import lapsed
from services.accounts.domain.other_hand import EXPIRES, STATE, Decided, Hands, Verdict, digest
from services.accounts.domain.rows import RowUnusable
from services.accounts.domain.timeline import Entitlement, Phase, timeline
from services.accounts.handlers.conclusion import Result
from services.accounts.handlers.situation import Situation
from services.kernel.directory import Entry
from tests.unit.accounts.builders import ZONE, employment, entitlement, entitlements, moments, record, records, utc
from tests.unit.accounts.test_performer import NOW, Rig

FIRST, LAST = date(2027, 1, 1), date(2027, 3, 31)
RULE = replace(entitlement(), expires_days=1)
DAY_AFTER = ("2027-04-01T22:00:00Z",)
HAND = ("2027-01-31T23:00:00Z",)


def expires(core: CoreRecord, now: datetime = NOW, rule: Entitlement = RULE) -> datetime | None:
    return timeline(core, entitlements(core, rule), ZONE).expires(now)


def test_it_lies_so_many_days_behind_the_last_day() -> None:
    assert expires(record(employment(FIRST, LAST))) == utc(2027, 4, 1, 22)
    assert expires(record(employment(FIRST, LAST)), rule=replace(RULE, expires_days=0)) == utc(2027, 3, 31, 22)
    assert expires(record(employment(FIRST, LAST)), rule=entitlement()) is None
    assert expires(record(employment(FIRST))) is None
    assert expires(record(employment(FIRST, LAST), employment(FIRST))) is None
    assert expires(record(employment(FIRST, LAST), employment(date(2027, 9, 1), date(2027, 12, 31)))) == utc(
        2028, 1, 1, 23
    )
    dismissed = employment(FIRST, LAST, ends_at=utc(2027, 3, 20, 9))
    assert expires(record(dismissed)) == utc(2027, 3, 21, 23)


@given(records, st.integers(0, 40), moments)
def test_it_never_comes_before_we_close(core: CoreRecord, days: int, now: datetime) -> None:
    line = timeline(core, entitlements(core, replace(RULE, expires_days=days)), ZONE)
    instant = line.expires(now)
    if instant is not None and line.phase(now) is Phase.ENABLED:
        assert instant > now
        assert all(phase is not Phase.ENABLED for at, phase in line.changes(now) if at >= instant)
        assert line.phase(instant) is not Phase.ENABLED


@pytest.mark.parametrize("wrong", [-1, "1", True])
def test_what_is_no_number_of_days_is_refused(wrong: Any) -> None:
    output = {"account": True, "lead_days": 1, "grace_days": 1, "expires_days": wrong}
    with pytest.raises(RowUnusable, match="expires_days"):
        Entitlement.from_output(output, table="accounts", row="r", target="openldap")


def test_it_may_be_absent_or_empty() -> None:
    output: dict[str, Any] = {"account": True, "lead_days": 1, "grace_days": 1}
    for more in ({}, {"expires_days": None}):
        assert Entitlement.from_output({**output, **more}, table="a", row="r", target="t").expires_days is None
    assert Entitlement.from_output({**output, "expires_days": 2}, table="a", row="r", target="t").expires_days == 2


class Limited(Rig):
    """A rig under a policy by which accounts expire."""

    rule = RULE

    @override
    def situation(self, **values: Any) -> Situation:
        hands = Hands(written=self.row.written if self.row else {})
        return super().situation(**{"entitlements": entitlements(self.core, self.rule), "hands": hands, **values})

    @property
    def there(self) -> Any:
        return self.only.attributes.get(EXPIRES, ())


async def test_it_follows_the_end_and_goes_with_it() -> None:
    rig = Limited(record(employment(FIRST, LAST)))
    await rig.turn()
    assert rig.there == DAY_AFTER
    writes = rig.directory.writes
    await rig.turn()
    assert rig.directory.writes == writes
    rig.core = record(employment(FIRST, date(2027, 6, 30)))
    await rig.turn()
    assert rig.there == ("2027-07-01T22:00:00Z",)
    rig.core = record(employment(FIRST))
    await rig.turn()
    assert rig.there == ()


async def test_what_is_prepared_has_none_until_it_is_opened() -> None:
    rig = Limited(record(employment(date(2027, 3, 20), LAST)))
    await rig.turn()
    assert (rig.only.enabled, rig.there) == (False, ())
    await rig.turn(utc(2027, 3, 20, 11))
    assert (rig.only.enabled, rig.there) == (True, DAY_AFTER)


async def test_it_closes_nobody_whom_the_guard_keeps_open() -> None:
    rig = Limited(record(employment(FIRST, LAST)))
    await rig.turn()
    rig.ledger.hold = uuid4()
    await rig.turn(utc(2027, 3, 31, 22))
    assert (rig.only.enabled, rig.there) == (True, ())
    writes = rig.directory.writes
    await rig.turn(utc(2027, 4, 1, 12))
    assert rig.directory.writes == writes
    rig.ledger.hold = None
    rig.core = record(employment(FIRST, date(2027, 4, 10)))
    await rig.turn(utc(2027, 4, 1, 13))
    assert (rig.only.enabled, rig.there) == (True, ("2027-04-11T22:00:00Z",))


async def test_an_extension_that_comes_after_it_has_passed_opens_again() -> None:
    rig = Limited(record(employment(FIRST, LAST)))
    await rig.turn()
    rig.core = record(employment(FIRST, date(2027, 12, 31)))
    outcome = await rig.turn(utc(2027, 4, 5))
    assert (outcome.problem, rig.there) == (None, ("2028-01-01T23:00:00Z",))


async def test_an_account_that_another_hand_let_expire_stays_closed_until_a_person_says_more() -> None:
    rig = Limited(record(employment(FIRST, LAST)))
    await rig.turn()
    rig.only.attributes[EXPIRES] = HAND
    outcome = await rig.turn()
    assert outcome.problem is not None
    assert (outcome.problem.code, rig.there) == ("account.locked_elsewhere", HAND)
    assert isinstance(outcome.result, Result)
    assert outcome.result.row.state == AccountState.DISABLED
    reopened = Hands(written=rig.row.written if rig.row else {}, decided={STATE: Decided(Verdict.REOPEN)})
    await rig.turn(hands=reopened)
    assert rig.there == DAY_AFTER


async def test_one_that_another_hand_set_earlier_stays_and_is_shown() -> None:
    rig = Limited(record(employment(FIRST, LAST)))
    await rig.turn()
    earlier = ("2027-03-20T23:00:00Z",)
    rig.only.attributes[EXPIRES] = earlier
    await rig.turn(hands=Hands(written=rig.row.written if rig.row else {}, hidden=True))
    assert (rig.only.enabled, rig.there) == (True, earlier)
    situation = rig.situation()
    observed = rig.directory._observed(rig.only, "alvsund")
    last = Last(AccountState.ENABLED, observed.entry, None)
    wanted = situation.desired(NOW, situation.names)
    (found,) = compare(uuid4(), observed, wanted, last, situation.hands)
    assert (found.kind, found.attribute) == (Kind.CHANGED, EXPIRES)


async def test_without_a_policy_what_others_set_is_left() -> None:
    rig = Limited(record(employment(FIRST, LAST)))
    rig.rule = entitlement()
    await rig.turn()
    rig.only.attributes[EXPIRES] = ("2027-03-20T23:00:00Z",)
    writes = rig.directory.writes
    await rig.turn()
    assert rig.directory.writes == writes


async def test_who_is_opened_by_a_persons_word_expires_no_more_where_policy_says_nothing() -> None:
    rig = Limited(record(employment(FIRST, LAST)))
    rig.rule = entitlement()
    await rig.turn()
    rig.only.attributes[EXPIRES] = HAND
    await rig.turn()
    await rig.turn(hands=Hands(written=rig.row.written if rig.row else {}, decided={STATE: Decided(Verdict.REOPEN)}))
    assert rig.there == ()


async def test_an_instant_of_ours_is_no_other_hand() -> None:
    rig = Limited(record(employment(FIRST, LAST)))
    await rig.turn()
    observed = rig.directory._observed(rig.only, "alvsund")
    late = utc(2027, 5, 1)
    assert lapsed(observed, {EXPIRES: digest(DAY_AFTER)}, late) == observed
    assert lapsed(observed, {}, late).enabled is None
    assert lapsed(observed, {}, NOW) == observed


@pytest.mark.parametrize(
    ("interval", "instant"),
    [("0", ()), ("9223372036854775807", ()), ("133485408000000000", ("2024-01-01T00:00:00Z",)), ("9" * 30, ())],
)
def test_the_domain_counts_from_1601(interval: str, instant: tuple[str, ...]) -> None:
    assert ours(Entry("cn=a", {"accountexpires": (interval,)})).get(EXPIRES, ()) == instant
    if instant:
        assert theirs({EXPIRES: instant})["accountExpires"] == (interval,)
    assert theirs({EXPIRES: ()})["accountExpires"] == ("9223372036854775807",)
