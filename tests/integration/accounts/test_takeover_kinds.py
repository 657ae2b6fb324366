"""Accounts that others made, taken over in each kind of target: only the mark differs until the unit is live."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.accounts.handlers import takeover as handler
from services.accounts.handlers.intake import wake_everybody
from services.accounts.store import takeover, targets
from services.kernel.readings.leases import Why
from tests.integration.accounts.grounds import KINDS, family, ground_under_test, office_on, read_whole
from tests.integration.accounts.hands import ORGANISATION, ActiveDirectory, Dump, Entra, Ground
from tests.support.office import TODAY, Office, employment, record

START = TODAY - timedelta(days=900)
MARKS = {"stafettPerson", "stafettOrganisation", "stafettMark", "stafettRevision", "adminDescription", Entra.mark_}


@pytest.fixture(params=KINDS)
async def ground(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground_under_test(request.param, request, tmp_path) as found:
        yield found


async def told(here: Office, number: str, name: str) -> UUID:
    person = uuid4()
    job = employment(START, employee_number=number, baseline=True)
    await here.tell(person, 1, record(job, given="Anna", family=name))
    return person


async def planned(here: Office, ground: Ground) -> takeover.Plan:
    await read_whole(here, ground, Why.TAKEOVER, staged=True)
    async with here.database.transaction() as conn:
        newest = await takeover.newest(conn, ORGANISATION, ground.target)
    assert newest is not None
    return newest


async def adopted(here: Office, ground: Ground, plan: takeover.Plan, pairs: Mapping[str, UUID] | None) -> int:
    """Approve pairs, or all that is certain, and let it be carried out."""
    async with here.database.transaction() as conn:
        chosen = list(pairs) if pairs else None
        rows = await takeover.undecided(conn, ORGANISATION, ground.target, plan.id, chosen)
        picked = handler.chosen(rows, pairs)
        own = here.organisations[ORGANISATION]
        count, refused = await handler.adopt(conn, own, ground.target, plan.id, picked, actor="it", reason="start")
    assert refused == {}
    await here.converged()
    return count


def differences(before: Dump, after: Dump) -> set[tuple[str, str]]:
    """Return what differs, as (id, attribute); the classes and Entra's extension attributes one by one."""
    assert before.keys() == after.keys()
    return {
        (key, name)
        for key in before
        for name in _flat(before[key]).keys() | _flat(after[key]).keys()
        if _flat(before[key]).get(name) != _flat(after[key]).get(name)
    }


def _flat(one: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in one.items() if name not in {"objectClass", "onPremisesExtensionAttributes"}}
    found |= {f"class {value}": True for value in one.get("objectClass", ())}
    return found | {name: value for name, value in (one.get("onPremisesExtensionAttributes") or {}).items() if value}


