"""Names by policy, and names of somebody who never came: they rest, and then another may have them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pytest

from contracts.codes import Form
from contracts.registry import PERSON_JOINER
from services.accounts.store import names
from services.kernel.retention.classes import DataClass
from tests.integration.accounts.harness import Town, town
from tests.support.kernel import ROOT
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest

SOON = TODAY + timedelta(days=5)


@pytest.fixture
async def alvsund(slapd: SlapdUnderTest, fresh_database: str, tmp_path: Path) -> AsyncIterator[Town]:
    table = orjson.loads((ROOT / "deploy/policy/names.json").read_bytes())
    rules = table["nodes"][1]["content"]["rules"]
    ext = "['ext.{given}.{family}']"
    extern = {"_id": "externals", "form": "'consultant'", "login": ext, "mail": ext, "domain": "'ext.alvsund.example'"}
    table["nodes"][1]["content"]["rules"] = [{**rules[0], **extern}, *rules]
    (tmp_path / "names.json").write_bytes(orjson.dumps(table))
    (tmp_path / "accounts.json").write_bytes((ROOT / "deploy/policy/accounts.json").read_bytes())
    async with town(slapd, fresh_database, policy_dir=tmp_path) as here:
        yield here


async def resting(here: Town) -> set[str]:
    return {row[0] for row in await here.rows("SELECT value FROM name_reservation WHERE released_at IS NOT NULL")}


async def rested(here: Town, days: int) -> int:
    """Let time pass for what rests, run the purge, and tell how many names it freed."""
    kept: DataClass = names.resting(here.organisations)
    async with here.database.transaction() as conn:
        await conn.execute(
            "UPDATE name_reservation SET released_at = released_at - %s * interval '1 day'"
            " WHERE released_at IS NOT NULL",
            (days,),
        )
        return (await kept.forget(conn, "alvsund", kept.days["alvsund"], "")).rows


async def hire(here: Town, person: UUID, revision: int = 1, *, cancelled: bool = False) -> None:
    job = employment(SOON, id=UUID(int=person.int ^ 1), cancelled=cancelled)
    await here.tell(person, revision, record(job), type_=PERSON_JOINER)
    await here.converged()


async def test_a_table_names_externals_otherwise(alvsund: Town) -> None:
    person = uuid4()
    await alvsund.tell(person, 1, record(employment(TODAY, TODAY + timedelta(days=90), form=Form.CONSULTANT)))
    await alvsund.converged()
    entry = await alvsund.entry(person)
    assert entry is not None
    assert entry.first("uid") == "ext.anna.andersson"
    assert entry.first("mail") == "ext.anna.andersson@ext.alvsund.example"


async def test_names_of_a_cancelled_hire_rest_and_then_go_to_the_next(alvsund: Town) -> None:
    first, second, third = uuid4(), uuid4(), uuid4()
    await hire(alvsund, first)
    await hire(alvsund, first, 2, cancelled=True)
    assert await alvsund.entry(first) is None
    assert await resting(alvsund) == {"anna.andersson", "anna.andersson@alvsund.example"}
    await hire(alvsund, second)
    assert (await alvsund.rows("SELECT user_name FROM account WHERE person = %s", second)) == [("anna.andersson2",)]
    assert await rested(alvsund, 89) == 0
    assert await rested(alvsund, 2) == 2
    await hire(alvsund, third)
    assert (await alvsund.rows("SELECT user_name FROM account WHERE person = %s", third)) == [("anna.andersson",)]


async def test_who_comes_after_all_has_the_names_back(alvsund: Town) -> None:
    person = uuid4()
    await hire(alvsund, person)
    await hire(alvsund, person, 2, cancelled=True)
    assert await resting(alvsund)
    await hire(alvsund, person, 3)
    entry = await alvsund.entry(person)
    assert entry is not None
    assert entry.first("uid") == "anna.andersson"
    assert await resting(alvsund) == set()


async def test_names_of_an_account_that_was_open_are_never_let_go(alvsund: Town) -> None:
    person, yesterday = uuid4(), TODAY - timedelta(days=1)
    job = employment(TODAY)
    await alvsund.tell(person, 1, record(job))
    await alvsund.converged()
    await alvsund.tell(person, 2, record(employment(yesterday, yesterday, id=job.id)))
    await alvsund.converged()
    (due,) = (await alvsund.rows("SELECT next_due FROM account WHERE person = %s", person))[0]
    await alvsund.at(due + timedelta(hours=1))
    assert await alvsund.entry(person) is None
    assert await resting(alvsund) == set()
    assert await rested(alvsund, 10_000) == 0
