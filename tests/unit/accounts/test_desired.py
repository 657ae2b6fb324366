"""When an account is there, disabled or enabled."""

from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given

from contracts.codes import AccountState, EndReason, Protection
from contracts.person import Access, Assignment, CoreRecord, Name
from services.accounts.domain.desired import ReservedNames, desired, needs_name, never_made, retain
from services.accounts.domain.timeline import Entitlement, Phase, timeline
from services.kernel.clock import start_of_day
from tests.unit.accounts.builders import (
    NAMES,
    UNITS,
    ZONE,
    answers,
    at,
    employment,
    entitlement,
    entitlements,
    moments,
    record,
    records,
    utc,
)

ABSENT, DISABLED, ENABLED = AccountState.ABSENT, AccountState.DISABLED, AccountState.ENABLED


@pytest.mark.parametrize(
    ("moment", "state"),
    [
        (utc(2027, 5, 17, 21, 59), ABSENT),
        (utc(2027, 5, 17, 22, 0), DISABLED),  # 14 days before 1 June, 00:00 in summer time
        (utc(2027, 5, 31, 21, 59), DISABLED),
        (utc(2027, 5, 31, 22, 0), ENABLED),
        (utc(2027, 12, 31, 22, 59), ENABLED),
        (utc(2027, 12, 31, 23, 0), DISABLED),  # 00:00 in winter time
        (utc(2028, 1, 30, 22, 59), DISABLED),
        (utc(2028, 1, 30, 23, 0), ABSENT),
    ],
)
def test_windows_begin_and_end_at_local_midnight(moment: datetime, state: AccountState) -> None:
    assert at(record(employment(date(2027, 6, 1), date(2027, 12, 31))), moment).state == state


@pytest.mark.parametrize("day", [date(2027, 3, 28), date(2027, 10, 31)])
def test_case_10_the_day_with_23_or_25_hours_counts_as_one(day: date) -> None:
    core = record(employment(day, day))
    line = timeline(core, entitlements(core, entitlement(0, 0)), ZONE)
    assert [phase for _, phase in line.changes(utc(2027, 1, 1))] == [Phase.ENABLED, Phase.ABSENT]
    length = line.boundaries[1] - line.boundaries[0]
    assert length == timedelta(hours=23 if day.month == 3 else 25)


def test_case_11_an_end_on_29_february_needs_no_such_day_in_the_next_year() -> None:
    core = record(employment(date(2027, 2, 1), date(2028, 2, 29)))
    assert at(core, utc(2028, 2, 29, 22, 59)).state == ENABLED
    assert at(core, utc(2028, 2, 29, 23, 0)).state == DISABLED
    assert at(core, utc(2029, 2, 28), entitlement(grace=366)).state == DISABLED


def test_9999_12_31_and_the_beginning_of_time_are_no_dates_to_compute_with() -> None:
    core = record(employment(date(1, 1, 1), date(9999, 12, 31)))
    assert at(core, utc(2027, 1, 1)).state == ENABLED
    assert at(core, utc(2027, 1, 1)).next_boundary is None


def test_case_14_of_two_jobs_the_strongest_state_holds() -> None:
    core = record(employment(date(2027, 1, 1), date(2027, 6, 30)), employment(date(2027, 3, 1)))
    assert [phase for _, phase in timeline(core, entitlements(core), ZONE).changes(utc(2026, 1, 1))] == [
        Phase.DISABLED,
        Phase.ENABLED,
    ]


def test_case_17_the_affiliation_outlasts_the_employment_as_long_as_ingestion_says() -> None:
    core = record(employment(date(2027, 1, 1), date(2027, 6, 4), lingers_until=utc(2027, 6, 6, 22)))
    answer = entitlement(lead=0, grace=2)
    assert at(core, utc(2027, 6, 6, 21, 59), answer).state == ENABLED
    assert at(core, utc(2027, 6, 6, 22), answer).state == DISABLED
    assert at(core, utc(2027, 6, 8, 21, 59), answer).state == DISABLED
    assert at(core, utc(2027, 6, 8, 22), answer).state == ABSENT
    shorter = record(employment(date(2027, 1, 1), date(2027, 6, 4), lingers_until=utc(2027, 6, 1)))
    assert at(shorter, utc(2027, 6, 4, 21, 59), answer).state == ENABLED


