"""A strict fake of ingestion and status: real HTTP, only the calls that a test expects, everything checked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr
from typer.testing import CliRunner, Result
from typing_extensions import override

from services.cli.bootstrap import build
from services.cli.settings import Settings

TOKEN = "token-of-the-test"


@dataclass(frozen=True)
class Call:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


Answer = tuple[int, Any]
Route = Callable[[Call], Answer]


@dataclass
class FakeApi:
    """Answers what it was told to answer; anything else is a 599 that no test expects."""

    url: str = ""
    routes: dict[tuple[str, str], Route] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def answers(self, method: str, path: str, *answers: Answer) -> None:
        """Answer in turn; the last answer is repeated."""
        left = list(answers)
        self.routes[method, path] = lambda _call: left.pop(0) if len(left) > 1 else left[0]

    def handle(self, call: Call) -> Answer:
        """Check what holds for every call, then answer."""
        self.calls.append(call)
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"title": "No token", "code": "token.missing", "status": 401}
        route = self.routes.get((call.method, call.path))
        return (599, {"title": f"unexpected {call.method} {call.path}"}) if route is None else route(call)


@contextmanager
def serving() -> Iterator[FakeApi]:
    """Serve on a free port."""
    fake = FakeApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            chunked = self.headers.get("Transfer-Encoding") == "chunked"
            raw = self._chunks() if chunked else self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = (
                raw if headers.get("content-type") == "application/octet-stream" else json.loads(raw) if raw else None
            )
            status, answer = fake.handle(Call(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body))
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/problem+json" if status >= 400 else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _chunks(self) -> bytes:
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

        do_GET = do_POST = _handle  # noqa: N815 - http.server's names

        @override
        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def invoke(api: FakeApi, *words: str, typed: str | None = None, token: str | None = TOKEN, lang: str = "en") -> Result:
    """Run `stafett` against the fake; what no user should see is raised."""
    settings = Settings(
        ingestion_url=api.url,
        status_url=api.url,
        accounts_url=api.url,
        orgtree_url=api.url,
        token=None if token is None else SecretStr(token),
        _env_file=None,
    )
    runner = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"})
    found = runner.invoke(build(settings), ["--lang", lang, *words], input=typed)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found
