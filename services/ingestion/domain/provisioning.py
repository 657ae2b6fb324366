"""What a provisioning client says against what is known: the difference, as the facts that HR would have told.

Only the client's own source is compared: what other sources said of the same person is not the client's to change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.ingestion.domain.state import EmploymentState, PersonState
from services.ingestion.domain.units import UnitState

Data = dict[str, Any]
"""The data of an event, ready for JSON."""

FULL_TIME = 100.0
EMPLOYMENT = ("form", "validFrom", "validTo", "endReason", "employeeNumber", "sponsor")
LISTS = ("assignments", "absences")
UNIT = (
    "name", "parent", "manager", "actingManager", "kind", "site", "costCentre", "mailDomain", "validFrom", "validTo",
)  # fmt: skip


@dataclass(frozen=True)
class PersonTold:
    """A person with one employment, whole, by the fields of `HrPersonRecorded`; a field that is None is cleared.

    Without an `employment` nothing is said of any: those who were told of by events may have none.
    """

    name: Mapping[str, Any]
    employment: str | None
    fields: Mapping[str, Any]


def described(state: PersonState, source: str, subject: str) -> EmploymentState | None:
    """Return the employment that a client sees: of those that stand, the one that was first told of last."""
    own = [one for one in _own(state, source, subject) if one.cancelled_at is None and one.stated_at is not None]
    return max(own, key=lambda one: (one.stated_at, one.id), default=None)


def goes_on(state: PersonState, source: str, subject: str, today: date) -> bool:
    """Tell whether an employment of the source stands after today, or is yet to begin."""
    if state.deceased_on is not None:
        return False
    return any(
        one.cancelled_at is None and one.dismissed_at is None and (one.valid_to is None or one.valid_to > today)
        for one in _own(state, source, subject)
    )


def _own(state: PersonState, source: str, subject: str) -> list[EmploymentState]:
    return [one for one in state.employments if (one.source, one.person) == (source, subject)]


def person_data(state: PersonState, source: str, subject: str, told: PersonTold) -> Data | None:
    """Return what is otherwise than known, or None. An employment that is named anew begins beside the others."""
    data: Data = {"externalId": subject}
    name = state.name.model_dump(mode="json", by_alias=True) if state.name else {}
    if said := {key: value for key, value in told.name.items() if key not in name or name[key] != value}:
        data["name"] = {"given": told.name["given"], "family": told.name["family"], **said}
    if told.employment is not None:
        before = state.employment((source, subject, told.employment))
        said = _employment(before, told.fields)
        if said or before is None:
            data["employments"] = [{"id": told.employment, **said}]
    return data if len(data) > 1 else None


def _employment(before: EmploymentState | None, told: Mapping[str, Any]) -> Data:
    known = before.model_dump(mode="json", by_alias=True) if before else {}
    said = {key: told[key] for key in EMPLOYMENT if told[key] != known.get(key)}
    said |= {key: _said(told[key]) for key in LISTS if told[key] != known.get(key, [])}
    if _extent(told["extent"]) != _extent(known.get("extent")):
        said["extent"] = _extent(told["extent"])
    if known.get("cancelledAt") is not None:
        said["cancelled"] = False
    return said


def _extent(told: float | None) -> float:
    return FULL_TIME if told is None else told


def _said(items: list[Data]) -> list[Data]:
    return [{key: value for key, value in item.items() if value is not None} for item in items]


def ended(state: PersonState, source: str, subject: str, today: date) -> Data | None:
    """Return that all employments of the source end, or None when none goes on.

    What has not begun is cancelled (DOMAIN case 2); what has begun ends with today: access closes at midnight, and not
    at once, for a client that loses a person from its scope says the same as one whose person has left.
    """
    said: list[Data] = []
    for one in _own(state, source, subject):
        if one.cancelled_at is not None or one.valid_from is None:
            continue
        if one.valid_from > today:
            said.append({"id": one.id, "cancelled": True})
        elif one.valid_to is None or one.valid_to > today:
            said.append({"id": one.id, "validTo": today.isoformat()})
    return {"externalId": subject, "employments": said} if said else None


def unit_data(state: UnitState | None, unit: str, told: Mapping[str, Any]) -> Data | None:
    """Return what is otherwise than known of a unit, or None."""
    known = state.model_dump(mode="json", by_alias=True) if state else {}
    said = {key: told[key] for key in UNIT if told[key] != known.get(key)}
    return {"externalId": unit, **said} if said else None


def closed(state: UnitState, unit: str, today: date) -> Data | None:
    """Return that a unit closes with today, or with its first day when that lies ahead; None when it has closed."""
    last = max(today, state.valid_from or today)
    if state.valid_to is not None and state.valid_to <= last:
        return None
    return {"externalId": unit, "validTo": last.isoformat()}
