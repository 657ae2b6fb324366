"""Another login for who becomes protected, cut off after each write: the next pass ends with one account."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from services.accounts.adapters.active_directory import ActiveDirectoryAccounts
from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.plan import Change, Create
from services.accounts.ports import AccountDirectory, Lookup, Stamp
from services.kernel.directory import Directory, DirectoryAccess
from services.kernel.failures import Unavailable
from services.kernel.marks import Mark
from tests.integration.accounts.harness import access, clear
from tests.support.servers import SambaUnderTest, SlapdUnderTest

ORGANISATION, CHOIR = "alvsund", Grant(GrantKind.GROUP, "kor")
NEUTRAL = dict.fromkeys(("cn", "displayName", "sn", "givenName"), ("user7",))


@dataclass
class Cut:
    """Loses the answer to the write of a number."""

    after: int = 0
    written: int = 0

    def __call__(self, point: str) -> None:
        if point == "ldap.after_write":
            self.written += 1
            if self.written == self.after:
                raise Unavailable("directory.timeout")


@asynccontextmanager
async def target(name: str, request: pytest.FixtureRequest, cut: Cut) -> AsyncIterator[tuple[AccountDirectory, Any]]:
    """The adapter, and what tells all that stands in its place."""
    group: dict[str, tuple[str, ...]]
    if name == "openldap":
        slapd: SlapdUnderTest = request.getfixturevalue("slapd")
        base, reach = slapd.suffixes[0], access(slapd)
        hand, dn = Directory(reach), f"cn={CHOIR.value},ou=groups,{base}"
        kind, group = "groupOfNames", {"cn": (CHOIR.value,), "member": (dn,)}
    else:
        samba: SambaUnderTest = request.getfixturevalue("samba")
        base, reach = samba.bases[0], samba.access()
        hand, dn = Directory(samba.admin_access()), f"CN={CHOIR.value},OU=groups,{base}"
        kind, group = "group", {"sAMAccountName": (CHOIR.value,)}

    async def everything() -> str:
        entries = await hand.search(base, "(objectClass=*)", ["*"])
        return " ".join(f"{one.dn} {one.attributes}" for one in entries).casefold()

    def adapter(directory: Directory, access: DirectoryAccess) -> AccountDirectory:
        bases = {ORGANISATION: base}
        if access.active_directory:
            return ActiveDirectoryAccounts(directory, bases)
        return OpenLdapAccounts(directory, bases)

    writes = Directory(reach, crash=cut)
    await _clean(hand, base, dn, name)
    await hand.add(dn, [kind], group, subject="test")
    try:
        yield adapter(writes, reach), everything
    finally:
        await _clean(hand, base, dn, name)
        await writes.close()
        await hand.close()


async def _clean(hand: Directory, base: str, dn: str, name: str) -> None:
    if await hand.search(dn, "(objectClass=*)", ["1.1"]):
        await hand.delete(dn, subject="test")
    if name == "openldap":
        await clear(hand, base)
    else:
        for entry in await hand.search(base, "(sAMAccountType=805306368)", ["1.1"]):
            await hand.delete(entry.dn, subject="test")


@pytest.mark.parametrize("after", [1, 2, 3])
@pytest.mark.parametrize("name", ["openldap", "active_directory"])
async def test_a_change_of_login_that_is_cut_off_is_gone_on_with(
    name: str, after: int, request: pytest.FixtureRequest
) -> None:
    person, cut = uuid4(), Cut()
    async with target(name, request, cut) as (accounts, everything):

        def stamp(epoch: int) -> Stamp:
            return Stamp(ORGANISATION, person, Mark(1, epoch), epoch)

        told = {"cn": ("Xylofina Q",), "displayName": ("Xylofina Q",), "sn": ("Q",), "givenName": ("Xylofina",)}
        made = await accounts.add("xylofina.q", Create(True, told), stamp(1))
        await accounts.grant(made, CHOIR, stamp(1))
        cut.after, cut.written = after, 0
        with pytest.raises(Unavailable):
            await accounts.change(made, Change(NEUTRAL, login="user7"), stamp(2))
        left = (await accounts.find(Lookup(ORGANISATION, person, login="user7", entry=made.entry))).mine
        assert left is not None
        if left.user_name != "user7":
            left = await accounts.change(left, Change(NEUTRAL, login="user7"), stamp(3))
        assert (left.user_name, left.entry) == ("user7", made.entry)
        assert await accounts.held(left, {CHOIR}) == {CHOIR}
        assert "xylofina" not in await everything()
