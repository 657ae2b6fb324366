"""A manager's pages: the desks that the role opens, the own people on them, and what to do where nobody is shown."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.portal.bootstrap import Portal
from services.portal.domain.answers import Refused
from tests.integration.portal.conftest import Clock, Someone, Surfer, signed_in
from tests.integration.portal.test_sign_in import session_of
from tests.support.portal import FakeApi

MALIN, CIA = UUID(int=1), str(UUID(int=2))
PERSON: dict[str, Any] = {
    "id": CIA,
    "name": "Cia Vårdsson",
    "protection": "none",
    "revision": 1,
    "targets": [],
    "cases": [],
    "remains": [],
}
OWN = "You see the people in your own units"
NOBODY = "your sign-in does not say which person you are"
SHUT = ("/operations", "/policy", "/audit", "/commands", f"/people/{CIA}/access", f"/people/{CIA}/access/disable")


@pytest.fixture
async def malin(lonely: Portal, api: FakeApi, clock: Clock) -> AsyncIterator[Someone]:
    api.answers |= {
        ("GET", "/v1/persons"): {"items": [PERSON]},
        ("GET", f"/v1/persons/{CIA}"): PERSON,
        ("GET", f"/v1/persons/{CIA}/timeline"): {"items": []},
        ("GET", "/v1/cases"): {"items": []},
        ("GET", "/v1/attention"): {"items": []},
        ("GET", f"/v1/accounts/{CIA}/activation"): {"state": "none"},
    }
    found = await signed_in(lonely, api, clock, "manager", person=MALIN)
    yield found
    await found.client.aclose()


async def test_a_manager_has_the_desks_of_the_own_people_and_is_told_so(malin: Someone, api: FakeApi) -> None:
    for path in ("/", "/cases", "/people", "/attention"):
        page = await malin.get(path)
        assert page.status_code == 200
        assert OWN in page.text, path
        assert NOBODY not in page.text
        links = {path for path in ("/cases", "/people", "/attention", *SHUT) if f'<li><a href="{path}"' in page.text}
        assert links == {"/cases", "/people", "/attention"}
        assert 'data-live="/live"' in page.text
        assert 'role="search" action="/people"' in page.text
    swedish = await malin.get("/people", headers={"Accept-Language": "sv"})
    assert "Du ser personerna i dina egna enheter" in swedish.text
    assert (await malin.get("/live")).status_code == 200
    for path in SHUT:
        refused = await malin.get(path)
        assert (refused.status_code, "You may not see this." in refused.text) == (403, True), path
    assert {call.service for call in api.calls} == {"status"}


async def test_a_manager_is_shown_the_own_people_before_any_search(malin: Someone, api: FakeApi) -> None:
    page = await malin.get("/people")
    assert "Cia Vårdsson" in page.text
    (call,) = [call for call in api.calls if call.path == "/v1/persons"]
    assert "q" not in call.query
    assert (await malin.get("/people", params={"q": "cia"})).headers["location"] == f"/people/{CIA}"


async def test_a_persons_page_asks_only_what_a_manager_may_ask(malin: Someone, api: FakeApi) -> None:
    page = await malin.get(f"/people/{CIA}")
    assert page.status_code == 200
    assert "Cia Vårdsson" in page.text
    assert {call.path for call in api.calls if call.service != "status"} == {f"/v1/accounts/{CIA}/activation"}
    assert "/v1/cases" in {call.path for call in api.calls}
    assert f"/people/{CIA}/access" not in page.text
    other = str(uuid4())
    api.answers["GET", f"/v1/persons/{other}"] = Refused(404, "person.unknown", "There is no such person")
    api.answers["GET", f"/v1/persons/{other}/timeline"] = Refused(404, "person.unknown", "There is no such person")
    outside = await malin.get(f"/people/{other}")
    assert outside.status_code == 404
    assert OWN in outside.text


async def test_who_is_not_named_by_the_sign_in_is_told_why_nobody_is_shown(
    lonely: Portal, api: FakeApi, clock: Clock
) -> None:
    nobody = await signed_in(lonely, api, clock, "manager")
    for path in ("/", "/cases", "/people", "/attention"):
        page = await nobody.get(path)
        assert NOBODY in page.text, path
        assert OWN not in page.text
    assert "/v1/persons" not in {call.path for call in api.calls}
    swedish = await nobody.get("/", headers={"Accept-Language": "sv"})
    assert "Be den som sköter din inloggning" in swedish.text
    await nobody.client.aclose()


@pytest.mark.parametrize("roles", [("manager", "it_read"), ("it_read",), ("hr",)])
async def test_whose_right_is_not_narrowed_is_told_nothing_of_units(
    lonely: Portal, api: FakeApi, clock: Clock, roles: tuple[str, ...]
) -> None:
    someone = await signed_in(lonely, api, clock, *roles, person=MALIN)
    for path in ("/", "/cases", "/people", "/attention"):
        page = await someone.get(path)
        assert OWN not in page.text
        assert NOBODY not in page.text
    assert "/v1/persons" not in {call.path for call in api.calls}, "a list of all names helps nobody"
    await someone.client.aclose()


@pytest.mark.parametrize(("said", "person"), [(f":{MALIN}", MALIN), ("", None), (":malin", None)])
async def test_who_somebody_is_comes_from_the_access_token(
    portal: Portal, surfer: Surfer, said: str, person: UUID | None
) -> None:
    await surfer.sign_in(f"Malin:alvsund:manager{said}")
    session = await session_of(portal, surfer.cookie)
    assert session is not None
    assert session.person == person
    assert session.scopes == {"persons:read_own", "cases:read_own", "organisation:read", "accounts:activate_own"}
