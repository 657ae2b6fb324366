"""The services' APIs over HTTP."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import httpx2

from services.cli.domain.failures import ApiProblem, Unreachable, WrongField
from services.cli.ports import JsonObject

BATCH = "application/cloudevents-batch+json"
FILE = "application/octet-stream"
TIMEOUT = 60.0


class HttpApi:
    """One service. The token is asked for at every call: a local issuer renews its file."""

    def __init__(self, url: str, token: Callable[[], str]) -> None:
        self._url = url
        self._token = token
        self._client = httpx2.Client(base_url=url, timeout=TIMEOUT)

    def get(self, path: str, **parameters: object) -> JsonObject:
        """Return the answer to a GET."""
        query = {name: str(value) for name, value in parameters.items() if value is not None}
        return self._object("GET", path, params=query or None)

    def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> JsonObject:
        """Return the answer to a POST; `key` makes it idempotent."""
        return self._object("POST", path, json=dict(body), headers={"Idempotency-Key": key} if key else {})

    def post_batch(self, path: str, events: Sequence[Mapping[str, Any]]) -> list[JsonObject]:
        """Send a batch of CloudEvents and return the verdict on each, in order."""
        content = json.dumps(list(events), ensure_ascii=False).encode()
        answer = self._call("POST", path, content=content, headers={"Content-Type": BATCH})
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list) or len(results) != len(events):
            raise ApiProblem(502, "answer.unexpected", f"{self._url}{path}: not one verdict per event")
        return results

    def upload(self, path: str, content: Iterable[bytes], **parameters: str | None) -> JsonObject:
        """Send a file as it is read."""
        query = {name: value for name, value in parameters.items() if value is not None}
        return self._object("POST", path, params=query, content=content, headers={"Content-Type": FILE})

    def download(self, path: str, **parameters: str) -> bytes:
        """Return a file."""
        return self._answer("GET", path, params=parameters).content

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _object(self, method: str, path: str, **options: Any) -> JsonObject:
        found = self._call(method, path, **options)
        if not isinstance(found, dict):
            raise ApiProblem(502, "answer.unexpected", f"{self._url}{path}: not a JSON object")
        return found

    def _call(self, method: str, path: str, **options: Any) -> Any:
        answer = self._answer(method, path, **options)
        try:
            return answer.json()
        except ValueError as error:
            raise ApiProblem(answer.status_code, "answer.unexpected", "The answer is not JSON") from error

    def _answer(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx2.Response:
        sent = {"Authorization": f"Bearer {self._token()}", **(headers or {})}
        try:
            answer = self._client.request(method, path, headers=sent, **options)
        except httpx2.TransportError as error:
            raise Unreachable(self._url) from error
        if answer.is_error:
            raise _problem(answer)
        return answer


def _problem(answer: httpx2.Response) -> ApiProblem:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    return ApiProblem(
        status=answer.status_code,
        code=str(body.get("code", f"http.{answer.status_code}")),
        title=str(body.get("title", answer.reason_phrase)),
        detail=body.get("detail"),
        errors=[
            WrongField(str(one.get("field", "")), str(one.get("code", "")), str(one.get("reason", "")))
            for one in body.get("errors", ())
        ],
        matches=body["matches"] if isinstance(body.get("matches"), int) else None,
    )
