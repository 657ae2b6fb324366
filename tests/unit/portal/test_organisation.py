"""Pictures of the organisation, and its table."""

import csv
import io
from datetime import date
from uuid import uuid4

from services.kernel.spreadsheet import table
from services.portal.api.organisation.drawing import ROWS, picture
from services.portal.api.organisation.exports import HEADING, rows
from services.portal.api.organisation.plan_views import Difference, Side, after, word
from services.portal.api.organisation.views import Called, Leader, Tree, Unit


def unit(name: str, depth: int, parent: str | None = None, **more: object) -> Unit:
    return Unit.model_validate({"unit": name, "name": name.upper(), "depth": depth, "parent": parent, **more})


SMALL = [unit("a", 1), unit("b", 2, "a"), unit("c", 3, "b"), unit("d", 2, "a"), unit("e", 1)]


def test_each_unit_has_a_row_and_a_line_from_the_one_above() -> None:
    found = picture(SMALL)
    assert [box.unit.unit for box in found.boxes] == ["a", "b", "c", "d", "e"]
    assert [box.y for box in found.boxes] == sorted({box.y for box in found.boxes})
    assert found.boxes[1].x - found.boxes[0].x == found.boxes[2].x - found.boxes[1].x > 0
    assert len(found.lines) == 3
    assert found.folded == 0
    assert all(box.x + box.width < found.width and box.y < found.height for box in found.boxes)


def test_too_many_units_are_folded_below_a_depth_and_counted() -> None:
    found = picture(SMALL, rows=4)
    assert [(box.unit.unit, box.folded) for box in found.boxes] == [("a", 0), ("b", 1), ("d", 0), ("e", 0)]
    assert picture(SMALL, rows=1).folded == 3, "the topmost are always drawn"
    many = [unit("top", 1)] + [
        one for n in range(60) for one in (unit(f"m{n}", 2, "top"), *(unit(f"l{n}-{m}", 3, f"m{n}") for m in range(80)))
    ]
    large = picture(many)
    assert len(large.boxes) == 61 <= ROWS
    assert {box.folded for box in large.boxes[1:]} == {80}


def test_only_what_is_asked_for_is_drawn_with_those_above_it() -> None:
    found = picture(SMALL, only={"c"}, marks={"c": ("moved",)})
    assert [(box.unit.unit, box.marks, box.folded) for box in found.boxes] == [
        ("a", (), 1), ("b", (), 0), ("c", ("moved",), 0)
    ]  # fmt: skip


def test_a_subtree_is_drawn_from_the_left_edge_and_long_names_are_cut() -> None:
    found = picture([unit("x" * 90, 4, "elsewhere"), unit("y\x0b\ufffe", 5, "x" * 90)])
    assert found.boxes[0].x == picture(SMALL).boxes[0].x
    assert found.boxes[0].label.endswith("…")
    assert found.boxes[1].label == "Y"
    assert picture([]).boxes == ()


def test_the_table_says_where_each_unit_stands_and_withholds_whom_the_reader_may_not_see() -> None:
    boss = uuid4()
    seen, hidden = Leader(person=boss, name="=Ada"), Leader()
    tree = Tree(
        on=date(2026, 3, 2),
        path=[Called(unit="r", name="Root"), Called(unit="a", name="A")],
        units=[unit("a", 2, "r", leaders=[seen, hidden], people=3), unit("b", 3, "a", problems=["unit.vacant"])],
    )
    content = table(HEADING, rows(tree, str)).decode("utf-8-sig")
    first, second = csv.DictReader(io.StringIO(content))
    assert (first["path"], second["path"]) == ("Root / A", "Root / A / B")
    assert first["managers"] == "'=Ada; (withheld)"
    assert first["managerIds"] == f"{boss} (withheld)"
    assert (first["people"], second["parent"], second["problems"]) == ("3", "a", "unit.vacant")


def test_a_table_holds_no_formula() -> None:
    for text in ("=1+1", "+46", "-1", "@x", "\ta", "\ra", "\na"):
        (row,) = list(csv.reader(io.StringIO(table(("a",), [(text,)]).decode("utf-8-sig"), newline="")))[1:]
        assert row[0] == f"'{text}", repr(text)


def side(name: str, *path: str, **more: object) -> Side:
    return Side.model_validate({"name": name, "path": [*path], **more})


def test_the_tree_with_a_plan_has_each_unit_after_the_one_above_it() -> None:
    boss = uuid4()
    moved = side("A second B", "e", "b", manager={"person": str(boss), "name": "Ada"})
    found = after(
        SMALL,
        [
            Difference(unit="b", kinds=["moved", "renamed"], before=side("B", "a", "b"), after=moved, people=4),
            Difference(unit="c", kinds=["moved"], before=side("C", "a", "b", "c"), after=side("C", "e", "b", "c")),
            Difference(unit="d", kinds=["closed"], before=side("D", "a", "d")),
            Difference(unit="f", kinds=["created"], after=side("F", "e", "f")),
        ],
    )
    assert [(one.unit, one.parent, one.depth) for one in found] == [
        ("a", None, 1), ("e", None, 1), ("b", "e", 2), ("c", "b", 3), ("f", "e", 2)
    ]  # fmt: skip
    assert [(one.person, one.acting) for one in found[2].leaders] == [(boss, False)]
    assert found[2].people == 4


def test_a_unit_that_only_follows_has_no_mark_and_shows_where_it_stands() -> None:
    follows = Difference(unit="c", kinds=["moved"], before=side("C", "a", "b", "c"), after=side("C", "e", "b", "c"))
    assert (follows.marks, follows.contrasts) == ((), ())
    moves = Difference(unit="b", kinds=["moved", "changed"], before=side("B", "a", "b"), after=side("B", "b", site="X"))
    assert moves.marks == ("moved", "changed")
    assert [(one.field, one.before, one.after) for one in moves.contrasts] == [
        ("parent", "a", None),
        ("site", None, "X"),
    ]


def test_a_word_of_an_edit_says_nothing_of_a_day_that_was_left_out() -> None:
    assert word({"unit": "b", "effectiveFrom": None, "parent": None}) == {"externalId": "b", "parent": None}
