"""Orgtree killed at named points while a reorganisation is written: the directory ends as HR's record says.

The oracle is `ldapsearch`: one entry and one group for each unit, at its place, with whom HR says is in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support import hr
from tests.support.house import House, at, running_house, soon, wait_until
from tests.support.story import TODAY

POINTS = (
    "intake.before_commit",
    "ldap.before_write",
    "ldap.after_write:5",
    "work.before_complete",
)


@dataclass
class Said:
    """What HR has said so far: where each unit is, and who is in it."""

    above: dict[str, str | None] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)

    def path(self, unit: str) -> str:
        """Return where a unit is, as a directory writes it."""
        above = self.above[unit]
        return f"ou={unit},{'ou=units,dc=alvsund,dc=example' if above is None else self.path(above)}"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house() as house:
        house.set_business_time(at(TODAY))
        yield house


@pytest.fixture(scope="module")
def said() -> Said:
    return Said()


def standing(house: House) -> Mapping[str, Any]:
    """Return where each unit stands, and the employee numbers of those in its group."""
    base = "dc=alvsund,dc=example"
    entries = house.ldapsearch(base, "(stafettUnitKind=entry)", "stafettUnit")
    groups = house.ldapsearch(base, "(stafettUnitKind=unit)", "stafettUnit", "member")
    numbers = {entry.dn: number for number, entry in house.directory().items()}
    units = [attributes["stafettUnit"][0] for attributes in entries.values()]
    assert len(set(units)) == len(units)
    return {
        "entries": {attributes["stafettUnit"][0]: dn for dn, attributes in entries.items()},
        "people": {
            numbers[member]: attributes["stafettUnit"][0]
            for dn, attributes in groups.items()
            for member in attributes["member"]
            if member != dn
        },
    }


def shall(said: Said) -> Mapping[str, Any]:
    return {"entries": {unit: said.path(unit) for unit in said.above}, "people": dict(said.people)}


def hired(number: str, unit: str, *, time: str = "2026-03-01T08:00:00+01:00") -> dict[str, Any]:
    start = soon(-100)
    one = hr.employment(employeeNumber=number, start=start, assignments=[hr.assignment(unit, start)])
    return hr.event(hr.person(number, one), time=time)


def converges(house: House, said: Said) -> None:
    def why() -> object:
        return standing(house), shall(said), {name: house.unfinished(name) for name in ("orgtree", "accounts")}

    wait_until(lambda: standing(house) == shall(said), seconds=60, why=why)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str, house: House, said: Said) -> None:
    mark = f"{POINTS.index(point)}"
    top, old, new, gone = (f"{mark}-{name}" for name in ("top", "old", "new", "gone"))
    numbers = [f"9{mark}{each}" for each in range(3)]
    units = {top: None, old: top, new: top, gone: old}
    house.post([hr.unit(unit, name=f"Enhet {unit}", parent=parent) for unit, parent in units.items()])
    house.post([hired(number, old) for number in numbers])
    said.above |= units
    said.people |= dict.fromkeys(numbers, old)
    converges(house, said)
    house.settled()
    house.installation.services["orgtree"].stop()
    dying = house.installation.service("orgtree", STAFETT_CRASH_AT=point)
    dying.launch()
    later = "2026-03-02T08:00:00+01:00"
    house.post(
        [
            hr.unit(old, name=f"Enhet {old}", parent=new, time=later),
            hr.unit(gone, name=f"Enhet {gone}", parent=old, validTo=soon(-1), successors=[new], time=later),
            hr.unit(f"{mark}-born", name="Ny", parent=old, time=later),
            hired(numbers[0], new, time=later),
            hired(numbers[1], f"{mark}-born", time=later),
        ]
    )
    said.above |= {old: new, f"{mark}-born": old}
    del said.above[gone]
    said.people |= {numbers[0]: new, numbers[1]: f"{mark}-born"}
    wait_until(lambda: dying.pid is None, seconds=60, why=lambda: "the crash point was not passed")
    dying.kill9()
    house.installation.service("orgtree", STAFETT_CRASH_AT="").launch()
    converges(house, said)
    house.settled()
    assert standing(house) == shall(said)
