"""Everything the ledger knows of one person, and the two things that move it on: a fact, and the passing of time."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID, uuid4

from contracts.codes import CaseKind, Lane, Reason
from contracts.person import ConfidentialRecord
from services.ingestion.domain.change import Change
from services.ingestion.domain.classification import Classification, OpenCase, classify, classify_reached
from services.ingestion.domain.identity import FREE, Ties
from services.ingestion.domain.projection import Organisation, Records, References, project
from services.ingestion.domain.rules import AHEAD_OF_CLOCK
from services.ingestion.domain.spans import next_boundary, stays
from services.ingestion.domain.state import FINAL, PersonState
from services.kernel.clock import local_date


@dataclass(frozen=True)
class Instant:
    """One moment on both clocks: business time, and the database's, at which we learn things."""

    business: datetime
    recorded: datetime


@dataclass(frozen=True)
class Revision:
    """One version of the record, gapless from 1 (bitemporal: valid time within, transaction time by revision)."""

    person: UUID
    generation: int
    number: int
    case_id: UUID
    kind: CaseKind
    reason: Reason
    effective_at: datetime
    accepted_at: datetime
    recorded_at: datetime
    lane: Lane
    baseline: bool
    guard_released: bool
    records: Records
    event_id: UUID
    confidential_event_id: UUID


@dataclass(frozen=True)
class Dossier:
    """`announced_until`: every boundary up to this instant of business time has been told; it never goes back."""

    person: UUID
    generation: int = 1
    revision: int = 0
    state: PersonState = field(default_factory=PersonState)
    records: Records | None = None
    cases: tuple[OpenCase, ...] = ()
    announced_until: datetime | None = None
    ties: Ties = FREE

    def next_boundary(self, organisation: Organisation) -> datetime | None:
        """Return when the record next takes effect by itself."""
        if self.records is None or self.announced_until is None:
            return None
        return next_boundary(self.records.core, self.announced_until, organisation.zone)


def reach(dossier: Dossier, at: Instant, organisation: Organisation) -> tuple[Dossier, Revision | None]:
    """Tell the boundaries that have passed since the last time: at most one revision. Safe to repeat."""
    if dossier.records is None or dossier.announced_until is None or at.business <= dossier.announced_until:
        return dossier, None
    found = classify_reached(
        dossier.records.core, dossier.announced_until, at.business, organisation.zone, dossier.cases
    )
    if found is None:
        return replace(dossier, announced_until=at.business), None
    return _revise(dossier, dossier.records, found, at, baseline=False)


def tell(
    dossier: Dossier,
    state: PersonState,
    references: References,
    at: Instant,
    organisation: Organisation,
    *,
    baseline: bool,
    released: bool = False,
) -> tuple[Dossier, Revision | None]:
    """Move the dossier on to a new state; no revision when neither section differs.

    `released`: somebody let the going that this says through at ingestion's guard; later revisions say so as well,
    until the person stays. Boundaries that passed unannounced are to be told first, with `reach`: nothing is announced
    twice or forgotten.
    """
    formers = dossier.ties.formers(dossier.person)
    records = _tied(project(state, organisation, references, formers), dossier.ties)
    released = (released or dossier.ties.released) and not stays(
        records.core, local_date(at.business, organisation.zone)
    )
    if released != dossier.ties.released:
        dossier = replace(dossier, ties=dossier.ties.model_copy(update={"released": released}))
    return _moved_on(replace(dossier, state=state), records, at, organisation, baseline=baseline)


def mirror(alias: Dossier, kept: Dossier, at: Instant, organisation: Organisation) -> tuple[Dossier, Revision | None]:
    """Move an alias on to what the person whom it was merged into has become.

    The confidential section stays with that person. A retired alias has no employments left.
    """
    assert kept.records is not None  # noqa: S101 - only who has a record is merged into
    employments = () if alias.ties.retired else kept.records.core.employments
    changes = {"alias_of": kept.person, "aliases": (), "employments": employments}
    records = Records(kept.records.core.model_copy(update=changes), ConfidentialRecord())
    alias = replace(alias, ties=alias.ties.model_copy(update={"released": kept.ties.released}))
    return _moved_on(alias, records, at, organisation, baseline=False)


def _tied(records: Records, ties: Ties) -> Records:
    if not ties.aliases:
        return records
    return replace(records, core=records.core.model_copy(update={"aliases": ties.aliases}))


def _moved_on(
    dossier: Dossier, records: Records, at: Instant, organisation: Organisation, *, baseline: bool
) -> tuple[Dossier, Revision | None]:
    business = max(at.business, dossier.announced_until or at.business)
    business = max(business, _closing(records, business))
    change = Change(dossier.records, records, business, organisation.zone, baseline)
    found = classify(change, dossier.cases)
    if found is None:
        return dossier, None
    return _revise(dossier, records, found, replace(at, business=business), baseline=baseline)


def _closing(records: Records, business: datetime) -> datetime:
    """A dismissal or a death is at once: a source's clock that runs a little ahead does not leave a door open."""
    ends = [item.ends_at for item in records.core.employments if item.ends_at and item.end_reason in FINAL]
    return max((at for at in ends if at <= business + AHEAD_OF_CLOCK), default=business)


def _revise(
    dossier: Dossier, records: Records, found: Classification, at: Instant, *, baseline: bool
) -> tuple[Dossier, Revision]:
    case = found.continues or OpenCase(
        id=uuid4(),
        kind=found.kind,
        reason=found.reason,
        employment=found.employment,
        effective_at=found.effective_at,
        accepted_at=at.recorded,
    )
    case = case.model_copy(update={"effective_at": found.effective_at})
    revision = Revision(
        person=dossier.person,
        generation=dossier.generation,
        number=dossier.revision + 1,
        case_id=case.id,
        kind=found.kind,
        reason=found.reason,
        effective_at=found.effective_at,
        accepted_at=case.accepted_at,
        recorded_at=at.recorded,
        lane=found.lane,
        baseline=baseline,
        guard_released=dossier.ties.released,
        records=records,
        event_id=uuid4(),
        confidential_event_id=uuid4(),
    )
    still_ahead = [known for known in dossier.cases if known.id != case.id and known.effective_at > at.business]
    if case.effective_at > at.business:
        still_ahead.append(case)
    return replace(
        dossier,
        revision=revision.number,
        records=records,
        cases=tuple(still_ahead),
        announced_until=at.business,
    ), revision
