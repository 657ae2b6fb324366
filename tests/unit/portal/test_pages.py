"""Texts, dates, lanes and tables as people read them."""

import ast
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from contracts.texts import CODES
from deploy import texts
from deploy.local.settings import ROOT
from services.kernel.clock import UTC
from services.kernel.security import RIGHTS
from services.portal.api.audit import ACTS, READS
from services.portal.api.cases import lanes
from services.portal.api.commands import CommandDetail
from services.portal.api.desk import visible
from services.portal.api.desks import DESKS
from services.portal.api.operations import Overview
from services.portal.api.policy.comparing import compared
from services.portal.api.policy.views import table_of
from services.portal.domain.answers import Refused, trouble_of
from services.portal.domain.formats import Formats
from services.portal.domain.work import CaseDetail
from services.status.handlers.intake import COMMANDS

STOCKHOLM = ZoneInfo("Europe/Stockholm")
NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


def test_every_message_has_a_swedish_text() -> None:
    assert len(dict(texts.messages())) > 100
    assert texts.missing() == []


def test_every_desk_has_a_title_in_the_catalogue() -> None:
    said = dict(texts.messages())
    assert [desk.title for desk in DESKS if desk.title not in said] == []


def test_dates_are_the_organisations_own() -> None:
    swedish, english = Formats("sv", STOCKHOLM), Formats("en", STOCKHOLM)
    assert swedish.day(NOW) == "2 mars 2026", "it is past midnight in Stockholm"
    assert swedish.when(NOW) == "2 mars 2026 00:30"
    assert english.when(NOW) == "2 Mar 2026 00:30"
    assert swedish.distance(NOW + timedelta(days=3), NOW) == "om 3 dagar"
    assert swedish.duration(0.42) == "0,4 s"
    assert english.number(12345) == "12,345"
    assert swedish.number(12345) == "12\xa0345"
    assert swedish.when(None) == english.duration(None) == ""


def test_a_code_without_a_text_shows_itself() -> None:
    assert Formats("sv", STOCKHOLM).code("joiner") == "börjar"
    assert Formats("en", STOCKHOLM).code("made.up") == "made.up"
    assert Formats("en", STOCKHOLM).code(None) == ""


def test_desks_are_shown_by_right_and_none_by_default() -> None:
    assert visible(DESKS, frozenset()) == []
    assert [desk.key for desk in visible(DESKS, RIGHTS["records"])] == ["people", "organisation"]
    assert {desk.key for desk in DESKS} - {desk.key for desk in visible(DESKS, RIGHTS["operations"])} == {
        "identities",
        "audit",
    }


def case(**fields: Any) -> CaseDetail:
    body = {
        "id": str(uuid4()),
        "person": str(uuid4()),
        "name": "x",
        "kind": "joiner",
        "reason": "hire",
        "state": "running",
        "revision": 1,
        "effectiveAt": NOW.isoformat(),
        "acceptedAt": NOW.isoformat(),
        "updatedAt": NOW.isoformat(),
        "evaluators": [],
        "steps": [],
        "remains": [],
        "history": [],
        "unknownToUs": True,
    }
    return CaseDetail.model_validate({**body, **fields})


def step(target: str, code: str, due: datetime | None = None) -> dict[str, Any]:
    return {
        "service": "accounts",
        "target": target,
        "code": code,
        "state": "planned",
        "due": due.isoformat() if due else None,
    }


def test_a_lane_holds_an_evaluators_steps_in_the_order_of_time() -> None:
    found = lanes(
        case(
            evaluators=[
                {"service": "accounts", "target": "ldap", "handled": True},
                {"service": "phones", "target": "operator", "handled": False},
            ],
            steps=[step("ldap", "late", NOW + timedelta(days=2)), step("ldap", "now"), step("ad", "other")],
        )
    )
    assert [(lane.service, lane.target, [one.code for one in lane.steps]) for lane in found] == [
        ("accounts", "ad", ["other"]),
        ("accounts", "ldap", ["now", "late"]),
        ("phones", "operator", []),
    ]


def test_the_delivered_policy_reads_as_a_table() -> None:
    table = table_of(json.loads((ROOT / "deploy/policy/accounts.json").read_text()))
    assert table is not None
    assert table.inputs == ("organisation", "form")
    assert table.outputs == ("account", "lead_days", "grace_days", "expires_days")
    employed = table.row("employed")
    assert employed is not None
    assert employed.inputs == ((), ("permanent",))
    assert employed.outputs == (("true",), ("14",), ("30",), ("null",))
    assert table.row("no-such-row") is None


