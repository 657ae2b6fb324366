"""`stafett identity` against a strict fake of the services, over real HTTP."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import Result

from tests.unit.cli.fake_api import FakeApi, invoke, serving

CASE, ÅSA, ANNA = str(uuid4()), str(uuid4()), str(uuid4())
HERE = f"/v1/identity/cases/{CASE}"
SOURCE = "https://hr.example/personal"
AT = "2026-03-01T12:00:00Z"
WHY = ("--reason", "looked up")


def one(id_: str, given: str, number: str) -> dict[str, Any]:
    job = {"employeeNumber": number, "unit": "u-1"}
    name = {"given": given, "family": "[b]Ek"}
    return {"id": id_, "name": name, "birthDate": "1985-03-01", "employments": [job], "ids": [known(number)]}


def known(id_: str) -> dict[str, Any]:
    return {"source": SOURCE, "externalId": id_, "firstSeenAt": AT}


def case(kind: str = "shared_number", state: str = "open", **more: Any) -> dict[str, Any]:
    persons = {"person": one(ÅSA, "Åsa", "1001"), "other": one(ANNA, "Anna", "1002")}
    decided = {"decidedAt": None, "decidedBy": None, "reason": None}
    return {"id": CASE, "kind": kind, "state": state, "openedAt": AT, **persons, **decided, **more}


def ties(person: str, *ids: str, alias_of: str | None = None) -> dict[str, Any]:
    return {"person": person, "aliasOf": alias_of, "aliases": [], "ids": [known(one) for one in ids]}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving() as fake:
        for id_, name in ((ÅSA, "Åsa Ek"), (ANNA, "Anna Ek")):
            found = {"id": id_, "name": name, "targets": [{"userName": name.split()[0].lower()}]}
            fake.answers("GET", f"/v1/persons/{id_}", (200, found))
        fake.answers("GET", HERE, (200, case()))
        yield fake


def run(api: FakeApi, *words: str) -> Result:
    return invoke(api, "identity", *words)


def sent(api: FakeApi) -> list[tuple[str, Any]]:
    return [(call.path, call.body) for call in api.calls if call.method == "POST"]


def test_all_pages_are_listed_and_one_case_is_shown_side_by_side(api: FakeApi) -> None:
    path = "/v1/identity/cases"
    first = {"items": [case()], "next": f"{path}?state=all&afterAt={AT}&after={CASE}"}
    api.answers("GET", path, (200, first), (200, {"items": [case("id_returned")], "next": None}))
    done = run(api, "list", "--all", "--json")
    assert [item["kind"] for item in json.loads(done.stdout)["items"]] == ["shared_number", "id_returned"]
    assert [call.query for call in api.calls] == [{"state": "all"}, {"state": "all", "afterAt": AT, "after": CASE}]
    api.answers("GET", path, (200, {"items": [], "next": None}))
    assert "No question of identity waits" in run(api, "list").output
    assert api.calls[-1].query == {"state": "open"}
    api.answers("GET", HERE, (200, case(state="separate", decidedAt=AT, decidedBy="hugo", reason="two children")))
    shown = run(api, "show", CASE).output
    for text in ("Åsa [b]Ek", "two children", "they are two different people"):
        assert text in shown, text
    differs = {line.split()[0] for line in shown.splitlines() if "≠" in line}
    assert differs == {"Id", "Name", "Employee", "Ids"}, "birth date and unit are the same"


def test_a_case_is_answered_after_a_question_that_names_who_goes_on(api: FakeApi) -> None:
    api.answers("POST", f"{HERE}/decision", (200, case(state="merged", decidedAt=AT, decidedBy="me", reason="x")))
    asked = run(api, "same", CASE, "--keep", ANNA, *WHY)
    assert (asked.exit_code, "id and account of Anna [b]Ek" in asked.output) == (1, True)
    assert sent(api) == []
    assert run(api, "same", CASE, "--keep", ANNA, *WHY, "--yes").exit_code == 0
    assert run(api, "same", CASE, *WHY, "--yes").exit_code == 0
    assert "asked again" in run(api, "separate", CASE, *WHY).output
    api.answers("GET", HERE, (200, case("id_returned")))
    assert "under the id ends today" in run(api, "separate", CASE, *WHY).output
    assert run(api, "separate", CASE, *WHY, "--yes").exit_code == 0
    assert [body for _, body in sent(api)] == [
        {"decision": "same", "reason": "looked up", "keep": ANNA},
        {"decision": "same", "reason": "looked up"},
        {"decision": "separate", "reason": "looked up"},
    ]
    api.answers("POST", f"{HERE}/decision", (409, {"title": "t", "status": 409, "code": "identity.decided"}))
    late = run(api, "same", CASE, *WHY, "--yes")
    assert (late.exit_code, "stafett identity show CASE" in late.output) == (3, True)


def test_records_are_merged_split_and_wound_up_without_a_case(api: FakeApi) -> None:
    api.answers("POST", f"/v1/persons/{ÅSA}/merge", (200, ties(ÅSA, "1001", "1002")))
    api.answers("POST", f"/v1/persons/{ÅSA}/split", (200, {**ties(ÅSA, "1001"), "other": ties(ANNA, "a=1")}))
    api.answers("POST", f"/v1/persons/{ANNA}/retire", (200, ties(ANNA, alias_of=ÅSA)))
    for words in (("merge", ÅSA, ANNA), ("split", ÅSA, "--id", f"{SOURCE}=a=1"), ("retire", ANNA)):
        assert (run(api, *words, *WHY).exit_code, sent(api)) == (1, []), words
    assert "(anna)" in run(api, "retire", ANNA, *WHY).output, "what is wound up is named"
    assert "1002" in run(api, "merge", ÅSA, ANNA, *WHY, "--yes").output
    parted = run(api, "split", ÅSA, "--id", f"{SOURCE}=a=1", *WHY, "--yes")
    assert (ANNA in parted.output, "a=1" in parted.output) == (True, True)
    assert "an alias of" in run(api, "retire", ANNA, *WHY, "--yes").output
    assert sent(api) == [
        (f"/v1/persons/{ÅSA}/merge", {"absorb": ANNA, "reason": "looked up"}),
        (f"/v1/persons/{ÅSA}/split", {"ids": [{"source": SOURCE, "externalId": "a=1"}], "reason": "looked up"}),
        (f"/v1/persons/{ANNA}/retire", {"reason": "looked up"}),
    ]
    assert run(api, "split", ÅSA, "--id", "a", *WHY, "--yes").exit_code == 2