def test_a_gap_is_not_bridged_by_accounts_own_word() -> None:
    core = record(employment(date(2027, 1, 1), date(2027, 6, 4)), employment(date(2027, 6, 7)))
    assert at(core, utc(2027, 6, 5, 12)).state == DISABLED


def test_after_a_dismissal_nothing_lingers() -> None:
    fired = employment(
        date(2027, 1, 1), ends_at=utc(2027, 6, 4, 9), end_reason=EndReason.DISMISSAL, lingers_until=utc(2027, 6, 7)
    )
    assert at(record(fired), utc(2027, 6, 4, 8, 59)).state == ENABLED
    assert at(record(fired), utc(2027, 6, 4, 9)).state == DISABLED


def test_case_20_many_one_day_employments_that_linger_do_not_flap() -> None:
    days = [date(2027, 6, 1) + timedelta(days=3 * number) for number in range(20)]
    core = record(*(employment(day, day, lingers_until=start_of_day(day + timedelta(days=31), ZONE)) for day in days))
    line = timeline(core, entitlements(core, entitlement(3, 60)), ZONE)
    phases = [phase for _, phase in line.changes(utc(2026, 1, 1))]
    assert phases == [Phase.DISABLED, Phase.ENABLED, Phase.DISABLED, Phase.ABSENT]


def test_for_somebody_who_has_left_already_nothing_is_made() -> None:
    left = record(employment(date(2026, 1, 1), date(2027, 6, 4)))
    wanted = at(left, utc(2027, 6, 5))
    assert (wanted.state, never_made(wanted).state, needs_name(wanted)) == (DISABLED, ABSENT, False)
    assert never_made(wanted).next_boundary is None
    coming = at(record(*left.employments, employment(date(2027, 8, 1))), utc(2027, 6, 5))
    assert (never_made(coming), needs_name(coming)) == (coming, True)


def test_case_2_cancelled_before_the_start_contributes_nothing() -> None:
    core = record(employment(date(2027, 6, 1), cancelled=True))
    assert at(core, utc(2027, 5, 30)).state == ABSENT
    assert at(core, utc(2027, 5, 30)).changes == ()


def test_an_employment_that_ended_before_it_began_gets_no_grace() -> None:
    core = record(employment(date(2027, 6, 1), ends_at=utc(2027, 5, 25)))
    assert at(core, utc(2027, 5, 24)).state == DISABLED
    assert at(core, utc(2027, 5, 25)).state == ABSENT


def test_case_43_the_dead_have_no_open_account_and_the_mailbox_stays() -> None:
    core = record(employment(date(2027, 1, 1)), deceased=True)
    dead = at(core, utc(2027, 6, 1))
    assert (dead.state, dead.changes, dead.opens) == (DISABLED, (), False)
    assert dead.attributes["mail"] == NAMES.mails
    assert all(one.urgent for one in dead.endings)


def test_an_employment_without_an_account_by_policy_gives_none() -> None:
    assert at(record(employment(date(2027, 1, 1))), utc(2027, 6, 1), entitlement(account=False)).state == ABSENT


@pytest.mark.parametrize("output", [{}, {"account": 1, "lead_days": 1, "grace_days": 1},
    {"account": True, "lead_days": -1, "grace_days": 1},
    {"account": True, "lead_days": "1", "grace_days": 1}])  # fmt: skip
def test_a_wrong_policy_answer_is_refused(output: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="row r"):
        Entitlement.from_output(output, table="accounts", row="r", target="openldap")


@given(records, answers, moments)
def test_the_state_never_changes_between_two_boundaries(core: CoreRecord, answer: Entitlement, now: datetime) -> None:
    line = timeline(core, entitlements(core, answer), ZONE)
    following = line.next_boundary(now)
    assert following is None or following > now
    last = (following or utc(2100, 1, 1)) - timedelta(microseconds=1)
    here, there = at(core, now, answer), at(core, last, answer)
    assert (here.state, here.attributes, here.correlation) == (there.state, there.attributes, there.correlation)


