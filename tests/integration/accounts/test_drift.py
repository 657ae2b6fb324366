"""Drift on a real directory: changed with ldapmodify, ldapadd and ldapdelete, none of it by our code."""

import subprocess
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from typing_extensions import override

from contracts.codes import Protection
from contracts.person import CoreRecord
from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.domain.names import Blocklist
from services.accounts.domain.other_hand import Rule
from services.accounts.handlers.drift import DriftRun
from services.accounts.handlers.gate import Gate
from services.accounts.handlers.situation import TABLE, Key, Reader, Situation, wants
from services.accounts.settings import BLOCKLIST
from services.kernel.database import Connection
from services.kernel.gate import Rules
from services.kernel.policy import PolicyBook
from services.kernel.readings import leases
from services.kernel.readings.leases import ReadingLost, Why
from services.kernel.readings.rounds import Readings
from services.kernel.work import Wake, WorkKey, raise_wanted
from tests.integration.accounts.harness import TARGET, Town, town
from tests.support.kernel import ROOT
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest


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


def readings_of(here: Town, reader: type[Reader] = Reader, **rules: Rule) -> Readings:
    """Return what reads the target, wired as bootstrap does."""
    policy = PolicyBook(ROOT / "deploy/policy", sorted(here.organisations))
    want = wants(here.organisations, Blocklist.parse(BLOCKLIST.read_text(encoding="utf-8")))
    bases = {key: value.targets[TARGET] for key, value in here.organisations.items()}
    gate = Gate(OpenLdapAccounts(here.directory, bases), Rules(places=bases))
    reads = reader(TARGET, here.organisations, policy, want, rules=rules)
    run = DriftRun(TARGET, gate, reads, here.database)
    return Readings(here.database, {(Why.DRIFT, TARGET): run}, 24, lambda: None)


async def compared(here: Town, reader: type[Reader] = Reader, **rules: Rule) -> set[tuple[str, str, str | None]]:
    """Run once and return (kind, attribute, person) of what is open."""
    reading = readings_of(here, reader, **rules)
    async with here.database.transaction() as conn:
        await PolicyBook(ROOT / "deploy/policy", sorted(here.organisations)).start(conn, TABLE)
        await leases.ask(conn, TARGET, "alvsund", Why.DRIFT, "test")
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


async def test_case_59_rules_reclaim_accept_or_report(alvsund: Town) -> None:
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


def protected(number: str | None = None) -> CoreRecord:
    core = record(employment(TODAY - timedelta(days=3), employee_number=number))
    return core.model_copy(update={"protection": Protection.PROTECTED})


async def test_case_40_what_findings_hold_is_emptied_when_protection_is_told_and_not_kept_anew(alvsund: Town) -> None:
    person, dn = await hired(alvsund, record(employment(TODAY - timedelta(days=3), employee_number="4711")))
    by_hand = ByHand(alvsund)
    by_hand.replace(dn, "title", "Hemlig Person")
    by_hand.add("annat", "employeeNumber: 4711")
    by_hand.add("likt", "mail: Anna.Andersson@alvsund.example")
    by_hand.add("grannen", "employeeNumber: 4712")
    await compared(alvsund)
    before = str(await alvsund.rows("SELECT detail FROM finding"))
    assert all(word in before for word in ("Hemlig Person", "annat", "likt", "grannen"))
    await alvsund.tell(person, 2, protected("4711"))
    for again in (False, True):
        if again:
            await alvsund.converged()
            await compared(alvsund)
        kept = str(await alvsund.rows("SELECT detail FROM finding"))
        assert [word for word in ("Hemlig", "annat", "likt", "4711", "grannen") if word in kept] == ["grannen"], again


async def test_a_run_under_way_when_protection_is_told_keeps_no_value(alvsund: Town) -> None:
    person, dn = await hired(alvsund)
    ByHand(alvsund).replace(dn, "title", "Hemlig Person")

    class Late(Reader):
        """What it has read has changed when it is kept."""

        @override
        async def glance(
            self, conn: Connection, keys: Sequence[Key], now: datetime, *, entitling: bool = False
        ) -> dict[Key, Situation]:
            found = await super().glance(conn, keys, now, entitling=entitling)
            await alvsund.tell(person, 2, protected())
            return found

    assert await compared(alvsund, reader=Late) == {("changed", "title", str(person))}
    assert await alvsund.rows("SELECT detail FROM finding") == [({},)]


async def test_one_reader_at_a_time_and_one_that_was_cut_off_is_taken_over(alvsund: Town) -> None:
    async with alvsund.database.transaction() as conn:
        await leases.register(conn, {TARGET: ["alvsund", "bergby"]}, 0.000001)
        await conn.execute("UPDATE reading SET due_at = now()")
        first = await leases.claim(conn, [TARGET])
        assert first is not None
        assert await leases.claim(conn, [TARGET]) is None
        await conn.execute("UPDATE reading SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL")
        await conn.execute("UPDATE reading SET due_at = NULL")
        second = await leases.claim(conn, [TARGET])
        assert second is not None
        assert (second.organisation, second.epoch) == (first.organisation, first.epoch + 1)
        with pytest.raises(ReadingLost):
            await leases.keep(conn, first, 1)
        await leases.end(conn, second, problem=None, hours=24)
        await conn.execute("UPDATE reading SET due_at = now()")
        await conn.execute("INSERT INTO breaker (target, opened_at) VALUES (%s, now())", (TARGET,))
        assert await leases.claim(conn, [TARGET]) is None


async def test_a_target_that_is_away_closes_nothing(alvsund: Town) -> None:
    _, dn = await hired(alvsund)
    ByHand(alvsund).replace(dn, "title", "Rektor")
    await compared(alvsund)
    reading = readings_of(alvsund)
    async with alvsund.database.transaction() as conn:
        await leases.ask(conn, TARGET, "alvsund", Why.DRIFT, "test")
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
