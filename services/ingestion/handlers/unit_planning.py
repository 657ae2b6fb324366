"""What a file of units would do: all of it folded and judged as one batch, and nothing written but the plan.

Safe to repeat: event ids come from the file, the unit and what is said.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from contracts.codes import UnitKind
from contracts.registry import HR_UNIT
from services.ingestion.domain.grouping import Grouped, unpacked
from services.ingestion.domain.mapping import FileMapping
from services.ingestion.domain.rows import FileRefused, Reject, Row, Told, rejected
from services.ingestion.domain.unit_rows import closing, difference, words
from services.ingestion.domain.units import UnitDossier
from services.ingestion.handlers.acceptance import foresee
from services.ingestion.handlers.reception import Sender, Submission, read
from services.ingestion.handlers.verdicts import Status, Verdict
from services.ingestion.store import files, unit_files, units
from services.ingestion.store.files import FileImport, PlannedPerson
from services.kernel.clock import local_date
from services.kernel.database import Connection
from services.kernel.settings import OrganisationSettings

UNIT_LIMIT = 20_000
"""Units of a file: ten times the largest customer, and what one transaction takes."""


class BadRows(FileRefused):
    """One bad row is enough: half of a reorganisation is none."""

    def __init__(self, rejects: Sequence[Reject]) -> None:
        rows = len({one.row for one in rejects})
        super().__init__("file.bad_rows", f"{rows} rows cannot be taken", rows=rows)
        self.rejects = rejects


@dataclass(frozen=True)
class _Word:
    """What a file says of a unit from one date on."""

    told: Told
    rows: Sequence[Row]
    event: dict[str, Any]
    read: Submission | Verdict


class UnitPlanner:
    """Plans the units of one file."""

    def __init__(
        self, file: FileImport, mapping: FileMapping, organisation: OrganisationSettings, generation: int
    ) -> None:
        self._file = file
        self._mapping = mapping
        self._day = local_date(file.made_at, organisation.zone)
        self._sender = Sender(file.actor, organisation, file.source)
        self._generation = generation

    async def plan(self, conn: Connection, found: Grouped) -> int:
        """Store the plan, and return how many units are missing from a full file: they wait for a person.

        Raises:
            BadRows: A row cannot be read, or the register refuses what it says.
            FileRefused: There are too many units, or the organisation keeps them here.
        """
        if self._sender.settings.organisation_data != "hr":
            raise FileRefused("unit.mastered_here", "the organisation keeps its units here")
        if len(found.persons) > UNIT_LIMIT:
            raise FileRefused("file.too_many_rows", f"a file has at most {UNIT_LIMIT} units", limit=UNIT_LIMIT)
        said, rejects = await asyncio.to_thread(self._read, found.persons)
        rejects = [*found.rejects, *rejects]
        if rejects:
            raise BadRows(rejects)
        planned = await self._foreseen(conn, said)
        missing = await self._missing(conn, found, len(planned) + 1) if self._file.kind == "full" else []
        await files.plan(conn, self._file.id, [*planned, *missing])
        return len(missing)

    def _read(self, rows: Mapping[str, Sequence[bytes]]) -> tuple[dict[str, list[_Word]], list[Reject]]:
        """Read rows, in a thread: what is said of each unit, and what cannot be read."""
        said: dict[str, list[_Word]] = {}
        rejects: list[Reject] = []
        for unit, packed in rows.items():
            for number, (told, of) in enumerate(words(self._mapping, unit, [unpacked(row) for row in packed])):
                rejects += told.rejects
                event = self._event(told.record, number)
                said.setdefault(unit, []).append(
                    _Word(told, of, event, read(event, self._sender, self._file.traceparent))
                )
        return said, rejects

    def _event(self, record: Mapping[str, Any], sequence: int) -> dict[str, Any]:
        made = self._file.made_at.isoformat()
        key = orjson.dumps([self._file.hash.hex(), made, sequence, record], option=orjson.OPT_SORT_KEYS)
        return {
            "specversion": "1.0",
            "id": f"file-{hashlib.sha256(key).hexdigest()[:32]}",
            "source": self._file.source,
            "type": HR_UNIT,
            "time": made,
            "sequence": sequence,
            "data": record,
        }

    async def _foreseen(self, conn: Connection, said: Mapping[str, Sequence[_Word]]) -> list[PlannedPerson]:
        every = [word for of in said.values() for word in of]
        events = [word.read for word in every if isinstance(word.read, Submission)]
        verdicts, batch = await foresee(conn, events, self._generation)
        answers = iter(verdicts)
        judged = [next(answers) if isinstance(word.read, Submission) else word.read for word in every]
        rejects = [one for word, verdict in zip(every, judged, strict=True) for one in self._refused(word, verdict)]
        if rejects:
            raise BadRows(rejects)
        planned = []
        for place, (unit, of) in enumerate(said.items(), 1):
            key = (self._file.organisation, unit)
            before, after = batch.ground.units.get(key), batch.units[key]
            found = difference(before, after.state)
            if found is None:
                planned.append(PlannedPerson(place, unit, None, _base(before), "unchanged"))
                continue
            kind, fields = found
            body = orjson.dumps([word.event for word in of])
            reason = Status.PARKED.value if after.waits_for else None
            planned.append(
                PlannedPerson(
                    place, unit, None, _base(before), "planned", kind=kind, reason=reason, fields=fields,
                    event_id=of[-1].event["id"], body=body,
                )
            )  # fmt: skip
        return planned

    def _refused(self, word: _Word, verdict: Verdict) -> list[Reject]:
        problem = verdict.problem
        if problem is None:
            return []
        found = [(error.field, error.code, error.reason) for error in problem.errors]
        return [
            rejected(self._mapping, word.told, word.rows, *one) for one in found or [("", problem.code, problem.title)]
        ]

    async def _missing(self, conn: Connection, found: Grouped, place: int) -> list[PlannedPerson]:
        """Plan the units of the source that a full file leaves out: never by themselves, for a person to release."""
        ids = await unit_files.of_source(conn, self._file.organisation, self._file.source)
        gone = await units.by_id(conn, self._file.organisation, [one for one in ids if one not in found.persons])
        planned: list[PlannedPerson] = []
        for unit, known in sorted(gone.items()):
            record = closing(unit, known.state, self._day)
            if record is None:
                continue
            event = self._event(record, 0)
            planned.append(
                PlannedPerson(
                    place + len(planned), unit, None, _base(known), "held", missing=True, kind=UnitKind.CLOSED,
                    fields=["validTo"], event_id=event["id"], body=orjson.dumps([event]),
                )
            )  # fmt: skip
        return planned


def _base(unit: UnitDossier | None) -> str:
    """Name what the plan stands on: the newest fact, '' for a unit that is not known."""
    return unit.state.last.event_id if unit and unit.state.last else ""
