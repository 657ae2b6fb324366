"""The installation that the demo plays in: what `make up` runs, with doors, directories and the model's word."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from deploy.demo.business_clock import BusinessClock
from deploy.demo.dates import AFTERNOON, MORNING
from deploy.demo.directory import Directory, Ran
from deploy.demo.doors import Doors
from deploy.demo.elsewhere import Domain, Tenant
from deploy.demo.generator import Kind, Told, act_one, act_two
from deploy.demo.oracle import Oracle
from deploy.demo.units import ORGANISATIONS, Organisation, Unit
from deploy.local.issuer import ALL_SCOPES
from deploy.local.runtime import Runtime
from deploy.local.settings import ROOT
from deploy.local.targets import ACTIVE_DIRECTORY, ENTRA
from services.kernel.settings import load_organisations

POLICY = ROOT / "deploy" / "policy" / "accounts.json"
# The demo counts everybody; whoever may not see protected people would count one too few.
_SCOPES = (*ALL_SCOPES, "persons:read_protected")


@dataclass(frozen=True)
class UnitComparison:
    """Where units stand in the directory beside where HR says they are."""

    organisation: str
    ran: Ran
    expected: dict[str, str]
    found: dict[str, str]

    @property
    def differing(self) -> list[str]:
        """Units of which the two say different things; those that the demo has not told of are others'."""
        return sorted(unit for unit, place in self.expected.items() if self.found.get(unit) != place)

    @property
    def told(self) -> str:
        """Both in one line."""
        if self.differing:
            return f"{self.organisation}: these units do not stand where HR says: {', '.join(self.differing)}"
        return f"{self.organisation}: {len(self.expected):,} units stand where HR says, below each other"


@dataclass(frozen=True)
class Comparison:
    """The directory beside the model, at one instant: entries, let in and kept out, and who differs.

    `others` are the entries of people whom the demo has not sent; the model knows nothing of them.
    """

    organisation: str
    ran: Ran
    expected: dict[str, bool]
    found: dict[str, bool]
    others: int = 0

    @property
    def differing(self) -> list[str]:
        """Employee numbers of which the two say different things."""
        everybody = self.expected.keys() | self.found.keys()
        return sorted(number for number in everybody if self.expected.get(number) != self.found.get(number))

    @property
    def told(self) -> str:
        """Both in one line."""
        here, there = _counted(self.found), _counted(self.expected)
        if self.others:
            here += f" (and {self.others:,} of people who are not the demo's)"
        if not self.differing:
            return f"{self.organisation}: {here}; the model says the same, entry by entry"
        return f"{self.organisation}: {here}; the model says {there}; differing: {', '.join(self.differing[:8])}"


def _counted(accounts: dict[str, bool]) -> str:
    enabled = sum(accounts.values())
    return f"{len(accounts):,} entries, {enabled:,} enabled, {len(accounts) - enabled:,} disabled"


class House:
    """An installation that is up."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.installation = runtime.installation
        self.clock = BusinessClock(self.installation.postgres.url)
        self.acts: tuple[list[Told], list[Told]] = (
            [told for organisation in ORGANISATIONS for told in act_one(organisation)],
            act_two(),
        )

    @cached_property
    def folder(self) -> Path:
        """Where the demo keeps its own files."""
        return self.installation.folder / "demo"

    @cached_property
    def doors(self) -> dict[str, Doors]:
        """The public doors, by organisation."""
        ingestion, status = (self.installation.services[name].url for name in ("ingestion", "status"))
        mint = self.installation.issuer.mint
        return {
            one.key: Doors(one.key, ingestion, status, mint(one.key, _SCOPES, subject="demo")) for one in ORGANISATIONS
        }

    @cached_property
    def directories(self) -> dict[str, Directory]:
        """The directory's trees, by organisation."""
        settings = load_organisations(self.installation.organisations)
        slapd = self.installation.slapd
        return {one.key: Directory(slapd, settings[one.key].targets["openldap"], self.folder) for one in ORGANISATIONS}

    def employee_number(self, external_id: str) -> str:
        """Return a person's employee number, as HR said it."""
        people = (one.event["data"] for act in self.acts for one in act if one.kind is not Kind.UNIT)
        said = (each for data in people if data["externalId"] == external_id for each in data.get("employments", ()))
        return next(str(each["employeeNumber"]) for each in said if "employeeNumber" in each)

    @property
    def populated(self) -> bool:
        """Whether anybody is there."""
        return any(doors.summary()["work"]["expected"] for doors in self.doors.values())

    def compare(self, acts: int, at: datetime) -> list[Comparison]:
        """Compare every entry of the directory with what the first `acts` acts must have led to at `at`."""
        compared = []
        for key in self.directories:
            oracle = Oracle(key, POLICY)
            for act, came in zip(self.acts[:acts], (MORNING, AFTERNOON), strict=False):
                own_act = (one for one in act if one.organisation == key and one.kind is not Kind.UNIT)
                oracle.take((one.event for one in own_act), came)
            expected, own = oracle.accounts(at), self._numbers(key)
            for name, place in self._places(key).items():
                ran, found = place.accounts()
                here = {number: enabled for number, enabled in found.items() if number in own}
                compared.append(Comparison(f"{key}{name}", ran, expected, here, others=len(found) - len(here)))
        return compared

    def compare_units(self) -> list[UnitComparison]:
        """Compare where each unit stands in the directory with what HR said of it; the demo moves none."""
        compared = []
        for one in ORGANISATIONS:
            directory = self.directories[one.key]
            ran, found = directory.units()
            expected = {unit.id: directory.unit(*_path(one, unit)) for unit in one.units}
            compared.append(UnitComparison(one.key, ran, expected, found))
        return compared

    def _places(self, organisation: str) -> dict[str, Directory | Domain | Tenant]:
        """Return where its people have accounts, by what is said behind its name."""
        found: dict[str, Directory | Domain | Tenant] = {"": self.directories[organisation]}
        targets = load_organisations(self.installation.organisations)[organisation].targets
        if ACTIVE_DIRECTORY in targets:
            found[" in Active Directory"] = Domain(self.installation.samba, targets[ACTIVE_DIRECTORY], self.folder)
        if ENTRA in targets:
            found[" in Entra ID"] = Tenant(self.installation, targets[ENTRA])
        return found

    def _numbers(self, organisation: str) -> set[str]:
        told = (
            one for act in self.acts for one in act if one.organisation == organisation and one.kind is not Kind.UNIT
        )
        said = (each for one in told for each in one.event["data"].get("employments", ()))
        return {str(each["employeeNumber"]) for each in said if "employeeNumber" in each}


def _path(organisation: Organisation, unit: Unit) -> tuple[str, ...]:
    """Return the units from the root to this one."""
    above = () if unit.parent is None else _path(organisation, organisation.by_id[unit.parent])
    return (*above, unit.id)
