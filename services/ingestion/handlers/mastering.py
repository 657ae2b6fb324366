"""Units that an organisation keeps here and not in HR's system: facts of a source of our own, judged like HR's.

Safe to replay: a word has an id, and a fact of that id is in the ledger once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from contracts.codes import UnitKind
from contracts.hr import HrUnitRecorded
from contracts.registry import HR_UNIT
from services.ingestion.domain.access import SOURCE
from services.ingestion.domain.unit_rows import difference
from services.ingestion.domain.units import KEPT_HERE
from services.ingestion.handlers.acceptance import accept, foresee
from services.ingestion.handlers.batch import Batch
from services.ingestion.handlers.door import CULPRIT, tried
from services.ingestion.handlers.reception import Sender, Submission, canonical_hash, read
from services.ingestion.handlers.verdicts import Status, Verdict, refused
from services.ingestion.store import decisions, units
from services.kernel import audit, telemetry
from services.kernel.clock import business_now
from services.kernel.database import Connection, Database
from services.kernel.problems import FieldError, ProblemError
from services.kernel.settings import OrganisationSettings

log = telemetry.get_logger(__name__)

TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Clerk:
    """Who says something of units, for which organisation; `protected`: may see people with a protected identity."""

    actor: str
    settings: OrganisationSettings
    protected: bool = False


@dataclass(frozen=True)
class Judged:
    """What would become of a word: the verdict; of the unit with all words, the kind of change and its fields."""

    unit: str | None
    verdict: Verdict
    kind: UnitKind | None = None
    fields: Sequence[str] = ()


class UnitsKeptHere:
    """Takes what clerks say of units to the ledger, asserted now; every word is audited in its transaction.

    A word has the fields of `HrUnitRecorded`. Without `managerSource` those who lead a unit are people by our own ids.
    """

    def __init__(self, database: Database, *, generation: int, on_commit: Callable[[], None]) -> None:
        self._database = database
        self._generation = generation
        self._on_commit = on_commit

    async def record(self, clerk: Clerk, word_id: UUID, word: Mapping[str, Any], reason: str) -> Verdict:
        """Take one word; the same id with the same word and reason is answered with what became of it.

        Raises:
            ProblemError: 409, HR masters the units, or the id belongs to another word; 422 by the rules.
        """
        _kept_here(clerk)

        async def once() -> Verdict:
            async with self._database.transaction() as conn:
                return await self._record(conn, clerk, word_id, word, reason)

        try:
            verdict = await tried(once)
        except CULPRIT as error:
            log.warning("unit.refused_by_database", cause=type(error).__name__)
            raise ProblemError(422, "event.refused", "The event cannot be stored") from error
        self._on_commit()
        log.info("unit.recorded", organisation=clerk.settings.key, fact=str(verdict.fact), status=verdict.status.value)
        return verdict

    async def plan(self, clerk: Clerk, words: Sequence[object]) -> list[Judged]:
        """Say of each word, in their order, what would become of it, all of them together; nothing is stored.

        What one that is refused would do is not counted in the others.

        Raises:
            ProblemError: 409, HR masters the units.
        """
        _kept_here(clerk)
        async with self._database.transaction() as conn:
            at = await _now(conn, clerk, words)
            found: dict[int, Verdict] = {}
            kept: dict[int, Submission] = {}
            for index, word in enumerate(words):
                one = await self._read(conn, clerk, _event(f"plan-{index}", at, index, word))
                if isinstance(one, Submission):
                    kept[index] = one
                else:
                    found[index] = one
            while True:
                verdicts, batch = await foresee(conn, list(kept.values()), self._generation)
                new = dict(zip(kept, verdicts, strict=True))
                wrong = {index: verdict for index, verdict in new.items() if verdict.problem is not None}
                found |= wrong or new
                if not wrong:
                    break
                kept = {index: one for index, one in kept.items() if index not in wrong}
            rejected = sum(verdict.problem is not None for verdict in found.values())
            await audit.record(
                conn, "ingestion", clerk.settings.key, clerk.actor, "units.planned",
                parameters={"units": len(words), "rejected": rejected},
            )  # fmt: skip
        self._on_commit()
        return [_judged(batch, clerk, kept.get(index), found[index], word) for index, word in enumerate(words)]

    async def record_all(self, clerk: Clerk, key: UUID, words: Sequence[object], reason: str) -> list[Verdict]:
        """Take several words, in their order, or none of them; the same key with the same words is answered again.

        Raises:
            ProblemError: 409, HR masters the units, or the key belongs to other words; 422, one of them cannot be:
                what is wrong is said of every word, as `/data/<index>/<field>`.
        """
        _kept_here(clerk)

        async def once() -> list[Verdict]:
            async with self._database.transaction() as conn:
                return await self._record_all(conn, clerk, key, words, reason)

        try:
            verdicts = await tried(once)
        except CULPRIT as error:
            log.warning("units.refused_by_database", cause=type(error).__name__)
            raise ProblemError(422, "event.refused", "The event cannot be stored") from error
        self._on_commit()
        log.info("units.recorded", organisation=clerk.settings.key, units=len(words))
        return verdicts

    async def _record_all(
        self, conn: Connection, clerk: Clerk, key: UUID, words: Sequence[object], reason: str
    ) -> list[Verdict]:
        await units.hold(conn, clerk.settings.key)
        at = await _now(conn, clerk, words)
        read = [
            await self._read(conn, clerk, _event(str(uuid5(key, str(index))), at, index, word))
            for index, word in enumerate(words)
        ]
        submissions = [
            # how many there are is part of what was said: fewer under the same key are something else
            replace(one, body_hash=canonical_hash({"data": word, "reason": reason, "of": len(words)}))
            for one, word in zip(read, words, strict=True)
            if isinstance(one, Submission)
        ]
        if len(submissions) < len(words):
            raise _problems([one if isinstance(one, Verdict) else None for one in read])
        for person in sorted({person for one in submissions for person in _people(one.event.data)}):
            await decisions.identify(conn, clerk.settings.key, person)
        verdicts = await accept(conn, submissions, self._generation)
        if any(verdict.problem is not None for verdict in verdicts):
            raise _problems(verdicts)
        for submission, verdict in zip(submissions, verdicts, strict=True):
            if verdict.status is not Status.DUPLICATE:
                await _audited(conn, clerk, submission, verdict, reason)
        return verdicts

    async def _record(
        self, conn: Connection, clerk: Clerk, word_id: UUID, word: Mapping[str, Any], reason: str
    ) -> Verdict:
        await units.hold(conn, clerk.settings.key)
        submission = await self._read(conn, clerk, _event(str(word_id), await _now(conn, clerk, [word]), 0, word))
        if isinstance(submission, Verdict):
            raise _problem(submission)
        # the time is ours: whoever sends the same once more does not know it
        submission = replace(submission, body_hash=canonical_hash({"data": word, "reason": reason}))
        for person in _people(submission.event.data):
            await decisions.identify(conn, clerk.settings.key, person)
        (verdict,) = await accept(conn, [submission], self._generation)
        if verdict.problem is not None:
            raise _problem(verdict)
        if verdict.status is not Status.DUPLICATE:
            await _audited(conn, clerk, submission, verdict, reason)
        return verdict

    async def _read(self, conn: Connection, clerk: Clerk, event: dict[str, Any]) -> Submission | Verdict:
        """Read a word as an event, and see to it that there is everybody whom it names by our own ids."""
        data, sender = event["data"], Sender(clerk.actor, clerk.settings, KEPT_HERE)
        if isinstance(data, dict):
            if data.get("managerSource") == SOURCE:
                return refused("source.forbidden", _NO_SOURCE, _error("managerSource", "source.forbidden", _NO_SOURCE))
            if "managerSource" not in data and (data.get("manager") or data.get("actingManager")):
                event = {**event, "data": {**data, "managerSource": SOURCE}}
        submission = read(event, sender, telemetry.current_traceparent())
        if isinstance(submission, Verdict) or submission.event.data.manager_source != SOURCE:
            return submission
        named = {"manager": submission.event.data.manager, "actingManager": submission.event.data.acting_manager}
        ids = {name: _uuid(value) for name, value in named.items() if value is not None}
        known = await units.people(
            conn, clerk.settings.key, [one for one in ids.values() if one is not None], protected=clerk.protected
        )
        strange = [name for name, person in ids.items() if person not in known]
        errors = [_error(name, "person.unknown", "there is no such person") for name in strange]
        return refused("person.unknown", "There is no such person", *errors) if errors else submission


_NO_SOURCE = "the source is not bound to the organisation"


def _error(name: str, code: str, reason: str) -> FieldError:
    return FieldError(f"/data/{name}", code, reason)


def _kept_here(clerk: Clerk) -> None:
    if clerk.settings.organisation_data != "stafett":
        raise ProblemError(409, "unit.mastered_by_hr", "HR's systems tell of the organisation's units")


async def _audited(conn: Connection, clerk: Clerk, submission: Submission, verdict: Verdict, reason: str) -> None:
    await audit.record(
        conn, "ingestion", clerk.settings.key, clerk.actor, "unit.recorded", reason=reason,
        parameters={"unit": submission.event.data.external_id, "fact": str(verdict.fact)},
    )  # fmt: skip


def _problems(verdicts: Sequence[Verdict | None]) -> ProblemError:
    """Return one problem for all words that cannot be; each field stands below its word's index."""
    wrong = {index: one for index, one in enumerate(verdicts) if one is not None and one.problem is not None}
    errors = [replace(error, field=_below(index, error.field)) for index, one in wrong.items() for error in _named(one)]
    status = 409 if any(one.status is Status.CONFLICT for one in wrong.values()) else 422
    codes = {_problem(one).code for one in wrong.values()}
    code = codes.pop() if len(codes) == 1 else "unit.plan_refused"
    return ProblemError(status, code, "One of the words cannot be, and none was recorded", errors=errors)


