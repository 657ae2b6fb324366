"""Groups and administrative units, and who is in them.

https://learn.microsoft.com/graph/api/resources/group, https://learn.microsoft.com/graph/api/resources/administrativeunit
"""

from collections.abc import Iterator
from dataclasses import replace

from deploy.simulators.graph.bodies import SYNCED, as_object, written
from deploy.simulators.graph.calls import Answer, Json, Refused, bad_request, conflict, not_found
from deploy.simulators.graph.clock import spoken
from deploy.simulators.graph.entries import Entry, Kind
from deploy.simulators.graph.operations import Operation, no_content

MOST_BOUND = 20
"""How many members one PATCH may add: https://learn.microsoft.com/graph/api/group-post-members."""
_CONTEXTS = {Kind.GROUP: "groups", Kind.UNIT: "directory/administrativeUnits"}
_BIND = "members@odata.bind"


class Collective:
    """The operations on groups, or on administrative units.

    Args:
        kind: Which of the two.
        write: The permissions that suffice to change properties; members may need less.
    """

    def __init__(self, kind: Kind, write: frozenset[str]) -> None:
        self._kind = kind
        self._write = write
        self._context = _CONTEXTS[kind]

    def listed(self, operation: Operation) -> Answer:
        """GET the collection."""
        return operation.listed(self._kind, context=self._context)

    def counted(self, operation: Operation) -> Answer:
        """GET its `$count`."""
        return operation.counted(self._kind)

    def got(self, operation: Operation) -> Answer:
        """GET one."""
        return operation.shown(operation.entry(self._kind), self._context)

    def named(self, operation: Operation) -> Answer:
        """GET the group with an alternate key."""
        return operation.shown(self._named(operation), self._context)

    def upserted(self, operation: Operation) -> Answer:
        """PATCH by alternate key: make the group if it is missing and the caller says so.

        https://learn.microsoft.com/graph/api/group-upsert
        """
        name = operation.parts["name"]
        if operation.tenant.named(name, operation.as_of) is None:
            if "create-if-missing" not in operation.call.headers.get("prefer", "").lower():
                raise not_found(name)
            return self.created(operation, uniqueName=name)
        return self._change(operation, self._named(operation))

    def created(self, operation: Operation, **more: str) -> Answer:
        """POST one."""
        sent = written(self._kind, {**as_object(operation.call.body), **more}, creating=True)
        self._refuse_unique(operation, sent)
        properties: Json = {"visibility": None, **sent}
        if self._kind is Kind.GROUP:
            _check_group(sent)
            properties["createdDateTime"] = spoken(operation.tenant.now())
            if "Unified" in sent.get("groupTypes", ()):
                self._refuse_nickname(operation, sent["mailNickname"])
                domain = operation.tenant.domains[0]
                properties["mail"] = f"{sent['mailNickname']}@{domain}"
                properties["proxyAddresses"] = [f"SMTP:{properties['mail']}"]
        members = self._bound(operation)
        entry = Entry(operation.new_id(), self._kind, properties, members=members)
        operation.store(entry, "created")
        answer = operation.shown(entry, self._context, status=201)
        return replace(answer, headers={"Location": f"{operation.root}/v1.0/{self._context}/{entry.id}"})

    def changed(self, operation: Operation) -> Answer:
        """PATCH one; `members@odata.bind` adds members."""
        return self._change(operation, operation.entry(self._kind))

    def _change(self, operation: Operation, entry: Entry) -> Answer:
        sent = written(self._kind, operation.call.body, creating=False, entry=entry)
        if sent.get("uniqueName") != entry.properties.get("uniqueName"):
            self._refuse_unique(operation, sent)
        if sent and not operation.roles & self._write:
            raise Refused(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        if added := self._bound(operation):
            self._refuse_members(entry, added)
        new = replace(entry, properties={**entry.properties, **sent}, members=entry.members | added)
        operation.store(new, "changed")
        operation.changes.extend(f"{self._kind}.memberAdded:{entry.id}/{one}" for one in sorted(added))
        return no_content()

    def deleted(self, operation: Operation) -> Answer:
        """DELETE one: a Microsoft 365 group can be restored, a security group and a unit are gone."""
        entry = operation.entry(self._kind)
        if entry.synced:
            raise bad_request(SYNCED)
        if "Unified" in entry.properties.get("groupTypes", ()):
            operation.store(replace(entry, deleted=operation.tenant.now()), "deleted")
        else:
            operation.tenant.shelf.purge(entry.id)
            operation.changes.append(f"{entry.kind}.purged:{entry.id}")
        return no_content()

    def members(self, operation: Operation) -> Answer:
        """GET the members, all or of one type."""
        entry = operation.entry(self._kind)
        found = (operation.tenant.shelf.get(one, operation.as_of) for one in sorted(entry.members))
        live = (one for one in found if one is not None and one.deleted is None)
        return operation.related(live, operation.parts.get("cast"), "directoryObjects")

    def member_added(self, operation: Operation) -> Answer:
        """POST members/$ref."""
        entry = operation.entry(self._kind)
        member = operation.referred()
        self._refuse_members(entry, frozenset({member.id}))
        operation.store(replace(entry, members=entry.members | {member.id}), f"memberAdded/{member.id}")
        return no_content()

    def member_removed(self, operation: Operation) -> Answer:
        """DELETE members/{id}/$ref."""
        entry = operation.entry(self._kind)
        member = operation.parts["member"]
        if entry.synced:
            raise bad_request(SYNCED)
        if member not in entry.members:
            raise not_found(member)
        operation.store(replace(entry, members=entry.members - {member}), f"memberRemoved/{member}")
        return no_content()

    def _named(self, operation: Operation) -> Entry:
        name = operation.parts["name"]
        entry = operation.tenant.named(name, operation.as_of)
        if entry is None:
            raise not_found(name)
        return entry

    def _refuse_unique(self, operation: Operation, sent: Json) -> None:
        if "uniqueName" in sent and operation.tenant.named(sent["uniqueName"], operation.tenant.now()) is not None:
            raise conflict("uniqueName")

    def _refuse_nickname(self, operation: Operation, nickname: str) -> None:
        """Refuse a nickname that another Microsoft 365 group has."""
        for _, other in operation.tenant.shelf.having(self._kind, "mailNickname", nickname, operation.tenant.now()):
            same = str(other.properties.get("mailNickname")).lower() == nickname.lower()
            if same and other.deleted is None and "Unified" in other.properties.get("groupTypes", ()):
                raise conflict("mailNickname")

    def _bound(self, operation: Operation) -> frozenset[str]:
        links = as_object(operation.call.body).get(_BIND, [])
        if not isinstance(links, list):
            raise bad_request(f"'{_BIND}' must be a list of references.")
        if len(links) > MOST_BOUND:
            raise bad_request(f"The number of references in '{_BIND}' exceeds the limit of {MOST_BOUND}.")
        return frozenset(operation.referred(sent=link).id for link in links)

    def _refuse_members(self, entry: Entry, added: frozenset[str]) -> None:
        if entry.synced:
            raise bad_request(SYNCED)
        if entry.members & added:
            raise bad_request(
                "One or more added object references already exist for the following modified properties: 'members'."
            )


def member_of(operation: Operation) -> Answer:
    """GET /users/{id}/memberOf: direct membership of groups and administrative units."""
    user = operation.entry(Kind.USER)
    return operation.related(_holding(operation, user.id), operation.parts.get("cast"), "directoryObjects")


def _holding(operation: Operation, member: str) -> Iterator[Entry]:
    for kind in (Kind.GROUP, Kind.UNIT):
        for _, entry in operation.tenant.shelf.entries(kind, operation.as_of):
            if member in entry.members and entry.deleted is None:
                yield entry


def _check_group(sent: Json) -> None:
    if sent["mailEnabled"] and "Unified" not in sent.get("groupTypes", ()):
        raise Refused(
            400,
            "Request_BadRequest",
            "The service does not currently support writes of mail-enabled groups. Please ensure that the "
            "mail-enablement property is unset and the security-enablement property is set.",
        )
