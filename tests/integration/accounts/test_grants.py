"""Groups on a real server: given with the job and taken with it; nobody else's are touched."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from contracts.person import Assignment
from contracts.registry import ACCOUNT_CHANGED, SERVICE_EVALUATED, STEP_RECORDED
from services.kernel.directory import Modification, Operation
from services.kernel.work import Wake, WorkKey, raise_wanted
from tests.integration.accounts.harness import TARGET, Town, town
from tests.support.kernel import ROOT
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest

HEAD = (Assignment(unit="100", title="Rektor", valid_from=TODAY),)


@pytest.fixture
async def alvsund(slapd: SlapdUnderTest, fresh_database: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with school(slapd, fresh_database, tmp_path) as here:
        yield here


@asynccontextmanager
async def school(slapd: SlapdUnderTest, url: str, tmp_path: Path, *, guard_limit: int = 50) -> AsyncIterator[Town]:
    """Run accounts with three groups and a table that gives two of them, and one that does not exist."""
    table = orjson.loads((ROOT / "deploy/policy/birthright.json").read_bytes())
    content = table["nodes"][1]["content"]
    columns = {column["id"]: "" for column in content["inputs"]} | {
        "lead_days": "0",
        "keep_days": "0",
        "begins": "'start'",
    }
    content["rules"] = [
        {**columns, "_id": "everybody", "kind": "'group'", "value": "'alla'"},
        {**columns, "_id": "heads", "title": "'Rektor'", "kind": "'group'", "value": "'rektorer'"},
        {**columns, "_id": "kept", "title": "'Arkivarie'", "kind": "'group'", "value": "'facket'", "keep_days": "400"},
        {**columns, "_id": "ghosts", "title": "'Spöke'", "kind": "'group'", "value": "'finns-inte'"},
    ]
    (tmp_path / "birthright.json").write_bytes(orjson.dumps(table))
    (tmp_path / "accounts.json").write_bytes((ROOT / "deploy/policy/accounts.json").read_bytes())
    async with town(slapd, url, policy_dir=tmp_path, guard_limit=guard_limit) as here:
        for group in ("alla", "rektorer", "facket"):
            dn = f"cn={group},ou=groups,{here.base}"
            if await members(here, group) is not None:
                await here.directory.delete(dn, subject="test")
            await here.directory.add(dn, ["groupOfNames"], {"cn": (group,), "member": (dn,)}, subject="test")
        await here.tell_unit("100", "Skolan")
        yield here


async def members(here: Town, group: str) -> set[str] | None:
    """Return the logins of a group's members."""
    found = await here.directory.search(here.base, f"(&(objectClass=groupOfNames)(cn={group}))", ["member"])
    if not found:
        return None
    return {dn.partition(",")[0].removeprefix("uid=") for dn in found[0].values("member") if dn.startswith("uid=")}


async def entitled(here: Town, person: UUID) -> dict[str, Any]:
    """Return what was said last of the step."""
    evaluation = (await here.said(SERVICE_EVALUATED, person))[-1]
    found: list[dict[str, Any]] = [step for step in evaluation["steps"] if step["code"] == "account.entitled"]
    return found[0]


async def again(here: Town, person: UUID) -> None:
    """Have the person looked at once more."""
    async with here.database.transaction() as conn:
        await raise_wanted(conn, [Wake(WorkKey("alvsund", "person", str(person), TARGET))])
    await here.converged()


async def test_groups_come_with_the_job_follow_a_move_and_go_at_the_end(alvsund: Town) -> None:
    person, job = uuid4(), employment(TODAY, assignments=HEAD)
    await alvsund.tell(person, 1, record(job))
    await alvsund.converged()
    assert (await members(alvsund, "alla"), await members(alvsund, "rektorer")) == ({"anna.andersson"},) * 2
    assert (await entitled(alvsund, person))["state"] == "verified"
    assert (await alvsund.said(ACCOUNT_CHANGED, person))[-1]["record"]["groups"] == ["alla", "rektorer"]
    evaluation = (await alvsund.said(SERVICE_EVALUATED, person))[-1]
    assert {why["row"] for why in evaluation["why"] if why["table"] == "birthright"} == {"everybody", "heads"}
    writes = await alvsund.writes()
    await again(alvsund, person)
    assert await alvsund.writes() == writes
    teacher = (Assignment(unit="100", title="Lärare", valid_from=TODAY),)
    await alvsund.tell(person, 2, record(job.model_copy(update={"assignments": teacher})))
    await alvsund.converged()
    assert (await members(alvsund, "alla"), await members(alvsund, "rektorer")) == ({"anna.andersson"}, set())
    assert (await alvsund.said(STEP_RECORDED, person))[-1]["parameters"]["revoked"] == "rektorer"
    yesterday = TODAY - timedelta(days=1)
    await alvsund.tell(person, 3, record(employment(yesterday, yesterday, id=job.id)))
    await alvsund.converged()
    assert await members(alvsund, "alla") == set()
    assert await alvsund.rows("SELECT value FROM granted") == []


