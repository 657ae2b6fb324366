"""Routes of the organisation desk. Units are no people: who is in one, or leads it, is read as people are."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from contracts.base import ABSENT, Label, Text
from services.kernel import audit
from services.kernel.clock import business_now, local_date
from services.kernel.database import Connection, Database
from services.kernel.problems import FieldError, ProblemError, documented
from services.kernel.security import READ_PROTECTED, Principal, requires
from services.kernel.settings import OrganisationSettings
from services.orgtree.api import showing
from services.orgtree.api.showing import FIELDS
from services.orgtree.domain import plan as plans
from services.orgtree.domain.periods import Line
from services.orgtree.domain.plan import Edit, EditRefused
from services.orgtree.domain.tree import Tree, Trouble
from services.orgtree.handlers.asof import AsOf, Trees
from services.orgtree.store import people, projection, units

Reader = Annotated[Principal, Depends(requires("organisation:read"))]
PERSONS = "persons:read"
FIRST, LAST = date(1900, 1, 1), date(9000, 1, 1)
Day = Annotated[date | None, Query(ge=FIRST, lt=LAST)]
Known = Annotated[datetime | None, Query(description="As it was known at this instant")]
DEPTH, DEEPEST, MOST = 3, 6_000, 6_000


class EditBody(BaseModel):
    """What shall be different of a unit, from `effectiveFrom` on (left out: today); null takes a field away."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    unit: Label
    effective_from: date | None = None
    name: Label = ABSENT
    parent: Label | None = None
    manager: UUID | None = None
    acting_manager: UUID | None = None
    kind: Text | None = None
    site: Text | None = None
    cost_centre: Text | None = None
    mail_domain: Text | None = None
    valid_from: date = ABSENT
    valid_to: date | None = None
    successors: tuple[Label, ...] = ABSENT


class PlanBody(BaseModel):
    """A reorganisation that nobody has been told of."""

    model_config = ConfigDict(extra="forbid")

    units: Annotated[list[EditBody], Field(min_length=1, max_length=MOST)]


@dataclass(frozen=True)
class Wiring:
    """What the routes need."""

    database: Database
    organisations: Mapping[str, OrganisationSettings]
    trees: Trees
    committed: Callable[[], None]


