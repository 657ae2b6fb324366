"""A real directory with units, for every kind that there is, and hands in it that are not ours."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.kernel.directory import (
    Directory,
    Entry,
    Modification,
    Operation,
    Scope,
    any_of,
    equals,
    escape_rdn,
    present,
)
from services.kernel.distinguished import normalised
from services.kernel.marks import Mark
from services.orgtree.adapters.active_directory import ActiveDirectoryUnits
from services.orgtree.adapters.openldap import OpenLdapUnits
from services.orgtree.domain.projection import Kind, Wanted
from services.orgtree.ports import Found, Key, Lookup, Observed, Reference, Stamp, UnitDirectory
from tests.integration.accounts.harness import access
from tests.support.servers import SambaUnderTest, SlapdUnderTest

ORGANISATION = "alvsund"
KINDS = {"openldap": "slapd", "active_directory": "samba"}
"""What kinds of directories there are, and the fixture of each one's server."""
ODD = "12/3:4, 5"
TITLE = 'Skola, vård + "omsorg" #1 åäö'


@dataclass
class Subject:
    """A directory under test, and hands that are not ours.

    `version`: the attribute that the server raises at every write; `mark`: the one that holds the mark.
    """

    units: UnitDirectory
    hand: Directory
    base: str
    identity: str
    version: str
    mark: str
    windows: bool = False

    async def versions(self) -> dict[str, str]:
        """Return how often everything was written, as the server has it."""
        found = await self.hand.search(self.base, present("objectClass"), [self.version])
        return {entry.dn: entry.first(self.version) or "" for entry in found}

    async def read(self, dn: str, *attributes: str) -> Entry:
        (found,) = await self.hand.search(dn, present("objectClass"), attributes, scope=Scope.BASE)
        return found

    async def put(self, dn: str, kind: Kind, **more: tuple[str, ...]) -> None:
        """Make something that is not ours."""
        if kind is Kind.ENTRY:
            await self.hand.add(dn, ["organizationalUnit"], more, subject="test")
        elif self.windows:
            await self.hand.add(dn, ["group"], more, subject="test")
        else:
            await self.hand.add(dn, ["groupOfNames"], {"member": (dn,), **more}, subject="test")

    async def person(self, login: str) -> str:
        """Make somebody, and return the immutable id."""
        dn = f"{'CN' if self.windows else 'uid'}={escape_rdn(login)},ou=people,{self.base}"
        classes = ["user"] if self.windows else ["inetOrgPerson"]
        plain = "".join(letter for letter in login if letter.isalnum())
        about = {"sAMAccountName": (plain,)} if self.windows else {"uid": (login,), "cn": (login,), "sn": (login,)}
        await self.hand.add(dn, classes, about, subject="test")
        return (await self.read(dn, self.identity)).first(self.identity) or ""

    async def replace(self, dn: str, attribute: str, *values: str) -> None:
        await self.hand.modify(dn, [Modification(Operation.REPLACE, attribute, values)], subject="test")

    def named(self, kind: Kind, name: str) -> str:
        """Return where something with a name stands by default."""
        rdn, place = ("ou", "units") if kind is Kind.ENTRY else ("cn", "groups")
        return f"{rdn}={escape_rdn(name)},ou={place},{self.base}"


@asynccontextmanager
async def unit_directory(server: SlapdUnderTest | SambaUnderTest) -> AsyncIterator[Subject]:
    """Yield the adapter for a kind of directory, on an emptied place."""
    if isinstance(server, SlapdUnderTest):
        directory, base = Directory(access(server)), server.suffixes[0]
        units: UnitDirectory = OpenLdapUnits(directory, {ORGANISATION: base})
        here = Subject(units, directory, base, "entryUUID", "entryCSN", "stafettMark")
    else:
        directory, base = Directory(server.access()), server.bases[0]
        units = ActiveDirectoryUnits(directory, {ORGANISATION: base})
        here = Subject(units, directory, base, "objectGUID", "uSNChanged", "adminDescription", windows=True)
    await emptied(here)
    yield here
    await emptied(here)
    await directory.close()


async def emptied(here: Subject) -> None:
    """Delete all groups, then people and units, the lowest first: whoever is deleted is taken out of groups."""
    await _deleted(here, "groupOfNames", "group")
    await _deleted(here, "organizationalUnit", "inetOrgPerson", "user", "contact")


async def _deleted(here: Subject, *kinds: str) -> None:
    found = await here.hand.search(here.base, any_of(*(equals("objectClass", kind) for kind in kinds)), ["1.1"])
    kept = {normalised(f"ou={name},{here.base}") for name in ("people", "units", "groups", "policies")}
    kept |= {normalised(here.base), normalised(f"cn=rektorer,ou=groups,{here.base}")}
    for entry in sorted(found, key=lambda one: -normalised(one.dn).count(",")):
        if normalised(entry.dn) not in kept:
            await here.hand.delete(entry.dn, subject="test")


def key(unit: str, kind: Kind = Kind.ENTRY) -> Key:
    return Key(ORGANISATION, unit, kind)


def name_of(unit: str, kind: Kind = Kind.ENTRY) -> str:
    return unit if kind is Kind.ENTRY else f"enhet-{unit}-{kind}"


def names(unit: str) -> dict[Kind, str]:
    return {kind: name_of(unit, kind) for kind in Kind}


def stamp(epoch: int, generation: int = 1) -> Stamp:
    return Stamp(Mark(generation, epoch))


async def find(here: Subject, unit: str, /, **known: str) -> Found:
    lookup = Lookup(unit, names(unit), {Kind(kind): entry for kind, entry in known.items()})
    return (await here.units.find(ORGANISATION, [lookup]))[unit]


async def put(
    here: Subject, unit: str, kind: Kind = Kind.ENTRY, *, above: Observed | None = None, epoch: int = 1
) -> Observed:
    wanted = Wanted(name_of(unit, kind), TITLE)
    return await here.units.put(key(unit, kind), wanted, stamp(epoch), above)


async def crowd(here: Subject, size: int) -> Sequence[Reference]:
    """Return so many that can be members; slapd does not ask whether they are there."""
    dns = [f"cn=m{number},ou=people,{here.base}" for number in range(size)]
    if here.windows:
        for dn in dns:
            await here.hand.add(dn, ["contact"], {}, subject="test")
    return [Reference(dn) for dn in dns]


async def placed(here: Subject, login: str) -> str:
    """Make somebody and return where they stand."""
    entry = await here.person(login)
    (reference,) = (await here.units.references(ORGANISATION, [entry])).values()
    return reference.name


async def members(here: Subject, group: Observed) -> frozenset[Reference]:
    return frozenset([one async for page in here.units.all_members(group) for one in page])
