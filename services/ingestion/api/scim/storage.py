"""Where scim2-server reads and writes: the ledger. One for each request, for its bearer and that one's source."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from scim2_models import (
    NotFoundException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
)
from scim2_server.storage import AsyncScimStorage, SearchPage
from typing_extensions import override

from services.ingestion.api.persons import READ_PROTECTED, opened
from services.ingestion.api.scim.mapping import (
    group_names,
    group_of,
    person_told,
    unit_told,
    user_names,
    user_of,
)
from services.ingestion.api.scim.searching import sought
from services.ingestion.handlers.provisioning import Provisioning
from services.ingestion.handlers.reception import Sender
from services.ingestion.store import scim
from services.ingestion.store.scim import USER, Sought
from services.kernel import audit
from services.kernel.clock import business_now, local_date
from services.kernel.database import Connection, Database
from services.kernel.problems import ProblemError
from services.kernel.security import Principal


@dataclass(frozen=True)
class Bearer:
    """Who asks, and for which source."""

    principal: Principal
    sender: Sender

    @property
    def source(self) -> str:
        """The one source that the client speaks for."""
        assert self.sender.source is not None  # noqa: S101 - who has none is not let in
        return self.sender.source


class LedgerStorage(AsyncScimStorage):
    """Reads the ledger's current state, audits whom it showed, and tells `Provisioning` what a client says."""

    def __init__(self, database: Database, provisioning: Provisioning, bearer: Bearer) -> None:
        self._database = database
        self._provisioning = provisioning
        self._bearer = bearer
        self._organisation = bearer.sender.settings.key

    @override
    async def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        """Return a resource; protected people are as if they were not there, and the attempt is logged."""
        async with self._database.transaction() as conn:
            if resource_type.name != USER:
                group = await scim.group(conn, self._organisation, self._bearer.source, _unit(resource_id))
                if group is None:
                    raise _unknown()
                return group_of(group, await self._today(conn))
            user = await scim.user(conn, self._organisation, self._bearer.source, _person(resource_id))
            visible = user is not None and await opened(conn, self._bearer.principal, user.person, "scim.user_read")
            today = await self._today(conn)
        if user is None or not visible:
            raise _unknown()
        return user_of(user, self._bearer.source, today)

    @override
    async def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        """Return a page; filter, order and page are the database's work.

        Raises:
            SCIMException: As `searching.sought` says.
        """
        kinds = [str(resource_type.name) for resource_type in resource_types]
        total, shown = 0, list[Resource[Any]]()
        for kind in kinds:
            asked = sought(kind, kinds, search_request)
            if asked is None:
                continue
            # a collection goes on where the one before it ends
            asked = replace(asked, offset=max(0, asked.offset - total), limit=asked.limit - len(shown))
            counted, found = await (self._users(asked) if kind == USER else self._groups(asked))
            total, shown = total + counted, shown + found
        return SearchPage(total, shown)

    async def _users(self, asked: Sought) -> tuple[int, list[Resource[Any]]]:
        principal = self._bearer.principal
        async with self._database.transaction() as conn:
            protected = READ_PROTECTED in principal.scopes
            total, users = await scim.users(conn, self._organisation, self._bearer.source, asked, protected=protected)
            await audit.record(
                conn, "ingestion", self._organisation, principal.subject, "scim.users_listed",
                persons=[user.person for user in users], reason=principal.reason,
            )  # fmt: skip
            today = await self._today(conn)
        return total, [user_of(user, self._bearer.source, today) for user in users]

    async def _groups(self, asked: Sought) -> tuple[int, list[Resource[Any]]]:
        async with self._database.transaction() as conn:
            total, groups = await scim.groups(conn, self._organisation, self._bearer.source, asked)
            today = await self._today(conn)
        return total, [group_of(group, today) for group in groups]

    @override
    async def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        """Tell of a new person or unit."""
        sender = self._bearer.sender
        if resource_type.name != USER:
            group = await self._provisioning.add_group(sender, group_names(resource), unit_told(resource))
            return group_of(group, await self._day())
        user = await self._provisioning.add_user(sender, user_names(resource), person_told(resource))
        return user_of(user, self._bearer.source, await self._day())

    @override
    async def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        """Tell what is otherwise than it was at the expected version.

        Raises:
            PreconditionFailedException: Somebody was faster.
        """
        sender = self._bearer.sender
        try:
            if resource_type.name != USER:
                names = group_names(resource, resource.id)
                group = await self._provisioning.change_group(sender, expected_version, names, unit_told(resource))
                return group_of(group, await self._day())
            user = await self._provisioning.change_user(
                sender, _person(str(resource.id)), expected_version, user_names(resource), person_told(resource)
            )
        except ProblemError as problem:
            raise _moved(problem) from problem
        return user_of(user, self._bearer.source, await self._day())

    @override
    async def delete(
        self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None
    ) -> None:
        """End what the source told, in one fact, and hide it.

        Raises:
            PreconditionFailedException: Somebody was faster.
        """
        sender = self._bearer.sender
        try:
            if resource_type.name != USER:
                await self._provisioning.end_group(sender, _unit(resource_id), expected_version)
            else:
                await self._provisioning.end_user(sender, _person(resource_id), expected_version)
        except ProblemError as problem:
            raise _moved(problem) from problem

    async def _today(self, conn: Connection) -> date:
        return local_date(await business_now(conn), self._bearer.sender.settings.zone)

    async def _day(self) -> date:
        async with self._database.transaction() as conn:
            return await self._today(conn)


def _moved(problem: ProblemError) -> Exception:
    return PreconditionFailedException() if problem.code == "version.moved" else problem


def _unknown() -> NotFoundException:
    return NotFoundException(detail="There is no such resource")


def _person(resource_id: str) -> UUID:
    try:
        return UUID(resource_id)
    except ValueError:
        raise _unknown() from None


def _unit(resource_id: str) -> str:
    unit = unquote(resource_id)
    if "\0" in unit:
        raise _unknown()
    return unit
