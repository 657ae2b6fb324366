"""What a person sees of who is who: questions, and two people side by side. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from services.cli.domain.catalogue import Catalogue
from services.cli.domain.rendering import Row, coded, grid, when


def name(person: Row) -> str:
    """Return name of address and family name; the id of somebody of whom none was told."""
    told = person.get("name") or {}
    return " ".join(filter(None, (told.get("preferred") or told.get("given"), told.get("family")))) or str(person["id"])


def cases(items: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return questions in a list: who was there first, and who came later."""
    table = grid(*catalogue.say("identity_columns").split("|"), ids=(0,))
    for one in items:
        kind, state = catalogue.code(f"identity.{one['kind']}"), coded(catalogue, f"identity.{one['state']}")
        both = (escape(name(one[side])) for side in ("person", "other"))
        table.add_row(one["id"], kind, state, *both, when(one["openedAt"]))
    return table


def case(found: Row, catalogue: Catalogue) -> list[RenderableType]:
    """Return a question: both people side by side, and who has decided what."""
    table = grid("", *catalogue.say("identity_sides").split("|"))
    for label, told in _SIDES.items():
        values = [escape(told(found[side])) for side in ("person", "other")]
        mark = "≠" if all(values) and values[0] != values[1] else ""
        table.add_row(catalogue.say(label), *values, mark)
    parts: list[RenderableType] = [cases([found], catalogue), table]
    if found["decidedAt"]:
        at = when(found["decidedAt"])
        parts.append(Text(catalogue.say("identity_decided", at=at, by=found["decidedBy"], reason=found["reason"])))
    return parts


def known_as(items: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return the ids by which sources know a person."""
    table = grid(*(catalogue.say(one) for one in ("source", "id", "since")), ids=(1,))
    for one in items:
        table.add_row(escape(one["source"]), escape(one["externalId"]), when(one["firstSeenAt"]))
    return table


def _each(person: Row, field: str) -> str:
    found: list[Any] = [one[field] for one in person.get("employments", ())]
    return ", ".join(sorted({str(one) for one in found if one}))


_SIDES: Mapping[str, Callable[[Row], str]] = {
    "id": lambda person: str(person["id"]),
    "name": name,
    "birth_date": lambda person: str(person.get("birthDate") or ""),
    "employee_number": lambda person: _each(person, "employeeNumber"),
    "unit": lambda person: _each(person, "unit"),
    "source_ids": lambda person: ", ".join(one["externalId"] for one in person.get("ids", ())),
}
