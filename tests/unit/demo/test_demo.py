"""What the demo remembers, counts and shows."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy.demo import tally
from deploy.demo.acts import Act, NotConvergedError, Stage
from deploy.demo.dates import BUSINESS_DATE
from deploy.demo.directory import Ran
from deploy.demo.doors import Receipt
from deploy.demo.generator import Kind, Told, act_two
from deploy.demo.house import Comparison
from deploy.demo.memory import Memory, MemoryFile
from deploy.demo.patience import again
from deploy.demo.screen import Screen


def receipt(told: Told, case: str, status: str = "accepted") -> Receipt:
    return Receipt(told, status, "p", case, 1, None)


def case(state: str, closed: str | None = None) -> dict[str, Any]:
    return {"state": state, "revision": 1, "updatedAt": "2026-11-01T10:00:00Z", "closedAt": closed}


def chosen(kind: Kind) -> list[Told]:
    return [one for one in act_two() if one.kind is kind]


def test_memory_lasts_and_begins_empty(tmp_path: Path) -> None:
    file = MemoryFile(tmp_path)
    assert file.read() == Memory()
    file.keep(pinned=True)
    file.keep(acts=2)
    assert MemoryFile(tmp_path).read() == Memory(pinned=True, acts=2)


def test_the_table_counts_done_waiting_and_failed() -> None:
    hires = chosen(Kind.HIRE)[:3]
    act = Act("two", [receipt(told, f"c{number}") for number, told in enumerate(hires)])
    act.cases = {"c0": case("done", "2026-11-01T10:00:02Z"), "c1": case("waiting"), "c2": case("attention")}
    assert tally.rows([act], BUSINESS_DATE)[0] == ["two", "hire (joiner)", "3", "1", "1", "1", "2.0", "0"]
    assert tally.failures([act]) == 1


def test_a_refused_event_has_failed() -> None:
    act = Act("two", [Receipt(chosen(Kind.HIRE)[0], "rejected", None, None, None, {"code": "x"})])
    assert tally.failures([act]) == 1


def test_an_exit_waits_until_its_last_day_is_over() -> None:
    exits = chosen(Kind.EXIT)
    act = Act("two", [receipt(told, "c") for told in exits])
    act.cases = {"c": case("done", "2026-11-01T10:00:01Z")}
    row = tally.rows([act], BUSINESS_DATE)[0]
    assert row[2:6] == ["30", "11", "19", "0"]


def test_without_a_terminal_there_are_no_control_codes() -> None:
    output = io.StringIO()
    screen = Screen(Console(file=output, force_terminal=False, highlight=False))
    with screen.phase("Act one"), screen.progress("sent", 10) as bar:
        bar.at(10, final=True)
        bar.at(10, final=True)
    screen.show(Ran("ldapwhoami -x", 49, "ldap_bind: Invalid credentials (49)"))
    screen.table("Table", ["act", "kind", "events"], [["one", "unit", "60"]])
    text = output.getvalue()
    assert "\x1b" not in text
    assert text.count("sent: 10 of 10") == 1
    assert "$ ldapwhoami -x" in text
    assert "[exit 49]" in text


def test_asking_again_gives_the_answer_that_comes_and_passes_other_errors_on() -> None:
    answers: Iterator[str | OSError] = iter([OSError("away"), "here"])

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert again(ask, OSError) == "here"
    with pytest.raises(StopIteration):
        again(ask, OSError)


def test_entries_of_other_people_are_told_and_do_not_differ() -> None:
    one = Comparison("alvsund", Ran("ldapsearch", 0, ""), {"1": True}, {"1": True}, others=2)
    assert one.differing == []
    assert "2 of people who are not the demo's" in one.told


class Door:
    """What the doors say of an installation in which others have work too."""

    def __init__(self, *running: str) -> None:
        self._running = running

    def cases(self) -> dict[str, dict[str, Any]]:
        return {f"c-{one}": {"person": one, "state": "running", "revision": 1} for one in self._running}

    def attention(self) -> list[dict[str, Any]]:
        return []

    def summary(self) -> dict[str, Any]:
        work = {"expected": 3, "settled": 3 - len(self._running), "held": 0, "parked": 0, "retrying": 0}
        return {"work": work, "cases": [{"state": "running", "count": len(self._running)}]}


class HouseWith:
    """A house with one door."""

    def __init__(self, door: Door) -> None:
        self.doors = {"alvsund": door}


def test_work_of_others_that_waits_for_ever_does_not_keep_the_demo_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.demo.acts._QUIET", 0.0)
    monkeypatch.setattr("deploy.demo.acts._PATIENCE", 0.5)
    screen = Screen(Console(file=io.StringIO()))
    mine = [Receipt(chosen(Kind.HIRE)[0], "accepted", "mine", None, 1, None)]
    house: Any = HouseWith(Door("stranger"))
    assert set(Stage(screen, house).settle(mine)) == {"c-stranger"}
    house = HouseWith(Door("stranger", "mine"))
    with pytest.raises(NotConvergedError):
        Stage(screen, house).settle(mine)
