"""Between SCIM's words and HR's: a resource as it is shown, and what a resource says."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import TypeAdapter, ValidationError
from scim2_models import BaseModel, InvalidValueException, Meta, MutabilityException, Resource

from contracts.base import Label
from contracts.hr import HrAssignment
from services.ingestion.api.scim.resources import (
    Absences,
    Assignments,
    EmploymentOfUser,
    Enterprise,
    GroupModel,
    Name,
    UnitOfGroup,
    UserModel,
)
from services.ingestion.domain.provisioning import FULL_TIME, PersonTold, described, goes_on
from services.ingestion.domain.state import EmploymentState
from services.ingestion.store.scim import GROUP, USER, KnownGroup, KnownUser, Names

_LABEL: TypeAdapter[str] = TypeAdapter(Label)

EMPLOYMENT_PATH = str(EmploymentOfUser.__schema__)
FIELDS: Mapping[str, str] = {
    "/data/externalId": "externalId",
    "/data/name/given": "name.givenName",
    "/data/name/family": "name.familyName",
    "/data/name/preferred": "nickName",
    "/data/employments/0/employeeNumber": f"{Enterprise.__schema__}:employeeNumber",
    "/data/employments/0/id": f"{EMPLOYMENT_PATH}:employment",
    "/data/employments/0": EMPLOYMENT_PATH,
    "/data/employments": EMPLOYMENT_PATH,
}
"""What SCIM calls a place in the event that a resource becomes; the first that fits counts."""


def field_of(pointer: str) -> str:
    """Return the SCIM attribute behind a JSON pointer into the event."""
    start = next((one for one in FIELDS if pointer == one or pointer.startswith(f"{one}/")), None)
    name = FIELDS[start] if start else ""
    rest = pointer.removeprefix(start or "/data").strip("/")
    if not rest:
        return name
    head, *parts = rest.split("/")
    path = head + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts)
    return f"{name}:{path}" if name.startswith("urn:") else path


def user_of(known: KnownUser, source: str, today: date) -> Resource[Any]:
    """Return the person as the client's source sees it today."""
    state, names = known.state, known.names
    shown = described(state, source, names.subject)
    place = _today(shown, today) if shown else None
    assert state.name is not None  # noqa: S101 - every record has a name
    display = " ".join(part for part in (state.name.preferred or state.name.given, state.name.family) if part)
    found = UserModel(
        id=str(known.id),
        external_id=names.external_id,
        user_name=names.user_name,
        name=Name(given_name=state.name.given, family_name=state.name.family),
        nick_name=state.name.preferred,
        display_name=display,
        active=goes_on(state, source, names.subject, today),
        meta=Meta(resource_type=USER, created=known.created, last_modified=known.changed, version=known.version),
    )
    if shown is None:
        return found
    found[EmploymentOfUser] = _employment(shown)
    if shown.employee_number or place:
        found[Enterprise] = Enterprise(
            employee_number=shown.employee_number,
            cost_center=place.cost_centre if place else None,
            department=place.unit if place else None,
        )
    return found


def _employment(shown: EmploymentState) -> EmploymentOfUser:
    known = shown.model_dump(mode="json")
    return EmploymentOfUser(
        employment=shown.id,
        **{name: known[name] for name in ("form", "valid_from", "valid_to", "end_reason", "sponsor")},
        extent=None if shown.extent == FULL_TIME else shown.extent,
        assignments=[Assignments(**item) for item in known["assignments"]],
        absences=[Absences(**item) for item in known["absences"]] or None,
    )


def _today(shown: EmploymentState, today: date) -> HrAssignment | None:
    return next((one for one in shown.assignments if one.valid_from <= today <= (one.valid_to or today)), None)


def user_names(resource: Any) -> Names:
    """Return the names that a client gives; of a new person the first of them is the source's own id."""
    user_name = _label("userName", resource.user_name)
    external_id = _label("externalId", resource.external_id)
    subject = external_id or user_name
    if subject is None:
        raise InvalidValueException(detail="userName: a user needs one (required)")
    return Names(subject, user_name, external_id)


