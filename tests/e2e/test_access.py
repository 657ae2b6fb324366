"""Access beside HR's word, through the public doors: closed at once and restored, kept by two people, never undone."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import hr
from tests.support.house import House, at, running_house, soon, wait_until

TODAY = "2026-03-02"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house() as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1")])
        yield house


def hired(house: House, number: str, **fields: Any) -> tuple[str, str]:
    """Hire somebody; return our id of the person and the entry's name, with a password set."""
    one = hr.employment(employeeNumber=number, **{"start": soon(-100), **fields})
    name = {"given": "Åsa", "family": f"Öberg{number}"}
    (verdict,) = house.post([hr.event(hr.person(number, one, name=name), time="2026-03-01T08:00:00+01:00")])
    wait_until(lambda: number in house.directory(), seconds=30, why=lambda: f"no account for {number}")
    dn = house.directory()[number].dn
    house.set_password(dn, "hemlig-1")
    return verdict["person"], dn


def test_access_is_closed_at_once_stays_closed_and_is_restored(house: House) -> None:
    person, dn = hired(house, "3001")
    assert house.binds(dn, "hemlig-1")
    house.stafett("access", "disable", person, "--yes", "--reason", "misstänkt intrång")
    wait_until(lambda: not house.binds(dn, "hemlig-1"), seconds=10)
    house.stafett("access", "disable", person, "--yes", "--reason", "igen", code=3)
    house.post([hr.change("3001", time="2026-03-02T08:30:00+01:00", extent=50)])
    house.stafett("reverify", person, "--service", "accounts", "--reason", "prov")
    house.settled()
    assert not house.binds(dn, "hemlig-1"), "HR's next word does not open what was closed"
    _, detail = house.request("GET", "status", f"/v1/persons/{person}")
    assert detail["access"]["blockedSince"] is not None
    _, cases = house.request("GET", "status", f"/v1/cases?person={person}")
    assert "access_blocked" in [case["reason"] for case in cases["items"] if case["state"] == "done"]
    house.stafett("access", "restore", person, "--reason", "utrett")
    wait_until(lambda: house.binds(dn, "hemlig-1"), seconds=10)
    _, found = house.request("GET", "status", f"/v1/audit?person={person}")
    assert {"access.disable", "access.restore"} <= {record["action"] for record in found["items"]}


def test_access_is_kept_beyond_the_end_by_two_people_and_then_closes_by_itself(house: House) -> None:
    person, dn = hired(house, "3002", end=soon(1))
    proposed = json.loads(
        house.stafett("access", "keep", person, "--until", soon(4), "--reason", "lämnar över", "--json")
    )
    house.stafett("access", "approve", proposed["id"], "--reason", "ja", code=3)
    path, body = f"/v1/access/{proposed['id']}/answer", {"approve": True, "reason": "stämmer"}
    second = house.installation.issuer.mint("alvsund", ["commands:write"], subject="kollega")
    status, answer = house.request("POST", "ingestion", path, body, headers={"Authorization": f"Bearer {second}"})
    assert (status, answer["state"], answer["decidedBy"]) == (200, "effective", "kollega")
    house.set_business_time(at(soon(2), "09:00"))
    house.settled()
    assert house.binds(dn, "hemlig-1"), "HR's own end has passed"
    house.set_business_time(at(soon(4), "23:59"))
    house.settled()
    assert house.binds(dn, "hemlig-1")
    house.set_business_time(at(soon(5), "00:01"))
    wait_until(lambda: not house.binds(dn, "hemlig-1"), seconds=20)
    listed = json.loads(house.stafett("access", "list", person, "--json"))
    assert [(item["action"], item["state"]) for item in listed["items"]] == [("keep", "effective")]
    house.set_business_time(at(TODAY))


def test_two_records_become_one_person_whose_surplus_account_waits_leaves_with_her_and_comes_back(house: House) -> None:
    kept, kept_dn = hired(house, "3003")
    other, other_dn = hired(house, "3004")
    entries = set(house.ldapsearch(house.organisations["alvsund"].targets["openldap"], "(uid=*)", "uid"))
    path, why = f"/v1/persons/{kept}", {"reason": "samma personnummer i folkbokföringen"}
    assert house.request("POST", "ingestion", f"{path}/merge", {"absorb": other, **why})[0] == 200
    house.settled()
    before = house.ldapsearch(other_dn, "(uid=*)", "*")[other_dn]
    assert "employeeNumber" not in before, "it goes with the person"
    assert house.binds(other_dn, "hemlig-1"), "what is surplus waits for a person"
    _, shown = house.request("GET", "status", f"/v1/persons/{other}")
    assert shown["aliasOf"] == kept
    house.post([hr.change("3003", time="2026-03-02T08:40:00+01:00", extent=50)])
    house.settled()
    assert house.ldapsearch(other_dn, "(uid=*)", "*")[other_dn] == before
    assert set(house.ldapsearch(house.organisations["alvsund"].targets["openldap"], "(uid=*)", "uid")) == entries
    assert house.request("POST", "ingestion", f"/v1/persons/{other}/retire", why)[0] == 200
    wait_until(lambda: not house.binds(other_dn, "hemlig-1"), seconds=20)
    assert house.binds(kept_dn, "hemlig-1")
    ids = [{"source": hr.SOURCE, "externalId": "3004"}]
    status, parted = house.request("POST", "ingestion", f"{path}/split", {"ids": ids, **why})
    assert (status, parted["other"]["person"]) == (200, other)
    wait_until(lambda: house.binds(other_dn, "hemlig-1") and {"3003", "3004"} <= house.directory().keys(), seconds=20)
    assert house.request("POST", "ingestion", f"{path}/merge", {"absorb": other, **why})[0] == 200
    both = [hr.change(one, time="2026-03-02T08:50:00+01:00", validTo="2026-03-01") for one in ("3003", "3004")]
    house.post(both)
    wait_until(lambda: not house.binds(kept_dn, "hemlig-1") and not house.binds(other_dn, "hemlig-1"), seconds=20)
