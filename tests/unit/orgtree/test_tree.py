"""The tree of a day: whatever HR says it ends in a tree, and says what is wrong with it."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from services.orgtree.domain.effective import in_effect
from services.orgtree.domain.periods import Fields, Line
from services.orgtree.domain.tree import Problem, Tree, Trouble, tree

DAY = date(2027, 3, 15)
EARLIER, LATER = date(2027, 1, 1), date(2027, 6, 1)


def line(
    unit: str, parent: str | None = None, *, to: date | None = None, successors: tuple[str, ...] = (), **fields: Any
) -> Line:
    """A unit that has been there since 2020."""
    steps = ((date(2020, 1, 1), Fields(name=unit.upper(), parent=parent, **fields)),)
    return Line(unit, 1, date(2020, 1, 1), to, steps, successors)


def moved(before: Line, day: date, parent: str | None) -> Line:
    """The same, below another one from a day on."""
    last = before.steps[-1][1]
    return Line(
        before.unit, 2, before.valid_from, before.valid_to,
        (*before.steps, (day, Fields(last.name, parent, last.manager, last.acting_manager))), before.successors,
    )  # fmt: skip


def lines(*found: Line) -> Mapping[str, Line]:
    return {one.unit: one for one in found}


def troubles(found: Tree) -> set[tuple[str, Trouble]]:
    return {(one.unit, one.trouble) for one in found.problems}


def test_a_move_takes_a_subtree_at_its_day_and_not_before() -> None:
    known = lines(line("a"), line("b"), moved(line("c", "a"), DAY, "b"), line("d", "c"))
    assert tree(known, date(2027, 3, 14)).path("d") == ("a", "c", "d")
    assert tree(known, DAY).path("d") == ("b", "c", "d")
    assert tree(known, DAY).problems == ()


def test_a_child_whose_parent_is_not_known_waits_with_all_below_it() -> None:
    known = lines(line("b", "a"), line("c", "b"))
    waiting = tree(known, DAY)
    assert waiting.fields == {}
    assert waiting.problems == (Problem("b", Trouble.PARENT_UNKNOWN, "a"),)
    assert tree({**known, "a": line("a")}, DAY).path("c") == ("a", "b", "c")


def test_a_parent_that_comes_later_is_told_apart_from_one_that_nobody_knows() -> None:
    coming = Line("a", 1, LATER, None, ((LATER, Fields("A")),))
    assert troubles(tree(lines(coming, line("b", "a")), DAY)) == {("b", Trouble.PARENT_NOT_YET)}
    assert tree(lines(coming, line("b", "a")), LATER).path("b") == ("a", "b")


def test_the_move_that_closes_a_circle_is_not_carried_out() -> None:
    known = lines(line("r"), moved(line("a", "r"), DAY, "b"), moved(line("b", "a"), EARLIER, "a"))
    found = tree(known, DAY)
    assert found.path("b") == ("r", "a", "b")
    assert troubles(found) == {("a", Trouble.CIRCLE), ("b", Trouble.CIRCLE)}


def test_a_closed_unit_stays_while_somebody_is_in_it_unless_one_unit_takes_it_over() -> None:
    closed = line("b", "a", to=EARLIER)
    assert set(tree(lines(line("a"), closed), DAY).fields) == {"a"}
    kept = tree(lines(line("a"), closed), DAY, {"b"})
    assert (kept.path("b"), troubles(kept)) == (("a", "b"), {("b", Trouble.CLOSED_OCCUPIED)})
    merged = lines(line("a"), line("b", "a", to=EARLIER, successors=("c",)), line("c", "a"), line("d", "b"))
    found = tree(merged, DAY, {"b"})
    assert (found.stands("b"), found.path("d"), found.problems) == ("c", ("a", "c", "d"), ())
    split = lines(line("a"), line("b", "a", to=EARLIER, successors=("c", "d")), line("c", "a"), line("d", "a"))
    assert troubles(tree(split, DAY, {"b"})) == {("b", Trouble.CLOSED_OCCUPIED)}


def test_successors_are_followed_until_one_is_there_and_never_in_circles() -> None:
    chain = lines(
        line("a", to=EARLIER, successors=("b",)), line("b", to=EARLIER, successors=("c",)), line("c"),
        line("x", to=EARLIER, successors=("y",)), line("y", to=EARLIER, successors=("x",)),
    )  # fmt: skip
    assert tree(chain, DAY).moved == {"a": "c", "b": "c"}


def test_who_leads_is_whoever_is_named_nearest_and_works_here_acting_first() -> None:
    head, deputy, director, gone = (uuid4() for _ in range(4))
    known = lines(
        line("a", manager=director), line("b", "a", manager=head, acting_manager=deputy), line("c", "b", manager=gone),
        line("d"),
    )  # fmt: skip
    found = in_effect(tree(known, DAY), known, lambda person: None if person == gone else person)
    assert [(one.person, one.unit, one.acting) for one in found.units["c"].leaders] == [
        (deputy, "b", True),
        (head, "b", False),
        (director, "a", False),
    ]
    said = {unit: {one.trouble for one in problems} for unit, problems in found.problems.items()}
    assert said == {"c": {Trouble.MANAGER_GONE}, "d": {Trouble.VACANT, Trouble.LEADERLESS}}


def test_what_a_unit_does_not_say_it_has_from_above() -> None:
    known = lines(line("a", cost_centre="100", mail_domain="a.example"), line("b", "a", cost_centre="200"))
    found = in_effect(tree(known, DAY), known, lambda person: person).units["b"]
    assert (found.cost_centre, found.mail_domain, found.site) == ("200", "a.example", None)


IDS = tuple("abcdefgh")


@st.composite
def histories(draw: st.DrawFn) -> Mapping[str, Line]:
    """Units that come, move, close and follow each other in every way, circles included."""
    found: dict[str, Line] = {}
    for unit in draw(st.lists(st.sampled_from(IDS), unique=True, min_size=1)):
        days = sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=4)))
        parents = [draw(st.none() | st.sampled_from([one for one in IDS if one != unit])) for _ in days]
        people = [draw(st.none() | st.integers(1, 3)) for _ in days]
        steps = tuple(
            (date(2027, 1, day), Fields(unit, parent, None if one is None else UUID(int=one)))
            for day, parent, one in zip(days, parents, people, strict=True)
        )
        end = draw(st.none() | st.integers(days[0], 9))
        successors = draw(st.lists(st.sampled_from([one for one in IDS if one != unit]), unique=True, max_size=2))
        found[unit] = Line(
            unit, 1, date(2027, 1, days[0]), None if end is None else date(2027, 1, end), steps, tuple(successors)
        )
    return found


@given(histories(), st.integers(1, 10), st.sets(st.sampled_from(IDS)))
def test_it_is_always_a_tree(known: Mapping[str, Line], day: int, occupied: set[str]) -> None:
    on = date(2027, 1, day)
    found = tree(known, on, occupied)
    paths = {unit: found.path(unit) for unit in found.fields}
    assert set(found.downwards()) == set(paths)
    for unit, path in paths.items():
        assert path[-1] == unit
        assert len(set(path)) == len(path)
        assert set(path) <= set(paths)
    assert set(found.moved.values()) <= set(paths)
    assert set(found.moved).isdisjoint(paths)
    waiting = {unit for unit, one in known.items() if one.holds(on)} - set(paths)
    assert not waiting or any(one.trouble.name.startswith("PARENT") for one in found.problems)
    assert {unit for unit in paths if not known[unit].holds(on)} <= {
        one.unit for one in found.problems if one.trouble is Trouble.CLOSED_OCCUPIED
    }
    assert found == tree(dict(reversed(list(known.items()))), on, occupied), "in whatever order they are told"
    effective = in_effect(found, known, lambda person: person)
    assert {unit: one.path for unit, one in effective.units.items()} == paths
