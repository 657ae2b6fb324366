"""Which properties the simulator knows, what may be written, and how Microsoft documents `$filter` for each.

Types and names are those of the published metadata, which a conformance test compares. Filter support:
https://learn.microsoft.com/graph/aad-advanced-queries
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from deploy.simulators.graph.entries import Kind


class Support(Enum):
    """How an operator is supported on a property."""

    NO = "no"
    DEFAULT = "default"
    ADVANCED = "advanced"


class Writing(Enum):
    """Who may write a property."""

    NEVER = "never"
    CREATE = "create"
    ONCE = "once"
    ALWAYS = "always"


@dataclass(frozen=True)
class Property:
    """One property.

    Attributes:
        type: As in the metadata, without the namespace: `String`, `Boolean`, `DateTimeOffset`, `Collection(String)`, or
            the name of a complex type.
        shown: Whether it comes without `$select`.
        nullable: Whether null may be written.
        mastered: Whether an on-premises directory owns it on a synced object.
    """

    type: str = "String"
    writing: Writing = Writing.ALWAYS
    shown: bool = False
    nullable: bool = True
    mastered: bool = True
    equal: Support = Support.NO
    starts: Support = Support.NO
    ends: Support = Support.NO
    ordered: Support = Support.NO
    null: Support = Support.NO

    @property
    def collection(self) -> bool:
        """Whether it holds many."""
        return self.type.startswith("Collection(")


_D, _A, _N = Support.DEFAULT, Support.ADVANCED, Support.NO
_RO, _NEW, _ONCE = Writing.NEVER, Writing.CREATE, Writing.ONCE
_TEXTS = "Collection(String)"
_EXTENSIONS = "onPremisesExtensionAttributes"

USER: dict[str, Property] = {
    "id": Property(writing=_RO, shown=True, nullable=False, equal=_D),
    "deletedDateTime": Property("DateTimeOffset", _RO),
    "accountEnabled": Property("Boolean", nullable=False, equal=_D),
    "assignedLicenses": Property("Collection(assignedLicense)", _RO, equal=_D),
    "businessPhones": Property(_TEXTS, shown=True, nullable=False, equal=_A, starts=_A),
    "city": Property(equal=_D, starts=_D, null=_A),
    "companyName": Property(equal=_A, starts=_A, null=_A),
    "country": Property(equal=_D, starts=_D, null=_A),
    "createdDateTime": Property("DateTimeOffset", _RO, equal=_D, ordered=_D, null=_A),
    "department": Property(equal=_D, starts=_D, null=_A),
    "displayName": Property(shown=True, nullable=False, equal=_D, starts=_D, null=_A),
    "employeeHireDate": Property("DateTimeOffset", equal=_A, ordered=_A),
    "employeeId": Property(equal=_D, null=_A),
    "employeeLeaveDateTime": Property("DateTimeOffset"),
    "employeeOrgData": Property("employeeOrgData"),
    "employeeType": Property(equal=_A),
    "faxNumber": Property(equal=_A, starts=_A, null=_A),
    "givenName": Property(shown=True, equal=_D, starts=_D, null=_A),
    "jobTitle": Property(shown=True, equal=_D, starts=_D, null=_A),
    "lastPasswordChangeDateTime": Property("DateTimeOffset", _RO),
    "mail": Property(shown=True, equal=_D, starts=_D, ends=_A, null=_A),
    "mailNickname": Property(equal=_D, starts=_D, null=_A),
    "mobilePhone": Property(shown=True, equal=_A, starts=_A, null=_A),
    "officeLocation": Property(shown=True, equal=_A, starts=_A, null=_A),
    "onPremisesDistinguishedName": Property(writing=_RO),
    "onPremisesDomainName": Property(writing=_RO),
    _EXTENSIONS: Property(_EXTENSIONS),
    "onPremisesImmutableId": Property(equal=_D),
    "onPremisesLastSyncDateTime": Property("DateTimeOffset", _RO, equal=_D, ordered=_D),
    "onPremisesSamAccountName": Property(writing=_RO, equal=_A, starts=_A),
    "onPremisesSecurityIdentifier": Property(writing=_RO, equal=_D, null=_A),
    "onPremisesSyncEnabled": Property("Boolean", _RO, equal=_D, null=_A),
    "onPremisesUserPrincipalName": Property(writing=_RO),
    "otherMails": Property(_TEXTS, nullable=False, equal=_D, starts=_D, ends=_A, mastered=False),
    "passwordPolicies": Property(null=_A),
    "passwordProfile": Property("passwordProfile"),
    "postalCode": Property(equal=_A, starts=_A, null=_A),
    "preferredLanguage": Property(shown=True, equal=_A, starts=_A, null=_A),
    "proxyAddresses": Property(_TEXTS, _RO, equal=_D, starts=_D, ends=_A),
    "showInAddressList": Property("Boolean", equal=_A),
    "signInSessionsValidFromDateTime": Property("DateTimeOffset", _RO),
    "state": Property(equal=_D, null=_A),
    "streetAddress": Property(equal=_A, starts=_A, null=_A),
    "surname": Property(shown=True, equal=_D, starts=_D, null=_A),
    "usageLocation": Property(nullable=False, equal=_D, starts=_D, null=_A, mastered=False),
    "userPrincipalName": Property(shown=True, nullable=False, equal=_D, starts=_D, ends=_A),
    "userType": Property(equal=_D, null=_A),
}

GROUP: dict[str, Property] = {
    "id": Property(writing=_RO, shown=True, nullable=False, equal=_D),
    "deletedDateTime": Property("DateTimeOffset", _RO, shown=True),
    "createdDateTime": Property("DateTimeOffset", _RO, shown=True, equal=_D, ordered=_D),
    "description": Property(shown=True, starts=_D, equal=_D),
    "displayName": Property(shown=True, nullable=False, equal=_D, starts=_D),
    "groupTypes": Property(_TEXTS, _NEW, shown=True, nullable=False, equal=_D),
    "isAssignableToRole": Property("Boolean", _NEW, equal=_D),
    "mail": Property(writing=_RO, shown=True, equal=_D, starts=_D),
    "mailEnabled": Property("Boolean", _NEW, shown=True, nullable=False, equal=_D),
    "mailNickname": Property(shown=True, nullable=False, equal=_D, starts=_D),
    "membershipRule": Property(shown=True),
    "onPremisesSyncEnabled": Property("Boolean", _RO, shown=True, equal=_D),
    "proxyAddresses": Property(_TEXTS, _RO, shown=True, equal=_D, starts=_D),
    "securityEnabled": Property("Boolean", shown=True, nullable=False, equal=_D),
    # https://learn.microsoft.com/graph/templates/how-to-reference-existing-resources
    "uniqueName": Property(writing=_ONCE, shown=True, nullable=False),
    "visibility": Property(writing=_NEW, shown=True),
}

UNIT: dict[str, Property] = {
    "id": Property(writing=_RO, shown=True, nullable=False),
    "deletedDateTime": Property("DateTimeOffset", _RO, shown=True),
    "description": Property(shown=True, equal=_D),
    "displayName": Property(shown=True, nullable=False, equal=_D, starts=_D),
    "isMemberManagementRestricted": Property("Boolean", _NEW, shown=True),
    "visibility": Property(writing=_NEW, shown=True),
}

TABLES = {Kind.USER: USER, Kind.GROUP: GROUP, Kind.UNIT: UNIT}

EXTENSION = Property(equal=Support.ADVANCED, null=Support.ADVANCED)
"""One of extensionAttribute1 to 15."""

COMPLEX: dict[str, dict[str, str]] = {
    "passwordProfile": {
        "password": "String",
        "forceChangePasswordNextSignIn": "Boolean",
        "forceChangePasswordNextSignInWithMfa": "Boolean",
    },
    _EXTENSIONS: {f"extensionAttribute{number}": "String" for number in range(1, 16)},
    "employeeOrgData": {"costCenter": "String", "division": "String"},
    "assignedLicense": {"skuId": "Guid", "disabledPlans": "Collection(Guid)"},
}

REQUIRED: dict[Kind, tuple[str, ...]] = {
    Kind.USER: ("accountEnabled", "displayName", "mailNickname", "passwordProfile", "userPrincipalName"),
    Kind.GROUP: ("displayName", "mailEnabled", "mailNickname", "securityEnabled"),
    Kind.UNIT: ("displayName",),
}
"""What must be given at creation: https://learn.microsoft.com/graph/api/user-post-users, group-post-groups."""

LENGTHS = {
    "companyName": 64,
    "department": 64,
    "displayName": 256,
    "employeeId": 16,
    "givenName": 64,
    "jobTitle": 128,
    "mailNickname": 64,
    "surname": 64,
    "userPrincipalName": 113,
}
"""Longest values: https://learn.microsoft.com/graph/api/resources/user."""


def default_of(name: str, known: Property) -> Any:
    """Return what a property shows that has never been written."""
    if known.collection:
        return []
    if known.type == _EXTENSIONS and name == _EXTENSIONS:
        return dict.fromkeys(COMPLEX[_EXTENSIONS])
    return None
