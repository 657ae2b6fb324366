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
    assert (await olof.send("/targets/openldap/decide", **given, confirmed="3")).status_code == 303
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


def beside() -> dict[str, Any]:
    person = {"person": PERSON, "name": "Anna <i>Ek", "employeeNumbers": ["7"], "shared": ["employee_number"]}
    return {
        "plan": "abc", "entry": "e-1", "userName": "annek", "enabled": True, "by": "employee_number",
        "detail": {"employeeNumber": ["7"], "cn": ["A Ek"]},
        "people": [{**person, "rivals": ["annek2"]}],
    }  # fmt: skip


async def test_an_account_beside_its_candidates_is_one_persons_or_nobodys(olof: Someone, api: FakeApi) -> None:
    api.answers[("GET", f"{PLAN}/rows/e-1")] = beside()
    shown = (await olof.get("/targets/openldap/account?entry=e-1")).text
    for text in (
        "Anna &lt;i&gt;Ek",
        "A Ek",
        "annek2",
        "entry=e-1&amp;person=" + PERSON,
        "dismiss?plan=abc&amp;entry=e-1",
    ):
        assert text in shown, text
    # the pair is named where it is approved
    assert "Anna &lt;i&gt;Ek" in (await olof.get(f"/targets/openldap/adopt?plan=abc&entry=e-1&person={PERSON}")).text
    assert (await olof.get("/targets/openldap/account?entry=../x")).status_code == 422
    assert (await olof.get("/targets/openldap/dismiss?plan=abc&entry=e-1")).status_code == 200
    assert (await olof.send("/targets/openldap/dismiss", plan="abc", entry="e-1")).status_code == 422
    api.answers[("POST", f"{PLAN}/dismiss")] = {"dismissed": 1}
    done = await olof.send("/targets/openldap/dismiss", plan="abc", entry="e-1", reason="delat konto")
    assert done.headers["location"] == "/targets/openldap/takeover?certainty=ambiguous"
    assert api.calls[-1].body == {"plan": "abc", "entries": ["e-1"], "reason": "delat konto"}


async def test_units_go_live_when_the_number_of_their_people_was_typed(olof: Someone, api: FakeApi) -> None:
    live = "/v1/targets/openldap/live"
    one = {"unit": "100", "name": "Björk<b>", "people": 3}
    api.answers[("GET", "/v1/targets/openldap/units")] = {"staged": True, "all": None, "live": 0, "items": [one]}
    shown = (await olof.get("/targets/openldap/live")).text
    assert ("Björk&lt;b&gt;" in shown, 'value="100"' in shown) == (True, True)
    assert 'href="/targets/openldap/live"' in (await olof.get("/targets/openldap")).text
    assert (await olof.send("/targets/openldap/live/ask")).status_code == 422
    api.answers[("POST", f"{live}/plan")] = {"people": 3}
    asked = await olof.send("/targets/openldap/live/ask", unit="100")
    assert (asked.status_code, 'pattern="3"' in asked.text) == (200, True)
    assert (await olof.send("/targets/openldap/live", unit="100", confirmed="3")).status_code == 422
    assert (await olof.send("/targets/openldap/live", unit="100", reason="våg 1")).status_code == 422
    assert not [call for call in api.calls if call.path == live]
    api.answers[("POST", live)] = Refused(409, "target.count", "x", matches=4)
    assert (await olof.send("/targets/openldap/live", unit="100", reason="våg 1", confirmed="3")).status_code == 422
    api.answers[("POST", live)] = {"units": ["100"], "lookedAtAgain": 3}
    assert (await olof.send("/targets/openldap/live", unit="100", reason="våg 1", confirmed="3")).status_code == 303
    assert api.calls[-1].body == {"units": ["100"], "reason": "våg 1", "matches": 3}


async def test_a_reading_tells_how_far_it_is_and_when_it_has_ended(olof: Someone, api: FakeApi) -> None:
    api.answers[("GET", DRIFT)] = {"comparedAt": AT, "read": 9, "running": True, "soFar": 4}
    under_way = (await olof.get("/targets/openldap/reading")).text
    assert ('max="9" value="4"' in under_way, 'data-every="2"' in under_way) == (True, True)
    api.answers[("GET", DRIFT)] = {"comparedAt": AT, "read": 9}
    ended = (await olof.get("/targets/openldap/reading")).text
    assert ("data-every" in ended, 'href="/targets/openldap"' in ended) == (False, True)
    api.answers[("GET", PLAN)] = {"planning": True, "soFar": None}
    assert 'data-every="2"' in (await olof.get("/targets/openldap/planning")).text
    api.answers[("GET", PLAN)] = {"planning": False, "plan": "abc"}
    assert 'href="/targets/openldap/takeover"' in (await olof.get("/targets/openldap/planning")).text


