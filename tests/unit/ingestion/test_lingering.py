"""One definition of affiliation: how long it outlasts an employment, and what that makes of the person."""

from datetime import date, datetime

import pytest

from contracts.codes import Lane
from contracts.person import Employment
from tests.support import hr
from tests.unit.ingestion.ledger import Ledger, instant

HIRED = "2026-02-02T08:00:00+01:00"


def local(text: str) -> datetime:
    return instant(text).business


def told(*employments: dict[str, object], time: str = HIRED, at: str = "2026-02-02T09:00") -> Ledger:
    ledger = Ledger()
    ledger.say(hr.event(hr.person("p-1", *employments), time=time), at)
    return ledger


def employment(ledger: Ledger, start: str) -> Employment:
    assert ledger.dossier.records is not None
    found = ledger.dossier.records.core.employments
    return next(item for item in found if item.valid_from == date.fromisoformat(start))


def booking(day: str) -> dict[str, object]:
    return hr.employment(day, form="hourly", start=day, end=day)


@pytest.mark.parametrize(
    ("form", "bridged", "apart"),
    [
        ("permanent", "2026-03-06", "2026-03-07"),
        ("fixed_term", "2026-03-06", "2026-03-07"),
        ("seasonal", "2026-03-08", "2026-03-09"),
        ("trainee", "2026-03-04", "2026-03-05"),
        ("school_break", "2026-05-15", "2026-05-16"),
    ],
)
def test_a_gap_is_bridged_by_the_form_that_ends(form: str, bridged: str, apart: str) -> None:
    for start, expected in ((bridged, local(f"{bridged}T00:00")), (apart, None)):
        first = hr.employment("1", form=form, start="2026-01-01", end="2026-02-28")
        ledger = told(first, hr.employment("2", start=start))
        assert employment(ledger, "2026-01-01").lingers_until == expected
        ledger.look("2026-03-01T00:00")
        assert ledger.last()[0] == ("mover" if expected else "leaver")


def test_a_rehire_that_is_recorded_after_the_leave_is_not_bridged() -> None:
    ledger = told(hr.employment("1", start="2026-01-01", end="2026-02-28"))
    ledger.look("2026-03-01T00:00")
    assert ledger.last() == ("leaver", "date_reached")
    again = hr.event(hr.person("p-1", hr.employment("2", start="2026-03-04")), time="2026-03-02T08:00:00+01:00")
    revision = ledger.say(again, "2026-03-02T08:01")
    assert revision is not None
    assert (ledger.last(), revision.effective_at) == (("joiner", "rehire"), local("2026-03-04T00:00"))
    assert employment(ledger, "2026-01-01").lingers_until is None


def test_hourly_staff_linger_sixty_days_and_a_booking_starts_them_again() -> None:
    ledger = told(booking("2026-03-01"), booking("2026-03-09"))
    assert employment(ledger, "2026-03-01").lingers_until == local("2026-05-01T00:00")
    assert employment(ledger, "2026-03-09").lingers_until == local("2026-05-09T00:00")


def test_nothing_lingers_past_a_dismissal_of_any_employment() -> None:
    ledger = told(booking("2026-03-01"), booking("2026-03-02"), booking("2026-03-09"))
    said = hr.change(employment_id="2026-03-02", time="2026-03-02T10:00:00+01:00", endReason="dismissal")
    revision = ledger.say(said, "2026-03-02T10:01")
    assert revision is not None
    assert (ledger.last(), revision.lane) == (("leaver", "dismissal"), Lane.EXPRESS)
    assert revision.effective_at == local("2026-03-02T10:00")
    assert employment(ledger, "2026-03-01").lingers_until == local("2026-03-02T10:00")
    assert employment(ledger, "2026-03-02").lingers_until is None


def test_the_dismissal_on_a_booking_ahead_closes_the_pool() -> None:
    ledger = told(booking("2026-03-01"), booking("2026-03-09"))
    ledger.look("2026-03-02T00:00")
    said = hr.change(employment_id="2026-03-09", time="2026-03-03T10:00:00+01:00", endReason="dismissal")
    ledger.say(said, "2026-03-03T10:01")
    assert ledger.last() == ("leaver", "dismissal")
    assert employment(ledger, "2026-03-01").lingers_until == local("2026-03-03T10:00")


def test_a_dismissal_that_was_over_before_does_not_touch_a_later_employments_bridge() -> None:
    ledger = told(hr.employment("1", start="2026-01-01"))
    ledger.say(hr.change(time="2026-02-10T10:00:00+01:00", endReason="dismissal"), "2026-02-10T10:01")
    both = (hr.employment("2", start="2026-02-16", end="2026-02-27"), hr.employment("3", start="2026-03-02"))
    ledger.say(hr.event(hr.person("p-1", *both), time="2026-02-12T08:00:00+01:00"), "2026-02-12T08:01")
    assert employment(ledger, "2026-02-16").lingers_until == local("2026-03-02T00:00")


