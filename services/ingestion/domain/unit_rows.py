"""Units of a file: what its rows say of each, date by date, and what that comes to."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from contracts.codes import UnitKind
from services.ingestion.domain.mapping import FileMapping
from services.ingestion.domain.rows import Row, Told, told
from services.ingestion.domain.units import AT_ONCE, DATED, UnitDossier, UnitState

KINDS = {
    "parent": UnitKind.MOVED,
    "name": UnitKind.RENAMED,
    "manager": UnitKind.MANAGER_CHANGED,
    "acting_manager": UnitKind.MANAGER_CHANGED,
}
"""What the change of a field makes of it, the most telling first."""


def words(mapping: FileMapping, unit: str, rows: Sequence[Row]) -> list[tuple[Told, Sequence[Row]]]:
    """Return what a unit's rows say, those of a date together: first what has none, then by date.

    A row that cannot be read stands for itself, with its rejects.
    """
    found: list[tuple[Told, Sequence[Row]]] = []
    dated: dict[str, list[Row]] = {}
    for row in rows:
        one = told(mapping, unit, [row])
        if one.rejects:
            found.append((one, [row]))
        else:
            dated.setdefault(one.record.get("effectiveFrom") or "", []).append(row)
    return [*found, *((told(mapping, unit, dated[day]), dated[day]) for day in sorted(dated))]


def difference(before: UnitDossier | None, after: UnitState) -> tuple[UnitKind, list[str]] | None:
    """Return what has become of a unit and the names of the fields that differ, at any time; None: nothing.

    What is only told once more, for a later date, is a change of no field.
    """
    if before is None or before.state.last is None:
        return UnitKind.CREATED, []
    was = before.state
    fields = [name for name in DATED if was.course(name) != after.course(name)]
    fields += [name for name in AT_ONCE if getattr(was, name) != getattr(after, name)]
    if not fields and was.plans == after.plans:
        return None
    if after.valid_to is not None and (was.valid_to is None or after.valid_to < was.valid_to):
        kind = UnitKind.CLOSED
    else:
        kind = next((kind for name, kind in KINDS.items() if name in fields), UnitKind.CHANGED)
    aliases = {name: (type(was).model_fields[name].alias or name) for name in fields}
    return kind, [aliases[name] for name in fields]


def closing(unit: str, state: UnitState, day: date) -> dict[str, Any] | None:
    """Return what a full file of `day` says by leaving a unit out: it closes; None when it has closed by then."""
    last = max(day, state.valid_from or day)
    if state.valid_to is not None and state.valid_to <= last:
        return None
    return {"externalId": unit, "validTo": last.isoformat()}