async def test_who_may_only_look_decides_nothing(lonely: Portal, api: FakeApi, clock: Clock) -> None:
    for role, status in {"operations": 200, "it_read": 403, "auditor": 403, "hr": 403}.items():
        someone = await signed_in(lonely, api, clock, role)
        assert (await someone.get("/targets/openldap/decide?kind=changed")).status_code == status, role
        assert (await someone.get("/targets/openldap/dismiss?plan=a&entry=e")).status_code == status, role
        assert (await someone.send("/targets/openldap/live/ask", unit="*")).status_code in {status, 422}, role
        assert (await someone.get("/targets")).status_code == (403 if role == "hr" else 200), role
        await someone.client.aclose()


async def test_what_another_hand_took_from_a_person_is_decided_and_leads_back_to_them(
    olof: Someone, api: FakeApi
) -> None:
    asked = f"/targets/openldap/decide?kind=grant_taken&person={PERSON}&attribute=group%3Aalla"
    form = (await olof.get(asked)).text
    assert [f'value="{one}"' in form for one in ("reclaim", "accept", "ignore", "reopen")] == [True, True, False, False]
    assert "Give again" in form
    given = {"kind": "grant_taken", "person": PERSON, "attribute": "group:alla", "reason": "beslut"}
    wrong = await olof.send("/targets/openldap/decide", **given)
    assert (wrong.status_code, f'href="/people/{PERSON}"' in wrong.text) == (422, True)
    api.answers[("POST", f"{DRIFT}/decide")] = {"decided": 1, "lookedAt": 1}
    done = await olof.send("/targets/openldap/decide", **given, decision="accept")
    assert (done.status_code, done.headers["location"]) == (303, f"/people/{PERSON}")
    assert api.calls[-1].body == {**given, "decision": "accept"}
    other = await olof.send("/targets/openldap/decide", **{**given, "person": "//evil"}, decision="accept")
    assert other.headers["location"] == "/targets/openldap"


async def test_what_was_left_is_shown_with_who_said_so_and_can_be_taken_back(olof: Someone, api: FakeApi) -> None:
    word = {"decision": "accept", "actor": "<i>karin", "reason": "spärrad", "at": AT}
    left = {**finding(), "kind": "grant_taken", "attribute": "group:alla", "decision": word}
    api.answers[("GET", f"{DRIFT}/findings")] = {"items": [left], "next": None}
    shown = (await olof.get("/targets/openldap?ignored=true")).text
    assert "spärrad · &lt;i&gt;karin" in shown
    assert f"finding={FINDING}&amp;kind=grant_taken" in shown


async def test_the_persons_page_offers_the_decision_where_it_tells_the_trouble(
    olof: Someone, lonely: Portal, api: FakeApi, clock: Clock
) -> None:
    def trouble(code: str, group: str) -> dict[str, Any]:
        return {"code": code, "failure": "permanent", "parameters": {"group": group}}

    taken, left = trouble("account.grant_taken_elsewhere", "alla"), trouble("account.grant_left", "facket")
    missing = trouble("account.group_missing", "nya")
    step = {"service": "accounts", "target": "openldap", "code": "account.entitled"}
    entitled = {"kind": "group", "given": False, "wanted": True}
    target = {
        "service": "accounts", "target": "openldap", "revision": 1, "asOf": AT, "policyHash": "abc",
        "steps": [
            {**step, "state": "waiting", "problem": missing},
            {**step, "state": "parked", "problem": taken},
            {**step, "state": "skipped", "mandatory": False, "problem": left},
        ],
        "entitlements": [
            {**entitled, "value": "alla", "problem": taken},
            {**entitled, "value": "facket", "problem": left},
            {**entitled, "value": "nya", "problem": missing},
        ],
    }  # fmt: skip
    person = {"id": PERSON, "name": "Anna", "protection": "none", "revision": 1, "cases": [], "remains": []}
    api.answers[("GET", f"/v1/persons/{PERSON}")] = {**person, "targets": [target]}
    shown = (await olof.get(f"/people/{PERSON}/targets")).text
    ask = f"/targets/openldap/decide?kind=grant_taken&amp;person={PERSON}&amp;choice="
    addresses = [f"{ask}reclaim,accept&amp;attribute=group%3Aalla", f"{ask}reclaim&amp;attribute=group%3Afacket"]
    for address in (*addresses, f"{ask}reclaim,accept"):
        assert f'href="{address}"' in shown, address
    assert "group%3Anya" not in shown
    for told in ("decide to give it again or to leave it", "it was decided to leave it", "group is not in the target"):
        assert told in shown, told
    reader = await signed_in(lonely, api, clock, "it_read")
    assert "grant_taken&" not in (await reader.get(f"/people/{PERSON}/targets")).text
    await reader.client.aclose()
