"""Drift: a whole target compared with what shall be; memory and time for 50,000 entries."""

import time

import pytest

from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.handlers.drift import DriftRun
from services.accounts.handlers.gate import Gate, Rules
from services.accounts.handlers.reading import Readings
from services.accounts.store import readings
from services.accounts.store.readings import Why
from tests.benchmarks import figures
from tests.benchmarks.stock import peak_megabytes, reset_peak, stock
from tests.integration.accounts.harness import TARGET
from tests.support.servers import SlapdUnderTest

PEOPLE = 50_000


@pytest.mark.timeout(1200)
async def test_a_directory_of_50_000_is_compared(slapd: SlapdUnderTest, fresh_database: str) -> None:
    async with stock(slapd, fresh_database) as here:
        await here.registered(PEOPLE)
        await here.filled(marked=True)
        gate = Gate(OpenLdapAccounts(here.directory, here.bases), Rules(places=here.bases))
        run = DriftRun(TARGET, gate, await here.reader(), here.database)
        reader = Readings(here.database, {(Why.DRIFT, TARGET): run}, 24, lambda: None)
        with figures.chapter(f"Drift, {PEOPLE:,} entries in OpenLDAP"):
            async with here.database.transaction() as conn:
                await readings.ask(conn, TARGET, "alvsund", Why.DRIFT, "test")
            reset_peak()
            began = time.perf_counter()
            assert await reader.once()
            figures.measured("read and compared", f"{time.perf_counter() - began:.1f} s", "60 s")
            figures.measured("peak memory, the test and its clients included", f"{peak_megabytes():.0f} MB", "400 MB")
        async with here.database.transaction() as conn:
            done = await (await conn.execute("SELECT read, skipped, counts FROM drift_run")).fetchone()
        assert done is not None
        assert (done[0], done[1]) == (PEOPLE, 0)
        assert sum(done[2].values()) == 0
