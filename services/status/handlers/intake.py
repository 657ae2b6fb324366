"""One handler per topic: store what is new, keep what is append-only, judge who was touched."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

from contracts.codes import CaseKind, Protection
from contracts.facts import AccountChanged, AuditRecorded, ServiceEvaluated, StepRecorded
from contracts.organisation import PlacementChanged
from contracts.person import PersonChanged, UnitRecorded
from contracts.registry import INTERNAL, PERSON_JOINER, PERSON_LEAVER, PERSON_MOVER
from services.kernel.database import Connection
from services.kernel.messaging.intake import Handler, Incoming
from services.status.domain import search
from services.status.domain.steps import readiness, worst
from services.status.handlers.judgement import attend, judge
from services.status.store import commands, judging, projection
from services.status.store.judging import Touched
from services.status.store.projection import Key

KINDS: Mapping[str, CaseKind] = MappingProxyType(
    {PERSON_JOINER: CaseKind.JOINER, PERSON_MOVER: CaseKind.MOVER, PERSON_LEAVER: CaseKind.LEAVER}
)
"""The type of a person's event is that of its case."""

COMMANDS = frozenset(row.name for row in INTERNAL.values() if row.topic == "command")
"""What an audit record of a command that was carried out has as its action."""

Fact = TypeVar("Fact")


def newest(facts: Iterable[Fact], key: Callable[[Fact], Any], version: Callable[[Fact], tuple[int, int]]) -> list[Fact]:
    """Return the newest fact per key, in key order: one statement may not touch a row twice."""
    found: dict[Any, Fact] = {}
    for fact in facts:
        known = found.get(key(fact))
        if known is None or version(fact) > version(known):
            found[key(fact)] = fact
    return [found[one] for one in sorted(found)]


def _keys(rows: Iterable[Mapping[str, Any]]) -> list[Key]:
    return sorted({(row["organisation"], row["person"]) for row in rows})


async def take_persons(conn: Connection, messages: Sequence[Incoming]) -> None:
    """Keep every revision, show the newest, judge the people's cases. Safe to replay and in any order."""
    await projection.lock(conn)
    revisions = [_revision(message) for message in messages]
    await projection.add_revisions(conn, revisions)
    latest: list[Incoming] = newest(
        messages,
        lambda m: (m.event.data.organisation, m.event.data.person),
        lambda m: (m.event.data.generation, m.event.data.revision),
    )
    await projection.put_persons(conn, [_person(message) for message in latest])
    keys = _keys(revisions)
    await projection.erase(conn, keys)
    await projection.conceal(conn, keys)
    touched: dict[Key, set[UUID]] = {key: set() for key in keys}
    for row in revisions:
        touched[row["organisation"], row["person"]].add(row["case_id"])
    await judge(conn, [Touched(*key, cases=frozenset(of_cases)) for key, of_cases in touched.items()])
    await judging.flag(conn, keys)
    await judging.protect(conn, keys)


def _revision(message: Incoming) -> dict[str, Any]:
    data: PersonChanged = message.event.data
    return {
        "organisation": data.organisation,
        "person": data.person,
        "generation": data.generation,
        "revision": data.revision,
        "case_id": data.case_id,
        "kind": KINDS[message.type],
        "reason": data.reason,
        "effective_at": data.effective_at,
        "accepted_at": data.accepted_at,
        "recorded_at": message.event.time,
        "baseline": data.baseline,
        "protected": data.record.protection != Protection.NONE,
    }


def _person(message: Incoming) -> dict[str, Any]:
    data: PersonChanged = message.event.data
    name = data.record.name
    numbers = [employment.employee_number for employment in data.record.employments]
    return {
        "organisation": data.organisation,
        "person": data.person,
        "generation": data.generation,
        "revision": data.revision,
        "display": name.display,
        "sort_name": search.order(f"{name.family} {name.preferred or name.given}"),
        "protection": data.record.protection,
        "core": data.record.model_dump(mode="json", by_alias=True),
        "words": search.words(data.organisation, [name.given, name.preferred, name.family, *numbers]),
        "recorded_at": message.event.time,
        "erased": data.record.erased,
    }


async def take_units(conn: Connection, messages: Sequence[Incoming]) -> None:
    """Show the newest record of each unit. Safe to replay and in any order."""
    await projection.lock(conn)
    facts: list[UnitRecorded] = [message.event.data for message in messages]
    latest = newest(facts, lambda u: (u.organisation, u.unit), lambda u: (u.generation, u.revision))
    await projection.put_units(
        conn,
        [
            {
                "organisation": unit.organisation,
                "unit": unit.unit,
                "generation": unit.generation,
                "revision": unit.revision,
                "name": unit.record.name,
                "record": unit.record.model_dump(mode="json", by_alias=True),
            }
            for unit in latest
        ],
    )


async def take_places(conn: Connection, messages: Sequence[Incoming]) -> None:
    """Show where people are. Safe to replay and in any order."""
    await projection.lock(conn)
    facts: list[PlacementChanged] = [message.event.data for message in messages]
    latest = newest(facts, lambda p: (p.organisation, p.person), lambda p: (p.generation, p.version))
    await projection.put_places(
        conn,
        [
            {
                "organisation": fact.organisation,
                "person": fact.person,
                "generation": fact.generation,
                "version": fact.version,
                "unit": fact.place.unit if fact.place else None,
                "memberships": sorted({membership.unit for membership in fact.memberships}),
                "changed_at": fact.changed_at,
            }
            for fact in latest
        ],
    )


