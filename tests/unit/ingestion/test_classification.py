"""Joiner, mover, leaver: the cases of DOMAIN by number, told to a ledger at wall-clock times."""

from datetime import datetime

import pytest

from contracts.codes import CaseKind, Lane, Reason
from tests.support import hr
from tests.unit.ingestion.ledger import ZONE, Ledger, instant

HIRED = "2026-03-02T08:00:00+01:00"


def local(text: str) -> datetime:
    return instant(text).business


def employed(*employments: dict[str, object], **fields: object) -> Ledger:
    """Someone who is here since 2025."""
    ledger = Ledger()
    told = employments or (hr.employment(start="2025-01-01"),)
    ledger.say(hr.event(hr.person("p-1", *told, **fields), time=HIRED), "2026-03-02T09:00")
    return ledger


def test_case_1_a_start_three_months_ahead_that_moves_keeps_case_and_identity() -> None:
    ledger = Ledger()
    first = ledger.say(hr.hire(start="2026-06-01", time=HIRED), "2026-03-02T09:00")
    assert first is not None
    assert ledger.last() == ("joiner", "hire")
    assert (first.effective_at, first.lane) == (local("2026-06-01T00:00"), Lane.BULK)
    assigned = [hr.assignment(start="2026-07-01")]
    moved = ledger.say(
        hr.change(time="2026-03-09T08:00:00+01:00", validFrom="2026-07-01", assignments=assigned), "2026-03-09T09:00"
    )
    assert moved is not None
    assert ledger.last() == ("joiner", "hire_changed")
    assert (moved.case_id, moved.effective_at) == (first.case_id, local("2026-07-01T00:00"))
    assert moved.accepted_at == first.accepted_at
    assert ledger.look("2026-06-02T00:00") is None
    begun = ledger.look("2026-07-01T00:00")
    assert begun is not None
    assert ledger.last() == ("joiner", "date_reached")
    assert (begun.case_id, begun.effective_at) == (first.case_id, local("2026-07-01T00:00"))


def test_case_2_cancelled_the_day_before_closes_the_joiner_and_is_no_leaver() -> None:
    ledger = Ledger()
    first = ledger.say(hr.hire(start="2026-06-01", time=HIRED), "2026-03-02T09:00")
    revision = ledger.say(hr.cancel(time="2026-05-31T16:00:00+02:00"), "2026-05-31T16:01")
    assert first is not None
    assert revision is not None
    assert ledger.last() == ("joiner", "hire_cancelled")
    assert revision.case_id == first.case_id
    assert revision.records.core.employments[0].cancelled
    assert ledger.look("2026-06-02T00:00") is None


def test_case_3_cancelled_after_the_start_is_a_leaver() -> None:
    ledger = Ledger()
    ledger.say(hr.hire(start="2026-06-01", time=HIRED), "2026-03-02T09:00")
    ledger.look("2026-06-01T00:00")
    revision = ledger.say(hr.cancel(time="2026-06-03T10:00:00+02:00"), "2026-06-03T10:01")
    assert revision is not None
    assert ledger.last() == ("leaver", "end")
    ended = revision.records.core.employments[0]
    assert (ended.cancelled, str(ended.valid_to)) == (False, "2026-06-02")
    assert revision.lane is Lane.EXPRESS
    assert revision.effective_at == local("2026-06-03T00:00")


def test_case_3_cancelled_on_the_start_day_closes_at_once() -> None:
    ledger = Ledger()
    ledger.say(hr.hire(start="2026-06-01", time=HIRED), "2026-03-02T09:00")
    ledger.look("2026-06-01T00:00")
    revision = ledger.say(hr.cancel(time="2026-06-01T10:00:00+02:00"), "2026-06-01T10:01")
    assert revision is not None
    assert ledger.last() == ("leaver", "end")
    assert revision.effective_at == local("2026-06-01T10:00")
    assert not revision.records.core.employments[0].cancelled


def test_case_2_a_cancellation_that_arrives_late_is_still_no_leaver_but_express() -> None:
    ledger = Ledger()
    ledger.say(hr.hire(start="2026-06-01", time=HIRED), "2026-03-02T09:00")
    ledger.look("2026-06-01T00:00")
    revision = ledger.say(hr.cancel(time="2026-05-31T16:00:00+02:00"), "2026-06-02T08:00")
    assert revision is not None
    assert ledger.last() == ("joiner", "hire_cancelled")
    assert revision.lane is Lane.EXPRESS


