"""Pages with services as the test says they answer: broken glass, confirmations, desks, streams, failures."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi import Request

from services.portal.bootstrap import Portal
from services.portal.domain.answers import Refused, Unreachable
from services.portal.handlers.watching import Seats
from services.portal.ports import Bearer
from tests.integration.portal.conftest import Clock, Someone, Surfer, signed_in
from tests.support.portal import FakeApi, hidden_without_a_reason

GÖTA, CASE = str(uuid4()), str(uuid4())
AT = "2026-03-01T12:00:00Z"
PERSON: dict[str, Any] = {
    "id": GÖTA,
    "name": "Göta Skyddadsson",
    "protection": "marked",
    "revision": 1,
    "targets": [],
    "cases": [],
    "remains": [],
}
ITEM = {"id": CASE, "person": GÖTA, "name": "Göta Skyddadsson", "kind": "joiner", "reason": "hire", "state": "done"}
DATES = {"revision": 1, "effectiveAt": AT, "acceptedAt": AT, "updatedAt": AT}
DETAIL = {**ITEM, **DATES, "evaluators": [], "steps": [], "remains": [], "history": []}
POLL = {"HX-Request": "true", "Stafett-Poll": "1"}


@pytest.fixture
async def hanna(lonely: Portal, api: FakeApi, clock: Clock) -> AsyncIterator[Someone]:
    found = await signed_in(lonely, api, clock)
    api.answers[("POST", "/v1/audit/glass")] = {"opened": "person"}
    api.answers[("GET", f"/v1/persons/{GÖTA}")] = hidden_without_a_reason(PERSON)
    api.answers[("GET", "/v1/cases")] = lambda bearer: {"items": [{**ITEM, **DATES}] if bearer.reason else []}
    api.answers[("GET", f"/v1/cases/{CASE}")] = hidden_without_a_reason(DETAIL)
    api.answers[("GET", "/v1/persons")] = lambda bearer: {"items": [PERSON] if bearer.reason else []}
    yield found
    await found.client.aclose()


async def test_glass_is_broken_for_one_person_and_told_to_the_audit_first(hanna: Someone, api: FakeApi) -> None:
    hidden = await hanna.get(f"/people/{GÖTA}")
    assert hidden.status_code == 404
    assert f'name="person" value="{GÖTA}"' in hidden.text, "the form says for whom"
    opened = await hanna.send("/glass", person=GÖTA, reason="ärende 17", next=f"/people/{GÖTA}")
    assert (opened.status_code, opened.headers["location"]) == (303, f"/people/{GÖTA}")
    (told,) = [call.body for call in api.calls if call.path == "/v1/audit/glass"]
    assert told == {"person": GÖTA, "reason": "ärende 17"}
    shown = await hanna.get(f"/people/{GÖTA}")
    assert shown.status_code == 200
    assert "Göta Skyddadsson" in shown.text
    seconds, _, where = shown.headers["refresh"].partition("; ")
    assert where == "url=/people", "what was shown goes away with the reason"
    assert 890 < int(seconds) <= 900

    other = str(uuid4())
    await hanna.get(f"/people/{other}")
    assert api.reasons(f"/v1/persons/{other}") == [None]
    await hanna.get("/people", params={"q": "göta"})
    assert api.reasons("/v1/persons") == [None], "a search is something else"
    assert (await hanna.get(f"/cases/{CASE}")).status_code == 200
    await hanna.get("/")
    assert api.reasons("/v1/summary") == [None]
    assert all(call.bearer.reason is None for call in api.calls if GÖTA not in str(call) and CASE not in call.path)


async def test_a_page_that_asks_by_itself_gives_no_reason(hanna: Someone, api: FakeApi) -> None:
    await hanna.send("/glass", person=GÖTA, reason="ärende 17")
    api.calls.clear()
    for path in (f"/people/{GÖTA}/targets", f"/cases/{CASE}"):
        part = await hanna.get(path, headers=POLL)
        assert (part.status_code, part.text) == (204, ""), "what a person looked at stays as it was seen"
    await hanna.get("/live")
    assert api.calls
    assert {call.bearer.reason for call in api.calls} == {None}


async def test_glass_is_broken_for_one_search_without_its_words(hanna: Someone, api: FakeApi, clock: Clock) -> None:
    page = await hanna.get("/people", params={"q": "göta"})
    assert 'name="search" value="göta"' in page.text
    await hanna.send("/glass", search="göta", reason="ärende 17", next="/people?q=g%C3%B6ta")
    (told,) = [call.body for call in api.calls if call.path == "/v1/audit/glass"]
    assert told == {"search": True, "reason": "ärende 17"}, "the words may be a name"
    found = await hanna.get("/people", params={"q": "göta"})
    assert found.status_code == 200, "a protected person's page asks for a reason of its own"
    assert "Göta Skyddadsson" in found.text
    assert "Göta" not in (await hanna.get("/people", params={"q": "got"})).text
    person = await hanna.get(f"/people/{GÖTA}")
    assert person.status_code == 404
    assert 'value="ärende 17"' in person.text
    clock.ahead = timedelta(minutes=16)
    assert "Göta Skyddadsson" not in (await hanna.get("/people", params={"q": "göta"})).text


@pytest.mark.parametrize("reason", ["a\ttab", "a\nline", "", "x" * 201])
async def test_a_reason_that_cannot_be_kept_is_said_at_its_field(hanna: Someone, api: FakeApi, reason: str) -> None:
    refused = await hanna.send("/glass", person=GÖTA, reason=reason)
    assert refused.status_code == 422
    assert 'aria-describedby="glass-wrong"' in refused.text
    assert api.calls == []
    assert (await hanna.get("/people")).status_code == 200


@pytest.mark.parametrize("trouble", [Unreachable("status"), Refused(404, "person.unknown", "t")])
async def test_what_is_not_in_the_audit_is_not_shown(hanna: Someone, api: FakeApi, trouble: Exception) -> None:
    api.answers[("POST", "/v1/audit/glass")] = trouble
    assert (await hanna.send("/glass", person=GÖTA, reason="ärende 17")).status_code in {404, 503}
    assert (await hanna.get(f"/people/{GÖTA}")).status_code == 404


async def test_who_has_not_the_right_breaks_no_glass(lonely: Portal, api: FakeApi, clock: Clock) -> None:
    someone = await signed_in(lonely, api, clock, "operations")
    assert (await someone.send("/glass", person=GÖTA, reason="nyfiken")).status_code == 403
    assert api.calls == []
    assert "glass-reason" not in (await someone.get(f"/people/{GÖTA}")).text
    await someone.client.aclose()


def target(*held: tuple[str, str]) -> dict[str, Any]:
    steps = [
        {
            "service": "accounts",
            "target": "ldap",
            "code": code,
            "state": "held",
            "problem": {"code": "guard.held", "parameters": {"hold": hold}},
        }
        for code, hold in held
    ]
    fields = {"service": "accounts", "target": "ldap", "userName": "anna.a", "revision": 1, "asOf": AT}
    return {**fields, "policyHash": "h", "steps": steps}


async def test_a_confirmation_says_what_the_services_say(lonely: Portal, api: FakeApi, clock: Clock) -> None:
    someone = await signed_in(lonely, api, clock, "operations")
    person, hold = str(uuid4()), str(uuid4())
    shown = {**PERSON, "id": person, "name": "Anna Andersson", "protection": "none"}
    api.answers[("GET", f"/v1/persons/{person}")] = {**shown, "targets": [target(("account.deleted", hold))]}
    command = str(uuid4())
    api.answers[("POST", "/v1/commands")] = {"id": command}
    about = {"type": "release", "service": "accounts", "person": person}
    page = await someone.get("/act", params={**about, "hold": hold, "name": "Bo Bosson", "reason": "redan beslutat"})
    assert page.status_code == 200
    assert "Anna Andersson" in page.text
    assert "The account is deleted" in page.text
    assert "Bo Bosson" not in page.text
    assert "redan beslutat" not in page.text

    whole = await someone.get("/act", params=about)
    assert 'name="confirmed" value="1" required' in whole.text
    unconfirmed = await someone.send("/act", **about, reason="ja")
    assert unconfirmed.status_code == 422
    assert [call.path for call in api.calls if call.method == "POST"] == []
    done = await someone.send("/act", **about, reason="ja", confirmed="1", next="/cases")
    assert (done.status_code, done.headers["location"]) == (303, f"/commands/{command}")
    (sent,) = [call.body for call in api.calls if call.method == "POST"]
    assert sent == {**about, "reason": "ja", "matches": 1}

    for params in ({**about, "hold": str(uuid4())}, {"type": "release", "service": "accounts"}):
        gone = await someone.get("/act", params=params)
        assert gone.status_code in {404, 422}
        assert '<form class="stack act"' not in gone.text
    await someone.client.aclose()


async def test_a_command_without_an_answer_is_not_said_to_have_failed(
    lonely: Portal, api: FakeApi, clock: Clock
) -> None:
    someone = await signed_in(lonely, api, clock, "operations")
    person = str(uuid4())
    api.answers[("GET", f"/v1/persons/{person}")] = {**PERSON, "id": person, "targets": [target()]}
    act = {"type": "retry", "service": "accounts", "person": person, "reason": "igen", "key": str(uuid4())}
    page = await someone.send("/act", **act)
    assert "it is not known whether it was done" in page.text
    assert act["key"] in page.text, "the same command once more is the same command"
    activated = await someone.send("/policy/activate", hash="h", reason="nu")
    assert activated.status_code == 503
    assert "it is not known whether it was done" in activated.text
    assert "See which table is in force" in activated.text
    assert [call.path for call in api.calls if call.path.startswith("/v1/policy")] == ["/v1/policy/accounts/activate"]
    await someone.client.aclose()


async def test_the_buttons_of_a_page_that_answered_a_form_lead_to_a_page(
    lonely: Portal, api: FakeApi, clock: Clock
) -> None:
    someone = await signed_in(lonely, api, clock, "operations", "hr")
    pages = {
        "/policy/activate": await someone.send("/policy/activate", hash="h", reason=""),
        "/act": await someone.send("/act", type="retry", service="accounts", person=str(uuid4()), next="/attention"),
        "/glass": await someone.send("/glass", person=GÖTA, reason="", next=f"/people/{GÖTA}"),
    }
    for path, page in pages.items():
        addresses = {piece.partition('"')[0] for piece in page.text.split('name="next" value="')[1:]}
        assert addresses, path
        for address in addresses:
            assert (await someone.get(address)).status_code in {200, 404, 503}, (path, address)
            assert address not in pages
    await someone.client.aclose()


async def test_everybody_lands_on_a_desk_or_is_told(lonely: Portal, api: FakeApi, clock: Clock) -> None:
    wanted = {"records": (303, "/people"), "operations": (200, None), "manager": (200, None), "emperor": (403, None)}
    for role, (status, where) in wanted.items():
        someone = await signed_in(lonely, api, clock, role)
        answer = await someone.get("/")
        assert (answer.status_code, answer.headers.get("location")) == (status, where), role
        assert ("No desk yet" in answer.text) == (role == "emperor")
        await someone.client.aclose()


async def test_whose_token_nobody_takes_is_signed_out_without_going_round(
    lonely: Portal, api: FakeApi, clock: Clock
) -> None:
    api.answers[("GET", "/v1/summary")] = Refused(401, "token.invalid", "t")
    someone = await signed_in(lonely, api, clock)
    answer = await someone.get("/")
    assert answer.status_code == 401
    assert 'href="/sign-in"' in answer.text
    assert [call.bearer.token for call in api.calls if call.path == "/v1/summary"] == ["first", "after-refresh-1"]
    assert (await someone.get("/")).headers["location"] == "/sign-in", "the session has ended"
    await someone.client.aclose()


async def test_streams_are_few_and_leave_their_seats(lonely: Portal, api: FakeApi, clock: Clock) -> None:
    doors = lonely.app.state.doors
    seats = Seats(of_a_session=1)
    lonely.app.state.doors = replace(doors, seats=seats)
    someone = await signed_in(lonely, api, clock)
    cookie = someone.cookie
    assert cookie is not None
    for _ in range(3):
        assert (await someone.get("/live")).text.endswith("event: ready\ndata: {}\n\n")
    with seats.take(cookie):
        assert (await someone.get("/live")).status_code == 503
    assert (await someone.get("/live")).status_code == 200
    await someone.client.aclose()


async def test_a_failure_has_a_reference_and_every_header(lonely: Portal, api: FakeApi) -> None:
    @lonely.app.get("/breaks")
    async def breaks(_request: Request) -> None:
        raise RuntimeError

    surfer = Surfer(lonely)
    answer = await surfer.get("/breaks")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    reference = answer.text.partition('class="mono">')[2].partition("<")[0]
    assert len(reference) == 32
    assert int(reference, 16) > 0
    await surfer.client.aclose()


async def test_only_a_files_own_version_is_kept_for_ever(lonely: Portal) -> None:
    surfer = Surfer(lonely)
    own = lonely.app.state.doors.pages.static("app.js")
    assert "immutable" in (await surfer.get(own)).headers["cache-control"]
    for address in ("/static/app.js?v=anything", f"{own}&x=1", "/static/app.js"):
        assert (await surfer.get(address)).headers["cache-control"] == "no-cache", address
    await surfer.client.aclose()


async def test_a_sign_out_of_nobody_ends_at_the_goodbye(lonely: Portal) -> None:
    surfer = Surfer(lonely)
    out = await asyncio.wait_for(surfer.post("/sign-out"), 10)
    assert (out.status_code, out.headers["location"]) == (303, "/signed-out")
    await surfer.client.aclose()


async def test_an_access_decision_goes_as_it_was_confirmed_and_by_the_reason_it_was_opened_for(
    lonely: Portal, api: FakeApi, clock: Clock
) -> None:
    someone = await signed_in(lonely, api, clock, "operations", "hr")
    api.answers[("POST", "/v1/audit/glass")] = {"opened": "person"}
    api.answers[("GET", f"/v1/persons/{GÖTA}")] = hidden_without_a_reason(PERSON)
    hidden = await someone.get(f"/people/{GÖTA}/access/disable")
    assert hidden.status_code == 404
    assert "Göta" not in hidden.text
    await someone.send("/glass", person=GÖTA, reason="ärende 17")
    form = await someone.get(f"/people/{GÖTA}/access/disable")
    assert "Göta Skyddadsson" in form.text

    path, key = f"/v1/persons/{GÖTA}/access", str(uuid4())
    unsaid = await someone.send(f"/people/{GÖTA}/access/disable", key=key, reason=" ")
    assert (unsaid.status_code, [call for call in api.calls if call.path == path]) == (422, [])
    lost = await someone.send(f"/people/{GÖTA}/access/disable", key=key, reason="intrång")
    assert "it is not known whether it was done" in lost.text
    assert key in lost.text, "the same decision once more is the same decision"
    objection = Refused(422, "event.invalid", "t", errors={"/body/until": "r"}, codes=["access.ended_long_ago"])
    api.answers[("POST", path)] = objection
    refused = await someone.send(f"/people/{GÖTA}/access/keep", key=key, reason="lämnar över", until="2026-03-09")
    assert "The employment ended too long ago" in refused.text
    assert 'value="2026-03-09"' in refused.text
    (*_, sent) = [call for call in api.calls if call.path == path]
    assert sent.body == {"action": "keep", "reason": "lämnar över", "until": "2026-03-09"}
    assert sent.bearer.reason == "ärende 17"
    dayless = await someone.send(f"/people/{GÖTA}/access/keep", key=key, reason="x", until="i morgon")
    assert 'id="until-wrong"' in dayless.text
    await someone.client.aclose()


async def test_a_proposal_is_answered_by_somebody_else_and_once(lonely: Portal, api: FakeApi, clock: Clock) -> None:
    someone = await signed_in(lonely, api, clock, "operations")
    person, mine, theirs, over = (str(uuid4()) for _ in range(4))
    common = {"person": person, "action": "keep", "until": "2026-03-09", "reason": "r", "proposedAt": AT}
    items = [
        {**common, "id": mine, "actor": "hanna", "state": "proposed"},
        {**common, "id": theirs, "actor": "bo", "state": "proposed"},
        {**common, "id": over, "actor": "bo", "state": "lapsed"},
    ]
    api.answers[("GET", f"/v1/persons/{person}/access")] = {"items": items}
    api.answers[("GET", f"/v1/persons/{person}")] = {**PERSON, "id": person, "name": "Anna"}
    wanted = {mine: "A second person has to approve", over: "It has been decided already", str(uuid4()): "no such"}
    for decision, said in wanted.items():
        page = await someone.get(f"/people/{person}/access/{decision}/approve")
        assert said in page.text
        assert 'id="reason"' not in page.text
    assert 'id="reason"' in (await someone.get(f"/people/{person}/access/{mine}/refuse")).text
    api.answers[("POST", f"/v1/access/{theirs}/answer")] = {**items[1], "state": "effective", "decidedBy": "hanna"}
    way = f"/people/{person}/access/{theirs}/approve"
    assert 'name="next" value="/attention"' in (await someone.get(way, params={"next": "/attention"})).text
    done = await someone.send(way, reason="ja", next="https://elsewhere.example/")
    assert (done.status_code, done.headers["location"]) == (303, "/")
    (sent,) = [call.body for call in api.calls if call.method == "POST"]
    assert sent == {"approve": True, "reason": "ja"}
    await someone.client.aclose()


def course(*at: int, **lines: list[float | None]) -> dict[str, Any]:
    nothing: list[float | None] = [0] * len(at)
    every = dict.fromkeys(("takenIn", "passes", "unpublished", "wanted", "ready"), nothing)
    return {"service": "x", "every": 10, "at": list(at), **every, **lines}


async def test_the_lines_of_services_share_their_times_and_one_that_is_away_has_none(
    lonely: Portal, api: FakeApi, clock: Clock
) -> None:
    someone = await signed_in(lonely, api, clock, "operations")
    found = {
        "ingestion": course(10, 20, takenIn=[1.5, None], unpublished=[4, None], ready=[None, None]),
        "accounts": course(20, 30, unpublished=[1, 2], ready=[3, None]),
    }

    def said(_: Bearer) -> dict[str, Any]:
        service = api.calls[-1].service
        if service not in found:
            raise Unreachable(service)
        return found[service]

    api.answers[("GET", "/v1/operations/samples")] = said
    answer = await someone.get("/operations/lines", params={"minutes": 60})
    shown = answer.json()
    assert shown["at"] == [10, 20, 30]
    assert shown["lines"]["taken_in"] == {"ingestion": [1.5, None, None], "accounts": [None, 0, 0]}
    assert shown["lines"]["queued"] == {"ingestion": [4, None, None], "accounts": [None, 4, 2]}
    assert set(shown["names"]) == {"ingestion", "accounts"}
    assert (await someone.get("/operations/lines", params={"minutes": 7})).status_code == 422
    await someone.client.aclose()


@pytest.mark.parametrize(
    ("kept", "asked"),
    [({}, []), ({"accounts": 2}, ["accounts"]), (None, ["ingestion", "accounts", "orgtree", "status"])],
)
async def test_only_services_that_keep_unread_messages_are_asked_for_them(
    lonely: Portal, api: FakeApi, clock: Clock, kept: dict[str, int] | None, asked: list[str]
) -> None:
    someone = await signed_in(lonely, api, clock, "operations")
    if kept is not None:
        api.answers[("GET", "/v1/attention")] = {"items": [], "paused": [], "deadLetters": kept}
    letter = {"id": str(uuid4()), "queue": "accounts.bulk", "cause": "id: missing", "receivedAt": AT}
    api.answers[("GET", "/v1/operations/dead-letters")] = {"items": [letter]}
    shown = await someone.get("/attention")
    assert [call.service for call in api.calls if call.path.endswith("dead-letters")] == asked
    assert shown.text.count("id: missing") == len(asked)
    assert ("Every message was read" in shown.text) == (not asked)
    await someone.client.aclose()
