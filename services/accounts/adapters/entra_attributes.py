"""An account's attributes in Entra ID, and what of our own is written on it.

| ours | Graph |
|---|---|
| cn, displayName | displayName |
| givenName, sn, employeeNumber, title, ou | givenName, surname, employeeId, jobTitle, department |
| manager, the id of their account | manager, a reference that is written by itself |
| mail, the primary address | mail, from which Exchange makes the primary of proxyAddresses |
| the other addresses, departmentNumber | not kept: proxyAddresses are read-only in Graph, a unit's id has no property |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from services.accounts.domain.limits import within
from services.accounts.domain.managers import MANAGER
from services.accounts.domain.plan import Observed

PROPERTIES: Mapping[str, str] = MappingProxyType(
    {
        "displayName": "displayName",
        "givenName": "givenName",
        "sn": "surname",
        "mail": "mail",
        "employeeNumber": "employeeId",
        "title": "jobTitle",
        "ou": "department",
    }
)
# https://learn.microsoft.com/graph/api/resources/user, "Properties": a longer text is refused
LIMITS = {"displayName": 256, "givenName": 64, "sn": 64, "title": 128, "ou": 64}
EXTENSIONS = "onPremisesExtensionAttributes"
SELECT = ",".join(
    (
        *PROPERTIES.values(), "id", "accountEnabled", "userPrincipalName", "mailNickname", "proxyAddresses",
        "usageLocation", EXTENSIONS, "onPremisesSyncEnabled", "signInSessionsValidFromDateTime",
    )
)  # fmt: skip
EXPAND = "manager($select=id)"
"""https://learn.microsoft.com/graph/api/user-list-manager: the manager comes with the user, in the same call."""
NEVER_OPEN = "never-open"
"""Stands for the sessions of an account that was made closed: there are none to revoke."""
DELETED_BY_US = "deleted"
"""Stands for them in an account that we delete: so we know it from one that another hand deleted."""

User = Mapping[str, Any]


class SignIn(StrEnum):
    """What people sign in by (userPrincipalName)."""

    MAIL = "mail"
    LOGIN = "login"


