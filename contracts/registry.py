"""The table of message types: model, producer, topic. Routing keys, schemas and topology are read from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from contracts.base import Message
from contracts.codes import Lane
from contracts.commands import RefuseHold, ReleaseHold, ReplayDeadLetters, Retry, Reverify, Skip
from contracts.envelope import CloudEvent, HrEvent
from contracts.facts import AccountChanged, AuditRecorded, ServiceEvaluated, StepRecorded
from contracts.hr import HrPersonRecorded, HrUnitRecorded
from contracts.hr_changes import (
    HrAbsenceRecorded,
    HrEmploymentCancelled,
    HrEmploymentChanged,
    HrEmploymentEnded,
    HrEmploymentStarted,
    HrIdentifierChanged,
    HrNameChanged,
    HrProtectionChanged,
)
from contracts.organisation import PlacementChanged, UnitChanged
from contracts.person import PersonChanged, PersonConfidential, UnitRecorded

HR_PERSON = "se.stafett.hr.person.recorded.v1"
HR_UNIT = "se.stafett.hr.unit.recorded.v1"
PERSON_JOINER = "se.stafett.person.joiner.v1"
PERSON_MOVER = "se.stafett.person.mover.v1"
PERSON_LEAVER = "se.stafett.person.leaver.v1"
PERSON_CONFIDENTIAL = "se.stafett.person.confidential.v1"
UNIT_RECORDED = "se.stafett.unit.recorded.v1"
UNIT_CHANGED = "se.stafett.unit.changed.v1"
PLACEMENT_CHANGED = "se.stafett.placement.changed.v1"
ACCOUNT_CHANGED = "se.stafett.account.changed.v1"
SERVICE_EVALUATED = "se.stafett.service.evaluated.v1"
STEP_RECORDED = "se.stafett.step.recorded.v1"
AUDIT_RECORDED = "se.stafett.audit.recorded.v1"
COMMAND_RETRY = "se.stafett.command.retry.v1"
COMMAND_RELEASE = "se.stafett.command.release.v1"
COMMAND_REFUSE = "se.stafett.command.refuse.v1"
COMMAND_REDELIVER = "se.stafett.command.redeliver.v1"
COMMAND_REVERIFY = "se.stafett.command.reverify.v1"
COMMAND_SKIP = "se.stafett.command.skip.v1"


@dataclass(frozen=True)
class MessageType:
    """One row: `topic` is the routing key after the lane (`bulk.person.core`); commands go to `<service>` instead."""

    name: str
    model: type[Message]
    topic: str


DOOR: Mapping[str, type[Message]] = MappingProxyType(
    {
        HR_PERSON: HrPersonRecorded,
        HR_UNIT: HrUnitRecorded,
        "se.stafett.hr.employment.started.v1": HrEmploymentStarted,
        "se.stafett.hr.employment.changed.v1": HrEmploymentChanged,
        "se.stafett.hr.employment.ended.v1": HrEmploymentEnded,
        "se.stafett.hr.employment.cancelled.v1": HrEmploymentCancelled,
        "se.stafett.hr.absence.recorded.v1": HrAbsenceRecorded,
        "se.stafett.hr.name.changed.v1": HrNameChanged,
        "se.stafett.hr.identifier.changed.v1": HrIdentifierChanged,
        "se.stafett.hr.protection.changed.v1": HrProtectionChanged,
    }
)
"""What HR may send."""

INTERNAL: Mapping[str, MessageType] = MappingProxyType(
    {
        row.name: row
        for row in (
            MessageType(PERSON_JOINER, PersonChanged, "person.core"),
            MessageType(PERSON_MOVER, PersonChanged, "person.core"),
            MessageType(PERSON_LEAVER, PersonChanged, "person.core"),
            MessageType(PERSON_CONFIDENTIAL, PersonConfidential, "person.confidential"),
            MessageType(UNIT_RECORDED, UnitRecorded, "unit.recorded"),
            MessageType(UNIT_CHANGED, UnitChanged, "unit.changed"),
            MessageType(PLACEMENT_CHANGED, PlacementChanged, "placement.changed"),
            MessageType(ACCOUNT_CHANGED, AccountChanged, "account.changed"),
            MessageType(SERVICE_EVALUATED, ServiceEvaluated, "service.evaluated"),
            MessageType(STEP_RECORDED, StepRecorded, "step.recorded"),
            MessageType(AUDIT_RECORDED, AuditRecorded, "audit.recorded"),
            MessageType(COMMAND_RETRY, Retry, "command"),
            MessageType(COMMAND_RELEASE, ReleaseHold, "command"),
            MessageType(COMMAND_REFUSE, RefuseHold, "command"),
            MessageType(COMMAND_REDELIVER, ReplayDeadLetters, "command"),
            MessageType(COMMAND_REVERIFY, Reverify, "command"),
            MessageType(COMMAND_SKIP, Skip, "command"),
        )
    }
)
"""What the services say to each other."""


def routing_key(type_: str, lane: Lane, *, service: str | None = None) -> str:
    """Return `<lane>.<topic>`, or `command.<service>` for a command.

    Raises:
        KeyError: The type is not in the registry.
    """
    topic = INTERNAL[type_].topic
    return f"command.{service}" if topic == "command" else f"{lane}.{topic}"


_EVENTS: Mapping[str, type[CloudEvent[Any]]] = MappingProxyType(
    {row.name: cast("type[CloudEvent[Any]]", CloudEvent.__class_getitem__(row.model)) for row in INTERNAL.values()}
)
_HR_EVENTS: Mapping[str, type[HrEvent[Any]]] = MappingProxyType(
    {name: cast("type[HrEvent[Any]]", HrEvent.__class_getitem__(model)) for name, model in DOOR.items()}
)


def parse_event(type_: str, body: bytes) -> CloudEvent[Any]:
    """Read an internal event as a consumer: unknown fields are ignored.

    Raises:
        KeyError: The type is not in the registry.
        pydantic.ValidationError: The body does not follow the type's model.
    """
    return _EVENTS[type_].model_validate_json(body, extra="ignore")


def parse_hr_event(type_: str, body: bytes) -> HrEvent[Any]:
    """Read an event at HR's door: strict, unknown fields are errors.

    Raises:
        KeyError: HR may not send this type.
        pydantic.ValidationError: The body does not follow the type's model.
    """
    return _HR_EVENTS[type_].model_validate_json(body)
