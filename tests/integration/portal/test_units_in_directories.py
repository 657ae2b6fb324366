"""How units stand in directories, on pages, with orgtree as the test says it answers."""

from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest

from services.portal.bootstrap import Portal
from services.portal.domain.answers import Refused
from tests.integration.portal.conftest import Clock, Someone, signed_in
from tests.support.portal import FakeApi

API = "/v1/organisation/targets"
PAGE = "/organisation/targets/openldap"
ADOPT = f"{API}/openldap/candidates/adopt"
TARGET = {
    "target": "openldap", "kind": "openldap", "mode": "dry_run", "placement": "by_unit", "objects": ["entry", "unit"],
    "units": 61, "members": 957, "membersWaiting": 3, "problems": 1, "findings": 2, "candidates": 1,
    "comparedAt": "2026-11-23T03:00:00Z",
}  # fmt: skip
PROBLEM = {"code": "unit.unmanaged", "failure": "permanent", "parameters": {}}
DAY = "2026-11-22T08:00:00Z"
HINDERED = {"unit": "o-1", "problem": PROBLEM, "state": "parked", "since": DAY, "retryAt": None}
CANDIDATE = {"unit": "o-1", "kind": "unit", "place": "cn=<b>,ou=groups"}
FOUND = {"unit": "o-2", "kind": "rollup", "code": "drift.unit_renamed", "count": 1, "firstSeen": DAY}


@pytest.fixture
async def ola(lonely: Portal, api: FakeApi, clock: Clock) -> AsyncIterator[Someone]:
    found = await signed_in(lonely, api, clock, "operations")
    yield found
    await found.client.aclose()


def answers(api: FakeApi, *candidates: dict[str, Any]) -> None:
    api.answers[("GET", API)] = {"items": [TARGET]}
    api.answers[("GET", f"{API}/openldap/problems")] = {"target": "openldap", "items": [HINDERED]}
    api.answers[("GET", f"{API}/openldap/findings")] = {"reading": True, "problem": None, "items": [FOUND]}
    api.answers[("GET", f"{API}/openldap/candidates")] = {"items": list(candidates)}


async def test_targets_and_what_hinders_and_was_found_are_shown(ola: Someone, api: FakeApi) -> None:
    answers(api, CANDIDATE)
    page = (await ola.get("/organisation/targets")).text
    assert all(each in page for each in ("957", "61", PAGE))
    page = unescape((await ola.get(PAGE)).text)
    words = ("/organisation/units/o-1", "cn=<b>,ou=groups", "Group with the units below", "Somebody changed the text")
    assert [each for each in words if each not in page] == []
    assert "Take all over" not in page, "there is but one"
    api.answers[("GET", API)] = {"items": []}
    assert "Units stand in no directory" in (await ola.get("/organisation/targets")).text


async def test_a_part_that_is_away_is_told_and_the_others_are_shown(ola: Someone, api: FakeApi) -> None:
    answers(api)
    del api.answers[("GET", f"{API}/openldap/findings")]
    page = await ola.get(PAGE)
    assert (page.status_code, "o-1" in page.text, "Nothing stands in the way" in page.text) == (200, True, True)
    api.answers[("GET", f"{API}/openldap/problems")] = Refused(404, "target.unknown", "There is none")
    assert (await ola.get(PAGE)).status_code == 404


async def test_taking_over_asks_for_a_reason_and_for_the_number(ola: Someone, api: FakeApi) -> None:
    answers(api, CANDIDATE, {**CANDIDATE, "unit": "o-3"})
    assert "Take all over" in (await ola.get(PAGE)).text
    form = await ola.get(f"{PAGE}/adopt?unit=o-1")
    assert (form.status_code, 'value="o-1"' in form.text) == (200, True)
    assert (await ola.send(f"{PAGE}/adopt", unit="o-1", reason=" ")).status_code == 422
    assert (await ola.send(f"{PAGE}/adopt", reason="ingen enhet är inte alla")).status_code == 422
    assert (await ola.send(f"{PAGE}/adopt", unit="o-1", reason="x", confirmed="9" * 5_000)).status_code == 422
    assert (await ola.get(f"{PAGE}/adopt?unit=")).status_code == 422
    assert not any(call.method == "POST" for call in api.calls if "matches" in (call.body or {}))
    api.answers[("POST", ADOPT)] = Refused(409, "target.count", "2 objects would be taken over", matches=2)
    asked = await ola.send(f"{PAGE}/adopt", unit="*", reason="de är våra")
    assert (asked.status_code, "It is about 2 objects" in asked.text) == (422, True)
    api.answers[("POST", ADOPT)] = {"objects": 2, "units": ["o-1", "o-3"]}
    done = await ola.send(f"{PAGE}/adopt", unit="*", reason="de är våra", confirmed="2")
    assert (done.status_code, done.headers["location"]) == (303, PAGE)
    assert api.calls[-1].body == {"units": ["*"], "reason": "de är våra", "matches": 2}


async def test_a_target_is_compared_now(ola: Someone, api: FakeApi) -> None:
    api.answers[("POST", f"{API}/openldap/read")] = {"target": "openldap", "reading": True}
    done = await ola.send(f"{PAGE}/read")
    assert (done.status_code, done.headers["location"]) == (303, PAGE)


async def test_who_may_not_sees_no_door_and_goes_through_none(lonely: Portal, api: FakeApi, clock: Clock) -> None:
    answers(api, CANDIDATE)
    reader = await signed_in(lonely, api, clock, "it_read")
    page = (await reader.get(PAGE)).text
    assert "Take over…" not in page
    assert "waits for a decision" in page
    assert (await reader.send(f"{PAGE}/adopt", unit="*", reason="x")).status_code == 403
    assert (await reader.send(f"{PAGE}/read")).status_code == 403
    await reader.client.aclose()
    manager = await signed_in(lonely, api, clock, "manager")
    assert (await manager.get(PAGE)).status_code == 403
    await manager.client.aclose()
