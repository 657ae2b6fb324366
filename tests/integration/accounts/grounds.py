"""Three targets to try the same on, and an office whose people have their accounts in one of them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from services.accounts.domain.other_hand import Rule
from services.accounts.handlers.drift import DriftRun
from services.accounts.handlers.gate import Gate
from services.accounts.handlers.takeover import TakeoverRun
from services.kernel.database import Database
from services.kernel.gate import Rules
from services.kernel.readings import leases
from services.kernel.readings.leases import Why
from services.kernel.readings.rounds import Readings
from services.kernel.settings import load_organisations
from tests.integration.accounts.hands import ORGANISATION, ActiveDirectory, Entra, Ground, Ldap, OpenLdap
from tests.integration.accounts.harness import AccountOffice, gate, reader, working
from tests.support.entra import graph_under_test
from tests.support.kernel import ROOT, database_url, migrated
from tests.support.office import Office

KINDS = ("openldap", "active_directory", "entra")
POLICY = ROOT / "deploy/policy"


@asynccontextmanager
async def ground_under_test(kind: str, request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Ground]:
    """Give a target, emptied afterwards."""
    if kind == "entra":
        async with graph_under_test(folder) as simulator:
            tenant = Entra(simulator)
            try:
                yield tenant
            finally:
                await tenant.aclose()
        return
    server = request.getfixturevalue("slapd" if kind == "openldap" else "samba")
    ground: Ldap = OpenLdap(server) if kind == "openldap" else ActiveDirectory(server)
    for account in await ground.entries("(|(objectClass=inetOrgPerson)(objectClass=user))"):
        await ground.delete(account["dn"])
    try:
        yield ground
    finally:
        await ground.aclose()


@asynccontextmanager
async def office_on(
    ground: Ground, admin_url: str, *, staged: bool = False, subtrees: tuple[str, ...] = ()
) -> AsyncIterator[Office]:
    """Run accounts for `alvsund` on a target."""
    await asyncio.to_thread(migrated, admin_url)
    database = Database(database_url(admin_url, "accounts"), name="accounts")
    await database.open()
    try:
        own = load_organisations(ROOT / "deploy/local/organisations.toml")[ORGANISATION]
        own = replace(own, targets={ground.target: ground.place}, guard_limit=50, guard_share=0.0)
        here = AccountOffice(database=database, organisations={ORGANISATION: own})
        behind = gate(here, ground.target, ground.accounts, Rules(subtrees=subtrees))
        async with working(here, {ground.target: behind}, staged=staged):
            await here.tell_unit("100", "Björkskolan")
            yield here
    finally:
        await database.close()


async def read_whole(here: Office, ground: Ground, why: Why, *, staged: bool = False, **rules: Rule) -> None:
    """Have the target read once, as the service's loop does."""
    behind: Gate = gate(here, ground.target, ground.accounts, Rules())
    seeing = await reader(here, POLICY, ground.target, staged=staged, rules=rules)
    runs = DriftRun if why is Why.DRIFT else TakeoverRun
    run = runs(ground.target, behind, seeing, here.database)
    async with here.database.transaction() as conn:
        await leases.ask(conn, ground.target, ORGANISATION, why, "test")
    assert await Readings(here.database, {(why, ground.target): run}, 24, lambda: None).once()
    assert await here.rows("SELECT problem FROM reading WHERE kind = %s", why.value) == [(None,)]


def family() -> str:
    """Return a name that nobody has had: what was deleted in a domain keeps its names for long."""
    return "".join(random.choices("bdfgklmnrst", k=10)).capitalize()  # noqa: S311 - a name
