"""Accounts on a real PostgreSQL and a real slapd: intake, executor and performer, without the broker."""

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from typing_extensions import override

from contracts.organisation import EffectiveUnit, UnitChanged
from contracts.person import UnitRecord
from contracts.registry import UNIT_CHANGED
from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.domain.names import Blocklist
from services.accounts.domain.other_hand import Rule
from services.accounts.handlers.gate import Gate
from services.accounts.handlers.intake import AccountIntake
from services.accounts.handlers.managing import Followers
from services.accounts.handlers.performer import AccountPerformer
from services.accounts.handlers.situation import BIRTHRIGHT, NAMES, TABLE, Reader, wants
from services.accounts.ports import AccountDirectory
from services.accounts.settings import BLOCKLIST
from services.accounts.store.ledger import DatabaseLedger, Wants
from services.kernel.database import Database
from services.kernel.directory import Directory, DirectoryAccess, Entry, equals
from services.kernel.erasure import ErasureKey
from services.kernel.executor import Executor
from services.kernel.gate import Mode, Rules
from services.kernel.policy import PolicyBook
from services.kernel.settings import OrganisationSettings, load_organisations
from services.orgtree.domain.effective import in_effect
from services.orgtree.domain.periods import Line
from services.orgtree.domain.tree import tree
from tests.support.kernel import ROOT, background, database_url, migrated
from tests.support.office import TODAY, Office
from tests.support.servers import SlapdUnderTest

TARGET = "openldap"
SECRET = "Sommar-2027!"
KEY = ErasureKey("what names of erased people are hashed with")


@dataclass(kw_only=True)
class AccountOffice(Office):
    """An office of accounts, wherever they stand; what HR says of units is told by orgtree's word for it."""

    recorded: dict[str, Line] = field(default_factory=dict)
    effective: dict[str, tuple[EffectiveUnit | None, str | None]] = field(default_factory=dict)
    version: int = 0

    @property
    @override
    def intake(self) -> AccountIntake:
        """What takes messages in."""
        return AccountIntake({one.key: tuple(one.targets) for one in self.organisations.values()})

    @override
    async def tell_units(self, units: Mapping[str, Mapping[str, Any]], revision: int = 1) -> None:
        """Have orgtree say what these units come to, beside those that it was told of before."""
        del revision
        self.recorded |= {
            unit: Line.of(unit, 1, UnitRecord(**{"valid_from": date(2020, 1, 1), **values}))
            for unit, values in units.items()
        }
        found = in_effect(tree(self.recorded, TODAY), self.recorded, lambda person: person)
        self.version += 1
        said = {unit: (found.units.get(unit), found.moved.get(unit)) for unit in self.recorded}
        told = [
            UnitChanged(
                organisation=self.organisation, unit=unit, version=self.version, record_revision=1,
                effective_at=self.told, changed_at=self.told, record=record, moved=moved,
            )
            for unit, (record, moved) in said.items()
            if self.effective.get(unit, ()) != (record, moved)
        ]  # fmt: skip
        self.effective = said
        await self._take_in(self.intake.unit_changed, UNIT_CHANGED, *[(one, one.unit) for one in told])

    @property
    def followers(self) -> Followers:
        """Who wakes whom a manager leads; it does not run by itself."""
        return Followers(self.database, lambda: None, longest_pass=30)

    @override
    async def converged(self, seconds: float = 20) -> None:
        """Wait until no work is wanted, due, or leased, and nobody's manager has to be looked at."""
        await super().converged(seconds)
        while await self.rows(
            "SELECT 1 FROM manager_news WHERE NOT spread UNION ALL"
            " SELECT 1 FROM manager_look WHERE at <= clock_timestamp() LIMIT 1"
        ):
            await self.followers.once()
            await super().converged(seconds)


