"""First passwords in the portal: a code shown once to who fetches it, and the page of who has one and no session."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from services.portal.bootstrap import Portal
from services.portal.domain.answers import Refused, Unreachable
from tests.integration.portal.conftest import Clock, Someone, Surfer, signed_in
from tests.support.portal import FakeApi

CIA = str(uuid4())
PERSON: dict[str, Any] = {
    "id": CIA,
    "name": "Cia Vårdsson",
    "protection": "none",
    "revision": 1,
    "targets": [],
    "cases": [],
    "remains": [],
}
STATE = f"/v1/accounts/{CIA}/activation"
CODE, PASSWORD = "0123A-4567B-89CDE-FGHJK", "blå hästar på ängen"
ISSUED = {
    "code": CODE,
    "userName": "cia.vardsson",
    "expiresAt": "2027-03-29T11:00:00Z",
    "opensAt": "2027-03-18T00:00:00+01:00",
}
DONE = {"state": "done", "targets": [{"target": "openldap", "outcome": "set"}], "opensAt": None}
FILLED = {"login": "cia.vardsson", "code": CODE, "password": PASSWORD, "again": PASSWORD}


@pytest.fixture
async def malin(lonely: Portal, api: FakeApi, clock: Clock) -> AsyncIterator[Someone]:
    api.answers |= {
        ("GET", f"/v1/persons/{CIA}"): PERSON,
        ("GET", f"/v1/persons/{CIA}/timeline"): {"items": []},
        ("GET", "/v1/cases"): {"items": []},
        ("GET", STATE): {"state": "none"},
        ("POST", STATE): ISSUED,
    }
    found = await signed_in(lonely, api, clock, "manager", person=uuid4())
    yield found
    await found.client.aclose()


@pytest.fixture
async def stranger(lonely: Portal, api: FakeApi) -> AsyncIterator[Surfer]:
    api.answers |= {
        ("GET", "/v1/activations"): {"shortest": 12, "longest": 127},
        ("POST", "/v1/activations"): DONE,
    }
    found = Surfer(lonely)
    yield found
    await found.client.aclose()


async def token(stranger: Surfer) -> str:
    """Open the page; return what its form carries."""
    page = await stranger.get("/activate")
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


async def send(stranger: Surfer, **fields: str) -> Any:
    """Send the form as a browser does that has opened the page."""
    return await stranger.post("/activate", data={"csrf": await token(stranger), **FILLED, **fields})


async def test_a_code_is_shown_once_to_who_has_given_a_reason(malin: Someone, api: FakeApi) -> None:
    page = await malin.get(f"/people/{CIA}")
    assert f"/people/{CIA}/activation/issue" in page.text
    form = await malin.get(f"/people/{CIA}/activation/issue")
    assert "Cia Vårdsson" in form.text
    assert (await malin.send(f"/people/{CIA}/activation/issue", reason=" ")).status_code == 422
    assert [call for call in api.calls if call.method == "POST"] == []
    shown = await malin.send(f"/people/{CIA}/activation/issue", reason="första dagen")
    assert shown.status_code == 200
    for told in (CODE, "cia.vardsson", "/activate", "not shown again"):
        assert told in shown.text
    assert shown.headers["cache-control"] == "no-store"
    (call,) = [call for call in api.calls if call.method == "POST"]
    assert (call.path, call.body) == (STATE, {"reason": "första dagen"})
    api.answers["GET", STATE] = {
        "state": "fetched",
        "issuedBy": "malin",
        "issuedAt": "2027-03-15T11:00:00Z",
        "expiresAt": "2027-03-29T11:00:00Z",
    }
    after = await malin.get(f"/people/{CIA}")
    assert CODE not in after.text
    assert "code fetched, not used" in after.text


async def test_a_code_that_is_out_is_told_of_and_a_refusal_is_shown(malin: Someone, api: FakeApi) -> None:
    api.answers["GET", STATE] = {"state": "fetched", "expiresAt": "2027-03-29T11:00:00Z"}
    assert "There is a code already" in (await malin.get(f"/people/{CIA}/activation/issue")).text
    api.answers["POST", STATE] = Refused(409, "activation.closed", "left")
    refused = await malin.send(f"/people/{CIA}/activation/issue", reason="x")
    assert refused.status_code == 422
    assert "The person shall not come in" in refused.text


async def test_who_may_issue_no_code_sees_nothing_of_it(lonely: Portal, api: FakeApi, clock: Clock) -> None:
    api.answers |= {("GET", f"/v1/persons/{CIA}"): PERSON, ("GET", f"/v1/persons/{CIA}/timeline"): {"items": []}}
    someone = await signed_in(lonely, api, clock, "it_read")
    assert "First password" not in (await someone.get(f"/people/{CIA}")).text
    assert (await someone.get(f"/people/{CIA}/activation/issue")).status_code == 403
    assert STATE not in {call.path for call in api.calls}
    await someone.client.aclose()


async def test_a_stranger_chooses_a_password_without_a_session(stranger: Surfer, api: FakeApi) -> None:
    page = await stranger.get("/activate")
    assert page.status_code == 200
    for name in ("username", "one-time-code", "new-password"):
        assert f'autocomplete="{name}"' in page.text
    assert "At least 12 characters" in page.text
    done = await send(stranger)
    assert done.status_code == 200
    assert "You can log in now." in done.text
    assert "cia" not in done.text.lower()
    (call,) = [call for call in api.calls if call.method == "POST"]
    assert call.body == {name: FILLED[name] for name in ("login", "code", "password")}
    assert (call.bearer.token, call.bearer.client) == (None, "127.0.0.1")
    assert stranger.cookie is None


async def test_the_page_speaks_the_browsers_language_until_another_is_chosen(stranger: Surfer) -> None:
    assert "Välj ditt lösenord" in (await stranger.get("/activate", headers={"Accept-Language": "sv"})).text
    assert "Choose your password" in (await stranger.get("/activate")).text
    assert (await stranger.get("/activate?lang=sv")).headers["location"] == "/activate"
    assert "Välj ditt lösenord" in (await stranger.get("/activate")).text


async def test_a_form_that_our_page_did_not_make_does_nothing(stranger: Surfer, api: FakeApi) -> None:
    assert (await stranger.post("/activate", data=FILLED)).status_code == 403
    filled = {"csrf": await token(stranger), **FILLED}
    elsewhere = {"Origin": "https://evil.example"}
    assert (await stranger.post("/activate", data=filled, headers=elsewhere)).status_code == 403
    stranger.client.cookies.clear()
    assert (await stranger.post("/activate", data=filled)).status_code == 403
    assert [call for call in api.calls if call.method == "POST"] == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"login": " "}, "Write your login"),
        ({"code": ""}, "Write the code"),
        ({"again": "something else"}, "The two passwords differ"),
    ],
)
async def test_what_is_missing_is_told_before_anybody_is_asked(
    stranger: Surfer, api: FakeApi, fields: dict[str, str], told: str
) -> None:
    answer = await send(stranger, **fields)
    assert (answer.status_code, told in answer.text) == (422, True)
    assert PASSWORD not in answer.text
    assert [call for call in api.calls if call.method == "POST"] == []


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (Refused(422, "activation.invalid", "x"), "Login and code do not belong together"),
        (Refused(422, "activation.invalid", "x", codes=["activation.code_mistyped"]), "Read it once more"),
        (Refused(422, "activation.expired", "x"), "The code is not valid any more."),
        (Refused(422, "account.password_refused", "x", codes=["password.short"]), "The password is too short."),
        (Refused(422, "account.password_refused", "x", outcomes={"ad": "refused"}), "does not accept the password"),
        (Refused(429, "activation.too_many", "x"), "There were too many tries."),
        (Refused(409, "activation.under_way", "x"), "being used right now"),
        (Refused(503, "activation.away", "x", outcomes={"openldap": "away"}), "does not answer now"),
        (Unreachable("accounts"), "could not be set now"),
    ],
)
async def test_each_refusal_says_what_to_do_and_shows_no_password(
    stranger: Surfer, api: FakeApi, problem: Exception, told: str
) -> None:
    api.answers["POST", "/v1/activations"] = problem
    answer = await send(stranger)
    assert (answer.status_code, told in answer.text) == (422, True)
    assert PASSWORD not in answer.text


async def test_what_is_left_and_when_the_login_works_is_told(stranger: Surfer, api: FakeApi) -> None:
    targets = [{"target": "openldap", "outcome": "set"}, {"target": "ad", "outcome": "away"}]
    api.answers["POST", "/v1/activations"] = {
        "state": "partly",
        "targets": targets,
        "opensAt": "2027-03-18T00:00:00+01:00",
    }
    answer = await send(stranger)
    for told in ("Not everything is done yet", "does not answer now", "from 18 Mar 2027 at 00:00"):
        assert told in answer.text
