"""Drift: a whole target compared with what shall be; memory and time for 50,000 entries, 2,000 in a domain."""

import time

import pytest

from services.accounts.adapters.active_directory import ActiveDirectoryAccounts
from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.handlers.drift import DriftRun
from services.accounts.handlers.gate import Gate
from services.accounts.ports import AccountDirectory
from services.kernel.gate import Rules
from services.kernel.readings import leases
from services.kernel.readings.leases import Why
from services.kernel.readings.rounds import Readings
from tests.benchmarks import figures
from tests.benchmarks.stock import Stock, peak_megabytes, reset_peak, stock, windows_stock
from tests.support.servers import SambaUnderTest, SlapdUnderTest

PEOPLE, IN_DOMAIN = 50_000, 2_000


@pytest.mark.timeout(1200)
async def test_a_directory_of_50_000_is_compared(slapd: SlapdUnderTest, fresh_database: str) -> None:
    async with stock(slapd, fresh_database) as here:
        await compared(here, OpenLdapAccounts(here.directory, here.bases), PEOPLE, "OpenLDAP")


@pytest.mark.timeout(1200)
async def test_a_domain_of_2_000_is_compared(samba: SambaUnderTest, fresh_database: str) -> None:
    async with windows_stock(samba, fresh_database) as here:
        await compared(here, ActiveDirectoryAccounts(here.directory, here.bases), IN_DOMAIN, "Active Directory (Samba)")


async def compared(here: Stock, accounts: AccountDirectory, people: int, where: str) -> None:
    """Fill a target with what shall be there, and print what it takes to see that nothing differs."""
    await here.registered(people)
    await here.filled(marked=True)
    gate = Gate(accounts, Rules(places=here.bases))
    run = DriftRun(here.target, gate, await here.reader(), here.database)
    reader = Readings(here.database, {(Why.DRIFT, here.target): run}, 24, lambda: None)
    with figures.chapter(f"Drift, {people:,} entries in {where}"):
        async with here.database.transaction() as conn:
            await leases.ask(conn, here.target, "alvsund", Why.DRIFT, "test")
        reset_peak()
        began = time.perf_counter()
        assert await reader.once()
        figures.measured("read and compared", f"{time.perf_counter() - began:.1f} s", "60 s")
        figures.measured("peak memory, the test and its clients included", f"{peak_megabytes():.0f} MB", "400 MB")
    async with here.database.transaction() as conn:
        done = await (await conn.execute("SELECT read, skipped, counts FROM drift_run")).fetchone()
    assert done is not None
    assert (done[0], done[1]) == (people, 0)
    assert sum(done[2].values()) == 0
