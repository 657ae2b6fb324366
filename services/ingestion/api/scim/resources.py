"""What SCIM clients may say and see: our schemas, published at `/Schemas` with these docstrings as descriptions.

RFC 7643 section 2.3.8 allows no complex attribute within another, so the extension describes one employment. Dates are
strings (`2026-06-01`), for SCIM has no type for a day. Whatever is not declared here is refused by name, so that
nothing that HR said is dropped unnoticed.
"""

from typing import Annotated, Any

from pydantic import Field
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Extension,
    Filter,
    Mutability,
    Patch,
    Required,
    Resource,
    ResourceType,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

from contracts.codes import AbsenceExtent, AbsenceKind, EndReason, Form

BULK_OPERATIONS = 100
BODY_LIMIT = 1_000_000
"""Bytes of any request's body."""
PAGE_LIMIT = 100
"""Resources of a page; more of them at once would keep the events of others waiting."""

_EMPLOYMENT = "urn:stafett:params:scim:schemas:extension:employment:1.0:User"
_UNIT = "urn:stafett:params:scim:schemas:extension:unit:1.0:Group"


def _field(description: str, *examples: str) -> Any:
    return Field(None, description=description, examples=list(examples) or None)


Code = Annotated[str | None, Required.true, CaseExact.true]
Exact = Annotated[str | None, CaseExact.true]
Derived = Annotated[str | None, Mutability.read_only]


class Name(ComplexAttribute):
    """The name as HR spells it; one of the two may be empty."""

    given_name: Annotated[str | None, Required.true] = _field("Given names; may be empty")
    family_name: Annotated[str | None, Required.true] = _field("Family name; may be empty")


class User(Resource[Any]):
    """A person as the client's source sees it."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = _field(
        "The client's name for the person, unique within its source. Told of by events: the source's own id"
    )
    name: Annotated[Name | None, Required.true] = _field("The person's name")
    nick_name: str | None = _field("The name of address (tilltalsnamn)")
    display_name: Derived = _field("Name of address and family name")
    active: Annotated[bool | None, Mutability.read_only] = Field(
        None,
        description="Whether an employment of this source goes on after today. It follows from the employments: "
        "state validTo, or DELETE the user",
    )


class Enterprise(Extension):
    """What the employment says, in the words of RFC 7643 section 4.3; where and for whom is said by assignments."""

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    employee_number: Exact = _field("The number of the employment that is described")
    cost_center: Derived = _field("Today's; said by the employment's assignments")
    department: Derived = _field("Today's unit; said by the employment's assignments")


class Assignments(ComplexAttribute):
    """Where and as what, from a day to a day inclusive; they do not overlap."""

    unit: Code = _field("The source's id of the unit")
    title: str | None = _field("Title")
    title_code: Exact = _field("The title's code")
    manager: Exact = _field("The source's id of the manager")
    site: str | None = _field("Place of work")
    cost_centre: Exact = _field("Cost centre")
    extent: float | None = Field(None, strict=True, description="Percent of full time")
    valid_from: Code = _field("First day")
    valid_to: Exact = _field("Last day")


class Absences(ComplexAttribute):
    """A period away."""

    kind: Code = _field("Kind; it never leaves the ledger", *AbsenceKind)
    extent: Code = _field("All of the work, or a part of it", *AbsenceExtent)
    valid_from: Code = _field("First day")
    valid_to: Exact = _field("Last day; none: until further notice")


class EmploymentOfUser(Extension):
    """One employment: the one that the source has told of last. Another `employment` is another one beside it."""

    __schema__ = URN(_EMPLOYMENT)

    employment: Code = _field("The source's id of the employment")
    form: Code = _field("Form of employment or affiliation", *Form)
    valid_from: Code = _field("First day")
    valid_to: Exact = _field("Last day, inclusive; none: until further notice")
    end_reason: Exact = _field("Why it ends. A dismissal closes access when it is stated", *EndReason)
    extent: float | None = Field(
        None, strict=True, description="Percent of full time; full time is the default and is left out"
    )
    sponsor: Exact = _field("The source's id of who answers for a consultant")
    assignments: Annotated[list[Assignments] | None, Required.true] = _field("Where and as what; at least one")
    absences: list[Absences] | None = _field("Periods away")


class Group(Resource[Any]):
    """A unit as HR records it. Who belongs to it is said by the assignments of users."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Required.true] = _field("The unit's name")


class UnitOfGroup(Extension):
    """The unit's place and time."""

    __schema__ = URN(_UNIT)

    valid_from: Code = _field("First day")
    valid_to: Exact = _field("Last day, inclusive; none: until further notice")
    parent: Exact = _field("The id of the unit above; none: a root")
    manager: Exact = _field("The source's id of the manager")
    acting_manager: Exact = _field("The source's id of who leads the unit in the manager's place")
    kind: str | None = _field("Kind of unit")
    site: str | None = _field("Place")
    cost_centre: Exact = _field("Cost centre")
    mail_domain: str | None = _field("Mail domain of those who work there")


UserModel = User[Enterprise | Annotated[EmploymentOfUser, Required.true]]  # type: ignore[type-arg]
GroupModel = Group[Annotated[UnitOfGroup, Required.true]]  # type: ignore[type-arg]


def provider() -> ScimProvider:
    """Return what the discovery endpoints tell (RFC 7644 section 4)."""
    return ScimProvider(
        models=[User, Enterprise, EmploymentOfUser, Group, UnitOfGroup],
        resource_types=[ResourceType.from_resource(UserModel), ResourceType.from_resource(GroupModel)],
        config=ServiceProviderConfig(
            patch=Patch(supported=True),
            bulk=Bulk(supported=True, max_operations=BULK_OPERATIONS, max_payload_size=BODY_LIMIT),
            filter=Filter(supported=True, max_results=PAGE_LIMIT),
            change_password=ChangePassword(supported=False),
            sort=Sort(supported=True),
            etag=ETag(supported=True),
            authentication_schemes=[
                AuthenticationScheme(
                    type=AuthenticationScheme.Type.oauthbearertoken,
                    name="OAuth 2.0 bearer token",
                    description="A token (RFC 6750) with the scopes scim:read and scim:write",
                    primary=True,
                )
            ],
        ),
    )