def test_the_dead_do_not_linger() -> None:
    ledger = told(booking("2026-03-01"), booking("2026-03-09"))
    ledger.look("2026-03-02T00:00")
    said = hr.event({"externalId": "p-1", "deceasedOn": "2026-03-03"}, time="2026-03-04T08:00:00+01:00")
    ledger.say(said, "2026-03-04T08:01")
    assert ledger.last() == ("leaver", "death")
    assert employment(ledger, "2026-03-01").lingers_until == local("2026-03-04T08:00")


@pytest.mark.parametrize("end", [None, "2026-12-31"])
def test_the_last_day_of_who_is_dismissed_is_that_day(end: str | None) -> None:
    ledger = told(hr.employment("1", start="2026-01-01", end=end), hr.employment("2", start="2026-01-15", extent=50))
    ledger.say(hr.change(time="2026-03-02T10:00:00+01:00", endReason="dismissal"), "2026-03-02T10:01")
    assert employment(ledger, "2026-01-01").valid_to == date(2026, 3, 2)
    assert ledger.dossier.records is not None
    main = ledger.dossier.records.core.main_employment(date(2026, 3, 3))
    assert main == employment(ledger, "2026-01-15")


def test_a_withdrawn_hire_during_a_bridge_is_a_leaver() -> None:
    ledger = told(hr.employment("1", start="2026-01-01", end="2026-02-27"), hr.employment("2", start="2026-03-04"))
    ledger.look("2026-02-28T00:00")
    ledger.say(hr.cancel(employment_id="2", time="2026-03-02T08:00:00+01:00"), "2026-03-02T08:01")
    assert ledger.last() == ("leaver", "end")


def test_a_death_of_someone_hired_ahead_is_a_death() -> None:
    ledger = told(hr.employment("1", start="2026-06-01"))
    said = hr.event({"externalId": "p-1", "deceasedOn": "2026-03-01"}, time="2026-03-02T08:00:00+01:00")
    ledger.say(said, "2026-03-02T08:01")
    assert ledger.last() == ("leaver", "death")


def test_who_is_first_recorded_between_two_bookings_is_here_since_the_last_one() -> None:
    bookings = (booking("2026-02-25"), booking("2026-02-27"), booking("2026-03-09"))
    ledger = told(*bookings, time="2026-03-02T08:00:00+01:00", at="2026-03-02T08:01")
    assert ledger.last() == ("joiner", "hire")
    assert ledger.revisions[-1].effective_at == local("2026-02-27T00:00")


def test_who_is_first_recorded_after_having_left_is_a_leaver_in_bulk() -> None:
    gone = hr.employment("1", start="2025-01-01", end="2026-01-31")
    ledger = told(gone, time="2026-03-02T08:00:00+01:00", at="2026-03-02T08:01")
    revision = ledger.revisions[-1]
    assert (ledger.last(), revision.lane) == (("leaver", "end"), Lane.BULK)
    assert revision.effective_at == local("2026-02-01T00:00")


def test_a_dismissal_by_a_clock_that_runs_a_little_ahead_is_at_once() -> None:
    ledger = told(hr.employment("1", start="2026-01-01"))
    said = hr.change(time="2026-03-02T10:04:00+01:00", endReason="dismissal")
    assert ledger.say(said, "2026-03-02T10:00") is not None
    assert ledger.last() == ("leaver", "dismissal")
    assert ledger.look("2026-03-02T10:05") is None


def away(start: str, end: str | None) -> dict[str, object]:
    return {"kind": "leave", "extent": "full", "validFrom": start, "validTo": end}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [away("2026-04-01", None)], "2026-04-01T00:00"),
        ([away("2026-02-09", "2026-06-30")], [away("2026-02-09", "2026-05-31")], "2026-06-01T00:00"),
        ([away("2026-02-09", "2026-06-30")], [away("2026-02-16", "2026-06-30")], "2026-03-02T10:00"),
        ([away("2026-02-09", "2026-06-30")], [], "2026-03-02T10:00"),
        ([away("2026-04-01", "2026-06-30")], [away("2026-05-01", "2026-06-30")], "2026-04-01T00:00"),
    ],
)
def test_an_absence_takes_effect_where_it_first_makes_a_difference(
    before: list[dict[str, object]], after: list[dict[str, object]], expected: str
) -> None:
    ledger = told(hr.employment("1", start="2026-01-01", absences=before))
    revision = ledger.say(hr.change(time="2026-03-02T10:00:00+01:00", absences=after), "2026-03-02T10:00")
    assert revision is not None
    assert (ledger.last(), revision.effective_at) == (("mover", "absence_changed"), local(expected))
