"""Units' groups in Microsoft Entra ID, by Microsoft Graph v1.0: security groups of people, and of each other.

Whose a group is stands in `uniqueName`, an alternate key that is written once, and by which a group is made if it is
missing (https://learn.microsoft.com/graph/api/group-upsert): what is asked for twice is made once. Administrative units
have no such key, so that one whose answer was lost would be made twice: none is made.

Entra has no compare-and-set, so there is no mark: the lease and the database carry it, and every call is over before
the lease is. Reads lag behind writes by seconds or minutes: what does not show yet is waited for, then asked for again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from services.kernel.directory import Graph, NoSuchEntry, Request, identified, literal
from services.kernel.failures import Permanent, Transient
from services.orgtree.adapters import entra_names as names
from services.orgtree.adapters.entra_members import SETTLE, EntraMembers
from services.orgtree.adapters.ldap_objects import batched
from services.orgtree.domain.projection import Kind, Wanted
from services.orgtree.ports import Found, Key, Lookup, Observed, Stamp

Group = Mapping[str, Any]
_BY_ID = "/groups/{id}"
_BY_KEY = "/groups(uniqueName='{key}')"
_SELECT = {
    "$select": "id,displayName,mailNickname,uniqueName,securityEnabled,groupTypes,onPremisesSyncEnabled,"
    "isAssignableToRole"
}
_ASKED = 15
"""Nicknames that one condition names."""


class EntraUnits(EntraMembers):
    """The port UnitDirectory on one tenant; of what stands for a unit, its groups. Nothing is remembered."""

    def __init__(self, graph: Graph, settle: Sequence[float] = SETTLE) -> None:
        super().__init__(graph, settle)

    def fit(self, title: str) -> str:
        """Cut what is longer than Entra allows."""
        return title[: names.TITLE_LIMIT]

    async def find(
        self, organisation: str, lookups: Sequence[Lookup], *, deadline: float | None = None
    ) -> Mapping[str, Found]:
        """Ask by id where there is one, else by the key, at last for what has the name; twenty at once."""
        asked = [(Key(organisation, one.unit, kind), one) for one in lookups for kind in _kinds(one)]
        mine = await self._known(asked, deadline)
        rest = [key for key, _ in asked if key not in mine]
        mine |= await self._keyed(rest, deadline)
        ways = {key: one.names[key.kind] for key, one in asked if key not in mine and key.kind in one.names}
        unmanaged = await self._unmanaged(ways, deadline)
        return {one.unit: Found(_of(one, mine), _of(one, unmanaged)) for one in lookups}

    def stands(self, observed: Observed, name: str, above: Observed | None = None) -> bool:
        """Compare nicknames as Entra does."""
        del above
        return observed.name.casefold() == names.nickname(name).casefold()

    async def put(self, key: Key, wanted: Wanted, stamp: Stamp, above: Observed | None = None) -> Observed:
        """Make the group if it is missing, by its key, and else bring it in line, in one request."""
        del above
        if key.kind is Kind.ENTRY or not wanted.name.strip():
            raise Permanent("unit.name_unusable", kind=key.kind)
        title, nickname = self.fit(wanted.title), names.nickname(wanted.name)
        body = {"displayName": title, "mailNickname": nickname, "mailEnabled": False, "securityEnabled": True}
        request = Request("PATCH", _BY_KEY, _quoted(key), body=body, create_if_missing=True)
        await self._graph.write(request, subject=key.unit, deadline=stamp.deadline)
        return await self._shows(
            Request("GET", _BY_KEY, _quoted(key), query=_SELECT), key, stamp, lambda one: one.title == title
        )

    async def change(self, observed: Observed, title: str, stamp: Stamp) -> Observed:
        """Write the title, and whose it is where that is missing."""
        fitting = self.fit(title)
        if observed.marked and observed.title == fitting:
            return observed
        return await self._written(observed, {"displayName": fitting}, stamp, lambda one: one.title == fitting)

    async def take(self, observed: Observed, stamp: Stamp) -> Observed:
        """Return it: there is no mark to swap."""
        del stamp
        return observed

    async def move(self, observed: Observed, name: str, stamp: Stamp, above: Observed | None = None) -> Observed:
        """Write the nickname. Members are known by id, whatever it is."""
        if self.stands(observed, name, above):
            return observed
        body = {"mailNickname": names.nickname(name)}
        return await self._written(observed, body, stamp, lambda one: self.stands(one, name))

    async def remove(self, observed: Observed, stamp: Stamp) -> None:
        """Delete it; Entra takes it out of the groups that it is in."""
        try:
            await self._current(observed, stamp)
            request = Request("DELETE", _BY_ID, {"id": observed.handle})
            await self._graph.write(request, subject=observed.key.unit, deadline=stamp.deadline)
        except NoSuchEntry:
            return
        for wait in (0.0, *self._settle):
            await asyncio.sleep(wait)
            if await self._read_one(observed.handle, stamp.deadline) is None:
                return
        raise Transient("unit.not_verified", step="delete")

    async def adopt(self, observed: Observed, stamp: Stamp) -> Observed:
        """Write whose it is."""
        try:
            current = await self._current(observed, stamp)
        except NoSuchEntry as error:
            raise Permanent("unit.adoption_gone") from error
        return current if current.marked else await self._written(current, {}, stamp, lambda one: one.marked)

    async def pages(self, organisation: str) -> AsyncIterator[Sequence[Observed]]:
        """Read all groups of the tenant: their keys are not searched by how they begin."""
        begins = names.prefix(organisation)
        async for page in self._graph.pages(Request("GET", "/groups", query={**_SELECT, "$top": "999"})):
            keys = ((one, names.owner(one.get("uniqueName"))) for one in page)
            yield [_observed(one, key) for one, key in keys if key and names.unique(key).startswith(begins)]

    async def probe(self) -> None:
        """Fetch a user."""
        await self._graph.probe()

    async def _known(self, asked: Sequence[tuple[Key, Lookup]], deadline: float | None) -> dict[Key, Observed]:
        known = [(key, one.known[key.kind]) for key, one in asked if key.kind in one.known]
        requests = [Request("GET", _BY_ID, {"id": entry}, query=_SELECT) for _, entry in known]
        answers = await self._asked(requests, deadline)
        return {
            key: _ours(answer.body, key) for (key, _), answer in zip(known, answers, strict=True) if answer is not None
        }

    async def _keyed(self, keys: Sequence[Key], deadline: float | None) -> dict[Key, Observed]:
        answers = await self._asked([Request("GET", _BY_KEY, _quoted(key), query=_SELECT) for key in keys], deadline)
        return {key: _ours(answer.body, key) for key, answer in zip(keys, answers, strict=True) if answer is not None}

    async def _unmanaged(self, ways: Mapping[Key, str], deadline: float | None) -> dict[Key, Observed]:
        """Return groups that nobody has marked and that have the name of what is not there, one for each."""
        nicknames = {key: names.nickname(name).casefold() for key, name in ways.items()}
        requests = [
            Request("GET", "/groups", query={**_SELECT, "$filter": " or ".join(_called(one) for one in some)})
            for some in batched(sorted(set(nicknames.values())), _ASKED)
        ]
        free: dict[str, list[Group]] = {}
        for answer in await self._asked(requests, deadline):
            for group in answer.values if answer is not None else ():
                if _adoptable(group):
                    free.setdefault(str(group.get("mailNickname")).casefold(), []).append(group)
        return {
            key: _observed(free[nickname][0], key)
            for key, nickname in nicknames.items()
            if len(free.get(nickname, ())) == 1
        }

    async def _current(self, observed: Observed, stamp: Stamp) -> Observed:
        """Read it again right before it is written.

        Raises:
            NoSuchEntry: It is gone.
            Permanent: It is somebody else's.
        """
        group = await self._read_one(observed.handle, stamp.deadline)
        if group is None:
            raise NoSuchEntry("directory.no_such_entry")
        return _ours(group, observed.key)

    async def _written(
        self, observed: Observed, body: Mapping[str, Any], stamp: Stamp, shows: Callable[[Observed], bool]
    ) -> Observed:
        try:
            current = await self._current(observed, stamp)
            marked = {} if current.marked else {"uniqueName": names.unique(observed.key)}
            request = Request("PATCH", _BY_ID, {"id": observed.handle}, body={**body, **marked})
            await self._graph.write(request, subject=observed.key.unit, deadline=stamp.deadline)
        except NoSuchEntry as error:
            raise Transient("unit.changed_meanwhile") from error
        read = Request("GET", _BY_ID, {"id": observed.handle}, query=_SELECT)
        return await self._shows(read, observed.key, stamp, lambda one: one.marked and shows(one))

    async def _shows(self, request: Request, key: Key, stamp: Stamp, shows: Callable[[Observed], bool]) -> Observed:
        for wait in (0.0, *self._settle):
            await asyncio.sleep(wait)
            try:
                found = _ours((await self._graph.read(request, deadline=stamp.deadline)).body, key)
            except NoSuchEntry:
                continue
            if shows(found):
                return found
        raise Transient("unit.not_replicated", kind=key.kind)

    async def _read_one(self, entry: str, deadline: float | None) -> Group | None:
        try:
            return (
                await self._graph.read(Request("GET", _BY_ID, {"id": entry}, query=_SELECT), deadline=deadline)
            ).body
        except NoSuchEntry:
            return None


def _kinds(lookup: Lookup) -> Iterator[Kind]:
    """Yield of which kinds something is of interest, and can be there."""
    return (kind for kind in Kind if kind is not Kind.ENTRY and (kind in lookup.names or kind in lookup.known))


def _of(lookup: Lookup, found: Mapping[Key, Observed]) -> dict[Kind, Observed]:
    return {key.kind: one for key, one in found.items() if key.unit == lookup.unit}


def _observed(group: Group, key: Key) -> Observed:
    entry = identified(group)
    return Observed(
        key=key,
        handle=entry,
        entry=entry,
        name=str(group.get("mailNickname") or ""),
        title=group.get("displayName"),
        place=entry,
        marked=group.get("uniqueName") is not None,
    )


def _ours(group: Group, key: Key) -> Observed:
    """Return what was read as the key's, or as nobody's.

    Raises:
        Permanent: It is another unit's, or has a key that others gave it, which cannot be changed.
    """
    written = group.get("uniqueName")
    if written is not None and names.owner(written) != key:
        raise Permanent("unit.foreign", kind=key.kind)
    return _observed(group, key)


def _adoptable(group: Group) -> bool:
    """Tell whether a group could be a unit's: of assigned members, made in Entra, and without a key or a role."""
    plain = not group.get("groupTypes") and group.get("securityEnabled") is True
    ruled = group.get("onPremisesSyncEnabled") is True or group.get("isAssignableToRole") is True
    return plain and not ruled and group.get("uniqueName") is None


def _called(nickname: str) -> str:
    return f"mailNickname eq {literal(nickname)}"


def _quoted(key: Key) -> dict[str, str]:
    return {"key": names.unique(key).replace("'", "''")}
