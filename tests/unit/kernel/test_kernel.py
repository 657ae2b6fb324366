"""The kernel's pure parts: failure rules, clock, topology, redaction, crash points, effect keys."""

import re
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codes import StepState
from services.kernel import telemetry
from services.kernel.clock import day_after, local_date, start_of_day
from services.kernel.effects import effect_key
from services.kernel.failures import (
    Failure,
    Held,
    Permanent,
    StaleLease,
    Throttled,
    Transient,
    Unavailable,
    Waiting,
    rule,
)
from services.kernel.messaging import topology

STOCKHOLM = ZoneInfo("Europe/Stockholm")


def ceiling(value: float) -> float:
    return value


@pytest.mark.parametrize(
    ("failure", "removing", "skipped"),
    [
        (Permanent("x"), False, True),
        (Waiting("x"), False, True),
        (Transient("x"), False, True),
        (Permanent("x"), True, False),
        (Held("x"), False, False),
        (Unavailable("x"), False, False),
        (Throttled("x", retry_after=1), False, False),
        (StaleLease("x"), False, False),
    ],
)
def test_only_what_a_person_cannot_get_is_skipped(failure: Failure, removing: bool, skipped: bool) -> None:
    ruling = rule(failure, 1, removing=removing, jitter=ceiling, skip=True)
    assert (ruling.state is StepState.SKIPPED, ruling.row_state == "idle") == (skipped, skipped)


@pytest.mark.parametrize(
    ("failure", "attempt", "removing", "state", "retry_in"),
    [
        (Transient("x"), 1, False, StepState.RETRYING, 4.0),
        (Transient("x"), 11, False, StepState.RETRYING, 900.0),
        (Transient("x"), 12, False, StepState.PARKED, None),
        (Transient("x"), 12, True, StepState.RETRYING, 900.0),
        (Failure("x"), 4, False, StepState.RETRYING, 32.0),
        (Failure("x"), 5, False, StepState.PARKED, None),
        (Failure("x"), 500, True, StepState.RETRYING, 900.0),
        (Throttled("x", retry_after=17), 99, False, StepState.RETRYING, 17),
        (Throttled("x", retry_after=17), 99, True, StepState.RETRYING, 17),
        (Permanent("x"), 1, True, StepState.PARKED, None),
        (Waiting("x"), 50, False, StepState.WAITING, 300.0),
        (Held("x"), 1, True, StepState.HELD, None),
        (Unavailable("x"), 50, False, StepState.RETRYING, 2.0),
    ],
)
def test_each_failure_class_has_its_rule(
    failure: Failure, attempt: int, removing: bool, state: StepState, retry_in: float | None
) -> None:
    ruling = rule(failure, attempt, removing=removing, jitter=ceiling)
    assert (ruling.state, ruling.retry_in) == (state, retry_in)


@given(st.integers(1, 10_000), st.sampled_from([Transient("x"), Throttled("x", retry_after=60), Failure("x")]))
def test_work_that_removes_access_never_parks_and_comes_back_within_15_minutes(attempt: int, failure: Failure) -> None:
    ruling = rule(failure, attempt, removing=True, jitter=ceiling)
    assert ruling.state is StepState.RETRYING
    assert ruling.retry_in is not None
    assert 0 <= ruling.retry_in <= 900


def test_neither_outage_nor_throttling_burns_an_attempt() -> None:
    assert rule(Unavailable("x"), 3, removing=False, jitter=ceiling).attempts == 2
    assert rule(Throttled("x", retry_after=1), 3, removing=False, jitter=ceiling).attempts == 2


