"""An act: events are sent, and everything that is due by then comes to rest."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from deploy.demo.doors import Doors, Receipt
from deploy.demo.generator import Told
from deploy.demo.house import House
from deploy.demo.screen import Screen

_PATIENCE = 120.0
"""Seconds without any progress after which we say what is stuck."""
_QUIET = 3.0
"""Seconds without any progress after which others' work, which may wait for ever, is no reason to wait."""
_SETTLED = frozenset({"done", "cancelled", "waiting"})

Cases = Mapping[str, Mapping[str, Any]]


class NotConvergedError(RuntimeError):
    """Something that is due has not come to rest; the message says what."""


@dataclass
class Act:
    """What was sent and what became of it. `cases` are those of all organisations when the act had come to rest."""

    name: str
    receipts: list[Receipt] = field(default_factory=list)
    cases: Cases = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def statuses(self) -> Counter[str]:
        """How many events were accepted, unchanged, duplicates, rejected or conflicting."""
        return Counter(receipt.status for receipt in self.receipts)


class Stage:
    """Sends acts through the doors of all organisations and waits for them."""

    def __init__(self, screen: Screen, house: House) -> None:
        self._screen = screen
        self._house = house
        self._people: set[str] = set()

    @property
    def _doors(self) -> Mapping[str, Doors]:
        # Looked up when they are needed: tokens are signed with a key that the first start makes.
        return self._house.doors

    def play(self, name: str, told: Sequence[Told]) -> Act:
        """Send all, in batches of 500, the units first, and wait until all of it has come to rest.

        Raises:
            NotConvergedError: It has not.
            DoorRefusedError: A door refused a whole batch.
        """
        act = Act(name)
        begun = time.monotonic()
        with self._screen.progress("sent", len(told)) as bar:
            for organisation, events in groupby(told, lambda one: one.organisation):
                for receipts in self._doors[organisation].post(events):
                    act.receipts += receipts
                    bar.at(len(act.receipts))
            bar.at(len(act.receipts), final=True)
        counts = ", ".join(f"{count:,} {status}" for status, count in act.statuses.items())
        self._screen.say(f"  POST /v1/events: {counts}, in {time.monotonic() - begun:.1f} s")
        self._complain(act)
        act.cases = self.settle(act.receipts)
        act.seconds = time.monotonic() - begun
        return act

    def settle(self, receipts: Sequence[Receipt]) -> Cases:
        """Wait until status has seen every revision of these receipts and nobody has anything due; give all cases.

        Whom the demo has not sent, somebody else has: when only they are left, nothing more is waited for.

        Raises:
            NotConvergedError: For two minutes nothing has changed.
        """
        expected = {receipt.person for receipt in receipts if receipt.person}
        self._people |= expected
        waited = time.monotonic()
        seen: object = None
        with self._screen.progress("settled", len(expected)) as bar:
            while True:
                summaries = self._summaries()
                moving = self._moving(summaries, len(expected))
                people = max(sum(summary["work"]["expected"] for summary in summaries), len(expected))
                settled = sum(summary["work"]["settled"] for summary in summaries)
                bar.at(settled, people, final=not moving)
                if not moving and (cases := self._arrived(receipts)) is not None:
                    return cases
                if (now := [(summary["work"], summary["cases"]) for summary in summaries]) != seen:
                    seen, waited = now, time.monotonic()
                elif time.monotonic() - waited > _QUIET and (cases := self._only_others_move(receipts, summaries)):
                    return cases
                elif time.monotonic() - waited > _PATIENCE:
                    raise NotConvergedError(self._stuck(summaries))
                time.sleep(0.25)

    def _summaries(self) -> list[Mapping[str, Any]]:
        return [doors.summary() for doors in self._doors.values()]

    @staticmethod
    def _moving(summaries: Sequence[Mapping[str, Any]], people: int) -> bool:
        """Tell whether anything is still to be done: held, parked and retried work has stopped moving too, badly."""
        work = [summary["work"] for summary in summaries]
        if sum(one["expected"] for one in work) < people:
            return True
        rest = all(one["expected"] - one["settled"] <= one["held"] + one["parked"] for one in work)
        return not rest or any(count["state"] == "running" for summary in summaries for count in summary["cases"])

    def _arrived(self, receipts: Sequence[Receipt]) -> Cases | None:
        """Give all cases once each of the receipts' is there with its revision, at rest or in need of a hand."""
        cases = {id_: case for doors in self._doors.values() for id_, case in doors.cases().items()}
        for receipt in receipts:
            if receipt.case is None:
                continue
            case = cases.get(receipt.case)
            if case is None or case["state"] == "running":
                return None
            if case["revision"] < (receipt.revision or 0):
                return None
        return cases

    def _only_others_move(self, receipts: Sequence[Receipt], summaries: Sequence[Mapping[str, Any]]) -> Cases | None:
        """Give all cases when everything that still moves belongs to people whom the demo has not sent."""
        cases = self._arrived(receipts)
        if cases is None:
            return None
        moving = {case["person"] for case in cases.values() if case["state"] == "running"}
        items = (item for doors in self._doors.values() for item in doors.attention())
        moving |= {item["person"] for item in items if item["state"] == "retrying"}
        work = [summary["work"] for summary in summaries]
        unsettled = sum(one["expected"] - one["settled"] - one["held"] - one["parked"] for one in work)
        return None if moving & self._people or unsettled > len(moving) else cases

    def _complain(self, act: Act) -> None:
        for receipt in [one for one in act.receipts if not one.accepted][:5]:
            self._screen.say(f"  refused: {receipt.told.event['id']}: {receipt.problem}")
        if act.statuses["conflict"]:
            make = self._house.runtime.make
            self._screen.say(f"  These events were sent with another content before: {make} clean, then {make} demo.")

    def _stuck(self, summaries: Sequence[Mapping[str, Any]]) -> str:
        lines = ["Not everything that is due has come to rest:"]
        for (organisation, doors), summary in zip(self._doors.items(), summaries, strict=True):
            lines.append(f"  {organisation}: {dict(summary['work'])}")
            lines += [
                f"    {item['person']} {item['service']}/{item['target']} {item['state']} {item['code']}"
                for item in list(doors.attention())[:5]
            ]
        lines.append("  Look: make ps, make logs")
        return "\n".join(lines)


def failed(receipt: Receipt, cases: Cases) -> bool:
    """Tell whether an event was refused, or its case needs a hand or does not move."""
    if not receipt.accepted:
        return True
    return receipt.case is not None and cases[receipt.case]["state"] not in _SETTLED
