"""What a batch stands on: who and what it is about, locked and read, and what it has come to so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from contracts.hr import HrPersonRecorded
from services.ingestion.domain.access import AccessDecided
from services.ingestion.domain.dossier import Dossier, Revision
from services.ingestion.domain.erasure import comes_back
from services.ingestion.domain.facts import Fact, rank
from services.ingestion.domain.identity import Likeness, Returned, Ties, likeness, official
from services.ingestion.domain.rules import Violation
from services.ingestion.domain.state import PersonState
from services.ingestion.domain.units import (
    FOLDING,
    UnitDossier,
    UnitFact,
    UnitRevision,
    UnitState,
    fold_all_units,
    leaders,
)
from services.ingestion.handlers.reception import Submission, person_fact, stored_event, unit_fact
from services.ingestion.handlers.verdicts import Status, Verdict, refused
from services.ingestion.store import ledger, units
from services.ingestion.store.erasure import Tombstone
from services.ingestion.store.identities import RETURNED, IdentityCase, Numbers
from services.ingestion.store.ledger import Ground, Identity, Keys, KnownFact, NewFact, StoredPerson
from services.ingestion.store.versions import Told, UnitTold
from services.kernel.clock import local_date
from services.kernel.database import Connection
from services.kernel.problems import FieldError

PersonKey = tuple[str, UUID]
UnitKey = tuple[str, str]

BREATH = 10
"""Items after which the event loop may serve others."""


@dataclass
class Batch:
    """Begins as what the ledger knows; written in one round at the end of its transaction.

    `history` and `unit_history` hold all facts of whoever is told of out of order. `erased` are ids that mean nobody
    any more; those that are told of in earnest come `back`.
    """

    ground: Ground
    generation: int
    identities: dict[Identity, UUID]
    known: dict[tuple[str, str, str], KnownFact]
    persons: dict[PersonKey, StoredPerson]
    history: dict[PersonKey, list[Fact]]
    units: dict[UnitKey, UnitDossier]
    unit_history: dict[UnitKey, list[UnitFact]]
    trees: dict[str, int]
    zones: dict[str, ZoneInfo]
    facts: list[NewFact] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    units_told: list[UnitTold] = field(default_factory=list)
    touched: dict[PersonKey, str | None] = field(default_factory=dict)
    units_touched: dict[UnitKey, str | None] = field(default_factory=dict)
    returned: list[IdentityCase] = field(default_factory=list)
    tied: dict[PersonKey, Ties] = field(default_factory=dict)
    erased: dict[Identity, Tombstone] = field(default_factory=dict)
    back: dict[Identity, Tombstone] = field(default_factory=dict)

    def whose(self, identity: Identity, asserted_at: datetime) -> PersonKey:
        """Return of whom a fact under a source's id is told: an id that came back meant another person before."""
        return _whose(self.identities, self.persons, identity, asserted_at)

    def hold(self, identity: Identity, since: datetime) -> PersonKey:
        """Let a source's id mean somebody new, of whom nothing is told until a person has decided the case."""
        organisation, source, external_id = identity
        before, held = self.identities[identity], uuid4()
        case = IdentityCase(
            uuid4(), organisation, RETURNED, before, held, source, external_id, self.ground.at.recorded, "open", None,
            None, None,
        )  # fmt: skip
        known = self.persons[organisation, before].dossier.ties
        self.returned.append(case)
        self.identities[identity] = held
        returned = Returned(source=source, external_id=external_id, since=since, person=before)
        self.tied[organisation, held] = ties = Ties(held_by=case.id, returned=(returned,))
        self.tied[organisation, before] = known.model_copy(update={"remapped_at": case.opened_at})
        self.persons[organisation, held] = StoredPerson(Dossier(held, self.generation, ties=ties), {}, None)
        return (organisation, held)

    def passes_over(self, identity: Identity, fact: Fact, zone: ZoneInfo) -> bool:
        """Tell whether a fact is of somebody who is erased, so that nothing of it is kept.

        That is what was asserted by then, and what is said later of employments that are over. An id that is told of
        with an employment that goes on means somebody new: who that was before is not known, and must not be.
        """
        known = self.back.get(identity) or self.erased.get(identity)
        until = known.erased_at if known else self.ground.since.get(identity)
        if until is None or fact.asserted_at <= until:
            return until is not None
        if identity in self.erased:
            if not comes_back(fact.data, local_date(until, zone)):
                return True
            self.back[identity] = self.erased.pop(identity)
        return False

    def tie(self, key: PersonKey, ties: Ties) -> None:
        """Note what stands beside a dossier, when it has changed."""
        if ties != self.persons[key].dossier.ties:
            self.tied[key] = ties

    def enter(
        self,
        submission: Submission,
        *,
        person: UUID | None = None,
        unit: str | None = None,
        revision: Revision | UnitRevision | None,
    ) -> Verdict:
        """Note an event as a fact, with the revision that it led to, and return the verdict on it."""
        event, known = submission.event, self.known.get(submission.key)
        fact = NewFact(
            id=known.id if known else uuid4(),
            key=submission.key,
            kind=event.type,
            asserted_at=event.time,
            sequence=event.sequence,
            actor=submission.actor,
            person=person,
            unit=unit,
            revision=revision.number if revision else None,
            case_id=revision.case_id if isinstance(revision, Revision) else None,
            body=submission.body,
            body_hash=submission.body_hash,
            traceparent=submission.traceparent,
        )
        self.facts.append(fact)
        self.known[fact.key] = KnownFact(fact.id, fact.body_hash, person, unit, fact.revision, fact.case_id)
        status = Status.ACCEPTED if revision else Status.UNCHANGED
        return Verdict(status, event.id, fact.id, person, unit, fact.revision, fact.case_id)

    def numbers(self) -> dict[PersonKey, Numbers]:
        """Return what has changed in people's official numbers; who is held has none yet."""
        found = {}
        for key in self.touched:
            known, dossier = self.ground.persons.get(key), self.persons[key].dossier
            before = known.dossier.state.identifiers if known else ()
            if before != dossier.state.identifiers and dossier.ties.held_by is None:
                was, has = official(before), official(dossier.state.identifiers)
                found[key] = Numbers(has - was, was - has)
        return found


