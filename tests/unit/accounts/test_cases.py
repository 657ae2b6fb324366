"""The cases of the domain that `desired` alone decides (DOMAIN.md); those with a directory stand beside it."""

from datetime import date, timedelta

from contracts.codes import AccountState, Form
from services.accounts.domain.desired import desired
from services.accounts.domain.timeline import Phase
from services.accounts.domain.units import Unit
from tests.unit.accounts.builders import NAMES, ZONE, at, employment, entitlements, record, utc

ABSENT, DISABLED, ENABLED = AccountState.ABSENT, AccountState.DISABLED, AccountState.ENABLED


def test_case_1_a_start_that_moves_moves_the_window_and_nothing_is_there_before_it() -> None:
    today = utc(2027, 3, 1)
    for start in (date(2027, 6, 1), date(2027, 7, 1)):
        wanted = at(record(employment(start)), today)
        lead = utc(start.year, start.month, start.day) - timedelta(days=14, hours=2)
        assert (wanted.state, wanted.next_boundary) == (ABSENT, lead)
        assert [phase for _, phase in wanted.changes] == [Phase.DISABLED, Phase.ENABLED]


def test_case_4_hired_today_for_today_is_open_at_once() -> None:
    assert at(record(employment(date(2027, 6, 1))), utc(2027, 6, 1, 7)).state == ENABLED


def test_case_5_hired_in_the_past_is_open_now() -> None:
    assert at(record(employment(date(2027, 3, 1))), utc(2027, 6, 1, 7)).state == ENABLED


def test_case_8_an_end_that_is_removed_minutes_before_is_no_boundary_any_more() -> None:
    now = utc(2027, 6, 30, 21, 55)
    before = at(record(employment(date(2027, 1, 1), date(2027, 6, 30))), now)
    assert (before.next_boundary, before.removes_next) == (utc(2027, 6, 30, 22), True)
    after = at(record(employment(date(2027, 1, 1))), now)
    assert (after.state, after.next_boundary, after.changes) == (ENABLED, None, ())


def test_case_16_and_23_another_form_without_a_gap_changes_nothing_at_any_instant() -> None:
    for form in (Form.FIXED_TERM, Form.PROBATION):
        first = employment(date(2027, 1, 1), date(2027, 6, 30), form=form)
        core = record(first, employment(date(2027, 7, 1)))
        assert [phase for _, phase in at(core, utc(2027, 6, 1)).changes] == []
        assert at(core, utc(2027, 6, 30, 21, 59)).state == at(core, utc(2027, 6, 30, 22)).state == ENABLED


def test_case_22_a_summer_between_two_terms_of_one_employment_closes_nothing() -> None:
    core = record(employment(date(2026, 8, 15), form=Form.SCHOOL_BREAK))
    assert [at(core, utc(2027, month, 15)).state for month in (6, 7, 8)] == [ENABLED] * 3


def test_case_28_the_end_of_a_seat_leaves_the_employment_and_the_other_way_round() -> None:
    for ending, staying in ((Form.ELECTED, Form.PERMANENT), (Form.PERMANENT, Form.ELECTED)):
        core = record(
            employment(date(2027, 1, 1), date(2027, 6, 30), form=ending), employment(date(2027, 1, 1), form=staying)
        )
        assert at(core, utc(2027, 8, 1)).state == ENABLED


def test_case_47_a_unit_with_another_name_is_the_same_unit_and_addresses_stay() -> None:
    core, now = record(employment(date(2027, 1, 1))), utc(2027, 6, 1)
    renamed = {"100": Unit("100", "Björkskolan och Granskolan")}
    before = at(core, now).attributes
    after = desired(core, entitlements(core), renamed, NAMES, now, ZONE).attributes
    assert {name for name in before if before[name] != after[name]} == {"ou"}
    assert (after["departmentNumber"], after["mail"]) == (("100",), NAMES.mails)
