"""Drift on a real directory: changed with ldapmodify, ldapadd and ldapdelete, none of it by our code."""

import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.codes import Protection
from contracts.person import CoreRecord
from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.domain.names import Blocklist
from services.accounts.domain.other_hand import Rule
from services.accounts.handlers.drift import DriftRun
from services.accounts.handlers.gate import Gate, Rules
from services.accounts.handlers.reading import Readings
from services.accounts.handlers.situation import TABLE, Reader, wants
from services.accounts.settings import BLOCKLIST
from services.accounts.store import readings
from services.accounts.store.readings import ReadingLost, Why
from services.kernel.policy import PolicyBook
from services.kernel.work import Wake, WorkKey, raise_wanted
from tests.integration.accounts.harness import TARGET, TODAY, Town, employment, record, town
from tests.support.kernel import ROOT
from tests.support.servers import SlapdUnderTest

CLOSED = "20000101000000Z"


class ByHand:
    """Somebody at a keyboard, with OpenLDAP's own tools and the administrator's password."""

    def __init__(self, here: Town) -> None:
        self._here = here

    def __call__(self, tool: str, text: str) -> None:
        slapd = self._here.slapd
        admin = slapd.admin_dn(self._here.base)
        subprocess.run(
            [tool, "-x", "-H", slapd.url, "-D", admin, "-w", slapd.admin_password],
            input=text, text=True, check=True, capture_output=True,
        )  # fmt: skip

    def replace(self, dn: str, attribute: str, *values: str) -> None:
        lines = "".join(f"{attribute}: {value}\n" for value in values)
        self("ldapmodify", f"dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{lines}-\n")

    def add(self, login: str, *lines: str, below: str | None = None) -> str:
        dn = f"uid={login},{below or 'ou=people,' + self._here.base}"
        text = f"dn: {dn}\nobjectClass: inetOrgPerson\nuid: {login}\ncn: Hand\nsn: Made\n"
        self("ldapadd", text + "".join(f"{line}\n" for line in lines))
        return dn


def readings_of(here: Town, **rules: Rule) -> Readings:
    """Return what reads the target, wired as bootstrap does."""
    policy = PolicyBook(ROOT / "deploy/policy", sorted(here.organisations))
    want = wants(here.organisations, Blocklist.parse(BLOCKLIST.read_text(encoding="utf-8")))
    bases = {key: value.targets[TARGET] for key, value in here.organisations.items()}
    gate = Gate(OpenLdapAccounts(here.directory, bases), Rules(places=bases))
    reader = Reader(TARGET, here.organisations, policy, want, rules=rules)
    run = DriftRun(TARGET, gate, reader, here.database)
    return Readings(here.database, {(Why.DRIFT, TARGET): run}, 24, lambda: None)


async def compared(here: Town, **rules: Rule) -> set[tuple[str, str, str | None]]:
    """Run once and return (kind, attribute, person) of what is open."""
    reading = readings_of(here, **rules)
    async with here.database.transaction() as conn:
        await PolicyBook(ROOT / "deploy/policy", sorted(here.organisations)).start(conn, TABLE)
        await readings.ask(conn, TARGET, "alvsund", Why.DRIFT, "test")
    assert await reading.once()
    assert await here.rows("SELECT problem FROM reading WHERE organisation = 'alvsund'") == [(None,)]
    rows = await here.rows("SELECT kind, attribute, person FROM finding WHERE closed_at IS NULL")
    return {(row[0], row[1], str(row[2]) if row[2] else None) for row in rows}


@pytest.fixture
async def alvsund(slapd: SlapdUnderTest, fresh_database: str) -> AsyncIterator[Town]:
    async with town(slapd, fresh_database) as here:
        await here.tell_unit("100", "Björkskolan")
        yield here


async def hired(here: Town, core: CoreRecord | None = None) -> tuple[UUID, str]:
    """Hire somebody and return person and DN."""
    person = uuid4()
    await here.tell(person, 1, core or record(employment(TODAY - timedelta(days=30))))
    await here.converged()
    entry = await here.entry(person)
    assert entry is not None
    return person, entry.dn


