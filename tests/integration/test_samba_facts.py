"""What the accounts service relies on in Active Directory, tried on a real domain controller with bare ldap3."""

from collections.abc import Iterator
from secrets import token_hex
from typing import Any
from uuid import UUID

import ldap3
import pytest
from ldap3 import MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE

from services.kernel.directory.encryption import StrictTls
from tests.support.servers import SambaUnderTest

PASSWORD = "Vinter-Kajak-42!"
OPEN, CLOSED = "512", "514"
SUCCESS, NO_SUCH_ATTRIBUTE, CONSTRAINT, NO_SUCH_OBJECT, INVALID_CREDENTIALS, EXISTS = 0, 16, 19, 32, 49, 68


def _connect(samba: SambaUnderTest, who: str, password: str) -> tuple[ldap3.Connection, Any]:
    server = ldap3.Server(samba.url, get_info=ldap3.NONE, tls=StrictTls(samba.ca_file))
    connection = ldap3.Connection(server, who, password, client_strategy=ldap3.SAFE_SYNC)
    _, result, *_ = connection.bind()
    return connection, result


def _bind(samba: SambaUnderTest, login: str, password: str) -> tuple[int, str]:
    connection, result = _connect(samba, f"{login}@stafett.example", password)
    connection.unbind()
    return int(result["result"]), str(result["message"])


@pytest.fixture
def service(samba: SambaUnderTest) -> Iterator[ldap3.Connection]:
    connection, result = _connect(samba, samba.service_dn, samba.service_password)
    assert result["result"] == SUCCESS
    yield connection
    connection.unbind()


@pytest.fixture
def login() -> str:
    return f"t{token_hex(6)}"


def _dn(samba: SambaUnderTest, login: str) -> str:
    return f"CN={login},OU=people,{samba.bases[0]}"


def _add(service: ldap3.Connection, dn: str, login: str, control: str, **more: str) -> int:
    attributes = {
        "sAMAccountName": login,
        "userPrincipalName": f"{login}@stafett.example",
        "userAccountControl": control,
        "unicodePwd": f'"{PASSWORD}"'.encode("utf-16-le"),
        "adminDescription": "stafett:alvsund:p:1.1",
        **more,
    }
    _, result, *_ = service.add(dn, ["user"], attributes)
    return int(result["result"])


def _modify(service: ldap3.Connection, dn: str, **changes: list[tuple[str, list[str]]]) -> int:
    _, result, *_ = service.modify(dn, changes)
    return int(result["result"])


def test_an_open_account_binds_with_its_password_and_a_disabled_one_is_refused_with_533(
    samba: SambaUnderTest, service: ldap3.Connection, login: str
) -> None:
    dn = _dn(samba, login)
    assert _add(service, dn, login, CLOSED) == SUCCESS
    code, message = _bind(samba, login, PASSWORD)
    assert (code, "data 533" in message) == (INVALID_CREDENTIALS, True)
    assert _modify(service, dn, userAccountControl=[(MODIFY_REPLACE, [OPEN])]) == SUCCESS
    assert _bind(samba, login, PASSWORD)[0] == SUCCESS
    code, message = _bind(samba, login, "x" + PASSWORD)
    assert (code, "data 52e" in message) == (INVALID_CREDENTIALS, True)
    assert _modify(service, dn, userAccountControl=[(MODIFY_REPLACE, [CLOSED])]) == SUCCESS
    assert "data 533" in _bind(samba, login, PASSWORD)[1]


def test_swapping_the_mark_is_atomic_with_the_rest_of_the_modification(
    samba: SambaUnderTest, service: ldap3.Connection, login: str
) -> None:
    dn = _dn(samba, login)
    assert _add(service, dn, login, OPEN) == SUCCESS
    old, new = "stafett:alvsund:p:1.1", "stafett:alvsund:p:1.2"
    swap = [(MODIFY_DELETE, [old]), (MODIFY_ADD, [new])]
    assert _modify(service, dn, adminDescription=swap, title=[(MODIFY_REPLACE, ["first"])]) == SUCCESS
    stale = _modify(
        service, dn, title=[(MODIFY_REPLACE, ["second"])], userAccountControl=[(MODIFY_REPLACE, [CLOSED])],
        adminDescription=swap,
    )  # fmt: skip
    assert stale == NO_SUCH_ATTRIBUTE
    _, _, found, _ = service.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["title", "userAccountControl"])
    assert found[0]["raw_attributes"] == {"title": [b"first"], "userAccountControl": [OPEN.encode()]}


def test_login_and_user_principal_name_are_unique_and_addresses_are_not(
    samba: SambaUnderTest, service: ldap3.Connection, login: str
) -> None:
    assert _add(service, _dn(samba, login), login, OPEN, mail=f"{login}@x.example") == SUCCESS
    other = f"{login}2"
    assert _add(service, _dn(samba, other), login.upper(), OPEN) == EXISTS
    same_principal = {"userPrincipalName": f"{login}@STAFETT.example"}
    assert _add(service, _dn(samba, other), other, OPEN, **same_principal) == CONSTRAINT
    addresses = {"mail": f"{login}@x.example", "proxyAddresses": f"SMTP:{login}@x.example"}
    assert _add(service, _dn(samba, other), other, OPEN, **addresses) == SUCCESS


def test_an_object_is_found_and_written_by_its_guid_after_it_was_moved_and_renamed(
    samba: SambaUnderTest, service: ldap3.Connection, login: str
) -> None:
    dn = _dn(samba, login)
    assert _add(service, dn, login, OPEN) == SUCCESS
    _, _, found, _ = service.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["objectGUID"])
    handle = f"<GUID={UUID(bytes_le=found[0]['raw_attributes']['objectGUID'][0])}>"
    _, moved, *_ = service.modify_dn(dn, f"CN={login}-renamed", new_superior=f"OU=groups,{samba.bases[0]}")
    assert moved["result"] == SUCCESS
    assert _modify(service, dn, title=[(MODIFY_REPLACE, ["x"])]) == NO_SUCH_OBJECT
    assert _modify(service, handle, title=[(MODIFY_REPLACE, ["x"])]) == SUCCESS
    _, _, found, _ = service.search(handle, "(objectClass=*)", ldap3.BASE, attributes=["title"])
    assert found[0]["dn"].startswith(f"CN={login}-renamed,OU=groups,")


def test_the_service_account_writes_below_the_bases_only(samba: SambaUnderTest, service: ldap3.Connection) -> None:
    name = f"t{token_hex(6)}"
    _, result, *_ = service.add(f"CN={name},CN=Users,DC=stafett,DC=example", ["user"], {"sAMAccountName": name})
    assert result["description"] == "insufficientAccessRights"


def test_an_account_that_has_expired_is_refused_with_701_and_one_that_will_is_not(
    samba: SambaUnderTest, service: ldap3.Connection, login: str
) -> None:
    dn, past, far, never = _dn(samba, login), "132000000000000000", "150000000000000000", "9223372036854775807"
    assert _add(service, dn, login, OPEN, accountExpires=far) == SUCCESS
    assert _bind(samba, login, PASSWORD)[0] == SUCCESS
    assert _modify(service, dn, accountExpires=[(MODIFY_REPLACE, [past])]) == SUCCESS
    code, message = _bind(samba, login, PASSWORD)
    assert (code, "data 701" in message) == (INVALID_CREDENTIALS, True)
    assert _modify(service, dn, accountExpires=[(MODIFY_REPLACE, [never])]) == SUCCESS
    assert _bind(samba, login, PASSWORD)[0] == SUCCESS
