"""Every kind of change by hand, in each kind of target: found once, told as what it is, and mended as decided."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from services.accounts.adapters.entra_attributes import SignIn
from services.accounts.handlers import deciding
from services.accounts.store import drift
from services.kernel.readings.leases import Why
from tests.integration.accounts.grounds import KINDS, family, ground_under_test, office_on, read_whole
from tests.integration.accounts.hands import ORGANISATION, ActiveDirectory, Entra, Ground, OpenLdap
from tests.support.entra import DOMAIN
from tests.support.office import TODAY, Office, employment, record

START = TODAY - timedelta(days=30)
Found = set[tuple[str, str, str | None]]


@pytest.fixture(params=KINDS)
async def ground(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground_under_test(request.param, request, tmp_path) as found:
        yield found


@pytest.fixture
async def office(ground: Ground, fresh_database: str) -> AsyncIterator[Office]:
    async with office_on(ground, fresh_database) as here:
        yield here


async def hired(here: Office, count: int) -> list[UUID]:
    people = [uuid4() for _ in range(count)]
    for person in people:
        await here.tell(person, 1, record(employment(START), family=family()))
    await here.converged()
    return people


async def compared(here: Office, ground: Ground) -> Found:
    await read_whole(here, ground, Why.DRIFT)
    rows = await here.rows("SELECT kind, attribute, person FROM finding WHERE closed_at IS NULL")
    return {(row[0], row[1], str(row[2]) if row[2] else None) for row in rows}


async def decided(here: Office, ground: Ground, kind: str, decision: str) -> None:
    """Decide the same of all findings of a kind that are anybody's, and let it be carried out."""
    async with here.database.transaction() as conn:
        found = await drift.lock(conn, ORGANISATION, target=ground.target, kind=kind)
        mine = [one for one in found if deciding.possible(one, decision)]
        await deciding.decide(conn, mine, decision, actor="it", reason="utrett")
    await here.converged()


async def test_case_59_every_kind_of_change_by_hand_is_found_once_and_closed_when_it_is_gone(
    ground: Ground, office: Office
) -> None:
    people = await hired(office, 11)
    ended = uuid4()
    await office.tell(ended, 1, record(job := employment(START), family=family()))
    await office.converged()
    await office.tell(ended, 2, record(job.model_copy(update={"valid_to": TODAY - timedelta(days=1)})))
    await office.converged()
    accounts = {person: await ground.account(person) for person in (*people, ended)}
    assert await compared(office, ground) == set()
    assert await office.rows("SELECT read, skipped FROM drift_run") == [(12, 0)]
    changed, emptied, locked, gone, moved, spoiled, stripped, stolen, doubled, numbered, _ = people
    await ground.title(accounts[changed], "Rektor")
    await ground.empty(accounts[emptied])
    await ground.close(accounts[locked])
    await ground.delete(accounts[gone])
    await ground.move(accounts[moved])
    await ground.mark(accounts[spoiled], "trasig")
    await ground.mark(accounts[stripped], None)
    await ground.steal(accounts[stolen], other := uuid4())
    await ground.make(family().lower(), person=doubled)
    await ground.open(accounts[ended])
    await ground.make(family().lower())
    await ground.make(family().lower(), number=(number := f"n{family()}"))
    await office.tell(numbered, 2, record(employment(START, employee_number=number), family=family()))
    await office.converged()
    await ground.make(family().lower(), person=(stranger := uuid4()))
    wanted: Found = {
        ("changed", "title", str(changed)),
        ("changed", ground.emptied, str(emptied)),
        ("state", "", str(locked)),
        ("missing", "", str(gone)),
        ("moved", "", str(moved)),
        ("mark", "", str(spoiled)),
        ("mark", "", str(stripped)),
        ("missing", "", str(stolen)),
        ("foreign", "", None),
        ("duplicate", "", str(doubled)),
        ("state", "", str(ended)),
        ("unmanaged", "", None),
        ("orphan", "", str(stranger)),
    }
    if isinstance(ground, Entra):  # a mark there names a person and no organisation
        wanted = wanted - {("foreign", "", None)} | {("orphan", "", str(other))}
    assert await compared(office, ground) == wanted
    strays = await office.rows(
        "SELECT detail -> 'employeeNumber' ->> 0 FROM finding WHERE kind = 'unmanaged' ORDER BY 1"
    )
    assert strays == [(number,), (None,)]
    await office.converged()
    assert not await ground.is_open(accounts[locked])
    assert not await ground.is_open(accounts[ended])
    first = await office.rows("SELECT first_seen FROM finding WHERE kind = 'changed' ORDER BY id")
    assert await compared(office, ground) == wanted - {("state", "", str(ended))}
    assert await office.rows("SELECT first_seen FROM finding WHERE kind = 'changed' ORDER BY id") == first

    for kind, decision in (("changed", "reclaim"), ("state", "reopen"), ("mark", "reclaim"), ("moved", "accept")):
        await decided(office, ground, kind, decision)
    assert await ground.is_open(accounts[locked])
    mended = {found for found in wanted if found[0] in {"changed", "state", "mark", "moved"}}
    assert await compared(office, ground) == wanted - mended
    assert await ground.account(stripped) == accounts[stripped]
    assert await ground.account(spoiled) == accounts[spoiled]
    await decided(office, ground, "missing", "reclaim")
    assert await compared(office, ground) == wanted - mended - {("missing", "", str(gone))}
    assert await ground.is_open(await ground.account(gone))


