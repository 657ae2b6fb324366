"""The desk of targets, with accounts as the test says it answers."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from services.portal.bootstrap import Portal
from services.portal.domain.answers import Refused
from tests.integration.portal.conftest import Clock, Someone, signed_in
from tests.support.portal import FakeApi

PERSON, FINDING = str(uuid4()), str(uuid4())
AT = "2026-03-01T12:00:00Z"
DRIFT, PLAN = "/v1/drift/openldap", "/v1/takeover/openldap"


@pytest.fixture
async def olof(lonely: Portal, api: FakeApi, clock: Clock) -> AsyncIterator[Someone]:
    found = await signed_in(lonely, api, clock, "operations")
    counts = {"rows": 1, "approved": 0, "adopted": 0, "refused": 0}
    api.answers[("GET", DRIFT)] = {"comparedAt": AT, "read": 9, "findings": 2, "kinds": {"changed": 2}}
    api.answers[("GET", f"{DRIFT}/findings")] = {"items": [finding()], "next": None}
    api.answers[("GET", PLAN)] = {
        "plan": "abc", "madeAt": AT, "counts": {"certain": counts, "ambiguous": counts, "none": counts},
    }  # fmt: skip
    yield found
    await found.client.aclose()


def finding() -> dict[str, Any]:
    return {
        "id": FINDING, "kind": "changed", "attribute": "title", "object": "e", "firstSeen": AT,
        "decisions": ["reclaim", "accept", "ignore"], "detail": {"wanted": ["Lärare"], "observed": ["<b>Chef"]},
    }  # fmt: skip


async def test_what_differs_is_shown_as_text_and_decided_with_a_reason(olof: Someone, api: FakeApi) -> None:
    shown = (await olof.get("/targets/openldap")).text
    assert "&lt;b&gt;Chef" in shown
    ask = await olof.get(f"/targets/openldap/decide?finding={FINDING}&choice=reclaim,ignore")
    assert (ask.status_code, 'value="accept"' in ask.text) == (200, False)
    assert (await olof.send("/targets/openldap/decide", finding=FINDING, decision="reclaim")).status_code == 422
    assert (await olof.send("/targets/openldap/decide", finding=FINDING, reason="x")).status_code == 422
    path = f"/v1/drift/findings/{FINDING}/decide"
    api.answers[("POST", path)] = {"decided": 1, "lookedAt": 1}
    done = await olof.send("/targets/openldap/decide", finding=FINDING, decision="reclaim", reason="beslut")
    assert (done.status_code, done.headers["location"]) == (303, "/targets/openldap")
    assert [call.body for call in api.calls if call.path == path] == [{"decision": "reclaim", "reason": "beslut"}]


async def test_all_of_a_kind_are_decided_when_their_number_was_typed(olof: Someone, api: FakeApi) -> None:
    form = (await olof.get("/targets/openldap/decide?kind=changed")).text
    assert ('value="accept"' in form, 'value="reopen"' in form) == (True, False)
    given = {"kind": "changed", "decision": "accept", "reason": "beslut"}
    api.answers[("POST", f"{DRIFT}/decide")] = Refused(409, "drift.count", "x", matches=3)
    asked = await olof.send("/targets/openldap/decide", **given)
    assert (asked.status_code, 'pattern="3"' in asked.text) == (422, True)
    api.answers[("POST", f"{DRIFT}/decide")] = {"decided": 3, "lookedAt": 0}
    assert (await olof.send("/targets/openldap/decide", **given, matches="3")).status_code == 303
    assert api.calls[-1].body == {**given, "attribute": None, "matches": 3}


async def test_a_plan_is_shown_and_adopted(olof: Someone, api: FakeApi) -> None:
    row = {"entry": "e-1", "userName": "<i>x", "candidates": [], "by": "name"}
    api.answers[("GET", f"{PLAN}/rows")] = {"plan": "abc", "items": [row], "next": None}
    assert "&lt;i&gt;x" in (await olof.get("/targets/openldap/takeover?certainty=ambiguous")).text
    assert (await olof.get("/targets/openldap/adopt?plan=abc")).status_code == 200
    api.answers[("POST", f"{PLAN}/adopt")] = Refused(409, "takeover.count", "x", matches=7)
    asked = await olof.send("/targets/openldap/adopt", plan="abc", reason="våg 1")
    assert 'pattern="7"' in asked.text
    api.answers[("POST", f"{PLAN}/adopt")] = {"approved": 1, "refused": []}
    done = await olof.send("/targets/openldap/adopt", plan="abc", entry="e-1", person=PERSON, reason="våg 1")
    assert done.status_code == 303
    pair = [{"entry": "e-1", "person": PERSON}]
    assert api.calls[-1].body == {"plan": "abc", "rows": pair, "reason": "våg 1", "matches": 1}


async def test_who_may_only_look_decides_nothing(lonely: Portal, api: FakeApi, clock: Clock) -> None:
    for role, status in {"operations": 200, "it_read": 403, "auditor": 403, "hr": 403}.items():
        someone = await signed_in(lonely, api, clock, role)
        assert (await someone.get("/targets/openldap/decide?kind=changed")).status_code == status, role
        assert (await someone.get("/targets")).status_code == (403 if role == "hr" else 200), role
        await someone.client.aclose()
