"""Reading events at the door: strict, one at a time, with a code, a field and a reason for everything that is wrong."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from pydantic import ValidationError

from contracts.envelope import HrEvent
from contracts.hr import HrPersonRecorded, HrUnitRecorded
from contracts.hr_changes import HrChange
from contracts.registry import DOOR, parse_hr_event
from services.ingestion.domain import access
from services.ingestion.domain.access import AccessDecided
from services.ingestion.domain.facts import Fact
from services.ingestion.domain.projection import Organisation
from services.ingestion.domain.rules import date_violations
from services.ingestion.domain.units import KEPT_HERE, UnitFact
from services.ingestion.handlers.verdicts import Verdict, refused
from services.kernel.clock import local_date
from services.kernel.problems import FieldError, from_validation
from services.kernel.settings import OrganisationSettings

RULES: Mapping[str, str] = {
    "validTo is before validFrom": "dates.end_before_start",
    "assignments overlap": "assignments.overlap",
    "the same employment id": "employment.duplicate",
    "control characters": "text.control_characters",
    "must not be blank": "text.blank",
    "given and family name": "name.empty",
    "a unit cannot be its own parent": "unit.own_parent",
    "a unit cannot be its own successor": "unit.own_successor",
}
"""Codes for the contract's own rules, by how their reason begins."""


DECISION = HrEvent[AccessDecided]
"""An operator's decision as the ledger keeps it; nobody may send one to the door."""


@dataclass(frozen=True)
class Submission:
    """An event that follows its schema, with what the ledger keeps: the body as it came and its hash.

    `released`: a person has let through what it takes away.
    """

    organisation: Organisation
    actor: str
    event: HrEvent[Any]
    body: bytes
    body_hash: bytes
    traceparent: str | None
    released: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes the event unique."""
        return (self.organisation.key, self.event.source, self.event.id)

    @cached_property
    def data(self) -> HrPersonRecorded | HrUnitRecorded | AccessDecided:
        """What HR says, a single change as the partial snapshot that it stands for, or what an operator has decided."""
        return _said(self.event)


@dataclass(frozen=True)
class Sender:
    """Whose events these are, by the token, or by the signature of one source."""

    actor: str
    settings: OrganisationSettings
    source: str | None = None

    @property
    def sources(self) -> Collection[str]:
        """For which sources it may speak."""
        return self.settings.sources if self.source is None else (self.source,)

    @property
    def organisation(self) -> Organisation:
        """What the rules need to know."""
        return Organisation(self.settings.key, self.settings.zone)


def read(item: object, sender: Sender, traceparent: str | None) -> Submission | Verdict:
    """Read one event that was JSON; a verdict says why it cannot be taken."""
    if not isinstance(item, dict):
        return refused("event.not_an_object", "An event is a JSON object")
    event_id = item.get("id") if isinstance(item.get("id"), str) else None
    type_ = item.get("type")
    if isinstance(type_, str) and type_ not in DOOR:
        error = FieldError("/type", "type.unknown", "this type is not taken here")
        return refused("type.unknown", "The event's type is not taken here", error, event_id=event_id)
    body = orjson.dumps(item)
    try:
        event = parse_hr_event(type_ if isinstance(type_, str) else next(iter(DOOR)), body)
    except ValidationError as problem:
        errors = [_coded(error) for error in from_validation(problem)]
        return refused("event.invalid", "The event does not follow its schema", *errors, event_id=event_id)
    return (
        _bound(event, sender)
        or _mastered_here(event, sender)
        or _dated(event)
        or Submission(
            organisation=sender.organisation,
            actor=sender.actor,
            event=event,
            body=body,
            body_hash=canonical_hash(item),
            traceparent=event.traceparent or traceparent,
        )
    )


def canonical_hash(item: Mapping[str, Any]) -> bytes:
    """Hash what an event says: keys sorted, without the trace that carried it."""
    said = {key: value for key, value in item.items() if key != "traceparent"}
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


def _coded(error: FieldError) -> FieldError:
    reason = error.reason.removeprefix("Value error, ")
    code = next((code for start, code in RULES.items() if reason.startswith(start)), error.code)
    return FieldError(error.field, code, reason)


def _bound(event: HrEvent[Any], sender: Sender) -> Verdict | None:
    if event.organisation is not None and event.organisation != sender.settings.key:
        error = FieldError("/organisation", "organisation.forbidden", "the token is for another organisation")
        title = "The event is for another organisation than the token"
        return refused(error.code, title, error, event_id=event.id, http_status=403)
    if event.source not in sender.sources:
        error = FieldError("/source", "source.forbidden", "the source is not bound to the token's organisation")
        title = "The source is not bound to this organisation"
        return refused(error.code, title, error, event_id=event.id, http_status=403)
    manager_source = event.data.manager_source if isinstance(event.data, HrUnitRecorded) else None
    known = {*sender.settings.sources, *({access.SOURCE} if event.source == KEPT_HERE else ())}
    if manager_source is not None and manager_source not in known:
        error = FieldError("/data/managerSource", "source.forbidden", "the source is not bound to the organisation")
        title = "The manager's source is not bound to this organisation"
        return refused(error.code, title, error, event_id=event.id, http_status=403)
    return None


def _mastered_here(event: HrEvent[Any], sender: Sender) -> Verdict | None:
    if not isinstance(event.data, HrUnitRecorded) or event.source == KEPT_HERE:
        return None
    if sender.settings.organisation_data == "hr":
        return None
    error = FieldError("/type", "unit.mastered_here", "the organisation keeps its units in Stafett")
    title = "The organisation keeps its units here; no source tells of them"
    return refused(error.code, title, error, event_id=event.id, http_status=409)


def _dated(event: HrEvent[Any]) -> Verdict | None:
    data = _said(event)
    if not isinstance(data, HrPersonRecorded):
        return None
    change = event.data if isinstance(event.data, HrChange) else None
    found = [FieldError(item.field, item.code, item.reason) for item in date_violations(data, change)]
    return refused(found[0].code, "A date is implausible", *found, event_id=event.id) if found else None


def _said(event: HrEvent[Any]) -> HrPersonRecorded | HrUnitRecorded | AccessDecided:
    found: HrPersonRecorded | HrUnitRecorded | AccessDecided = (
        event.data.snapshot() if isinstance(event.data, HrChange) else event.data
    )
    return found


def person_fact(event: HrEvent[Any]) -> Fact:
    """Return the event as it is folded into a person."""
    change = event.data if isinstance(event.data, HrChange) else None
    data = _said(event)
    assert not isinstance(data, HrUnitRecorded)  # noqa: S101 - the caller has looked
    return Fact(event.source, event.id, event.time, event.sequence, data, change)


def unit_fact(event: HrEvent[Any], zone: ZoneInfo) -> UnitFact:
    """Return the event as it is folded into a unit of an organisation in `zone`."""
    order = Fact(event.source, event.id, event.time, event.sequence, event.data).order
    return UnitFact(order, local_date(event.time, zone), event.data)


def stored_event(kind: str, body: bytes) -> HrEvent[Any]:
    """Read an event that the ledger has accepted before."""
    return DECISION.model_validate_json(body) if kind == access.DECIDED else parse_hr_event(kind, body)
