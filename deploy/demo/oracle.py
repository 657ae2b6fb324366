"""What the directory must say at an instant, worked out from the events and the policy table alone.

A second, smaller telling of the rules, in whole days; it shares no code with services.ingestion or services.accounts,
so that they can disagree. It knows what the demo's events use, and no more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import zen

from deploy.demo.dates import ZONE, local

_FOREVER = date(9000, 1, 1)
_DAY = timedelta(days=1)
_POOL = timedelta(days=60)
_BRIDGES = {"school_break": 75, "seasonal": 7, "hourly": 30, "elected": 30, "consultant": 3, "trainee": 3}
_BRIDGE = 5
"""Days of a gap that is bridged to what was recorded before the end; by form, and for all others."""


@dataclass(frozen=True)
class Allowance:
    """The policy's answer: days before the start, and days kept after the affiliation ended."""

    lead: timedelta
    grace: timedelta


@dataclass
class _Employment:
    stated_at: datetime
    said: dict[str, Any] = field(default_factory=dict)
    closed_at: datetime | None = None
    baseline: bool = False

    @property
    def first(self) -> date:
        return date.fromisoformat(self.said["validFrom"])

    @property
    def last(self) -> date:
        return date.fromisoformat(self.said["validTo"]) if self.said["validTo"] else _FOREVER

    @property
    def ends(self) -> datetime:
        ends = _midnight(self.last + _DAY)
        return min(ends, self.closed_at) if self.closed_at else ends


def _midnight(day: date) -> datetime:
    return local(day, 0)


class Oracle:
    """Takes in events in the order in which they were said.

    Args:
        organisation: Whose events.
        policy: The file with the decision table.
    """

    def __init__(self, organisation: str, policy: Path) -> None:
        self._organisation = organisation
        self._table = zen.ZenEngine().create_decision(policy.read_text(encoding="utf-8"))
        self._people: dict[str, dict[str, _Employment]] = {}
        self._left_before: set[str] = set()
        self._allowances: dict[tuple[object, ...], Allowance | None] = {}

    def take(self, events: Iterable[Mapping[str, Any]], at: datetime | None = None) -> None:
        """Take in events about people: what is left out keeps its value.

        Args:
            events: In the order in which they were said.
            at: When they came. Who had left by then, and was not known before, never has an account made.
        """
        before = set(self._people)
        self._take(events)
        if at is not None:
            new = self._people.keys() - before
            self._left_before |= {person for person in new if not self._stays(person, at)}
            self._left_before -= {person for person in before if self._stays(person, at)}

    def _stays(self, person: str, at: datetime) -> bool:
        employments = [one for one in self._people[person].values() if not one.said.get("cancelled")]
        return any(_affiliated_until(one, employments) > at for one in employments)

    def _take(self, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            data = event["data"]
            known = self._people.setdefault(data["externalId"], {})
            for said in data.get("employments", ()):
                stated = datetime.fromisoformat(event["time"])
                first = _Employment(stated, baseline=data.get("baseline", False))
                employment = known.setdefault(said["id"], first)
                employment.said |= said
                if said.get("endReason") == "dismissal":
                    employment.closed_at = stated

    def accounts(self, at: datetime) -> dict[str, bool]:
        """Return employee number → whether a bind is let in, for everybody who has an entry at `at`."""
        found: dict[str, bool] = {}
        for person, employments in self._people.items():
            if person in self._left_before:
                continue
            state = self._state(list(employments.values()), at)
            if state is not None:
                found[next(iter(employments.values())).said["employeeNumber"]] = state
        return found

    def _state(self, employments: list[_Employment], at: datetime) -> bool | None:
        live = [one for one in employments if not one.said.get("cancelled")]
        allowances = ((one, self._allowance(one)) for one in live)
        states = [_one(one, allowance, live, at) for one, allowance in allowances if allowance is not None]
        return max((state for state in states if state is not None), default=None)

    def _allowance(self, one: _Employment) -> Allowance | None:
        state = {
            "organisation": self._organisation,
            "form": one.said["form"],
            "extent": one.said.get("extent", 100),
            "fixed": one.last != _FOREVER,
            "sponsored": one.said.get("sponsor") is not None,
            "baseline": one.baseline,
        }
        key = tuple(state.values())
        if key not in self._allowances:
            answer = self._table.evaluate(state)["result"]
            named = (timedelta(days=int(answer[f"{name}_days"])) for name in ("lead", "grace"))
            self._allowances[key] = Allowance(*named) if answer["account"] else None
        return self._allowances[key]


def _one(one: _Employment, allowance: Allowance, live: list[_Employment], at: datetime) -> bool | None:
    today = at.astimezone(ZONE).date()
    if today < one.first:
        return False if today >= one.first - allowance.lead else None
    until = _affiliated_until(one, live)
    if at < until:
        return True
    last_day = (until - timedelta(microseconds=1)).astimezone(ZONE).date()
    return False if today <= last_day + allowance.grace else None


def _affiliated_until(one: _Employment, live: list[_Employment]) -> datetime:
    """The end, or what comes after it: the start a gap is bridged to, or the pool's close; never past a dismissal."""
    if one.closed_at is not None:
        return one.ends
    form = one.said["form"]
    within = one.last + timedelta(days=_BRIDGES.get(form, _BRIDGE)) + _DAY
    following = [
        _midnight(other.first) for other in live if other.stated_at < one.ends and one.last < other.first <= within
    ]
    lingers = [min(following)] if following else []
    if form == "hourly":
        lingers.append(_midnight(one.last + _POOL + _DAY))
    dismissals = [other.ends for other in live if other.closed_at is not None and other.ends >= one.ends]
    return max(one.ends, min([max([one.ends, *lingers]), *dismissals]))
