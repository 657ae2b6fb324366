"""What a plan makes of units over time."""

from datetime import date

from services.orgtree.domain.periods import Fields, Line
from services.orgtree.domain.plan import Edit, planned

MARCH, MAY, JULY = date(2026, 3, 1), date(2026, 5, 1), date(2026, 7, 1)
FIRST = Fields("Norr", parent="a", site="Torget")


def test_an_edit_holds_until_the_next_day_on_which_something_else_was_planned() -> None:
    steps = ((MARCH, FIRST), (JULY, Fields("Norr", parent="b", site="Torget")))
    line = Line("u", 1, MARCH, None, steps)
    edit = Edit("u", MAY, {"parent": "c", "site": "Hamnen"}, {})
    after = planned({"u": line}, [edit])["u"]
    assert [(day, fields.parent, fields.site) for day, fields in after.steps] == [
        (MARCH, "a", "Torget"), (MAY, "c", "Hamnen"), (JULY, "b", "Hamnen")
    ]  # fmt: skip


def test_an_edit_on_the_day_of_a_planned_change_takes_its_place() -> None:
    line = Line("u", 1, MARCH, None, ((MARCH, FIRST), (JULY, Fields("Söder", parent="b", site="Torget"))))
    after = planned({"u": line}, [Edit("u", JULY, {"parent": "c"}, {})])["u"]
    assert after.steps[-1] == (JULY, Fields("Söder", parent="c", site="Torget"))
