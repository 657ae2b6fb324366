"""Groups and licences in Entra ID: what they are called, who has them, giving and taking."""

import asyncio
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.plan import Observed
from services.accounts.ports import Stamp, missing
from services.kernel.directory import Graph, NoSuchEntry, Request, ValueExists, literal
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

    async def held(self, observed: Observed, asked: Set[Grant], deadline: float | None) -> frozenset[Grant]:
        """Return which of those asked about the account has; a licence also when it comes by way of a group."""
        have: set[str] = set()
        kinds = {grant.kind for grant in asked}
        if GrantKind.GROUP in kinds:
            have |= await self._groups(observed, deadline)
        if GrantKind.LICENCE in kinds:
            have |= _assigned(await self._licensed(observed, deadline))
        ids = {grant: await self._id(grant, deadline) for grant in sorted(asked)} if have else {}
        return frozenset(grant for grant, id_ in ids.items() if id_ in have)

    async def grant(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Give it, unless the account has it."""
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
        if sku in _assigned(user):
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
        if sku not in _assigned(await self._licensed(observed, stamp.deadline)):
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
        return {str(group["id"]) async for page in self._graph.pages(request, deadline=deadline) for group in page}

    async def _licensed(self, observed: Observed, deadline: float | None) -> Mapping[str, Any]:
        select = {"$select": "id,usageLocation,assignedLicenses"}
        answer = await self._graph.read(
            Request("GET", "/users/{id}", {"id": observed.entry}, query=select), deadline=deadline
        )
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
            return str((await self._graph.read(request, deadline=deadline)).body["id"])
        named = f"displayName eq {literal(value)} or mailNickname eq {literal(value)}"
        request = Request("GET", "/groups", query={"$filter": named, "$select": "id"})
        found = (await self._graph.read(request, deadline=deadline)).values
        if len(found) > 1:
            raise Permanent("account.group_ambiguous", group=value)
        return str(found[0]["id"]) if found else None

    async def _sku(self, value: str, deadline: float | None) -> str | None:
        request = Request("GET", "/subscribedSkus", query={"$select": "skuId,skuPartNumber"})
        found = (await self._graph.read(request, deadline=deadline)).values
        return next((str(s["skuId"]) for s in found if str(s["skuPartNumber"]).casefold() == value.casefold()), None)


def _assign(observed: Observed, *, add: str | None = None, remove: str | None = None) -> Request:
    body = {
        "addLicenses": [{"skuId": add, "disabledPlans": []}] if add else [],
        "removeLicenses": [remove] if remove else [],
    }
    return Request("POST", "/users/{id}/assignLicense", {"id": observed.entry}, body=body)


def _assigned(user: Mapping[str, Any]) -> set[str]:
    return {str(licence["skuId"]) for licence in user.get("assignedLicenses") or ()}
