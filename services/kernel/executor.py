"""The executor: claims due work, performs it outside any transaction, completes it in batches.

Some slots are kept for express. A pass that raises is classified (DESIGN 2, failure classes); one failing subject never
delays another, a target that is away opens its breaker.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from contracts.codes import StepState
from services.kernel import breaker, telemetry, work
from services.kernel.database import TRANSIENT, Database
from services.kernel.failures import Failure, Held, Permanent, StaleLease, Throttled, Transient, Unavailable, Waiting
from services.kernel.messaging import outbox
from services.kernel.messaging.outbox import Outgoing
from services.kernel.work import Claim, Completion, Outcome, Performer, Wake

log = telemetry.get_logger(__name__)

POLL_SECONDS = 0.2
TRANSIENT_ATTEMPTS = 12
UNKNOWN_ATTEMPTS = 5
BACKOFF_BASE = 2.0
BACKOFF_CAP = 900.0
LOOK_AGAIN = 300.0
ALARM_SECONDS = 900.0


Finished = tuple[Completion, Outcome | None, tuple[Outgoing, ...]]
"""A pass that has ended: how to complete it, its outcome when it did not raise, what to tell the others."""


@dataclass(frozen=True)
class Ruling:
    """What a failure leads to: the row's state, when it is tried again, and how many attempts count."""

    state: StepState
    retry_in: float | None
    attempts: int

    @property
    def row_state(self) -> str:
        """The state of the work row."""
        return "retrying" if self.state is StepState.RETRYING else str(self.state)


def rule(failure: Failure, attempt: int, *, removing: bool, jitter: Callable[[float], float]) -> Ruling:
    """Decide by class (DESIGN 2). Work that removes access never parks for a transient, throttled or unknown failure.

    Args:
        failure: What went wrong.
        attempt: Which attempt this was, from 1.
        removing: The pass takes access away.
        jitter: Returns a number between 0 and its argument (full jitter).
    """
    backoff = jitter(min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(attempt, 16)))
    match failure:
        case Held():
            return Ruling(StepState.HELD, None, 0)
        case Permanent():
            return Ruling(StepState.PARKED, None, attempt)
        case Waiting():
            return Ruling(StepState.WAITING, LOOK_AGAIN, 0)
        case Throttled():
            return Ruling(StepState.RETRYING, failure.retry_after, attempt - 1)
        case Unavailable() | StaleLease():
            return Ruling(StepState.RETRYING, jitter(2.0), attempt - 1)
        case Transient():
            limit = TRANSIENT_ATTEMPTS
        case _:
            limit = UNKNOWN_ATTEMPTS
    if attempt >= limit and not removing:
        return Ruling(StepState.PARKED, None, attempt)
    return Ruling(StepState.RETRYING, backoff, attempt)