@dataclass(kw_only=True)
class Town(AccountOffice):
    """An office with a directory."""

    directory: Directory
    slapd: SlapdUnderTest

    @property
    def base(self) -> str:
        """The organisation's tree."""
        return self.organisations[self.organisation].targets[TARGET]

    async def entry(self, person: UUID, target: str = TARGET) -> Entry | None:
        """Read the person's entry, whatever the service thinks."""
        attributes = ["*", "pwdEndTime", "entryUUID", "modifyTimestamp"]
        base = self.organisations[self.organisation].targets[target]
        found = await self.directory.search(base, equals("stafettPerson", str(person)), attributes)
        assert len(found) < 2
        return found[0] if found else None

    def set_password(self, dn: str) -> None:
        """Give the user a password, as the organisation's administrator does."""
        subprocess.run(
            ["ldappasswd", "-x", "-H", self.slapd.url, "-D", self.slapd.admin_dn(self.base), "-w",
             self.slapd.admin_password, "-s", SECRET, dn],
            check=True, capture_output=True,
        )  # fmt: skip

    def ldif(self, condition: str) -> str:
        """Return what ldapsearch shows of the entries below the base, with base64 decoded: none of our code."""
        done = subprocess.run(
            ["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", self.slapd.url, "-D",
             self.slapd.admin_dn(self.base), "-w", self.slapd.admin_password, "-b", self.base, condition, "*", "+"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        lines = [line.partition(":: ") for line in done.stdout.strip().splitlines()]
        return "\n".join(f"{name}: {base64.b64decode(text).decode()}" if text else name for name, _, text in lines)

    def can_log_in(self, dn: str) -> bool:
        """Tell whether the user can log in: ldapwhoami, none of our code."""
        done = subprocess.run(
            ["ldapwhoami", "-x", "-H", self.slapd.url, "-D", dn, "-w", SECRET], check=False, capture_output=True
        )
        assert done.returncode in {0, 49}, done.stderr
        return done.returncode == 0

    async def writes(self) -> int:
        """Return how many writes the server has completed: its own counters."""
        entries = [
            await self.directory.search(
                f"cn={kind},cn=Operations,cn=Monitor", "(objectClass=*)", ["monitorOpCompleted"]
            )
            for kind in ("Add", "Modify", "Delete", "Modrdn")
        ]
        return sum(int(found[0].first("monitorOpCompleted") or 0) for found in entries)


@asynccontextmanager
async def town(
    slapd: SlapdUnderTest,
    admin_url: str,
    *,
    guard_limit: int = 50,
    policy_dir: Path = ROOT / "deploy/policy",
    second: str | None = None,
    mode: Mode = Mode.WRITE,
    staged: bool = False,
) -> AsyncIterator[Town]:
    """Run accounts for `alvsund` on an emptied tree, with business time at TODAY noon.

    With a `second` target its people have accounts in the other tree too.
    """
    await asyncio.to_thread(migrated, admin_url)
    database = Database(database_url(admin_url, "accounts"), name="accounts")
    directory = Directory(access(slapd))
    await database.open()
    try:
        organisations = organisations_of(slapd, guard_limit)
        here = Town(database=database, organisations=organisations, directory=directory, slapd=slapd)
        if second is not None:
            own = here.organisations["alvsund"]
            both = {**own.targets, second: here.organisations.pop("bergby").targets[TARGET]}
            here.organisations["alvsund"] = replace(own, targets=both)
        for base in slapd.suffixes:
            await clear(directory, base)
        gates = {
            target: gate(here, target, OpenLdapAccounts(directory, _bases(here, target)), Rules(mode))
            for target in here.organisations["alvsund"].targets
        }
        async with working(here, gates, policy_dir, staged=staged):
            yield here
    finally:
        await directory.close()
        await database.close()


def organisations_of(slapd: SlapdUnderTest, guard_limit: int) -> dict[str, OrganisationSettings]:
    """Return the delivered organisations, each with a tree of the directory under test."""
    loaded = load_organisations(ROOT / "deploy/local/organisations.toml")
    return {
        key: replace(value, targets={TARGET: base}, guard_limit=guard_limit, guard_share=0.0)
        for (key, value), base in zip(sorted(loaded.items()), slapd.suffixes, strict=True)
    }


@asynccontextmanager
async def working(
    here: Office, gates: Mapping[str, Gate], policy_dir: Path = ROOT / "deploy/policy", *, staged: bool = False
) -> AsyncIterator[None]:
    """Run an executor for each target, with business time at TODAY noon."""
    async with AsyncExitStack() as running:
        for target, behind in gates.items():
            performer = await _performer(here, policy_dir, target, behind, staged=staged)
            executor = Executor(
                target, performer, here.database, generation=1, lease_seconds=30,
                slots=32, reserved_express=4, on_commit=lambda: None, crash=lambda _point: None,
            )  # fmt: skip
            _ = await running.enter_async_context(background(executor.run()))
        await here.at(datetime(TODAY.year, TODAY.month, TODAY.day, 11, tzinfo=UTC))
        yield


def gate(here: Office, target: str, accounts: AccountDirectory, rules: Rules) -> Gate:
    """Return the gate to a target, with each organisation's place."""
    return Gate(accounts, replace(rules, places=_bases(here, target)))


def _bases(here: Office, target: str) -> dict[str, str]:
    return {key: value.targets[target] for key, value in here.organisations.items()}


async def reader(
    here: Office, policy_dir: Path, target: str, *, staged: bool = False, rules: Mapping[str, Rule] | None = None
) -> Reader:
    """Return what reads situations, wired as bootstrap does."""
    policy = PolicyBook(policy_dir, sorted(here.organisations))
    async with here.database.transaction() as conn:
        for table in (TABLE, *(name for name in (BIRTHRIGHT, NAMES) if policy.offers(name))):
            await policy.start(conn, table)
    return Reader(target, here.organisations, policy, _wants(here), staged=staged, rules=rules)


async def _performer(here: Office, policy_dir: Path, target: str, behind: Gate, *, staged: bool) -> AccountPerformer:
    ledger = DatabaseLedger(here.database, here.organisations, _wants(here), "urn:test", KEY)
    return AccountPerformer(behind, ledger, await reader(here, policy_dir, target, staged=staged))


def _wants(here: Office) -> Wants:
    return wants(here.organisations, Blocklist.parse(BLOCKLIST.read_text(encoding="utf-8")), KEY)


def access(slapd: SlapdUnderTest, **values: Any) -> DirectoryAccess:
    """Return the service's access to the directory under test."""
    return DirectoryAccess(slapd.url, slapd.service_dn, slapd.service_password, **values)


async def clear(directory: Directory, base: str) -> None:
    """Delete all people of a tree."""
    for entry in await directory.search(base, "(objectClass=inetOrgPerson)", ["1.1"]):
        await directory.delete(entry.dn, subject="test")
