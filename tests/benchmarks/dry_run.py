"""Dry runs in a database of nobody's: the services' own code runs once; what it executes is a floor's script."""

import asyncio
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg
from cryptography.fernet import Fernet
from typing_extensions import override

from deploy.demo.generator import Event, line
from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.bootstrap import build
from services.accounts.handlers.intake import AccountIntake
from services.accounts.settings import Settings
from services.ingestion.handlers.door import Door
from services.ingestion.handlers.reception import Sender, Submission, read
from services.kernel.directory import Directory, Entry, Scope, Value
from services.kernel.messaging.dead import DeadLetters, Delivery
from services.kernel.messaging.intake import BATCH, Intake
from services.kernel.settings import OrganisationSettings
from services.status.handlers.intake import HANDLERS as STATUS
from services.status.handlers.streaming import telling
from tests.benchmarks.recording import Operation, RecordingDatabase, Script, script

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ACCOUNTS = AccountIntake({"alvsund": ["openldap"], "bergby": ["openldap"]}).handlers
HANDLERS = {"accounts": ACCOUNTS, "status": {topic: telling(topic, handler) for topic, handler in STATUS.items()}}


async def accept(url: str, organisation: OrganisationSettings, events: Sequence[Event], together: int) -> Script:
    """Accept events, so many in each transaction."""
    sender = Sender("tester", organisation)
    async with RecordingDatabase.connect(url) as database:
        door = Door(database, generation=1, on_commit=lambda: None, crash=_no_crash)
        for at in range(0, len(events), together):
            told = [read(orjson.loads(line(event)), sender, TRACE) for event in events[at : at + together]]
            verdicts = await door.submit_batch([one for one in told if isinstance(one, Submission)])
            assert len(verdicts) == len(events[at : at + together])
        return script(database.batches, len(events))


def said(admin_url: str) -> list[Delivery]:
    """Return what ingestion would publish, in the order in which it was accepted."""
    with psycopg.connect(admin_url) as conn:
        rows = conn.execute(
            "SELECT message_id, type, routing_key, organisation, lane, traceparent, body FROM ingestion.outbox"
            " ORDER BY seq"
        ).fetchall()
    return [
        Delivery(
            "recorded",
            str(row[0]),
            row[1],
            row[2],
            {"organisation": row[3], "lane": "express" if row[4] == 0 else "bulk", "traceparent": row[5]},
            row[6].encode(),
        )
        for row in rows
    ]


async def take_in(service: str, url: str, deliveries: Sequence[Delivery]) -> Script:
    """Take deliveries in as the service does, in whole batches."""
    async with RecordingDatabase.connect(url) as database:
        dead = DeadLetters(service, Fernet.generate_key().decode())
        intake = Intake(
            service, "recorded", database, "", HANDLERS[service], dead, on_commit=lambda: None, crash=_no_crash
        )
        for at in range(0, len(deliveries), BATCH):
            await intake.process(deliveries[at : at + BATCH])
        assert len(database.batches) == -(-len(deliveries) // BATCH), "a batch was halved"
        return script(database.batches, len(deliveries))


@dataclass(frozen=True)
class Pass:
    """What the executor does for one hire: reads after the claim, calls to the directory, completion."""

    loads: list[Operation]
    find: tuple[Any, ...]
    add: tuple[Any, ...]
    back: tuple[Any, ...]
    completes: list[Operation]


class NotingDirectory(Directory):
    """Notes the calls of one pass at a time; what is added is found again."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._added: Entry | None = None

    @override
    async def search(self, base: str, condition: str, attributes: Sequence[str], **options: Any) -> list[Entry]:
        """Note a search."""
        self.calls.append((base, condition, tuple(attributes)))
        found = self._added if options.get("scope") is Scope.BASE else None
        return [found] if found else []

    @override
    async def add(
        self, dn: str, object_classes: Sequence[str], attributes: Mapping[str, tuple[Value, ...]], **_options: Any
    ) -> None:
        """Note an addition."""
        self.calls.append((dn, tuple(object_classes), {key: list(values) for key, values in attributes.items()}))
        read = {key.lower(): tuple(map(str, values)) for key, values in attributes.items() if values}
        self._added = Entry(dn, {**read, "entryuuid": ("00000000-0000-4000-8000-000000000000",)})


async def work(url: str, environment: Mapping[str, str], bases: Mapping[str, str], folder: Path) -> Path:
    """Make every account that is wanted, one at a time, in a directory that only takes notes; save passes by subject.

    The service is wired by its own bootstrap; only its database and its directory are exchanged.
    """
    fields: dict[str, Any] = {name.removeprefix("STAFETT_").lower(): value for name, value in environment.items()}
    service = build(Settings(**fields))
    (executor,) = service._executors
    performer: Any = executor._performer
    directory = NotingDirectory()
    found: dict[str, Pass] = {}
    async with RecordingDatabase.connect(url) as database:
        async with database.transaction() as conn:
            for start in service._starts:
                await start(conn)
        executor._database = performer._ledger._database = database
        executor._slots, executor._reserved, executor._lease = 1, 0, 3600.0
        performer._directory = OpenLdapAccounts(directory, bases)
        while True:
            database.batches.clear()
            directory.calls.clear()
            if not await executor._claim():
                break
            await asyncio.gather(*executor._running)
            finished = executor._finished.get_nowait()
            await executor._complete([finished])
            claimed, completed = database.batches
            if len(directory.calls) == 3:
                find, add, back = directory.calls
                found[finished[0].claim.key.subject] = Pass(_after_claim(claimed), find, add, back, completed)
    path = folder / "passes.pickle"
    path.write_bytes(pickle.dumps(found))
    return path


def _after_claim(operations: Sequence[Operation]) -> list[Operation]:
    place = next(n for n, item in enumerate(operations) if "SKIP LOCKED" in item.query)
    return list(operations[place + 1 :])


def _no_crash(_point: str) -> None:
    """Pass a crash point."""
