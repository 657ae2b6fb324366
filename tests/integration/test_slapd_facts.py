"""What the accounts service relies on in OpenLDAP, tried on the real server (see deploy/openldap/README.md)."""

import subprocess
from collections.abc import Iterator
from secrets import token_hex

import ldap3
import pytest
from ldap3 import MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE

from tests.support.servers import SlapdUnderTest

ENDED = "20000101000000Z"
SUCCESS, NO_SUCH_ATTRIBUTE, INVALID_CREDENTIALS, INSUFFICIENT_ACCESS, ALREADY_EXISTS = 0, 16, 49, 50, 68


def _connect(slapd: SlapdUnderTest, dn: str, password: str) -> tuple[ldap3.Connection, int]:
    server = ldap3.Server(slapd.url, get_info=ldap3.NONE)
    connection = ldap3.Connection(server, dn, password, client_strategy=ldap3.SAFE_SYNC)
    _, result, *_ = connection.bind()
    return connection, int(result["result"])


def _bind(slapd: SlapdUnderTest, dn: str, password: str) -> int:
    connection, code = _connect(slapd, dn, password)
    connection.unbind()
    return code


@pytest.fixture
def service(slapd: SlapdUnderTest) -> Iterator[ldap3.Connection]:
    connection, code = _connect(slapd, slapd.service_dn, slapd.service_password)
    assert code == SUCCESS
    yield connection
    connection.unbind()


@pytest.fixture
def dn(slapd: SlapdUnderTest) -> str:
    return f"uid={token_hex(6)},ou=people,{slapd.suffixes[0]}"


def _add(service: ldap3.Connection, dn: str, **more: str) -> int:
    attributes = {
        "sn": "x",
        "cn": "x",
        "userPassword": "first-of-all-12",
        "stafettPerson": "p",
        "stafettMark": "1.1",
        **more,
    }
    _, result, *_ = service.add(dn, ["inetOrgPerson", "stafettManaged"], attributes)
    return int(result["result"])


def _modify(service: ldap3.Connection, dn: str, changes: dict[str, list[tuple[str, list[str]]]]) -> int:
    _, result, *_ = service.modify(dn, changes)
    return int(result["result"])


def _read(service: ldap3.Connection, dn: str, *attributes: str) -> dict[str, list[str]]:
    _, _, found, _ = service.search(dn, "(objectClass=*)", ldap3.BASE, attributes=list(attributes))
    return dict(found[0]["attributes"])


def test_an_account_that_is_added_with_an_end_in_the_past_is_refused_from_the_start(
    slapd: SlapdUnderTest, service: ldap3.Connection, dn: str
) -> None:
    assert _add(service, dn, pwdEndTime=ENDED) == SUCCESS
    assert _bind(slapd, dn, "first-of-all-12") == INVALID_CREDENTIALS


def test_the_end_comes_and_goes_by_modify_without_a_control(
    slapd: SlapdUnderTest, service: ldap3.Connection, dn: str
) -> None:
    _add(service, dn)
    assert _bind(slapd, dn, "first-of-all-12") == SUCCESS
    for _ in range(2):
        assert _modify(service, dn, {"pwdEndTime": [(MODIFY_REPLACE, [ENDED])]}) == SUCCESS
        assert _bind(slapd, dn, "first-of-all-12") == INVALID_CREDENTIALS
    for _ in range(2):
        assert _modify(service, dn, {"pwdEndTime": [(MODIFY_REPLACE, [])]}) == SUCCESS
        assert _bind(slapd, dn, "first-of-all-12") == SUCCESS
    assert _modify(service, dn, {"pwdEndTime": [(MODIFY_DELETE, [])]}) == NO_SUCH_ATTRIBUTE


def test_a_password_reset_does_not_let_a_disabled_account_in(
    slapd: SlapdUnderTest, service: ldap3.Connection, dn: str
) -> None:
    _add(service, dn, pwdEndTime=ENDED)
    admin = ["-D", slapd.admin_dn(slapd.suffixes[0]), "-w", slapd.admin_password]
    subprocess.run(
        ["ldappasswd", "-x", "-H", slapd.url, *admin, "-s", "second-of-all", dn], check=True, capture_output=True
    )
    assert _bind(slapd, dn, "second-of-all") == INVALID_CREDENTIALS
    assert _modify(service, dn, {"userPassword": [(MODIFY_REPLACE, ["third-of-all-"])]}) == SUCCESS
    assert _bind(slapd, dn, "third-of-all-") == INVALID_CREDENTIALS
    assert _modify(service, dn, {"pwdEndTime": [(MODIFY_REPLACE, [])]}) == SUCCESS
    assert _bind(slapd, dn, "third-of-all-") == SUCCESS


def test_the_end_is_returned_only_when_it_is_asked_for(service: ldap3.Connection, dn: str) -> None:
    _add(service, dn, pwdEndTime=ENDED)
    assert _read(service, dn, "pwdEndTime") == {"pwdEndTime": [ENDED]}
    assert _read(service, dn, "+")["pwdEndTime"] == [ENDED]
    assert "pwdEndTime" not in _read(service, dn, "*")


def test_a_user_reads_itself_but_cannot_lift_or_set_its_end(
    slapd: SlapdUnderTest, service: ldap3.Connection, dn: str
) -> None:
    _add(service, dn)
    user, code = _connect(slapd, dn, "first-of-all-12")
    assert code == SUCCESS
    assert _read(user, dn, "cn") == {"cn": ["x"]}
    assert _modify(user, dn, {"pwdEndTime": [(MODIFY_REPLACE, [ENDED])]}) == INSUFFICIENT_ACCESS
    _modify(service, dn, {"pwdEndTime": [(MODIFY_REPLACE, [ENDED])]})
    assert _read(user, dn, "cn") == {"cn": ["x"]}, "a bound session lives on: this is why idle ones are limited"
    user.unbind()


def test_the_mark_is_swapped_only_by_who_knows_the_old_one(service: ldap3.Connection, dn: str) -> None:
    _add(service, dn)

    def swap(old: str, new: str, title: str) -> int:
        mark = [(MODIFY_DELETE, [old]), (MODIFY_ADD, [new])]
        return _modify(service, dn, {"stafettMark": mark, "title": [(MODIFY_REPLACE, [title])]})

    assert swap("1.1", "1.2", "newer") == SUCCESS
    assert swap("1.1", "1.3", "zombie") == NO_SUCH_ATTRIBUTE
    assert _read(service, dn, "stafettMark", "title") == {"stafettMark": ["1.2"], "title": ["newer"]}
    assert _add(service, dn) == ALREADY_EXISTS


def test_the_service_reads_more_entries_than_the_size_limit(slapd: SlapdUnderTest, service: ldap3.Connection) -> None:
    base = f"ou=size,ou=units,{slapd.suffixes[0]}"
    service.add(base, "organizationalUnit")
    for number in range(510):
        service.add(f"ou={number},{base}", "organizationalUnit")
    _, result, found, _ = service.search(base, "(objectClass=*)", ldap3.SUBTREE, attributes=["ou"])
    assert (result["result"], len(found)) == (SUCCESS, 511)


def test_the_service_counts_the_servers_writes(service: ldap3.Connection, dn: str) -> None:
    def adds() -> int:
        found = _read(service, "cn=Add,cn=Operations,cn=Monitor", "monitorOpCompleted")
        return int(found["monitorOpCompleted"][0])

    before = adds()
    _add(service, dn)
    assert adds() == before + 1