def router(wiring: Wiring) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/organisation", tags=["organisation"])

    async def asked(conn: Connection, principal: Principal, on: date | None, known: datetime | None) -> AsOf:
        today = await _today(conn, principal)
        if known is not None and known.tzinfo is None:
            errors = [FieldError("/query/known", "instant.no_offset", "say the offset from UTC")]
            raise ProblemError(422, "instant.no_offset", "An instant needs an offset", errors=errors)
        return await wiring.trees.on(conn, principal.organisation, on or today, today=today, known=known)

    async def _today(conn: Connection, principal: Principal) -> date:
        return local_date(await business_now(conn), wiring.organisations[principal.organisation].zone)

    @routes.get("/tree", responses=documented(404))
    async def tree(
        principal: Reader,
        on: Day = None,
        known: Known = None,
        root: Label | None = None,
        depth: Annotated[int, Query(ge=1, le=DEEPEST)] = DEPTH,
    ) -> dict[str, Any]:
        """Return the tree on a day, from a unit downwards, each unit after the one above it."""
        async with wiring.database.transaction() as conn:
            found = await asked(conn, principal, on, known)
            if root is not None and root not in found.tree.fields:
                raise ProblemError(404, "unit.not_in_effect", "There is no such unit in effect on that day")
            shown = showing.down_to(found.tree, root, depth)
            counts = await people.counts(
                conn, principal.organisation, shown, protected=READ_PROTECTED in principal.scopes
            )
            names = await _names(conn, principal, found.tree, shown)
            standing = await people.standing(conn, principal.organisation)
        return {
            "on": found.tree.day if on is None else on,
            "known": known,
            "version": standing.version if standing else None,
            "nextChange": standing.next_due if standing else None,
            "path": [showing.called(found.tree, unit) for unit in found.tree.path(root)] if root else [],
            "units": [showing.unit(found.tree, unit, counts, names) for unit in shown],
            "waiting": [
                showing.problem(found, one) for one in found.tree.problems if one.unit not in found.tree.fields
            ],
        }

    @routes.get("/search")
    async def search(
        q: Annotated[str, Query(min_length=1, max_length=200)],
        principal: Reader,
        on: Day = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> dict[str, Any]:
        """Return the units in effect on a day whose name or id holds the words, with where they are."""
        words = q.casefold().split()
        async with wiring.database.transaction() as conn:
            found = (await asked(conn, principal, on, None)).tree
            hits = [
                unit
                for unit in found.downwards()
                if all(word in f"{unit} {found.fields[unit].name}".casefold() for word in words)
            ]
        items = [
            {**showing.called(found, unit), "path": [showing.called(found, one) for one in found.path(unit)[:-1]]}
            for unit in hits[:limit]
        ]
        return {"items": items, "found": len(hits)}

    @routes.get("/units/{unit:path}", responses=documented(404))
    async def one(
        unit: str,
        principal: Reader,
        on: Day = None,
        known: Known = None,
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """Return a unit on a day, who leads it, who is in it now (`persons:read`), and how it stands in targets."""
        async with wiring.database.transaction() as conn:
            found = await asked(conn, principal, on, known)
            line = found.lines.get(unit)
            if line is None:
                raise ProblemError(404, "unit.unknown", "Nobody has told of such a unit")
            protected = READ_PROTECTED in principal.scopes
            counts = await people.counts(conn, principal.organisation, [unit], protected=protected)
            members: Sequence[people.Member] = ()
            if PERSONS in principal.scopes:
                members = await people.members(
                    conn, principal.organisation, unit, protected=protected, after=after or UUID(int=0), limit=limit
                )
                await audit.record(
                    conn,
                    "orgtree",
                    principal.organisation,
                    principal.subject,
                    "unit.people_read",
                    persons=[one.person for one in members],
                    reason=principal.reason,
                    parameters={"unit": unit},
                )
            above = found.tree.path(unit) if unit in found.tree.fields else (unit,)
            names = await _names(conn, principal, found.tree, above, line)
            targets = await projection.of_unit(conn, principal.organisation, unit)
        wiring.committed()
        in_effect = unit in found.tree.fields
        return {
            **(
                showing.unit(found.tree, unit, counts, names)
                if in_effect
                else {"unit": unit, "name": line.on(LAST).name}
            ),
            "inEffect": in_effect,
            "takenOverBy": found.tree.moved.get(unit),
            "path": [showing.called(found.tree, one) for one in above if one in found.tree.fields],
            "leaders": [
                {"unit": one, **showing.leader(person, found.tree.fields[one], names)}
                for one in reversed(above)
                if one in found.tree.fields
                for person in found.tree.fields[one].named
            ],
            "troubles": [showing.problem(found, one) for one in found.tree.problems if one.unit == unit],
            "validFrom": line.valid_from,
            "validTo": line.valid_to,
            "successors": list(line.successors),
            "steps": [{"from": day, **showing.told(fields, names)} for day, fields in line.steps],
            "members": [
                {
                    "person": one.person,
                    "name": one.record.name.display,
                    "title": showing.title(one, found.tree.day),
                    "main": one.main,
                }
                for one in members
            ],
            "next": members[-1].person if len(members) == limit else None,
            "targets": targets,
        }

    @routes.get("/changes")
    async def changes(principal: Reader, limit: Annotated[int, Query(ge=1, le=1_000)] = 200) -> dict[str, Any]:
        """Return what is to change after today, the nearest first."""
        async with wiring.database.transaction() as conn:
            today = await _today(conn, principal)
            found = await asked(conn, principal, None, None)
            coming = sorted(showing.coming(found.lines.values(), today), key=lambda one: (one[0], one[1].unit, one[2]))
            leaders = {person for _, line, _ in coming for person in line.named}
            names = await _people(conn, principal, leaders)
        items = [showing.change(day, line, what, found.tree, names) for day, line, what in coming[:limit]]
        return {"items": items, "found": len(coming)}

    @routes.get("/problems")
    async def problems(principal: Reader, every: bool = False) -> dict[str, Any]:
        """Return the worklist: what a person has to look at, with how many people it concerns.

        `every`: also units without a manager of their own, which someone above leads.
        """
        async with wiring.database.transaction() as conn:
            rows = await units.load(conn, principal.organisation)
            found = await asked(conn, principal, None, None)
            open_ = [
                one
                for row in rows.values()
                for one in row.problems
                if every or one.trouble not in {Trouble.VACANT, Trouble.MANAGER_GONE}
            ]
            counts = await people.naming(conn, principal.organisation, {one.unit for one in open_})
            missing = await units.missing(conn, principal.organisation)
        return {
            "items": [
                {**showing.problem(found, one), "people": counts.get(one.unit, 0)}
                for one in sorted(open_, key=lambda one: (one.trouble, one.unit))
            ],
            "missing": [{"unit": unit, "people": count, "due": due} for unit, count, due in missing],
        }

    @routes.post("/plan", responses=documented(409))
    async def plan(body: PlanBody, principal: Reader) -> dict[str, Any]:
        """Return what a reorganisation would change, day by day, beside what is to be anyway. Changes nothing."""
        async with wiring.database.transaction() as conn:
            today = await _today(conn, principal)
            found = await asked(conn, principal, None, None)
            edits = [_edit(one, today) for one in body.units]
            try:
                after = plans.planned(found.lines, edits)
            except EditRefused as refused:
                where = f"/body/units/{refused.index}/{refused.field}"
                errors = [FieldError(where, refused.code, "see the code")]
                raise ProblemError(422, refused.code, "The plan cannot be", errors=errors) from refused
            named = await people.naming(conn, principal.organisation, after)
            full = frozenset(named)
            on = plans.days(found.lines, after, edits, today)
            compared = plans.compare(found.lines, after, on, lambda _lines, _day: full)
            leaders = {person for line in after.values() for person in line.named}
            names = await _people(conn, principal, leaders)
        return {
            "days": [
                {
                    "on": day.day,
                    "units": [
                        {**showing.difference(one, names), "people": named.get(one.unit, 0)} for one in day.units
                    ],
                    "problems": [
                        {"unit": one.unit, "name": showing.name_of(after, one.unit, day.day), "code": one.trouble,
                         "other": one.other}
                        for one in day.problems
                    ],
                    "people": sum(
                        named.get(one, 0) for one in {*day.moved, *(unit.unit for unit in day.units)}
                    ),
                    "newlyLed": sum(named.get(one, 0) for one in day.led),
                    "movesPeople": [
                        {"from": unit, "to": to, "people": named[unit]}
                        for unit, to in day.moved.items() if named.get(unit)
                    ],
                }
                for day in compared
            ]
        }  # fmt: skip

    return routes


async def _names(
    conn: Connection, principal: Principal, tree: Tree, shown: Iterable[str], line: Line | None = None
) -> Mapping[UUID, str]:
    leaders = {person for unit in shown if unit in tree.fields for person in tree.fields[unit].named}
    return await _people(conn, principal, leaders | (line.named if line else frozenset()))


async def _people(conn: Connection, principal: Principal, leaders: Collection[UUID]) -> Mapping[UUID, str]:
    """Return what leaders are called, those with a protected identity only to who may see them; it is recorded."""
    if not leaders:
        return {}
    found = await people.names(conn, principal.organisation, leaders, protected=READ_PROTECTED in principal.scopes)
    if found:
        await audit.record(
            conn, "orgtree", principal.organisation, principal.subject, "unit.leaders_read",
            persons=list(found), reason=principal.reason,
        )  # fmt: skip
    return found


def _edit(body: EditBody, today: date) -> Edit:
    said = body.model_fields_set
    return Edit(
        unit=body.unit,
        on=body.effective_from or body.valid_from or today,
        fields={name: getattr(body, name) for name in FIELDS if name in said},
        sets={name: getattr(body, name) for name in ("valid_from", "valid_to", "successors") if name in said},
    )