async def test_nothing_differs_where_nobody_else_has_been(alvsund: Town) -> None:
    await hired(alvsund)
    await hired(alvsund, record(employment(TODAY + timedelta(days=3))))
    assert await compared(alvsund) == set()
    assert await alvsund.rows("SELECT read, skipped FROM drift_run") == [(2, 0)]


async def test_every_kind_of_change_by_hand_is_found_once_and_closed_when_it_is_gone(alvsund: Town) -> None:
    hand = ByHand(alvsund)
    people = [await hired(alvsund) for _ in range(9)]
    ended = uuid4()
    await alvsund.tell(ended, 1, record(job := employment(TODAY - timedelta(days=30))))
    await alvsund.converged()
    await alvsund.tell(ended, 2, record(job.model_copy(update={"valid_to": TODAY - timedelta(days=1)})))
    await alvsund.converged()
    left = await alvsund.entry(ended)
    assert left is not None
    assert await compared(alvsund) == set()
    (changed, emptied, locked, gone, moved, spoiled, stolen, doubled, _) = people
    hand.replace(changed[1], "title", "Rektor")
    hand.replace(emptied[1], "departmentNumber")
    hand.replace(locked[1], "pwdEndTime", "20200101000000Z")
    hand("ldapdelete", gone[1] + "\n")
    hand("ldapadd", f"dn: ou=annan,{alvsund.base}\nobjectClass: organizationalUnit\nou: annan\n")
    rdn = moved[1].partition(",")[0]
    hand(
        "ldapmodify",
        f"dn: {moved[1]}\nchangetype: modrdn\nnewrdn: {rdn}\ndeleteoldrdn: 0\nnewsuperior: ou=annan,{alvsund.base}\n",
    )
    hand.replace(spoiled[1], "stafettMark", "trasig")
    hand.replace(stolen[1], "stafettOrganisation", "bergby")
    hand.add("dubblett", "objectClass: stafettManaged", f"stafettPerson: {doubled[0]}", "stafettOrganisation: alvsund")
    hand.replace(left.dn, "pwdEndTime")
    hand.add("egen")
    stranger = uuid4()
    hand.add("okand", "objectClass: stafettManaged", f"stafettPerson: {stranger}", "stafettOrganisation: alvsund")
    try:
        found = await compared(alvsund)
        wanted = {
            ("changed", "title", str(changed[0])),
            ("changed", "departmentNumber", str(emptied[0])),
            ("state", "", str(locked[0])),
            ("missing", "", str(gone[0])),
            ("moved", "", str(moved[0])),
            ("mark", "", str(spoiled[0])),
            ("foreign", "", None),
            ("missing", "", str(stolen[0])),
            ("duplicate", "", str(doubled[0])),
            ("state", "", str(ended)),
            ("unmanaged", "", None),
            ("orphan", "", str(stranger)),
        }
        assert found == wanted
        await alvsund.converged()
        closed = await alvsund.entry(ended)
        assert closed is not None
        assert closed.first("pwdEndTime") == CLOSED
        first = await alvsund.rows("SELECT first_seen FROM finding WHERE kind = 'changed' ORDER BY id")
        hand.replace(emptied[1], "departmentNumber", "100")
        later = await compared(alvsund)
        assert ("changed", "departmentNumber", str(emptied[0])) not in later
        assert ("changed", "title", str(changed[0])) in later
        assert await alvsund.rows("SELECT first_seen FROM finding WHERE kind = 'changed' ORDER BY id") == first
    finally:
        hand("ldapdelete", f"{rdn},ou=annan,{alvsund.base}\nou=annan,{alvsund.base}\n")