def test_case_4_hired_today_for_today_goes_express_and_is_told_once() -> None:
    ledger = Ledger()
    revision = ledger.say(hr.hire(start="2026-03-02", time=HIRED), "2026-03-02T09:00")
    assert revision is not None
    assert (ledger.last(), revision.lane) == (("joiner", "hire"), Lane.EXPRESS)
    assert revision.effective_at == local("2026-03-02T00:00")
    assert ledger.look("2026-03-02T09:01") is None


def test_case_5_a_retroactive_hire_acts_now_and_the_audit_trail_is_not_backdated() -> None:
    ledger = Ledger()
    revision = ledger.say(hr.hire(start="2026-02-16", time=HIRED), "2026-03-02T09:00")
    assert revision is not None
    assert (ledger.last(), revision.lane) == (("joiner", "hire"), Lane.EXPRESS)
    assert revision.effective_at == local("2026-02-16T00:00")
    assert revision.recorded_at == local("2026-03-02T09:00")


def test_case_6_a_retroactive_end_is_a_leaver_at_once_effective_when_it_should_have_been() -> None:
    ledger = employed()
    revision = ledger.say(hr.change(time="2026-03-10T08:00:00+01:00", validTo="2026-02-28"), "2026-03-10T08:01")
    assert revision is not None
    assert (ledger.last(), revision.lane) == (("leaver", "end"), Lane.EXPRESS)
    assert revision.effective_at == local("2026-03-01T00:00")
    assert ledger.look("2026-03-11T00:00") is None


def test_case_7_a_dismissal_closes_when_it_is_stated() -> None:
    ledger = employed()
    said = hr.change(time="2026-03-10T14:30:00+01:00", validTo="2026-03-10", endReason="dismissal")
    revision = ledger.say(said, "2026-03-10T14:31")
    assert revision is not None
    assert (ledger.last(), revision.lane) == (("leaver", "dismissal"), Lane.EXPRESS)
    assert revision.effective_at == local("2026-03-10T14:30")
    closed = revision.records.core.employments[0]
    assert closed.ends_at == closed.end_stated_at == local("2026-03-10T14:30")


@pytest.mark.parametrize("end", [None, "2026-12-31"])
def test_case_8_an_end_that_is_moved_minutes_before_never_comes(end: str | None) -> None:
    ledger = employed(hr.employment(start="2025-01-01", end="2026-03-10"))
    revision = ledger.say(hr.change(time="2026-03-10T23:50:00+01:00", validTo=end), "2026-03-10T23:51")
    assert revision is not None
    assert (ledger.last(), revision.lane) == (("mover", "end_date_changed"), Lane.EXPRESS)
    assert ledger.look("2026-03-11T00:01") is None


def test_case_8_an_end_that_is_removed_after_it_was_reached_reopens_the_same_employment() -> None:
    ledger = employed(hr.employment(start="2025-01-01", end="2026-03-10"))
    ledger.look("2026-03-11T00:00")
    assert ledger.last() == ("leaver", "date_reached")
    revision = ledger.say(hr.change(time="2026-03-11T08:00:00+01:00", validTo=None), "2026-03-11T08:01")
    assert revision is not None
    assert (ledger.last(), revision.lane) == (("mover", "end_date_changed"), Lane.EXPRESS)


def test_an_end_stated_for_the_future_is_a_mover_and_opens_its_leaver_case_when_reached() -> None:
    ledger = employed()
    stated = ledger.say(hr.change(time="2026-03-10T08:00:00+01:00", validTo="2026-05-31"), "2026-03-10T08:01")
    assert stated is not None
    assert (ledger.last(), stated.lane) == (("mover", "end_date_changed"), Lane.BULK)
    reached = ledger.look("2026-06-01T00:00")
    assert reached is not None
    assert ledger.last() == ("leaver", "date_reached")
    assert reached.case_id != stated.case_id
    assert reached.effective_at == local("2026-06-01T00:00")


def test_case_14_one_of_two_part_time_jobs_ends() -> None:
    ledger = employed(hr.employment("1", start="2025-01-01", extent=50), hr.employment("2", start="2025-01-01"))
    revision = ledger.say(
        hr.change(employment_id="2", time="2026-03-10T08:00:00+01:00", validTo="2026-03-09"), "2026-03-10T08:01"
    )
    assert revision is not None
    assert (ledger.last(), revision.lane) == (("mover", "employment_ended"), Lane.EXPRESS)