class Executor:
    """Runs one performer for one target."""

    def __init__(
        self,
        target: str,
        performer: Performer[Any],
        database: Database,
        *,
        generation: int,
        lease_seconds: float,
        slots: int,
        reserved_express: int,
        on_commit: Callable[[], None],
        crash: Callable[[str], None],
    ) -> None:
        self._target = target
        self._performer = performer
        self._database = database
        self._generation = generation
        self._lease = lease_seconds
        self._slots = slots
        self._reserved = reserved_express
        self._on_commit = on_commit
        self._crash = crash
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._finished: asyncio.Queue[Finished] = asyncio.Queue()
        self.problem: str | None = None

    def wake(self) -> None:
        """Say that work was raised, so that it need not wait for the next look."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled, then let running passes end (they hold leases; a cut-off one is taken over)."""
        completer = asyncio.create_task(self._complete_forever())
        try:
            while True:
                try:
                    claimed = await self._claim()
                except TRANSIENT as error:
                    log.warning("work.interrupted", target=self._target, cause=type(error).__name__)
                    await asyncio.sleep(random.uniform(0.2, 1.5))  # noqa: S311 - jitter
                    continue
                if not claimed:
                    await self._idle()
        finally:
            if self._running:
                await asyncio.wait(self._running, timeout=5)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self._finished.join()
            completer.cancel()

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _claim(self) -> int:
        free = self._slots - len(self._running)
        if free <= 0:
            return 0
        claims: list[Claim] = []
        contexts: Sequence[Any] = ()
        express_only = free <= self._reserved
        async with self._database.transaction() as conn:
            closed = await breaker.may_claim(conn, self._target)
            self.problem = None if closed else await breaker.reason(conn, self._target)
            if closed:
                self._crash("work.before_claim")
                claims = await work.claim(
                    conn,
                    self._target,
                    limit=free if express_only else free - self._reserved,
                    lease_seconds=self._lease,
                    generation=self._generation,
                    express_only=express_only,
                )
                contexts = await self._performer.load(conn, claims) if claims else ()
        if not closed:
            await breaker.probe(self._database, self._target, self._performer.probe)
        if claims:
            self._crash("work.after_claim")
        deadline = asyncio.get_running_loop().time() + self._lease * 0.8
        for claim, context in zip(claims, contexts, strict=True):
            task = asyncio.create_task(self._perform(replace(claim, deadline=deadline), context))
            self._running.add(task)
            task.add_done_callback(self._ended)
        return len(claims)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    async def _perform(self, claim: Claim, context: Any) -> None:
        with telemetry.span(f"work.{self._target}", claim.traceparent):
            try:
                async with asyncio.timeout_at(claim.deadline):
                    outcome = await self._performer.perform(claim, context)
            except TimeoutError:
                await self._failed(claim, context, Transient("work.deadline"))
            except Failure as failure:
                await self._failed(claim, context, failure)
            except Exception as error:
                log.exception("work.unknown_failure", target=self._target, subject=claim.key.subject)
                await self._failed(claim, context, Failure("work.unexpected", kind=type(error).__name__))
            else:
                self._succeeded(claim, outcome)

    def _succeeded(self, claim: Claim, outcome: Outcome) -> None:
        ruling = Ruling(StepState.VERIFIED, self._lease if claim.takeover else None, 0)
        if outcome.problem is not None:
            ruling = rule(outcome.problem, claim.attempt, removing=outcome.removing or claim.removal, jitter=_jitter)
        completion = Completion(
            claim=claim,
            due_known=True,
            due_at=outcome.due_at,
            removes_next=outcome.removes_next,
            retry_in=ruling.retry_in,
            state="idle" if outcome.problem is None else ruling.row_state,
            attempts=ruling.attempts,
            problem=outcome.problem.problem.model_dump_json() if outcome.problem else None,
        )
        self._finished.put_nowait((completion, outcome, outcome.messages))

    async def _failed(self, claim: Claim, context: Any, failure: Failure) -> None:
        ruling = rule(failure, claim.attempt, removing=claim.removal, jitter=_jitter)
        retry_at: datetime | None = (
            claim.recorded_at + timedelta(seconds=ruling.retry_in) if ruling.retry_in is not None else None
        )
        messages: Sequence[Outgoing] = ()
        if not isinstance(failure, StaleLease):
            self._report(claim, failure, ruling)
            messages = self._performer.failed(claim, context, failure, ruling.state, retry_at)
        if isinstance(failure, (Unavailable, Throttled)):
            await self._hold_target(failure)
        completion = Completion(
            claim=claim,
            due_known=False,
            due_at=None,
            removes_next=False,
            retry_in=ruling.retry_in,
            state=ruling.row_state,
            attempts=ruling.attempts,
            problem=failure.problem.model_dump_json(),
        )
        self._finished.put_nowait((completion, None, tuple(messages)))

    def _report(self, claim: Claim, failure: Failure, ruling: Ruling) -> None:
        log.warning(
            "work.failed",
            target=self._target,
            organisation=claim.key.organisation,
            subject=claim.key.subject,
            epoch=claim.epoch,
            code=failure.code,
            failure=str(failure.failure),
            state=str(ruling.state),
        )
        since = claim.troubled_since
        if claim.removal and since is not None and (claim.recorded_at - since).total_seconds() > ALARM_SECONDS:
            log.error("work.removal_overdue", target=self._target, subject=claim.key.subject, code=failure.code)

    async def _hold_target(self, failure: Failure) -> None:
        try:
            async with self._database.transaction() as conn:
                if isinstance(failure, Throttled):
                    await breaker.throttle(conn, self._target, failure.retry_after)
                else:
                    await breaker.open_(conn, self._target, failure.code)
        except TRANSIENT as error:
            log.warning("breaker.not_stored", target=self._target, cause=type(error).__name__)

    async def _complete_forever(self) -> None:
        """Complete what has finished, all of it in one transaction: the batch grows with the load by itself."""
        while True:
            batch = [await self._finished.get()]
            while not self._finished.empty():
                batch.append(self._finished.get_nowait())
            try:
                await self._complete(batch)
            except TRANSIENT as error:
                # the leases run out and the work is done again: passes are safe to repeat
                log.warning("work.not_completed", target=self._target, rows=len(batch), cause=type(error).__name__)
            except Exception:
                log.exception("work.settle_failed", target=self._target, rows=len(batch))
                await self._complete_singly(batch)
            for _ in batch:
                self._finished.task_done()

    async def _complete_singly(self, batch: Sequence[Finished]) -> None:
        """One result that cannot be stored must not keep the others from being completed."""
        for item in batch:
            try:
                await self._complete([item])
            except Exception:
                log.exception("work.settle_failed", target=self._target, subject=item[0].claim.key.subject)

    async def _complete(self, batch: Sequence[Finished]) -> None:
        self._crash("work.before_complete")
        async with self._database.transaction() as conn:
            kept = await work.complete(conn, [item[0] for item in batch])
            held = [item for item in batch if item[0].claim.key in kept]
            await self._performer.settle(
                conn, [(completion.claim, outcome) for completion, outcome, _ in held if outcome is not None]
            )
            await outbox.append(conn, [message for _, _, messages in held for message in messages])
            lost = [item[0].claim for item in batch if item[0].claim.key not in kept]
            if lost:
                log.warning("work.lease_lost", target=self._target, rows=len(lost))
                await work.raise_wanted(conn, [Wake(claim.key, claim.lane, claim.removal) for claim in lost])
        self._crash("work.after_complete")
        self._on_commit()
        self._wake.set()


def _jitter(ceiling: float) -> float:
    return random.uniform(0, ceiling)  # noqa: S311 - jitter, not a secret
