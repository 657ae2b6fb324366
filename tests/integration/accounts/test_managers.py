"""Managers in OpenLDAP: they come after their people, leave, move; whom it concerns is looked at, a few at a time."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import ldap3
import pytest

from contracts.codes import Protection
from contracts.person import Assignment, CoreRecord, Employment
from contracts.registry import SERVICE_EVALUATED
from services.accounts.handlers.managing import BATCH
from services.accounts.store import managers
from services.kernel.clock import UTC
from services.kernel.directory import Modification, Operation
from tests.integration.accounts.harness import Town, town
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest

FIRST = date(2027, 1, 1)
NOON = datetime(TODAY.year, TODAY.month, TODAY.day, 11, tzinfo=UTC)


@pytest.fixture
async def here(slapd: SlapdUnderTest, fresh_database: str) -> AsyncIterator[Town]:
    async with town(slapd, fresh_database) as running:
        yield running


def job(unit: str = "100", manager: UUID | None = None, last: date | None = None, **values: Any) -> Employment:
    span = Assignment(unit=unit, title="Lärare", manager=manager, valid_from=FIRST, valid_to=last)
    return employment(FIRST, last, assignments=(span,), **values)


async def manager_of(here: Town, person: UUID) -> str | None:
    entry = await here.entry(person)
    assert entry is not None
    return entry.first("manager")


async def name_of(here: Town, person: UUID) -> str:
    entry = await here.entry(person)
    assert entry is not None
    return entry.dn


async def hired(here: Town, core: CoreRecord) -> UUID:
    person = uuid4()
    await here.tell(person, 1, core)
    return person


async def test_a_manager_who_is_hired_after_their_people_is_theirs_when_the_account_is_there(here: Town) -> None:
    boss = uuid4()
    await here.tell_unit("100", "Björkskolan", manager=boss)
    people = [await hired(here, record(job(), given=name)) for name in ("Anna", "Bo")]
    await here.converged()
    assert [await manager_of(here, one) for one in people] == [None, None]
    evaluated = (await here.said(SERVICE_EVALUATED, people[0]))[-1]
    assert {step["state"] for step in evaluated["steps"]} == {"verified"}
    await here.tell(boss, 1, record(job(), given="Chef"))
    await here.converged()
    assert [await manager_of(here, one) for one in people] == [await name_of(here, boss)] * 2
    assert await manager_of(here, boss) is None


async def test_a_pass_with_nothing_new_about_managers_writes_nothing(here: Town) -> None:
    boss = await hired(here, record(job(), given="Chef"))
    await here.tell_unit("100", "Björkskolan", manager=boss)
    person = await hired(here, record(job()))
    await here.converged()
    assert await manager_of(here, person) == await name_of(here, boss)
    before = await here.writes()
    async with here.database.transaction() as conn:
        await conn.execute("UPDATE work SET wanted = wanted + 1")
    await here.converged()
    assert await here.writes() == before


async def test_case_45_who_led_leaves_and_the_next_one_up_leads_at_that_instant(here: Town) -> None:
    head = await hired(here, record(job("10"), given="Direktör"))
    boss = uuid4()
    leaving = job(last=TODAY)
    await here.tell(boss, 1, record(leaving, given="Rektor"))
    await here.tell_unit("10", "Skolförvaltningen", manager=head)
    await here.tell_unit("100", "Björkskolan", manager=boss, parent="10")
    person = await hired(here, record(job()))
    await here.converged()
    assert await manager_of(here, person) == await name_of(here, boss)
    midnight = datetime(2027, 3, 15, 23, tzinfo=UTC)
    await here.at(midnight - timedelta(minutes=1))
    assert await manager_of(here, person) == await name_of(here, boss)
    await here.at(midnight)
    assert await manager_of(here, person) == await name_of(here, head)
    acting = await hired(here, record(job(), given="Tillförordnad"))
    await here.tell_unit("100", "Björkskolan", 2, manager=acting, parent="10")
    await here.converged()
    assert await manager_of(here, person) == await name_of(here, acting)
    # back within the days of grace, and named again
    await here.tell(boss, 2, record(leaving, job(), given="Rektor"))
    await here.tell_unit("100", "Björkskolan", 3, manager=boss, parent="10")
    await here.converged()
    assert await manager_of(here, person) == await name_of(here, boss)


async def test_the_last_who_could_lead_leaves_and_nobody_is_shown(here: Town) -> None:
    boss = await hired(here, record(job(last=TODAY), given="Chef"))
    person = await hired(here, record(job(manager=boss)))
    await here.tell_unit("100", "Björkskolan")
    await here.converged()
    assert await manager_of(here, person) == await name_of(here, boss)
    await here.at(datetime(2027, 3, 16, 11, tzinfo=UTC))
    assert await manager_of(here, person) is None


async def test_another_manager_far_above_is_followed_by_whom_it_concerns_and_by_nobody_else(here: Town) -> None:
    old, new, boss = [await hired(here, record(job("1"), given=name)) for name in ("Gammal", "Ny", "Rektor")]
    await here.tell_unit("1", "Kommunen", manager=old)
    await here.tell_unit("10", "Förvaltningen", parent="1")
    await here.tell_unit("100", "Björkskolan", parent="10")
    await here.tell_unit("200", "Ekskolan", parent="10", manager=boss)
    person, other = await hired(here, record(job())), await hired(here, record(job("200"), given="Bo"))
    await here.converged()
    assert await manager_of(here, person) == await name_of(here, old)
    seen = await here.rows("SELECT wanted FROM work WHERE subject = %s", str(other))
    await here.tell_unit("1", "Kommunen", 2, manager=new)
    await here.converged()
    assert await manager_of(here, person) == await name_of(here, new)
    assert await here.rows("SELECT wanted FROM work WHERE subject = %s", str(other)) == seen
    await here.tell_unit("10", "Förvaltningen", 2, parent="1", manager=boss)
    await here.converged()
    assert await manager_of(here, person) == await name_of(here, boss)


async def test_an_entry_that_another_hand_moved_is_followed_when_it_is_seen(here: Town) -> None:
    boss = await hired(here, record(job(), given="Chef"))
    await here.tell_unit("100", "Björkskolan", manager=boss)
    person = await hired(here, record(job()))
    await here.converged()
    server = ldap3.Server(here.slapd.url, get_info=ldap3.NONE)
    hand = ldap3.Connection(
        server,
        here.slapd.admin_dn(here.base),
        here.slapd.admin_password,
        client_strategy=ldap3.SAFE_SYNC,
        auto_bind=True,
    )
    assert hand.modify_dn(await name_of(here, boss), "uid=chefen")[0]
    hand.unbind()
    await here.tell(boss, 2, record(job(), given="Chef"))
    await here.converged()
    assert (await name_of(here, boss)).startswith("uid=chefen,")
    assert await manager_of(here, person) == await name_of(here, boss)


async def test_a_protected_manager_is_shown_in_nobodys_entry_and_their_own_shows_none(here: Town) -> None:
    head = await hired(here, record(job("10"), given="Direktör"))
    boss = await hired(here, record(job("10"), given="Rektor"))
    await here.tell_unit("10", "Förvaltningen", manager=head)
    await here.tell_unit("100", "Björkskolan", manager=boss, parent="10")
    person = await hired(here, record(job()))
    await here.converged()
    assert await manager_of(here, boss) == await name_of(here, head)
    hidden = record(job("10"), given="Rektor").model_copy(update={"protection": Protection.MARKED})
    await here.tell(boss, 2, hidden)
    await here.converged()
    assert await manager_of(here, person) == await name_of(here, head)
    assert await manager_of(here, boss) is None
    await here.tell(boss, 3, record(job("10"), given="Rektor"))
    await here.converged()
    assert await manager_of(here, person) == await name_of(here, boss)


async def test_where_hr_names_no_manager_what_others_keep_there_stays(here: Town) -> None:
    person, other = await hired(here, record(job())), await hired(here, record(job(), given="Bo"))
    await here.tell_unit("100", "Björkskolan")
    await here.converged()
    by_hand = Modification(Operation.REPLACE, "manager", (await name_of(here, other),))
    await here.directory.modify(await name_of(here, person), [by_hand], subject="test")
    await here.tell(person, 2, record(job(), family="Berg"))
    await here.converged()
    assert await manager_of(here, person) == await name_of(here, other)


async def test_people_of_a_large_unit_are_woken_a_few_at_a_time(here: Town) -> None:
    people = [uuid4() for _ in range(BATCH + 20)]
    async with here.database.transaction() as conn:
        await managers.look_later(conn, [(here.organisation, one, "elsewhere") for one in people], -1)
    assert await here.followers.once()
    woken = "SELECT count(*) FROM work WHERE target = 'elsewhere'"
    assert (await here.rows(woken))[0][0] == BATCH
    assert not await here.followers.once()
    assert (await here.rows(woken))[0][0] == len(people)
    async with here.database.transaction() as conn:
        await conn.execute("DELETE FROM work WHERE target = 'elsewhere'")


async def test_a_pass_that_had_read_what_was_before_is_asked_once_more(here: Town) -> None:
    person = await hired(here, record(job()))
    await here.converged()
    async with here.database.transaction() as conn:
        await managers.tell(conn, [(here.organisation, None, "unit/late")])
        assert await managers.spread(conn, 10, again=0) == 1
        assert await managers.take(conn, 10) == []
    async with here.database.transaction() as conn:
        await conn.execute("UPDATE account SET looks = '{unit/late}', looks_since = clock_timestamp()")
    async with here.database.transaction() as conn:
        assert await managers.spread(conn, 10, again=0) == 1
        assert await managers.take(conn, 10) == [(here.organisation, person, "openldap")]
        assert await managers.spread(conn, 10, again=0) == 0


async def test_whom_it_concerns_is_found_by_an_index(here: Town) -> None:
    async with here.database.transaction() as conn:
        await conn.execute("SET LOCAL enable_seqscan = off")
        cursor = await conn.execute(f"EXPLAIN WITH due AS (SELECT * FROM manager_news) {managers.CONCERNED}".encode())
        assert "account_looks" in "\n".join(str(row[0]) for row in await cursor.fetchall())
