"""Who a user's manager is in Entra ID: a reference, written by itself; it is read with the user."""

import asyncio
from dataclasses import replace

from services.accounts.adapters.entra_attributes import manager_of
from services.accounts.adapters.entra_search import EntraSearch
from services.accounts.domain.limits import Attributes
from services.accounts.domain.managers import MANAGER
from services.accounts.domain.plan import Observed
from services.accounts.ports import ManagerMissing, Stamp
from services.kernel.directory import Graph, NoSuchEntry, Request
from services.kernel.failures import Waiting

_REFERENCE = "/users/{id}/manager/$ref"


class EntraManagers:
    """Writes references to managers. Nothing is remembered."""

    def __init__(self, graph: Graph, look: EntraSearch, settle: tuple[float, ...]) -> None:
        self._graph = graph
        self._look = look
        self._settle = settle

    async def lead(self, observed: Observed, attributes: Attributes, stamp: Stamp) -> Observed:
        """Write the manager when it is among the attributes and another one; return the account as it is then.

        Raises:
            ManagerMissing: There is no such user, or it does not show yet.
            Waiting: Active Directory writes this account.
        """
        asked = attributes.get(MANAGER)
        if asked is None or asked == observed.attributes.get(MANAGER, ()):
            return observed
        if observed.synced:
            raise Waiting("account.synced")
        manager = next(iter(asked), None)
        try:
            request = self._request(observed.entry, manager)
            await self._graph.write(request, subject=str(stamp.person), deadline=stamp.deadline)
        except NoSuchEntry as gone:
            if manager is not None:
                raise ManagerMissing("account.manager_missing") from gone
        return await self._shown(observed, manager, stamp)

    def _request(self, entry: str, manager: str | None) -> Request:
        if manager is None:
            return Request("DELETE", _REFERENCE, {"id": entry})
        return Request("PUT", _REFERENCE, {"id": entry}, body={"@odata.id": f"{self._graph.root}/users/{manager}"})

    async def _shown(self, observed: Observed, manager: str | None, stamp: Stamp) -> Observed:
        """Read back until it shows, for a few seconds; the caller judges what it then shows."""
        found: str | None = None
        for wait in (0.0, *self._settle):
            await asyncio.sleep(wait)
            user = await self._look.user(observed.entry, stamp.deadline)
            found = manager_of(user) if user is not None else None
            if found == manager:
                break
        rest = {name: values for name, values in observed.attributes.items() if name != MANAGER}
        return replace(observed, attributes=rest if found is None else {**rest, MANAGER: (found,)})
