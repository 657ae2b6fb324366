"""A story that HR tells, and what the directory must look like afterwards: the model, from the events alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support import hr
from tests.support.house import soon

TODAY = "2026-03-02"


@dataclass(frozen=True)
class Story:
    """Events in the order in which HR asserted them, and the end state by employee number.

    `before` is told and done before anything goes wrong, so that there are open accounts to close.
    """

    before: Sequence[dict[str, Any]]
    events: Sequence[dict[str, Any]]
    model: Mapping[str, str]


def tell(prefix: str, people: int = 6) -> Story:
    """Return a story with one person of each fate, `people` times over; ids and numbers start with `prefix`.

    Employed, hired ahead, cancelled before the start, ended yesterday, dismissed, changed unit, extended; and one who
    worked and one whose end was known, dismissed while others are on their way.
    """
    before: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    model: dict[str, str] = {}
    for n in range(people):
        one = f"{prefix}-{n}"

        def hire(fate: str, one: str = one, **fields: Any) -> dict[str, Any]:
            number = f"{one}-{fate}"
            return hr.event(
                hr.person(
                    number,
                    hr.employment(employeeNumber=number, **{"start": soon(-100), **fields}),
                    name={"given": "Åsa", "family": f"Öberg {fate}"},
                ),
                event_id=f"{number}-1",
                time="2026-03-01T08:00:00+01:00",
            )

        def change(fate: str, one: str = one, **fields: Any) -> dict[str, Any]:
            return {
                **hr.change(f"{one}-{fate}", time="2026-03-02T07:00:00+01:00", **fields),
                "id": f"{one}-{fate}-2",
            }

        events += [hire("works"), hire("ahead", start=soon(5)), hire("far", start=soon(60))]
        events += [hire("cancelled", start=soon(5)), change("cancelled", cancelled=True)]
        events += [hire("ended"), change("ended", validTo=soon(-1), endReason="resignation")]
        events += [hire("dismissed"), change("dismissed", validTo=TODAY, endReason="dismissal")]
        events += [hire("moved"), change("moved", assignments=[hr.assignment("u-2", soon(-100))])]
        events += [hire("extended", end=soon(-1)), change("extended", validTo=soon(300))]
        for fate in ("worked", "leaving"):
            before.append(hire(fate, end=soon(30) if fate == "leaving" else None))
            events.append(change(fate, validTo=TODAY, endReason="dismissal"))
            model[f"{one}-{fate}"] = "disabled"
        model |= {
            f"{one}-works": "enabled",
            f"{one}-ahead": "disabled",
            f"{one}-ended": "closed",
            f"{one}-dismissed": "closed",
            f"{one}-moved": "enabled",
            f"{one}-extended": "enabled",
        }
    return Story(before, events, model)
