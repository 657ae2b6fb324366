"""Texts, dates, lanes and tables as people read them."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from deploy import texts
from deploy.local.settings import ROOT
from services.kernel.clock import UTC
from services.kernel.security import RIGHTS
from services.portal.api.cases import lanes
from services.portal.api.desk import visible
from services.portal.api.desks import DESKS
from services.portal.api.policy.views import table_of
from services.portal.domain.answers import Refused, trouble_of
from services.portal.domain.formats import Formats
from services.portal.domain.work import CaseDetail

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
    assert [desk.key for desk in visible(DESKS, RIGHTS["records"])] == ["people"]
    assert len(visible(DESKS, RIGHTS["operations"])) == len(DESKS)


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
    assert table.outputs == ("account", "lead_days", "grace_days")
    employed = table.row("employed")
    assert employed is not None
    assert employed.inputs == ((), ("permanent", "fixed_term", "substitute", "probation"))
    assert employed.outputs == (("true",), ("14",), ("30",))
    assert table.row("no-such-row") is None


def test_what_is_no_table_is_shown_as_none() -> None:
    contents: list[dict[str, Any]] = [{}, {"nodes": []}, {"nodes": [{"type": "decisionTableNode", "content": {}}]}]
    for content in contents:
        assert table_of(content) is None


def test_a_problem_is_down_denied_missing_or_refused() -> None:
    kinds = {403: "denied", 404: "missing", 409: "refused", 422: "refused", 500: "down", 503: "down"}
    assert {status: trouble_of(Refused(status, "c", "t"), "status").kind for status in kinds} == kinds
