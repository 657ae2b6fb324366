"""Stafett's public doors, as an HR system and a reader of the status API use them, for one organisation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import httpx2

from contracts.envelope import BATCH_CONTENT_TYPE
from deploy.demo.generator import Told, line
from deploy.demo.patience import again

BATCH = 500
PAGE = 200
_BATCH = {"Content-Type": BATCH_CONTENT_TYPE}
_SECONDS = 120.0

Item = TypeVar("Item")


class DoorRefusedError(RuntimeError):
    """A door answered otherwise than it should; the message says how."""


class DoorClosedError(DoorRefusedError):
    """A door cannot answer now (5xx); ask again."""


@dataclass(frozen=True)
class Receipt:
    """What ingestion said about one event."""

    told: Told
    status: str
    person: str | None
    case: str | None
    revision: int | None
    problem: Mapping[str, Any] | None

    @property
    def accepted(self) -> bool:
        """It is in the ledger, since now or since an earlier run."""
        return self.status in ("accepted", "unchanged", "duplicate")


class Doors:
    """HTTP clients with the organisation's token."""

    def __init__(self, organisation: str, ingestion: str, status: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self.organisation = organisation
        self._ingestion = httpx2.Client(base_url=ingestion, headers=headers, timeout=_SECONDS)
        self._status = httpx2.Client(base_url=status, headers=headers, timeout=_SECONDS)

    def post(self, told: Iterable[Told]) -> Iterator[list[Receipt]]:
        """Send events in batches; yield what was said about each batch.

        Raises:
            DoorRefusedError: A whole batch was refused.
        """
        rest = iter(told)
        while batch := list(islice(rest, BATCH)):
            body = b"[" + b",".join(line(one.event) for one in batch) + b"]"
            results = _asked(self._ingestion, "POST", "/v1/events", content=body, headers=_BATCH)["results"]
            yield [_receipt(one, result) for one, result in zip(batch, results, strict=True)]

    def summary(self) -> Mapping[str, Any]:
        """Return the figures for a progress bar."""
        return _asked(self._status, "GET", "/v1/summary")

    def cases(self) -> Mapping[str, Mapping[str, Any]]:
        """Return all cases by id."""
        return {case["id"]: case for case in self._pages("/v1/cases")}

    def attention(self) -> Sequence[Mapping[str, Any]]:
        """Return what needs a hand."""
        return list(self._pages("/v1/attention"))

    def person(self, person: str) -> Mapping[str, Any]:
        """Return one person, as status shows them."""
        return _asked(self._status, "GET", f"/v1/persons/{person}")

    def person_url(self, person: str) -> str:
        """Return the address of a person."""
        return f"{str(self._status.base_url).rstrip('/')}/v1/persons/{person}"

    def _pages(self, path: str) -> Iterator[Mapping[str, Any]]:
        cursor: str | None = None
        while True:
            parameters = {"limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
            page = _asked(self._status, "GET", path, params=parameters)
            yield from page["items"]
            if (cursor := page["cursor"]) is None:
                return


def _asked(client: httpx2.Client, method: str, path: str, **content: Any) -> dict[str, Any]:
    return again(lambda: _once(client, method, path, **content), httpx2.TransportError, DoorClosedError)


def _once(client: httpx2.Client, method: str, path: str, **content: Any) -> dict[str, Any]:
    answer = client.request(method, path, **content)
    if answer.status_code == httpx2.codes.OK:
        return dict(answer.json())
    message = f"{answer.request.method} {answer.request.url} answered {answer.status_code}: {answer.text[:2000]}"
    if answer.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
        raise DoorClosedError(message)
    raise DoorRefusedError(message)


def _receipt(told: Told, result: Mapping[str, Any]) -> Receipt:
    return Receipt(
        told,
        result["status"],
        result.get("person"),
        result.get("case"),
        result.get("revision"),
        result.get("problem"),
    )