def test_a_second_employment_is_a_mover_with_a_case_that_its_start_keeps() -> None:
    ledger = employed()
    added = ledger.say(
        hr.event(hr.person("p-1", hr.employment("2", start="2026-04-01")), time="2026-03-10T08:00:00+01:00"),
        "2026-03-10T08:01",
    )
    assert added is not None
    assert ledger.last() == ("mover", "employment_added")
    moved = ledger.say(
        hr.change(employment_id="2", time="2026-03-11T08:00:00+01:00", validFrom="2026-04-13"), "2026-03-11T08:01"
    )
    assert moved is not None
    assert (ledger.last(), moved.case_id) == (("mover", "hire_changed"), added.case_id)
    begun = ledger.look("2026-04-13T00:00")
    assert begun is not None
    assert (ledger.last(), begun.case_id) == (("mover", "date_reached"), added.case_id)


def test_case_16_fixed_term_becomes_permanent_with_no_gap() -> None:
    ledger = employed(hr.employment("1", form="fixed_term", start="2025-06-01", end="2026-05-31"))
    converted = ledger.say(
        hr.event(hr.person("p-1", hr.employment("2", start="2026-06-01")), time="2026-05-04T08:00:00+02:00"),
        "2026-05-04T08:01",
    )
    assert converted is not None
    assert ledger.last() == ("mover", "form_conversion")
    assert converted.effective_at == local("2026-06-01T00:00")
    reached = ledger.look("2026-06-01T00:00")
    assert reached is not None
    assert (ledger.last(), reached.case_id) == (("mover", "date_reached"), converted.case_id)


def test_case_17_a_gap_over_a_weekend_is_bridged_when_the_next_is_recorded() -> None:
    ledger = employed(hr.employment("1", form="fixed_term", start="2025-06-01", end="2026-05-29"))
    ledger.say(
        hr.event(hr.person("p-1", hr.employment("2", start="2026-06-01")), time="2026-05-04T08:00:00+02:00"),
        "2026-05-04T08:01",
    )
    assert ledger.last() == ("mover", "form_conversion")
    ledger.look("2026-05-30T00:00")
    assert ledger.last() == ("mover", "date_reached")
    ledger.look("2026-06-01T00:00")
    assert {revision.kind for revision in ledger.revisions[1:]} == {CaseKind.MOVER}


def test_case_17_a_gap_of_months_is_a_leaver_and_then_a_joiner() -> None:
    ledger = employed(hr.employment("1", form="seasonal", start="2025-06-01", end="2026-05-29"))
    ledger.say(
        hr.event(hr.person("p-1", hr.employment("2", start="2026-10-01")), time="2026-05-04T08:00:00+02:00"),
        "2026-05-04T08:01",
    )
    ledger.look("2026-05-30T00:00")
    assert ledger.last() == ("leaver", "date_reached")
    ledger.look("2026-10-01T00:00")
    assert ledger.last() == ("joiner", "date_reached")


@pytest.mark.parametrize("number", [18, 21])
def test_case_18_and_21_who_comes_back_is_rehired(number: int) -> None:
    del number
    ledger = employed(hr.employment("1", form="seasonal", start="2025-06-01", end="2025-08-31"))
    assert ledger.last() == ("leaver", "end")
    revision = ledger.say(
        hr.event(hr.person("p-1", hr.employment("2", start="2026-06-01")), time="2026-04-06T08:00:00+02:00"),
        "2026-04-06T08:01",
    )
    assert revision is not None
    assert ledger.last() == ("joiner", "rehire")


def test_case_20_hourly_days_do_not_flap_and_close_after_inactivity() -> None:
    ledger = Ledger()
    day = hr.employment("d1", form="hourly", start="2026-03-02", end="2026-03-02")
    ledger.say(hr.event(hr.person("p-1", day), time=HIRED), "2026-03-02T07:00")
    ledger.look("2026-03-03T00:00")
    again = hr.employment("d2", form="hourly", start="2026-03-20", end="2026-03-20")
    ledger.say(hr.event(hr.person("p-1", again), time="2026-03-19T08:00:00+01:00"), "2026-03-19T08:01")
    assert ledger.last() == ("mover", "employment_added")
    ledger.look("2026-03-21T00:00")
    ledger.look("2026-05-19T12:00")
    assert {revision.kind for revision in ledger.revisions[1:]} == {CaseKind.MOVER}
    ledger.look("2026-05-20T00:00")
    assert ledger.last() == ("leaver", "date_reached")
    assert ledger.revisions[-1].effective_at == local("2026-05-20T00:00")


