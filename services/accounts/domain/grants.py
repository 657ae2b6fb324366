"""What policy gives besides the account: groups and licences (IGA: birthright entitlements)."""

from dataclasses import dataclass
from enum import StrEnum


class GrantKind(StrEnum):
    """What kind of thing a target gives."""

    GROUP = "group"
    LICENCE = "licence"


@dataclass(frozen=True, order=True)
class Grant:
    """One thing that an account in a target has or shall have.

    `value` is what the target's people know it by: a group's `cn` in OpenLDAP, its `sAMAccountName` in Active
    Directory, its object id or unique display name in Entra ID; a licence's `skuPartNumber`.
    """

    kind: GrantKind
    value: str