@given(records, answers, moments)
def test_walking_from_boundary_to_boundary_meets_every_state(
    core: CoreRecord, answer: Entitlement, now: datetime
) -> None:
    line = timeline(core, entitlements(core, answer), ZONE)
    seen, moment = {utc(2020, 1, 1): line.phase(utc(2020, 1, 1))}, utc(2020, 1, 1)
    while (following := line.next_boundary(moment)) is not None:
        assert following > moment
        moment = following
        seen[moment] = line.phase(moment)
    assert line.phase(now) == seen[max(instant for instant in seen if instant <= now)]


@given(records, answers, moments)
def test_desired_does_not_depend_on_the_order_of_employments(
    core: CoreRecord, answer: Entitlement, now: datetime
) -> None:
    turned = core.model_copy(update={"employments": core.employments[::-1]})
    one, other = at(core, now, answer), at(turned, now, answer)
    assert (one.state, one.attributes, one.changes) == (other.state, other.attributes, other.changes)


@given(records, answers, moments)
def test_retaining_never_opens_and_never_deletes_what_is_open(
    core: CoreRecord, answer: Entitlement, now: datetime
) -> None:
    wanted = at(core, now, answer)
    kept = retain(wanted, open_now=True, closed_at=None, now=now)
    assert kept.state == (DISABLED if wanted.state == ABSENT else wanted.state)
    assert retain(wanted, open_now=False, closed_at=None, now=now) == wanted
    assert kept.next_boundary is None or kept.next_boundary > now


def test_what_was_closed_late_keeps_its_grace_from_then() -> None:
    core = record(employment(date(2026, 1, 1), date(2026, 6, 30)))
    now = utc(2027, 3, 15, 11)
    assert at(core, now).state == ABSENT
    kept = retain(at(core, now), open_now=True, closed_at=None, now=now)
    assert (kept.state, kept.next_boundary) == (DISABLED, utc(2027, 4, 13, 22))
    later = kept.next_boundary or now
    assert retain(at(core, later), open_now=False, closed_at=now, now=later).state == ABSENT


def test_what_was_closed_in_time_is_deleted_in_time() -> None:
    core = record(employment(date(2026, 1, 1), date(2027, 6, 30)))
    gone = at(core, utc(2027, 7, 1)).changes[0][0]
    closed = utc(2027, 6, 30, 22, 1)
    assert retain(at(core, gone), open_now=False, closed_at=closed, now=gone).state == ABSENT


def test_attributes_follow_the_main_employment_and_its_assignment() -> None:
    job = employment(date(2027, 1, 1), employee_number="4711").model_copy(
        update={
            "assignments": (
                Assignment(unit="100", title="Lärare", valid_from=date(2027, 1, 1), valid_to=date(2027, 5, 31)),
                Assignment(unit="200", title="Rektor", valid_from=date(2027, 6, 1)),
            )
        }
    )
    core = record(job)
    before = at(core, utc(2027, 5, 31, 12))
    assert before.attributes["title"] == ("Lärare",)
    assert (before.attributes["ou"], before.attributes["departmentNumber"]) == (("Björkskolan",), ("100",))
    assert (before.correlation, before.unit_missing) == ("4711", None)
    assert before.next_boundary == utc(2027, 5, 31, 22)
    after = at(core, utc(2027, 5, 31, 22))
    assert after.attributes["title"] == ("Rektor",)
    assert after.unit_missing == "200"
    assert "ou" not in after.attributes
    assert "departmentNumber" not in after.attributes


def test_sn_is_never_empty_and_empty_attributes_are_left_out() -> None:
    core = record(employment(date(2027, 1, 1))).model_copy(update={"name": Name(given="Suharto", family="")})
    attributes = at(core, utc(2027, 2, 1)).attributes
    assert attributes["sn"] == attributes["cn"] == ("Suharto",)
    family = core.model_copy(update={"name": Name(given="", family="Berg")})
    assert at(family, utc(2027, 2, 1)).attributes["givenName"] == ()


def test_the_name_of_address_is_displayed() -> None:
    core = record(employment(date(2027, 1, 1))).model_copy(
        update={"name": Name(given="Anna Maria", family="Berg", preferred="Maja")}
    )
    assert at(core, utc(2027, 2, 1)).attributes["displayName"] == ("Maja Berg",)


def test_without_names_there_are_no_attributes() -> None:
    core = record(employment(date(2027, 1, 1)))
    assert desired(core, entitlements(core), UNITS, None, utc(2027, 2, 1), ZONE).attributes == {}
    assert desired(core, entitlements(core), UNITS, NAMES, utc(2027, 2, 1), ZONE).attributes["mail"] == NAMES.mails


