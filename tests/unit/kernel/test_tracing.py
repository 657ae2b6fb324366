"""Traces: carried whether kept or not, kept as they should be, and never with a word of a person."""

from collections.abc import Iterator

import pytest
from opentelemetry.trace import SpanKind

from services.kernel import telemetry
from tests.support.collector import Collector, collecting

SAMPLED = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
UNSAMPLED = "00-" + "c" * 32 + "-" + "d" * 16 + "-00"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        telemetry.export_traces("test", collector.url, 0.0)
        try:
            yield collector
        finally:
            telemetry.stop_traces()


def test_without_a_collector_a_trace_is_carried_and_not_kept() -> None:
    with telemetry.span("outer", SAMPLED) as said:
        assert said[3:35] == "a" * 32
        assert said.endswith("-00")
    with telemetry.spans([SAMPLED, None], lambda _: ("publish", {}), kind=SpanKind.PRODUCER) as causes:
        assert causes == [SAMPLED, None]


def test_a_failed_span_names_the_type_of_its_exception_and_not_its_words(collector: Collector) -> None:
    with pytest.raises(ValueError, match="Anna"), telemetry.span("work", SAMPLED):
        raise ValueError("Anna Andersson, 19121212-1212")
    with telemetry.span("told", SAMPLED):
        telemetry.fail("unit.unknown")
    telemetry.stop_traces()
    failed, told = collector.spans()
    assert (failed.name, failed.failed, failed.events) == ("work", True, 0)
    assert failed.attributes == {"error.type": "ValueError"}
    assert (told.failed, told.attributes) == (True, {"error.type": "unit.unknown"})


def test_a_batch_has_a_span_for_each_trace_that_is_kept(collector: Collector) -> None:
    described: list[int] = []

    def describe(index: int) -> tuple[str, telemetry.Attributes]:
        described.append(index)
        return "process", {"messaging.message.id": str(index)}

    causes = [SAMPLED, None, UNSAMPLED, SAMPLED]
    with telemetry.spans(causes, describe, kind=SpanKind.CONSUMER) as continued:
        assert continued[1:3] == [None, UNSAMPLED]
        assert continued[0] != continued[3]
        assert {one[3:35] for one in continued if one and int(one[-2:], 16) & 1} == {"a" * 32}
    telemetry.stop_traces()
    assert described == [0, 3]
    assert [(one.kind, one.parent, one.attributes["messaging.message.id"]) for one in collector.spans()] == [
        ("CONSUMER", "b" * 16, "0"),
        ("CONSUMER", "b" * 16, "3"),
    ]


def test_a_batch_that_fails_fails_for_each_of_its_traces(collector: Collector) -> None:
    with (
        pytest.raises(OSError, match="gone"),
        telemetry.spans([SAMPLED, SAMPLED], lambda _: ("publish", {}), kind=SpanKind.PRODUCER),
    ):
        raise OSError("gone")
    telemetry.stop_traces()
    assert [one.failed for one in collector.spans()] == [True, True]


def test_a_collector_that_is_away_holds_nobody_up() -> None:
    telemetry.export_traces("test", "http://127.0.0.1:9", 1.0)
    with telemetry.span("work") as said:
        assert int(said[-2:], 16) & 1, "kept"
    telemetry.stop_traces()
    with telemetry.span("work") as said:
        assert not int(said[-2:], 16) & 1
