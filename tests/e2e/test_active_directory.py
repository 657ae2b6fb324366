"""A joiner logs in to a real Active Directory at the start instant, and is refused after the end."""

from collections.abc import Iterator

import ldap3
import pytest

from services.kernel.directory.encryption import StrictTls
from tests.e2e.test_life import TODAY, hired
from tests.support import hr
from tests.support.house import House, at, running_house, soon, wait_until

PASSWORD = "Vinter-Kajak-42!"
DISABLED = "data 533"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house(active_directory=True) as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1"), hr.unit("u-2", name="Hemtjänst söder")])
        house.settled()
        yield house


def _connect(house: House, who: str, password: str) -> tuple[ldap3.Connection, str]:
    samba = house.installation.samba
    server = ldap3.Server(samba.url, get_info=ldap3.NONE, tls=StrictTls(str(samba.ca_file)))
    connection = ldap3.Connection(server, who, password, client_strategy=ldap3.SAFE_SYNC)
    _, result, *_ = connection.bind()
    return connection, str(result["message"])


def _logs_in(house: House, principal: str) -> tuple[bool, str]:
    connection, message = _connect(house, principal, PASSWORD)
    allowed = bool(connection.bound)
    connection.unbind()
    return allowed, message


def _accounts(house: House, number: str) -> list[tuple[str, str]]:
    """Return DN and principal name of the accounts with an employee number, asked as the administrator."""
    samba = house.installation.samba
    connection, _ = _connect(house, samba.admin_dn, samba.config.admin_password)
    base = house.organisations["alvsund"].targets["active_directory"]
    _, _, found, _ = connection.search(base, f"(employeeNumber={number})", attributes=["userPrincipalName"])
    connection.unbind()
    return [(one["dn"], one["raw_attributes"]["userPrincipalName"][0].decode()) for one in found]


def _give_password(house: House, dn: str) -> None:
    samba = house.installation.samba
    connection, _ = _connect(house, samba.admin_dn, samba.config.admin_password)
    change = {"unicodePwd": [(ldap3.MODIFY_REPLACE, [f'"{PASSWORD}"'.encode("utf-16-le")])]}
    assert connection.modify(dn, change)[0]
    connection.unbind()


def test_a_joiner_logs_in_at_the_start_and_is_refused_after_the_end(house: House) -> None:
    house.post([hired("2001", start=soon(1), end=soon(30))])
    wait_until(lambda: bool(_accounts(house, "2001")), seconds=30)
    ((dn, principal),) = _accounts(house, "2001")
    _give_password(house, dn)
    assert DISABLED in _logs_in(house, principal)[1]
    house.set_business_time(at(soon(0), "23:59"))
    house.settled()
    assert DISABLED in _logs_in(house, principal)[1]
    house.set_business_time(at(soon(1), "00:01"))
    wait_until(lambda: _logs_in(house, principal)[0], seconds=20)
    house.set_business_time(at(soon(31), "00:01"))
    wait_until(lambda: DISABLED in _logs_in(house, principal)[1], seconds=20)
    house.set_business_time(at(TODAY))


def test_case_7_a_dismissal_closes_both_directories_also_after_the_domain_controller_was_killed(house: House) -> None:
    house.post([hired("2010", ("Berit", "Lund"))])
    wait_until(lambda: bool(_accounts(house, "2010")), seconds=30)
    ((dn, principal),) = _accounts(house, "2010")
    _give_password(house, dn)
    assert _logs_in(house, principal)[0]
    house.installation.samba.kill9()
    house.post([hr.change("2010", time="2026-03-02T08:59:00+01:00", validTo=TODAY, endReason="dismissal")])
    wait_until(lambda: house.directory()["2010"].disabled, seconds=20)
    house.installation.samba.start()
    wait_until(lambda: DISABLED in _logs_in(house, principal)[1], seconds=60)
    assert len(_accounts(house, "2010")) == 1
