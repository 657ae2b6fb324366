"""A unit as it travels: what holds on a day, what held before, and what is planned; people by our ids. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

from contracts.person import UnitChange, UnitRecord
from services.ingestion.domain.projection import References
from services.ingestion.domain.units import AT_ONCE, DATED, LEADERS, Held, UnitState


def project_unit(
    state: UnitState,
    references: References,
    day: date,
    known: Collection[str],
    before: UnitRecord | None,
    *,
    today: date | None = None,
) -> UnitRecord | None:
    """Return the unit as it travels on a local `day`; None: nothing can be told of it yet.

    A unit above that is not in `known` is not told of: the unit stays where it was told to be (`before`), a plan is
    left out, and a unit of which nothing was told waits as a whole. Who is not in `references` is known no more.
    `today`: when the day is another one.

    Raises:
        ValueError: The state lacks what every unit has.
    """
    state = state.learned(today or day)
    now = state.on(day)
    if now.name is None or now.valid_from is None:
        raise ValueError("a unit needs a name and a start")
    parent = now.parent
    if parent is not None and parent not in known:
        if before is None:
            return None
        parent = before.parent
    values: dict[str, Any] = {name: getattr(now, name) for name in (*DATED, *AT_ONCE)}
    values |= {"parent": parent}
    values |= {name: _person(getattr(now, f"{name}_source"), values[name], references) for name in LEADERS}
    shown = partial(_shown, references=references, known=known, instead=parent)
    return UnitRecord(
        **values,
        earlier=_earlier(state, now.valid_from, day, shown),
        changes=tuple(_changes(now, values, references, known)),
    )


def _earlier(
    state: UnitState, first: date, day: date, shown: Callable[[str, Held], str | UUID | None]
) -> tuple[UnitChange, ...]:
    """Return what has held since the unit's first day: all of it on that day, then what changed, up to `day`."""
    if not state.former and all(one.effective_from > day for one in state.plans):
        return ()
    steps: dict[date, dict[str, Any]] = {}
    for name in DATED:
        for held in state.course(name):
            if held.since <= day:
                steps.setdefault(max(held.since, first), {})[name] = shown(name, held)
    found: list[UnitChange] = []
    current: dict[str, Any] = {}
    for since in sorted(steps):
        said = {name: value for name, value in steps[since].items() if name not in current or current[name] != value}
        current |= said
        if said:
            found.append(UnitChange(effective_from=since, **said))
    return tuple(found) if len(found) > 1 else ()


def _shown(
    name: str, held: Held, *, references: References, known: Collection[str], instead: str | None
) -> str | UUID | None:
    if name in LEADERS:
        return _person(held.source, held.value, references)
    return instead if name == "parent" and held.value is not None and held.value not in known else held.value


def _changes(
    now: UnitState, values: Mapping[str, Any], references: References, known: Collection[str]
) -> Iterator[UnitChange]:
    current = dict(values)
    for day in now.dates():
        said: dict[str, Any] = {}
        for one in now.plans:
            if one.effective_from != day or (
                one.field == "parent" and one.value is not None and one.value not in known
            ):
                continue
            value = _person(one.source, one.value, references) if one.field in LEADERS else one.value
            if value != current[one.field]:
                said[one.field] = value
        if said:
            current |= said
            yield UnitChange(effective_from=day, **said)


def _person(source: str | None, external_id: str | None, references: References) -> UUID | None:
    """Return whom an id means; None also for who is erased."""
    return references.get((source, external_id)) if source is not None and external_id is not None else None
