"""`stafett target` and `stafett drift` against a strict fake of accounts, over real HTTP."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.unit.cli.fake_api import FakeApi, invoke, serving

FINDING, PERSON = str(uuid4()), str(uuid4())
WHY = ("--reason", "beslut 7")


def finding(**more: Any) -> dict[str, Any]:
    return {
        "id": FINDING, "kind": "changed", "person": PERSON, "attribute": "title", "object": "e",
        "firstSeen": "2026-03-01",
        "detail": {"wanted": ["Lärare"], "observed": ["[b]Rektor"]}, **more,
    }  # fmt: skip


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving() as fake:
        yield fake


def test_targets_are_listed_and_units_go_live_after_a_question(api: FakeApi) -> None:
    one = {
        "target": "openldap",
        "mode": "dry_run",
        "live": 2,
        "accounts": 7,
        "findings": {"changed": 3},
        "comparedAt": None,
    }
    api.answers("GET", "/v1/targets", (200, {"items": [one]}))
    shown = invoke(api, "target", "list").output
    assert "openldap" in shown
    assert "dry run" in shown
    api.answers("POST", "/v1/targets/openldap/live/plan", (200, {"people": 3}))
    asked = invoke(api, "target", "live", "openldap", "100", *WHY)
    assert (asked.exit_code, "concerns 3 people" in asked.output) == (1, True)
    api.answers("POST", "/v1/targets/openldap/live", (202, {"units": ["100"], "lookedAtAgain": 4}))
    assert "4 people" in invoke(api, "target", "live", "openldap", "100", "--yes", *WHY).output
    assert api.calls[-1].body == {"units": ["100"], "reason": "beslut 7", "matches": 3}
    held = {"code": "target.not_staged", "title": "x"}
    api.answers("POST", "/v1/targets/openldap/live/plan", (409, held))
    refused = invoke(api, "target", "live", "openldap", "100", "--yes", *WHY)
    assert (refused.exit_code, "everybody is written" in refused.output) == (3, True)


def test_a_comparison_is_asked_for_and_shown(api: FakeApi) -> None:
    told = {
        "comparedAt": "2026-03-01T12:00:00Z", "read": 9, "skipped": 1, "running": True, "soFar": 4,
        "problem": "directory.timeout", "kinds": {"changed": 2, "orphan": 0},
    }  # fmt: skip
    api.answers("POST", "/v1/drift/openldap/runs", (202, told))
    assert "compared as soon" in invoke(api, "drift", "run", "openldap").output
    api.answers("GET", "/v1/drift/openldap", (200, told))
    shown = invoke(api, "drift", "show", "openldap").output
    for text in ("9 read", "4 read", "changed by hand"):
        assert text in shown
    assert "orphan" not in shown


def test_all_pages_of_findings_are_listed(api: FakeApi) -> None:
    path = "/v1/drift/openldap/findings"
    api.answers(
        "GET", path, (200, {"items": [finding()], "next": FINDING}), (200, {"items": [finding()], "next": None})
    )
    done = invoke(api, "drift", "findings", "openldap", "--kind", "changed", "--json")
    assert len(json.loads(done.stdout)["items"]) == 2
    assert api.calls[-1].query == {"limit": "200", "kind": "changed", "ignored": "false", "after": FINDING}
    api.answers("GET", path, (200, {"items": [finding()], "next": None}))
    assert "[b]Rektor" in invoke(api, "drift", "findings", "openldap").output


def test_one_is_decided_at_once_and_many_after_their_number_was_shown(api: FakeApi) -> None:
    api.answers("POST", f"/v1/drift/findings/{FINDING}/decide", (200, {"decided": 1, "lookedAt": 1}))
    assert invoke(api, "drift", "decide", FINDING, "reclaim", *WHY).exit_code == 0
    path, held = "/v1/drift/openldap/decide", {"code": "drift.count", "title": "x", "matches": 3}
    api.answers("POST", path, (409, held))
    asked = invoke(api, "drift", "decide", "openldap", "accept", "--kind", "changed", *WHY)
    assert (asked.exit_code, "Accept for 3 differences?" in asked.output) == (1, True)
    api.answers("POST", path, (409, held), (200, {"decided": 3, "lookedAt": 0}))
    done = invoke(api, "drift", "decide", "openldap", "accept", "--kind", "changed", "--yes", *WHY)
    assert "3 decided" in done.output
    assert api.calls[-1].body["matches"] == 3
    assert invoke(api, "drift", "decide", FINDING, "accept", "--attribute", "title", *WHY).exit_code == 2


def test_what_another_hand_took_from_a_person_is_given_again_or_left_after_a_question(api: FakeApi) -> None:
    path, whose = "/v1/drift/openldap/decide", ("--kind", "grant_taken", "--person", PERSON)
    api.answers("GET", "/v1/drift/openldap/findings", (200, {"items": [], "next": None}))
    invoke(api, "drift", "findings", "openldap", *whose, "--ignored")
    assert (api.calls[-1].query["person"], api.calls[-1].query["ignored"]) == (PERSON, "true")
    asked = invoke(api, "drift", "decide", "openldap", "reclaim", *whose, *WHY)
    assert (asked.exit_code, f"Reclaim what differs of person {PERSON}?" in asked.output) == (1, True)
    assert not [call for call in api.calls if call.path == path]
    api.answers("POST", path, (200, {"decided": 1, "lookedAt": 1}))
    one = ("--attribute", "group:alla", "--yes")
    assert "1 decided" in invoke(api, "drift", "decide", "openldap", "accept", *whose, *one, *WHY).output
    assert api.calls[-1].body == {
        "decision": "accept", "reason": "beslut 7", "kind": "grant_taken", "attribute": "group:alla", "person": PERSON,
    }  # fmt: skip
    assert invoke(api, "drift", "decide", FINDING, "accept", "--person", PERSON, *WHY).exit_code == 2


def test_a_take_over_is_planned_shown_and_approved_after_its_number_was_shown(api: FakeApi) -> None:
    counts = {"rows": 2, "approved": 1, "adopted": 0, "refused": 0}
    plan = {
        "planning": False, "problem": None, "plan": "abc", "madeAt": "2026-03-01T12:00:00Z", "read": 9, "people": 4,
        "counts": {"certain": counts, "ambiguous": counts, "none": counts},
    }  # fmt: skip
    row = {
        "entry": "e-1", "userName": "[b]x", "mails": [], "by": "name", "candidates": [PERSON], "adoptedBy": None,
        "refused": None,
    }  # fmt: skip
    api.answers("POST", "/v1/takeover/openldap/plan", (202, plan))
    assert "as soon as" in invoke(api, "takeover", "plan", "openldap").output
    api.answers("GET", "/v1/takeover/openldap", (200, plan))
    api.answers("GET", "/v1/takeover/openldap/rows", (200, {"plan": "abc", "items": [row], "next": None}))
    shown = invoke(api, "takeover", "show", "openldap", "--certainty", "ambiguous").output
    for text in ("abc", "[b]x", "ambiguous", PERSON):
        assert text in shown, text
    path, held = "/v1/takeover/openldap/adopt", {"code": "takeover.count", "title": "x", "matches": 2}
    api.answers(
        "POST", path, (409, held), (202, {"approved": 1, "refused": [{"entry": "e-2", "code": "person.unknown"}]})
    )
    done = invoke(api, "takeover", "adopt", "openldap", "--plan", "abc", "--certain", "--yes", *WHY)
    assert (done.exit_code, "e-2: the person is unknown" in done.output) == (0, True)
    assert api.calls[-1].body == {"plan": "abc", "rows": "certain", "reason": "beslut 7", "matches": 2}
    api.answers("POST", path, (409, held))
    pair = ("--pair", f"e-1={PERSON}")
    assert invoke(api, "takeover", "adopt", "openldap", "--plan", "abc", *pair, *WHY).exit_code == 1
    assert api.calls[-1].body["rows"] == [{"entry": "e-1", "person": PERSON}]
    assert invoke(api, "takeover", "adopt", "openldap", "--plan", "abc", "--certain", *pair, *WHY).exit_code == 2


def test_accounts_are_said_to_be_nobodys_after_a_question(api: FakeApi) -> None:
    given = ("takeover", "dismiss", "openldap", "e-1", "e-2", "--plan", "abc", *WHY)
    assert invoke(api, *given).exit_code == 1
    api.answers("POST", "/v1/takeover/openldap/dismiss", (200, {"dismissed": 2}))
    assert "2 are left" in invoke(api, *given, "--yes").output
    assert api.calls[-1].body == {"plan": "abc", "entries": ["e-1", "e-2"], "reason": "beslut 7"}
