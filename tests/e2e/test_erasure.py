"""Erasing a person, through the public doors: nothing is found of her in any schema, and nobody gets her login."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.support import hr
from tests.support.house import House, at, running_house, soon, wait_until

TODAY = "2026-03-02"
NAME = {"given": "Ingegerd", "family": "Xyström"}
NUMBER = "198507099805"
WORDS = ("ingegerd", "xystr", NUMBER, "e-7781", "i.x@hemma.example")
# a search by words is not kept; what people wrote as reasons is theirs
TEXTS = (
    "SELECT c.table_schema, c.table_name FROM information_schema.columns c JOIN information_schema.tables t"
    " USING (table_schema, table_name) WHERE t.table_type = 'BASE TABLE'"
    " AND c.table_schema IN ('kernel', 'ingestion', 'accounts', 'status') GROUP BY 1, 2"
)


@pytest.fixture
def house() -> Iterator[House]:
    with running_house() as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1")])
        yield house


def told(external: str, *, time: str, **fields: Any) -> hr.Event:
    one = hr.employment(employeeNumber=external, **{"start": soon(-400), **fields})
    about = {
        "birthDate": "1985-07-09",
        "identifiers": [{"kind": "personnummer", "value": NUMBER}],
        "privateContact": {"mail": "i.x@hemma.example"},
    }
    return hr.event(hr.person(external, one, name=NAME, **about), time=time)


def found(house: House) -> list[tuple[str, str, str]]:
    """Schema, table and word, wherever a word is found in a row; bytes are read as text too."""
    with house.admin() as conn:
        tables = conn.execute(TEXTS).fetchall()
        return [
            (schema, table, word)
            for schema, table in tables
            for word in WORDS
            for (row,) in conn.execute(f'SELECT t::text FROM {schema}."{table}" t'.encode()).fetchall()
            if word in row.lower() or word in _bytes(row)
        ]


def _bytes(row: str) -> str:
    shown = re.findall(r"\\\\x([0-9a-f]+)", row)
    return " ".join(bytes.fromhex(one).decode(errors="replace").lower() for one in shown if len(one) % 2 == 0)


def killed_while_erasing(house: House, person: str, point: str) -> str | None:
    """Kill ingestion at a point of the erasure, start it anew, and return when the person was erased."""
    path = f"/v1/persons/{person}/erasure"
    house.installation.services["ingestion"].stop()
    dying = house.installation.service("ingestion", STAFETT_CRASH_AT=point)
    dying.launch()
    wait_until(lambda: dying.readiness()[1].startswith("{"), seconds=30)
    with suppress(OSError, ValueError):
        house.request("POST", "ingestion", path, {"reason": "gallras enligt plan"})
    wait_until(lambda: dying.pid is None, seconds=40, why=lambda: "the crash point was not passed")
    dying.kill9()
    again = house.installation.service("ingestion", STAFETT_CRASH_AT="")
    again.launch()
    wait_until(lambda: house.request("GET", "ingestion", path)[0] == 200, seconds=30)
    erased_at: str | None = house.request("GET", "ingestion", path)[1]["erasedAt"]
    return erased_at


def test_nothing_is_found_of_who_is_erased_and_nobody_is_given_her_login(house: House) -> None:
    hired = told("e-7781", time="2026-03-01T08:00:00+01:00")
    (verdict,) = house.post([hired])
    person = verdict["person"]
    wait_until(lambda: "e-7781" in house.directory(), seconds=30)
    login = house.directory()["e-7781"].uid
    assert house.stafett("erase", person, "--yes", "--reason", "plan", code=3)
    house.set_business_time(at(soon(1)))
    house.post([hr.change("e-7781", time="2026-03-03T08:00:00+01:00", validTo=TODAY, endReason="resignation")])
    house.settled()
    for days in (40, 130):
        house.set_business_time(at(soon(days)))
        house.settled()
    assert "e-7781" not in house.directory()
    assert found(house), "the search finds what is there"
    assert killed_while_erasing(house, person, "erase.before_commit") is None, "nothing has happened"
    assert found(house)
    assert killed_while_erasing(house, person, "erase.after_commit") is not None
    answer = json.loads(house.stafett("erase", person, "--yes", "--reason", "gallras enligt plan", "--json"))
    assert answer["erasedAt"]
    house.settled()
    assert found(house) == []
    assert house.request("GET", "status", f"/v1/persons/{person}")[0] == 410
    (case,) = house.request("GET", "status", f"/v1/cases?person={person}&reason=erased")[1]["items"]
    assert (case["state"], case["name"]) == ("done", "")
    assert house.post([hired])[0]["status"] == "unchanged"
    house.stafett("replay", "--to", "status", "--reason", "prov")
    house.settled()
    assert found(house) == []
    assert house.request("GET", "status", "/v1/persons?q=ingegerd")[1]["items"] == []
    later = hr.person("e-9002", hr.employment(start=soon(130), employeeNumber="e-9002"), name=NAME)
    house.post([hr.event(later, time=f"{soon(130)}T08:00:00+02:00")])
    wait_until(lambda: "e-9002" in house.directory(), seconds=30)
    assert (login, house.directory()["e-9002"].uid) == ("ingegerd.xystrom", "ingegerd.xystrom2")
