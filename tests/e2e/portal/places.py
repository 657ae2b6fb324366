"""Every page there is, with things to see on it."""

from typing import Any

from tests.support.house import House
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


def places(house: House) -> dict[str, str]:
    """Return each page's path by its name."""
    parked, held = person_of(house, PARKED), holds(house)
    cases = house.request("GET", "status", f"/v1/cases?person={parked}")[1]["items"]
    done = house.request("GET", "status", "/v1/cases?state=done&kind=joiner&limit=1")[1]["items"]
    act = f"/act?type=retry&service=accounts&person={parked}&name=Gunnar"
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
        "not-there": "/cases/00000000-0000-4000-8000-000000000000",
        "no-such-page": "/nowhere",
    }
    if held:
        found["person-held"] = f"/people/{held[0]['person']}"
    return found
