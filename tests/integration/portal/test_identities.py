"""The desk of identity, and who is who on a person's page, with ingestion and status as the test says they answer."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from services.portal.bootstrap import Portal
from services.portal.domain.answers import Refused
from services.portal.domain.sessions import masked
from tests.integration.portal.conftest import Clock, Someone, signed_in
from tests.support.portal import FakeApi

CASE, ÅSA, ANNA = str(uuid4()), str(uuid4()), str(uuid4())
AT = "2026-03-01T12:00:00Z"
SOURCE = "https://hr.alvsund.example/personal"
HERE = f"/v1/identity/cases/{CASE}"
TARGET = {
    "service": "accounts", "target": "openldap", "observed": "enabled", "userName": "asa.oberg", "revision": 1,
    "asOf": AT, "policyHash": "sha256:5e",
}  # fmt: skip


def known(external_id: str, **more: Any) -> dict[str, Any]:
    return {"source": SOURCE, "externalId": external_id, "recognised": False, "firstSeenAt": AT, **more}


def one(id_: str, given: str, family: str, **more: Any) -> dict[str, Any]:
    name = {"given": given, "family": family}
    return {"id": id_, "name": name, "birthDate": "1985-03-01", "ids": [known(f"x-{given}")], "employments": [], **more}


def case(kind: str = "shared_number", state: str = "open", **more: Any) -> dict[str, Any]:
    number = [{"form": "permanent", "validFrom": "2026-01-01", "employeeNumber": "1234", "unit": "u-1"}]
    persons = {
        "person": one(ÅSA, "Åsa", "Öberg", employments=number),
        "other": one(ANNA, "<b>Anna", "Berg", birthDate=None, held=kind == "id_returned"),
    }
    return {"id": CASE, "kind": kind, "state": state, "openedAt": AT, **persons, **more}


def person(id_: str, name: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"targets": [], "cases": [], "remains": []}
    return {"id": id_, "name": name, "protection": "none", "revision": 1, **empty, **more}


def posted(api: FakeApi) -> list[tuple[str, Any]]:
    return [(call.path, call.body) for call in api.calls if call.method == "POST"]


@pytest.fixture
async def hanna(lonely: Portal, api: FakeApi, clock: Clock) -> AsyncIterator[Someone]:
    api.answers[("GET", HERE)] = case()
    api.answers[("GET", f"/v1/persons/{ÅSA}")] = person(ÅSA, "Åsa Öberg", targets=[TARGET])
    api.answers[("GET", f"/v1/persons/{ANNA}")] = person(ANNA, "Anna Berg")
    found = await signed_in(lonely, api, clock)
    yield found
    await found.client.aclose()


async def scripted(someone: Someone, path: str, **form: str) -> Any:
    data = {"csrf": masked(someone.session.csrf), **form}
    return await someone.post(path, data=data, headers={"HX-Request": "true"})


async def test_questions_are_listed_in_words_page_by_page(hanna: Someone, api: FakeApi) -> None:
    path = "/v1/identity/cases"
    api.answers[("GET", path)] = {"items": [], "next": None}
    assert "A question arises when" in (await hanna.get("/identity")).text
    returned = case("id_returned", externalId="1234", source=SOURCE)
    further = f"{path}?state=all&afterAt=2026-03-01T12:00:00.5Z&after={CASE}"
    api.answers[("GET", path)] = {"items": [case(), returned], "next": further}
    page = (await hanna.get("/identity?state=all")).text
    assert "A number that belongs to Åsa Öberg was told of &lt;b&gt;Anna Berg" in page
    assert "Id 1234 came back with another person: it was Åsa Öberg" in page
    (following,) = [part.partition('"')[0] for part in page.split('href="') if "after=" in part.partition('"')[0]]
    assert (await hanna.get(following.replace("&amp;", "&"))).status_code == 200
    assert api.calls[-1].query == {"state": "all", "afterAt": "2026-03-01T12:00:00.500000+00:00", "after": CASE}


async def test_only_who_may_say_who_is_who_has_the_desk(lonely: Portal, api: FakeApi, clock: Clock) -> None:
    someone = await signed_in(lonely, api, clock, "operations", "auditor")
    for path in ("/identity", f"/identity/{CASE}", f"/identity/{CASE}/same", f"/people/{ÅSA}/merge"):
        assert (await someone.get(path)).status_code == 403, path
    api.answers[("GET", f"/v1/persons/{ÅSA}")] = person(ÅSA, "Åsa Öberg", aliasOf=ANNA)
    page = (await someone.get(f"/people/{ÅSA}")).text
    assert f'href="/people/{ANNA}"' in page, "that it was merged is told to everybody"
    assert "/retire" not in page
    assert [call for call in api.calls if "identit" in call.path] == []
    await someone.client.aclose()


async def test_both_are_shown_side_by_side_and_accounts_are_away_by_themselves(hanna: Someone, api: FakeApi) -> None:
    page = (await hanna.get(f"/identity/{CASE}")).text
    assert page.count("differs</span>") == 1, "the name; what one of them lacks is not compared"
    assert "asa.oberg" in page
    assert "no account" in page
    del api.answers[("GET", f"/v1/persons/{ÅSA}")]
    away = (await hanna.get(f"/identity/{CASE}")).text
    assert "Tracking does not answer" in away
    assert "no account" in away
    assert "1234" in away


async def test_same_takes_a_choice_and_a_reason_and_says_who_was_kept(hanna: Someone, api: FakeApi) -> None:
    there = f"/identity/{CASE}/same"
    assert "decides which account" in (await hanna.get(there)).text
    assert 'id="keep-wrong"' in (await hanna.send(there, choice="1", reason="x")).text
    refused = await hanna.send(there, choice="1", keep=ANNA, reason=" ")
    assert (refused.status_code, 'id="reason-wrong"' in refused.text) == (422, True)
    assert f'value="{ANNA}" required checked' in refused.text, "what was chosen stays"
    assert posted(api) == []
    api.answers[("POST", f"{HERE}/decision")] = case(state="merged")
    done = await scripted(hanna, there, choice="1", keep=ANNA, reason="samma person")
    assert (done.status_code, done.headers["hx-redirect"]) == (204, f"/identity/{CASE}")
    assert posted(api) == [(f"{HERE}/decision", {"decision": "same", "reason": "samma person", "keep": ANNA})]


async def test_an_id_that_came_back_waits_and_has_nobody_to_choose(hanna: Someone, api: FakeApi) -> None:
    api.answers[("GET", HERE)] = case("id_returned", externalId="1234", source=SOURCE)
    api.answers[("GET", f"/v1/persons/{ANNA}")] = Refused(404, "person.unknown", "t")
    page = (await hanna.get(f"/identity/{CASE}")).text
    assert "Nothing that HR tells under the id 1234 takes effect" in page
    assert "close the access at once" in page
    assert f'href="/people/{ANNA}"' not in page, "who is held has no page yet"
    assert "not told of anywhere yet" in page
    assert 'name="keep"' not in (await hanna.get(f"/identity/{CASE}/same")).text
    api.answers[("POST", f"{HERE}/decision")] = case("id_returned", "separate")
    assert (await hanna.send(f"/identity/{CASE}/separate", reason="två")).status_code == 303
    assert posted(api) == [(f"{HERE}/decision", {"decision": "separate", "reason": "två"})]


async def test_who_comes_second_is_told_who_has_decided_and_why(hanna: Someone, api: FakeApi) -> None:
    def meanwhile(bearer: object) -> Any:
        decided = case(state="separate", decidedAt=AT, decidedBy="hugo", reason="olika barn")
        api.answers[("GET", HERE)] = decided
        raise Refused(409, "identity.decided", "t")

    api.answers[("POST", f"{HERE}/decision")] = meanwhile
    late = await scripted(hanna, f"/identity/{CASE}/same", choice="1", keep=ÅSA, reason="x")
    for text in ("Somebody has decided it already", "hugo", "olika barn"):
        assert text in late.text, text
    assert "<input id=" not in late.text
    page = (await hanna.get(f"/identity/{CASE}")).text
    assert "olika barn" in page
    assert f"/identity/{CASE}/same" not in page


async def test_a_person_shows_ids_aliases_and_open_questions(hanna: Someone, api: FakeApi) -> None:
    alias = str(uuid4())
    ids = [known("a"), known("b", origin=alias), known("c", recognised=True)]
    path = f"/v1/persons/{ÅSA}/identities"
    api.answers[("GET", path)] = {"person": ÅSA, "aliases": [alias], "ids": ids}
    api.answers[("GET", f"/v1/persons/{alias}")] = person(alias, "Åsa Öberg", targets=[{**TARGET, "userName": "asa2"}])
    api.answers[("GET", "/v1/identity/cases")] = {"items": [case()], "next": None}
    page = (await hanna.get(f"/people/{ÅSA}")).text
    for text in ("asa2", "a person, by a merge", "number and name agree", f"/identity/{CASE}", f"/people/{ÅSA}/split"):
        assert text in page, text
    api.answers[("GET", path)] = {"person": ÅSA, "aliases": [], "ids": ids[:1]}
    assert f"/people/{ÅSA}/split" not in (await hanna.get(f"/people/{ÅSA}")).text, "an id has to be left"
    for retired in (False, True):
        api.answers[("GET", path)] = {"person": ÅSA, "aliasOf": ANNA, "retired": retired, "ids": []}
        page = (await hanna.get(f"/people/{ÅSA}")).text
        assert f'href="/people/{ANNA}"' in page
        assert (f'href="/people/{ÅSA}/retire"' in page) is not retired
        assert "/merge" not in page
    api.answers[("GET", path)] = Refused(503, "x", "t")
    assert "HR intake does not answer" in (await hanna.get(f"/people/{ÅSA}")).text


async def test_somebody_is_found_and_merged_into_whom_one_keeps(hanna: Someone, api: FakeApi) -> None:
    there, alias = f"/people/{ÅSA}/merge", str(uuid4())
    items = [person(ÅSA, "Åsa Öberg"), person(ANNA, "Anna Berg"), person(alias, "Anna Berg", aliasOf=ANNA)]
    api.answers[("GET", "/v1/persons")] = {"items": items}
    found = (await hanna.get(there, params={"q": "b"})).text
    assert f"{there}?other={ANNA}" in found
    assert ÅSA not in found.replace(f"/people/{ÅSA}", ""), "nobody is merged with herself"
    assert alias not in found
    assert "It is the same person" in (await hanna.get(there, params={"other": ÅSA})).text
    assert "asa.oberg" in (await hanna.get(there, params={"other": ANNA})).text
    for wrong in ({"keep": ""}, {"keep": alias}, {"reason": ""}):
        assert (await hanna.send(there, **{"other": ANNA, "keep": ANNA, "reason": "x", **wrong})).status_code == 422
    assert posted(api) == []
    api.answers[("POST", f"/v1/persons/{ANNA}/merge")] = {"person": ANNA, "aliases": [ÅSA]}
    done = await scripted(hanna, there, other=ANNA, keep=ANNA, reason="dubblett")
    assert (done.status_code, done.headers["hx-redirect"]) == (204, f"/people/{ANNA}")
    assert posted(api) == [(f"/v1/persons/{ANNA}/merge", {"absorb": ÅSA, "reason": "dubblett"})]


async def test_ids_are_ticked_and_split_off_and_an_alias_is_wound_up(hanna: Someone, api: FakeApi) -> None:
    there = f"/people/{ÅSA}/split"
    api.answers[("GET", f"/v1/persons/{ÅSA}/identities")] = {"person": ÅSA, "ids": [known("a"), known("b c")]}
    assert f'value="{SOURCE} b c"' in (await hanna.get(there)).text
    assert 'id="id-wrong"' in (await hanna.send(there, reason="x")).text
    assert posted(api) == []
    other = {"person": ANNA, "ids": [known("b c")]}
    api.answers[("POST", f"/v1/persons/{ÅSA}/split")] = {"person": ÅSA, "ids": [known("a")], "other": other}
    done = await scripted(hanna, there, id=f"{SOURCE} b c", reason="två barn")
    assert f'href="/people/{ANNA}"' in done.text
    api.answers[("POST", f"/v1/persons/{ÅSA}/retire")] = {"person": ÅSA, "aliasOf": ANNA, "retired": True}
    assert "asa.oberg" in (await hanna.get(f"/people/{ÅSA}/retire")).text
    assert (await hanna.send(f"/people/{ÅSA}/retire", reason="överflödigt")).status_code == 303
    assert posted(api) == [
        (f"/v1/persons/{ÅSA}/split", {"ids": [{"source": SOURCE, "externalId": "b c"}], "reason": "två barn"}),
        (f"/v1/persons/{ÅSA}/retire", {"reason": "överflödigt"}),
    ]


@pytest.mark.parametrize("path", ["/attention", "/parts/hand"])
async def test_questions_need_a_hand_and_are_greyed_while_ingestion_is_away(
    hanna: Someone, api: FakeApi, path: str
) -> None:
    api.answers[("GET", "/v1/attention")] = {"items": [], "paused": [], "deadLetters": {}}
    api.answers[("GET", "/v1/files")] = {"items": [], "next": None}
    assert "HR intake does not answer" in (await hanna.get(path)).text
    waiting = {"kind": "id_returned", "count": 3, "since": AT}
    api.answers[("GET", "/v1/identity/waiting")] = {"items": [waiting]}
    shown = (await hanna.get(path)).text
    assert 'href="/identity"' in shown
    assert "An id came back with another person" in shown
    assert "Nothing else needs a hand" in shown
    assert "Everything runs by itself" not in shown