def test_nothing_of_a_protected_identity_is_in_the_attributes() -> None:
    core = record(employment(date(2027, 1, 1), employee_number="4711"), protection=Protection.MARKED)
    before = ReservedNames("user7", ("user7@x.example",))
    wanted = desired(core, entitlements(core), UNITS, before, utc(2027, 2, 1), ZONE)
    assert {values for values in wanted.attributes.values() if values} == {
        ("user7",), ("user7@x.example",), ("4711",),
    }  # fmt: skip
    assert all(wanted.attributes[name] == () for name in ("title", "ou", "departmentNumber"))
    later = ReservedNames("anna.andersson", ("user9@x.example", "anna.andersson@x.example"))
    wanted = desired(core, entitlements(core), {}, later, utc(2027, 2, 1), ZONE)
    assert wanted.unit_missing is None
    assert {values for values in wanted.attributes.values() if values} == {
        ("user9",), ("user9@x.example",), ("4711",),
    }  # fmt: skip


def test_a_block_closes_at_its_instant_makes_nothing_and_deletes_nothing_early() -> None:
    since = utc(2027, 6, 10, 12)
    core = record(employment(date(2027, 6, 1), date(2027, 12, 31)), access=Access(blocked_since=since))
    assert at(core, since - timedelta(seconds=1)).state == ENABLED
    blocked = at(core, since)
    assert (blocked.state, blocked.effect) == (DISABLED, since)
    assert [phase for _, phase in blocked.changes] == [Phase.ABSENT]
    assert blocked.changes[0][0] == start_of_day(date(2028, 1, 31), ZONE)
    not_made = record(employment(date(2027, 7, 1)), access=Access(blocked_since=since))
    assert never_made(at(not_made, utc(2027, 7, 2))).state == ABSENT


def test_kept_access_outlasts_the_last_end_and_then_has_its_days_of_grace() -> None:
    core = record(
        employment(date(2020, 1, 1), date(2026, 12, 31)),
        employment(date(2027, 1, 1), date(2027, 6, 30)),
        access=Access(kept_until=date(2027, 7, 10)),
    )
    assert at(core, utc(2027, 7, 10, 21, 59)).state == ENABLED
    closed = at(core, utc(2027, 7, 10, 22))
    assert closed.state == DISABLED
    assert closed.changes[0][0] == start_of_day(date(2027, 8, 10), ZONE)
    assert at(core, utc(2027, 8, 9, 22)).state == ABSENT


def test_kept_access_never_shortens_and_never_opens_what_is_blocked() -> None:
    access = Access(kept_until=date(2027, 7, 10))
    core = record(employment(date(2027, 1, 1), date(2027, 8, 31)), access=access)
    assert at(core, utc(2027, 8, 31, 12)).state == ENABLED
    both = access.model_copy(update={"blocked_since": utc(2027, 7, 5)})
    core = record(employment(date(2027, 1, 1), date(2027, 6, 30)), access=both)
    assert at(core, utc(2027, 7, 4)).state == ENABLED
    assert at(core, utc(2027, 7, 5)).state == DISABLED


def test_an_alias_keeps_what_is_there_until_its_person_leaves_and_gets_nothing_new() -> None:
    core = record(employment(date(2027, 6, 1), date(2027, 12, 31))).model_copy(update={"alias_of": UUID(int=7)})
    wanted = at(core, utc(2027, 7, 1))
    assert (wanted.state, dict(wanted.attributes), wanted.correlation) == (ENABLED, {"employeeNumber": ()}, None)
    assert not needs_name(wanted)
    assert never_made(wanted).state == ABSENT
    assert at(core, utc(2028, 1, 1)).state == DISABLED


def test_an_alias_of_somebody_protected_tells_nothing() -> None:
    core = record(employment(date(2027, 6, 1), None)).model_copy(
        update={"alias_of": UUID(int=7), "protection": Protection.PROTECTED}
    )
    shown = dict(at(core, utc(2027, 7, 1)).attributes)
    assert (shown["employeeNumber"], shown["title"], shown["ou"]) == ((), (), ())
    assert core.name.given not in str(shown)
    assert core.name.family not in str(shown)