def test_a_comparison_hides_nothing() -> None:
    content = json.loads((ROOT / "deploy/policy/accounts.json").read_text())
    old = table_of(content)
    node = content["nodes"][1]["content"]
    rules = {rule["_id"]: rule for rule in node["rules"]}
    rules["employed"] |= {"grace_days": "45", "form": "['permanent', 'fixed_term']"}
    fresh = {**rules["trainee"], "_id": "intern"}
    kept = [one for one in node["rules"] if one["_id"] not in {"elected", "hourly"}]
    node["rules"] = [kept[0], fresh, *kept[1:-1], rules["hourly"], kept[-1]]
    new = table_of(content)
    assert new is not None
    lines = {line.id: line for line in compared(new, old).lines}
    changes = {name: line.change for name, line in lines.items() if line.change}
    assert changes == {"intern": ("new",), "elected": ("removed",), "hourly": ("moved",), "employed": ("changed",)}
    assert (lines["hourly"].was, lines["hourly"].position) == (2, 7 + 1)
    assert list(lines).index("elected") == list(lines).index("consultant") + 1, "it is shown where it stood"
    form, grace = lines["employed"].inputs[1], lines["employed"].outputs[2]
    assert (form.values, form.before) == (
        ("permanent", "fixed_term"),
        ("permanent",),
    )
    assert (grace.values, grace.before) == (("45",), ("30",))
    assert compared(new, old).differing == len(changes)
    assert compared(new, None).differing == 0


def test_a_column_that_is_gone_is_shown_too() -> None:
    content = json.loads((ROOT / "deploy/policy/accounts.json").read_text())
    old = table_of(content)
    node = content["nodes"][1]["content"]
    node["inputs"] = [one for one in node["inputs"] if one["id"] != "form"]
    new = table_of(content)
    assert new is not None
    found = compared(new, old)
    assert found.inputs == ("organisation", "form")
    assert [line.id for line in found.lines if "changed" not in line.change] == ["other"]


def test_every_action_of_the_audit_has_a_text_and_stands_in_the_filter() -> None:
    said = set(audited_actions())
    assert {"person.read", "policy.activated", "command.read", "target.paused"} <= said
    known = {*READS, *ACTS}
    assert said - known == set()
    assert known - CODES.keys() == set()


def audited_actions() -> Iterator[str]:
    """Yield the actions that services record: constants in calls of `record`, `audit`, `denied` and `opened`."""
    names = {"record", "audit", "denied", "opened"}
    for file in (ROOT / "services").rglob("api/*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in names:
                    for one in (inner for value in node.args for inner in ast.walk(value)):
                        if isinstance(one, ast.Constant) and re.fullmatch(r"[a-z]+\.[a-z_]+", str(one.value)):
                            yield str(one.value)
    operations = (ROOT / "services/kernel/operations.py").read_text("utf-8")
    yield from re.findall(r'"(target\.(?:paused|resumed))"', operations)
    yield from COMMANDS


def test_a_command_is_finished_when_each_match_has_been_heard_of() -> None:
    def command(**values: Any) -> CommandDetail:
        common = {
            "id": str(uuid4()),
            "type": "retry",
            "service": "accounts",
            "actor": "it",
            "reason": "x",
            "matched": 3,
        }
        return CommandDetail.model_validate({**common, "acceptedAt": NOW.isoformat(), "matches": [], **values})

    done = {"carriedOutAt": NOW.isoformat(), "count": 3}
    assert not command(progress={"pending": 3}).finished
    assert not command(progress={"pending": 1, "settled": 2}, **done).finished
    found = command(progress={"parked": 1, "settled": 2}, **done)
    assert (found.finished, found.settled, found.troubled) == (True, 2, 1)
    assert command(progress={"pending": 3}, **{**done, "count": 0}).finished, "there was nothing to do"
    refused = command(type="refuse", progress={"held": 3}, **done)
    assert (refused.settled, refused.troubled) == (3, 0), "held is what was asked for"


def test_a_service_is_in_order_only_when_nothing_waits_for_a_person() -> None:
    def overview(**values: Any) -> Overview:
        quiet = {"service": "accounts", "outbox": {"unpublished": 0, "oldestSeconds": 0}, "work": [], "breakers": []}
        return Overview.model_validate({**quiet, "deadLetters": {"kept": 0}, **values})

    later = (NOW + timedelta(minutes=1)).isoformat()
    row = {"target": "openldap", "count": 1, "wanted": 0, "due": 0}
    assert overview().in_order(NOW)
    assert overview(breakers=[{"target": "openldap", "resumeAt": NOW.isoformat()}]).in_order(NOW)
    for wrong in (
        {"breakers": [{"target": "openldap", "pausedAt": NOW.isoformat(), "pausedBy": "x", "pauseReason": "y"}]},
        {"breakers": [{"target": "openldap", "openedAt": NOW.isoformat()}]},
        {"breakers": [{"target": "openldap", "resumeAt": later}]},
        {"work": [{**row, "state": "parked"}]},
        {"work": [{**row, "state": "held"}]},
        {"outbox": {"unpublished": 1, "oldestSeconds": 61}},
    ):
        assert not overview(**wrong).in_order(NOW), wrong


def test_what_is_no_table_is_shown_as_none() -> None:
    contents: list[dict[str, Any]] = [{}, {"nodes": []}, {"nodes": [{"type": "decisionTableNode", "content": {}}]}]
    for content in contents:
        assert table_of(content) is None


def test_a_problem_is_down_denied_missing_or_refused() -> None:
    kinds = {403: "denied", 404: "missing", 409: "refused", 422: "refused", 500: "down", 503: "down"}
    assert {status: trouble_of(Refused(status, "c", "t"), "status").kind for status in kinds} == kinds
