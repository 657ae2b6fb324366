"""The fields of a record as dotted names (`employments.assignments.unit`), read from the contract itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum, StrEnum
from types import MappingProxyType, NoneType
from typing import Any, get_args, get_origin

from contracts.base import Message
from contracts.hr import HrPersonRecorded, HrUnitRecorded


class Sort(StrEnum):
    """What a field holds."""

    TEXT = "text"
    DATE = "date"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    AMOUNT = "amount"


@dataclass(frozen=True)
class Field:
    """One field. `choices`: the words it may hold, none for any. `confidential`: its values are shown to nobody.

    `many`: it holds a list of such values.
    """

    name: str
    sort: Sort
    nullable: bool
    choices: frozenset[str]
    confidential: bool
    many: bool = False


LISTS: Mapping[str, str] = MappingProxyType(
    {
        "identifiers": "value",
        "employments": "id",
        "employments.assignments": "unit",
        "employments.absences": "validFrom",
    }
)
"""The lists of a record, and the field without which an item is not there."""

_CONFIDENTIAL = (
    "name.",
    "birthDate",
    "identifiers.",
    "protection",
    "deceasedOn",
    "privateContact.",
    "employments.absences.",
    "employments.terms.",
)
_AMOUNTS = frozenset({"employments.terms.pay"})
_SORTS: Mapping[type, Sort] = MappingProxyType(
    {str: Sort.TEXT, date: Sort.DATE, float: Sort.NUMBER, int: Sort.INTEGER, bool: Sort.BOOLEAN}
)


def _leaves(model: type[Message], prefix: str, confidential: tuple[str, ...]) -> Iterator[Field]:
    for field in model.model_fields.values():
        name = f"{prefix}{field.alias}"
        found = _types(field.annotation)
        inner = next((one for one in found if issubclass(one, Message)), None)
        if inner is not None:
            yield from _leaves(inner, f"{name}.", confidential)
            continue
        chosen = next((one for one in found if issubclass(one, Enum)), None)
        plain = next((one for one in found if one in _SORTS), str)
        yield Field(
            name=name,
            sort=Sort.AMOUNT if name in _AMOUNTS else Sort.TEXT if chosen else _SORTS[plain],
            nullable=NoneType in found,
            choices=frozenset(one.value for one in chosen) if chosen else frozenset(),
            confidential=name.startswith(confidential),
            many=get_origin(field.annotation) is tuple,
        )


def _types(annotation: Any) -> list[type]:
    """Return the plain types in an annotation: unions, tuples and `Annotated` are opened."""
    if get_origin(annotation) is None:
        return [annotation] if isinstance(annotation, type) else []
    return [found for part in get_args(annotation) for found in _types(part)]


FIELDS: Mapping[str, Field] = MappingProxyType(
    {field.name: field for field in _leaves(HrPersonRecorded, "", _CONFIDENTIAL)}
)
"""Every field of a person that a column may be mapped to."""

UNIT_FIELDS: Mapping[str, Field] = MappingProxyType({field.name: field for field in _leaves(HrUnitRecorded, "", ())})
"""Every field of a unit that a column may be mapped to."""
