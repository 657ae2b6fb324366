"""Builders for what an HR system says: events as JSON-ready dicts, and the means to bend them."""

from collections.abc import Iterator
from datetime import date
from itertools import count
from typing import Any

from contracts.registry import HR_PERSON, HR_UNIT

SOURCE = "https://hr.alvsund.example/personal"
NAME = {"given": "Åsa", "family": "Öberg"}
_numbers: Iterator[int] = count(1)

Event = dict[str, Any]


def iso(day: date | str | None) -> str | None:
    """A date as it travels."""
    return day.isoformat() if isinstance(day, date) else day


def event(
    data: dict[str, Any],
    *,
    type_: str = HR_PERSON,
    time: str = "2026-03-02T08:00:00+01:00",
    event_id: str | None = None,
    source: str = SOURCE,
    **attributes: Any,
) -> Event:
    """A CloudEvent at HR's door, with an id of its own unless one is given."""
    return {
        "specversion": "1.0",
        "id": event_id or f"e-{next(_numbers):06}",
        "source": source,
        "type": type_,
        "time": time,
        "data": data,
        **attributes,
    }


def assignment(unit: str = "u-1", start: date | str = "2026-06-01", **fields: Any) -> dict[str, Any]:
    """Where and as what."""
    return {"unit": unit, "title": "Undersköterska", "validFrom": iso(start), **fields}


def employment(
    id_: str = "1",
    *,
    form: str = "permanent",
    start: date | str = "2026-06-01",
    end: date | str | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A whole employment with one assignment; further fields override or add (`None` is null)."""
    return {
        "id": id_,
        "form": form,
        "validFrom": iso(start),
        "validTo": iso(end),
        "assignments": [assignment(start=start)],
        **fields,
    }


def person(external_id: str = "p-1", *employments: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The data of a person event: the external id, a name, and the employments, if any."""
    data: dict[str, Any] = {"externalId": external_id, "name": NAME, **fields}
    if employments:
        data["employments"] = list(employments)
    return data


def hire(
    external_id: str = "p-1",
    *,
    start: date | str = "2026-06-01",
    end: date | str | None = None,
    form: str = "permanent",
    unit: str = "u-1",
    manager: str | None = None,
    name: tuple[str, str] = ("Åsa", "Öberg"),
    **attributes: Any,
) -> Event:
    """A person with one employment, whole. Attributes go to the event (`time`, `event_id`, `source`)."""
    placed = assignment(unit, start, **({"manager": manager} if manager else {}))
    data = person(
        external_id,
        employment(form=form, start=start, end=end, assignments=[placed]),
        name={"given": name[0], "family": name[1]},
    )
    return event(data, **attributes)


def change(external_id: str = "p-1", *, employment_id: str = "1", time: str, **fields: Any) -> Event:
    """Only what changed in one employment, asserted at `time`; extra fields are the employment's own."""
    return event({"externalId": external_id, "employments": [{"id": employment_id, **fields}]}, time=time)


def single(change_type: str, external_id: str = "p-1", *, time: str | None = None, **fields: Any) -> Event:
    """A single change (`employment.ended`, say), asserted after those made before unless told when."""
    event_id = fields.pop("event_id", None)
    at = time or f"2026-03-02T08:00:00.{next(_numbers):06}Z"
    return event(
        {"externalId": external_id, **fields}, type_=f"se.stafett.hr.{change_type}.v1", time=at, event_id=event_id
    )


def cancel(external_id: str = "p-1", *, employment_id: str = "1", time: str) -> Event:
    """The employment shall not be."""
    return change(external_id, employment_id=employment_id, time=time, cancelled=True)


def unit(
    external_id: str = "u-1",
    *,
    name: str = "Hemtjänst norr",
    time: str = "2026-01-02T08:00:00+01:00",
    start: date | str = "2020-01-01",
    parent: str | None = None,
    **fields: Any,
) -> Event:
    """A unit as HR records it."""
    data = {"externalId": external_id, "name": name, "validFrom": iso(start), "parent": parent, **fields}
    return event(data, type_=HR_UNIT, time=time)