def person_told(resource: Any) -> PersonTold:
    """Return what a whole resource says of a person; the protocol has seen to what is required."""
    employment: EmploymentOfUser | None = resource[EmploymentOfUser]
    enterprise: Enterprise | None = resource[Enterprise]
    name = resource.name
    number = enterprise.employee_number if enterprise else None
    return PersonTold(
        name={"given": name.given_name or "", "family": name.family_name or "", "preferred": resource.nick_name},
        employment=employment.employment if employment else None,
        fields={**_wire(employment), "employeeNumber": number} if employment else {},
    )


def _wire(told: BaseModel) -> dict[str, Any]:
    """Return attributes by their names in HR's events, None for what is not said; lists are lists."""
    fields: dict[str, Any] = {}
    for name, info in type(told).model_fields.items():
        if name == "schemas":
            continue
        value = getattr(told, name)
        items = isinstance(value, list)
        if value is None and name in ("assignments", "absences"):
            value = []
        fields[str(info.serialization_alias or name)] = [_wire(one) for one in value] if items else value
    return fields


def group_of(known: KnownGroup, today: date) -> Resource[Any]:
    """Return the unit as it is today."""
    state = known.state.on(today).model_dump(mode="json")
    found = GroupModel(
        id=known.id,
        external_id=known.names.external_id,
        display_name=state["name"],
        meta=Meta(resource_type=GROUP, created=known.created, last_modified=known.changed, version=known.version),
    )
    found[UnitOfGroup] = UnitOfGroup(**{name: state[name] for name in UnitOfGroup.model_fields if name in state})
    return found


def group_names(resource: Any, unit: str | None = None) -> Names:
    """Return the names of a group; a new one without externalId is known by its first name."""
    external_id = _label("externalId", resource.external_id)
    subject = unit or external_id or _label("displayName", resource.display_name)
    if subject is None:
        raise InvalidValueException(detail="displayName: a unit needs a name (unit.name_missing)")
    if "bulkId" in subject:
        raise InvalidValueException(detail="externalId: bulkId is a reserved word (RFC 7643 section 3.1)")
    return Names(subject, None, external_id)


def unit_told(resource: Any) -> dict[str, Any]:
    """Return what a whole resource says of a unit; the protocol has seen to what is required."""
    return {"name": resource.display_name, **_wire(resource[UnitOfGroup])}


def _label(field: str, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return _LABEL.validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InvalidValueException(detail=f"{field}: {reason}") from error


DERIVED: Mapping[str, str] = {"costCenter": "cost_center", "department": "department"}


def refuse_derived(body: Any, current: Any) -> None:
    """Refuse a body that says otherwise about what follows from the employments: to ignore it would lose it.

    RFC 7644 section 3.5.1 lets readOnly attributes be ignored; a client that sends back what it read is not disturbed.

    Raises:
        MutabilityException: The attribute, and where to say it.
    """
    if not isinstance(body, dict):
        return
    said = {key.casefold(): value for key, value in body.items() if isinstance(key, str)}
    if str(said.get("active")).casefold() == "false" and (current is None or current.active):
        detail = f"active: follows from the employments; state {EMPLOYMENT_PATH}:validTo, or DELETE the user"
        raise MutabilityException(detail=detail)
    enterprise = said.get(str(Enterprise.__schema__).casefold())
    known = current[Enterprise] if current is not None else None
    for key, value in enterprise.items() if isinstance(enterprise, dict) else ():
        name = next((name for wire, name in DERIVED.items() if wire.casefold() == str(key).casefold()), None)
        if name and value is not None and value != (getattr(known, name) if known else None):
            raise MutabilityException(detail=f"{key}: is said by {EMPLOYMENT_PATH}:assignments")
