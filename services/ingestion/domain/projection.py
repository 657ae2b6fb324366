"""From the folded state to the record that travels: ends worked out, external ids resolved, sections parted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import orjson

from contracts.codes import EndReason
from contracts.person import (
    Absence,
    Assignment,
    ConfidentialRecord,
    CoreRecord,
    Employment,
    EmploymentTerms,
    Name,
)
from services.ingestion.domain.lingering import Stated, lingers_until
from services.ingestion.domain.state import EmploymentState, PersonState
from services.kernel.clock import day_after, local_date

NAMESPACE = UUID("6f0c1d2e-6c1b-5d0e-9a55-7a3b1f8c2e41")
"""Namespace of employments' UUIDs (RFC 9562 section 5.5)."""

References = Mapping[tuple[str, str], UUID]
"""(source, external id) → person; the ids of managers and sponsors are allocated at their first mention."""


@dataclass(frozen=True)
class Organisation:
    """What the rules need to know of the authority that controls the data."""

    key: str
    zone: ZoneInfo


@dataclass(frozen=True)
class Records:
    """Both sections of a revision."""

    core: CoreRecord
    confidential: ConfidentialRecord

    @cached_property
    def core_json(self) -> str:
        """The core section as it is stored, with the person and as a version."""
        return self.core.model_dump_json(by_alias=True)

    @cached_property
    def confidential_json(self) -> str:
        """The confidential section as it is stored."""
        return self.confidential.model_dump_json(by_alias=True)


@dataclass(frozen=True)
class _End:
    """The end that holds: inclusive date, the instant that overrides it, why, and since when it is stated."""

    valid_to: date | None
    ends_at: datetime | None
    reason: EndReason | None
    stated_at: datetime | None

    def closes_at(self, zone: ZoneInfo) -> datetime | None:
        """The instant at which access closes."""
        closes = [day_after(self.valid_to, zone)] if self.valid_to else []
        return min([*closes, *([self.ends_at] if self.ends_at else [])], default=None)

    def last_day(self, zone: ZoneInfo) -> date | None:
        """The last local day on which anything held."""
        if self.ends_at is None:
            return self.valid_to
        closed = local_date(self.ends_at, zone)
        return min(self.valid_to or closed, closed)


Formers = Mapping[tuple[str, str], UUID]
"""Who had a source's id (source, external id) before it came back with this person."""


def employment_id(organisation: str, employment: EmploymentState, formers: Formers) -> UUID:
    """Return the employment's UUID: the same for ever for the same identity at the source.

    An id that came back brings the employments' own ids with it, so who had it before tells them apart.
    """
    former = formers.get((employment.source, employment.person))
    return uuid5(NAMESPACE, orjson.dumps([organisation, *employment.key, *([former] if former else ())]).decode())


def project(
    state: PersonState, organisation: Organisation, references: References, formers: Formers = MappingProxyType({})
) -> Records:
    """Return the whole effective-dated record in both sections.

    Args:
        state: A state that follows the rules (`rules.violations` found none).
        organisation: Whose zone turns dates into instants.
        references: Covers `state.references()`.
        formers: For ids that were another's before.

    Raises:
        ValueError: The state lacks what every record has.
    """
    if state.name is None:
        raise ValueError("a record needs a name")
    pairs = [
        (_employment(employment, state, organisation, references, formers), employment)
        for employment in state.employments
    ]
    told = [Stated(projected, employment.stated_at) for projected, employment in pairs]
    pairs = [
        (_lingering(projected, told, state.deceased_stated_at, organisation.zone), employment)
        for projected, employment in pairs
    ]
    pairs.sort(key=lambda pair: (pair[0].valid_from, pair[0].id.hex))
    return Records(
        core=CoreRecord(
            name=Name(given=state.name.given, family=state.name.family, preferred=state.name.preferred),
            protection=state.protection,
            deceased=state.deceased_on is not None,
            access=state.access,
            employments=tuple(projected for projected, _ in pairs),
        ),
        confidential=ConfidentialRecord(
            birth_date=state.birth_date,
            identifiers=state.identifiers,
            private_contact=state.private_contact,
            terms=tuple(
                EmploymentTerms(employment=projected.id, terms=told.terms) for projected, told in pairs if told.terms
            ),
        ),
    )