def test_case_22_the_summer_break_of_school_staff_is_not_a_leaver() -> None:
    ledger = employed(hr.employment(form="school_break", start="2025-08-11"))
    away = {"kind": "other", "extent": "full", "validFrom": "2026-06-15", "validTo": "2026-08-09"}
    ledger.say(hr.change(time="2026-05-04T08:00:00+02:00", absences=[away]), "2026-05-04T08:01")
    assert ledger.last() == ("mover", "absence_changed")
    for at in ("2026-06-15T00:00", "2026-08-10T00:00"):
        ledger.look(at)
        assert ledger.last() == ("mover", "date_reached")


def test_case_23_probation_passes_into_permanent() -> None:
    ledger = employed(hr.employment(form="probation", start="2025-10-01", end="2026-03-31"))
    ledger.say(
        hr.change(time="2026-03-10T08:00:00+01:00", form="permanent", validTo=None, endReason=None), "2026-03-10T08:01"
    )
    assert ledger.last() == ("mover", "form_conversion")


def test_case_24_the_return_from_a_long_leave_can_be_moved() -> None:
    ledger = employed()
    away = {"kind": "parental", "extent": "full", "validFrom": "2026-04-01", "validTo": "2027-05-31"}
    revision = ledger.say(hr.change(time="2026-03-10T08:00:00+01:00", absences=[away]), "2026-03-10T08:01")
    assert revision is not None
    assert ledger.last() == ("mover", "absence_changed")
    assert revision.effective_at == local("2026-04-01T00:00")
    assert "parental" not in revision.records.core.model_dump_json()
    ledger.look("2026-04-01T00:00")
    back = [away | {"validTo": "2027-02-28"}]
    ledger.say(hr.change(time="2026-09-01T08:00:00+02:00", absences=back), "2026-09-01T08:01")
    assert ledger.last() == ("mover", "absence_changed")
    assert ledger.look("2027-03-01T00:00") is not None


def test_case_25_a_partial_leave_says_partial() -> None:
    ledger = employed()
    away = {"kind": "parental", "extent": "partial", "validFrom": "2026-04-01"}
    revision = ledger.say(hr.change(time="2026-03-10T08:00:00+01:00", absences=[away]), "2026-03-10T08:01")
    assert revision is not None
    assert revision.records.core.employments[0].absences[0].extent.value == "partial"


def test_case_28_an_elected_official_who_is_employed_keeps_the_other() -> None:
    ledger = employed(hr.employment("1", start="2025-01-01"), hr.employment("2", form="elected", start="2025-01-01"))
    ledger.say(hr.change(employment_id="1", time="2026-03-10T08:00:00+01:00", validTo="2026-03-09"), "2026-03-10T08:01")
    assert ledger.last() == ("mover", "employment_ended")


def test_case_30_a_new_name() -> None:
    ledger = employed()
    said = hr.event(hr.person("p-1", name={"given": "Åsa", "family": "Ek"}), time="2026-03-10T08:00:00+01:00")
    ledger.say(said, "2026-03-10T08:01")
    assert ledger.last() == ("mover", "name_change")


def test_case_37_a_corrected_personal_number_is_an_identity_change() -> None:
    ledger = employed()
    number = [{"kind": "samordningsnummer", "value": "197010632391"}]
    ledger.say(hr.event({"externalId": "p-1", "identifiers": number}, time="2026-03-10T08:00:00Z"), "2026-03-10T10:00")
    assert ledger.last() == ("mover", "identity_change")


def test_case_40_protection_goes_express() -> None:
    ledger = employed()
    revision = ledger.say(
        hr.event({"externalId": "p-1", "protection": "marked"}, time="2026-03-10T08:00:00Z"), "2026-03-10T10:00"
    )
    assert revision is not None
    assert (ledger.last(), revision.lane) == (("mover", "protection_changed"), Lane.EXPRESS)


def test_case_43_a_death_closes_all_employments_at_once() -> None:
    ledger = employed(hr.employment("1", start="2025-01-01"), hr.employment("2", start="2026-06-01"))
    said = hr.event({"externalId": "p-1", "deceasedOn": "2026-03-08"}, time="2026-03-10T08:00:00+01:00")
    revision = ledger.say(said, "2026-03-10T08:01")
    assert revision is not None
    assert (ledger.last(), revision.lane) == (("leaver", "death"), Lane.EXPRESS)
    assert {item.ends_at for item in revision.records.core.employments} == {local("2026-03-10T08:00")}
    assert revision.records.core.deceased


