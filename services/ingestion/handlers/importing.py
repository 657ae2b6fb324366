"""Files as work: one source's files one after the other, in short steps, each of which is safe to repeat.

A step is a transaction of few people. Whoever dies between two steps is followed by somebody who finds what is planned
and what is applied; what was applied and not noted is a duplicate at the door.
"""

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import BinaryIO

import orjson

from contracts.codes import StepState
from services.ingestion.domain.grouping import Grouped, grouped
from services.ingestion.domain.mapping import FileMapping
from services.ingestion.domain.rows import FileRefused, Reject
from services.ingestion.handlers.door import Door
from services.ingestion.handlers.judging import judged
from services.ingestion.handlers.planning import Planner
from services.ingestion.handlers.reception import Sender, Submission, read
from services.ingestion.handlers.unit_planning import BadRows, UnitPlanner
from services.ingestion.ports import RowReader
from services.ingestion.store import files
from services.ingestion.store.files import FileImport, PlannedPerson
from services.kernel import telemetry
from services.kernel.clock import business_now
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.erasure import ErasureKey
from services.kernel.failures import Failure, Permanent, Unavailable
from services.kernel.messaging.outbox import Outgoing
from services.kernel.settings import OrganisationSettings
from services.kernel.work import Claim, Outcome

log = telemetry.get_logger(__name__)

FILES = "files"
"""The work target; its subjects are sources."""

PAGE = 5_000
"""People of a source who are looked for in a full file at a time."""

UNREAD = "what was planned is not taken here any more"
SHARE = 0.4
"""How much of its time a pass uses: a step that is slow must still end before the lease does."""