async def take_accounts(conn: Connection, messages: Sequence[Incoming]) -> None:
    """Keep every change of an account, show the newest. Safe to replay and in any order."""
    await projection.lock(conn)
    facts: list[AccountChanged] = [message.event.data for message in messages]
    await projection.add_account_changes(
        conn, [{**_account_key(fact), "changed_at": fact.changed_at} for fact in facts]
    )
    latest = newest(facts, lambda a: (a.organisation, a.person, a.target), lambda a: (a.generation, a.version))
    await projection.put_accounts(
        conn,
        [
            {
                **_account_key(fact),
                "mail": fact.record.mail,
                "words": search.words(fact.organisation, [fact.record.user_name, fact.record.mail]),
                "changed_at": fact.changed_at,
                "verified_at": fact.verified_at,
                "record": fact.record.model_dump(mode="json", by_alias=True),
            }
            for fact in latest
        ],
    )
    people = sorted({(fact.organisation, fact.person) for fact in facts})
    await projection.erase(conn, people)
    await projection.conceal(conn, people)


def _account_key(fact: AccountChanged) -> dict[str, Any]:
    return {
        "organisation": fact.organisation,
        "person": fact.person,
        "target": fact.target,
        "generation": fact.generation,
        "version": fact.version,
        "state": fact.record.state,
        "user_name": fact.record.user_name,
    }


async def take_evaluations(conn: Connection, messages: Sequence[Incoming]) -> None:
    """Show the newest evaluations, keep what each said of readiness, judge. Safe to replay and in any order."""
    await projection.lock(conn)
    facts: list[ServiceEvaluated] = [message.event.data for message in messages]
    await projection.add_evaluated(conn, [_evaluated(fact) for fact in facts])
    latest = newest(
        facts, lambda e: (e.organisation, e.person, e.service, e.target), lambda e: (e.generation, e.version)
    )
    await projection.put_evaluations(conn, [_evaluation(fact) for fact in latest])
    earliest: dict[Key, datetime] = {}
    for fact in facts:
        key = (fact.organisation, fact.person)
        earliest[key] = min(fact.recorded_at, earliest.get(key, fact.recorded_at))
    await judge(conn, [Touched(*key, earliest=at) for key, at in sorted(earliest.items())])
    await attend(conn, sorted({(fact.organisation, fact.person, fact.service, fact.target) for fact in facts}))


def _evaluated(fact: ServiceEvaluated) -> dict[str, Any]:
    blocked, blocked_from = readiness(fact.steps)
    return {
        "organisation": fact.organisation,
        "person": fact.person,
        "service": fact.service,
        "target": fact.target,
        "generation": fact.generation,
        "version": fact.version,
        "record_generation": fact.record_generation or fact.generation,
        "revision": fact.revision,
        "as_of": fact.as_of,
        "recorded_at": fact.recorded_at,
        "blocked": blocked,
        "blocked_from": blocked_from,
        "trouble": worst(step.state for step in fact.steps),
    }


def _evaluation(fact: ServiceEvaluated) -> dict[str, Any]:
    return {
        **_evaluated(fact),
        "policy_hash": fact.policy_hash,
        "next_due": fact.next_due,
        "steps": [step.model_dump(mode="json", by_alias=True) for step in fact.steps],
        "why": [why.model_dump(mode="json", by_alias=True) for why in fact.why],
    }


async def take_steps(conn: Connection, messages: Sequence[Incoming]) -> None:
    """Keep every step and see what needs a hand. Safe to replay and in any order."""
    await projection.lock(conn)
    facts: list[StepRecorded] = [message.event.data for message in messages]
    rows = [
        {
            "organisation": fact.organisation,
            "person": fact.person,
            "service": fact.service,
            "target": fact.target,
            "generation": fact.generation,
            "epoch": fact.epoch,
            "attempt": fact.attempt,
            "revision": fact.revision,
            "code": fact.code,
            "state": fact.state,
            "parameters": fact.parameters,
            "problem": fact.problem.model_dump(mode="json", by_alias=True) if fact.problem else None,
            "recorded_at": fact.recorded_at,
            "retry_at": fact.retry_at,
        }
        for fact in facts
    ]
    await projection.add_steps(conn, rows)
    await attend(conn, sorted({(fact.organisation, fact.person, fact.service, fact.target) for fact in facts}))


def _carried_out(fact: AuditRecorded) -> tuple[UUID, int, datetime] | None:
    """Return what a service says of a command that it has carried out."""
    command, count = fact.parameters.get("command"), fact.parameters.get("count")
    if fact.action not in COMMANDS or not isinstance(command, str) or not isinstance(count, int):
        return None
    return UUID(command), count, fact.recorded_at


async def take_audit(conn: Connection, messages: Sequence[Incoming]) -> None:
    """Keep every audit record. Safe to replay and in any order."""
    await projection.lock(conn)
    facts: list[tuple[Incoming, AuditRecorded]] = [(message, message.event.data) for message in messages]
    done = [row for _, fact in facts if (row := _carried_out(fact)) is not None]
    if done:
        await commands.carried_out(conn, done)
    await projection.add_audit(
        conn,
        [
            {
                "organisation": fact.organisation,
                "id": message.message_id,
                "actor": fact.actor,
                "action": fact.action,
                "subject": fact.subject,
                "reason": fact.reason,
                "recorded_at": fact.recorded_at,
                "parameters": fact.parameters,
                "persons": fact.persons,
            }
            for message, fact in facts
        ],
    )


HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "person.core": take_persons,
        "unit.recorded": take_units,
        "account.changed": take_accounts,
        "placement.changed": take_places,
        "service.evaluated": take_evaluations,
        "step.recorded": take_steps,
        "audit.recorded": take_audit,
    }
)
"""Topic to handler."""
