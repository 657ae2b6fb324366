"""A small OpenTelemetry collector: takes OTLP over HTTP (protobuf) as the real one does, and remembers the spans."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import decompress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from typing_extensions import override


@dataclass(frozen=True)
class Seen:
    """A span as it was sent."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    failed: bool
    events: int
    attributes: Mapping[str, str | int]
    begun: int
    ended: int


class Collector:
    """What has been received so far."""

    def __init__(self) -> None:
        self.url = ""
        self._spans: list[Seen] = []
        self._guard = threading.Lock()

    def take(self, body: bytes) -> None:
        """Take an export request."""
        found = [
            _seen(scope_span, _values(resource.resource.attributes))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for scope_span in scope.spans
        ]
        with self._guard:
            self._spans += found

    def spans(self, trace: str | None = None) -> list[Seen]:
        """Return the spans of a trace, or all."""
        with self._guard:
            return [one for one in self._spans if trace is None or one.trace == trace]


def _values(attributes: Iterable[KeyValue]) -> dict[str, str | int]:
    return {
        one.key: one.value.string_value if one.value.HasField("string_value") else one.value.int_value
        for one in attributes
    }


def _seen(span: Span, resource: Mapping[str, str | int]) -> Seen:
    return Seen(
        service=str(resource["service.name"]),
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        events=len(span.events),
        attributes=_values(span.attributes),
        begun=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = decompress(body)
            known = self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
            if known:
                collector.take(body)
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
