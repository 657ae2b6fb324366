"""`$filter`: the part of OData that Microsoft documents for directory objects, and its rules on advanced queries."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deploy.simulators.graph.calls import Call, Refused
from deploy.simulators.graph.entries import INDEXED, Entry, Kind
from deploy.simulators.graph.properties import EXTENSION, TABLES, Property, Support

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<moment>\d{4}-\d\d-\d\dT[\d:.]+Z)|(?P<number>-?\d+)"
    r"|(?P<name>[A-Za-z_$][\w$]*(?:/[A-Za-z_$][\w$]*)*)|(?P<mark>[(),:]))"
)
_EXTENSIONS = "onPremisesExtensionAttributes/"
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
Test = Callable[[Entry], bool]


@dataclass(frozen=True)
class Filter:
    """A parsed filter.

    Attributes:
        key: (property, value) that every match has, where the filter says so and the property is indexed.
    """

    matches: Test
    key: tuple[str, str] | None = None


def parse(kind: Kind, call: Call) -> Filter | None:
    """Return the call's `$filter`, or None when there is none.

    Raises:
        Refused: It cannot be read, or asks for what the property does not support, or needs an advanced query.
    """
    text = call.query.get("$filter")
    return None if text is None else _Parser(kind, text, advanced=call.advanced).parse()


class _Parser:
    def __init__(self, kind: Kind, text: str, *, advanced: bool) -> None:
        self._kind = kind
        self._advanced = advanced
        self._tokens = list(_tokens(text))
        self._at = 0

    def parse(self) -> Filter:
        result = self._either()
        if self._at != len(self._tokens):
            raise _invalid()
        return result

    def _either(self) -> Filter:
        left = self._both()
        while self._taken("or"):
            left = _or(left, self._both())
        return left

    def _both(self) -> Filter:
        left = self._one()
        while self._taken("and"):
            left = _and(left, self._one())
        return left

    def _one(self) -> Filter:
        if self._taken("not"):
            if not self._advanced:
                raise _unsupported("not", self._kind)
            inner = self._one().matches
            return Filter(lambda entry: not inner(entry))
        if self._taken("("):
            inside = self._either()
            self._expect(")")
            return inside
        return self._comparison()

    def _comparison(self) -> Filter:
        name = self._next()
        if name.lower() in {"startswith", "endswith"}:
            return self._function(name.lower())
        if name.endswith("/any"):
            return self._any(name.removesuffix("/any"))
        if name.endswith("/$count"):
            return self._count(name.removesuffix("/$count"))
        known = self._known(name)
        if known.collection:
            raise _unsupported(name, self._kind)
        operator = self._next().lower()
        if operator == "in":
            self._allow(name, known.equal)
            values = list(self._list())
            return Filter(lambda entry: any(_same(_value(entry, name), value) for value in values))
        value = self._literal()
        support = {"eq": known.equal, "ne": known.equal, "ge": known.ordered, "le": known.ordered}.get(
            operator, Support.NO
        )
        self._allow(name, known.null if value is None and operator in {"eq", "ne"} else support)
        if operator == "ne":
            if not self._advanced:
                raise _unsupported(name, self._kind)
            return Filter(lambda entry: not _same(_value(entry, name), value))
        if operator in {"ge", "le"}:
            return Filter(lambda entry: _ordered(_value(entry, name), operator, value))
        return Filter(lambda entry: _same(_value(entry, name), value), _key(name, value))

    def _function(self, function: str) -> Filter:
        self._expect("(")
        name = self._next()
        known = self._known(name)
        self._expect(",")
        part = str(self._literal()).lower()
        self._expect(")")
        self._allow(name, known.starts if function == "startswith" else known.ends)
        return Filter(lambda entry: _touches(function, _value(entry, name), part))

    def _any(self, name: str) -> Filter:
        known = self._known(name)
        if not known.collection:
            raise _unsupported(name, self._kind)
        self._expect("(")
        variable = self._next()
        self._expect(":")
        first = self._next()
        if first.lower() in {"startswith", "endswith"}:
            self._expect("(")
            self._variable(variable, self._next())
            self._expect(",")
            part = str(self._literal()).lower()
            self._expect(")")
            self._expect(")")
            function = first.lower()
            self._allow(name, known.starts if function == "startswith" else known.ends)
            return Filter(lambda entry: any(_touches(function, one, part) for one in _value(entry, name) or ()))
        member = self._variable(variable, first)
        self._expect("eq")
        value = self._literal()
        self._expect(")")
        self._allow(name, known.equal)

        def held(entry: Entry) -> bool:
            return any(_same(one.get(member) if member else one, value) for one in _value(entry, name) or ())

        return Filter(held, None if member else _key(name, value))

    def _count(self, name: str) -> Filter:
        known = self._known(name)
        operator, number = self._next().lower(), self._literal()
        if not known.collection or operator not in {"eq", "ne"} or number != 0:
            raise _unsupported(name, self._kind)
        self._allow(name, Support.ADVANCED)
        return Filter(lambda entry: (not _value(entry, name)) is (operator == "eq"))

    def _known(self, name: str) -> Property:
        if self._kind is Kind.USER and name.startswith(f"{_EXTENSIONS}extensionAttribute"):
            return EXTENSION
        known = TABLES[self._kind].get(name)
        if known is None:
            raise Refused(
                400,
                "Request_UnsupportedQuery",
                f"Property '{name}' does not exist as a declared property or extension property.",
            )
        return known

    def _allow(self, name: str, support: Support) -> None:
        if support is Support.NO or (support is Support.ADVANCED and not self._advanced):
            raise _unsupported(name, self._kind)

    def _variable(self, variable: str, path: str) -> str:
        start, _, member = path.partition("/")
        if start != variable:
            raise _invalid()
        return member

    def _list(self) -> Iterator[Any]:
        self._expect("(")
        yield self._literal()
        while self._taken(","):
            yield self._literal()
        self._expect(")")

    def _literal(self) -> Any:
        word = self._next()
        if word.startswith("'"):
            return word[1:-1].replace("''", "'")
        if word in _WORDS:
            return _WORDS[word]
        if re.fullmatch(r"-?\d+", word):
            return int(word)
        # a moment or a GUID without quotes
        return word

    def _taken(self, word: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at].lower() == word:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._taken(word):
            raise _invalid()

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise _invalid()
        self._at += 1
        return self._tokens[self._at - 1]


_GUID = re.compile(r"\s*([0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})")


def _tokens(text: str) -> Iterator[str]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = _GUID.match(text, at) or _TOKEN.match(text, at)
        if found is None:
            raise _invalid()
        yield found.group().strip()
        at = found.end()


def _or(left: Filter, right: Filter) -> Filter:
    return Filter(lambda entry: left.matches(entry) or right.matches(entry))


def _and(left: Filter, right: Filter) -> Filter:
    return Filter(lambda entry: left.matches(entry) and right.matches(entry), left.key or right.key)


def _key(name: str, value: Any) -> tuple[str, str] | None:
    indexed = name in INDEXED or name.startswith(_EXTENSIONS)
    return (name, value) if indexed and isinstance(value, str) else None


def _value(entry: Entry, name: str) -> Any:
    if name == "id":
        return entry.id
    value: Any = entry.properties
    for part in name.split("/"):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return value.lower() == wanted.lower()
    return type(value) is type(wanted) and bool(value == wanted)


def _ordered(value: Any, operator: str, wanted: Any) -> bool:
    if not isinstance(value, str) or not isinstance(wanted, str):
        return False
    try:
        one, other = datetime.fromisoformat(value), datetime.fromisoformat(wanted)
    except ValueError:
        raise _invalid() from None
    return one >= other if operator == "ge" else one <= other


def _touches(function: str, value: Any, part: str) -> bool:
    if not isinstance(value, str):
        return False
    return value.lower().startswith(part) if function == "startswith" else value.lower().endswith(part)


def _invalid() -> Refused:
    return Refused(400, "BadRequest", "Invalid filter clause")


def _unsupported(name: str, kind: Kind) -> Refused:
    resource = {Kind.USER: "User", Kind.GROUP: "Group", Kind.UNIT: "AdministrativeUnit"}[kind]
    return Refused(
        400,
        "Request_UnsupportedQuery",
        f"Unsupported or invalid query filter clause specified for property '{name}' of resource '{resource}'.",
    )
