"""What operators decide about access: folded among HR's facts, told as movers, judged by rules."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codes import Lane
from services.ingestion.domain.access import AccessDecided, Action, objections
from services.ingestion.domain.state import fold_all
from tests.support import hr
from tests.unit.ingestion.ledger import ZONE, Ledger, instant

BEGUN = "2026-03-02T09:00"


def employed(end: str | None = None) -> Ledger:
    ledger = Ledger()
    one = hr.employment(start="2025-01-01", end=end)
    ledger.say(hr.event(hr.person("p-1", one), time="2026-03-02T08:00:00+01:00"), BEGUN)
    return ledger


def test_a_block_is_told_at_once_outlasts_what_hr_says_and_is_lifted() -> None:
    ledger = employed()
    blocked = ledger.decide(Action.DISABLE, "2026-03-02T10:00")
    assert blocked is not None
    assert (ledger.last(), blocked.lane) == (("mover", "access_blocked"), Lane.EXPRESS)
    assert blocked.effective_at == instant("2026-03-02T10:00").business
    ledger.say(hr.change(time="2026-03-03T08:00:00+01:00", extent=50), "2026-03-03T09:00")
    assert ledger.last() == ("mover", "correction")
    access = ledger.revisions[-1].records.core.access
    assert access is not None
    assert access.blocked_since == instant("2026-03-02T10:00").business
    assert ledger.decide(Action.DISABLE, "2026-03-03T10:00") is None, "it is blocked already"
    ledger.decide(Action.RESTORE, "2026-03-04T10:00")
    assert ledger.last() == ("mover", "access_restored")
    assert ledger.revisions[-1].records.core.access is None


def test_access_is_kept_beyond_the_end_and_the_leaver_is_told_on_hrs_own_day() -> None:
    ledger = employed(end="2026-03-31")
    ledger.decide(Action.KEEP, "2026-03-30T10:00", until="2026-04-10")
    assert ledger.last() == ("mover", "access_kept")
    core = ledger.revisions[-1].records.core
    assert core.employments[0].valid_to == date(2026, 3, 31)
    ledger.look("2026-04-01T00:00")
    assert ledger.last() == ("leaver", "date_reached")
    ledger.decide(Action.WITHDRAW, "2026-04-02T10:00")
    assert ledger.last() == ("mover", "access_kept")


def test_a_late_fact_of_hr_folds_beneath_a_decision() -> None:
    ledger = employed()
    ledger.decide(Action.DISABLE, "2026-03-05T10:00")
    ledger.say(hr.change(time="2026-03-03T08:00:00+01:00", extent=50), "2026-03-06T09:00")
    core = ledger.revisions[-1].records.core
    assert (core.employments[0].extent, core.access is not None) == (50.0, True)


@given(st.permutations(range(4)), st.data())
def test_decisions_fold_alike_in_any_order_of_arrival(order: list[int], data: st.DataObject) -> None:
    del data
    ledger = employed()
    for action, at, until in (
        (Action.DISABLE, "2026-03-03T10:00", None),
        (Action.KEEP, "2026-03-04T10:00", "2026-03-10"),
        (Action.RESTORE, "2026-03-05T10:00", None),
    ):
        ledger.decide(action, at, until)
    assert fold_all(ledger.facts[index] for index in order) == fold_all(ledger.facts)


@pytest.mark.parametrize(
    ("end", "until", "code"),
    [
        (None, "2026-03-10", "access.nothing_to_keep"),
        ("2026-03-31", "2026-03-10", "access.nothing_to_keep"),
        ("2026-03-04", "2026-03-10", None),
        ("2026-03-04", "2026-03-16", None),
        ("2026-03-04", "2026-03-17", "access.until_out_of_range"),
        ("2026-02-27", "2026-03-01", "access.until_out_of_range"),
        ("2026-02-20", "2026-03-10", None),
        ("2026-02-10", "2026-03-10", "access.ended_long_ago"),
    ],
)
def test_access_is_kept_for_some_days_and_only_where_an_end_is_near(
    end: str | None, until: str, code: str | None
) -> None:
    core = employed(end=end).revisions[-1].records.core
    wanted = AccessDecided(external_id="p-1", action=Action.KEEP, until=date.fromisoformat(until))
    found = [code for code, _ in objections(core, wanted, instant(BEGUN).business, ZONE)]
    assert found == ([code] if code else [])


def test_nobody_who_is_blocked_or_deceased_is_kept() -> None:
    ledger = employed(end="2026-03-04")
    wanted = AccessDecided(external_id="p-1", action=Action.KEEP, until=date(2026, 3, 10))
    ledger.decide(Action.DISABLE, "2026-03-02T10:00")
    core = ledger.revisions[-1].records.core.model_copy(update={"deceased": True})
    found = [code for code, _ in objections(core, wanted, instant(BEGUN).business, ZONE)]
    assert found == ["access.deceased", "access.blocked"]
