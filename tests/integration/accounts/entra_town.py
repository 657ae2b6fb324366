"""A tenant for tests: a simulator of Graph, the adapter on it, and people who shall have accounts there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from services.accounts.adapters.entra import EntraAccounts
from services.accounts.domain.plan import Create, Observed
from services.accounts.ports import Found, Lookup, Stamp
from services.kernel.directory import Graph
from services.kernel.marks import Mark
from tests.support.entra import DOMAIN, ORGANISATION, GraphUnderTest, MemoryAskedNames, graph_under_test, options


@dataclass
class Tenant:
    """What the tests act on."""

    simulator: GraphUnderTest
    graph: Graph
    accounts: EntraAccounts
    asked: MemoryAskedNames

    async def add(self, person: UUID, login: str = "anna", *, enabled: bool = True, **changes: Any) -> Observed:
        """Add a person's account."""
        return await self.accounts.add(login, Create(enabled, attributes(login, **changes)), stamp(person))

    async def find(self, person: UUID, login: str | None = None, **keys: Any) -> Found:
        """Look for a person's account."""
        lookup = Lookup(ORGANISATION, person, login=login, mail=f"{login}@{DOMAIN}" if login else None)
        return await self.accounts.find(replace(lookup, **keys))

    def made(self) -> int:
        """Return how many users were made, by the simulator's own log."""
        return len(self.simulator.log("user.created"))


def stamp(person: UUID | None = None, deadline: float | None = None) -> Stamp:
    return Stamp(ORGANISATION, person or uuid4(), Mark(1, 1), 1, deadline)


def attributes(login: str, **changes: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {"displayName": (login.title(),), "sn": ("Öberg",), "mail": (f"{login}@{DOMAIN}",), **changes}


@asynccontextmanager
async def tenant_under_test(
    folder: Path, *, settle: tuple[float, ...] = (0.02,), **access: Any
) -> AsyncIterator[Tenant]:
    """Run a tenant for as long as the block lasts."""
    async with graph_under_test(folder) as simulator:
        graph, asked = Graph(simulator.access(**access)), MemoryAskedNames()
        try:
            yield Tenant(simulator, graph, EntraAccounts(graph, options(settle=settle), asked), asked)
        finally:
            await graph.close()