def test_a_dead_hourly_employee_leaves_the_pool_too() -> None:
    ledger = Ledger()
    day = hr.employment("d1", form="hourly", start="2026-03-02", end="2026-03-02")
    ledger.say(hr.event(hr.person("p-1", day), time=HIRED), "2026-03-02T07:00")
    said = hr.event({"externalId": "p-1", "deceasedOn": "2026-03-08"}, time="2026-03-10T08:00:00+01:00")
    ledger.say(said, "2026-03-10T08:01")
    assert ledger.last() == ("leaver", "death")


def test_a_transfer_takes_effect_at_its_date_and_keeps_its_case() -> None:
    ledger = employed()
    placed = [
        hr.assignment("u-1", "2025-01-01", validTo="2026-04-30"),
        hr.assignment("u-2", "2026-05-01"),
    ]
    moved = ledger.say(hr.change(time="2026-03-10T08:00:00+01:00", assignments=placed), "2026-03-10T08:01")
    assert moved is not None
    assert ledger.last() == ("mover", "transfer")
    assert moved.effective_at == local("2026-05-01T00:00")
    placed = [
        hr.assignment("u-1", "2025-01-01", validTo="2026-05-31"),
        hr.assignment("u-2", "2026-06-01"),
    ]
    later = ledger.say(hr.change(time="2026-03-11T08:00:00+01:00", assignments=placed), "2026-03-11T08:01")
    assert later is not None
    assert (ledger.last(), later.case_id) == (("mover", "transfer"), moved.case_id)
    reached = ledger.look("2026-06-01T00:00")
    assert reached is not None
    assert (ledger.last(), reached.case_id) == (("mover", "date_reached"), moved.case_id)


def test_what_changes_before_the_start_stays_in_the_joiners_case() -> None:
    ledger = Ledger()
    first = ledger.say(hr.hire(start="2026-06-01", time=HIRED), "2026-03-02T09:00")
    renamed = ledger.say(
        hr.event(hr.person("p-1", name={"given": "Åsa", "family": "Ek"}), time="2026-03-10T08:00:00+01:00"),
        "2026-03-10T08:01",
    )
    assert first is not None
    assert renamed is not None
    assert ledger.last() == ("joiner", "name_change")
    assert (renamed.case_id, renamed.effective_at) == (first.case_id, first.effective_at)


def test_the_same_snapshot_again_makes_no_revision() -> None:
    ledger = employed()
    again = hr.event(hr.person("p-1", hr.employment(start="2025-01-01")), time="2026-03-10T08:00:00+01:00")
    assert ledger.say(again, "2026-03-10T08:01") is None


def test_a_baseline_import_is_bulk_and_marks_its_employments() -> None:
    ledger = Ledger()
    said = hr.event(hr.person("p-1", hr.employment(start="2020-01-01"), baseline=True), time=HIRED)
    revision = ledger.say(said, "2026-03-02T09:00")
    assert revision is not None
    assert (ledger.last(), revision.lane, revision.baseline) == (("joiner", "hire"), Lane.BULK, True)
    assert revision.records.core.employments[0].baseline


def test_a_boundary_that_passed_unannounced_is_told_before_the_next_fact() -> None:
    ledger = employed(hr.employment(start="2025-01-01", end="2026-03-10"))
    ledger.say(
        hr.event(hr.person("p-1", name={"given": "Åsa", "family": "Ek"}), time="2026-03-11T00:00:05+01:00"),
        "2026-03-11T00:00:06",
    )
    told = [(revision.kind, revision.reason) for revision in ledger.revisions[1:]]
    assert told == [(CaseKind.LEAVER, Reason.DATE_REACHED), (CaseKind.MOVER, Reason.NAME_CHANGE)]
    assert ledger.look("2026-03-11T00:01") is None


def test_a_late_look_tells_several_boundaries_once_and_a_leaver_as_leaver() -> None:
    ledger = Ledger()
    ledger.say(hr.hire(start="2026-06-01", end="2026-06-30", form="seasonal", time=HIRED), "2026-03-02T09:00")
    ledger.look("2026-07-15T12:00")
    assert ledger.last() == ("leaver", "date_reached")
    assert len(ledger.revisions) == 2
    assert ledger.revisions[-1].effective_at == local("2026-07-01T00:00")


def test_revisions_are_gapless() -> None:
    ledger = employed(hr.employment(start="2025-01-01", end="2026-03-10"))
    ledger.look("2026-03-12T00:00")
    ledger.say(hr.change(time="2026-03-12T08:00:00+01:00", validTo=None), "2026-03-12T08:01")
    assert [revision.number for revision in ledger.revisions] == [1, 2, 3]
    assert ZONE.key == "Europe/Stockholm"