def _lingering(one: Employment, told: Sequence[Stated], deceased_at: datetime | None, zone: ZoneInfo) -> Employment:
    until = lingers_until(one, told, deceased_at, zone)
    return one if until is None else one.model_copy(update={"lingers_until": until})


def _employment(
    told: EmploymentState, state: PersonState, organisation: Organisation, references: References, formers: Formers
) -> Employment:
    if told.form is None or told.valid_from is None:
        raise ValueError("an employment needs a form and a start")
    end = _end(told, told.valid_from, state.deceased_stated_at, organisation.zone)
    return Employment(
        id=employment_id(organisation.key, told, formers),
        form=told.form,
        valid_from=told.valid_from,
        valid_to=end.last_day(organisation.zone),
        ends_at=end.ends_at,
        end_reason=end.reason,
        end_stated_at=end.stated_at,
        cancelled=_never_was(told, told.valid_from, organisation.zone),
        employee_number=told.employee_number,
        extent=100.0 if told.extent is None else told.extent,
        sponsor=references[told.source, told.sponsor] if told.sponsor else None,
        baseline=told.baseline,
        assignments=tuple(
            Assignment(
                unit=span.unit,
                title=span.title,
                title_code=span.title_code,
                manager=references[told.source, span.manager] if span.manager else None,
                site=span.site,
                cost_centre=span.cost_centre,
                valid_from=span.valid_from,
                valid_to=span.valid_to,
            )
            for span in sorted(told.assignments, key=lambda span: span.valid_from)
        ),
        absences=tuple(
            Absence(extent=span.extent, valid_from=span.valid_from, valid_to=span.valid_to)
            for span in sorted(told.absences, key=lambda span: (span.valid_from, span.valid_to or date.max, span.kind))
        ),
    )


def _cancelled_before_start(told: EmploymentState, starts: date, zone: ZoneInfo) -> bool:
    """DOMAIN case 2. On the start day or later a cancellation is an end (case 3)."""
    return told.cancelled_at is not None and local_date(told.cancelled_at, zone) < starts


def _never_was(told: EmploymentState, starts: date, zone: ZoneInfo) -> bool:
    """Cancelled in time, or told in facts that arrived out of order and contradict each other."""
    contradicted = told.valid_to is not None and told.valid_to < starts
    return contradicted or _cancelled_before_start(told, starts, zone)


def _end(told: EmploymentState, starts: date, deceased_stated_at: datetime | None, zone: ZoneInfo) -> _End:
    """Return the earliest of the stated end, a cancellation after the start, a dismissal and a death."""
    end = _End(told.valid_to, None, told.end_reason, told.end_stated_at)
    if told.cancelled_at is not None and not _cancelled_before_start(told, starts, zone):
        end = _earlier(end, _cancelled_end(told.cancelled_at, starts, end, zone), zone)
    if told.dismissed_at is not None:
        end = _earlier(end, _End(end.valid_to, told.dismissed_at, told.end_reason, told.dismissed_at), zone)
    if deceased_stated_at is not None:
        end = _earlier(end, _End(end.valid_to, deceased_stated_at, EndReason.DEATH, deceased_stated_at), zone)
    return end


def _cancelled_end(cancelled_at: datetime, starts: date, end: _End, zone: ZoneInfo) -> _End:
    """DOMAIN case 3: the day before was the last one; what started today has no such day and closes at once."""
    today = local_date(cancelled_at, zone)
    if today > starts:
        return _End(today - timedelta(days=1), None, end.reason, cancelled_at)
    return _End(today, cancelled_at, end.reason, cancelled_at)


def _earlier(end: _End, other: _End, zone: ZoneInfo) -> _End:
    closes, candidate = end.closes_at(zone), other.closes_at(zone)
    return other if closes is None or (candidate is not None and candidate < closes) else end
