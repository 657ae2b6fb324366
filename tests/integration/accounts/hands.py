"""Somebody at a keyboard in each kind of target: bare ldap3 and bare Graph calls, none of it by our code.

Accounts are named as the target's own tools name them: a distinguished name, a GUID, an id.
"""

import asyncio
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import httpx2
import ldap3
from typing_extensions import override

from services.accounts.adapters.active_directory import ActiveDirectoryAccounts
from services.accounts.adapters.entra import EntraAccounts
from services.accounts.adapters.entra_attributes import SignIn
from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.ports import AccountDirectory
from services.kernel.directory import Directory, Graph
from services.kernel.directory.encryption import StrictTls
from tests.integration.accounts.harness import access
from tests.support.entra import CLIENT, DOMAIN, SECRET, TENANT, GraphUnderTest, MemoryAskedNames, options
from tests.support.servers import SambaUnderTest, SlapdUnderTest

ORGANISATION = "alvsund"
Dump = Mapping[str, Mapping[str, Any]]


class Ground(ABC):
    """A target of one organisation, and a hand in it that is not ours."""

    target: str
    place: str
    accounts: AccountDirectory
    emptied = "departmentNumber"
    """An attribute that people see and that may be empty."""

    @abstractmethod
    async def account(self, person: UUID) -> str:
        """Return the one account with the person's mark."""

    @abstractmethod
    async def title(self, account: str, *values: str) -> None:
        """Write the title."""

    @abstractmethod
    async def empty(self, account: str) -> None:
        """Take the value of `emptied` away."""

    @abstractmethod
    async def close(self, account: str) -> None:
        """Close it, as people do."""

    @abstractmethod
    async def open(self, account: str) -> None:
        """Open it."""

    @abstractmethod
    async def is_open(self, account: str) -> bool:
        """Tell whether anybody could log in."""

    @abstractmethod
    async def delete(self, account: str) -> None:
        """Delete it."""

    @abstractmethod
    async def move(self, account: str) -> None:
        """Move it elsewhere."""

    @abstractmethod
    async def mark(self, account: str, text: str | None) -> None:
        """Write something else, or nothing, where the mark stands."""

    @abstractmethod
    async def steal(self, account: str, other: UUID) -> None:
        """Let it bear the mark of something that is not this person."""

    @abstractmethod
    async def make(self, login: str, *, number: str | None = None, person: UUID | None = None, name: str = "H") -> str:
        """Make an account; with `person` it bears that person's mark."""

    @abstractmethod
    async def dump(self) -> Dump:
        """Return everything that can be read of every account, by immutable id."""

    @abstractmethod
    async def aclose(self) -> None:
        """Leave."""


class Ldap(Ground):
    """What both LDAP directories have in common."""

    stamps: frozenset[str]
    id_: str

    def __init__(self, connect: Callable[[], Any], directory: Directory, base: str) -> None:
        self._connection = connect()
        self._directory = directory
        self.place = base
        self._elsewhere: list[str] = []

    async def do(self, operation: str, *arguments: Any, **options: Any) -> Any:
        """Do something, which has to succeed."""
        done, result, response, _ = await asyncio.to_thread(getattr(self._connection, operation), *arguments, **options)
        assert done or operation == "search", (operation, arguments, result)
        return response

    async def replace(self, account: str, **values: tuple[str, ...]) -> None:
        """Replace attributes."""
        await self.do("modify", account, {name: [(ldap3.MODIFY_REPLACE, list(v))] for name, v in values.items()})

    async def entries(self, condition: str, attributes: Any = ("1.1",), base: str | None = None) -> list[Any]:
        """Search."""
        found = await self.do("search", base or self.place, condition, attributes=list(attributes))
        return [one for one in found if one["type"] == "searchResEntry"]

    @override
    async def title(self, account: str, *values: str) -> None:
        await self.replace(account, title=values)

    @override
    async def empty(self, account: str) -> None:
        await self.replace(account, departmentNumber=())

    @override
    async def delete(self, account: str) -> None:
        await self.do("delete", account)

    async def unit(self, dn: str) -> str:
        """Make a unit that is gone afterwards."""
        await self.do("add", dn, ["organizationalUnit"])
        self._elsewhere.insert(0, dn)
        return dn

    async def put(self, account: str, below: str) -> None:
        """Move an account below something else."""
        await self.do("modify_dn", account, account.partition(",")[0], new_superior=below)

    @override
    async def move(self, account: str) -> None:
        await self.put(account, await self.unit(f"ou=annan,{self.place}"))

    @override
    async def dump(self) -> Dump:
        found = await self.entries("(|(objectClass=inetOrgPerson)(objectClass=user))", ["*", "+"])
        return {
            str(UUID(bytes_le=raw[0])) if self.id_ == "objectGUID" else raw[0].decode(): {
                "dn": one["dn"],
                **{name: sorted(values) for name, values in one["raw_attributes"].items() if name not in self.stamps},
            }
            for one in found
            if (raw := one["raw_attributes"][self.id_])
        }

    @override
    async def aclose(self) -> None:
        for account in await self.entries("(|(objectClass=inetOrgPerson)(objectClass=user))"):
            await self.delete(account["dn"])
        for dn in self._elsewhere:
            for account in await self.entries("(objectClass=person)", base=dn):
                await self.delete(account["dn"])
            await self.delete(dn)
        await asyncio.to_thread(self._connection.unbind)
        await self._directory.close()