async def test_certain_and_chosen_ones_are_marked_and_nothing_else_changes_until_they_are_live(
    ground: Ground, fresh_database: str
) -> None:
    async with office_on(ground, fresh_database, staged=True) as here:
        names = [family() for _ in range(6)]
        for name in names[:3]:
            await ground.make(name.lower(), number=f"n{name}", name=f"Anna {name}")
        await ground.make(names[3].lower(), number=f"n{names[3]}", name=f"Anna {names[3]}")
        await ground.make(f"{names[3].lower()}2", number=f"n{names[3]}", name=f"Anna {names[3]}")
        await ground.make(names[4].lower(), name="Konto För Skrivare")
        people = {name: await told(here, f"n{name}", name) for name in [*names[:4], names[5]]}
        await here.converged()
        before = await ground.dump()
        plan = await planned(here, ground)
        async with here.database.transaction() as conn:
            counts = await takeover.progress(conn, ORGANISATION, ground.target, plan.id)
            shared = await takeover.page(
                conn, ORGANISATION, ground.target, plan.id, certainty="ambiguous", after="", limit=9
            )
        assert {name: one["rows"] for name, one in counts.items()} == {"certain": 3, "ambiguous": 2, "none": 1}
        assert await adopted(here, ground, plan, None) == 3
        assert await adopted(here, ground, plan, {shared[0].entry: people[names[3]]}) == 1
        marked = differences(before, after := await ground.dump())
        assert {name for _, name in marked} <= {*MARKS, "class b'stafettManaged'"}
        assert len({entry for entry, _ in marked}) == 4
        async with here.database.transaction() as conn:
            counts = await takeover.progress(conn, ORGANISATION, ground.target, plan.id)
        assert [counts[one]["adopted"] for one in ("certain", "ambiguous", "none")] == [3, 1, 0]
        accounts = {name: await ground.account(people[name]) for name in names[:4]}
        # once more changes nothing, and who has no account gets none before the unit is live
        await read_whole(here, ground, Why.DRIFT, staged=True)
        async with here.database.transaction() as conn:
            await wake_everybody(conn, ORGANISATION, ground.target)
        await here.converged()
        assert differences(after, await ground.dump()) == set()
        async with here.database.transaction() as conn:
            await targets.go_live(conn, ORGANISATION, ground.target, ["100"], actor="it", reason="våg 1")
            await wake_everybody(conn, ORGANISATION, ground.target)
        await here.converged()
        live = await ground.dump()
        assert len(live) == len(before) + 1
        assert {name: await ground.account(people[name]) for name in names[:4]} == accounts
        touched = {entry for entry, _ in differences(after, {one: live[one] for one in before})}
        assert touched == {entry for entry, _ in marked}


@pytest.mark.parametrize("below", [True, False], ids=["below", "elsewhere"])
async def test_an_account_is_adopted_below_the_subtrees_that_may_be_written_and_nowhere_else(
    ground: Ground, fresh_database: str, below: bool
) -> None:
    inside = ground.place if isinstance(ground, Entra) else f"ou=people,{ground.place}"
    subtree = inside if below else f"ou=annan,{ground.place}"
    async with office_on(ground, fresh_database, staged=True, subtrees=(subtree,)) as here:
        name = family()
        await ground.make(name.lower(), number=f"n{name}", name=f"Anna {name}")
        await told(here, f"n{name}", name)
        await here.converged()
        before = await ground.dump()
        assert await adopted(here, ground, await planned(here, ground), None) == 1
        assert bool(differences(before, await ground.dump())) is below
        assert await here.rows("SELECT done_at IS NOT NULL FROM adoption") == [(below,)]


@pytest.mark.parametrize("ground", ["active_directory"], indirect=True)
async def test_an_account_that_was_moved_away_meanwhile_is_judged_where_it_stands(
    ground: ActiveDirectory, fresh_database: str
) -> None:
    async with office_on(ground, fresh_database, staged=True, subtrees=(f"OU=people,{ground.place}",)) as here:
        name = family()
        account = await ground.make(name.lower(), number=f"n{name}", name=f"Anna {name}")
        await told(here, f"n{name}", name)
        await here.converged()
        plan = await planned(here, ground)
        await ground.move(account)
        before = await ground.dump()
        assert await adopted(here, ground, plan, None) == 1
        assert differences(before, await ground.dump()) == set()


async def test_an_account_that_is_gone_when_it_shall_be_adopted_is_told_and_none_is_made(
    ground: Ground, fresh_database: str
) -> None:
    async with office_on(ground, fresh_database, staged=True) as here:
        name = family()
        account = await ground.make(name.lower(), number=f"n{name}", name=f"Anna {name}")
        await told(here, f"n{name}", name)
        await here.converged()
        plan = await planned(here, ground)
        await ground.delete(account)
        assert await adopted(here, ground, plan, None) == 1
        assert await ground.dump() == {}
        assert await here.rows("SELECT state, problem ->> 'code' FROM work") == [("parked", "account.adoption_gone")]
