"""From the columns of a file to the fields of a record, without code: what a mapping file says, judged when it is read.

A cell that is empty, absent or null is three things: `empty` of its rule says what an empty one means; a column that a
row lacks is never told; null is null.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from services.ingestion.domain.fields import FIELDS, LISTS, UNIT_FIELDS, Field, Sort

Cell = str | int | float | bool | date | None
"""What stands in a cell: text in CSV; what its type says in XLSX and JSON Lines."""

Cells = Mapping[str, Cell]

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class MappingRefused(Exception):
    """A mapping cannot be used; the message names the file, the key and the reason."""


class Wrong(Exception):
    """A cell cannot be read: a code and a reason, which quotes nothing; `parameters` are for the code's sentence."""

    def __init__(self, code: str, reason: str, **parameters: str | int) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason
        self.parameters = parameters


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Split(_Said):
    """A part of a cell: what stands before or after each `by`; `part` counts from 1."""

    by: Name
    part: int

    @model_validator(mode="after")
    def _counted(self) -> Self:
        if self.part < 1:
            raise ValueError("part counts from 1")
        return self


class Rule(_Said):
    """Where a field's value comes from.

    `column`, or `columns` joined by `join`, or a `constant`. `split` takes a part. `values` translates words, `lookup`
    names a table of the file that does; what is in neither is an error, unless there is an `otherwise`. `dates`:
    formats of this column alone. `times`: what numbers are multiplied by. `each`: what parts the values of a list.
    `empty`: what an empty cell means. `optional`: the file may lack the column.
    """

    column: Name | None = None
    columns: tuple[Name, ...] = ()
    join: str = " "
    constant: str | int | float | bool | None = None
    split: Split | None = None
    values: Mapping[str, str | bool | int | float] = {}
    lookup: str | None = None
    otherwise: str | bool | int | float | None = None
    dates: tuple[Name, ...] = ()
    times: float | None = None
    each: Annotated[str, StringConstraints(min_length=1, max_length=10)] | None = None
    empty: Literal["absent", "null", "text", "refuse"] = "absent"
    optional: bool = False

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return (self.column,) if self.column is not None else self.columns

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if [self.column is not None, bool(self.columns), self.constant is not None].count(True) != 1:
            raise ValueError("one of column, columns and constant is needed")
        if self.values and self.lookup is not None:
            raise ValueError("values and lookup exclude each other")
        return self


class FileMapping(_Said):
    """A mapping file. `about` tells what it is for, and where it comes from; `records`: what its rows tell of.

    `encoding` and `separator` are found out when they are not said. `skip`: lines between the header and the first row.
    `only`: rows are read where these columns hold one of these words. `null`: words that mean null (9999-12-31, say).
    `whole`: lists that the file tells whole, so that no item means an empty list and not an absent one.
    """

    about: Name
    records: Literal["persons", "units"] = "persons"
    format: Literal["csv", "xlsx", "jsonl"]
    encoding: str | None = None
    separator: Annotated[str, StringConstraints(min_length=1, max_length=1)] | None = None
    sheet: Name | None = None
    skip: int = 0
    decimal: Literal[",", "."] = "."
    dates: tuple[Name, ...] = ("%Y-%m-%d",)
    null: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    only: Mapping[str, tuple[str, ...]] = {}
    lookup: Mapping[str, Mapping[str, str]] = {}
    fields: Mapping[str, Rule]

    @property
    def known(self) -> Mapping[str, Field]:
        """The fields that a column may be mapped to."""
        return UNIT_FIELDS if self.records == "units" else FIELDS

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns that a file must have."""
        needed = {column for rule in self.fields.values() if not rule.optional for column in rule.read}
        return frozenset(needed | self.only.keys())

    @cached_property
    def withheld(self) -> frozenset[str]:
        """Columns whose values are shown to nobody: they hold what is confidential."""
        return frozenset(
            column for name, rule in self.fields.items() if self.known[name].confidential for column in rule.read
        )

    @cached_property
    def converters(self) -> tuple[tuple[tuple[str, ...], Rule, Callable[[Cell], Any]], ...]:
        """For each field its path, its rule, and what makes a cell the field's value."""
        return tuple(
            (tuple(name.split(".")), rule, _converter(self, self.known[name], rule))
            for name, rule in self.fields.items()
        )


