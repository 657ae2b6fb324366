"""One unit, recorded on a page: where units are kept here it comes to be, changes or closes by somebody's word."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from services.kernel.unit_plan import PlannedEdit
from services.portal.api.door import Visit, entering
from services.portal.api.organisation import planning
from services.portal.api.organisation.asking import API, whole_tree
from services.portal.api.organisation.plan_views import RowFault
from services.portal.api.organisation.views import Unit, UnitDetail
from services.portal.domain.answers import Part, Trouble
from services.portal.domain.work import People, View

router = APIRouter()

What = Literal["create", "rename", "move", "manager", "acting", "close"]
Word = Annotated[str, Query(max_length=200)]
Reader = Annotated[Visit, Depends(entering(planning.READ))]
Writer = Annotated[Visit, Depends(entering(planning.WRITE))]

FIELDS: Mapping[What, Sequence[str]] = {
    "create": ("unit", "name", "parent", "validFrom", "kind", "costCentre", "site"),
    "rename": ("name", "effectiveFrom"),
    "move": ("parent", "effectiveFrom"),
    "manager": ("manager", "effectiveFrom"),
    "acting": ("actingManager", "effectiveFrom"),
    "close": ("validTo", "successors"),
}
LEADS: Mapping[str, str] = {"manager": "manager", "acting": "actingManager"}
NEEDED = frozenset({"unit", "name", "validFrom", "effectiveFrom", "validTo", "manager", "actingManager"})
DATES = frozenset({"validFrom", "effectiveFrom", "validTo"})
NOBODY = "-"
OFFERED = 500
"""So many units are offered to choose from; of more than that the id is written."""
FOUND = 10


class Named(View):
    """Somebody by name."""

    name: str


@dataclass(frozen=True)
class Filled:
    """What somebody filled in: the edit it makes, and what is wrong by field."""

    values: Mapping[str, str] = field(default_factory=dict)
    edit: Mapping[str, Any] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)


@router.get("/organisation/record")
async def ask(visit: Reader, what: What = "create", unit: Word = "", q: Word = "", person: Word = "") -> Response:
    """Show the form of one deed; where HR masters the units, say so."""
    if not planning.kept_here(visit):
        return visit.page("organisation/record_elsewhere.html")
    if not visit.may(planning.WRITE):
        return visit.trouble(Trouble("denied", "", "scope.missing"))
    known = await _known(visit, unit) if what != "create" else None
    if known is not None and known.value is None:
        return visit.trouble(known.trouble or Trouble("down", "orgtree", "service.unreachable"))
    values = {"unit": unit if what != "create" else "", **({LEADS[what]: person} if what in LEADS else {})}
    return await _form(visit, what, Filled(values), known.value if known else None, words=q.strip())


@router.post("/organisation/record")
async def fill(visit: Writer) -> Response:
    """Judge what was filled in; when it can be, ask for the word with its numbers."""
    if not planning.kept_here(visit):
        return visit.trouble(Trouble("refused", "ingestion", "unit.mastered_by_hr"))
    form = await visit.request.form()
    said = {name: value for name in form if isinstance(value := form.get(name), str)}
    what = next((one for one in FIELDS if one == said.get("what")), None)
    if what is None:
        return visit.trouble(Trouble("refused", "portal", "record.unknown"))
    known = await _known(visit, said.get("unit", "").strip())
    missing = known.trouble is not None and known.trouble.kind == "missing"
    if known.value is None and not (what == "create" and missing):
        return visit.trouble(known.trouble or Trouble("down", "orgtree", "service.unreachable"))
    filled = filled_in(what, said)
    if what == "create" and known.value is not None:
        filled = Filled(filled.values, filled.edit, {**filled.wrong, "unit": "unit.exists"})
    if filled.wrong:
        return await _form(visit, what, filled, known.value, status=422)
    edits = [PlannedEdit(1, filled.edit)]
    seen = await planning.foresee(visit, edits)
    if seen.faults:
        return await _form(visit, what, filled, known.value, faults=seen.faults, status=422)
    return await planning.asked(visit, edits, seen=seen)


def filled_in(what: What, said: Mapping[str, str]) -> Filled:
    """Return the edit that fields make; what may be left empty is left out, and a unit without a parent is a root."""
    values = {name: said.get(name, "").strip() for name in ("unit", *FIELDS[what])}
    wrong = {name: "record.needed" for name, value in values.items() if not value and name in NEEDED}
    edit: dict[str, Any] = {}
    for name, value in values.items():
        if name in wrong:
            continue
        try:
            told = _told(name, value)
        except ValueError:
            wrong[name] = "record.no_date" if name in DATES else "person.unknown"
            continue
        if told is not None or name in LEADS.values() or (name, what) == ("parent", "move"):
            edit[name] = told
    return Filled(values, edit, wrong)


def _told(name: str, value: str) -> object:
    """Return what a field says; None: it is empty.

    Raises:
        ValueError: It is no date, or no person's id.
    """
    if name in DATES:
        return date.fromisoformat(value).isoformat()
    if name in LEADS.values():
        return None if value == NOBODY else str(UUID(value))
    if name == "successors":
        return value.split() or None
    return value or None


async def _known(visit: Visit, unit: str) -> Part[UnitDetail]:
    if not unit:
        return Part(None, Trouble("missing", "orgtree", "unit.unknown"))
    return await visit.ask.get(UnitDetail, "orgtree", f"{API}/units/{quote(unit, safe='')}", limit=1)


async def _form(
    visit: Visit,
    what: What,
    filled: Filled,
    known: UnitDetail | None,
    *,
    words: str = "",
    faults: Sequence[RowFault] = (),
    status: int = 200,
) -> Response:
    fields = FIELDS[what]
    wrong = dict(filled.wrong)
    wrong.update({one.column: one.code for one in faults if one.column is not None and one.column in fields})
    offered, people, leader = await asyncio.gather(
        _offered(visit) if {"parent", "successors"} & {*fields} else _nothing(),
        _people(visit, words),
        _leader(visit, filled.values.get(LEADS.get(what, ""), "")),
    )
    return visit.page(
        "organisation/record.html", status=status, what=what, fields=fields, values=filled.values, wrong=wrong,
        others=[one for one in faults if one.column not in fields], known=known, words=words, people=people,
        leader=leader, lead=LEADS.get(what), offered=offered or (), dates=DATES, needed=NEEDED,
        nobody=NOBODY, address="/organisation",
    )  # fmt: skip


async def _nothing() -> None:
    return None


async def _offered(visit: Visit) -> Sequence[Unit]:
    """Return the units to choose from; of very many none."""
    found = await whole_tree(visit, None)
    return found.value.units if found.value and len(found.value.units) <= OFFERED else ()


async def _people(visit: Visit, words: str) -> Part[People] | None:
    if not words:
        return None
    return await visit.searching(words).get(People, "status", "/v1/persons", q=words, limit=FOUND)


async def _leader(visit: Visit, chosen: str) -> str | None:
    """Return the name of whom somebody chose, as far as this person may see it; the id where there is none."""
    try:
        person = UUID(chosen)
    except ValueError:
        return None
    found = await visit.about(person).get(Named, "status", f"/v1/persons/{person}")
    return found.value.name if found.value else str(person)
