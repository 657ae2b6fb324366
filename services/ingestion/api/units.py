"""`GET /v1/units`: the organisation as HR records it, as of a date, and what in it waits or hangs loose."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Request, Response

from contracts.base import Label
from contracts.hr import NO_END
from contracts.person import UnitChange, UnitRecord
from services.ingestion.api.persons import JSON, READ_PROTECTED, Reader
from services.ingestion.domain import tree
from services.ingestion.domain.rules import EARLIEST
from services.ingestion.domain.tree import Places
from services.ingestion.domain.unit_record import project_unit
from services.ingestion.domain.units import UnitDossier
from services.ingestion.store import ledger, units
from services.kernel import audit
from services.kernel.clock import business_now, local_date
from services.kernel.database import Connection, Database

PAGE_LIMIT = 1_000


def router(database: Database) -> APIRouter:
    """Return the route."""
    routes = APIRouter()

    @routes.get("/v1/units", response_model=None)
    async def get_units(
        principal: Reader,
        request: Request,
        on: Annotated[date | None, Query(ge=EARLIEST, lt=NO_END)] = None,
        state: Literal["parked", "stranded"] | None = None,
        after: Annotated[Label | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 500,
    ) -> Response:
        """List units by id: all as they are today, or those that are open `on` a date as they are then.

        `parked`: those that wait for a unit above; `stranded`: those that stay below one that closes.
        """
        organisation = request.app.state.organisations[principal.organisation]
        async with database.transaction() as conn:
            today = local_date(await business_now(conn), organisation.zone)
            places = (await units.all_places(conn, [organisation.key])).get(organisation.key, {})
            found = sorted(unit for unit, place in places.items() if on is None or place.holds(on))
            if state == "parked":
                waiting = await units.parked(conn, organisation.key)
                found = [unit for unit in found if unit in waiting]
            elif state == "stranded":
                found = [unit for unit in found if tree.stranded(places, unit, today) is not None]
            page = [unit for unit in found if after is None or unit > after][:limit]
            known = await units.by_id(conn, organisation.key, page)
            items = await _items(conn, organisation.key, [known[unit] for unit in page], on or today, today, places)
            managers = {manager for one in items for manager in one.managers}
            seen = READ_PROTECTED in principal.scopes
            hidden = set() if seen else await units.protected(conn, organisation.key, managers)
            await audit.record(
                conn, "ingestion", organisation.key, principal.subject, "units.read",
                persons=sorted(managers - hidden), reason=principal.reason,
            )  # fmt: skip
        shown = {"on": on, "state": state, "limit": limit}
        more = None
        if len(page) == limit and page[-1] != found[-1]:
            more = f"/v1/units?{urlencode({name: one for name, one in (*shown.items(), ('after', page[-1])) if one})}"
        content = {"on": on or today, "items": [_item(one, places, today, hidden) for one in items], "next": more}
        return Response(orjson.dumps(content), media_type=JSON)

    return routes


@dataclass(frozen=True)
class _Shown:
    """A unit with its record as of the day that was asked for."""

    unit: UnitDossier
    record: UnitRecord

    @property
    def managers(self) -> set[UUID]:
        """Who leads it, on that day, before and later."""
        said: tuple[UnitRecord | UnitChange, ...] = (self.record, *self.record.earlier, *self.record.changes)
        return {one for part in said for one in (part.manager, part.acting_manager) if one is not None}


async def _items(
    conn: Connection, organisation: str, found: list[UnitDossier], day: date, today: date, places: Places
) -> list[_Shown]:
    mentions = {mention for unit in found for mention in unit.state.references()}
    meant = await ledger.meant(conn, {(organisation, *mention) for mention in mentions})
    references = {(source, id_): person for (_, source, id_), person in meant.items()}
    items = []
    for unit in found:
        # as it is recorded, so a unit above that nobody knows is shown too
        above = {held.value or "" for held in unit.state.course("parent")}
        record = project_unit(unit.state, references, day, {*places, *above}, unit.record, today=today)
        assert record is not None  # noqa: S101 - it is for who has an unknown unit above
        items.append(_Shown(unit, record))
    return items


def _item(shown: _Shown, places: Places, today: date, hidden: set[UUID]) -> dict[str, Any]:
    said = shown.record.model_dump(mode="json", by_alias=True)
    withheld = {str(one) for one in hidden}
    for part in (said, *said.get("earlier", ()), *said.get("changes", ())):
        part |= {name: None for name in ("manager", "actingManager") if part.get(name) in withheld}
    return {
        "unit": shown.unit.unit,
        "revision": shown.unit.revision,
        "record": said,
        "managerWithheld": not hidden.isdisjoint(shown.managers),
        "waitsFor": shown.unit.waits_for,
        "strandedFrom": tree.stranded(places, shown.unit.unit, today),
    }
