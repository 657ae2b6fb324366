"""What Active Directory says beside the result code: its error numbers ([MS-ERREF] 2.2), and Samba's words for some.

The message itself quotes names and values, so nothing of it travels but the number.
"""

import re
from collections.abc import Mapping

from services.kernel.directory.answers import INVALID_CREDENTIALS, PasswordPolicy, ValueExists, ValueGone, ValueTaken
from services.kernel.failures import Failure, Permanent, Unavailable

_NUMBER = re.compile(r"([0-9A-F]{8}): ")
_DATA = re.compile(r"\bdata ([0-9a-f]+)\b")
_BIND: Mapping[str, str] = {
    "525": "directory.bind_refused",
    "52e": "directory.bind_refused",
    "530": "directory.bind_not_now",
    "531": "directory.bind_not_now",
    "532": "directory.bind_password_expired",
    "533": "directory.bind_disabled",
    "701": "directory.bind_expired",
    "773": "directory.bind_password_expired",
    "775": "directory.bind_locked",
}
"""Why a bind was refused, by the number after `data`."""
_NO_MEMBER = ("already deleted for target", "doesn't exist for target", "Unable to find GUID for DN")
"""A value to delete that was there once, that never was, or that names nothing."""
_INSUFFICIENT_RIGHTS = 50
_UNWILLING = 53
_WHOLE = frozenset({"00002010", "000021A2"})
"""unwillingToPerform for everybody: no relative ids are left to give, or a role is not verified after a start."""


def meaning(code: int, name: str, message: str) -> Failure | None:
    """Return what a refusal means when Active Directory says more than the result code does.

    unwillingToPerform (53) concerns one object there, a password that breaks the policy for example, and never opens
    the breaker for everybody; a server that may not be written answers with a referral instead.

    Args:
        code: resultCode (RFC 4511, appendix A).
        name: Its name.
        message: The diagnostic message.
    """
    if code == INVALID_CREDENTIALS:
        data = _DATA.search(message)
        return Unavailable(_BIND.get(data[1] if data else "", "directory.bind_refused"), result=name)
    number = found[1] if (found := _NUMBER.match(message)) else ""
    if (known := _of_value(number, message)) is not None:
        return known
    if code == _INSUFFICIENT_RIGHTS:
        return Permanent("directory.forbidden", result=name)
    if code != _UNWILLING:
        return None
    if number in _WHOLE:
        return Unavailable("directory.unavailable", result=name, error=number)
    return Permanent("directory.refused", result=name, error=number)


def _of_value(number: str, message: str) -> Failure | None:
    if number == "0000052D":  # ERROR_PASSWORD_RESTRICTION
        return PasswordPolicy("directory.password_policy")
    if number == "000021C8" or "is already in use" in message:  # ERROR_DS_UPN_VALUE_NOT_UNIQUE_IN_FOREST
        return ValueTaken("directory.value_taken")
    if number == "00000562" or "already exists for target" in message:  # ERROR_MEMBER_IN_ALIAS
        return ValueExists("directory.value_exists")
    if number == "00000561" or any(said in message for said in _NO_MEMBER):  # ERROR_MEMBER_NOT_IN_ALIAS
        return ValueGone("directory.value_gone")
    if number in {"00002081", "0000200D"}:  # a second value of an attribute that has one
        return ValueExists("directory.value_exists")
    return None
