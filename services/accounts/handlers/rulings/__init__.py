"""The tables that the service decides by: what each must hold, what another would change, what it says of a person."""

from collections.abc import Mapping
from types import MappingProxyType

from services.accounts.handlers.rulings.birthright import BirthrightRuling
from services.accounts.handlers.rulings.entitlement import EntitlementRuling
from services.accounts.handlers.rulings.ruling import Impact, Ruling

__all__ = ["RULINGS", "Impact", "Ruling"]

RULINGS: Mapping[str, Ruling] = MappingProxyType({one.name: one for one in (EntitlementRuling(), BirthrightRuling())})
"""By the table's name, in the order in which they are shown."""
