"""Units in OpenLDAP: what another directory does not have, and what other services do beside it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from typing_extensions import override

from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.domain.plan import Change, Create
from services.accounts.ports import Stamp as AccountStamp
from services.kernel.directory import Directory, DirectoryAccess, Scope, equals, present
from services.kernel.failures import Permanent, StaleLease, Waiting
from services.kernel.marks import Mark
from services.orgtree.adapters.openldap import OpenLdapUnits
from services.orgtree.domain.projection import Kind, Wanted
from services.orgtree.ports import Key, Lookup, Observed, Reference, Stamp
from tests.integration.accounts.harness import access
from tests.support.servers import SlapdUnderTest

ORGANISATION = "alvsund"


class Overtaken(Directory):
    """A directory in which something else happens just before an object is renamed."""

    def __init__(self, access: DirectoryAccess) -> None:
        super().__init__(access)
        self.before: Callable[[], Awaitable[object]] | None = None

    @override
    async def rename(self, dn: str, rdn: str, **options: Any) -> None:
        if self.before is not None:
            await self.before()
        await super().rename(dn, rdn, **options)


@pytest.fixture
async def directory(slapd: SlapdUnderTest) -> AsyncIterator[Overtaken]:
    here = Overtaken(access(slapd))
    yield here
    for base in slapd.suffixes:
        found = await here.search(base, "(|(stafettUnit=*)(uid=*))", ["1.1"])
        for entry in sorted(found, key=lambda one: -len(one.dn)):
            await here.delete(entry.dn, subject="test")
    await here.close()


@pytest.fixture
def base(slapd: SlapdUnderTest) -> str:
    return slapd.suffixes[0]


def stamp(epoch: int) -> Stamp:
    return Stamp(Mark(1, epoch))


async def put(units: OpenLdapUnits, unit: str, kind: Kind = Kind.ENTRY, above: Observed | None = None) -> Observed:
    name = unit if kind is Kind.ENTRY else f"{unit}-{kind}"
    return await units.put(Key(ORGANISATION, unit, kind), Wanted(name, "Skolan"), stamp(1), above)


async def values(directory: Directory, dn: str, attribute: str) -> tuple[str, ...]:
    (entry,) = await directory.search(dn, present("objectClass"), [attribute], scope=Scope.BASE)
    return entry.values(attribute)


async def test_a_pass_that_is_overtaken_between_its_mark_and_its_move_moves_nothing(
    directory: Overtaken, base: str
) -> None:
    units = OpenLdapUnits(directory, {ORGANISATION: base})
    above, seen = await put(units, "1"), await put(units, "2")

    async def take() -> None:
        current = (await units.find(ORGANISATION, [Lookup("2", {})]))["2"].mine[Kind.ENTRY]
        await units.take(current, stamp(9))

    directory.before = take
    with pytest.raises(StaleLease):
        await units.move(seen, "2", stamp(2), above)
    (stood,) = (await units.find(ORGANISATION, [Lookup("2", {})]))["2"].mine.values()
    assert (stood.place, stood.mark) == (seen.place, Mark(1, 9))


async def test_a_group_without_members_holds_itself_or_the_placeholder(directory: Overtaken, base: str) -> None:
    nobody = f"cn=nobody,{base}"
    group = await put(OpenLdapUnits(directory, {ORGANISATION: base}), "1", Kind.UNIT)
    units = OpenLdapUnits(directory, {ORGANISATION: base}, placeholder=nobody)
    other = await put(units, "1", Kind.MANAGERS)
    assert await values(directory, group.place, "member") == (group.place,)
    assert await values(directory, other.place, "member") == (nobody,)
    for one in (group, other):
        assert [found async for page in units.all_members(one) for found in page] == []


async def test_a_person_who_signs_in_under_another_name_stays_in_the_units_group(
    directory: Overtaken, base: str
) -> None:
    units, accounts = OpenLdapUnits(directory, {ORGANISATION: base}), OpenLdapAccounts(directory, {ORGANISATION: base})
    group, person = await put(units, "1", Kind.UNIT), uuid4()
    account = await accounts.add(
        "anna", Create(True, {"cn": ("Anna",), "sn": ("A",)}), AccountStamp(ORGANISATION, person, Mark(1, 1), 1)
    )
    known = await units.references(ORGANISATION, [account.entry])
    await units.join(group, known.values())
    renamed = await accounts.change(
        account, Change({}, login="anna.berg"), AccountStamp(ORGANISATION, person, Mark(1, 2), 2)
    )
    now = await units.references(ORGANISATION, [renamed.entry])
    assert now[renamed.entry] == Reference(renamed.place or "") != known[account.entry]
    assert await units.holds(group, [*known.values(), *now.values()]) == frozenset(now.values())


async def test_what_carries_a_persons_mark_is_not_taken_for_unmanaged(directory: Overtaken, base: str) -> None:
    dn, owned = f"ou=9,ou=units,{base}", {"stafettPerson": (str(uuid4()),), "stafettOrganisation": (ORGANISATION,)}
    await directory.add(dn, ["organizationalUnit", "stafettManaged"], owned, subject="test")
    units = OpenLdapUnits(directory, {ORGANISATION: base})
    assert not (await units.find(ORGANISATION, [Lookup("9", {Kind.ENTRY: "9"})]))["9"].unmanaged
    with pytest.raises(Permanent) as refused:
        await put(units, "9")
    assert refused.value.code == "unit.foreign"
    await directory.delete(dn, subject="test")


async def test_organisations_in_one_tree_keep_their_units_apart(directory: Overtaken, base: str) -> None:
    units = OpenLdapUnits(directory, {ORGANISATION: base, "bergby": base})
    mine = await put(units, "1")
    theirs = await units.put(Key("bergby", "1", Kind.ENTRY), Wanted("bergby-1", "x"), stamp(1))
    for organisation, one in ((ORGANISATION, mine), ("bergby", theirs)):
        assert (await units.find(organisation, [Lookup("1", {})]))["1"].mine == {Kind.ENTRY: one}
        assert [found async for page in units.pages(organisation) for found in page] == [one]
    with pytest.raises(Permanent) as refused:
        await units.put(Key("bergby", "2", Kind.ENTRY), Wanted("1", "x"), stamp(1))
    assert refused.value.code == "unit.foreign"


async def test_a_move_of_a_unit_moves_two_thousand_below_it_by_one_write(directory: Overtaken, base: str) -> None:
    units = OpenLdapUnits(directory, {ORGANISATION: base})
    old, new = await put(units, "gammal"), await put(units, "ny")
    top = await put(units, "topp", above=old)
    for number in range(2_000):
        await put(units, f"b{number}", above=top)
    before = await _writes(directory)
    moved = await units.move(top, "topp", stamp(2), new)
    assert await _writes(directory) - before == 2  # the mark, and the name
    below = await directory.search(moved.place, equals("objectClass", "organizationalUnit"), ["1.1"], scope=Scope.LEVEL)
    assert len(below) == 2_000
    with pytest.raises(Waiting):
        await units.remove(moved, stamp(2))


async def _writes(directory: Directory) -> int:
    """Return how many writes the server has completed: its own counters."""
    operations = await directory.search(
        "cn=Operations,cn=Monitor", present("objectClass"), ["cn", "monitorOpCompleted"]
    )
    written = {"Add", "Modify", "Delete", "Modrdn"}
    return sum(int(one.first("monitorOpCompleted") or 0) for one in operations if one.first("cn") in written)
