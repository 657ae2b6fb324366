"""What the directory must say at an instant, worked out from the events and the policy table alone.

A second, smaller telling of the rules, in whole days; it shares no code with services.accounts, so that the two can
disagree. It knows what the demo's events use, and no more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import zen

from deploy.demo.dates import ZONE

_FOREVER = date(9000, 1, 1)


@dataclass(frozen=True)
class Allowance:
    """The policy's answer: days before the start, days kept after the end, days of a gap that is bridged."""

    lead: timedelta
    grace: timedelta
    bridge: timedelta


@dataclass
class _Employment:
    said: dict[str, Any] = field(default_factory=dict)
    closed_at: datetime | None = None
    baseline: bool = False

    @property
    def first(self) -> date:
        return date.fromisoformat(self.said["validFrom"])

    @property
    def last(self) -> date:
        return date.fromisoformat(self.said["validTo"]) if self.said["validTo"] else _FOREVER


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
        self._allowances: dict[tuple[object, ...], Allowance | None] = {}

    def take(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take in events about people: what is left out keeps its value."""
        for event in events:
            data = event["data"]
            known = self._people.setdefault(data["externalId"], {})
            for said in data.get("employments", ()):
                employment = known.setdefault(said["id"], _Employment(baseline=data.get("baseline", False)))
                employment.said |= said
                if said.get("endReason") == "dismissal":
                    employment.closed_at = datetime.fromisoformat(event["time"])

    def accounts(self, at: datetime) -> dict[str, bool]:
        """Return employee number → whether a bind is let in, for everybody who has an entry at `at`."""
        found: dict[str, bool] = {}
        for employments in self._people.values():
            state = self._state(list(employments.values()), at)
            if state is not None:
                found[next(iter(employments.values())).said["employeeNumber"]] = state
        return found

    def _state(self, employments: list[_Employment], at: datetime) -> bool | None:
        live = [(one, self._allowance(one)) for one in employments if not one.said.get("cancelled")]
        entitled = [(one, allowance) for one, allowance in live if allowance is not None]
        today = at.astimezone(ZONE).date()
        states = [self._one(one, allowance, entitled, today, at) for one, allowance in entitled]
        return max((state for state in states if state is not None), default=None)

    def _one(
        self,
        one: _Employment,
        allowance: Allowance,
        others: list[tuple[_Employment, Allowance]],
        today: date,
        at: datetime,
    ) -> bool | None:
        if one.first <= today <= one.last:
            return one.closed_at is None or at < one.closed_at
        if today < one.first:
            return False if today >= one.first - allowance.lead else None
        until = one.last + allowance.bridge + timedelta(days=1)
        if one.closed_at is None and any(today < other.first <= until for other, _ in others):
            return True
        return False if today <= one.last + allowance.grace else None

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
            named = (timedelta(days=int(answer[f"{name}_days"])) for name in ("lead", "grace", "bridge"))
            self._allowances[key] = Allowance(*named) if answer["account"] else None
        return self._allowances[key]
