"""`stafett file` against a strict fake of ingestion, over real HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import Result

from tests.unit.cli.fake_api import FakeApi, invoke, serving

FILE = str(uuid4())
HERE = f"/v1/files/{FILE}"
SOURCE = "https://hr.example/personal"
PEOPLE = {
    "items": [
        {
            "externalId": "p-[1]", "person": None, "state": "planned", "kind": "mover", "reason": "transfer",
            "fields": ["employments.assignments.unit"], "missing": False, "announced": False,
        }
    ],
    "next": None,
}  # fmt: skip


def standing(state: str, **more: Any) -> dict[str, Any]:
    counts = {"planned": 1, "mover": 1, "missing": 0, "rejectedRows": 0}
    return {
        "id": FILE, "name": "personal.csv", "kind": "full", "state": state, "rows": 1, "persons": 1, "code": None,
        "parameters": {}, "reason": None, "counts": counts, "progress": {"planned": 1, "toApply": 0}, **more,
    }  # fmt: skip


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving() as fake:
        yield fake


def run(api: FakeApi, *words: str) -> Result:
    return invoke(api, "file", *words)


def plan(api: FakeApi, path: Path, *words: str) -> Result:
    path.write_bytes(b"id;name\n1;A\n")
    return run(api, "plan", str(path), "--source", SOURCE, "--kind", "full", "--interval", "0.05", *words)


def test_a_plan_is_handed_in_followed_and_shown(api: FakeApi, tmp_path: Path) -> None:
    api.answers("POST", "/v1/files", (202, {**standing("received"), "duplicate": False}))
    api.answers("GET", HERE, (200, standing("received")), (200, standing("planned")))
    api.answers("GET", f"{HERE}/persons", (200, PEOPLE))
    done = plan(api, tmp_path / "personal.csv")
    assert done.exit_code == 0, done.output
    sent = api.calls[0]
    assert sent.body == b"id;name\n1;A\n"
    assert sent.query == {"source": SOURCE, "kind": "full", "plan": "true", "name": "personal.csv"}
    assert "p-[1]" in done.output
    assert "unit" in done.output
    assert "employments.assignments" not in done.output, "fields are told in words"
    assert f"stafett file apply {FILE}" in done.output


def test_a_refused_file_tells_why_and_shows_no_people(api: FakeApi, tmp_path: Path) -> None:
    refused = standing("refused", code="file.header_missing", parameters={"columns": "NAMN"}, reason="r")
    api.answers("POST", "/v1/files", (202, {**refused, "duplicate": False}))
    api.answers("GET", HERE, (200, refused))
    done = plan(api, tmp_path / "personal.csv")
    assert done.exit_code == 3
    assert "The header lacks NAMN." in done.output


def test_a_plan_with_rejects_says_how_to_fetch_them(api: FakeApi, tmp_path: Path) -> None:
    counts = {"rejected": 1, "missing": 0, "rejectedRows": 2}
    api.answers("POST", "/v1/files", (202, {**standing("received"), "duplicate": True}))
    api.answers("GET", HERE, (200, standing("planned", counts=counts)))
    api.answers("GET", f"{HERE}/persons", (200, {"items": [], "next": None}))
    done = plan(api, tmp_path / "personal.csv")
    assert done.exit_code == 1
    assert "handed in before" in done.output
    assert f"stafett file rejects {FILE}" in done.output


def test_a_long_plan_is_read_page_by_page(api: FakeApi, tmp_path: Path) -> None:
    api.answers("POST", "/v1/files", (202, {**standing("received"), "duplicate": False}))
    api.answers("GET", HERE, (200, standing("planned")))
    first = {**PEOPLE, "next": f"{HERE}/persons?after=7&limit=50&state=planned"}
    api.answers("GET", f"{HERE}/persons", (200, first), (200, PEOPLE))
    done = plan(api, tmp_path / "personal.csv")
    assert done.exit_code == 0, done.output
    assert [call.query["after"] for call in api.calls if call.path.endswith("persons")] == ["0", "7"]


def test_applying_is_followed_until_it_is_done(api: FakeApi) -> None:
    api.answers("POST", f"{HERE}/apply", (202, standing("applying")))
    api.answers("GET", HERE, (200, standing("planned")), (200, standing("applying")), (200, standing("done")))
    done = run(api, "apply", FILE, "--interval", "0.05")
    assert done.exit_code == 0, done.output
    assert [call.method for call in api.calls] == ["POST", "GET", "GET", "GET"]


def test_a_plan_that_was_overtaken_names_who(api: FakeApi) -> None:
    person = str(uuid4())
    problem = {"title": "The plan has been overtaken", "status": 409, "code": "file.overtaken"}
    errors = [{"field": f"/persons/{person}", "code": "file.person_moved", "reason": "something new"}]
    api.answers("POST", f"{HERE}/apply", (409, {**problem, "errors": errors}))
    done = run(api, "apply", FILE)
    assert done.exit_code == 3
    assert person in done.output
    assert "Plan the file once more." in done.output


def test_status_and_rejects(api: FakeApi, tmp_path: Path) -> None:
    api.answers("GET", HERE, (200, standing("done")))
    api.answers("GET", f"{HERE}/rejects", (200, b"file,row\n"))
    assert "personal.csv" in run(api, "status", FILE).output
    assert run(api, "rejects", FILE, "--to", str(tmp_path / "r.csv")).exit_code == 0
    assert (tmp_path / "r.csv").read_bytes() == b"file,row\n"
    assert api.calls[-1].query == {"language": "en"}


def test_people_who_are_held_are_decided_about_after_a_question(api: FakeApi) -> None:
    held = standing("done", counts={"held": 3, "missing": 3, "rejectedRows": 0}, code="file.missing_many")
    api.answers("GET", HERE, (200, held))
    api.answers("POST", f"{HERE}/release", (202, standing("applying")))
    api.answers("POST", f"{HERE}/refuse", (200, standing("done")))
    assert "3 are held: stafett file release" in run(api, "status", FILE).output
    unanswered = run(api, "release", FILE, "--reason", "x")
    assert (unanswered.exit_code, "Let 3 people" in unanswered.output) == (1, True)
    assert [call for call in api.calls if call.method == "POST"] == []
    some = ("--person", "p-1", "--person", "p-2")
    done = run(api, "release", FILE, "--reason", "they left", *some, "--yes", "--interval", "0.05")
    assert done.exit_code == 0, done.output
    assert run(api, "refuse", FILE, "--reason", "half a file", "--yes").exit_code == 0
    assert [call.body for call in api.calls if call.method == "POST"] == [
        {"reason": "they left", "persons": ["p-1", "p-2"]},
        {"reason": "half a file"},
    ]
