"""What ingestion and accounts say of people who are in the large store: moves, and passes in the directory."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid5

import psycopg

from contracts.base import Message
from contracts.codes import AccountState, Form, Reason, StepState
from contracts.envelope import CloudEvent
from contracts.facts import AccountChanged, AccountRecord, ServiceEvaluated, Step, StepRecorded, Why
from contracts.person import Assignment, CoreRecord, Employment, Name, PersonChanged
from contracts.registry import ACCOUNT_CHANGED, INTERNAL, PERSON_MOVER, SERVICE_EVALUATED, STEP_RECORDED
from services.kernel.messaging import outbox
from services.kernel.messaging.dead import Delivery
from tests.benchmarks.population import CASES, NAMESPACE

TARGET = "openldap"
PASSES = 2 * CASES
"""How many passes each evaluator of the store has made of everybody."""
PRODUCERS = {"person.core": "ingestion"}
"""Who says a topic; accounts the others."""


@dataclass(frozen=True)
class Said:
    """A message as its producer's outbox holds it, for status alone."""

    topic: str
    event: CloudEvent[Message]

    @property
    def producer(self) -> str:
        """Whose outbox it is in."""
        return PRODUCERS.get(self.topic, "accounts")

    def row(self) -> tuple[object, ...]:
        """Return its row in an outbox."""
        event = self.event
        key = f"replay.status.{self.topic}"
        return 1, event.id, event.type, key, event.organisation, event.subject, outbox.body(event)

    def delivery(self) -> Delivery:
        """Return it as status gets it."""
        key, organisation = f"replay.status.{self.topic}", self.event.organisation
        headers = {"organisation": organisation, "lane": "bulk"}
        return Delivery("recorded", str(self.event.id), self.event.type, key, headers, outbox.body(self.event).encode())


@dataclass(frozen=True)
class Someone:
    """Somebody in the store."""

    person: UUID
    given: str
    family: str


def people(url: str) -> list[Someone]:
    """Return everybody whose passes all went well, in an order drawn once and for all."""
    with psycopg.connect(url) as conn:
        rows = conn.execute(
            "SELECT person, core #>> '{name,given}', core #>> '{name,family}' FROM status.person p"
            " WHERE organisation = 'alvsund' AND NOT EXISTS (SELECT FROM status.\"case\" c WHERE c.organisation ="
            " p.organisation AND c.person = p.person AND c.closed_at IS NULL) ORDER BY person"
        ).fetchall()
    found = [Someone(*row) for row in rows]
    random.Random(2).shuffle(found)  # noqa: S311 - the same in every run
    return found


def move(someone: Someone) -> Iterator[Said]:
    """Yield one move of somebody, and what accounts did about it: four messages."""
    now, version = _now(), PASSES + 1
    employment = Employment(
        id=uuid5(NAMESPACE, f"{someone.person}/employment"),
        form=Form.PERMANENT,
        valid_from=date(2020, 1, 1),
        employee_number="1",
        assignments=(Assignment(unit="it", title="Systemtekniker", valid_from=date(2020, 1, 1)),),
    )
    record = CoreRecord(name=Name(given=someone.given, family=someone.family), employments=(employment,))
    moved = PersonChanged(
        organisation="alvsund", person=someone.person, revision=CASES + 1, reason=Reason.TRANSFER, record=record,
        case_id=uuid5(NAMESPACE, f"{someone.person}/move"), effective_at=now, accepted_at=now,
    )  # fmt: skip
    login = f"moved.{someone.person.hex[:8]}"
    account = AccountChanged(
        organisation="alvsund", person=someone.person, target=TARGET, version=version, changed_at=now, verified_at=now,
        record=AccountRecord(state=AccountState.ENABLED, user_name=login, mail=f"{login}@alvsund.example"),
    )  # fmt: skip
    yield _said(PERSON_MOVER, moved, f"{someone.person}/move")
    yield _said(ACCOUNT_CHANGED, account, f"{someone.person}/account")
    yield from passed(someone, version, revision=CASES + 1)


def passed(someone: Someone, version: int, *, revision: int = CASES) -> Iterator[Said]:
    """Yield what one good pass of accounts says: its step, and how far the person is."""
    now, key = _now(), f"{someone.person}/pass/{version}"
    common: dict[str, Any] = {
        "organisation": "alvsund",
        "person": someone.person,
        "service": "accounts",
        "target": TARGET,
    }
    done = Step(code="account.enabled", state=StepState.VERIFIED, verified_at=now)
    step = StepRecorded(
        **common, epoch=version, attempt=1, revision=revision, code=done.code, state=done.state, recorded_at=now
    )
    evaluated = ServiceEvaluated(
        **common, version=version, revision=revision, record_generation=1, policy_hash="sha256:" + 32 * "0f", as_of=now,
        recorded_at=now, steps=(done,), why=(Why(table="accounts", row="employed"),),
    )  # fmt: skip
    yield _said(STEP_RECORDED, step, f"{key}/step")
    yield _said(SERVICE_EVALUATED, evaluated, f"{key}/evaluated")


def _said(type_: str, data: Message, key: str) -> Said:
    subject = str(data.person)  # type: ignore[attr-defined]
    event = outbox.make(
        type_, data, source="urn:stafett:benchmark", subject=subject, organisation="alvsund", time=_now(),
        event_id=uuid5(NAMESPACE, key),
    )  # fmt: skip
    return Said(INTERNAL[type_].topic, event)


def put(conn: psycopg.Connection, messages: Sequence[Said]) -> None:
    """Put messages into their producers' outboxes, in one transaction."""
    with conn.transaction(), conn.cursor() as cursor:
        for producer in sorted({one.producer for one in messages}):
            cursor.executemany(
                f"INSERT INTO {producer}.outbox (lane, message_id, type, routing_key, organisation, subject, body)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)".encode(),
                [one.row() for one in messages if one.producer == producer],
            )


async def seen(
    url: str, passes: Sequence[Sequence[Said]], rate: float, every: int, visible: Callable[[Said], Awaitable[bool]]
) -> list[float]:
    """Commit passes at random, so many a second; return how many ms later every n-th could be seen."""
    chance = random.Random(3)  # noqa: S311 - arrivals that can be repeated
    looking: list[asyncio.Task[float]] = []

    async def look(step: Said) -> float:
        since = time.perf_counter()
        while not await visible(step):
            if time.perf_counter() > since + 60:
                return 60_000.0
            await asyncio.sleep(0.01)
        return (time.perf_counter() - since) * 1000

    with psycopg.connect(url, autocommit=True) as conn:
        due = time.perf_counter()
        for number, said in enumerate(passes):
            due += chance.expovariate(rate)
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            await asyncio.to_thread(put, conn, said)
            if number % every == 0:
                looking.append(asyncio.create_task(look(said[0])))
        return sorted(await asyncio.gather(*looking))


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
