"""Every page there is, with things to see on it."""

import json
from typing import Any

from deploy.local.settings import ROOT
from tests.support.house import House, soon, wait_until
from tests.support.town import PARKED, holds


def person_of(house: House, number: str) -> str:
    """Return a person's id by employee number."""
    found: dict[str, Any] = house.request("GET", "status", f"/v1/persons?q={number}")[1]
    (one,) = found["items"]
    return str(one["id"])


def command_of(house: House) -> str:
    """Return the newest command; one is given when there is none yet."""
    items = house.request("GET", "status", "/v1/commands")[1]["items"]
    if items:
        return str(items[0]["id"])
    body = {"type": "reverify", "service": "accounts", "person": person_of(house, PARKED), "reason": "en extra koll"}
    return str(house.request("POST", "status", "/v1/commands", body)[1]["id"])


def proposal_of(house: House, number: str) -> str:
    """Return a person's proposal that waits for a second person; one is made when there is none yet."""
    person = person_of(house, number)
    items = house.request("GET", "ingestion", "/v1/access/proposals")[1]["items"]
    waiting = [one["id"] for one in items if one["person"] == person]
    if waiting:
        return f"/people/{person}/access/{waiting[0]}"
    body = {"action": "keep", "until": soon(5), "reason": "Lämnar över sina ärenden"}
    status, made = house.request("POST", "ingestion", f"/v1/persons/{person}/access", body)
    assert status == 202, made
    return f"/people/{person}/access/{made['id']}"


def blocked(house: House, number: str) -> str:
    """Return a person whose access is closed."""
    person = person_of(house, number)

    def access() -> Any:
        return house.request("GET", "status", f"/v1/persons/{person}")[1]["access"]

    if not access():
        body = {"action": "disable", "reason": "Misstänkt intrång"}
        house.request("POST", "ingestion", f"/v1/persons/{person}/access", body)
        wait_until(lambda: bool(access()), seconds=20)
        house.settled()
    return person


def changed_table() -> dict[str, Any]:
    """The delivered table with a row changed, one gone, one new and one elsewhere."""
    content: dict[str, Any] = json.loads((ROOT / "deploy/policy/accounts.json").read_text())
    (table,) = (node["content"] for node in content["nodes"] if node["type"] == "decisionTableNode")
    rules = {rule["_id"]: rule for rule in table["rules"]}
    rules["employed"]["grace_days"] = "45"
    fresh = {**rules["trainee"], "_id": "intern", "_description": "Intern", "_description_sv": "Praktikant på prov"}
    middle = [rules[name] for name in ("seasonal", "hourly", "consultant", "trainee", "employed")]
    table["rules"] = [rules["school-break"], fresh, *middle, rules["other"]]
    return content


def put_in_force(house: House, content: dict[str, Any], reason: str) -> str:
    """Activate a table; return its hash."""
    planned: dict[str, Any] = house.request("POST", "accounts", "/v1/policy/accounts/plan", {"content": content})[1]
    body = {"content": content, "hash": planned["hash"], "reason": reason, "removals": planned["closes"]}
    status, answer = house.request("POST", "accounts", "/v1/policy/accounts/activate", body)
    assert status == 202, answer
    return str(planned["hash"])


def places(house: House) -> dict[str, str]:
    """Return each page's path by its name."""
    parked, held = person_of(house, PARKED), holds(house)
    cases = house.request("GET", "status", f"/v1/cases?person={parked}")[1]["items"]
    done = house.request("GET", "status", "/v1/cases?state=done&kind=joiner&limit=1")[1]["items"]
    act = f"/act?type=retry&service=accounts&person={parked}"
    found = {
        "start": "/",
        "cases": "/cases",
        "cases-filtered": "/cases?state=attention&kind=joiner",
        "cases-none": "/cases?reason=death",
        "case-parked": f"/cases/{cases[0]['id']}",
        "case-done": f"/cases/{done[0]['id']}",
        "people": "/people",
        "people-found": "/people?q=a",
        "people-none": "/people?q=finnsinte",
        "person": f"/people/{parked}",
        "attention": "/attention",
        "operations": "/operations",
        "policy": "/policy",
        "policy-trial": f"/policy/trial?person={parked}",
        "policy-trial-choices": "/policy/trial?person=a",
        "policy-plan": "/policy/plan",
        "commands": "/commands",
        "command": f"/commands/{command_of(house)}",
        "pause": "/operations/accounts/openldap/pause",
        "audit": "/audit",
        "audit-person": f"/audit?person={parked}",
        "audit-none": "/audit?actor=nobody",
        "confirm": act,
        "person-blocked": f"/people/{blocked(house, '1011')}",
        "access-close": f"/people/{parked}/access/disable",
        "access-keep": f"/people/{parked}/access/keep",
        "access-approve": proposal_of(house, "1000") + "/approve",
        "skip": act.replace("retry", "skip"),
        "not-there": "/cases/00000000-0000-4000-8000-000000000000",
        "no-such-page": "/nowhere",
    }
    if held:
        found["person-held"] = f"/people/{held[0]['person']}"
    return found
