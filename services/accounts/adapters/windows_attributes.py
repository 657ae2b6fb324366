"""Our attributes in Active Directory's terms, both ways: what a pass compares is written as for OpenLDAP."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from services.accounts.domain.expiry import heard, spoken
from services.accounts.domain.other_hand import EXPIRES
from services.kernel.clock import UTC
from services.kernel.directory import Entry, Modification, Operation

LIMITS: Mapping[str, int] = MappingProxyType(
    {"cn": 256, "displayName": 256, "givenName": 64, "sn": 64, "title": 128, "ou": 64}
)
"""Upper limits of the schema for displayName, givenName, sn, title and department, by our names for them."""
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "displayName": "displayName",
        "givenName": "givenName",
        "sn": "sn",
        "title": "title",
        "ou": "department",
        "departmentNumber": "departmentNumber",
        "employeeNumber": "employeeNumber",
        "manager": "manager",
    }
)
READ = (*_NAMES.values(), "mail", "proxyAddresses", "accountExpires")
_FIRST = datetime(1601, 1, 1, tzinfo=UTC)
_NEVER = "9223372036854775807"
"""accountExpires of an account that never expires; so does 0 ([MS-ADA1] 2.4)."""
_SMTP = re.compile("smtp:", re.IGNORECASE)


@dataclass(frozen=True)
class Addresses:
    """The addresses of an account: `mail` and the SMTP ones of `proxyAddresses`, where a capital SMTP is primary."""

    mail: str | None
    proxies: tuple[str, ...]

    @classmethod
    def of(cls, entry: Entry) -> "Addresses":
        """Read them; addresses of other kinds (X500, SIP) are not ours."""
        return cls(entry.first("mail"), tuple(one for one in entry.values("proxyAddresses") if _SMTP.match(one)))

    def ordered(self) -> tuple[str, ...]:
        """Return the plain addresses, the primary one first."""
        primary = [one[5:] for one in self.proxies if one.startswith("SMTP:")]
        listed = [*([self.mail] if self.mail else []), *primary, *(one[5:] for one in self.proxies)]
        return tuple({one.casefold(): one for one in reversed(listed)}[key] for key in _once(listed))

    def led_by(self, primary: str) -> bool:
        """Tell whether `primary` is the one that mail is sent from."""
        return self.mail == primary and f"SMTP:{primary}" in self.proxies

    def changes(self, wanted: Sequence[str]) -> list[Modification]:
        """Return what makes them those wanted, the first one primary; what is not ours is not touched."""
        mails = tuple(wanted[:1])
        asked = proxies(wanted)
        gone = tuple(one for one in self.proxies if one not in asked)
        new = tuple(one for one in asked if one not in self.proxies)
        changes = [Modification(Operation.REPLACE, "mail", mails)]
        changes += [Modification(Operation.DELETE, "proxyAddresses", gone)] if gone else []
        return changes + ([Modification(Operation.ADD, "proxyAddresses", new)] if new else [])


NO_ADDRESSES = Addresses(None, ())


def proxies(mails: Sequence[str]) -> tuple[str, ...]:
    """Return proxyAddresses for addresses of which the first is primary."""
    return tuple(f"{'smtp' if at else 'SMTP'}:{mail}" for at, mail in enumerate(mails))


def theirs(attributes: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return our attributes under Active Directory's names, without the addresses.

    Its `cn` is the name of the object and stays the login; ours is what people are shown, as `displayName` is.
    """
    shown = attributes.get("displayName") or attributes.get("cn")
    found = {_NAMES[name]: values for name, values in attributes.items() if name in _NAMES}
    expires = {"accountExpires": _interval(attributes[EXPIRES])} if EXPIRES in attributes else {}
    return found | ({"displayName": shown} if shown else {}) | expires


def ours(entry: Entry, primary: str | None = None) -> dict[str, tuple[str, ...]]:
    """Return an entry's attributes under our names.

    Args:
        entry: What was read.
        primary: The address that shall lead: where it does not, it counts as missing, for values have no order.
    """
    addresses = Addresses.of(entry)
    mails = addresses.ordered()
    if primary is not None and not addresses.led_by(primary):
        mails = tuple(mail for mail in mails if mail != primary)
    found = {name: entry.values(their) for name, their in _NAMES.items()}
    found |= {"cn": found["displayName"], "mail": mails, EXPIRES: _instant(entry.first("accountExpires"))}
    return {name: values for name, values in found.items() if values}


def _interval(instant: tuple[str, ...]) -> tuple[str, ...]:
    """Return an instant as the domain counts it, in intervals of 100 ns since 1601."""
    return tuple(str((heard(one) - _FIRST) // timedelta(microseconds=1) * 10) for one in instant) or (_NEVER,)


def _instant(interval: str | None) -> tuple[str, ...]:
    if interval is None or interval in {"0", _NEVER}:
        return ()
    try:
        return spoken(_FIRST + timedelta(microseconds=int(interval) // 10))
    except OverflowError:  # beyond the year 9999
        return ()


def _once(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(value.casefold() for value in values))
