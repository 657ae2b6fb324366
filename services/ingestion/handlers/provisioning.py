"""Persons and units as a provisioning client tells of them: one fact each, by the same acceptance as every event.

The version is compared under the lock under which the fact is taken, so of two clients that saw the same one wins. Safe
to replay: what says nothing new is no fact, and a fact's id comes from what it says and what it was said on top of.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, timedelta
from typing import Any, TypeVar
from uuid import UUID

import orjson

from contracts.registry import HR_PERSON, HR_UNIT
from services.ingestion.domain.facts import FactOrder
from services.ingestion.domain.provisioning import Data, PersonTold, closed, ended, person_data, unit_data
from services.ingestion.domain.state import PersonState
from services.ingestion.handlers.acceptance import accept
from services.ingestion.handlers.door import CULPRIT, tried
from services.ingestion.handlers.reception import Sender, Submission, read
from services.ingestion.store import scim, units
from services.ingestion.store.ledger import outdated
from services.ingestion.store.scim import GROUP, USER, KnownGroup, KnownUser, Names, Sought
from services.kernel import telemetry
from services.kernel.clock import business_now, local_date
from services.kernel.database import Connection, Database
from services.kernel.erasure import ErasureKey
from services.kernel.problems import FieldError, ProblemError

log = telemetry.get_logger(__name__)

TICK = timedelta(microseconds=1)
Result = TypeVar("Result")


class Provisioning:
    """Takes what clients tell to the ledger; the sender is bound to one source."""

    def __init__(
        self,
        database: Database,
        *,
        generation: int,
        on_commit: Callable[[], None],
        crash: Callable[[str], None],
        key: ErasureKey | None = None,
    ) -> None:
        self._database = database
        self._generation = generation
        self._on_commit = on_commit
        self._crash = crash
        self._key = key

    async def add_user(self, sender: Sender, names: Names, told: PersonTold) -> KnownUser:
        """Take a new person, or one that the client had deleted: the source's id says who it is.

        Raises:
            ProblemError: 409, one of the names is taken; else as the door answers.
        """

        async def add(conn: Connection) -> KnownUser:
            key, source = sender.settings.key, _source(sender)
            known = await scim.identified(conn, key, source, names.subject)
            if known is not None:
                await scim.lock_user(conn, key, known[0])
            if known is not None and not await scim.deleted(conn, key, source, USER, names.subject):
                raise _taken("externalId" if names.external_id else "userName")
            await _free(conn, sender, names)
            if not await scim.claim(conn, key, source, USER, names):
                raise _taken("externalId" if names.external_id else "userName")
            state = await scim.person_state(conn, key, known[1]) if known else PersonState()
            data = person_data(state, source, names.subject, told)
            await self._tell(conn, sender, HR_PERSON, data, state.last)
            taken = await scim.identified(conn, key, source, names.subject)
            return _there(await scim.user(conn, key, source, taken[0]) if taken else None)

        return await self._transact(add)

    async def change_user(
        self, sender: Sender, resource_id: UUID, version: str | None, names: Names, told: PersonTold
    ) -> KnownUser:
        """Take what is otherwise about a person. `names.subject` is not looked at: it never changes.

        Raises:
            ProblemError: 404; 409, a name is taken; 412, somebody was faster; else as the door answers.
        """

        async def change(conn: Connection) -> KnownUser:
            known = await self._held_user(conn, sender, resource_id, version)
            key, source = sender.settings.key, _source(sender)
            named = Names(known.names.subject, names.user_name, names.external_id)
            if named != known.names:
                await _free(conn, sender, named)
                await scim.rename(conn, key, source, USER, named)
            data = person_data(known.state, source, named.subject, told)
            await self._tell(conn, sender, HR_PERSON, data, known.state.last)
            return _there(await scim.user(conn, key, source, resource_id))

        return await self._transact(change)

    async def end_user(self, sender: Sender, resource_id: UUID, version: str | None) -> None:
        """End what the source told of a person (`domain.provisioning.ended`), and hide it from the source's clients.

        Raises:
            ProblemError: 404; 412, somebody was faster.
        """

        async def end(conn: Connection) -> None:
            known = await self._held_user(conn, sender, resource_id, version)
            key, source = sender.settings.key, _source(sender)
            data = ended(known.state, source, known.names.subject, await _today(conn, sender))
            await self._tell(conn, sender, HR_PERSON, data, known.state.last)
            await scim.rename(conn, key, source, USER, known.names, gone=True)

        await self._transact(end)

    async def add_group(self, sender: Sender, names: Names, told: Mapping[str, Any]) -> KnownGroup:
        """Take a new unit, or one that the client had deleted.

        Raises:
            ProblemError: 409, its id is taken; else as the door answers.
        """

        async def add(conn: Connection) -> KnownGroup:
            key, source = sender.settings.key, _source(sender)
            await units.hold(conn, key)
            state = await scim.unit_state(conn, key, names.subject)
            gone = state is not None and await scim.deleted(conn, key, source, GROUP, names.subject)
            if (state is not None and not gone) or not await scim.claim(conn, key, source, GROUP, names):
                raise _taken("externalId" if names.external_id else "displayName")
            today = await _today(conn, sender)
            data = unit_data(state.on(today) if state else None, names.subject, told)
            await self._tell(conn, sender, HR_UNIT, data, state.last if state else None)
            return _there(await scim.group(conn, key, source, names.subject))

        return await self._transact(add)

    async def change_group(
        self, sender: Sender, version: str | None, names: Names, told: Mapping[str, Any]
    ) -> KnownGroup:
        """Take what is otherwise about a unit.

        Raises:
            ProblemError: 404; 412, somebody was faster; else as the door answers.
        """

        async def change(conn: Connection) -> KnownGroup:
            known = await self._held_group(conn, sender, names.subject, version)
            key, source = sender.settings.key, _source(sender)
            if names != known.names:
                await scim.rename(conn, key, source, GROUP, names)
            data = unit_data(known.state.on(await _today(conn, sender)), names.subject, told)
            await self._tell(conn, sender, HR_UNIT, data, known.state.last)
            return _there(await scim.group(conn, key, source, names.subject))

        return await self._transact(change)

    async def end_group(self, sender: Sender, unit: str, version: str | None) -> None:
        """Close a unit (`domain.provisioning.closed`), and hide it from the source's clients.

        Raises:
            ProblemError: 404; 412, somebody was faster.
        """

        async def end(conn: Connection) -> None:
            known = await self._held_group(conn, sender, unit, version)
            data = closed(known.state, unit, await _today(conn, sender))
            await self._tell(conn, sender, HR_UNIT, data, known.state.last)
            await scim.rename(conn, sender.settings.key, _source(sender), GROUP, known.names, gone=True)

        await self._transact(end)

    async def _transact(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        async def once() -> Result:
            async with self._database.transaction() as conn:
                found = await work(conn)
                self._crash("scim.before_commit")
            return found

        try:
            found = await tried(once)
        except CULPRIT as error:
            log.warning("scim.refused_by_database", cause=type(error).__name__)
            raise ProblemError(422, "event.refused", "The event cannot be stored") from error
        self._crash("scim.after_commit")
        self._on_commit()
        return found

    async def _tell(
        self, conn: Connection, sender: Sender, kind: str, data: Data | None, last: FactOrder | None
    ) -> None:
        """Accept one fact on top of the last one: SCIM says no time of its own, so it is now, and never before that."""
        if data is None:
            return
        now = await business_now(conn)
        on = (last.asserted_at.isoformat(), last.sequence, last.event_id) if last else ()
        told = orjson.dumps([kind, on, data], option=orjson.OPT_SORT_KEYS)
        item = {
            "specversion": "1.0",
            "id": f"scim-{hashlib.sha256(told).hexdigest()[:40]}",
            "source": _source(sender),
            "type": kind,
            "time": max(now, last.asserted_at + TICK if last else now).isoformat(),
            "data": data,
        }
        submission = read(item, sender, telemetry.current_traceparent())
        if not isinstance(submission, Submission):
            raise submission.problem or ProblemError(422, "event.refused", "The event cannot be stored")
        (verdict,) = await accept(conn, [submission], self._generation, self._key)
        if verdict.problem is not None:
            raise verdict.problem
        log.info("scim.accepted", organisation=sender.settings.key, fact=str(verdict.fact), status=verdict.status.value)

    async def _held_user(self, conn: Connection, sender: Sender, resource_id: UUID, version: str | None) -> KnownUser:
        held = await scim.lock_user(conn, sender.settings.key, resource_id)
        found = _there(await scim.user(conn, sender.settings.key, _source(sender), resource_id))
        if found.person not in held:
            raise outdated("the person was merged into another one meanwhile")
        _unmoved(found.version, version)
        return found

    async def _held_group(self, conn: Connection, sender: Sender, unit: str, version: str | None) -> KnownGroup:
        await units.hold(conn, sender.settings.key)
        found = _there(await scim.group(conn, sender.settings.key, _source(sender), unit))
        _unmoved(found.version, version)
        return found


async def _free(conn: Connection, sender: Sender, names: Names) -> None:
    """Refuse names that another person of the source has."""
    for field, sought in (
        ("userName", Sought(user_name=names.user_name, limit=2)),
        ("externalId", Sought(external_id=names.external_id, limit=2)),
    ):
        if sought.user_name is None and sought.external_id is None:
            continue
        _, found = await scim.users(conn, sender.settings.key, _source(sender), sought, protected=True)
        if any(one.names.subject != names.subject for one in found):
            raise _taken(field)


async def _today(conn: Connection, sender: Sender) -> date:
    return local_date(await business_now(conn), sender.settings.zone)


def _source(sender: Sender) -> str:
    assert sender.source is not None  # noqa: S101 - clients without a source are not let in
    return sender.source


def _unmoved(version: str, expected: str | None) -> None:
    if expected is not None and version != expected:
        raise ProblemError(412, "version.moved", "The resource has changed since it was read")


def _there(found: Result | None) -> Result:
    if found is None:
        raise ProblemError(404, "resource.unknown", "There is no such resource")
    return found


def _taken(field: str) -> ProblemError:
    error = FieldError(f"/{field}", "resource.taken", "another resource of this source has it")
    return ProblemError(409, "resource.taken", "The name is taken", errors=[error])
