"""The demo's model of who can log in: small enough to be checked by hand, case by case."""

from datetime import timedelta
from typing import Any

import pytest

from deploy.demo.dates import AFTERNOON, MORNING, days
from deploy.demo.house import POLICY
from deploy.demo.oracle import Oracle

NUMBER = "400001"


def said(id_: str = "1", *, start: int, end: int | None = None, form: str = "permanent", **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "form": form,
        "validFrom": days(start).isoformat(),
        "validTo": None if end is None else days(end).isoformat(),
        "employeeNumber": NUMBER,
        **more,
    }


def event(*employments: dict[str, Any], time: str = "2026-03-02T14:00:00+01:00") -> dict[str, Any]:
    return {"time": time, "data": {"externalId": "p-1", "employments": list(employments)}}


def at(*events: dict[str, Any], later: int = 0) -> bool | None:
    oracle = Oracle("alvsund", POLICY)
    oracle.take(events)
    return oracle.accounts(MORNING + timedelta(days=later)).get(NUMBER)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (-100, None, True),
        (0, None, True),
        (1, None, False),
        (14, None, False),
        (15, None, None),
        (-100, 0, True),
        (-100, -1, False),
        (-100, -30, False),
        (-100, -31, None),
    ],
)
def test_prepared_before_open_between_kept_for_a_while(start: int, end: int | None, expected: bool | None) -> None:
    assert at(event(said(start=start, end=end))) is expected


def test_a_short_gap_to_what_is_already_recorded_is_bridged_and_a_long_one_is_not() -> None:
    before = "2026-02-02T14:00:00+01:00"
    assert at(event(said(start=-100, end=-2), said("2", start=2), time=before)) is True
    assert at(event(said(start=-100, end=-9), said("2", start=2), time=before)) is False


def test_a_gap_is_not_bridged_to_what_was_recorded_after_the_end() -> None:
    ended = event(said(start=-100, end=-2), time="2026-02-02T14:00:00+01:00")
    assert at(ended, event(said("2", start=2), time="2026-03-01T14:00:00+01:00")) is False


@pytest.mark.parametrize(("last", "expected"), [(-1, True), (-60, True), (-61, False), (-120, False), (-121, None)])
def test_hourly_staff_stay_in_the_pool_and_then_have_their_grace(last: int, expected: bool | None) -> None:
    assert at(event(said(start=last, end=last, form="hourly"), time="2025-09-01T14:00:00+02:00")) is expected


def test_no_booking_bridges_over_a_dismissal() -> None:
    oracle = Oracle("alvsund", POLICY)
    bookings = [said(str(day), start=day, end=day, form="hourly") for day in (-1, 0, 7)]
    oracle.take([event(*bookings, time="2026-02-02T14:00:00+01:00"), event({"id": "0", "endReason": "dismissal"})])
    assert oracle.accounts(MORNING) == {NUMBER: True}
    assert oracle.accounts(AFTERNOON) == {NUMBER: False}
    assert oracle.accounts(MORNING + timedelta(days=7)) == {NUMBER: True}


def test_of_two_employments_one_is_enough() -> None:
    assert at(event(said(start=-100, end=-9), said("2", start=-50, form="elected", end=900))) is True


def test_a_cancelled_hire_leaves_nothing() -> None:
    assert at(event(said(start=3)), event({"id": "1", "cancelled": True})) is None


def test_a_dismissal_closes_at_the_instant_it_was_stated() -> None:
    oracle = Oracle("alvsund", POLICY)
    end = {"id": "1", "validTo": days(0).isoformat(), "endReason": "dismissal"}
    oracle.take([event(said(start=-100)), event(end)])
    assert oracle.accounts(MORNING) == {NUMBER: True}
    assert oracle.accounts(AFTERNOON) == {NUMBER: False}


def test_a_field_that_is_left_out_keeps_its_value() -> None:
    assert at(event(said(start=-100)), event({"id": "1", "validTo": days(-1).isoformat()})) is False
