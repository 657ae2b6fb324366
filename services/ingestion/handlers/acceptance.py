"""Accepting a batch: one transaction, a verdict per item. What is refused leaves no trace; the rest is whole.

Safe to replay: an event that is in the ledger is answered with what became of it the first time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.hr import HrPersonRecorded
from services.ingestion.domain.access import SOURCE, AccessDecided, objections
from services.ingestion.domain.dossier import Dossier, mirror, reach, tell
from services.ingestion.domain.facts import Fact
from services.ingestion.domain.identity import contradicts
from services.ingestion.domain.projection import Organisation
from services.ingestion.domain.rules import Place, Violation, time_violations, violations
from services.ingestion.domain.state import PersonState, fold, fold_all
from services.ingestion.handlers import announcing, organising
from services.ingestion.handlers.batch import BREATH, Batch, PersonKey, UnitKey, in_turn, keys, prepare, rule_broken
from services.ingestion.handlers.organising import UnitTaken
from services.ingestion.handlers.reception import Submission, person_fact
from services.ingestion.handlers.verdicts import Status, Verdict, conflicting
from services.ingestion.store import erasure, identities, ledger
from services.ingestion.store.ledger import Identity, Keys, KnownFact, StoredPerson
from services.ingestion.store.units import write_units
from services.ingestion.store.versions import Told, write_unit_versions, write_versions
from services.kernel import work
from services.kernel.database import Connection
from services.kernel.erasure import ErasureKey
from services.kernel.messaging import outbox
from services.kernel.work import WorkKey

DATES = "dates"
"""The work target that tells boundaries when they are reached."""

SOME = 100
"""Items of a large batch that are written while the next are judged."""

UNIT = "unit"
"""The kind of subject whose planned changes they are; all others are persons."""


async def accept(
    conn: Connection, submissions: Sequence[Submission], generation: int, key: ErasureKey | None = None
) -> list[Verdict]:
    """Take events into the ledger, in the order of their assertion, and announce what they changed.

    `key`: by which ids of erased people are known again.

    Raises:
        psycopg.Error: `store.REFUSED` names a culprit in the batch, `store.CONTENDED` asks for another try.
    """
    ground = await ledger.ground(conn, keys(submissions), key)
    batch = await prepare(conn, ground, submissions, generation, lock=True)
    writing = _Writing(conn, batch)
    async with conn.pipeline():
        verdicts = await _fold(batch, submissions, writing)
        await writing.end()
    return verdicts


async def foresee(
    conn: Connection, submissions: Sequence[Submission], generation: int, key: ErasureKey | None = None
) -> tuple[list[Verdict], Batch]:
    """Say what `accept` would answer and come to, and leave no trace: nothing is locked, allocated or written."""
    ground = await ledger.glance(conn, keys(submissions), key)
    batch = await prepare(conn, ground, submissions, generation, lock=False)
    return await _fold(batch, submissions), batch


async def reach_unit(
    conn: Connection, unit: UnitKey, zone: ZoneInfo, generation: int, traceparent: str | None
) -> datetime | None:
    """Tell what was planned for a unit and has been reached, in one revision; return when the next date is.

    Safe to replay: a unit that was told as it is today is not told again.
    """
    nobody = frozenset[Identity]()
    ground = await ledger.ground(conn, Keys(nobody, nobody, frozenset({unit}), frozenset(), {}))
    batch = await prepare(conn, ground, [], generation, lock=True, zones={unit[0]: zone})
    if unit not in batch.units:
        return None
    batch.units_touched[unit] = traceparent
    await organising.settle(batch, {})
    async with conn.pipeline():
        await _Writing(conn, batch).end()
    return batch.units[unit].next_boundary


async def _fold(batch: Batch, submissions: Sequence[Submission], writing: "_Writing | None" = None) -> list[Verdict]:
    verdicts: dict[int, Verdict] = {}
    units: dict[int, UnitTaken] = {}
    for count, index in enumerate(in_turn(submissions)):
        if count % BREATH == BREATH - 1:
            await asyncio.sleep(0)
        if writing is not None and count % SOME == SOME - 1:
            await writing.begin()
        taken = _take(batch, submissions[index])
        if isinstance(taken, UnitTaken):
            units[index] = taken
        else:
            verdicts[index] = taken
    if units:
        verdicts |= await organising.settle(batch, units)
    return [verdicts[index] for index in range(len(submissions))]


def _take(batch: Batch, submission: Submission) -> Verdict | UnitTaken:
    known = batch.known.get(submission.key)
    if known is not None:
        return _known(known, submission)
    now = max(batch.ground.at.business, batch.ground.at.recorded)
    wrong = time_violations(submission.event.time, now)
    if wrong:
        return rule_broken(submission, wrong)
    if isinstance(submission.data, HrPersonRecorded | AccessDecided):
        return _take_person(batch, submission)
    return organising.take(batch, submission)


def _known(known: KnownFact, submission: Submission) -> Verdict:
    if known.body_hash != submission.body_hash:
        return conflicting(submission.event.id)
    return Verdict(
        Status.DUPLICATE, submission.event.id, known.id, known.person, known.unit, known.revision, known.case_id
    )


def _take_person(batch: Batch, submission: Submission) -> Verdict:
    organisation, event, fact = submission.organisation, submission.event, person_fact(submission.event)
    identity = (organisation.key, event.source, event.data.external_id)
    if batch.passes_over(identity, fact, organisation.zone):
        return Verdict(Status.UNCHANGED, event.id)
    key = batch.whose(identity, event.time)
    known, data = batch.persons[key].dossier, fact.data
    if known.ties.erased_at is not None and key[1] != batch.identities[identity]:
        # a late word of who had the id before, and is erased: nothing of it is kept
        return Verdict(Status.UNCHANGED, event.id)
    if known.ties.erased_at is not None:
        return rule_broken(submission, [Violation("/data/externalId", "person.erased", "the person is erased")])
    if known.ties.alias_of is not None and event.source == SOURCE:
        wrong = [Violation("/data/externalId", "person.merged", "the person goes by another id now")]
        return rule_broken(submission, wrong)
    if known.ties.alias_of is not None:
        raise ledger.outdated("the person was merged into another one meanwhile")
    # a word that comes late is folded at its own place: only the newest can tell that somebody else has the id now
    newest = known.ties.held_by is None and known.state.precedes(fact)
    if newest and isinstance(data, HrPersonRecorded) and contradicts(known.state, data):
        key = batch.hold(identity, event.time)
    stored = batch.persons[key]
    state = _folded(stored.dossier.state, fact, batch.history.get(key))
    before = _before(fact, stored.dossier.state, batch.history.get(key))
    there = Place(before, state if before is stored.dossier.state else fold(before, fact))
    wrong = _wrong(batch, stored.dossier, fact, there, organisation)
    if wrong:
        return rule_broken(submission, wrong)
    mentions = {**stored.mentions, **_resolved(batch, submission, state, stored.mentions)}
    dossier = replace(stored.dossier, generation=max(stored.dossier.generation, batch.generation))
    batch.history.get(key, []).append(fact)
    batch.touched[key] = submission.traceparent
    if dossier.ties.held_by is not None:
        batch.persons[key] = StoredPerson(replace(dossier, state=state), mentions, None)
        return replace(batch.enter(submission, person=key[1], revision=None), status=Status.QUARANTINED)
    dossier, passed = reach(dossier, batch.ground.at, organisation)
    dossier, revision = tell(
        dossier,
        state,
        mentions,
        batch.ground.at,
        organisation,
        baseline=_is_baseline(submission.data),
        released=submission.released,
    )
    batch.tie(key, dossier.ties)
    batch.persons[key] = StoredPerson(dossier, mentions, dossier.next_boundary(organisation))
    batch.told += [Told(organisation.key, item, submission.traceparent) for item in (passed, revision) if item]
    for alias in dossier.ties.aliases if revision else ():
        _mirror(batch, (organisation.key, alias), dossier, submission)
    return batch.enter(submission, person=key[1], revision=revision)


def _mirror(batch: Batch, key: tuple[str, UUID], kept: Dossier, submission: Submission) -> None:
    stored, at, organisation = batch.persons[key], batch.ground.at, submission.organisation
    dossier = replace(stored.dossier, generation=max(stored.dossier.generation, batch.generation))
    dossier, passed = reach(dossier, at, organisation)
    dossier, revision = mirror(dossier, kept, at, organisation)
    batch.tie(key, dossier.ties)
    batch.persons[key] = StoredPerson(dossier, stored.mentions, dossier.next_boundary(organisation))
    batch.told += [Told(organisation.key, item, submission.traceparent) for item in (passed, revision) if item]
    batch.touched[key] = submission.traceparent


def _wrong(batch: Batch, dossier: Dossier, fact: Fact, there: Place, organisation: Organisation) -> list[Violation]:
    if isinstance(fact.data, HrPersonRecorded):
        return violations(there, fact, organisation)
    if dossier.records is None:
        return [Violation("/data/externalId", "person.unknown", "there is no such person")]
    found = objections(dossier.records.core, fact.data, batch.ground.at.business, organisation.zone)
    return [Violation("/body/until", code, reason) for code, reason in found]


def _is_baseline(data: object) -> bool:
    return isinstance(data, HrPersonRecorded) and data.baseline is True


def _folded(state: PersonState, fact: Fact, history: Sequence[Fact] | None) -> PersonState:
    return fold(state, fact) if history is None else fold_all([*history, fact], state.basis)


def _before(fact: Fact, state: PersonState, history: Sequence[Fact] | None) -> PersonState:
    """The state at a fact's own place: what was asserted later does not decide whether an earlier fact is let in."""
    if history is None or state.precedes(fact):
        return state
    return fold_all((known for known in history if known.order.key < fact.order.key), state.basis)


