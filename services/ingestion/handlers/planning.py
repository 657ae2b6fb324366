"""What a file would do, person by person: facts are folded as the door folds them, and nothing is written of them.

Safe to repeat: event ids come from the file, the person and what is said, so that the same fact is the same event.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import orjson

from contracts.codes import CaseKind, Protection
from contracts.registry import HR_PERSON
from services.ingestion.domain.differences import changed_fields
from services.ingestion.domain.grouping import unpacked
from services.ingestion.domain.mapping import FileMapping
from services.ingestion.domain.missing import announced, departure, still_open, takes
from services.ingestion.domain.rows import WITHHELD, Reject, Told, rejected, told
from services.ingestion.handlers.acceptance import foresee
from services.ingestion.handlers.batch import Batch
from services.ingestion.handlers.reception import Sender, Submission, read
from services.ingestion.handlers.verdicts import Status, Verdict
from services.ingestion.store import files, ledger
from services.ingestion.store.files import FileImport, PlannedPerson, Standing
from services.ingestion.store.ledger import Keys
from services.kernel.clock import local_date
from services.kernel.database import Connection
from services.kernel.erasure import ErasureKey
from services.kernel.settings import OrganisationSettings


@dataclass(frozen=True)
class Ready:
    """A person about whom something is to be said: the event, read or refused."""

    planned: PlannedPerson
    event: bytes
    read: Submission | Verdict


class Planner:
    """Plans the people of one file."""

    def __init__(
        self,
        file: FileImport,
        mapping: FileMapping,
        organisation: OrganisationSettings,
        generation: int,
        now: datetime,
        key: ErasureKey | None,
    ) -> None:
        self._file = file
        self._mapping = mapping
        self._zone = organisation.zone
        self._sender = Sender(file.actor, organisation, file.source)
        self._generation = generation
        self._key = key
        # whoever goes by a file that was made long ago goes at once, whatever it was when it was made
        self._today = max(local_date(file.made_at, self._zone), local_date(now, self._zone))

    async def people(self, conn: Connection, persons: Sequence[tuple[int, str, Sequence[bytes]]]) -> None:
        """Plan people whom the file names, given with their places and rows."""
        standing = await files.standing(
            conn, self._file.organisation, self._file.source, [external for _, external, _ in persons]
        )
        known, ready, rejects = await asyncio.to_thread(self._read, persons, standing)
        rows = {external_id: lines for _, external_id, lines in persons}
        foreseen = await self._foreseen(conn, ready, rejects, rows)
        await files.plan(conn, self._file.id, [*known, *foreseen])
        await files.reject(conn, self._file.id, rejects)

    async def missing(self, conn: Connection, ids: Sequence[str], place: int) -> None:
        """Plan people whom a full file does not name; places are taken from `place` on."""
        file, day = self._file, local_date(self._file.made_at, self._zone)
        standing = await files.standing(conn, file.organisation, file.source, ids)
        keys = frozenset((file.organisation, file.source, one) for one in ids)
        ground = await ledger.glance(conn, Keys(keys, frozenset(), frozenset(), frozenset(), {}), self._key)
        ready: list[Ready] = []
        for external_id in ids:
            person = ground.identities[file.organisation, file.source, external_id]
            state = ground.persons[file.organisation, person].dossier.state
            ends = still_open(state, file.source, external_id, day)
            if ends:
                known = self._known(place + len(ready), external_id, standing[external_id])
                said = announced(ends, self._today, self._zone)
                known = replace(known, missing=True, announced=said, takes=not said)
                ready.append(self._ready(known, departure(external_id, ends, day)))
        rejects: list[Reject] = []
        await files.plan(conn, file.id, await self._foreseen(conn, ready, rejects, {}))
        await files.reject(conn, file.id, rejects)

    def _read(
        self, persons: Sequence[tuple[int, str, Sequence[bytes]]], standing: Mapping[str, Standing]
    ) -> tuple[list[PlannedPerson], list[Ready], list[Reject]]:
        """Read rows, in a thread: who cannot be read, who is as the last file told, and of whom something is said."""
        known: list[PlannedPerson] = []
        ready: list[Ready] = []
        rejects: list[Reject] = []
        for place, external_id, rows in persons:
            found = told(self._mapping, external_id, [unpacked(row) for row in rows])
            before = self._known(place, external_id, standing[external_id])
            hidden = before.protected or found.record.get("protection", Protection.NONE) != Protection.NONE
            before = replace(before, protected=hidden)
            if found.rejects:
                rejects += [replace(one, value=WITHHELD) if hidden and one.value else one for one in found.rejects]
                known.append(replace(before, state="rejected"))
                continue
            digest = hashlib.sha256(orjson.dumps(found.record, option=orjson.OPT_SORT_KEYS)).digest()
            if digest == standing[external_id].hash:
                known.append(before)
            else:
                record = {**found.record, "baseline": True} if self._file.baseline else found.record
                ready.append(self._ready(replace(before, hash=digest), record))
        return known, ready, rejects

    def _known(self, place: int, external_id: str, standing: Standing) -> PlannedPerson:
        return PlannedPerson(
            place,
            external_id,
            standing.person,
            standing.base,
            "unchanged",
            protected=standing.protected,
            unit=standing.unit,
        )

    def _ready(self, known: PlannedPerson, record: Mapping[str, Any]) -> Ready:
        made = self._file.made_at.isoformat()
        key = orjson.dumps([self._file.hash.hex(), made, record], option=orjson.OPT_SORT_KEYS)
        event_id = f"file-{hashlib.sha256(key).hexdigest()[:32]}"
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": self._file.source,
            "type": HR_PERSON,
            "time": made,
            "data": record,
        }
        found = read(event, self._sender, self._file.traceparent)
        return Ready(replace(known, event_id=event_id), orjson.dumps(event), found)

    async def _foreseen(
        self, conn: Connection, ready: Sequence[Ready], rejects: list[Reject], rows: Mapping[str, Sequence[bytes]]
    ) -> list[PlannedPerson]:
        submissions = [one.read for one in ready if isinstance(one.read, Submission)]
        verdicts, batch = await foresee(conn, submissions, self._generation, self._key) if submissions else ([], None)
        answers = iter(verdicts)
        planned = []
        for one in ready:
            verdict = next(answers) if isinstance(one.read, Submission) else one.read
            if verdict.problem is not None:
                rejects += self._refused(one, verdict, rows.get(one.planned.external_id, ()))
                planned.append(replace(one.planned, state="rejected"))
            elif verdict.status is Status.QUARANTINED:
                planned.append(replace(one.planned, state="planned", reason=verdict.status.value, body=one.event))
            elif verdict.status is not Status.ACCEPTED or batch is None:
                # of who is erased nothing is remembered, not even that the file told of it
                planned.append(one.planned if verdict.fact is not None else replace(one.planned, hash=None))
            else:
                made = local_date(self._file.made_at, self._zone)
                planned.append(_changed(one, batch, verdict, made, self._today))
        return planned

    def _refused(self, one: Ready, verdict: Verdict, packed: Sequence[bytes]) -> list[Reject]:
        problem = verdict.problem
        assert problem is not None  # noqa: S101 - the caller has looked
        if not packed:
            return [Reject(0, "", "", problem.code, problem.title)]
        rows = [unpacked(row) for row in packed]
        record = orjson.loads(one.event)["data"]
        person = Told(one.planned.external_id, tuple(row.number for row in rows), record)
        found = problem.errors or ()
        if not found:
            return [rejected(self._mapping, person, rows, "", problem.code, problem.title)]
        return [rejected(self._mapping, person, rows, error.field, error.code, error.reason) for error in found]


def _changed(one: Ready, batch: Batch, verdict: Verdict, made: date, today: date) -> PlannedPerson:
    told_last = next(item.revision for item in reversed(batch.told) if item.revision.person == verdict.person)
    key = next(key for key in batch.persons if key[1] == verdict.person)
    before = batch.ground.persons[key].dossier.records
    # who ends today leaves at midnight: to the ledger a mover until then, to who reads the plan a leaver
    goes_on = any(item.valid_to is None or item.valid_to > made for item in told_last.records.core.employments)
    leaves = one.planned.missing and not goes_on
    goes = takes(before.core if before else None, told_last, today)
    return replace(
        one.planned,
        state="planned",
        kind=CaseKind.LEAVER if leaves else told_last.kind,
        reason=told_last.reason,
        fields=changed_fields(before, told_last.records),
        body=one.event,
        takes=one.planned.takes if one.planned.missing else goes,
    )
