"""Killed while writing to Active Directory and to a tenant that lags behind: each person has one account in each.

The oracle is the domain controller, asked as its administrator, and the simulated tenant's own log.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx2
import ldap3
import pytest

from deploy.local.graph import TENANT
from services.kernel.directory.encryption import StrictTls
from tests.support import hr
from tests.support.house import House, accounts_of, at, running_house, soon, wait_until
from tests.support.story import TODAY
from tests.support.town import hired

PEOPLE = 3
POINTS = (
    "ldap.after_write:2",
    "graph.before_write",
    "graph.after_write",
    "graph.after_write:4",
    "work.before_complete",
)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house(active_directory=True, graph=True) as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1")])
        house.settled()
        yield house


@pytest.fixture(scope="module")
def control(house: House) -> Iterator[httpx2.Client]:
    """The simulator's control API."""
    headers = {"Authorization": f"Bearer {house.installation.graph.control_token}"}
    with closing(httpx2.Client(base_url=house.installation.services["graph"].url, headers=headers)) as client:
        yield client


def domain(house: House) -> Counter[tuple[str, bool]]:
    """Return (employee number, open) of every account in the domain."""
    samba = house.installation.samba
    server = ldap3.Server(samba.url, get_info=ldap3.NONE, tls=StrictTls(str(samba.ca_file)))
    admin = ldap3.Connection(server, samba.admin_dn, samba.config.admin_password, client_strategy=ldap3.SAFE_SYNC)
    admin.bind()
    base, asked = house.organisations["alvsund"].targets["active_directory"], ["employeeNumber", "userAccountControl"]
    _, _, found, _ = admin.search(base, "(employeeNumber=*)", attributes=asked)
    admin.unbind()
    read = [one["raw_attributes"] for one in found if one["type"] == "searchResEntry"]
    return Counter((one["employeeNumber"][0].decode(), not int(one["userAccountControl"][0]) & 2) for one in read)


def tenant(control: httpx2.Client) -> Counter[tuple[str, bool]]:
    """Return (employee number, open) of every user of the tenant, past any lag."""
    users = control.get(f"/control/tenants/{TENANT}").raise_for_status().json()["user"]
    return Counter((one["employeeId"], one["accountEnabled"]) for one in users if one.get("employeeId"))


def named(control: httpx2.Client, number: str) -> set[str]:
    """Return by what somebody's accounts are signed in to, without the domain."""
    users = control.get(f"/control/tenants/{TENANT}").raise_for_status().json()["user"]
    return {one["userPrincipalName"].partition("@")[0] for one in users if one.get("employeeId") == number}


def made(control: httpx2.Client) -> int:
    """Return how many users the tenant has ever made, by its own log."""
    records = control.get("/control/log", params={"change": "user.created"}).raise_for_status().json()["records"]
    return sum(change.startswith("user.created") for one in records for change in one["changes"])


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str, house: House, control: httpx2.Client) -> None:
    control.put(f"/control/tenants/{TENANT}/lag", json={"seconds": 2}).raise_for_status()
    number = 4000 + 10 * POINTS.index(point)
    joiners = [str(number + each) for each in range(PEOPLE)]
    leaver = str(number + PEOPLE)
    house.post([hired(leaver, ("Lo", "Slutar"))])
    wait_until(lambda: tenant(control)[leaver, True] == 1 and domain(house)[leaver, True] == 1, seconds=60)
    house.settled()
    house.installation.services["accounts"].stop()
    dying = house.installation.service("accounts", STAFETT_CRASH_AT=point)
    dying.launch()
    house.post([hired(each, ("Bo", "Berg")) for each in joiners])
    house.post([hr.change(leaver, time="2026-03-02T07:00:00+01:00", validTo=soon(-1), endReason="resignation")])
    wait_until(lambda: dying.pid is None, seconds=60, why=lambda: "the crash point was not passed")
    dying.kill9()
    house.installation.service("accounts", STAFETT_CRASH_AT="").launch()
    wanted = Counter({**{(each, True): 1 for each in joiners}, (leaver, False): 1})

    def here(found: Counter[tuple[str, bool]]) -> Counter[tuple[str, bool]]:
        return Counter({key: count for key, count in found.items() if key[0] in {*joiners, leaver}})

    def why() -> Any:
        return {"domain": here(domain(house)), "tenant": here(tenant(control))}

    wait_until(lambda: here(domain(house)) == here(tenant(control)) == wanted, seconds=90, why=why)
    house.settled()
    assert (here(domain(house)), here(tenant(control))) == (wanted, wanted)
    assert made(control) == sum(tenant(control).values())


def test_killed_between_asking_and_the_answer_while_the_name_changes_makes_one_account(
    house: House, control: httpx2.Client
) -> None:
    """The tenant has made it and does not show it yet; who carries on knows only what was written down before."""
    control.put(f"/control/tenants/{TENANT}/lag", json={"seconds": 12}).raise_for_status()
    before, number = made(control), "4800"
    lost = {"kind": "lost_answer", "method": "POST", "path": "*/users", "times": 1, "hang": 30}
    control.post("/control/faults", json=lost).raise_for_status()
    accounts = house.installation.services["accounts"]
    house.post([hired(number, ("Eva", "Ek"))])
    wait_until(lambda: made(control) == before + 1, seconds=30)
    accounts.kill9()
    renamed = hr.person(number, name={"given": "Eva", "family": "Alm"})
    house.post([hr.event(renamed, time="2026-03-02T07:30:00+01:00")])
    accounts.launch()
    wait_until(lambda: named(control, number) == {"eva.alm"}, seconds=90, why=lambda: named(control, number))
    house.settled()
    assert (made(control), tenant(control)[number, True]) == (before + 1, 1)


def test_case_58_a_tenant_that_throttles_for_long_loses_nobody_and_delays_no_directory(
    house: House, control: httpx2.Client
) -> None:
    control.put(f"/control/tenants/{TENANT}/lag", json={"seconds": 0}).raise_for_status()
    throttling = {"kind": "throttle", "retry_after": 1}
    fault = control.post("/control/faults", json=throttling)
    assert fault.status_code < 300, fault.text
    number = "4900"
    (verdict,) = house.post([hired(number, ("Siv", "Ström"))])
    wait_until(lambda: domain(house)[number, True] == 1, seconds=30)
    assert tenant(control)[number, True] == 0

    def stands() -> dict[str, str]:
        targets = accounts_of(house, verdict["person"])
        return {one["target"]: one["observed"] for one in targets}

    there = {"openldap": "enabled", "active_directory": "enabled"}
    wait_until(lambda: {**stands(), "entra": ""} == {**there, "entra": ""}, seconds=30, why=stands)
    assert stands().get("entra") != "enabled", "the part state is visible"
    control.delete("/control/faults").raise_for_status()
    wait_until(lambda: tenant(control)[number, True] == 1, seconds=60)
    wait_until(lambda: stands() == {**there, "entra": "enabled"}, seconds=30, why=stands)
    house.settled()
    assert tenant(control)[number, True] == 1
