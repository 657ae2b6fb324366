"""What a case took before: told, kept, and never mixed up with what is assumed."""

from typing import Any

import httpx2
import pytest

from tests.integration.status.conftest import token

OPERATOR = token()


async def tell(api: httpx2.AsyncClient, **said: Any) -> httpx2.Response:
    body = {"kind": "joiner", "minutes": 95.5, "leadHours": 72, "measuredOn": "2025-10-01", "cases": 12, **said}
    return await api.post("/v1/baseline", json=body, headers=OPERATOR)


async def test_the_newest_word_holds_and_none_is_lost(api: httpx2.AsyncClient) -> None:
    before = (await api.get("/v1/baseline", headers=token())).json()
    assert (before["items"], before["assumed"]) == ([], {"order": 34.0})
    assert (await tell(api, minutes=120)).status_code == 201
    assert (await tell(api)).status_code == 201
    assert (await tell(api, kind="order", minutes=30)).status_code == 201
    found = (await api.get("/v1/baseline", headers=token())).json()
    assert [(one["kind"], one["minutes"]) for one in found["items"]] == [("joiner", 95.5), ("order", 30.0)]
    assert (found["assumed"], len(found["told"])) == ({}, 3)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"minutes": -1}, "/body/minutes"),
        ({"cases": 0}, "/body/cases"),
        ({"kind": "dismissal"}, "/body/kind"),
        ({"measuredOn": "2999-01-01"}, "/body/measuredOn"),
    ],
)
async def test_what_cannot_have_been_measured_is_refused(
    api: httpx2.AsyncClient, said: dict[str, Any], field: str
) -> None:
    answer = await tell(api, **said)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_only_operations_tell(api: httpx2.AsyncClient) -> None:
    body = {"kind": "mover", "minutes": 1, "measuredOn": "2025-10-01", "cases": 1}
    assert (await api.post("/v1/baseline", json=body, headers=token(scopes="cases:read"))).status_code == 403
