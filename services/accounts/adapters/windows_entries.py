"""Objects of Active Directory as they are read, compared as the domain compares them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.accounts.adapters.windows_attributes import NO_ADDRESSES, Addresses
from services.accounts.adapters.windows_control import Control
from services.accounts.domain.plan import Observed
from services.accounts.ports import Stamp
from services.kernel.directory import Entry, Modification, Operation
from services.kernel.failures import StaleLease


@dataclass(frozen=True)
class Account(Observed):
    """What was read, with what Active Directory keeps beside it."""

    control: Control = field(default_factory=Control)
    addresses: Addresses = NO_ADDRESSES


def live(entry: Entry) -> bool:
    """Tell whether it is not among the deleted ones."""
    return entry.first("isDeleted") != "TRUE"


def has(entry: Entry, attribute: str, value: str) -> bool:
    """Compare as Active Directory does: without regard to case."""
    return value.casefold() in {found.casefold() for found in entry.values(attribute)}


def has_mail(entry: Entry, mail: str) -> bool:
    """Tell whether an address is the entry's, primary or not."""
    return has(entry, "mail", mail) or has(entry, "proxyAddresses", f"smtp:{mail}")


def replaced(attributes: Mapping[str, tuple[str, ...]]) -> list[Modification]:
    """Return what replaces all values of attributes."""
    return [Modification(Operation.REPLACE, name, values) for name, values in attributes.items()]


def refuse_older(observed: Observed, stamp: Stamp) -> None:
    """Let nobody write over a newer pass.

    Raises:
        StaleLease: There was one.
    """
    if observed.mark is not None and observed.mark > stamp.mark:
        raise StaleLease("account.stale_lease")