@pytest.mark.parametrize(
    ("day", "instant"),
    [
        (date(2026, 3, 28), datetime(2026, 3, 28, 23, tzinfo=UTC)),
        (date(2026, 3, 29), datetime(2026, 3, 29, 22, tzinfo=UTC)),
        (date(2026, 10, 24), datetime(2026, 10, 24, 22, tzinfo=UTC)),
        (date(2026, 10, 25), datetime(2026, 10, 25, 23, tzinfo=UTC)),
        (date(2028, 2, 29), datetime(2028, 2, 29, 23, tzinfo=UTC)),
    ],
)
def test_access_closes_at_local_midnight_after_the_last_day(day: date, instant: datetime) -> None:
    assert day_after(day, STOCKHOLM) == instant


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)))
def test_a_day_starts_on_its_own_date(day: date) -> None:
    assert local_date(start_of_day(day, STOCKHOLM), STOCKHOLM) == day
    assert start_of_day(day, STOCKHOLM) < day_after(day, STOCKHOLM)


def test_until_further_notice_has_no_end() -> None:
    assert day_after(date.max, STOCKHOLM).year == 9999


def test_confidential_is_bound_only_where_a_reason_is_listed() -> None:
    bound = {service for service, topics in topology.SUBSCRIPTIONS.items() if "person.confidential" in topics}
    assert bound == set(topology.CONFIDENTIAL_REASONS)


def test_every_consumer_of_a_producer_must_stand_before_it_publishes() -> None:
    assert topology.awaited("ingestion") == {
        "accounts.express",
        "accounts.bulk",
        "orgtree.express",
        "orgtree.bulk",
        "status.express",
        "status.bulk",
    }
    assert "accounts.commands" in topology.awaited("status")
    assert topology.producers_for("status") == ("accounts", "ingestion", "orgtree", "status")


def test_a_service_may_touch_only_its_own_queues() -> None:
    definitions: Any = topology.definitions({"accounts": "x", "status": "y"}, broker_major=3)
    permissions = {row["user"]: row for row in definitions["permissions"]}
    assert "status" not in permissions["accounts"]["read"]
    assert "accounts" not in permissions["status"]["configure"]


def test_delivery_limits_are_lifted_only_where_the_broker_knows_how() -> None:
    old = topology.definitions({"accounts": "x"}, broker_major=3)
    new = topology.definitions({"accounts": "x"}, broker_major=4)
    assert "delivery-limit" not in str(old)
    assert "'delivery-limit': -1" in str(new)


def test_from_4_on_no_queue_has_the_brokers_own_delivery_limit() -> None:
    definitions: Any = topology.definitions(dict.fromkeys(topology.SERVICES, "x"), broker_major=4)
    lifted = [row["pattern"] for row in definitions["policies"] if row["definition"].get("delivery-limit") == -1]
    queues = {topology.UNROUTED, *(queue for service in topology.SERVICES for queue in topology.queues(service))}
    assert {queue for queue in queues if not any(re.search(pattern, queue) for pattern in lifted)} == set()


@pytest.mark.parametrize("key", ["given_name", "mail", "phone", "password", "token", "body", "identifiers"])
def test_personal_keys_are_redacted(key: str) -> None:
    assert telemetry.redact(None, "", {"event": "x", key: "Anna"})[key] == telemetry.REDACTED


@pytest.mark.parametrize("text", ["refused 19701063-2391 here", "to anna@alvsund.example", "701063+2391"])
def test_personal_shapes_are_redacted(text: str) -> None:
    cleaned = telemetry.redact(None, "", {"event": "x", "cause": text})["cause"]
    assert telemetry.REDACTED in cleaned
    assert "2391" not in cleaned
    assert "anna" not in cleaned


def test_identifiers_stay_in_the_log() -> None:
    person = "0c3b7c7e-2a1f-4a55-9d5e-8d5a0d1f2b3c"
    assert telemetry.redact(None, "", {"event": "x", "person": person, "case": person})["person"] == person


def test_a_trace_is_continued() -> None:
    with telemetry.span("outer") as first, telemetry.span("inner", first) as second:
        assert first.split("-")[1] == second.split("-")[1]
        assert first.split("-")[2] != second.split("-")[2]


def test_an_effects_key_is_the_business_thing() -> None:
    one = effect_key("employment-1", {"pay": "30000", "form": "permanent"})
    assert one == effect_key("employment-1", {"form": "permanent", "pay": "30000"})
    assert one != effect_key("employment-1", {"form": "permanent", "pay": "30001"})