def rule_broken(submission: Submission, wrong: Sequence[Violation]) -> Verdict:
    """Return the verdict on an event that breaks rules of the register."""
    errors = [FieldError(item.field, item.code, item.reason) for item in wrong]
    return refused(wrong[0].code, "The event breaks a rule of the register", *errors, event_id=submission.event.id)


def keys(submissions: Sequence[Submission]) -> Keys:
    """Return who and what a batch is about."""
    subjects, mentioned, about = set[Identity](), set[Identity](), set[UnitKey]()
    likenesses: dict[Identity, Likeness] = {}
    for submission in submissions:
        organisation, source = submission.organisation.key, submission.event.source
        data = submission.data
        if isinstance(data, AccessDecided):
            subjects.add((organisation, source, data.external_id))
        elif isinstance(data, HrPersonRecorded):
            subjects.add((organisation, source, data.external_id))
            if (like := likeness(data)) is not None:
                likenesses.setdefault((organisation, source, data.external_id), like)
            mentioned |= {(organisation, source, external) for external in _mentions(data)}
        else:
            about.add((organisation, data.external_id))
            mentioned |= {(organisation, *leader) for leader in leaders(data, source)}
    return Keys(
        subjects=frozenset(subjects),
        mentioned=frozenset(mentioned - subjects),
        units=frozenset(about),
        events=frozenset(submission.key for submission in submissions),
        likenesses=likenesses,
    )


def in_turn(submissions: Sequence[Submission]) -> list[int]:
    """Return positions in the order in which a batch is folded: that of the facts, not that of the list."""

    def order(index: int) -> tuple[datetime, int, int, str, str]:
        event = submissions[index].event
        return (event.time, event.sequence, rank(event.data), event.id, event.source)

    return sorted(range(len(submissions)), key=order)


def _mentions(data: HrPersonRecorded) -> set[str]:
    employments = data.employments or ()
    people = {employment.sponsor for employment in employments}
    people |= {span.manager for employment in employments for span in employment.assignments or ()}
    return {person for person in people if person is not None}


