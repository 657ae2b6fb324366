"""What Graph says of users and groups, believed only where it is what it must be.

What is missing is not taken for empty: an account whose owner or state was not told would be nobody's, or closed.
"""

from collections.abc import Mapping
from typing import Any

from services.accounts.adapters.entra_attributes import EXTENSIONS, PROPERTIES, User
from services.kernel.directory import identified, malformed, plain

_TEXTS = (*PROPERTIES.values(), "userPrincipalName", "mailNickname", "usageLocation", "signInSessionsValidFromDateTime")


def user(body: Mapping[str, Any], *, live: bool = True) -> User:
    """Return a user whose properties have the types that they must have.

    Raises:
        Transient: `graph.answer_malformed`.
    """
    extensions, manager = body.get(EXTENSIONS, ()), body.get("manager")
    whole = (
        all(_optional(body.get(name)) for name in _TEXTS)
        and (extensions is None or (isinstance(extensions, Mapping) and all(map(_optional, extensions.values()))))
        and _texts(body.get("proxyAddresses"))
        and (manager is None or (isinstance(manager, Mapping) and plain(manager.get("id"))))
        and isinstance(body.get("onPremisesSyncEnabled"), bool | None)
        and (isinstance(body.get("accountEnabled"), bool) or not live)
    )
    if not whole:
        raise malformed()
    return {**body, "id": identified(body)}


def asked(body: Mapping[str, Any], key: str) -> User:
    """Return the user that was asked for by id or userPrincipalName, and no other.

    Raises:
        Transient: `graph.answer_malformed`.
    """
    found = user(body)
    if key.casefold() not in {str(found["id"]).casefold(), str(found.get("userPrincipalName")).casefold()}:
        raise malformed()
    return found


def licences(body: Mapping[str, Any]) -> set[str]:
    """Return the ids of the subscriptions that were given.

    Raises:
        Transient: `graph.answer_malformed`.
    """
    given = body.get("assignedLicenses")
    if not isinstance(given, list) or not all(isinstance(one, Mapping) and plain(one.get("skuId")) for one in given):
        raise malformed()
    return {str(one["skuId"]) for one in given}


def called(body: Mapping[str, Any], name: str) -> bool:
    """Tell whether a group has the name by which it was asked for."""
    return name.casefold() in {str(body.get(one)).casefold() for one in ("displayName", "mailNickname")}


def _optional(value: object) -> bool:
    return value is None or plain(value)


def _texts(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(map(plain, value)))
