"""Units, their groups and who is in them follow the tree in real directories."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from contracts.codes import Protection
from services.orgtree.domain.projection import Kind
from tests.integration.orgtree.estate import Estate, estate, job, login
from tests.support.office import TODAY, record
from tests.support.units import KINDS


@pytest.fixture(params=KINDS)
async def here(request: pytest.FixtureRequest, fresh_database: str) -> AsyncIterator[Estate]:
    async with estate(fresh_database, request.getfixturevalue(KINDS[request.param])) as found:
        yield found


async def test_units_and_who_is_in_them_stand_in_the_directory(here: Estate) -> None:
    office = here.here
    manager = await here.hire(job("10"))
    anna, extra = await here.hire(job("110")), await here.hire(job("110"), job("10", extent=10.0))
    without = await here.hire(job("110"), account=False)
    await office.tell_unit("110", "Björkskolan", parent="10")
    await office.converged()
    await office.tell_unit("10", "Skolorna", manager=manager)
    await office.converged()
    assert await here.tree() == {"10": "10", "110": "10/110"}
    assert await here.titles() == {"10": "Skolorna", "110": "Björkskolan"}
    assert await here.titles(Kind.MANAGERS) == {"10": "Skolorna (chefer)", "110": "Björkskolan (chefer)"}
    assert await here.groups(Kind.UNIT) == {
        "10": {login(manager), login(extra)},
        "110": {login(anna), login(extra)},
    }
    assert await here.groups(Kind.MANAGERS) == {"10": {login(manager)}, "110": frozenset()}
    assert await here.groups(Kind.ROLLUP) == {"10": {"unit:10", "rollup:110"}, "110": {"unit:110"}}
    assert await here.steps(anna) == {"membership.joined": ("verified", None)}
    assert await here.steps(without) == {}
    assert await here.problems() == {}
    before = await here.subject.versions()
    await office.rows("UPDATE work SET wanted = wanted + 1 RETURNING 1")
    await office.converged()
    assert await here.subject.versions() == before, "nothing to change writes nothing"


async def test_a_move_takes_the_subtree_along_and_nobody_s_membership_is_written(here: Estate) -> None:
    office = here.here
    for unit, parent in (("1", None), ("2", None), ("11", "1"), ("111", "11"), ("112", "11")):
        await office.tell_unit(unit, f"Enhet {unit}", parent=parent)
    people = [await here.hire(job(unit)) for unit in ("11", "111", "112")]
    await office.converged()
    assert (await here.tree())["111"] == "1/11/111"
    groups = await here.groups(Kind.UNIT)
    before = await here.subject.versions()
    await office.tell_unit("11", "Nya enheten", 2, parent="2")
    await office.converged()
    assert await here.tree() == {"1": "1", "2": "2", "11": "2/11", "111": "2/11/111", "112": "2/11/112"}
    assert (await here.titles())["11"] == "Nya enheten"
    assert await here.groups(Kind.UNIT) == groups
    assert await here.groups(Kind.ROLLUP) == {
        "1": {"unit:1"}, "2": {"unit:2", "rollup:11"}, "11": {"unit:11", "rollup:111", "rollup:112"},
        "111": {"unit:111"}, "112": {"unit:112"},
    }  # fmt: skip
    written = {
        dn.partition(",")[0].casefold()
        for dn, version in (await here.subject.versions()).items()
        if before.get(dn) != version
    }
    assert {one for one in written if one.startswith("cn=alvsund-111")} == set()
    for person in people:
        assert await here.steps(person) == {"membership.joined": ("verified", None)}


async def test_who_moves_follows_and_who_leaves_goes_with_the_account(here: Estate) -> None:
    office = here.here
    for unit in ("1", "2"):
        await office.tell_unit(unit, f"Enhet {unit}")
    first, later = job("1", last=TODAY + timedelta(days=9)), job("2", TODAY + timedelta(days=10))
    anna = await here.hire(first, later)
    await office.converged()
    assert await here.groups(Kind.UNIT) == {"1": {login(anna)}, "2": frozenset()}
    await office.on(TODAY + timedelta(days=10))
    assert await here.groups(Kind.UNIT) == {"1": frozenset(), "2": {login(anna)}}
    await here.changes(anna, 2, record(first, later.model_copy(update={"valid_to": TODAY + timedelta(days=11)})))
    await office.on(TODAY + timedelta(days=12))
    assert await here.groups(Kind.UNIT) == {"1": frozenset(), "2": {login(anna)}}, "the account is still there"
    entry = (await office.rows("SELECT entry FROM account"))[0][0]
    await office.tell_account(anna, "directory", entry, enabled=False, version=2)
    await office.converged()
    assert await here.groups(Kind.UNIT) == {"1": frozenset(), "2": frozenset()}
    assert await here.steps(anna) == {}


async def test_units_that_merge_give_their_people_to_the_other_and_go(here: Estate) -> None:
    office = here.here
    last = TODAY + timedelta(days=20)
    await office.tell_unit("1", "Ett")
    for unit in ("2", "3"):
        await office.tell_unit(unit, f"Enhet {unit}")
        await office.tell_unit(f"{unit}1", f"Under {unit}", parent=unit)
    anna, bo = await here.hire(job("2")), await here.hire(job("21"))
    await office.converged()
    for unit in ("2", "3"):
        await office.tell_unit(unit, f"Enhet {unit}", 2, valid_to=last, successors=("1",))
        await office.tell_unit(
            f"{unit}1",
            f"Under {unit}",
            2,
            parent=unit,
            changes=({"effective_from": last + timedelta(days=1), "parent": "1"},),
        )
    await office.converged()
    assert (await here.tree())["21"] == "2/21"
    await office.on(last + timedelta(days=1))
    await office.converged()
    assert await here.tree() == {"1": "1", "21": "1/21", "31": "1/31"}
    assert await here.groups(Kind.UNIT) == {"1": {login(anna)}, "21": {login(bo)}, "31": frozenset()}
    assert await here.groups(Kind.ROLLUP) == {
        "1": {"unit:1", "rollup:21", "rollup:31"},
        "21": {"unit:21"},
        "31": {"unit:31"},
    }
    assert await here.problems() == {}
    assert await office.rows("SELECT unit FROM unit_object WHERE unit IN ('2', '3')") == []


async def test_case_40_who_is_protected_is_in_no_group_from_then_on(here: Estate) -> None:
    office = here.here
    await office.tell_unit("10", "Kvinnojouren")
    await office.tell_unit("11", "Boendet", parent="10")
    anna, bo = await here.hire(job("10")), await here.hire(job("10"))
    await office.tell_unit("11", "Boendet", 2, parent="10", manager=anna)
    await office.converged()
    assert await here.groups(Kind.UNIT) == {"10": {login(anna), login(bo)}, "11": frozenset()}
    assert (await here.groups(Kind.MANAGERS))["11"] == {login(anna)}
    await here.changes(anna, 2, record(job("10")).model_copy(update={"protection": Protection.PROTECTED}))
    assert await here.groups(Kind.UNIT) == {"10": {login(bo)}, "11": frozenset()}
    assert (await here.groups(Kind.MANAGERS))["11"] == frozenset()
    assert await here.steps(anna) == {}
    await here.changes(anna, 3, record(job("10")))
    assert await here.groups(Kind.UNIT) == {"10": {login(anna), login(bo)}, "11": frozenset()}