class FilesImported:
    """Performs the work target `files`, one source a row."""

    def __init__(
        self,
        database: Database,
        door: Door,
        reader: RowReader,
        mappings: Mapping[str, FileMapping],
        organisations: Mapping[str, OrganisationSettings],
        *,
        generation: int,
        crash: Callable[[str], None],
        key: ErasureKey | None = None,
    ) -> None:
        self._database = database
        self._door = door
        self._reader = reader
        self._mappings = mappings
        self._organisations = organisations
        self._generation = generation
        self._crash = crash
        self._key = key

    async def load(self, conn: Connection, claims: Sequence[Claim]) -> Sequence[None]:
        """Nothing: each step reads what it needs."""
        return [None] * len(claims)

    async def perform(self, claim: Claim, context: None) -> Outcome:
        """Bring the source's oldest unfinished file on, as far as the time goes; then go on at once.

        Raises:
            Unavailable: The database went away.
            Permanent: The organisation is not served any more.
        """
        organisation = self._organisations.get(claim.key.organisation)
        if organisation is None:
            raise Permanent("organisation.unknown")
        now = asyncio.get_running_loop().time()
        until = now + SHARE * max(0.0, claim.deadline - now)
        try:
            while True:
                async with self._database.transaction() as conn:
                    file = await files.running(conn, organisation.key, claim.key.subject)
                if file is None:
                    return Outcome(due_at=None)
                ended = await self._brought_on(file, organisation, until)
                if not ended or asyncio.get_running_loop().time() > until:
                    return Outcome(due_at=claim.business_now)
        except TRANSIENT as error:
            raise Unavailable("database.unavailable") from error

    async def _brought_on(self, file: FileImport, organisation: OrganisationSettings, until: float) -> bool:
        """Plan or apply until the time is up; tell whether that is done."""
        try:
            if file.state == "received":
                return await self._planned(file, self._mapping(file.source), organisation, until)
            return await self._applied(file, organisation, until)
        except FileRefused as refusal:
            log.warning("file.refused", organisation=file.organisation, file=str(file.id), code=refusal.code)
            async with self._database.transaction() as conn:
                await files.move(
                    conn, file.id, "refused", code=refusal.code, reason=refusal.reason, parameters=refusal.parameters
                )
            return True

    def _mapping(self, source: str) -> FileMapping:
        if source not in self._mappings:
            raise FileRefused("file.mapping_missing", "no mapping is agreed with the source")
        return self._mappings[source]

    async def _planned(
        self, file: FileImport, mapping: FileMapping, organisation: OrganisationSettings, until: float
    ) -> bool:
        found = await self._grouped(file, mapping)
        if mapping.records == "units":
            return await self._units_planned(file, mapping, organisation, found)
        async with self._database.transaction() as conn:
            now = await business_now(conn)
            planner = Planner(file, mapping, organisation, self._generation, now, self._key)
            await files.counted(conn, file.id, mapping.records, found.rows, len(found.persons), found.unread)
            await files.reject(conn, file.id, found.rejects)
            place = await files.planned_to(conn, file.id)
        people = enumerate(islice(found.persons.items(), place, None), place + 1)
        while batch := [(number, external, rows) for number, (external, rows) in islice(people, files.STEP)]:
            async with self._database.transaction() as conn:
                await planner.people(conn, batch)
            self._crash("files.after_plan")
            if asyncio.get_running_loop().time() > until:
                return False
        if file.kind == "full" and not await self._missing(file, planner, found, until):
            return False
        await self._judged(file, found, organisation)
        self._crash("files.after_judgement")
        return True

    async def _units_planned(
        self, file: FileImport, mapping: FileMapping, organisation: OrganisationSettings, found: Grouped
    ) -> bool:
        """Plan all units at once: the tree is judged whole, and one bad row refuses the file."""
        try:
            async with self._database.transaction() as conn:
                await files.counted(conn, file.id, mapping.records, found.rows, len(found.persons), found.unread)
                held = await UnitPlanner(file, mapping, organisation, self._generation).plan(conn, found)
                state = "planned" if file.plan else "applying"
                code = "file.units_missing" if held else None
                await files.move(conn, file.id, state, code=code, parameters={"missing": held} if held else None)
        except BadRows as bad:
            async with self._database.transaction() as conn:
                await files.reject(conn, file.id, bad.rejects)
            raise
        self._crash("files.after_plan")
        return True

    async def _grouped(self, file: FileImport, mapping: FileMapping) -> Grouped:
        """Read the file in a thread, from a copy on disk: the loop serves events meanwhile."""
        with tempfile.TemporaryFile() as spooled:
            number = 0
            while True:
                async with self._database.transaction() as conn:
                    content = await files.part(conn, file.id, number)
                if content is None:
                    break
                spooled.write(content)
                number += 1
            return await asyncio.to_thread(self._group, spooled, mapping)

    def _group(self, spooled: BinaryIO, mapping: FileMapping) -> Grouped:
        return grouped(self._reader(spooled, mapping), mapping)

    async def _missing(self, file: FileImport, planner: Planner, found: Grouped, until: float) -> bool:
        """Plan those whom a full file leaves out; tell whether that is done. A place that is taken stays as it is."""
        async with self._database.transaction() as conn:
            after = await files.missing_to(conn, file.id)
        while True:
            async with self._database.transaction() as conn:
                ids = await files.known(conn, file.organisation, file.source, after, PAGE)
                gone = [one for one in ids if one not in found.persons]
            for at in range(0, len(gone), files.STEP):
                async with self._database.transaction() as conn:
                    await planner.missing(conn, gone[at : at + files.STEP], await files.planned_to(conn, file.id) + 1)
                self._crash("files.after_missing")
                if asyncio.get_running_loop().time() > until:
                    return False
            if len(ids) < PAGE:
                return True
            after = ids[-1]

    async def _judged(self, file: FileImport, found: Grouped, organisation: OrganisationSettings) -> None:
        """Judge what is planned; then wait or go on."""
        async with self._database.transaction() as conn:
            said = await judged(conn, replace(file, unread=found.unread), organisation)
            state = "planned" if file.plan else "applying"
            if said is None:
                await files.move(conn, file.id, state)
            else:
                await files.move(conn, file.id, state, code=said.code, reason=said.reason, parameters=said.parameters)

    async def _applied(self, file: FileImport, organisation: OrganisationSettings, until: float) -> bool:
        while True:
            async with self._database.transaction() as conn:
                # units change places with each other: only all of them together are judged as they were planned
                people = await files.next_planned(conn, file.id, None if file.records == "units" else files.STEP)
                if not people:
                    await files.remember(conn, file)
                    await files.move(
                        conn, file.id, "done", code=file.code, reason=file.reason, parameters=file.parameters
                    )
                    log.info("file.done", organisation=file.organisation, file=str(file.id))
                    return True
            settled, rejects = await self._submitted(file, organisation, people)
            self._crash("files.before_mark")
            async with self._database.transaction() as conn:
                await files.settle(conn, file, settled)
                await files.reject(conn, file.id, rejects)
            self._crash("files.after_mark")
            if asyncio.get_running_loop().time() > until:
                return False

    async def _submitted(
        self, file: FileImport, organisation: OrganisationSettings, people: Sequence[PlannedPerson]
    ) -> tuple[dict[int, str], list[Reject]]:
        sender = Sender(file.actor, organisation, file.source)
        events = await asyncio.to_thread(_events, people, sender, file.traceparent)
        verdicts = await self._door.submit_batch([event for _, event in events])
        taken = {one.place for one, _ in events}
        settled = {one.place: "rejected" for one in people if one.place not in taken}
        rejects = [Reject(0, one.external_id, "", "event.invalid", UNREAD) for one in people if one.place in settled]
        for (one, _), verdict in zip(events, verdicts, strict=True):
            if verdict.problem is None:
                settled.setdefault(one.place, "applied")
            else:
                settled[one.place] = "rejected"
                # the row is not known any more: the person's place stands for it
                rejects.append(Reject(0, one.external_id, "", verdict.problem.code, verdict.problem.title))
        return settled, rejects

    async def settle(self, conn: Connection, done: Sequence[tuple[Claim, Outcome]]) -> None:
        """Nothing: each step has committed."""

    def failed(
        self, claim: Claim, context: None, failure: Failure, state: StepState, retry_at: object
    ) -> Sequence[Outgoing]:
        """Nothing to tell the others: a file that waits is no step of theirs."""
        return ()

    def removes(self, claim: Claim, context: None) -> bool:
        """A file is told to others; the services that hear of it take access away."""
        return False

    async def probe(self) -> None:
        """Return when the database answers.

        Raises:
            Unavailable: It is still away.
        """
        if await self._database.problem() is not None:
            raise Unavailable("database.unavailable")


def _events(
    people: Sequence[PlannedPerson], sender: Sender, traceparent: str | None
) -> list[tuple[PlannedPerson, Submission]]:
    found = []
    for one in people:
        body = orjson.loads(one.body or b"null")
        # of a unit a file may say several things, each from its date on
        for item in body if isinstance(body, list) else [body]:
            event = read(item, sender, traceparent)
            if isinstance(event, Submission):
                found.append((one, replace(event, released=one.released)))
    return found
