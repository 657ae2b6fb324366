"""Groups, licences and mail routes in Entra ID: what they are called, who has them, giving and taking."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.accounts.adapters import entra_answers as answers
from services.accounts.adapters.entra_mail import EntraMail
from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.plan import Observed
from services.accounts.ports import Stamp, missing
from services.kernel.directory import (
    Graph,
    NoSuchEntry,
    Request,
    ValueExists,
    identified,
    literal,
    malformed,
    plain,
)
from services.kernel.failures import Permanent, Waiting

REMEMBERED = 300.0
"""Seconds for which names of groups and licences are remembered."""


@dataclass(frozen=True)
class _Known:
    id: str
    until: float


class EntraGrants:
    """What can be given in a tenant. Names that were not found are asked for anew each time."""

    def __init__(self, graph: Graph, usage_location: str | None) -> None:
        self._graph = graph
        self._usage_location = usage_location
        self._known: dict[Grant, _Known] = {}
        self._mail = EntraMail(graph)

    async def held(self, observed: Observed, asked: Set[Grant], deadline: float | None) -> frozenset[Grant]:
        """Return which of those asked about the account has; a licence also when it comes by way of a group."""
        have: set[str] = set()
        kinds = {grant.kind for grant in asked}
        routes = {grant for grant in asked if grant.kind is GrantKind.MAIL_ROUTE}
        routed = await self._mail.held(observed, routes, deadline) if routes else frozenset[Grant]()
        if GrantKind.GROUP in kinds:
            have |= await self._groups(observed, deadline)
        if GrantKind.LICENCE in kinds:
            have |= answers.licences(await self._licensed(observed, deadline))
        ids = {grant: await self._id(grant, deadline) for grant in sorted(asked - routes)} if have else {}
        return routed | {grant for grant, id_ in ids.items() if id_ in have}

    async def holders(self, grant: Grant) -> AsyncIterator[Sequence[str]]:
        """Yield the ids of those who have it, as `held` tells of one; a page at a time."""
        id_ = await self._id(grant, None)
        if id_ is None:
            return
        if grant.kind is GrantKind.LICENCE:
            users = Request("GET", "/users", query={"$select": "id,assignedLicenses", "$top": "999"})
            async for page in self._graph.pages(users):
                yield [identified(user) for user in page if id_ in answers.licences(user)]
            return
        members = Request("GET", "/groups/{id}/members", {"id": id_}, query={"$select": "id", "$top": "999"})
        async for page in self._graph.pages(members):
            yield [identified(member) for member in page]

    async def grant(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Give it, unless the account has it."""
        if grant.kind is GrantKind.MAIL_ROUTE:
            await self._mail.grant(observed, grant, stamp)
            return
        id_ = await self._id(grant, stamp.deadline)
        if id_ is None:
            raise missing(grant)
        if grant.kind is GrantKind.LICENCE:
            await self._license(observed, grant, id_, stamp)
            return
        member = {"@odata.id": f"{self._graph.root}/directoryObjects/{observed.entry}"}
        request = Request("POST", "/groups/{id}/members/$ref", {"id": id_}, body=member)
        with suppress(ValueExists):
            try:
                await self._graph.write(request, subject=str(stamp.person), deadline=stamp.deadline)
            except NoSuchEntry:
                self._known.pop(grant, None)  # the group may have been made anew under its name
                raise

    async def revoke(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Take it, if the account has it; a licence that comes by way of a group is the group's to take."""
        if grant.kind is GrantKind.MAIL_ROUTE:
            await self._mail.revoke(observed, grant, stamp)
            return
        id_ = await self._id(grant, stamp.deadline)
        if id_ is None:
            return
        if grant.kind is GrantKind.LICENCE:
            await self._unlicense(observed, id_, stamp)
            return
        # without its `$ref` this would delete the person's account
        request = Request("DELETE", "/groups/{id}/members/{member}/$ref", {"id": id_, "member": observed.entry})
        with suppress(NoSuchEntry):
            await self._write(request, stamp)

    async def _license(self, observed: Observed, grant: Grant, sku: str, stamp: Stamp) -> None:
        user = await self._licensed(observed, stamp.deadline)
        if sku in answers.licences(user):
            return
        if not user.get("usageLocation") and self._usage_location and not observed.synced:
            location = {"usageLocation": self._usage_location}
            await self._write(Request("PATCH", "/users/{id}", {"id": observed.entry}, body=location), stamp)
        try:
            await self._write(_assign(observed, add=sku), stamp)
        except Permanent as refused:
            if refused.code != "graph.licence_none_left":
                raise
            raise Waiting("account.licence_none_left", licence=grant.value) from refused

    async def _unlicense(self, observed: Observed, sku: str, stamp: Stamp) -> None:
        if sku not in answers.licences(await self._licensed(observed, stamp.deadline)):
            return
        try:
            await self._write(_assign(observed, remove=sku), stamp)
        except Permanent as refused:
            if refused.code != "graph.licence_inherited":
                raise

    async def _write(self, request: Request, stamp: Stamp) -> None:
        await self._graph.write(request, subject=str(stamp.person), deadline=stamp.deadline)

    async def _groups(self, observed: Observed, deadline: float | None) -> set[str]:
        request = Request("GET", "/users/{id}/memberOf", {"id": observed.entry}, query={"$select": "id", "$top": "999"})
        return {identified(group) async for page in self._graph.pages(request, deadline=deadline) for group in page}

    async def _licensed(self, observed: Observed, deadline: float | None) -> Mapping[str, Any]:
        select = {"$select": "id,usageLocation,assignedLicenses"}
        answer = await self._graph.read(
            Request("GET", "/users/{id}", {"id": observed.entry}, query=select), deadline=deadline
        )
        if identified(answer.body) != observed.entry:
            raise malformed()
        return answer.body

    async def _id(self, grant: Grant, deadline: float | None) -> str | None:
        now = asyncio.get_running_loop().time()
        known = self._known.get(grant)
        if known is not None and now < known.until:
            return known.id
        find = self._group if grant.kind is GrantKind.GROUP else self._sku
        found = await find(grant.value, deadline)
        if found is not None:
            self._known[grant] = _Known(found, now + REMEMBERED)
        return found

    async def _group(self, value: str, deadline: float | None) -> str | None:
        with suppress(ValueError, NoSuchEntry):
            request = Request("GET", "/groups/{id}", {"id": str(UUID(value))}, query={"$select": "id"})
            found = identified((await self._graph.read(request, deadline=deadline)).body)
            return found if found.casefold() == str(UUID(value)) else None
        named = f"displayName eq {literal(value)} or mailNickname eq {literal(value)}"
        request = Request("GET", "/groups", query={"$filter": named, "$select": "id,displayName,mailNickname"})
        groups = (await self._graph.read(request, deadline=deadline)).values
        if not all(answers.called(group, value) for group in groups):
            raise malformed()
        if len(groups) > 1:
            raise Permanent("account.group_ambiguous", group=value)
        return identified(groups[0]) if groups else None

    async def _sku(self, value: str, deadline: float | None) -> str | None:
        request = Request("GET", "/subscribedSkus", query={"$select": "skuId,skuPartNumber"})
        found = (await self._graph.read(request, deadline=deadline)).values
        named = (s.get("skuId") for s in found if str(s.get("skuPartNumber")).casefold() == value.casefold())
        sku = next(named, None)
        if sku is not None and not plain(sku):
            raise malformed()
        return None if sku is None else str(sku)


def _assign(observed: Observed, *, add: str | None = None, remove: str | None = None) -> Request:
    body = {
        "addLicenses": [{"skuId": add, "disabledPlans": []}] if add else [],
        "removeLicenses": [remove] if remove else [],
    }
    return Request("POST", "/users/{id}/assignLicense", {"id": observed.entry}, body=body)
