"""Killed in the middle of an activation: whoever has the code gets in with the password that they chose last, once.

The oracle are the directories themselves, asked by a bind as the person.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import ldap3
import pytest

from services.kernel.directory.encryption import StrictTls
from tests.support import hr
from tests.support.house import House, at, running_house, wait_until
from tests.support.story import TODAY
from tests.support.town import hired

FIRST, LATER, NEVER = "Blå hästar 42 på ängen", "Gröna kor 17 i hagen", "Röda får 23 på berget"
USED = ("activation.after_claim", "activation.after_target", "activation.after_target:2", "ldap.before_write:2")
"""Points at which a use is cut off before the code is spent: nothing set, set in one directory, set in both."""


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house(active_directory=True) as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1")])
        house.settled()
        yield house


def joined(house: House, number: str, family: str) -> tuple[str, str]:
    """Hire somebody; return person and login."""
    (verdict,) = house.post([hired(number, ("Ylva", family))])
    wait_until(lambda: number in house.directory(), seconds=30)
    house.settled()
    return str(verdict["person"]), house.directory()[number].uid


def opens(house: House, number: str) -> dict[str, list[str]]:
    """Which of the passwords open which account."""
    samba, base = house.installation.samba, house.organisations["alvsund"].targets["active_directory"]
    server = ldap3.Server(samba.url, get_info=ldap3.NONE, tls=StrictTls(str(samba.ca_file)))

    def connected(who: str, password: str) -> ldap3.Connection:
        connection = ldap3.Connection(server, who, password, client_strategy=ldap3.SAFE_SYNC)
        connection.bind()
        return connection

    def bound(who: str, password: str) -> bool:
        connection = connected(who, password)
        allowed = bool(connection.bound)
        connection.unbind()
        return allowed

    admin = connected(samba.admin_dn, samba.config.admin_password)
    _, _, found, _ = admin.search(base, f"(employeeNumber={number})", attributes=["userPrincipalName"])
    admin.unbind()
    (principal,) = (one["raw_attributes"]["userPrincipalName"][0].decode() for one in found)
    dn = house.directory()[number].dn
    return {
        "openldap": [one for one in (FIRST, LATER, NEVER) if house.binds(dn, one)],
        "active_directory": [one for one in (FIRST, LATER, NEVER) if bound(principal, one)],
    }


def dying_at(house: House, point: str, path: str, body: Any) -> None:
    """Send a request to accounts, which is killed at a point of it, and start it anew."""
    house.installation.services["accounts"].stop()
    dying = house.installation.service("accounts", STAFETT_CRASH_AT=point)
    dying.launch()
    wait_until(lambda: dying.readiness()[0], seconds=40)
    with suppress(OSError, ValueError):
        house.request("POST", "accounts", path, body)
    wait_until(lambda: dying.pid is None, seconds=40, why=lambda: "the crash point was not passed")
    dying.kill9()
    again = house.installation.service("accounts", STAFETT_CRASH_AT="")
    again.launch()
    wait_until(lambda: again.readiness()[0], seconds=40)


def issued(house: House, person: str) -> str:
    status, told = house.request("POST", "accounts", f"/v1/accounts/{person}/activation", {"reason": "börjar i dag"})
    assert status == 201, told
    return str(told["code"])


def used(house: House, login: str, code: str, password: str) -> tuple[int, Any]:
    body = {"login": login, "code": code, "password": password}
    return house.request("POST", "accounts", "/v1/activations", body)


def standing(house: House, person: str) -> str:
    return str(house.request("GET", "accounts", f"/v1/accounts/{person}/activation")[1]["state"])


def test_killed_when_a_code_was_made_and_not_told(house: House) -> None:
    person, login = joined(house, "1800", "Ek")
    dying_at(house, "activation.after_issue", f"/v1/accounts/{person}/activation", {"reason": "börjar i dag"})
    assert standing(house, person) == "fetched", "nobody has it, and another one is issued"
    code = issued(house, person)
    assert used(house, login, code, LATER)[0] == 200
    assert opens(house, "1800") == {"openldap": [LATER], "active_directory": [LATER]}
    with house.admin() as conn:
        states = conn.execute(
            "SELECT state FROM accounts.activation WHERE person = %s ORDER BY 1", (person,)
        ).fetchall()
    assert states == [("spent",), ("void",)]


@pytest.mark.parametrize("point", USED)
def test_killed_before_the_code_was_spent(point: str, house: House) -> None:
    number = str(1810 + USED.index(point))
    person, login = joined(house, number, ("Al", "Ask", "Asp", "Lind")[USED.index(point)])
    code = issued(house, person)
    dying_at(house, point, "/v1/activations", {"login": login, "code": code, "password": FIRST})
    assert all(set(found) <= {FIRST} for found in opens(house, number).values())
    assert (standing(house, person), used(house, login, code, NEVER)[1]["code"]) == ("fetched", "activation.under_way")
    with house.admin() as conn:  # a minute later
        conn.execute("UPDATE accounts.activation SET busy_until = busy_until - interval '1 minute'")
    status, done = used(house, login, code, LATER)
    assert (status, [one["outcome"] for one in done["targets"]]) == (200, ["set", "set"])
    opened = opens(house, number)
    assert opened["openldap"] == [LATER]
    # a domain takes the password before for an hour more (OldPasswordAllowedPeriod): it is the same person's
    assert [one for one in opened["active_directory"] if one != FIRST] == [LATER]
    assert used(house, login, code, NEVER)[1]["code"] == "activation.invalid"
    assert standing(house, person) == "spent"


def test_killed_when_the_code_was_spent_and_the_answer_not_given(house: House) -> None:
    person, login = joined(house, "1830", "Rönn")
    code = issued(house, person)
    body = {"login": login, "code": code, "password": FIRST}
    dying_at(house, "activation.after_settle", "/v1/activations", body)
    assert standing(house, person) == "spent"
    assert used(house, login, code, NEVER)[1]["code"] == "activation.invalid"
    assert opens(house, "1830") == {"openldap": [FIRST], "active_directory": [FIRST]}