@pytest.mark.parametrize("ground", ["active_directory"], indirect=True)
async def test_what_ended_or_was_locked_out_by_another_hand_stays_so_and_is_shown(
    ground: ActiveDirectory, office: Office
) -> None:
    expired, locked_out, unexpiring, leaver = people = await hired(office, 4)
    accounts = {person: await ground.account(person) for person in people}
    await ground.expire(accounts[expired])
    await ground.lock_out(accounts[locked_out])
    await ground.lock_out(accounts[leaver])
    await ground.replace(accounts[unexpiring], userAccountControl=("66048",))  # its password never expires
    wanted = {("state", "", str(one)) for one in (expired, locked_out, leaver)}
    assert await compared(office, ground) == wanted
    assert await office.rows("SELECT DISTINCT detail FROM finding") == [({"wanted": "enabled", "observed": "locked"},)]
    await office.converged()
    for person in (expired, locked_out):
        assert not await ground.is_open(accounts[person])
        assert await office.rows("SELECT state, problem ->> 'code' FROM work WHERE subject = %s", str(person)) == [
            ("waiting", "account.locked_elsewhere")
        ]
    # a lockout ends by itself: who leaves meanwhile is closed for good
    yesterday = TODAY - timedelta(days=1)
    for person in (leaver, unexpiring):
        await office.tell(person, 2, record(employment(START, yesterday)))
    await office.converged()
    bits = {person: await control(ground, accounts[person]) for person in people}
    assert bits == {expired: 512, locked_out: 512, leaver: 514, unexpiring: 66050}
    assert await compared(office, ground) == wanted - {("state", "", str(leaver))}
    await decided(office, ground, "state", "reopen")
    assert await ground.is_open(accounts[expired])
    assert await ground.is_open(accounts[locked_out])
    assert await compared(office, ground) == set()


@pytest.mark.parametrize("ground", ["active_directory"], indirect=True)
async def test_an_account_that_was_moved_out_of_the_unit_is_moved_and_not_missing(
    ground: ActiveDirectory, office: Office
) -> None:
    (person,) = await hired(office, 1)
    account = await ground.account(person)
    await ground.put(account, await ground.unit(f"OU=Slutat,{ground.domain}"))
    account = await ground.account(person)
    await ground.title(account, "Rektor")
    assert await compared(office, ground) == {("moved", "", str(person)), ("changed", "title", str(person))}
    assert await office.rows("SELECT read, skipped FROM drift_run") == [(0, 0)]
    await decided(office, ground, "moved", "accept")
    assert await compared(office, ground) == {("changed", "title", str(person))}


@pytest.mark.parametrize("ground", ["openldap"], indirect=True)
async def test_an_account_that_lost_mark_and_name_is_not_made_a_second_time(ground: OpenLdap, office: Office) -> None:
    (person,) = await hired(office, 1)
    account = await ground.account(person)
    await ground.mark(account, None)
    await ground.do("modify_dn", account, "uid=omdopt")
    await office.tell(person, 2, record(employment(START), given="Bea", family=family()))
    await office.converged()
    assert await ground.account(person) == f"uid=omdopt,ou=people,{ground.place}"
    assert len(await ground.dump()) == 1


@pytest.mark.parametrize("ground", ["entra"], indirect=True)
async def test_an_account_that_another_directory_writes_is_known_by_its_id(ground: Entra, office: Office) -> None:
    (person,) = await hired(office, 1)
    account = await ground.account(person)
    (user,) = ground.simulator.users()
    synced = {**user.properties, "onPremisesSyncEnabled": True, "onPremisesExtensionAttributes": {}}
    ground.simulator.tenant.shelf.put(type(user)(account, user.kind, synced))
    assert await compared(office, ground) == set()


async def control(ground: ActiveDirectory, account: str) -> int:
    (found,) = await ground.entries("(objectClass=*)", ["userAccountControl"], base=account)
    return int(found["raw_attributes"]["userAccountControl"][0])


@pytest.mark.parametrize("ground", ["entra"], indirect=True)
async def test_a_domain_that_came_with_a_new_address_of_ours_is_no_move(ground: Entra, fresh_database: str) -> None:
    ground.sign_in(SignIn.MAIL)
    ground.simulator.tenant.domains = (DOMAIN, "skolan.example")
    async with office_on(ground, fresh_database) as here:
        (person,) = await hired(here, 1)
        assert await compared(here, ground) == set()
        here.organisations[ORGANISATION] = replace(here.organisations[ORGANISATION], mail_domain="skolan.example")
        await here.tell(person, 2, record(employment(START), family=family()))
        await here.converged()
        (user,) = ground.simulator.users()
        assert user.properties["userPrincipalName"].endswith("@skolan.example")
        assert await compared(here, ground) == set()
