"""Members of groups in Entra ID, by the ids of people's accounts and of groups, which never go to another."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.kernel.directory import Answer, Graph, NoSuchEntry, Request, ValueExists, identified, literal
from services.kernel.failures import Failure, Transient
from services.orgtree.adapters import entra_names as names
from services.orgtree.adapters.ldap_members import in_order
from services.orgtree.adapters.ldap_objects import batched
from services.orgtree.ports import Observed, Reference, Stamp

SETTLE = (0.3, 1.0, 2.0)
"""Seconds between the looks at what was written, which replicas show late."""
_BATCH = 20
"""Most requests in a `$batch`, and most members that one PATCH binds: https://learn.microsoft.com/graph/api/group-post-members.
"""
_IN = 15
"""Most values of an `in` (https://learn.microsoft.com/graph/filter-query-parameter)."""
_PAGE = "999"
_GROUP = "/groups/{id}"
_MEMBERS = "/groups/{id}/members"


class EntraMembers:
    """Members of groups that carry our key. Who is one already is added to nothing, who is none is no failure."""

    def __init__(self, graph: Graph, settle: Sequence[float] = SETTLE) -> None:
        self._graph = graph
        self._settle = settle

    async def nested(self, rollup: Observed, *, deadline: float | None = None) -> frozenset[Reference]:
        """Read the members, which are few, with whose they are; a group that is gone is a member nowhere."""
        found = {
            Reference(identified(one))
            async for page in self._read(rollup, "id,uniqueName", deadline)
            for one in page
            if names.owner(one.get("uniqueName")) is not None
        }
        return frozenset(found)

    async def nest(self, rollup: Observed, wanted: Collection[Observed], stamp: Stamp) -> Observed:
        """Add what is missing, then take out what is too much."""
        shall = {one.reference for one in wanted}
        present = await self.nested(rollup, deadline=stamp.deadline)
        if present != shall:
            await self.join(rollup, shall - present, deadline=stamp.deadline)
            await self.leave(rollup, present - shall, deadline=stamp.deadline)
        return rollup

    async def holds(
        self, group: Observed, references: Collection[Reference], *, deadline: float | None = None
    ) -> frozenset[Reference]:
        """Read the ids of all members, a thousand at a time: Entra can be asked for no member of a group."""
        if not references:
            return frozenset()
        members = {Reference(identified(one)) async for page in self._read(group, "id", deadline) for one in page}
        return frozenset(references) & members

    async def join(self, group: Observed, references: Collection[Reference], *, deadline: float | None = None) -> None:
        """Bind twenty in one PATCH, which is refused whole for one: then each by itself."""
        missing = frozenset(references) - await self.holds(group, references, deadline=deadline)
        for some in batched(in_order(missing), _BATCH):
            links = [f"{self._graph.root}/directoryObjects/{one.name}" for one in some]
            bind = Request("PATCH", _GROUP, {"id": group.handle}, body={"members@odata.bind": links})
            try:
                await self._graph.write(bind, subject=group.key.unit, deadline=deadline)
            except (ValueExists, NoSuchEntry):
                requests = [
                    Request("POST", f"{_MEMBERS}/$ref", {"id": group.handle}, body={"@odata.id": link})
                    for link in links
                ]
                await self._each(group, requests, ValueExists, deadline)
        await self._shown(group, missing, deadline, there=True)

    async def leave(self, group: Observed, references: Collection[Reference], *, deadline: float | None = None) -> None:
        """Take each out, twenty requests at once, also whom a replica does not show: it may lag."""
        for some in batched(in_order(references), _BATCH):
            # without its `$ref` this would delete the person's account
            requests = [
                Request("DELETE", f"{_MEMBERS}/{{member}}/$ref", {"id": group.handle, "member": one.name})
                for one in some
            ]
            await self._each(group, requests, NoSuchEntry, deadline)
        await self._shown(group, references, deadline, there=False)

    async def references(
        self, organisation: str, entries: Collection[str], *, deadline: float | None = None
    ) -> Mapping[str, Reference]:
        """Ask for the users by their ids, fifteen in a condition and twenty conditions at once."""
        del organisation
        ids = sorted({one for one in entries if _is_id(one)})
        requests = [
            Request("GET", "/users", query={"$filter": f"id in ({','.join(map(literal, some))})", "$select": "id"})
            for some in batched(ids, _IN)
        ]
        answers = await self._asked(requests, deadline)
        there = {identified(user) for answer in answers if answer is not None for user in answer.values}
        return {one: Reference(one) for one in ids if one in there}

    async def vacant(
        self, organisation: str, references: Collection[Reference], *, deadline: float | None = None
    ) -> frozenset[Reference]:
        """Return all of them: an id that does not show is nobody else's."""
        del organisation, deadline
        return frozenset(references)

    async def all_members(self, group: Observed) -> AsyncIterator[Sequence[Reference]]:
        """Read the ids."""
        async for page in self._read(group, "id", None):
            yield [Reference(identified(one)) for one in page]

    async def _asked(self, requests: Iterable[Request], deadline: float | None) -> list[Answer | None]:
        """Ask many things at once; None: it is not there."""
        found: list[Answer | None] = []
        for some in batched(list(requests), _BATCH):
            for result in await self._graph.batch(some, subject="units", deadline=deadline):
                if isinstance(result, Failure) and not isinstance(result, NoSuchEntry):
                    raise result
                found.append(None if isinstance(result, Failure) else result)
        return found

    async def _each(
        self, group: Observed, requests: Sequence[Request], passed: type[Failure], deadline: float | None
    ) -> None:
        results = await self._graph.batch(requests, subject=group.key.unit, deadline=deadline)
        failures = [one for one in results if isinstance(one, Failure) and not isinstance(one, passed)]
        for failure in failures:
            if isinstance(failure, NoSuchEntry):
                raise Transient("unit.changed_meanwhile") from failure
            raise failure

    async def _shown(
        self, group: Observed, references: Collection[Reference], deadline: float | None, *, there: bool
    ) -> None:
        asked = frozenset(references)
        for wait in (0.0, *self._settle) if asked else ():
            await asyncio.sleep(wait)
            if await self.holds(group, asked, deadline=deadline) == (asked if there else frozenset()):
                return
        if asked:
            raise Transient("unit.not_verified", step="members")

    async def _read(
        self, group: Observed, select: str, deadline: float | None
    ) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        request = Request("GET", _MEMBERS, {"id": group.handle}, query={"$select": select, "$top": _PAGE})
        try:
            async for page in self._graph.pages(request, deadline=deadline):
                yield page
        except NoSuchEntry:
            return  # a group that is gone has no members


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.casefold()
    except ValueError:
        return False
