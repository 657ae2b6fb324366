"""Microsoft's published metadata (CSDL), and what in requests and answers goes against it.

https://docs.oasis-open.org/odata/odata-csdl-xml/v4.01/odata-csdl-xml-v4.01.html
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import parse

T = TypeVar("T")
_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
_COLLECTION = re.compile(r"Collection\((.+)\)")
_ALTERNATE = re.compile(r"(?P<set>\w+)\((?P<key>\w+)='.*'\)")
DIRECTORY = {"administrativeUnits": "Collection(administrativeUnit)", "deletedItems": "Collection(directoryObject)"}
"""Navigation of the singleton `directory`, whose type is not among the types of the cut metadata."""
ONLY_DOCUMENTED = {
    # on the operation's page, and taken out of the metadata: https://github.com/microsoftgraph/msgraph-metadata/pull/697
    ("restore", "autoReconcileProxyConflict"): "Edm.Boolean",
    ("restore", "newUserPrincipalName"): "Edm.String",
}


@dataclass(frozen=True)
class Member:
    """A property, navigation property or parameter."""

    type: str
    nullable: bool


@dataclass(frozen=True)
class Action:
    """An action bound to a type."""

    name: str
    bound_to: str
    parameters: dict[str, Member]
    returns: str | None


@dataclass(frozen=True)
class Structured:
    """An entity type or a complex type, with what it inherits."""

    name: str
    base: str | None
    entity: bool
    properties: dict[str, Member]
    navigation: dict[str, Member]
    alternates: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Target:
    """What a path addresses.

    Attributes:
        type: The type of the answer, `Collection(…)` for many; None where nothing is told.
        action: The action that is called.
        reference: Whether it is a `$ref`.
        count: Whether it is a `$count`.
    """

    type: str | None
    action: Action | None = None
    reference: bool = False
    count: bool = False


@dataclass
class Metadata:
    """The types, entity sets and actions of CSDL files."""

    types: dict[str, Structured] = field(default_factory=dict)
    enums: dict[str, set[str]] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)

    @classmethod
    def read(cls, *files: Path) -> "Metadata":
        """Read files; what is in one may build upon what is in another."""
        result = cls()
        root = Element("all")
        root.extend(parse(file).getroot() for file in files)
        elements = {
            one.get("Name"): one for kind in ("EntityType", "ComplexType") for one in root.iter(f"{_EDM}{kind}")
        }
        for element in elements.values():
            result.types[element.get("Name", "")] = _structured(element, elements)
        for element in root.iter(f"{_EDM}EnumType"):
            result.enums[element.get("Name", "")] = {one.get("Name", "") for one in element.iter(f"{_EDM}Member")}
        for element in root.iter(f"{_EDM}EntitySet"):
            result.sets[element.get("Name", "")] = _short(element.get("EntityType", ""))
        result.actions = [_action(element) for element in root.iter(f"{_EDM}Action")]
        return result

    def resolve(self, path: str) -> Target:
        """Return what a path below `/v1.0` addresses.

        Raises:
            LookupError: The metadata has no such path; with the segment.
        """
        segments = path.strip("/").split("/")
        first = segments.pop(0)
        if alternate := _ALTERNATE.fullmatch(first):
            current = _found(self.sets, alternate["set"], "the service")
            if alternate["key"] not in self.types[current].alternates:
                raise LookupError(first)
        elif first == "directory" and segments:
            second = segments.pop(0)
            current = _found(DIRECTORY, second, first)
        else:
            current = f"Collection({_found(self.sets, first, 'the service')})"
        while segments:
            segment = segments.pop(0)
            many = _COLLECTION.fullmatch(current)
            if segment == "$ref":
                return Target(current, reference=True)
            if segment == "$count" and many:
                return Target("Edm.Int32", count=True)
            if segment.startswith("microsoft.graph."):
                cast = _short(segment)
                if not self.derives(cast, many.group(1) if many else current):
                    raise LookupError(segment)
                current = f"Collection({cast})" if many else cast
            elif many:
                current = many.group(1)
            elif (action := self.action(segment, current)) is not None:
                return Target(action.returns, action=action)
            else:
                current = _found(self.types[current].navigation, segment, current).type
        return Target(current)

    def action(self, name: str, bound_to: str) -> Action | None:
        """Return the action that is bound to a type or to what it derives from."""
        return next((one for one in self.actions if one.name == name and self.derives(bound_to, one.bound_to)), None)

    def derives(self, name: str, base: str) -> bool:
        """Say whether a type is another, or derives from it."""
        current: str | None = name
        while current is not None:
            if current == base:
                return True
            current = self.types[current].base if current in self.types else None
        return False

    def body_violations(self, method: str, target: Target, body: Any) -> list[str]:
        """Return what in a request's body goes against the metadata."""
        if target.action is not None:
            return list(self._parameters(target.action, body or {}))
        if target.reference:
            return [] if method == "DELETE" or set(body) == {"@odata.id"} else [f"a reference is not {sorted(body)}"]
        if body is None:
            return []
        name = target.type or ""
        many = _COLLECTION.fullmatch(name)
        return list(self._object(many.group(1) if many else name, body, "", writing=True))

    def answer_violations(self, method: str, target: Target, body: Any) -> list[str]:
        """Return what in the body of a success goes against the metadata; a POST to a collection answers with one."""
        if target.count:
            return [] if str(body).isdigit() else [f"a count is not {body!r}"]
        if body is None:
            return []
        name = target.type or ""
        many = _COLLECTION.fullmatch(name)
        if many and method == "POST" and target.action is None:
            return list(self._object(many.group(1), body, "", writing=False))
        if many:
            if not isinstance(body.get("value"), list):
                return ["a collection without value"]
            wrong = sorted(set(body) - {"@odata.context", "@odata.nextLink", "@odata.count", "value"})
            return [f"{one} is not part of a collection" for one in wrong] + [
                violation
                for number, item in enumerate(body["value"])
                for violation in self._object(many.group(1), item, f"[{number}]", writing=False)
            ]
        if name.startswith("Edm."):
            return list(self._value(Member(name, nullable=False), body.get("value"), "value", writing=False))
        return list(self._object(name, body, "", writing=False))

    def _parameters(self, action: Action, body: dict[str, Any]) -> Iterator[str]:
        for name, value in body.items():
            if (exception := ONLY_DOCUMENTED.get((action.name, name))) is not None:
                yield from self._value(Member(exception, nullable=False), value, name, writing=True)
            elif name not in action.parameters:
                yield f"{action.name} has no parameter {name}"
            else:
                yield from self._value(action.parameters[name], value, name, writing=True)
        for name, member in action.parameters.items():
            if not member.nullable and name not in body:
                yield f"{action.name} needs {name}"

    def _object(self, name: str, body: Any, where: str, *, writing: bool) -> Iterator[str]:
        if not isinstance(body, dict):
            yield f"{where}: {name} is not {type(body).__name__}"
            return
        said = _short(body.get("@odata.type", "").removeprefix("#"))
        if said and (said not in self.types or not self.derives(said, name)):
            yield f"{where}: {said} is not a {name}"
            return
        known = self.types[said or name]
        for key, value in body.items():
            if key in {"@odata.context", "@odata.type"}:
                continue
            if key.endswith("@odata.bind"):
                if not writing or key.removesuffix("@odata.bind") not in known.navigation:
                    yield f"{where}.{key}: {known.name} has no such navigation"
            elif not writing and key in known.navigation:
                # expanded; what it may hold is told by the navigation's own type
                yield from self._object(known.navigation[key].type, value, f"{where}.{key}", writing=False)
            elif key not in known.properties:
                yield f"{where}.{key}: {known.name} has no such property"
            else:
                yield from self._value(known.properties[key], value, f"{where}.{key}", writing=writing)
        if known.entity and not writing and "id" not in body:
            yield f"{where}: an entity without id"

    def _value(self, member: Member, value: Any, where: str, *, writing: bool) -> Iterator[str]:
        if many := _COLLECTION.fullmatch(member.type):
            if not isinstance(value, list):
                yield f"{where}: {member.type} is not {value!r}"
                return
            for number, item in enumerate(value):
                yield from self._value(
                    Member(many.group(1), member.nullable), item, f"{where}[{number}]", writing=writing
                )
        elif value is None:
            if not member.nullable:
                yield f"{where}: must not be null"
        elif member.type in self.types:
            yield from self._object(member.type, value, where, writing=writing)
        elif member.type in self.enums:
            if value not in self.enums[member.type]:
                yield f"{where}: {value!r} is not a {member.type}"
        elif member.type not in _SCALARS:
            yield f"{where}: the metadata does not tell what {member.type} is"
        elif not _SCALARS[member.type](value):
            yield f"{where}: {member.type} is not {value!r}"


