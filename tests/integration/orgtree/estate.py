"""A hall whose units stand in real directories, and how they stand there by the directory's own word."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from ldap3.utils.dn import parse_dn

from contracts.person import Assignment, CoreRecord, Employment
from contracts.registry import SERVICE_EVALUATED
from services.kernel.directory import any_of, equals
from services.kernel.distinguished import normalised
from services.kernel.gate import Rules
from services.orgtree.domain.projection import Kind, Layout
from tests.integration.orgtree.harness import Hall, Site, hall
from tests.support.office import TODAY, employment, record
from tests.support.servers import SambaUnderTest, SlapdUnderTest
from tests.support.units import ORGANISATION, Subject, unit_directory

TARGET = "directory"
OPEN = Rules()
GROUPED = Layout(ORGANISATION)
NESTED = Layout(ORGANISATION, frozenset(Kind), nested=True)


def job(unit: str, first: date = TODAY - timedelta(days=100), last: date | None = None, **values: Any) -> Employment:
    """Return an employment in a unit."""
    return employment(first, last, assignments=(Assignment(unit=unit, valid_from=first, valid_to=last),), **values)


@dataclass
class Estate:
    """One organisation of orgtree, and one directory."""

    here: Hall
    subject: Subject
    layout: Layout

    async def hire(self, *jobs: Employment, account: bool = True, name: str | None = None) -> UUID:
        """Have somebody recorded, with an account that is there and told; `name`: its login, where that matters."""
        person = uuid4()
        await self.here.tell(person, 1, record(*jobs))
        if account:
            entry = await self.subject.person(name or login(person))
            await self.here.tell_account(person, TARGET, entry)
        return person

    async def changes(self, person: UUID, revision: int, core: CoreRecord) -> None:
        """Have a record changed, and wait."""
        await self.here.tell(person, revision, core)
        await self.here.converged()

    async def tree(self) -> dict[str, str]:
        """Return where each unit's entry stands, by its id: the names from the root to it."""
        base = f"{'OU' if self.subject.windows else 'ou'}=units,{self.subject.base}"
        found = await self._objects(Kind.ENTRY)
        return {unit: "/".join(_names(dn, base)) for unit, (dn, _) in found.items()}

    async def titles(self, kind: Kind = Kind.ENTRY) -> dict[str, str | None]:
        """Return what people read, by unit."""
        return {unit: title for unit, (_, title) in (await self._objects(kind)).items()}

    async def groups(self, kind: Kind) -> dict[str, frozenset[str]]:
        """Return the members of each unit's group: people's logins, units of groups."""
        people = {
            entry.dn: _first(entry.dn)
            for entry in await self.subject.hand.search(
                self.subject.base,
                any_of(equals("objectClass", "inetOrgPerson"), equals("objectClass", "user")),
                ["1.1"],
            )
        }
        known = {normalised(dn): name for dn, name in people.items()}
        for other in (Kind.UNIT, Kind.ROLLUP):
            known |= {normalised(dn): f"{other}:{unit}" for unit, (dn, _) in (await self._objects(other)).items()}
        found = {}
        for unit, (dn, _) in (await self._objects(kind)).items():
            members = [value async for values in self.subject.hand.values(dn, "member") for value in values]
            found[unit] = frozenset(known[normalised(one)] for one in members if normalised(one) != normalised(dn))
        return found

    async def steps(self, person: UUID) -> dict[str, tuple[str, str | None]]:
        """Return code to state and reason, as said last of the memberships."""
        said = [one for one in await self.here.said(SERVICE_EVALUATED, person) if one["target"] == TARGET]
        return {step["code"]: (step["state"], (step.get("problem") or {}).get("code")) for step in said[-1]["steps"]}

    async def problems(self) -> dict[str, str]:
        """Return the reason for each unit that does not stand as it shall."""
        return await self.here.hindrances()

    async def _objects(self, kind: Kind) -> dict[str, tuple[str, str | None]]:
        found: dict[str, tuple[str, str | None]] = {}
        async for page in self.subject.units.pages(ORGANISATION):
            for one in page:
                if one.key.kind is kind:
                    assert one.key.unit not in found, "one object for each"
                    found[one.key.unit] = (one.place, one.title)
        return found


@asynccontextmanager
async def estate(
    admin_url: str, server: SlapdUnderTest | SambaUnderTest, layout: Layout = NESTED, rules: Rules = OPEN
) -> AsyncIterator[Estate]:
    """Run orgtree over an emptied directory."""
    async with unit_directory(server) as subject, hall(admin_url, Site(TARGET, subject.units, layout, rules)) as here:
        yield Estate(here, subject, layout)


def login(person: UUID) -> str:
    """Return the login of somebody who was hired here."""
    return person.hex[:12]


def _first(dn: str) -> str:
    return dn.partition(",")[0].partition("=")[2]


def _names(dn: str, base: str) -> list[str]:
    """Return the names from the root of units to an entry."""
    parts, above = parse_dn(dn), parse_dn(base)
    assert [part[:2] for part in above] == [part[:2] for part in parts[-len(above) :]], dn
    return [value for _, value, _ in reversed(parts[: -len(above)])]