def _resolved(
    batch: Batch, submission: Submission, state: PersonState, mentions: Mapping[tuple[str, str], UUID]
) -> dict[tuple[str, str], UUID]:
    """Return whom ids mean now: those that this fact names, and those that were not known."""
    organisation, named = submission.organisation.key, submission.event.source
    return {
        mention: batch.identities[organisation, *mention]
        for mention in state.references()
        if mention not in mentions or (mention[0] == named and (organisation, *mention) in batch.identities)
    }


def _boundary_before(batch: Batch, key: tuple[str, UUID]) -> datetime | None:
    known = batch.ground.persons.get(key)
    return known.next_boundary if known else None


class _Writing:
    """Writes what a batch comes to, in one pipeline: the database works at the first of it while the rest is judged."""

    def __init__(self, conn: Connection, batch: Batch) -> None:
        self._conn = conn
        self._batch = batch
        self._persons: dict[PersonKey, StoredPerson] = {}
        self._facts = 0
        self._told = 0

    async def begin(self) -> None:
        """Write what has been judged since the last time, and may still be written again."""
        batch, conn = self._batch, self._conn
        facts, told = batch.facts[self._facts :], batch.told[self._told :]
        persons = {key: batch.persons[key] for key in batch.touched if self._persons.get(key) is not batch.persons[key]}
        self._facts, self._told, self._persons = len(batch.facts), len(batch.told), self._persons | persons
        if persons:
            await ledger.write_persons(conn, persons)
            await asyncio.sleep(0)
        if facts:
            await ledger.write_facts(conn, facts)
            await asyncio.sleep(0)
        if told:
            await write_versions(conn, told)
            await asyncio.sleep(0)
            await outbox.append(conn, [section(one) for one in told for section in announcing.SECTIONS])

    async def end(self) -> None:
        """Write the rest."""
        batch, conn = self._batch, self._conn
        if not batch.facts and not batch.units_touched:
            return
        await self.begin()
        if numbers := batch.numbers():
            await identities.number(conn, numbers)
        for case in batch.returned:
            await identities.returned(conn, case)
        if batch.tied:
            await identities.tie(conn, batch.tied)
        if batch.units_touched:
            await write_units(conn, {key: batch.units[key] for key in batch.units_touched}, batch.trees)
        if batch.units_told:
            await write_unit_versions(conn, batch.units_told)
            await outbox.append(conn, [announcing.unit(one) for one in batch.units_told])
        if batch.back:
            await erasure.came_back(conn, batch.back)
        if batch.erased:
            await erasure.unknown_again(conn, {one: batch.identities[one] for one in batch.erased})
        await work.schedule(conn, _dues(batch))


def _dues(batch: Batch) -> dict[WorkKey, tuple[datetime | None, str | None]]:
    """Return when what is planned is reached, of whom that is another time than before."""
    dues = {
        WorkKey(key[0], "person", str(key[1]), DATES): (batch.persons[key].next_boundary, traceparent)
        for key, traceparent in batch.touched.items()
        if batch.persons[key].next_boundary != _boundary_before(batch, key)
    }
    for unit, traceparent in batch.units_touched.items():
        before, now = batch.ground.units.get(unit), batch.units[unit].next_boundary
        if now != (before.next_boundary if before else None):
            dues[WorkKey(unit[0], UNIT, unit[1], DATES)] = (now, traceparent)
    return dues
