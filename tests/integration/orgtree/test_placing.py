"""Everybody's place follows the record and the tree, in whatever order they are told, on a real database."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.person import Assignment, Employment, UnitChange
from contracts.registry import SERVICE_EVALUATED
from tests.integration.orgtree.harness import Hall, hall
from tests.support.office import TODAY, employment, record

SOON = TODAY + timedelta(days=10)


@pytest.fixture
async def here(fresh_database: str) -> AsyncIterator[Hall]:
    async with hall(fresh_database) as found:
        yield found


def job(unit: str, first: date = TODAY - timedelta(days=100), last: date | None = None, **values: object) -> Employment:
    return employment(first, last, assignments=(Assignment(unit=unit, valid_from=first, valid_to=last),), **values)


async def state(here: Hall, person: UUID) -> tuple[str, str, str | None]:
    """Return code, state and reason of the step that was said last."""
    step = (await here.said(SERVICE_EVALUATED, person))[-1]["steps"][0]
    return step["code"], step["state"], (step.get("problem") or {}).get("code")


async def test_case_49_a_person_before_the_unit_and_a_child_before_its_parent_end_where_hr_says(here: Hall) -> None:
    await here.tell(person := uuid4(), 1, record(job("110", SOON)))
    await here.converged()
    assert await state(here, person) == ("placement.placed", "waiting", "unit.unknown")
    due = (await here.said(SERVICE_EVALUATED, person))[-1]["steps"][0]["due"]
    assert due.startswith((SOON - timedelta(days=4)).isoformat()), "three days before the start, at midnight in Sweden"
    await here.tell_unit("110", "Björkskolan", parent="10")
    await here.converged()
    assert (await here.paths(), await here.troubles()) == ({}, {("110", "unit.parent_unknown")})
    await here.tell_unit("10", "Skolorna")
    await here.converged()
    assert await here.paths() == {"10": "10", "110": "10/110"}
    assert await state(here, person) == ("placement.placed", "planned", None)
    await here.on(SOON)
    assert await state(here, person) == ("placement.placed", "verified", None)
    assert (await here.place(person) or {})["path"] == ["10", "110"]


async def test_case_27_the_main_employment_decides_and_others_give_memberships_until_they_end(here: Hall) -> None:
    for unit in ("110", "120"):
        await here.tell_unit(unit, unit)
    main, other = job("110", extent=60.0), job("120", extent=40.0, last=SOON)
    await here.tell(person := uuid4(), 1, record(main, other))
    await here.converged()
    assert (await here.place(person) or {})["unit"] == "110"
    members = "SELECT unit, main FROM membership WHERE person = %s ORDER BY 1"
    assert await here.rows(members, person) == [("110", True), ("120", False)]
    await here.on(SOON + timedelta(days=1))
    assert await here.rows(members, person) == [("110", True)]


async def test_case_45_when_a_manager_leaves_who_acts_leads_else_the_next_one_up(here: Hall) -> None:
    head, deputy, director = uuid4(), uuid4(), uuid4()
    await here.tell(person := uuid4(), 1, record(job("110")))
    await here.tell_unit("110", "Björkskolan", parent="10", manager=head)
    await here.tell_unit("10", "Skolorna", manager=director)
    await here.converged()
    assert (await here.place(person) or {})["manager"] is None, "nobody has told of any of them yet"
    for one in (head, director):
        await here.tell(one, 1, record(job("10")))
    await here.converged()
    assert (await here.place(person) or {})["manager"] == str(head)
    await here.tell(head, 2, record(job("10", last=TODAY)))
    await here.on(TODAY + timedelta(days=1))
    assert (await here.place(person) or {})["manager"] == str(director)
    assert await here.troubles() == {("110", "unit.manager_gone")}
    await here.tell(deputy, 1, record(job("110")))
    await here.tell_unit("110", "Björkskolan", 2, parent="10", manager=head, acting_manager=deputy)
    await here.converged()
    assert (await here.place(person) or {})["manager"] == str(deputy)
    assert (await here.place(deputy) or {})["manager"] == str(director), "nobody is their own manager"


async def test_case_47_a_subtree_moves_as_one_at_its_day_and_what_was_edited_twenty_times_once(here: Hall) -> None:
    for unit, parent in (("1", None), ("2", None), ("10", "1"), ("100", "10"), ("101", "10")):
        await here.tell_unit(unit, unit, parent=parent)
    people = [uuid4() for _ in range(3)]
    for one in people:
        await here.tell(one, 1, record(job("100")))
    await here.converged()
    for number in range(2, 22):
        day = SOON + timedelta(days=number % 5)
        plan = UnitChange(effective_from=day, parent="2" if number % 2 else "1")
        await here.tell_unit("10", "10", number, parent="1", changes=(plan,))
    await here.converged()
    versions = await here.rows("SELECT unit, version FROM effective_unit WHERE unit IN ('10', '100')")
    day = SOON + timedelta(days=21 % 5)
    await here.on(day - timedelta(days=1))
    assert (await here.paths())["100"] == "1/10/100"
    assert await here.rows("SELECT unit, version FROM effective_unit WHERE unit IN ('10', '100')") == versions
    await here.on(day)
    assert (await here.paths())["100"] == "2/10/100"
    moved = await here.rows("SELECT DISTINCT version FROM effective_unit WHERE unit IN ('10', '100', '101')")
    assert len(moved) == 1, "one step"
    assert {tuple((await here.place(one) or {})["path"]) for one in people} == {("2", "10", "100")}


async def test_a_unit_that_closes_with_people_in_it_stays_until_they_have_gone(here: Hall) -> None:
    await here.tell_unit("100", "Gamla")
    await here.tell_unit("101", "Nya")
    await here.tell(person := uuid4(), 1, record(job("100")))
    await here.converged()
    await here.tell_unit("100", "Gamla", 2, valid_to=TODAY - timedelta(days=1))
    await here.converged()
    assert (set(await here.paths()), await here.troubles()) == ({"100", "101"}, {("100", "unit.closed_occupied")})
    await here.tell(person, 2, record(job("101")))
    await here.converged()
    assert (set(await here.paths()), await here.troubles()) == ({"101"}, set())


async def test_a_merge_takes_its_people_along_and_a_split_asks_where_they_go(here: Hall) -> None:
    for unit in ("100", "101", "102"):
        await here.tell_unit(unit, unit)
    await here.tell(person := uuid4(), 1, record(job("100")))
    await here.converged()
    closed = {"valid_to": TODAY - timedelta(days=1)}
    await here.tell_unit("100", "100", 2, successors=("101",), **closed)
    await here.converged()
    assert (await here.place(person) or {})["unit"] == "101"
    await here.tell_unit("101", "101", 2, parent="102")
    await here.converged()
    assert (await here.place(person) or {})["path"] == ["102", "101"], "what becomes of the successor is theirs too"
    await here.tell_unit("100", "100", 3, successors=("101", "102"), **closed)
    await here.converged()
    assert (await here.place(person) or {})["unit"] == "100", "nobody decides for HR which of the two it is"
    assert await here.troubles() == {("100", "unit.closed_occupied")}
