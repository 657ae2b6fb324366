"""Which fields reach which queue. A new receiver or a new field must be added here, knowingly."""

from contracts.base import Message
from contracts.person import ConfidentialRecord, CoreRecord, Employment, PersonChanged, PersonConfidential
from contracts.registry import INTERNAL
from services.kernel.messaging.topology import CONFIDENTIAL_REASONS, SUBSCRIPTIONS

CORE = {"access", "alias_of", "aliases", "name", "protection", "deceased", "employments", "erased"}
CONFIDENTIAL = {"birth_date", "identifiers", "private_contact", "terms"}
RECORDS: dict[type[Message], type[Message]] = {PersonChanged: CoreRecord, PersonConfidential: ConfidentialRecord}

EXPECTED: dict[str, dict[str, set[str]]] = {
    "accounts.express": {"core": CORE, "confidential": set()},
    "accounts.bulk": {"core": CORE, "confidential": set()},
    "orgtree.express": {"core": CORE, "confidential": set()},
    "orgtree.bulk": {"core": CORE, "confidential": set()},
    "status.express": {"core": CORE, "confidential": set()},
    "status.bulk": {"core": CORE, "confidential": set()},
}


def fields_by_queue() -> dict[str, dict[str, set[str]]]:
    found: dict[str, dict[str, set[str]]] = {}
    for service, topics in SUBSCRIPTIONS.items():
        reached: dict[str, set[str]] = {"core": set(), "confidential": set()}
        for row in INTERNAL.values():
            record = RECORDS.get(row.model)
            if record is not None and row.topic in topics:
                section = "core" if record is CoreRecord else "confidential"
                reached[section] |= set(record.model_fields)
        for lane in ("express", "bulk"):
            found[f"{service}.{lane}"] = reached
    return found


def test_exactly_these_fields_of_a_person_reach_these_queues() -> None:
    assert fields_by_queue() == EXPECTED


def test_a_service_that_is_told_what_is_confidential_has_a_reason_listed() -> None:
    told = {service for service, topics in SUBSCRIPTIONS.items() if "person.confidential" in topics}
    assert told == set(CONFIDENTIAL_REASONS)


def test_core_and_confidential_share_no_field() -> None:
    assert set(CoreRecord.model_fields) == CORE
    assert set(ConfidentialRecord.model_fields) == CONFIDENTIAL
    assert not CORE & CONFIDENTIAL


def test_core_carries_neither_terms_nor_the_kind_of_an_absence() -> None:
    shown = str(PersonChanged.model_json_schema(by_alias=True)).lower()
    for word in ("parental", "sickness", "personnummer", "pay", "birthdate", "privatecontact"):
        assert word not in shown, word
    assert "terms" not in Employment.model_fields


def test_the_two_sections_have_routing_keys_of_their_own() -> None:
    topics = {row.model: row.topic for row in INTERNAL.values()}
    assert topics[PersonChanged] == "person.core"
    assert topics[PersonConfidential] == "person.confidential"
