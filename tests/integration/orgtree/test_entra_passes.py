"""Units' groups and who is in them follow the tree in a tenant of Entra ID."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from contracts.person import Employment
from services.orgtree.adapters.entra_names import owner
from services.orgtree.domain.projection import Kind, Layout
from tests.integration.orgtree.estate import TARGET, job
from tests.integration.orgtree.harness import Hall, Site, hall
from tests.support.entra_units import TenantOfUnits, units_in_entra
from tests.support.kernel import eventually
from tests.support.office import record
from tests.support.units import ORGANISATION

LAYOUT = Layout(ORGANISATION, frozenset({Kind.UNIT, Kind.MANAGERS, Kind.ROLLUP}))
U, M, R = Kind.UNIT, Kind.MANAGERS, Kind.ROLLUP


@dataclass
class TenantEstate:
    """One organisation of orgtree, and one tenant."""

    office: Hall
    tenant: TenantOfUnits

    async def hire(self, login: str, *jobs: Employment) -> UUID:
        """Have somebody recorded, with a user that is there and told."""
        person = uuid4()
        await self.office.tell(person, 1, record(*jobs))
        await self.office.tell_account(person, TARGET, self.tenant.person(login))
        return person

    def groups(self, *kinds: Kind) -> dict[tuple[str, Kind], frozenset[str]]:
        """Return who is in each unit's groups: people's logins, keys of groups."""
        groups = self.tenant.groups()
        called = {one.id: str(one.properties["mailNickname"]) for one in self.tenant.simulator.users()}
        called |= {one.id: f"{key.kind}:{key.unit}" for text, one in groups.items() if (key := owner(text))}
        return {
            (key.unit, key.kind): frozenset(called[member] for member in one.members)
            for text, one in groups.items()
            if (key := owner(text)) and key.kind in kinds
        }


@pytest.fixture
async def here(fresh_database: str, tmp_path: Path) -> AsyncIterator[TenantEstate]:
    async with (
        units_in_entra(tmp_path) as tenant,
        hall(fresh_database, Site(TARGET, tenant.units, LAYOUT)) as office,
    ):
        yield TenantEstate(office, tenant)


async def test_groups_follow_the_tree_people_and_a_merge(here: TenantEstate) -> None:
    office = here.office
    boss = await here.hire("boss", job("10"))
    anna = await here.hire("anna", job("110"))
    await here.hire("bo", job("120"), job("10", extent=10.0))
    for unit in ("110", "120"):
        await office.tell_unit(unit, f"Enhet {unit}", parent="10")
    await office.tell_unit("10", "Skolorna", manager=boss)
    await office.converged()
    assert here.groups(U) == {("10", U): {"boss", "bo"}, ("110", U): {"anna"}, ("120", U): {"bo"}}
    assert here.groups(M)["10", M] == {"boss"}
    assert here.groups(R)["10", R] == {"unit:10", "rollup:110", "rollup:120"}
    assert await office.hindrances() == {}
    before = len(here.tenant.writes())
    await office.rows("UPDATE work SET wanted = wanted + 1 RETURNING 1")
    await office.converged()
    assert len(here.tenant.writes()) == before, "nothing to change writes nothing"
    await office.tell(anna, 2, record(job("120")))
    await office.tell_unit("110", "Nya enheten", 2, parent="120")
    await office.converged()
    assert here.groups(U)["110", U] == frozenset()
    assert here.groups(U)["120", U] == {"anna", "bo"}
    assert here.groups(R)["120", R] == {"unit:120", "rollup:110"}
    assert here.groups(R)["10", R] == {"unit:10", "rollup:120"}
    titles = {
        key.unit: one.properties["displayName"]
        for text, one in here.tenant.groups().items()
        if (key := owner(text)) and key.kind is U
    }
    assert titles["110"] == "Nya enheten"


async def test_answers_that_are_lost_and_a_tenant_that_lags_end_in_the_same_groups(here: TenantEstate) -> None:
    office, simulator = here.office, here.tenant.simulator
    simulator.fault("lost_answer", method="PATCH", path="*/groups*", rate=0.3, times=6, hang=0)
    simulator.fault("throttle", method="PATCH", path="*/groups*", rate=0.2, times=3, retry_after=0)
    above = {"1": None, "2": "1", "3": "1", "4": "1"}
    await office.tell_units({unit: {"name": f"Enhet {unit}", "parent": parent} for unit, parent in above.items()})
    for number in range(12):
        await here.hire(f"p{number}", job(str(1 + number % 4)))
    await eventually(lambda: _full(here), seconds=60)
    made = [one for one in here.tenant.writes() if "group.created" in one]
    assert len(made) == len(here.tenant.groups()) == 12, "none twice"
    await office.converged()
    assert await office.hindrances() == {}
    assert here.groups(R)["1", R] == {"unit:1", "rollup:2", "rollup:3", "rollup:4"}


async def _full(here: TenantEstate) -> bool:
    found = here.groups(U, R)
    people = frozenset().union(*(members for (_, kind), members in found.items() if kind is U))
    return len(people) == 12 and len(found.get(("1", R), ())) == 4


async def test_what_others_did_is_found_and_put_right(here: TenantEstate) -> None:
    office, tenant = here.office, here.tenant
    for unit in ("1", "2"):
        await office.tell_unit(unit, f"Enhet {unit}")
    await here.hire("anna", job("1"))
    await office.converged()
    keys = {key: text for text in tenant.groups() if (key := owner(text))}
    of = {(key.unit, key.kind): text for key, text in keys.items()}
    bo = tenant.person("bo")
    tenant.change(of["1", U], displayName="X", members=frozenset({bo}))
    tenant.remove(of["2", M])
    found = await office.read_whole(Site(TARGET, tenant.units, LAYOUT))
    assert found == {
        ("1", "unit", "unit_renamed", 1), ("1", "unit", "member_added", 1), ("1", "unit", "member_missing", 1),
        ("2", "managers", "unit_missing", 1),
    }  # fmt: skip
    assert here.groups(U, M) == {
        ("1", U): {"anna", "bo"}, ("2", U): frozenset(), ("1", M): frozenset(), ("2", M): frozenset(),
    }  # fmt: skip
    assert tenant.groups()[of["1", U]].properties["displayName"] == "Enhet 1"
