"""Reads the body of a write; unknown, read-only, ill-typed and missing properties are refused, as by Graph."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from deploy.simulators.graph.calls import Json, Refused, bad_request
from deploy.simulators.graph.entries import Entry, Kind
from deploy.simulators.graph.properties import COMPLEX, LENGTHS, REQUIRED, TABLES, Property, Writing

_INVALID = "One or more property values specified are invalid."
SYNCED = (
    "Unable to update the specified properties for on-premises mastered Directory Sync objects "
    "or objects currently undergoing migration."
)
_COUNTRY = re.compile(r"[A-Z]{2}")


def written(kind: Kind, body: Any, *, creating: bool, entry: Entry | None = None) -> Json:
    """Return the properties that a body writes.

    Raises:
        Refused: With the property that is wrong.
    """
    sent = as_object(body)
    table = TABLES[kind]
    for name, value in sent.items():
        if name.endswith("@odata.bind") or name == "@odata.type":
            continue
        known = table.get(name)
        if known is None:
            raise Refused(
                400,
                "BadRequest",
                f"The property '{name}' does not exist on type 'microsoft.graph.{kind}'. Make sure to only use "
                "property names that are defined by the type.",
            )
        before = None if entry is None else entry.properties.get(name)
        if known.writing is Writing.NEVER or (_fixed(known, before, creating=creating) and before != value):
            raise bad_request(f"Property '{name}' is read-only and cannot be set.", target=name)
        if entry is not None and entry.synced and known.mastered:
            raise bad_request(SYNCED)
        _check(kind, name, known, value)
    if creating:
        for name in REQUIRED[kind]:
            if sent.get(name) in (None, ""):
                raise bad_request(
                    f"A value is required for property '{name}' of resource '{_resource(kind)}'.",
                    target=name,
                    reason="MissingValue",
                )
    return {name: value for name, value in sent.items() if "@" not in name}


def as_object(body: Any) -> Json:
    """Return the body as the object that it must be."""
    if not isinstance(body, dict):
        raise Refused(
            400, "BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set."
        )
    return body


def only(body: Any, *names: str) -> Json:
    """Return the parameters of an action, of which no other may be there."""
    sent = as_object(body)
    for name in sent:
        if name not in names:
            raise Refused(400, "BadRequest", f"The parameter '{name}' in the request payload is not a valid parameter.")
    return sent


def fits(type_name: str, value: Any) -> bool:
    """Say whether a value has the type."""
    if type_name.startswith("Collection("):
        return isinstance(value, list) and all(fits(type_name[11:-1], one) for one in value)
    if type_name in COMPLEX:
        return isinstance(value, dict) and all(
            name in COMPLEX[type_name] and (one is None or fits(COMPLEX[type_name][name], one))
            for name, one in value.items()
        )
    if type_name == "Boolean":
        return isinstance(value, bool)
    return isinstance(value, str) and _FORMS.get(type_name, _any_text)(value)


def merged(before: Mapping[str, Any], name: str, value: Any) -> Any:
    """Return a property's new value: of the extension attributes, those that are named; else the value."""
    if name == "onPremisesExtensionAttributes" and isinstance(value, dict):
        return {**(before.get(name) or {}), **value}
    return value


def _fixed(known: Property, before: Any, *, creating: bool) -> bool:
    """Say whether a property cannot get another value than it has."""
    if known.writing is Writing.ONCE:
        return before is not None
    return known.writing is Writing.CREATE and not creating


def _check(kind: Kind, name: str, known: Property, value: Any) -> None:
    if value is None:
        if not known.nullable:
            raise bad_request(
                f"Invalid value specified for property '{name}' of resource '{_resource(kind)}'.", target=name
            )
        return
    if not fits(known.type, value):
        raise Refused(
            400,
            "Request_BadRequest",
            _INVALID,
            details=({"code": "InvalidValue", "message": _INVALID, "target": name},),
        )
    too_long = isinstance(value, str) and len(value) > LENGTHS.get(name, 1024)
    no_country = name == "usageLocation" and not _COUNTRY.fullmatch(value)
    many_phones = name == "businessPhones" and len(value) > 1
    # an empty text is not a value: a property is cleared with null
    if value == "" or too_long or no_country or many_phones:
        raise bad_request(
            f"Invalid value specified for property '{name}' of resource '{_resource(kind)}'.", target=name
        )


def _resource(kind: Kind) -> str:
    return {Kind.USER: "User", Kind.GROUP: "Group", Kind.UNIT: "AdministrativeUnit"}[kind]


def _any_text(_: str) -> bool:
    return True


def _moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


_FORMS = {"DateTimeOffset": _moment, "Guid": _guid}
