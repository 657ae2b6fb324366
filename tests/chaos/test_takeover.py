"""Killed while a take-over is approved or carried out: each account has one person, and nothing else was changed.

The oracle is the domain controller, read whole as its administrator before and after.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import ldap3
import pytest

from services.kernel.directory.encryption import StrictTls
from tests.support import hr
from tests.support.house import House, at, running_house, wait_until
from tests.support.story import TODAY
from tests.support.town import hired

CERTAIN = 4
POINTS = ("takeover.before_commit", "takeover.after_commit", "ldap.before_write:3", "ldap.after_write:2")
PATH = "/v1/takeover/active_directory"
STAMPS = {"whenChanged", "uSNChanged"}
MARK, GROUPS = "adminDescription", "memberOf"
Dump = Mapping[str, Mapping[str, Any]]


class Domain:
    """The domain, and an administrator who makes accounts in it."""

    def __init__(self, house: House) -> None:
        samba = house.installation.samba
        self._base = house.organisations["alvsund"].targets["active_directory"]
        server = ldap3.Server(samba.url, get_info=ldap3.NONE, tls=StrictTls(str(samba.ca_file)))
        password = samba.config.admin_password
        self.connection = ldap3.Connection(server, samba.admin_dn, password, client_strategy=ldap3.SAFE_SYNC)
        assert self.connection.bind()[0]

    def make(self, login: str, number: str) -> None:
        """Make an open account."""
        password = '"Vinter-Kajak-42!"'.encode("utf-16-le")
        values = {"sAMAccountName": login, "userAccountControl": "512", "unicodePwd": password}
        values["employeeNumber"] = number
        done, result, *_ = self.connection.add(f"CN={login},OU=people,{self._base}", ["user"], values)
        assert done, result

    def dump(self) -> Dump:
        """Return every account by its id, with all that can be read of it."""
        _, _, found, _ = self.connection.search(self._base, "(sAMAccountType=805306368)", attributes=["*"])
        return {
            str(UUID(bytes_le=one["raw_attributes"]["objectGUID"][0])): {
                name: values for name, values in one["raw_attributes"].items() if name not in STAMPS
            }
            for one in found
            if one["type"] == "searchResEntry"
        }


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house(active_directory=True) as house:
        house.set_business_time(at(TODAY))
        house.installation.services["accounts"].stop()
        file = house.installation.folder / "targets" / "targets.toml"
        kind = 'kind = "active_directory"\n'
        file.write_text(file.read_text().replace(kind, f"{kind}staged = true\n"))
        house.installation.services["accounts"].launch()
        house.post([hr.unit("u-1")])
        house.settled()
        yield house


@pytest.fixture(scope="module")
def domain(house: House) -> Iterator[Domain]:
    found = Domain(house)
    yield found
    found.connection.unbind()


def standing(house: House) -> dict[str, Any]:
    status, body = house.request("GET", "accounts", PATH)
    assert status == 200, body
    found: dict[str, Any] = body
    return found


def planned(house: House) -> dict[str, Any]:
    before = standing(house)["madeAt"]
    assert house.request("POST", "accounts", f"{PATH}/plan")[0] == 202
    wait_until(lambda: standing(house)["madeAt"] != before, seconds=60, why=lambda: standing(house))
    return standing(house)


def adopt(house: House, plan: str, matches: int) -> tuple[int, Any]:
    body = {"plan": plan, "rows": "certain", "reason": "start", "matches": matches}
    try:
        return house.request("POST", "accounts", f"{PATH}/adopt", body)
    except (OSError, ValueError):  # it died with or without the commit: nobody can know
        return 0, None


def marks(dump: Dump) -> Counter[str]:
    """Return how many accounts bear each person's mark."""
    return Counter(one[MARK][0].decode().rpartition(":")[0] for one in dump.values() if MARK in one)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str, house: House, domain: Domain) -> None:
    at_point = POINTS.index(point)
    numbers = [str(5000 + 100 * at_point + each) for each in range(CERTAIN)]
    shared = f"{numbers[0]}9"
    for number in numbers:
        domain.make(f"gammal{number}", number)
    for login in ("a", "b"):
        domain.make(f"{login}{shared}", shared)
    domain.make(f"c{shared}", f"{shared}9")
    house.post([hired(number, ("Bo", "Berg")) for number in (*numbers, shared)])
    house.settled()
    before = domain.dump()
    house.installation.services["accounts"].stop()
    dying = house.installation.service("accounts", STAFETT_CRASH_AT=point)
    dying.launch()
    dying.wait_ready(60)
    plan = planned(house)
    counts = {certainty: one["rows"] for certainty, one in plan["counts"].items()}
    assert counts == {"certain": CERTAIN, "ambiguous": 2 * (at_point + 1), "none": at_point + 1}
    adopt(house, plan["plan"], CERTAIN)
    wait_until(lambda: dying.pid is None, seconds=60, why=lambda: "the crash point was not passed")
    dying.kill9()
    house.installation.service("accounts", STAFETT_CRASH_AT="").launch()
    house.installation.services["accounts"].wait_ready(60)
    left = adopt(house, plan["plan"], 0)[1].get("matches", 0)
    assert left == (CERTAIN if point == "takeover.before_commit" else 0)
    status, said = adopt(house, plan["plan"], left)
    assert (status, said["approved"]) == (202, left)
    wait_until(
        lambda: standing(house)["counts"]["certain"]["adopted"] == CERTAIN, seconds=60, why=lambda: standing(house)
    )
    house.settled()
    after = domain.dump()
    assert after.keys() == before.keys()
    changed = {
        (after[entry]["employeeNumber"][0].decode(), name)
        for entry in before
        for name in before[entry].keys() | after[entry].keys()
        if before[entry].get(name) != after[entry].get(name)
    }
    assert changed == {(number, name) for number in numbers for name in (MARK, GROUPS)}
    joined = {group for one in after.values() if MARK in one for group in one[GROUPS]}
    assert [group.partition(b",")[0] for group in joined] == [b"CN=alvsund-u-1"], "the group of their unit has them"
    assert set(marks(after).values()) == {1}
    assert sum(marks(after).values()) == CERTAIN * (at_point + 1)
    assert standing(house)["counts"]["certain"] == {
        "rows": CERTAIN, "approved": CERTAIN, "adopted": CERTAIN, "refused": 0,
    }  # fmt: skip
    assert standing(house)["counts"]["ambiguous"]["approved"] == 0
