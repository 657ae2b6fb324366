"""Units in Active Directory: what another directory does not have."""

from collections.abc import AsyncIterator

import pytest

from services.kernel.directory import Directory, Scope, all_of, any_of, equals, present
from services.kernel.failures import Permanent
from services.kernel.marks import Mark
from services.orgtree.adapters.active_directory import ActiveDirectoryUnits
from services.orgtree.adapters.windows_names import account_name
from services.orgtree.domain.projection import Kind, Wanted
from services.orgtree.ports import Key, Lookup, Observed, Reference, Stamp
from tests.support.servers import SambaUnderTest

ORGANISATION = "alvsund"
KINDS = ("user", "contact")
IN_CHAIN = "memberOf:1.2.840.113556.1.4.1941:"


@pytest.fixture
async def directory(samba: SambaUnderTest) -> AsyncIterator[Directory]:
    here, base = Directory(samba.access()), samba.bases[0]
    yield here
    # groups first: whoever is deleted is taken out of those that still stand
    for leftovers in (equals("objectClass", "group"), any_of(*(equals("objectClass", kind) for kind in KINDS))):
        for entry in await here.search(base, leftovers, ["1.1"]):
            await here.delete(entry.dn, subject="test")
    await here.close()


@pytest.fixture
def base(samba: SambaUnderTest) -> str:
    return samba.bases[0]


@pytest.fixture
def units(directory: Directory, base: str) -> ActiveDirectoryUnits:
    return ActiveDirectoryUnits(directory, {ORGANISATION: base})


def stamp(epoch: int) -> Stamp:
    return Stamp(Mark(1, epoch))


async def put(units: ActiveDirectoryUnits, unit: str, kind: Kind, title: str = "Skolan") -> Observed:
    return await units.put(Key(ORGANISATION, unit, kind), Wanted(f"{unit}-{kind}", title), stamp(1))


async def values(directory: Directory, dn: str, attribute: str) -> tuple[str, ...]:
    (entry,) = await directory.search(dn, present("objectClass"), [attribute], scope=Scope.BASE)
    return entry.values(attribute)


def test_without_encryption_nothing_is_begun(samba: SambaUnderTest) -> None:
    with pytest.raises(ValueError, match="ldaps"):
        ActiveDirectoryUnits(Directory(samba.access(active_directory=False)), {})


@pytest.mark.slow
async def test_a_group_of_thousands_is_read_in_ranges(
    directory: Directory, units: ActiveDirectoryUnits, base: str
) -> None:
    group = await put(units, "1", Kind.UNIT)
    dns = [f"CN=k{number},OU=people,{base}" for number in range(3_200)]
    for dn in dns:
        await directory.add(dn, ["contact"], {}, subject="test")
    many = [Reference(dn) for dn in dns]
    await units.join(group, many)
    sizes = [len(some) async for some in directory.values(group.handle, "member")]
    assert sizes == [1_500, 1_500, 200]
    found = [one async for page in units.all_members(group) for one in page]
    assert (frozenset(found), len(found)) == (frozenset(many), 3_200)


async def test_a_roll_up_gives_what_it_has_to_the_people_of_the_groups_within(
    directory: Directory, units: ActiveDirectoryUnits, base: str
) -> None:
    top, middle = await put(units, "1", Kind.ROLLUP), await put(units, "2", Kind.ROLLUP)
    lowest, anna = await put(units, "2", Kind.UNIT), f"CN=anna,OU=people,{base}"
    await directory.add(anna, ["user"], {"sAMAccountName": ("anna",)}, subject="test")
    await units.join(lowest, [Reference(anna)])
    middle = await units.nest(middle, [lowest], stamp(2))
    await units.nest(top, [middle], stamp(2))
    within = all_of(equals("objectClass", "user"), equals(IN_CHAIN, top.place))
    assert [entry.dn for entry in await directory.search(base, within, ["1.1"])] == [anna]
    assert await values(directory, top.place, "groupType") == ("-2147483646",)


async def test_a_group_whose_name_a_domain_refuses_has_another_in_the_domain(
    directory: Directory, units: ActiveDirectoryUnits
) -> None:
    group = await put(units, "12/3:4, 5", Kind.MANAGERS)
    account = account_name(group.name)
    assert account != group.name
    assert await values(directory, group.place, "sAMAccountName") == (account,)
    changed = account.replace("12", "13")
    await units._directory.modify(group.handle, units._renamed(Kind.MANAGERS, changed), subject="test")
    lookup = Lookup("12/3:4, 5", {Kind.MANAGERS: group.name}, {Kind.MANAGERS: group.entry})
    (seen,) = (await units.find(ORGANISATION, [lookup]))["12/3:4, 5"].mine.values()
    assert not units.stands(seen, group.name)
    back = await units.move(seen, group.name, stamp(2))
    assert units.stands(back, group.name)
    assert await values(directory, group.place, "sAMAccountName") == (account,)


async def test_a_name_that_somebody_has_elsewhere_in_the_domain_is_told(
    directory: Directory, units: ActiveDirectoryUnits, base: str
) -> None:
    await directory.add(f"CN=x,OU=people,{base}", ["group"], {"sAMAccountName": ("1-unit",)}, subject="test")
    with pytest.raises(Permanent) as refused:
        await put(units, "1", Kind.UNIT)
    assert refused.value.code == "unit.foreign"


async def test_what_has_something_else_in_the_marks_place_is_not_adopted(
    directory: Directory, units: ActiveDirectoryUnits, base: str
) -> None:
    about = {"sAMAccountName": ("1-unit",), "adminDescription": ("kostnadsställe 17",)}
    await directory.add(f"CN=1-unit,OU=groups,{base}", ["group"], about, subject="test")
    found = (await units.find(ORGANISATION, [Lookup("1", {Kind.UNIT: "1-unit"})]))["1"]
    with pytest.raises(Permanent) as refused:
        await units.adopt(found.unmanaged[Kind.UNIT], stamp(1))
    assert (refused.value.code, refused.value.parameters) == ("unit.mark_taken", {"attribute": "adminDescription"})


async def test_what_is_too_long_is_refused_or_cut(units: ActiveDirectoryUnits) -> None:
    with pytest.raises(Permanent) as refused:
        await units.put(Key(ORGANISATION, "1", Kind.ENTRY), Wanted("x" * 65, "Skolan"), stamp(1))
    assert refused.value.code == "unit.name_unusable"
    there = await put(units, "1", Kind.UNIT, title="å" * 400)
    assert there.title == "å" * 256
    assert await units.change(there, "å" * 400, stamp(2)) == there