async def test_a_deleted_account_leaves_no_member_behind(alvsund: Town) -> None:
    person, day = uuid4(), TODAY + timedelta(days=3)
    archivist = (Assignment(unit="100", title="Arkivarie", valid_from=TODAY),)
    await alvsund.tell(person, 1, record(employment(TODAY, day, assignments=archivist)))
    await alvsund.converged()
    assert await members(alvsund, "facket") == {"anna.andersson"}
    for days, there in ((10, True), (40, False)):
        late = day + timedelta(days=days)
        await alvsund.at(datetime(late.year, late.month, late.day, 11, tzinfo=UTC))
        assert (await alvsund.entry(person) is not None) is there
        assert await members(alvsund, "facket") == ({"anna.andersson"} if there else set())
    assert await alvsund.rows("SELECT value FROM granted") == []


async def test_what_another_hand_gave_or_took_is_theirs(alvsund: Town) -> None:
    person, job = uuid4(), employment(TODAY, assignments=HEAD)
    await alvsund.tell(person, 1, record(job))
    await alvsund.converged()
    entry = await alvsund.entry(person)
    assert entry is not None
    for group, operation in (("facket", Operation.ADD), ("rektorer", Operation.DELETE)):
        change = Modification(operation, "member", (entry.dn,))
        await alvsund.directory.modify(f"cn={group},ou=groups,{alvsund.base}", [change], subject="test")
    await again(alvsund, person)
    step = await entitled(alvsund, person)
    assert (step["state"], step["problem"]["code"]) == ("parked", "account.grant_taken_elsewhere")
    assert (await members(alvsund, "rektorer"), await members(alvsund, "facket")) == (set(), {"anna.andersson"})
    # and however it stands with groups, the account is closed when it is due
    yesterday = TODAY - timedelta(days=1)
    await alvsund.tell(person, 2, record(employment(yesterday, yesterday, id=job.id)))
    await alvsund.converged()
    closed = await alvsund.entry(person)
    assert closed is not None
    assert closed.first("pwdEndTime") == "20000101000000Z"
    assert await members(alvsund, "facket") == {"anna.andersson"}


async def test_a_group_that_does_not_exist_yet_is_waited_for_and_nobody_else_is_delayed(alvsund: Town) -> None:
    person, ghost = uuid4(), (Assignment(unit="100", title="Spöke", valid_from=TODAY),)
    await alvsund.tell(person, 1, record(employment(TODAY, assignments=ghost)))
    await alvsund.converged()
    step = await entitled(alvsund, person)
    assert (step["state"], step["problem"]["code"]) == ("waiting", "account.group_missing")
    assert step["problem"]["parameters"] == {"group": "finns-inte"}
    assert step["parameters"]["state"] == "enabled", "what is missing does not make it unknown how the account shall be"
    assert await members(alvsund, "alla") == {"anna.andersson"}


async def test_more_losses_than_the_guard_lets_through_are_held(
    slapd: SlapdUnderTest, fresh_database: str, tmp_path: Path
) -> None:
    async with school(slapd, fresh_database, tmp_path, guard_limit=1) as here:
        people = {uuid4(): employment(TODAY, assignments=HEAD) for _ in range(3)}
        for person, job in people.items():
            await here.tell(person, 1, record(job))
        await here.converged()
        assert len(await members(here, "rektorer") or ()) == 3
        teacher = (Assignment(unit="100", title="Lärare", valid_from=TODAY),)
        for person, job in people.items():
            await here.tell(person, 2, record(job.model_copy(update={"assignments": teacher})))
        await here.converged()
        assert len(await members(here, "rektorer") or ()) == 2
        states = sorted([(await entitled(here, person))["state"] for person in people])
        assert states == ["held", "held", "verified"]
        # the title was written for all of them: only the loss is held
        titles = {entry.first("title") for person in people if (entry := await here.entry(person))}
        assert titles == {"Lärare"}