async def test_rules_reclaim_accept_or_report(alvsund: Town) -> None:
    hand = ByHand(alvsund)
    person, dn = await hired(alvsund)
    hand.replace(dn, "title", "Rektor")
    hand.replace(dn, "displayName", "Annie")
    hand.replace(dn, "departmentNumber", "7")
    rules: dict[str, Any] = {"title": Rule.RECLAIM, "displayName": Rule.ACCEPT}
    found = await compared(alvsund, **rules)
    assert found == {("changed", "title", str(person)), ("changed", "departmentNumber", str(person))}
    assert await alvsund.rows("SELECT attribute, verdict, reason FROM decided") == [("displayName", "accept", "rule")]
    assert await compared(alvsund, **rules) == found


async def test_whose_work_is_under_way_is_not_compared_and_what_was_found_stays(alvsund: Town) -> None:
    person, dn = await hired(alvsund)
    ByHand(alvsund).replace(dn, "title", "Rektor")
    found = await compared(alvsund)
    assert found == {("changed", "title", str(person))}
    async with alvsund.database.transaction() as conn:
        await conn.execute("INSERT INTO breaker (target, paused_at) VALUES ('other', now())")
        await conn.execute("UPDATE work SET lease_until = now() + interval '1 minute'")
    assert await compared(alvsund) == found
    assert (await alvsund.rows("SELECT skipped FROM drift_run ORDER BY ended_at"))[-1] == (1,)
    async with alvsund.database.transaction() as conn:
        await conn.execute("UPDATE work SET lease_until = NULL")


async def test_of_somebody_protected_no_value_is_kept(alvsund: Town) -> None:
    person, dn = await hired(
        alvsund, record(employment(TODAY - timedelta(days=3))).model_copy(update={"protection": Protection.PROTECTED})
    )
    ByHand(alvsund).replace(dn, "title", "Hemlig Person")
    assert await compared(alvsund) == {("changed", "title", str(person))}
    assert await alvsund.rows("SELECT detail FROM finding") == [({},)]


async def test_one_reader_at_a_time_and_one_that_was_cut_off_is_taken_over(alvsund: Town) -> None:
    async with alvsund.database.transaction() as conn:
        await readings.register(conn, {TARGET: ["alvsund", "bergby"]}, 0.000001)
        await conn.execute("UPDATE reading SET due_at = now()")
        first = await readings.claim(conn, [TARGET])
        assert first is not None
        assert await readings.claim(conn, [TARGET]) is None
        await conn.execute("UPDATE reading SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL")
        await conn.execute("UPDATE reading SET due_at = NULL")
        second = await readings.claim(conn, [TARGET])
        assert second is not None
        assert (second.organisation, second.epoch) == (first.organisation, first.epoch + 1)
        with pytest.raises(ReadingLost):
            await readings.keep(conn, first, 1)
        await readings.end(conn, second, problem=None, hours=24)
        await conn.execute("UPDATE reading SET due_at = now()")
        await conn.execute("INSERT INTO breaker (target, opened_at) VALUES (%s, now())", (TARGET,))
        assert await readings.claim(conn, [TARGET]) is None


async def test_a_target_that_is_away_closes_nothing(alvsund: Town) -> None:
    _, dn = await hired(alvsund)
    ByHand(alvsund).replace(dn, "title", "Rektor")
    await compared(alvsund)
    reading = readings_of(alvsund)
    async with alvsund.database.transaction() as conn:
        await readings.ask(conn, TARGET, "alvsund", Why.DRIFT, "test")
    alvsund.slapd.kill9()
    try:
        assert await reading.once()
    finally:
        alvsund.slapd.restart()
    ((problem, due),) = await alvsund.rows("SELECT problem, due_at > now() FROM reading WHERE kind = 'drift'")
    assert problem is not None
    assert due
    assert len(await alvsund.rows("SELECT 1 FROM finding WHERE closed_at IS NULL")) == 1


async def test_an_account_that_is_asked_for_is_not_missed_while_it_is_made(alvsund: Town) -> None:
    person, _ = await hired(alvsund)
    async with alvsund.database.transaction() as conn:
        await conn.execute("INSERT INTO breaker (target, paused_at) VALUES ('x', now())")
        await raise_wanted(conn, [Wake(WorkKey("alvsund", "person", str(person), TARGET))])
    await alvsund.converged()
    assert await compared(alvsund) == set()