def build(content: Mapping[str, Any], file: str) -> FileMapping:
    """Return the mapping that a file describes.

    Raises:
        MappingRefused: It names an unknown field, says too little, or something that the record does not take.
    """
    try:
        mapping = FileMapping.model_validate(_tuples(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise MappingRefused(f"{file}: {key}: {first['msg']}") from error
    for key, reason in _objections(mapping):
        raise MappingRefused(f"{file}: {key}: {reason}")
    return mapping


def _tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _tuples(one) for key, one in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _objections(mapping: FileMapping) -> list[tuple[str, str]]:
    found = [(f"fields.{name}", "there is no such field") for name in mapping.fields if name not in mapping.known]
    if found:
        return found
    found += [("whole", f"{name} is not a list") for name in mapping.whole if name not in LISTS]
    found += [("dates", reason) for reason in map(_date_objection, mapping.dates) if reason]
    if mapping.fields.get("externalId") is None:
        found.append(("fields.externalId", "it is needed: it tells who a row is about"))
    if mapping.records == "units":
        return [*found, *_all_rules(mapping)]
    for prefix, key in LISTS.items():
        if any(name.startswith(f"{prefix}.") for name in mapping.fields) and f"{prefix}.{key}" not in mapping.fields:
            found.append((f"fields.{prefix}.{key}", "it is needed: it tells an item from the others"))
    return [*found, *_all_rules(mapping)]


def _all_rules(mapping: FileMapping) -> list[tuple[str, str]]:
    return [
        (f"fields.{name}", reason)
        for name, rule in mapping.fields.items()
        for reason in _rule_objections(mapping, mapping.known[name], rule)
    ]


def _rule_objections(mapping: FileMapping, field: Field, rule: Rule) -> list[str]:
    found = [reason for reason in map(_date_objection, rule.dates) if reason]
    if rule.lookup is not None and rule.lookup not in mapping.lookup:
        found.append(f"there is no table lookup.{rule.lookup}")
    if field.many != (rule.each is not None):
        found.append("a list needs each, and nothing else has it")
    if rule.empty == "null" and not field.nullable:
        found.append("the field cannot be null")
    if rule.empty == "text" and (field.sort is not Sort.TEXT or field.choices):
        found.append("the field cannot be an empty text")
    table = mapping.lookup.get(rule.lookup or "", {}) or rule.values
    given = [*table.values(), *(one for one in (rule.otherwise, rule.constant) if one is not None)]
    words = sorted(field.choices)
    found += [f"{one!r} is none of {words}" for one in given if words and one not in words]
    if field.sort is Sort.BOOLEAN:
        found += [f"{one!r} is neither true nor false" for one in given if not isinstance(one, bool)]
    elif field.sort is Sort.TEXT:
        found += [f"{one!r} is not a text" for one in given if not isinstance(one, str)]
    return found


def _date_objection(form: str) -> str | None:
    day = date(2031, 12, 24)
    try:
        same = datetime.strptime(day.strftime(form), form).date() == day  # noqa: DTZ007 - dates have no zone
    except ValueError:
        same = False
    return None if same else f"{form} is no format of dates"


def _converter(mapping: FileMapping, field: Field, rule: Rule) -> Callable[[Cell], Any]:
    """Return what makes a cell that is not empty the field's value; it raises `Wrong`."""
    table: Mapping[str, Any] | None = mapping.lookup[rule.lookup] if rule.lookup is not None else rule.values or None
    forms = rule.dates or mapping.dates

    def convert(cell: Cell) -> Any:
        if table is not None:
            word = str(cell)
            found = table.get(word, rule.otherwise)
            if found is None:
                raise Wrong("value.unknown", "the mapping has no such word")
            return found
        match field.sort:
            case Sort.DATE:
                return _date(cell, forms)
            case Sort.NUMBER:
                number = _number(cell, mapping.decimal)
                return number if rule.times is None else round(number * rule.times, 6)
            case Sort.INTEGER:
                number = _number(cell, mapping.decimal)
                if number != int(number):
                    raise Wrong("number.not_whole", "it is not a whole number")
                return int(number)
            case Sort.AMOUNT:
                return _amount(cell, mapping.decimal)
            case Sort.BOOLEAN:
                return _boolean(cell)
            case _:
                text = _text(cell)
                if rule.each is not None:
                    return [part.strip() for part in text.split(rule.each) if part.strip()]
                if field.choices and text not in field.choices:
                    choices = ", ".join(sorted(field.choices))
                    raise Wrong("value.unknown", f"it is none of {choices}", choices=choices)
                return text

    return convert


def _text(cell: Cell) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # a spreadsheet knows no whole numbers
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _date(cell: Cell, forms: tuple[str, ...]) -> str:
    if isinstance(cell, date):
        return cell.isoformat()
    found = _parsed(_text(cell), forms)
    if found is None:
        raise Wrong("date.unreadable", f"it is not a date like {' or '.join(forms)}", forms=", ".join(forms))
    return found


@lru_cache(16_384)
def _parsed(text: str, forms: tuple[str, ...]) -> str | None:
    for form in forms:
        try:
            return datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007 - dates have no zone
        except ValueError:
            continue
    return None


_GROUPS = re.compile(r"(?<=\d)[ \u00a0\u202f](?=\d{3}(?!\d))")
_DIGITS = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def _plain(cell: Cell, decimal: str) -> str:
    if isinstance(cell, bool | date):
        raise Wrong("number.unreadable", "it is not a number")
    if isinstance(cell, int | float):
        return format(cell, "f").rstrip("0").rstrip(".") if isinstance(cell, float) else str(cell)
    text = _GROUPS.sub("", str(cell))
    if decimal == ",":
        # a point would be a thousand or a decimal: nobody can tell
        text = text.replace(",", ".") if "." not in text else ""
    if not _DIGITS.fullmatch(text):
        raise Wrong("number.unreadable", f"it is not a number with decimals after {decimal}", decimal=decimal)
    return text


def _number(cell: Cell, decimal: str) -> float:
    return float(_plain(cell, decimal))


def _amount(cell: Cell, decimal: str) -> str:
    return _plain(cell, decimal)


def _boolean(cell: Cell) -> bool:
    if isinstance(cell, bool):
        return cell
    found = {"true": True, "false": False}.get(_text(cell).lower())
    if found is None:
        raise Wrong("boolean.unreadable", "it is neither true nor false; let the mapping translate it by values")
    return found