async def prepare(
    conn: Connection,
    ground: Ground,
    submissions: Sequence[Submission],
    generation: int,
    *,
    lock: bool,
    zones: Mapping[str, ZoneInfo] = MappingProxyType({}),
) -> Batch:
    """Read the whole history of whoever is told of out of order; others are folded on top of what is stored.

    `lock`: lock the aliases of those who are told of, as they are locked themselves. `zones`: of organisations that no
    submission names.
    """
    zones = {**zones, **{submission.organisation.key: submission.organisation.zone for submission in submissions}}
    tied = _tied(ground.persons)
    while tied:
        ground = replace(ground, persons={**ground.persons, **await ledger.by_id(conn, tied, lock=lock)})
        tied = _tied(ground.persons)
    identities = dict(ground.identities)
    facts: dict[PersonKey, list[Fact]] = {}
    unit_facts: dict[UnitKey, list[UnitFact]] = {}
    for submission in (submissions[index] for index in in_turn(submissions)):
        organisation, event, data = submission.organisation.key, submission.event, submission.data
        if isinstance(data, HrPersonRecorded | AccessDecided):
            identity = (organisation, event.source, data.external_id)
            key = _whose(identities, ground.persons, identity, event.time)
            facts.setdefault(key, []).append(person_fact(event))
        else:
            unit_facts.setdefault((organisation, data.external_id), []).append(unit_fact(event, zones[organisation]))
    late = [key for key, new in facts.items() if _out_of_order(ground.persons[key].dossier.state, new)]
    late_units = [
        key
        for key, unit in ground.units.items()
        if _folded_otherwise(unit.state) or _out_of_order(unit.state, unit_facts.get(key, ()))
    ]
    bodies = await ledger.person_bodies(conn, late) if late else {}
    unit_bodies = await units.unit_bodies(conn, late_units) if late_units else {}
    unit_history = {
        key: [unit_fact(stored_event(*body), zones[key[0]]) for body in found] for key, found in unit_bodies.items()
    }
    # a late fact may bring back whom nothing mentions now
    known = {(key[0], *mention) for key, facts in unit_history.items() for fact in facts for mention in fact.leaders}
    refolded = {
        key: replace(unit, state=fold_all_units(unit_history[key]))
        for key, unit in ground.units.items()
        if _folded_otherwise(unit.state)
    }
    ground = replace(ground, units={**ground.units, **refolded})
    known |= {(key[0], *mention) for key, unit in ground.units.items() for mention in unit.state.references()}
    identities |= await ledger.meant(conn, known - set(identities))
    return Batch(
        ground=ground,
        generation=generation,
        persons=dict(ground.persons),
        units=dict(ground.units),
        trees=dict(ground.trees),
        history={key: [person_fact(stored_event(*body)) for body in found] for key, found in bodies.items()},
        unit_history=unit_history,
        identities=identities,
        known=dict(ground.facts),
        zones=zones,
        erased=dict(ground.erased),
    )


def _tied(persons: Mapping[PersonKey, StoredPerson]) -> set[PersonKey]:
    """Return people who are bound to those of a batch, and not read yet: aliases, and who had an id before."""
    found = set[PersonKey]()
    for key, stored in persons.items():
        ties = stored.dossier.ties
        bound = {*ties.aliases, *(one.person for one in ties.returned)}
        found |= {(key[0], person) for person in bound}
        if ties.alias_of is not None:
            found.add((key[0], ties.alias_of))
    return found - persons.keys()


def _whose(
    identities: Mapping[Identity, UUID],
    persons: Mapping[PersonKey, StoredPerson],
    identity: Identity,
    asserted_at: datetime,
) -> PersonKey:
    key = (identity[0], identities[identity])
    known = persons.get(key)
    for one in known.dossier.ties.returned if known else ():
        if (one.source, one.external_id) == identity[1:] and asserted_at < one.since:
            former = persons[key[0], one.person].dossier.ties
            return (key[0], former.alias_of or one.person)
    return key


def _folded_otherwise(state: UnitState) -> bool:
    return state.last is not None and state.folding != FOLDING


def _out_of_order(state: PersonState | UnitState, new: Sequence[Fact] | Sequence[UnitFact]) -> bool:
    last = state.last.key if state.last else None
    for fact in new:
        key = fact.order.key
        if last is not None and key <= last:
            return True
        last = key
    return False
