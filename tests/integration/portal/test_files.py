"""The desk of files, with ingestion as the test says it answers."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from services.portal.api import shell
from services.portal.bootstrap import Portal
from services.portal.domain.answers import Refused
from services.portal.domain.sessions import masked
from tests.integration.portal.conftest import Clock, Someone, signed_in
from tests.support.portal import FakeApi

FILE, PERSON = str(uuid4()), str(uuid4())
AT = "2026-03-01T12:00:00Z"
HERE = f"/v1/files/{FILE}"
SOURCE = "https://hr.alvsund.example/personal"


def standing(state: str, **more: Any) -> dict[str, Any]:
    common = {"id": FILE, "source": SOURCE, "kind": "full", "name": "<b>.csv", "actor": "hanna", "madeAt": AT}
    return {**common, "uploadedAt": AT, "state": state, "persons": 10, "rows": 10, "counts": {"missing": 0}, **more}


def person(id_: str, state: str, **more: Any) -> dict[str, Any]:
    return {"place": 7, "externalId": id_, "state": state, "kind": "leaver", "reason": "end", "person": PERSON, **more}


HELD = standing(
    "done", counts={"held": 2, "missing": 2}, code="file.missing_many", parameters={"missing": 2, "population": 3}
)


@pytest.fixture
async def hanna(lonely: Portal, api: FakeApi, clock: Clock) -> AsyncIterator[Someone]:
    found = await signed_in(lonely, api, clock)
    yield found
    await found.client.aclose()


async def test_a_file_is_passed_on_to_be_planned_and_never_at_once(hanna: Someone, api: FakeApi) -> None:
    api.answers[("GET", "/v1/files")] = {"items": [], "next": None}
    assert SOURCE in (await hanna.get("/files")).text
    api.answers[("POST", "/v1/files")] = standing("received")
    form = {"csrf": masked(hanna.session.csrf), "source": SOURCE, "kind": "full"}
    body = b"ID;NAMN\n" + b"x" * (3 << 20)
    sent = await hanna.post("/files", data=form, files={"file": ("../hr\n.csv", body)})
    assert (sent.status_code, sent.headers["location"]) == (303, f"/files/{FILE}")
    (call,) = [one for one in api.calls if one.method == "POST"]
    assert call.content == body
    assert {name: call.query[name] for name in ("source", "kind", "plan")} == {
        "source": SOURCE, "kind": "full", "plan": "true"
    }  # fmt: skip
    assert "/" not in call.query["name"]
    for wrong in ({"kind": ""}, {"source": "https://elsewhere.example"}):
        refused = await hanna.post("/files", data={**form, **wrong}, files={"file": ("a.csv", b"x")})
        assert (refused.status_code, 'id="send-wrong"' in refused.text) == (422, True)
    assert (await hanna.post("/files", data=form)).status_code == 422
    forged = await hanna.post("/files", data={**form, "csrf": "x"}, files={"file": ("a.csv", b"x")})
    assert forged.status_code == 403
    assert len([one for one in api.calls if one.method == "POST"]) == 1


async def test_bodies_have_a_largest_size(hanna: Someone, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "BODY_LIMIT", 1000)
    too_large = await hanna.send("/glass", person=PERSON, reason="x" * 2000)
    assert too_large.status_code == 413
    assert "too large" in too_large.text
    assert api.calls == []


async def test_only_who_may_send_files_sees_the_desk(lonely: Portal, api: FakeApi, clock: Clock) -> None:
    for role, status in {"hr": 200, "operations": 200, "it_read": 403, "auditor": 403, "manager": 403}.items():
        someone = await signed_in(lonely, api, clock, role)
        assert (await someone.get("/files")).status_code == status, role
        assert (await someone.get(f"/files/{FILE}/apply")).status_code == (503 if status == 200 else 403), role
        await someone.client.aclose()


async def test_a_file_that_moves_looks_again_and_names_nobody(hanna: Someone, api: FakeApi) -> None:
    api.answers[("GET", HERE)] = standing("received", progress={"planned": 4})
    headers = {"HX-Request": "true", "Stafett-Poll": "1"}
    part = await hanna.get(f"/files/{FILE}", headers=headers)
    assert 'value="4"' in part.text
    assert "hx-refresh" not in part.headers
    api.answers[("GET", HERE)] = standing("planned")
    assert (await hanna.get(f"/files/{FILE}", headers=headers)).headers["hx-refresh"] == "true"
    assert {call.path for call in api.calls} == {HERE}


async def test_a_plan_is_shown_in_words_and_filtered(hanna: Someone, api: FakeApi) -> None:
    moved = person("p-1", "planned", kind="mover", reason="transfer", fields=["employments.assignments.unit"])
    api.answers[("GET", HERE)] = standing("planned", counts={"planned": 1, "rejectedRows": 1, "mover": 1})
    api.answers[("GET", f"{HERE}/persons")] = {"items": [moved], "next": f"{HERE}/persons?after=7"}
    reject = {"row": 3, "column": "A", "value": "(withheld)", "code": "row.columns"}
    api.answers[("GET", f"{HERE}/rejected")] = {
        "items": [{**reject, "parameters": {"found": 4, "wanted": 21}}], "next": None
    }  # fmt: skip
    page = await hanna.get(f"/files/{FILE}?state=planned&kind=mover", headers={"Accept-Language": "sv"})
    assert page.status_code == 200
    for text in ("&lt;b&gt;.csv", "Enhet", "Raden har 4 kolumner, rubrikraden 21.", "visas inte", "after=7"):
        assert text in page.text, text
    (asked,) = [call.query for call in api.calls if call.path.endswith("/persons")]
    assert (asked["state"], asked["kind"]) == ("planned", "mover")
    assert (await hanna.get(f"/files/{FILE}?state=nonsense&after=x")).status_code == 422


async def test_the_rejects_come_as_they_are(hanna: Someone, api: FakeApi) -> None:
    api.answers[("GET", f"{HERE}/rejects")] = {"content": b"file,row\n"}
    answer = await hanna.get(f"/files/{FILE}/rejects.csv", headers={"Accept-Language": "sv"})
    assert (answer.content, answer.headers["content-type"]) == (b"file,row\n", "text/csv; charset=utf-8")
    assert api.calls[-1].query == {"language": "sv"}


async def test_a_plan_is_applied_by_its_numbers_and_one_that_is_overtaken_names_who(
    hanna: Someone, api: FakeApi
) -> None:
    api.answers[("GET", HERE)] = standing("planned", toApply={"joiner": 11, "mover": 22, "leaver": 33})
    form = (await hanna.get(f"/files/{FILE}/apply")).text
    assert [f"<dd>{number}</dd>" in form for number in (11, 22, 33)] == [True] * 3
    assert "danger" in form
    hidden = str(uuid4())
    errors = {f"/persons/{PERSON}": "r", f"/persons/{hidden}": "r"}
    api.answers[("POST", f"{HERE}/apply")] = Refused(409, "file.overtaken", "t", errors=errors)
    shown = {"id": PERSON, "name": "Anna Ek", "protection": "none", "revision": 1}
    api.answers[("GET", f"/v1/persons/{PERSON}")] = {**shown, "targets": [], "cases": [], "remains": []}
    refused = await hanna.send(f"/files/{FILE}/apply")
    assert "something new of 2 people" in refused.text
    assert "Anna Ek" in refused.text
    assert hidden not in refused.text, "who may not be seen is not named"
    assert "Send the file once more" in refused.text
    api.answers[("POST", f"{HERE}/apply")] = standing("applying")
    done = await hanna.send(f"/files/{FILE}/apply")
    assert (done.status_code, done.headers["location"]) == (303, f"/files/{FILE}")
    scripted = await hanna.post(
        f"/files/{FILE}/apply", data={"csrf": masked(hanna.session.csrf)}, headers={"HX-Request": "true"}
    )
    assert (scripted.status_code, scripted.headers["hx-redirect"]) == (204, f"/files/{FILE}")


async def test_those_ticked_are_decided_about_with_a_reason_and_nobody_ticked_is_not_all(
    hanna: Someone, api: FakeApi
) -> None:
    api.answers[("GET", HERE)] = HELD
    api.answers[("GET", f"{HERE}/persons")] = {"items": [person("p-1", "held", missing=True)], "next": None}
    page = (await hanna.get(f"/files/{FILE}?state=held")).text
    assert 'type="checkbox" name="person" value="p-1"' in page
    assert "2 of the source&#39;s 3 people are missing" in page
    assert "nobody is ticked" in (await hanna.get(f"/files/{FILE}/release?some=1")).text.lower()
    await hanna.send(f"/files/{FILE}/release", some="1", reason="x")
    await hanna.send(f"/files/{FILE}/release", person="p-1", reason=" ")
    assert [call for call in api.calls if call.method == "POST"] == []
    form = (await hanna.get(f"/files/{FILE}/release?some=1&person=p-1")).text
    assert 'name="some"' in form
    assert "It is about 1 person who is ticked." in form
    api.answers[("POST", f"{HERE}/release")] = api.answers[("POST", f"{HERE}/refuse")] = HELD
    await hanna.send(f"/files/{FILE}/release", some="1", person="p-1", reason="har slutat")
    await hanna.send(f"/files/{FILE}/refuse", reason="halv fil")
    assert [(call.path, call.body) for call in api.calls if call.method == "POST"] == [
        (f"{HERE}/release", {"reason": "har slutat", "persons": ["p-1"]}),
        (f"{HERE}/refuse", {"reason": "halv fil"}),
    ]
    api.answers[("GET", HERE)] = standing("done")
    assert "None of them is held" in (await hanna.get(f"/files/{FILE}/release")).text


async def test_held_files_need_a_hand_and_are_greyed_while_ingestion_is_away(hanna: Someone, api: FakeApi) -> None:
    api.answers[("GET", "/v1/attention")] = {"items": [], "paused": [], "deadLetters": {}}
    away = (await hanna.get("/attention")).text
    assert "HR intake does not answer" in away
    api.answers[("GET", "/v1/files")] = {"items": [HELD], "next": None}
    shown = (await hanna.get("/attention")).text
    assert f'href="/files/{FILE}"' in shown
    assert "Nothing else needs a hand" in shown
    assert api.calls[-1].query == {"state": "held"}


async def test_a_file_of_units_speaks_of_units(hanna: Someone, api: FakeApi) -> None:
    of_units = {"records": "units", "code": "file.units_missing", "parameters": {"missing": 1}}
    api.answers[("GET", HERE)] = standing("done", **of_units, counts={"held": 1, "missing": 1, "moved": 2})
    unit = {"place": 1, "externalId": "u-1", "state": "held", "kind": "closed", "reason": None, "missing": True}
    waits = {**unit, "place": 2, "externalId": "u-2", "kind": "created", "reason": "parked", "missing": False}
    api.answers[("GET", f"{HERE}/persons")] = {"items": [unit, waits], "next": None}
    page = (await hanna.get(f"/files/{FILE}")).text
    for said in (
        "1 unit is held",
        "Unit by unit",
        "Close all of them…",
        "waits for a unit above it",
        "Units that move",
    ):
        assert said.lower() in page.lower(), said
    for verb in ("release", "refuse"):
        assert "It is about 1 unit." in (await hanna.get(f"/files/{FILE}/{verb}")).text
    api.answers[("GET", HERE)] = standing("planned", **of_units, counts={"planned": 1}, toApply={"moved": 1})
    errors = {"/units/u-1": "r"}
    api.answers[("POST", f"{HERE}/apply")] = Refused(409, "file.overtaken", "", errors=errors)
    overtaken = await hanna.send(f"/files/{FILE}/apply")
    assert "something new of units" in overtaken.text
    api.answers[("GET", HERE)] = standing(
        "refused", **{**of_units, "code": "file.bad_rows", "parameters": {"rows": 1}}, counts={"rejectedRows": 1}
    )
    api.answers[("GET", f"{HERE}/rejected")] = {"items": [{"row": 3, "column": "FROM", "code": "date.unreadable"}]}
    refused = (await hanna.get(f"/files/{FILE}")).text
    assert ("1 rows cannot be taken" in refused, "FROM" in refused) == (True, True)
