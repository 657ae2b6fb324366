"""The door: single events that arrive together share a transaction; a batch has one of its own.

While a commit is on its way the next arrivals gather, so the batch grows with the load by itself and an idle door adds
no delay. Every answer is given after the commit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from services.ingestion.handlers.acceptance import accept
from services.ingestion.handlers.reception import Submission
from services.ingestion.handlers.verdicts import Status, Verdict, refused
from services.ingestion.store import CONTENDED, REFUSED
from services.kernel import telemetry
from services.kernel.database import Connection, Database
from services.kernel.erasure import ErasureKey

log = telemetry.get_logger(__name__)

GATHERED = 100
"""Most single events that share a transaction."""

COMMITTERS = 2
"""Transactions of single events that are on their way at the same time."""

BUSY_SECONDS = 0.05
"""How long a door counts as busy after several events have shared a transaction."""

ENOUGH = 8
"""For so many single events a transaction is cheap enough: its cost is that of two or three of them."""

GAP_SECONDS = 0.003
"""A busy door waits for others as long as one comes within this time, and not for more than `ENOUGH`.

An idle one does not wait, nor does one that a single connection keeps asking."""

TRIES = 5
CULPRIT = (*REFUSED, ValueError, ArithmeticError)
"""What one item can do to a whole batch."""

Result = TypeVar("Result")

Waiting = tuple[Submission, "asyncio.Future[Verdict]"]


async def tried(transact: Callable[[], Awaitable[Result]]) -> Result:
    """Run a transaction that may meet another one: told the same, or locked in a circle; the next try sees the other.

    Raises:
        psycopg.Error: It met others at every try.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return await transact()
        except CONTENDED as error:
            log.info("accept.contended", attempt=attempt, cause=type(error).__name__)
            if attempt == TRIES:
                raise
    raise AssertionError("unreachable")


class _RefusedAmongThem(Exception):
    """A signal to roll back to the savepoint."""

    def __init__(self, verdicts: Sequence[Verdict]) -> None:
        super().__init__()
        self.verdicts = verdicts


class Door:
    """Takes submissions to the ledger."""

    def __init__(
        self,
        database: Database,
        *,
        generation: int,
        on_commit: Callable[[], None],
        crash: Callable[[str], None],
        key: ErasureKey | None = None,
    ) -> None:
        self._database = database
        self._generation = generation
        self._on_commit = on_commit
        self._crash = crash
        self._key = key
        self._waiting: list[Waiting] = []
        self._busy_until = 0.0
        self._gathering = False
        self._committers = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, submission: Submission) -> Verdict:
        """Take one event; returns when it is committed or refused."""
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((submission, answer))
        if self._committers < COMMITTERS and not self._gathering:
            self._committers += 1
            committer = asyncio.create_task(self._commit_waiting())
            self._tasks.add(committer)
            committer.add_done_callback(self._tasks.discard)
        return await answer

    async def submit_batch(self, submissions: Sequence[Submission]) -> list[Verdict]:
        """Take several events in one transaction; an item that is refused leaves the others in."""
        return await tried(lambda: self._transact(submissions)) if submissions else []

    async def _commit_waiting(self) -> None:
        try:
            await self._commit_all()
        finally:
            # at once, and not when the task is found to be done: who comes in between would wait for nobody
            self._committers -= 1

    async def _commit_all(self) -> None:
        while self._waiting and not self._gathering:
            await self._gather()
            taken, self._waiting = self._waiting[:GATHERED], self._waiting[GATHERED:]
            try:
                verdicts = await self.submit_batch([submission for submission, _ in taken])
            except BaseException as error:
                for _, answer in taken:
                    if not answer.done():
                        answer.set_exception(error if isinstance(error, Exception) else ConnectionError("stopped"))
                if not isinstance(error, Exception):
                    raise
            else:
                for (_, answer), verdict in zip(taken, verdicts, strict=True):
                    if not answer.done():
                        answer.set_result(verdict)

    async def _gather(self) -> None:
        """Let others come as long as they do, when several came together lately."""
        clock, seen = asyncio.get_running_loop().time, 0
        self._gathering = True
        try:
            while clock() < self._busy_until and seen < len(self._waiting) < ENOUGH:
                seen = len(self._waiting)
                await asyncio.sleep(GAP_SECONDS)
        finally:
            self._gathering = False
        if len(self._waiting) > 1:
            self._busy_until = clock() + BUSY_SECONDS

    async def _transact(self, submissions: Sequence[Submission]) -> list[Verdict]:
        try:
            async with self._database.transaction() as conn:
                verdicts = await accept(conn, submissions, self._generation, self._key)
                if not _clean(verdicts):
                    await conn.rollback()
                    async with conn.transaction():
                        verdicts = await self._without_refused(conn, submissions, verdicts)
                        self._crash("accept.before_commit")
                elif not any(verdict.entered for verdict in verdicts):
                    await conn.rollback()
                    return verdicts
                else:
                    self._crash("accept.before_commit")
        except CULPRIT as error:
            log.warning("accept.refused_by_database", items=len(submissions), cause=type(error).__name__)
            async with self._database.transaction() as conn, conn.transaction():
                verdicts = await self._halve(conn, submissions)
        self._crash("accept.after_commit")
        self._on_commit()
        return verdicts

    async def _without_refused(
        self, conn: Connection, submissions: Sequence[Submission], verdicts: Sequence[Verdict]
    ) -> list[Verdict]:
        """Accept again, after a rollback, what was not refused: not even the identities of refused persons stay."""
        if not any(verdict.entered for verdict in verdicts):
            return list(verdicts)
        kept = [submission for submission, verdict in zip(submissions, verdicts, strict=True) if _keeps(verdict)]
        again = iter(await self._halve(conn, kept))
        return [next(again) if _keeps(verdict) else verdict for verdict in verdicts]

    async def _halve(self, conn: Connection, submissions: Sequence[Submission]) -> list[Verdict]:
        """Find the item that the database cannot store; all others are accepted in the same transaction."""
        try:
            async with conn.transaction():
                return _all_kept(await accept(conn, submissions, self._generation, self._key))
        except _RefusedAmongThem as found:
            return await self._without_refused(conn, submissions, found.verdicts)
        except CULPRIT as error:
            if len(submissions) == 1:
                log.exception(
                    "accept.culprit", organisation=submissions[0].organisation.key, cause=type(error).__name__
                )
                return [refused("event.refused", "The event cannot be stored", event_id=submissions[0].event.id)]
        middle = len(submissions) // 2
        return [
            *await self._halve(conn, submissions[:middle]),
            *await self._halve(conn, submissions[middle:]),
        ]


def _keeps(verdict: Verdict) -> bool:
    return verdict.status not in (Status.REJECTED, Status.CONFLICT)


def _clean(verdicts: Sequence[Verdict]) -> bool:
    return all(map(_keeps, verdicts))


def _all_kept(verdicts: list[Verdict]) -> list[Verdict]:
    if not _clean(verdicts):
        raise _RefusedAmongThem(verdicts)
    return verdicts


def statuses(verdicts: Sequence[Verdict]) -> Mapping[str, int]:
    """Count verdicts by status."""
    counts: dict[str, int] = {}
    for verdict in verdicts:
        counts[verdict.status.value] = counts.get(verdict.status.value, 0) + 1
    return counts
