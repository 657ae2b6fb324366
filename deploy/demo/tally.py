"""The table of the demo: each kind of event with how many are done, wait for a date, or failed, and how fast."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from deploy.demo.acts import Act, Cases, failed
from deploy.demo.doors import Receipt
from deploy.demo.generator import Kind

COLUMNS = ["act", "what HR said", "events", "done", "waits for a date", "failed", "seconds", "people/s"]

_CASES = {
    Kind.EMPLOYED: "baseline, joiner",
    Kind.STARTS_LATER: "joiner",
    Kind.HAS_LEFT: "leaver",
    Kind.HIRE: "joiner",
    Kind.MOVE: "mover",
    Kind.EXIT: "leaver",
    Kind.CANCELLED_HIRE: "joiner",
    Kind.DISMISSAL: "leaver",
}
_GROUPS = {
    "unit": {Kind.UNIT},
    **{f"{kind.value} ({case})": {kind} for kind, case in _CASES.items()},
    "all people": set(_CASES),
}


def rows(acts: Sequence[Act], today: date) -> list[list[str]]:
    """Return a row for each act and kind, and one for all of an act's people."""
    return [
        _row(act, label, chosen, today)
        for act in acts
        for label, kinds in _GROUPS.items()
        if (chosen := [receipt for receipt in act.receipts if receipt.told.kind in kinds])
    ]


def failures(acts: Sequence[Act]) -> int:
    """Count the events that failed."""
    return sum(failed(receipt, act.cases) for act in acts for receipt in act.receipts)


def _row(act: Act, label: str, receipts: Sequence[Receipt], today: date) -> list[str]:
    bad = sum(failed(receipt, act.cases) for receipt in receipts)
    waiting = sum(_waits(receipt, act.cases, today) for receipt in receipts)
    done = len(receipts) - bad - waiting
    seconds = _seconds(act, receipts)
    speed = f"{done / seconds:,.0f}" if seconds and done else "-"
    numbers = [f"{number:,}" for number in (len(receipts), done, waiting, bad)]
    return [act.name, label, *numbers, f"{seconds:.1f}" if seconds else "-", speed]


def _waits(receipt: Receipt, cases: Cases, today: date) -> bool:
    if failed(receipt, cases):
        return False
    if receipt.told.kind is Kind.EXIT:
        # Status files an end to come as a change of date, done at once; for people the exit waits for the last day.
        return max(date.fromisoformat(one["validTo"]) for one in receipt.told.event["data"]["employments"]) >= today
    return receipt.case is not None and cases[receipt.case]["state"] == "waiting"


def _seconds(act: Act, receipts: Sequence[Receipt]) -> float | None:
    """From the first event of the act that was accepted until the last of these was done, by the database's clock."""
    told = [act.cases[receipt.case] for receipt in act.receipts if receipt.case]
    mine = [act.cases[receipt.case] for receipt in receipts if receipt.case]
    ends = [_instant(case, "closedAt") for case in mine if case["closedAt"]]
    # A cancelled hire keeps the case of the first act: what was accepted then does not count for this one.
    starts = [_instant(case, "updatedAt") for case in told]
    return (max(ends) - min(starts)).total_seconds() if ends and starts else None


def _instant(case: Mapping[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(case[name])
