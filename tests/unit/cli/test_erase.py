"""`stafett erase` against a strict fake of ingestion: nothing is erased until the id has been typed."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from typer.testing import Result

from tests.unit.cli.fake_api import FakeApi, invoke, serving

PERSON = str(UUID(int=1))
PATH = f"/v1/persons/{PERSON}/erasure"
PLAN: dict[str, Any] = {
    "person": PERSON,
    "erasedAt": None,
    "possible": True,
    "hindrances": [],
    "empties": {"facts": 7, "versions": 3, "ids": 1, "numbers": 1, "scimNames": 0, "decisions": 0, "files": 2},
    "keeps": ["id", "revisions", "cases", "audit", "reservations"],
    "messagesKeptDays": {"inbox": 30, "deadLetters": 90, "outbox": 396},
}
DONE = {**PLAN, "possible": False, "erasedAt": "2026-03-02T08:00:00Z"}
EARLY = {
    **PLAN,
    "possible": False,
    "hindrances": [{"code": "erasure.too_early", "until": "2026-05-01", "title": ""}],
}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving() as fake:
        fake.answers("GET", PATH, (200, PLAN))
        fake.answers("POST", PATH, (200, DONE))
        yield fake


def run(api: FakeApi, *words: str, typed: str | None = None) -> Result:
    return invoke(api, "erase", PERSON, "--reason", "plan", *words, typed=typed)


def posted(api: FakeApi) -> list[Any]:
    return [call.body for call in api.calls if call.method == "POST"]


@pytest.mark.parametrize(("typed", "code"), [("yes\n", 130), ("\n", 130), (f"{PERSON}\n", 0)])
def test_the_id_has_to_be_typed(api: FakeApi, typed: str, code: int) -> None:
    done = run(api, typed=typed)
    assert done.exit_code == code, done.output
    assert "facts from HR" in done.stderr
    assert "as keyed hashes" in done.stderr
    assert posted(api) == ([{"reason": "plan"}] if code == 0 else [])


def test_a_machine_is_not_asked(api: FakeApi) -> None:
    done = run(api, "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert '"erasedAt": "2026-03-02T08:00:00Z"' in done.stdout
    assert posted(api) == [{"reason": "plan"}]


def test_why_not_is_said_in_words_and_nothing_is_asked_for(api: FakeApi) -> None:
    api.answers("GET", PATH, (200, EARLY))
    done = run(api, "--yes")
    assert done.exit_code == 3
    assert "too recently until 2026-05-01" in done.stdout
    assert posted(api) == []


def test_who_is_erased_already_is_told_as_done(api: FakeApi) -> None:
    api.answers("GET", PATH, (200, DONE))
    done = run(api)
    assert (done.exit_code, posted(api)) == (0, [])
    assert "is erased" in done.stdout
