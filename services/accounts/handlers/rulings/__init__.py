"""The tables that the service decides by: what each must hold, what another would change, what it says of a person."""

from collections.abc import Mapping, Set
from types import MappingProxyType

from services.accounts.domain.names import Blocklist
from services.accounts.handlers.rulings.birthright import BirthrightRuling
from services.accounts.handlers.rulings.entitlement import EntitlementRuling
from services.accounts.handlers.rulings.naming import NamingRuling
from services.accounts.handlers.rulings.ruling import Impact, Proposal, Ruling

__all__ = ["Impact", "Proposal", "Ruling", "rulings"]


def rulings(blocklist: Blocklist, without_mail: Set[str] = frozenset()) -> Mapping[str, Ruling]:
    """Return the tables by their names, in the order in which they are shown; `without_mail`: see BirthrightRuling."""
    found: tuple[Ruling, ...] = (EntitlementRuling(), BirthrightRuling(without_mail), NamingRuling(blocklist))
    return MappingProxyType({one.name: one for one in found})
