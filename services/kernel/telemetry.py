"""Logs and traces: static event names, identifiers as keys, redaction, W3C trace context from door to target."""

import logging
import re
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, cast

import orjson
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer, format_span_id, format_trace_id
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


_provider = TracerProvider(shutdown_on_exit=False)


@cache
def _tracer() -> Tracer:
    return _provider.get_tracer("stafett")


@contextmanager
def span(name: str, traceparent: str | None = None) -> Iterator[str]:
    """Run a block in a span that continues `traceparent`, and yield the traceparent for what it causes.

    The trace id is bound to every log line within (W3C Trace Context, section 3.2).
    """
    parent = _propagator.extract({"traceparent": traceparent}) if traceparent else None
    with _tracer().start_as_current_span(name, context=parent) as current:
        context = current.get_span_context()
        trace_id, span_id = format_trace_id(context.trace_id), format_span_id(context.span_id)
        with structlog.contextvars.bound_contextvars(trace=trace_id):
            yield f"00-{trace_id}-{span_id}-{context.trace_flags:02x}"