def _below(index: int, field: str) -> str:
    return f"/data/{index}{field.removeprefix('/data')}" if field.startswith("/data") else f"/data/{index}"


def _named(verdict: Verdict) -> Sequence[FieldError]:
    problem = _problem(verdict)
    return problem.errors or (FieldError("/data", problem.code, problem.title),)


def _problem(verdict: Verdict) -> ProblemError:
    assert verdict.problem is not None  # noqa: S101 - the caller has looked
    return verdict.problem


def _event(event_id: str, at: datetime, sequence: int, word: object) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": KEPT_HERE,
        "type": HR_UNIT,
        "time": at.isoformat(),
        "sequence": sequence,
        "data": word,
    }


async def _now(conn: Connection, clerk: Clerk, words: Sequence[object]) -> datetime:
    """Return business time, or the moment after what was last told of the units: a word here is the newest."""
    ids = [word.get("externalId") for word in words if isinstance(word, dict)]
    known = await units.by_id(conn, clerk.settings.key, sorted({one for one in ids if isinstance(one, str)}))
    last = [unit.state.last.asserted_at + TICK for unit in known.values() if unit.state.last is not None]
    return max([await business_now(conn), *last])


def _people(data: HrUnitRecorded) -> list[UUID]:
    if data.manager_source != SOURCE:
        return []
    found = {_uuid(one) for one in (data.manager, data.acting_manager) if one is not None}
    return sorted(one for one in found if one is not None)


def _uuid(text: str) -> UUID | None:
    try:
        person = UUID(text)
    except ValueError:
        return None
    return person if str(person) == text else None


def _judged(batch: Batch, clerk: Clerk, submission: Submission | None, verdict: Verdict, word: object) -> Judged:
    if submission is None:
        unit = word.get("externalId") if isinstance(word, dict) else None
        return Judged(unit if isinstance(unit, str) else None, verdict)
    key = (clerk.settings.key, submission.event.data.external_id)
    found = difference(batch.ground.units.get(key), batch.units[key].state)
    kind, fields = found or (None, ())
    return Judged(key[1], verdict, kind, fields)
