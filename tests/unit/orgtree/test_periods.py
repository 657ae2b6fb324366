"""What a unit is on each day: what held before, what holds, and what is planned are one line."""

from datetime import date
from uuid import UUID

from contracts.person import UnitChange, UnitRecord
from services.orgtree.domain.periods import Line

HEAD, DEPUTY = UUID(int=1), UUID(int=2)


def test_what_was_what_is_and_what_is_planned_are_one_line() -> None:
    record = UnitRecord(
        name="Björkskolan",
        parent="20",
        manager=HEAD,
        cost_centre="4711",
        valid_from=date(2020, 1, 1),
        earlier=(
            UnitChange(effective_from=date(2020, 1, 1), name="Björkens skola", parent="10", manager=None),
            UnitChange(effective_from=date(2024, 7, 1), name="Björkskolan", manager=HEAD),
            UnitChange(effective_from=date(2026, 1, 1), parent="20"),
        ),
        changes=(
            UnitChange(effective_from=date(2028, 1, 1), acting_manager=DEPUTY),
            UnitChange(effective_from=date(2028, 6, 1), acting_manager=None, manager=None),
        ),
    )
    line = Line.of("100", 7, record)
    seen = [(day.year, one.name, one.parent, one.named, one.cost_centre) for day, one in line.steps]
    assert seen == [
        (2020, "Björkens skola", "10", (), "4711"),
        (2024, "Björkskolan", "10", (HEAD,), "4711"),
        (2026, "Björkskolan", "20", (HEAD,), "4711"),
        (2028, "Björkskolan", "20", (DEPUTY, HEAD), "4711"),
        (2028, "Björkskolan", "20", (), "4711"),
    ]
    assert line.on(date(2024, 6, 30)).name == "Björkens skola"
    assert line.on(date(2019, 1, 1)).parent == "10", "before its first day it is what it is on it"
    assert line.since(date(2027, 3, 15)) == date(2026, 1, 1)
    assert line.before(date(2027, 3, 15)) == line.steps[1]
    assert line.before(date(2020, 1, 1)) is None
    assert line.named == {HEAD, DEPUTY}


def test_a_record_without_a_past_holds_from_its_first_day() -> None:
    line = Line.of("1", 1, UnitRecord(name="Ett", valid_from=date(2020, 1, 1), valid_to=date(2027, 1, 31)))
    assert [day for day, _ in line.steps] == [date(2020, 1, 1)]
    assert (line.holds(date(2027, 1, 31)), line.holds(date(2027, 2, 1)), line.holds(date(2019, 12, 31))) == (
        True, False, False,
    )  # fmt: skip