@dataclass(frozen=True)
class EntraOptions:
    """What a tenant wants.

    `domains`: each organisation's verified domain, under which its people sign in. `usage_location`: the country (ISO
    3166-1) that a licence asks for. `write_mail`: false where Exchange is the one that gives addresses.
    `person_attribute` and `closing_attribute`: the two extension attributes that are ours. `settle`: seconds to wait
    before each new look at what was written, while Entra does not show it yet.
    """

    domains: Mapping[str, str]
    sign_in: SignIn = SignIn.MAIL
    usage_location: str | None = None
    write_mail: bool = True
    person_attribute: str = "extensionAttribute15"
    closing_attribute: str = "extensionAttribute14"
    change_password: bool = False
    settle: tuple[float, ...] = (0.3, 1.0, 2.0)

    def principal(self, organisation: str, login: str, mail: str | None) -> str:
        """Return what the person signs in by."""
        by_login = f"{login}@{self.domains[organisation]}"
        return mail if self.sign_in is SignIn.MAIL and mail else by_login

    def named(self, organisation: str, login: str) -> dict[str, str | None]:
        """Return the properties in which the login is."""
        by_login = {"userPrincipalName": self.principal(organisation, login, None)}
        return {"mailNickname": login, **(by_login if self.sign_in is SignIn.LOGIN else {})}

    def owner(self, user: User) -> str | None:
        """Return the id of the person whom the account says that it belongs to."""
        return _extensions(user).get(self.person_attribute) or None

    def person(self, user: User) -> UUID | None:
        """Return the person whom the account says that it belongs to; None also when that is no id of ours."""
        try:
            return UUID(self.owner(user) or "")
        except ValueError:
            return None

    def deleted_by_us(self, user: User) -> bool:
        """Tell whether a deleted account was deleted because its person had left, and not by another hand."""
        return _extensions(user).get(self.closing_attribute) == DELETED_BY_US

    def sessions(self, user: User) -> str:
        """Return which sessions the account has had until now: those that its closing revokes."""
        return str(user.get("signInSessionsValidFromDateTime") or "none")

    def enabled(self, user: User) -> bool | None:
        """Tell whether the account is open; None: closed, but not by us or with its sessions alive.

        Closing notes the sessions that there were, in the same write, and then revokes them: as long as both still are
        the same, the second step has not been made. No clock is needed, and a crash in between is seen.
        """
        if user.get("accountEnabled"):
            return True
        if synced(user):
            return False
        noted = _extensions(user).get(self.closing_attribute) or None
        return False if noted is not None and noted != self.sessions(user) else None

    def observed(self, user: User) -> Observed:
        """Return the account as the port shows it: no mark, and its domain is its place."""
        attributes = {ours: (str(user[theirs]),) for ours, theirs in PROPERTIES.items() if user.get(theirs)}
        if "displayName" in attributes:
            attributes["cn"] = attributes["displayName"]
        if (manager := manager_of(user)) is not None:
            attributes[MANAGER] = (manager,)
        return Observed(
            handle=str(user["id"]),
            entry=str(user["id"]),
            user_name=str(user.get("mailNickname") or ""),
            enabled=self.enabled(user),
            mark=None,
            attributes=attributes,
            synced=synced(user),
            place=str(user.get("userPrincipalName") or "").partition("@")[2] or None,
            reference=str(user["id"]),
            others=tuple(sorted(addresses(user) - {str(user.get("mail")).casefold()})),
        )

    def fit(self, attributes: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Return what of the attributes Entra can hold, as it can hold it. A display name cannot be cleared."""
        named = {"displayName": attributes["cn"]} if "cn" in attributes else {}
        single = {name: values[:1] for name, values in {**named, **attributes}.items() if self._writes(name, values)}
        return within(single, LIMITS)

    def properties(self, attributes: Mapping[str, tuple[str, ...]]) -> dict[str, str | None]:
        """Return attributes as Graph's properties; None clears. The manager is none of them."""
        fitting = {name: values for name, values in self.fit(attributes).items() if name in PROPERTIES}
        return {PROPERTIES[name]: values[0] if values else None for name, values in fitting.items()}

    def _writes(self, name: str, values: tuple[str, ...]) -> bool:
        if name == "displayName":
            return bool(values)
        return name == MANAGER or (name in PROPERTIES and (name != "mail" or self.write_mail))

    def unchanged(self, user: User, written: Mapping[str, Any]) -> bool:
        """Tell whether the account shows what was written, and that it is closed if that was written."""
        shown = {name: value for name, value in written.items() if name != "passwordProfile"}
        closed = written.get("accountEnabled") is not False or self.enabled(user) is False
        return closed and not self.changed(user, shown)

    @property
    def empty(self) -> dict[str, None]:
        """All that can be cleared, for an account that comes back with what it had."""
        return dict.fromkeys(self.properties(dict.fromkeys(PROPERTIES, ())))

    def marks(self, person: UUID, closing: str | None) -> dict[str, str | None]:
        """Return our extension attributes."""
        return {self.person_attribute: str(person), self.closing_attribute: closing}

    def changed(self, user: User, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return what of `body` the account does not have already."""
        different = {name: value for name, value in body.items() if name != EXTENSIONS and user.get(name) != value}
        ours = {name: v for name, v in body.get(EXTENSIONS, {}).items() if (_extensions(user).get(name) or None) != v}
        return {**different, EXTENSIONS: ours} if ours else different


def manager_of(user: User) -> str | None:
    """Return the id of the manager's account, of a user that was read with it."""
    manager = user.get("manager")
    return str(manager["id"]) if isinstance(manager, Mapping) and manager.get("id") else None


def synced(user: User) -> bool:
    """Tell whether Active Directory writes the account."""
    return user.get("onPremisesSyncEnabled") is True


def addresses(user: User) -> set[str]:
    """Return all that the account can be reached or signed in by, in lower case."""
    proxies = (str(address).partition(":")[2] for address in user.get("proxyAddresses") or ())
    return {str(a).casefold() for a in (user.get("userPrincipalName"), user.get("mail"), *proxies) if a}


def _extensions(user: User) -> Mapping[str, Any]:
    return user.get(EXTENSIONS) or {}
