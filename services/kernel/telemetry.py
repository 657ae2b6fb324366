"""Logs and traces: static event names, identifiers as keys, redaction, W3C trace context from door to target."""

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any, cast

import orjson
import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

REDACTED = "[redacted]"
_PERSONAL_KEYS = re.compile(
    r"(?i)(name$|names$|^name|mail|phone|address|birth|personnummer|identifier|password|secret|token|authorization|body)"
)
_ALLOWED_KEYS = frozenset({"event_name", "logger_name", "table_name", "queue_name"})
_PERSONAL_NUMBER = re.compile(r"\b(?:\d{2})?\d{6}[-+ ]?\d{4}\b")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_INPUT_VALUE = re.compile(r"input_value=.*")
_propagator = TraceContextTextMapPropagator()


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take out what could be a person's name, number or address, by key and by shape; identifiers stay.

    Our own event names are static; the text of a foreign logger (`_record`) may quote anything, so it is looked at too.
    """
    kept = {"timestamp", "level"} if "_record" in event else {"timestamp", "level", "event"}
    for key, value in event.items():
        if key not in kept and key != "_record":
            event[key] = _redacted(key, value)
    return event


@lru_cache(4_096)
def _is_personal(key: str) -> bool:
    return _PERSONAL_KEYS.search(key) is not None and key not in _ALLOWED_KEYS


def _redacted(key: str, value: Any) -> Any:
    if _is_personal(key):
        return REDACTED
    if isinstance(value, str):
        value = _PERSONAL_NUMBER.sub(REDACTED, value)
        if "@" in value:
            value = _MAIL.sub(REDACTED, value)
        return _INPUT_VALUE.sub(REDACTED, value) if "input_value" in value else value
    if isinstance(value, dict):
        return {name: _redacted(str(name), inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redacted("", inner) for inner in value]
    return value


def stack_without_values(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Render an exception as types and frames: its message may quote a person's data."""
    found = event.pop("exc_info", None)
    error = sys.exc_info()[1] if found is True else found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["exception"] = type(error).__qualname__
        event["stack"] = "".join(traceback.format_tb(error.__traceback__))
    return event


def configure(service: str, *, level: str = "info") -> None:
    """Set structlog up for the process: one JSON line per event on standard error, foreign loggers included."""
    numeric = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        stack_without_values,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(serializer=lambda value, **_: orjson.dumps(value).decode()),
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=max(numeric, logging.WARNING), force=True)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(module=name))


Attributes = Mapping[str, str | int | bool]
"""By OpenTelemetry's semantic conventions where there is one; identifiers and codes, never data of a person."""

FLUSH_MILLISECONDS = 3_000
_QUEUED = 8_192


class _Tracing:
    """Where spans go: nowhere, unless `export_traces` said so; trace ids are made and carried in any case."""

    def __init__(self) -> None:
        self.exporting = False
        self.use(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))

    def use(self, provider: TracerProvider) -> None:
        self.provider = provider
        self.tracer = provider.get_tracer("stafett")


_tracing = _Tracing()


def export_traces(service: str, endpoint: str, ratio: float) -> None:
    """Send spans to an OpenTelemetry collector (OTLP over HTTP, protobuf), in the background and in batches.

    A collector that is away costs nothing but its spans.

    Args:
        service: Becomes `service.name`.
        endpoint: Its address without a path, such as `http://collector:4318`.
        ratio: Which share of the traces that begin here is kept; one that was begun by a caller follows the caller.
    """
    # protobuf and an HTTP client: only for those who asked
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        resource=Resource.create({"service.name": service, "service.namespace": "stafett"}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=_QUEUED, schedule_delay_millis=1_000))
    _tracing.use(provider)
    _tracing.exporting = True


def stop_traces() -> None:
    """Send what is left, for a few seconds at most, and keep nothing from then on."""
    if _tracing.exporting:
        _tracing.exporting = False
        _tracing.provider.force_flush(FLUSH_MILLISECONDS)
        _tracing.provider.shutdown()
        _tracing.use(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))


@contextmanager
def span(
    name: str,
    traceparent: str | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
) -> Iterator[str]:
    """Run a block in a span that continues `traceparent`, and yield the traceparent for what it causes.

    The trace id is bound to every log line within (W3C Trace Context, section 3.2). An exception marks the span as
    failed with its type alone: its message may quote a person's data.
    """
    parent = _propagator.extract({"traceparent": traceparent}) if traceparent else None
    with _tracing.tracer.start_as_current_span(
        name,
        context=parent,
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        said = _traceparent(current)
        with structlog.contextvars.bound_contextvars(trace=said[3:35]):
            try:
                yield said
            except BaseException as error:
                _fail(current, error)
                raise


def serving(method: str, traceparent: str | None) -> AbstractContextManager[str]:
    """Run an HTTP request in its span; `served` names it by its route, which is known when it is over."""
    return span(method, traceparent, kind=SpanKind.SERVER, attributes={"http.request.method": method})


def served(method: str, route: str, status: int) -> None:
    """Name the request's span by the template of its route and say how it was answered."""
    current = trace.get_current_span()
    current.update_name(f"{method} {route}")
    current.set_attribute("http.route", route)
    current.set_attribute("http.response.status_code", status)
    if status >= 500:
        fail(str(status))


def current_traceparent() -> str:
    """Return the traceparent of the span under way, for what it causes."""
    return _traceparent(trace.get_current_span())


def fail(code: str) -> None:
    """Mark the current span as failed, by a code: the block goes on."""
    current = trace.get_current_span()
    current.set_attribute("error.type", code)
    current.set_status(Status(StatusCode.ERROR))


@contextmanager
def spans(
    causes: Sequence[str | None], describe: Callable[[int], tuple[str, Attributes]], *, kind: SpanKind
) -> Iterator[Sequence[str | None]]:
    """Run a block in one span for each of its causes (traceparents): a batch that many traces share.

    `describe` gives name and attributes of the span of the cause at an index. Yields the traceparent for what each of
    them causes. Causes whose trace is not kept pass through as they are and cost nothing.
    """
    if not _tracing.exporting:
        yield causes
        return
    begun = [_begin(cause, index, describe, kind) for index, cause in enumerate(causes)]
    try:
        yield [_traceparent(one) if one else cause for one, cause in zip(begun, causes, strict=True)]
    except BaseException as error:
        for one in begun:
            if one is not None:
                _fail(one, error)
        raise
    finally:
        for one in begun:
            if one is not None:
                one.end()


def _begin(
    cause: str | None, index: int, describe: Callable[[int], tuple[str, Attributes]], kind: SpanKind
) -> Span | None:
    if cause is None or not int(cause[-2:], 16) & 1:
        return None
    name, attributes = describe(index)
    return _tracing.tracer.start_span(
        name,
        context=_propagator.extract({"traceparent": cause}),
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    )


def _traceparent(span_: Span) -> str:
    context = span_.get_span_context()
    return f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-{context.trace_flags:02x}"


def _fail(span_: Span, error: BaseException) -> None:
    span_.set_attribute("error.type", type(error).__qualname__)
    span_.set_status(Status(StatusCode.ERROR))