class OpenLdap(Ldap):
    """OpenLDAP, as the administrator of the tree."""

    target = "openldap"
    id_ = "entryUUID"
    stamps = frozenset({"modifyTimestamp", "modifiersName", "entryCSN", "contextCSN"})

    def __init__(self, slapd: SlapdUnderTest) -> None:
        base = slapd.suffixes[0]
        directory = Directory(access(slapd))
        self.accounts = OpenLdapAccounts(directory, {ORGANISATION: base})
        server = ldap3.Server(slapd.url, get_info=ldap3.NONE)
        who = (slapd.admin_dn(base), slapd.admin_password)
        super().__init__(
            lambda: ldap3.Connection(server, *who, client_strategy=ldap3.SAFE_SYNC, auto_bind=True), directory, base
        )

    @override
    async def account(self, person: UUID) -> str:
        (found,) = await self.entries(f"(stafettPerson={person})")
        return str(found["dn"])

    @override
    async def close(self, account: str) -> None:
        await self.replace(account, pwdEndTime=("20200101000000Z",))

    @override
    async def open(self, account: str) -> None:
        await self.replace(account, pwdEndTime=())

    @override
    async def is_open(self, account: str) -> bool:
        (found,) = await self.entries("(objectClass=*)", ["pwdEndTime"], base=account)
        return not found["raw_attributes"].get("pwdEndTime")

    @override
    async def mark(self, account: str, text: str | None) -> None:
        names = ("stafettPerson", "stafettOrganisation", "stafettMark", "stafettRevision")
        values: dict[str, tuple[str, ...]] = {"stafettMark": (text,)} if text else dict.fromkeys(names, ())
        await self.replace(account, **values)

    @override
    async def steal(self, account: str, other: UUID) -> None:
        await self.replace(account, stafettOrganisation=("bergby",))

    @override
    async def make(self, login: str, *, number: str | None = None, person: UUID | None = None, name: str = "H") -> str:
        dn = f"uid={login},ou=people,{self.place}"
        values = {"uid": login, "cn": name, "sn": name} | ({"employeeNumber": number} if number else {})
        marks = {"stafettPerson": str(person), "stafettOrganisation": ORGANISATION} if person else {}
        await self.do("add", dn, ["inetOrgPerson", *(["stafettManaged"] if person else [])], values | marks)
        return dn


class ActiveDirectory(Ldap):
    """Active Directory, as an administrator of the domain."""

    target = "active_directory"
    id_ = "objectGUID"
    stamps = frozenset({"whenChanged", "uSNChanged"})
    domain = "DC=stafett,DC=example"

    def __init__(self, samba: SambaUnderTest) -> None:
        base = samba.bases[0]
        directory = Directory(samba.access())
        self.accounts = ActiveDirectoryAccounts(directory, {ORGANISATION: base})
        server = ldap3.Server(samba.url, get_info=ldap3.NONE, tls=StrictTls(samba.ca_file))
        who = (samba.admin_dn, samba.admin_password)
        super().__init__(
            lambda: ldap3.Connection(server, *who, client_strategy=ldap3.SAFE_SYNC, auto_bind=True), directory, base
        )

    @override
    async def account(self, person: UUID) -> str:
        (found,) = await self.entries(f"(adminDescription=stafett:{ORGANISATION}:{person}:*)", base=self.domain)
        return str(found["dn"])

    @override
    async def close(self, account: str) -> None:
        await self.replace(account, userAccountControl=("514",))

    @override
    async def open(self, account: str) -> None:
        await self.replace(account, userAccountControl=("512",))

    async def expire(self, account: str) -> None:
        """Let it have ended on a day of 2020."""
        await self.replace(account, accountExpires=("132223104000000000",))

    async def lock_out(self, account: str) -> None:
        """Lock it as too many wrong passwords do."""
        await self.replace(account, lockoutTime=(str(int((time.time() + 11_644_473_600) * 10_000_000)),))

    @override
    async def is_open(self, account: str) -> bool:
        asked = ["userAccountControl", "accountExpires", "msDS-User-Account-Control-Computed"]
        (found,) = await self.entries("(objectClass=*)", asked, base=account)
        bits, ends, computed = (int(found["raw_attributes"][name][0]) for name in asked)
        return not bits & 2 and not computed & 16 and ends in {0, 2**63 - 1}

    @override
    async def mark(self, account: str, text: str | None) -> None:
        await self.replace(account, adminDescription=(text,) if text else ())

    @override
    async def steal(self, account: str, other: UUID) -> None:
        await self.mark(account, f"stafett:bergby:{other}:1.1")

    @override
    async def make(self, login: str, *, number: str | None = None, person: UUID | None = None, name: str = "H") -> str:
        dn = f"CN={login},OU=people,{self.place}"
        values: dict[str, Any] = {
            "sAMAccountName": login, "userPrincipalName": f"{login}@stafett.example", "displayName": name,
            "userAccountControl": "512", "unicodePwd": '"Vinter-Kajak-42!"'.encode("utf-16-le"),
            **({"employeeNumber": number} if number else {}),
            **({"adminDescription": f"stafett:{ORGANISATION}:{person}:1.1"} if person else {}),
        }  # fmt: skip
        await self.do("add", dn, ["user"], values)
        return dn


