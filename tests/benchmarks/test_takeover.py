"""Take-over: 5,000 accounts that others made, read and matched with 5,000 people."""

import time

import pytest

from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.handlers.gate import Gate
from services.accounts.handlers.takeover import TakeoverRun
from services.accounts.store import takeover
from services.kernel.gate import Rules
from services.kernel.readings import leases
from services.kernel.readings.leases import Why
from services.kernel.readings.rounds import Readings
from tests.benchmarks import figures
from tests.benchmarks.stock import stock
from tests.integration.accounts.harness import TARGET
from tests.support.servers import SlapdUnderTest

PEOPLE = 5_000


@pytest.mark.timeout(600)
async def test_5_000_accounts_are_planned(slapd: SlapdUnderTest, fresh_database: str) -> None:
    async with stock(slapd, fresh_database) as here:
        await here.registered(PEOPLE)
        await here.filled(marked=False)
        gate = Gate(OpenLdapAccounts(here.directory, here.bases), Rules(places=here.bases))
        run = TakeoverRun(TARGET, gate, await here.reader(), here.database)
        reader = Readings(here.database, {(Why.TAKEOVER, TARGET): run}, 24, lambda: None)
        with figures.chapter(f"Take-over, {PEOPLE:,} accounts in OpenLDAP"):
            async with here.database.transaction() as conn:
                await leases.ask(conn, TARGET, "alvsund", Why.TAKEOVER, "test")
            began = time.perf_counter()
            assert await reader.once()
            figures.measured("read, matched and kept as a plan", f"{time.perf_counter() - began:.1f} s", "120 s")
        async with here.database.transaction() as conn:
            plan = await takeover.newest(conn, "alvsund", TARGET)
            assert plan is not None
            counts = await takeover.progress(conn, "alvsund", TARGET, plan.id)
        assert counts["certain"]["rows"] == PEOPLE
