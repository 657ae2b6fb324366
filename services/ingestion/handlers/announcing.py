"""What the service says about a revision: both sections of a person, or a unit. Ids come from the stored version."""

from contracts.codes import CaseKind
from contracts.person import PersonChanged, PersonConfidential, UnitRecorded
from contracts.registry import PERSON_CONFIDENTIAL, PERSON_JOINER, PERSON_LEAVER, PERSON_MOVER, UNIT_RECORDED
from services.ingestion.store.versions import Told, UnitTold
from services.kernel.messaging import topology
from services.kernel.messaging.outbox import Outgoing, make

SOURCE = "urn:stafett:ingestion"
TYPES = {CaseKind.JOINER: PERSON_JOINER, CaseKind.MOVER: PERSON_MOVER, CaseKind.LEAVER: PERSON_LEAVER}


def core(told: Told) -> Outgoing:
    """Return the core section of a revision."""
    revision = told.revision
    data = PersonChanged(
        organisation=told.organisation,
        person=revision.person,
        generation=revision.generation,
        revision=revision.number,
        case_id=revision.case_id,
        reason=revision.reason,
        effective_at=revision.effective_at,
        accepted_at=revision.accepted_at,
        baseline=revision.baseline,
        guard_released=revision.guard_released,
        record=revision.records.core,
    )
    event = make(
        TYPES[revision.kind],
        data,
        source=SOURCE,
        subject=str(revision.person),
        organisation=told.organisation,
        time=revision.recorded_at,
        event_id=revision.event_id,
        traceparent=told.traceparent,
    )
    return Outgoing(event, lane=revision.lane)


def confidential(told: Told) -> Outgoing:
    """Return the confidential section of a revision; it is sent at every revision."""
    revision = told.revision
    data = PersonConfidential(
        organisation=told.organisation,
        person=revision.person,
        generation=revision.generation,
        revision=revision.number,
        record=revision.records.confidential,
    )
    event = make(
        PERSON_CONFIDENTIAL,
        data,
        source=SOURCE,
        subject=str(revision.person),
        organisation=told.organisation,
        time=revision.recorded_at,
        event_id=revision.confidential_event_id,
        traceparent=told.traceparent,
    )
    return Outgoing(event, lane=revision.lane, confidential=True)


def unit(told: UnitTold) -> Outgoing:
    """Return a unit as HR records it. Each is a tree revision of its own, so that it is complete by itself."""
    data = UnitRecorded(
        organisation=told.organisation,
        unit=told.revision.unit,
        generation=told.generation,
        revision=told.revision.number,
        tree_revision=told.tree_revision,
        record=told.revision.record,
    )
    event = make(
        UNIT_RECORDED,
        data,
        source=SOURCE,
        subject=told.revision.unit,
        organisation=told.organisation,
        time=told.recorded_at,
        event_id=told.revision.event_id,
        traceparent=told.traceparent,
    )
    return Outgoing(event)


SECTIONS = tuple(
    section
    for topic, section in (("person.core", core), ("person.confidential", confidential))
    if topic in topology.CONSUMED
)
"""What is said of each revision. The outbox would drop a section that nobody consumes, so it is not even made."""