class Entra(Ground):
    """A tenant, as an application of somebody else's that may do everything."""

    target = "entra"
    place = DOMAIN
    emptied = "ou"
    mark_ = "extensionAttribute15"

    def __init__(self, simulator: GraphUnderTest) -> None:
        self.simulator = simulator
        self._graph = Graph(simulator.access())
        self.sign_in(SignIn.LOGIN)
        self._http = httpx2.AsyncClient(
            verify=ssl.create_default_context(cafile=simulator.ca_file), trust_env=False, base_url=simulator.url
        )

    def sign_in(self, by: SignIn) -> None:
        """Say what people sign in by."""
        self.accounts = EntraAccounts(
            self._graph, options(domains={ORGANISATION: DOMAIN}, sign_in=by), MemoryAskedNames()
        )

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call Graph, which has to do it."""
        form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
        form["scope"] = "https://graph.microsoft.com/.default"
        token = (await self._http.post(f"/{TENANT}/oauth2/v2.0/token", data=form)).raise_for_status().json()
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        answer = await self._http.request(method, f"/v1.0{path}", json=body, headers=bearer)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def patch(self, account: str, **values: Any) -> None:
        """Change properties."""
        await self.call("PATCH", f"/users/{account}", values)

    @override
    async def account(self, person: UUID) -> str:
        (found,) = (one for one in self.simulator.users() if _mark(one.properties) == str(person))
        return found.id

    @override
    async def title(self, account: str, *values: str) -> None:
        await self.patch(account, jobTitle=values[0] if values else None)

    @override
    async def empty(self, account: str) -> None:
        await self.patch(account, department=None)

    @override
    async def close(self, account: str) -> None:
        await self.patch(account, accountEnabled=False)

    @override
    async def open(self, account: str) -> None:
        await self.patch(account, accountEnabled=True)

    @override
    async def is_open(self, account: str) -> bool:
        shown = await self.call("GET", f"/users/{account}?$select=accountEnabled")
        return bool(shown["accountEnabled"])

    @override
    async def delete(self, account: str) -> None:
        await self.call("DELETE", f"/users/{account}")

    @override
    async def move(self, account: str) -> None:
        self.simulator.tenant.domains = (DOMAIN, "annan.example")
        await self.patch(account, userPrincipalName=f"flyttad.{account[:8]}@annan.example")

    @override
    async def mark(self, account: str, text: str | None) -> None:
        await self.patch(account, onPremisesExtensionAttributes={self.mark_: text})

    @override
    async def steal(self, account: str, other: UUID) -> None:
        await self.mark(account, str(other))

    @override
    async def make(self, login: str, *, number: str | None = None, person: UUID | None = None, name: str = "H") -> str:
        made = await self.call(
            "POST",
            "/users",
            {
                "accountEnabled": True,
                "displayName": name,
                "mailNickname": login,
                "userPrincipalName": f"{login}@{DOMAIN}",
                "passwordProfile": {"password": "Vinter-Kajak-42!"},
                **({"employeeId": number} if number else {}),
                **({"onPremisesExtensionAttributes": {self.mark_: str(person)}} if person else {}),
            },
        )
        return str(made["id"])

    @override
    async def dump(self) -> Dump:
        return {one.id: dict(one.properties) for one in self.simulator.users()}

    @override
    async def aclose(self) -> None:
        await self._http.aclose()
        await self._graph.close()


def _mark(properties: Mapping[str, Any]) -> str | None:
    found: str | None = (properties.get("onPremisesExtensionAttributes") or {}).get(Entra.mark_)
    return found
