"""The organisation in a house of services: a reorganisation takes effect at midnight, whoever is killed before."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import hr
from tests.support.house import House, at, running_house, soon, wait_until
from tests.support.story import TODAY

PEOPLE = 12


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house() as house:
        house.set_business_time(at(TODAY))
        yield house


def hired(number: str, unit: str) -> dict[str, Any]:
    start = soon(-100)
    one = hr.employment(employeeNumber=number, start=start, assignments=[hr.assignment(unit, start)])
    return hr.event(hr.person(number, one), time="2026-03-01T08:00:00+01:00")


def paths(house: House) -> dict[str, list[str]]:
    """Return where each unit is, as `stafett` tells it."""
    units = json.loads(house.stafett("org", "tree", "--depth", "9", "--json"))["units"]
    above = {one["unit"]: one["parent"] for one in units}

    def path(unit: str | None) -> list[str]:
        return [] if unit is None else [*path(above[unit]), unit]

    return {unit: path(unit) for unit in above}


def unsettled(house: House) -> list[dict[str, Any]]:
    _, found = house.request("GET", "status", "/v1/cases?limit=100")
    return [one for one in found["items"] if one["state"] != "done"]


def test_a_reorganisation_edited_many_times_and_killed_before_ends_where_hr_says(house: House) -> None:
    people = [hired(f"o{n}", "100") for n in range(PEOPLE)]
    house.post(people[: PEOPLE // 2])  # people before their units, and a child before its parent
    house.post([hr.unit("100", name="Björkskolan", parent="10")])
    orgtree = house.installation.services["orgtree"]
    orgtree.kill9()
    house.post([hr.unit("10", name="Skolorna"), hr.unit("20", name="Vården")])
    house.post(people[PEOPLE // 2 :])
    orgtree.launch()
    orgtree.wait_ready(60)
    wait_until(lambda: paths(house).get("100") == ["10", "100"], seconds=30, why=lambda: paths(house))
    house.settled()
    assert unsettled(house) == []
    for number in range(6):
        moved = hr.unit(
            "100", name="Björkskolan", parent="20" if number % 2 else "10", time=f"2026-03-02T08:0{number}:00+01:00"
        )
        moved["data"]["effectiveFrom"] = soon(10 + number % 3)
        house.post([moved])
    house.settled()
    (coming, *_) = json.loads(house.stafett("org", "changes", "--json"))["items"]
    assert coming["unit"] == "100"
    assert paths(house)["100"] == ["10", "100"]
    orgtree.kill9()
    house.set_business_time(at(soon(15)))
    orgtree.launch()
    orgtree.wait_ready(60)
    wait_until(lambda: paths(house)["100"] == ["20", "100"], seconds=30, why=lambda: paths(house))
    _, unit = house.request("GET", "orgtree", "/v1/organisation/units/100")
    assert (unit["people"], len(unit["members"])) == (PEOPLE, PEOPLE)
    person = unit["members"][0]["person"]
    _, detail = house.request("GET", "status", f"/v1/persons/{person}")
    steps = {(one["target"], step["code"]): step["state"] for one in detail["targets"] for step in one["steps"]}
    assert steps["tree", "placement.placed"] == steps["openldap", "membership.joined"] == "verified"
    assert json.loads(house.stafett("org", "problems", "--json"))["missing"] == []


def test_what_orgtree_knows_comes_again_after_the_broker_was_wiped(house: House) -> None:
    before = paths(house)
    rabbitmq = house.installation.rabbitmq
    rabbitmq.kill9()
    rabbitmq.wipe_data()
    rabbitmq.launch()
    rabbitmq.wait_ready(60)
    house.post([hr.unit("101", name="Lindskolan", parent="20"), hired("after", "101")])
    wait_until(lambda: paths(house) == {**before, "101": ["20", "101"]}, seconds=90, why=lambda: paths(house))
    house.settled()
    assert unsettled(house) == []
