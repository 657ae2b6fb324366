"""`stafett activation` against a strict fake of accounts."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.unit.cli.fake_api import FakeApi, invoke, serving

PERSON = str(uuid4())
PATH = f"/v1/accounts/{PERSON}/activation"
CODE = "0123A-4567B-89CDE-FGHJK"
MADE: dict[str, Any] = {
    "person": PERSON,
    "state": "fetched",
    "code": CODE,
    "userName": "anna.andersson",
    "expiresAt": "2027-03-29T11:00:00Z",
    "opensAt": "2027-03-18T00:00:00+01:00",
}
STANDS: dict[str, Any] = {
    "person": PERSON,
    "state": "fetched",
    "issuedBy": "it",
    "issuedAt": "2027-03-15T11:00:00Z",
    "expiresAt": "2027-03-29T11:00:00Z",
}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving() as fake:
        fake.answers("POST", PATH, (201, MADE))
        fake.answers("GET", PATH, (200, STANDS))
        yield fake


def test_a_code_is_shown_with_login_and_times(api: FakeApi) -> None:
    done = invoke(api, "activation", "issue", PERSON, "--reason", "first day")
    assert done.exit_code == 0, done.output
    for told in (CODE, "anna.andersson", "2027-03-29", "not shown again", "2027-03-18"):
        assert told in done.stdout
    assert [call.body for call in api.calls if call.method == "POST"] == [{"reason": "first day"}]


def test_a_code_needs_a_reason(api: FakeApi) -> None:
    assert invoke(api, "activation", "issue", PERSON).exit_code == 2
    assert api.calls == []


def test_a_refusal_says_what_to_do(api: FakeApi) -> None:
    api.answers("POST", PATH, (409, {"status": 409, "code": "activation.own", "title": "Not for themselves"}))
    done = invoke(api, "activation", "issue", PERSON, "--reason", "first day")
    assert done.exit_code == 3
    assert "Ask a colleague" in done.stderr


def test_what_is_shown_later_is_how_it_stands_and_never_the_code(api: FakeApi) -> None:
    done = invoke(api, "activation", "show", PERSON, lang="sv")
    assert done.exit_code == 0, done.output
    assert "kod hämtad, inte använd" in done.stdout
    assert "Utfärdad av it" in done.stdout