def _structured(element: Element, elements: dict[str | None, Element]) -> Structured:
    properties: dict[str, Member] = {}
    navigation: dict[str, Member] = {}
    chain: list[Element] = [element]
    while (base := _base(chain[-1])) is not None and base in elements:
        chain.append(elements[base])
    for one in reversed(chain):
        properties.update(_members(one, "Property"))
        navigation.update(_members(one, "NavigationProperty"))
    is_entity = element.tag == f"{_EDM}EntityType"
    keys = (one for one in element.iter(f"{_EDM}Record") if one.get("Type") == "Org.OData.Core.V1.PropertyRef")
    alternates = {value.get("String", "") for one in keys for value in one if value.get("Property") == "Alias"}
    name = element.get("Name", "")
    return Structured(name, _base(element), is_entity, properties, navigation, frozenset(alternates))


def _base(element: Element) -> str | None:
    base = element.get("BaseType")
    return None if base is None else _short(base)


def _members(element: Element, tag: str) -> dict[str, Member]:
    return {
        one.get("Name", ""): Member(_short(one.get("Type", "")), one.get("Nullable") != "false")
        for one in element.findall(f"{_EDM}{tag}")
    }


def _action(element: Element) -> Action:
    parameters = _members(element, "Parameter")
    bound_to = parameters.pop(next(iter(parameters)))
    returned = element.find(f"{_EDM}ReturnType")
    returns = None if returned is None else _short(returned.get("Type", ""))
    return Action(element.get("Name", ""), bound_to.type, parameters, returns)


def _short(name: str) -> str:
    return re.sub(r"(?:microsoft\.)?graph\.", "", name)


def _found(table: dict[str, T], name: str, where: str) -> T:
    if name not in table:
        message = f"{where} has no {name}"
        raise LookupError(message)
    return table[name]


def _moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _guid(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


_SCALARS: dict[str, Callable[[Any], bool]] = {
    "Edm.String": lambda value: isinstance(value, str),
    "Edm.Boolean": lambda value: isinstance(value, bool),
    "Edm.Int32": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "Edm.DateTimeOffset": _moment,
    "Edm.Guid": _guid,
}
