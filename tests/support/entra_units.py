"""Units in Entra ID: the adapter over the simulator, and how groups stand there by the tenant's own word."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploy.simulators.graph.entries import Entry
from deploy.simulators.graph.entries import Kind as Sort
from services.kernel.directory import Graph
from services.orgtree.adapters.entra import EntraUnits
from tests.support.entra import GraphUnderTest, graph_under_test

SETTLE = (0.02, 0.05)


@dataclass
class TenantOfUnits:
    """A tenant, the adapter, and hands that are not ours."""

    units: EntraUnits
    simulator: GraphUnderTest

    def groups(self) -> dict[str, Entry]:
        """Return the groups by their key, those of others by their id."""
        shelf, now = self.simulator.tenant.shelf, self.simulator.tenant.now()
        found = [entry for _, entry in shelf.entries(Sort.GROUP, now) if entry.deleted is None]
        return {str(one.properties.get("uniqueName") or one.id): one for one in found}

    def members(self, key: str) -> frozenset[str]:
        """Return the ids of a group's members."""
        return self.groups()[key].members

    def person(self, login: str) -> str:
        """Make somebody, and return the id."""
        self.simulator.sow(users=(self.simulator.user(mailNickname=login),))
        (found,) = [one.id for one in self.simulator.users() if one.properties["mailNickname"] == login]
        return found

    def put(self, nickname: str, **properties: Any) -> str:
        """Make a group that is not ours, and return its id."""
        about = {"displayName": nickname, "mailNickname": nickname, "mailEnabled": False, "securityEnabled": True}
        entry = Entry(self.simulator.service.world.new_id(), Sort.GROUP, {**about, **properties})
        self.simulator.tenant.shelf.put(entry)
        return entry.id

    def change(self, key: str, *, members: frozenset[str] | None = None, **properties: Any) -> None:
        """Change a group by hand."""
        before = self.groups()[key]
        kept = before.members if members is None else members
        self.simulator.tenant.shelf.put(replace(before, properties={**before.properties, **properties}, members=kept))

    def remove(self, key: str) -> None:
        """Delete a group by hand."""
        self.simulator.tenant.shelf.purge(self.groups()[key].id)

    def calls(self) -> int:
        """Return how many requests were made; a batch is one."""
        return sum(one.batch is None for one in self.simulator.log())

    def writes(self) -> list[str]:
        """Return what was changed over the wire, in order."""
        return [change for record in self.simulator.log() for change in record.changes]


@asynccontextmanager
async def units_in_entra(folder: Path, **budget: Any) -> AsyncIterator[TenantOfUnits]:
    """Run a tenant for as long as the block lasts."""
    async with graph_under_test(folder, **budget) as simulator:
        graph = Graph(simulator.access())
        yield TenantOfUnits(EntraUnits(graph, SETTLE), simulator)
        await graph.close()
