"""The executor: claims due work, performs it outside any transaction, completes it in batches.

Some slots are kept for express. A pass that raises is classified (DESIGN 2, failure classes); one failing subject never
delays another, a target that is away opens its breaker.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from contracts.codes import StepState
from services.kernel import breaker, oversight, telemetry, work
from services.kernel.database import TRANSIENT, Database, is_outage
from services.kernel.failures import (
    Failure,
    Held,
    Permanent,
    Ruling,
    StaleLease,
    Throttled,
    Transient,
    Unavailable,
    Waiting,
    rule,
)
from services.kernel.messaging import outbox
from services.kernel.messaging.outbox import Outgoing
from services.kernel.metrics import instruments
from services.kernel.work import Claim, Completion, Outcome, Performer, Wake

log = telemetry.get_logger(__name__)

POLL_SECONDS = 0.2
WATCH_SECONDS = 60.0
PROBE_SECONDS = 5.0


Finished = tuple[Completion, Outcome | None, tuple[Outgoing, ...]]
"""A pass that has ended: how to complete it, its outcome when it did not raise, what to tell the others."""


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
        self.target = target
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
        watcher = asyncio.create_task(self._watch_overdue())
        try:
            while True:
                try:
                    claimed = await self._claim()
                except TRANSIENT as error:
                    log.warning("work.interrupted", target=self.target, cause=type(error).__name__)
                    await asyncio.sleep(random.uniform(0.2, 1.5))  # noqa: S311 - jitter
                    continue
                except Exception:
                    # one row that cannot be read must not stop the others: claim singly until it is found
                    log.exception("work.unreadable", target=self.target)
                    claimed = await self._claim_singly()
                if not claimed:
                    await self._idle()
        finally:
            if self._running:
                await asyncio.wait(self._running, timeout=5)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self._finished.join()
            completer.cancel()
            watcher.cancel()

    async def _watch_overdue(self) -> None:
        """Alarm about removals that stand open, also while nothing is claimed because the target is away."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                async with self._database.transaction() as conn:
                    found = await oversight.overdue(conn, self.target)
            except TRANSIENT as error:
                log.warning("work.interrupted", target=self.target, cause=type(error).__name__)
                continue
            for why, count in found:
                log.error("work.removals_overdue", target=self.target, why=why, count=count)

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
        began = asyncio.get_running_loop().time()
        async with self._database.transaction() as conn:
            closed = await breaker.may_claim(conn, self.target)
            self.problem = None if closed else await breaker.reason(conn, self.target)
            if closed:
                self._crash("work.before_claim")
                claims = await work.claim(
                    conn,
                    self.target,
                    limit=free if express_only else free - self._reserved,
                    lease_seconds=self._lease,
                    generation=self._generation,
                    express_only=express_only,
                )
                contexts = await self._performer.load(conn, claims) if claims else ()
        if not closed:
            await breaker.probe(self._database, self.target, self._performer.probe)
        if claims:
            self._crash("work.after_claim")
        for claim, context in zip(claims, contexts, strict=True):
            self._begin(claim, context, began)
        return len(claims)

    def _begin(self, claim: Claim, context: Any, began: float) -> None:
        task = asyncio.create_task(self._perform(replace(claim, deadline=began + self._lease * 0.8), context))
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def _claim_singly(self) -> int:
        """Claim one row and read for it alone; the claim stands when reading fails, so that its attempts count."""
        began = asyncio.get_running_loop().time()
        try:
            async with self._database.transaction() as conn:
                if not await breaker.may_claim(conn, self.target):
                    return 0
                claims = await work.claim(
                    conn,
                    self.target,
                    limit=1,
                    lease_seconds=self._lease,
                    generation=self._generation,
                    express_only=False,
                )
            for claim in claims:
                await self._read_and_begin(claim, began)
        except Exception as error:
            if not isinstance(error, TRANSIENT) and not is_outage(error):
                raise
            log.warning("work.interrupted", target=self.target, cause=type(error).__name__)
            await asyncio.sleep(random.uniform(0.2, 1.5))  # noqa: S311 - jitter
            return 0
        return len(claims)

    async def _read_and_begin(self, claim: Claim, began: float) -> None:
        try:
            async with self._database.transaction() as conn:
                (context,) = await self._performer.load(conn, [claim])
        except TRANSIENT:
            raise
        except Exception as error:
            log.exception("work.unreadable", target=self.target, subject=claim.key.subject)
            await self._failed(claim, None, Failure("work.unreadable", kind=type(error).__name__))
        else:
            self._begin(claim, context, began)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    async def _perform(self, claim: Claim, context: Any) -> None:
        began = asyncio.get_running_loop().time()
        if claim.attempt > 1:
            instruments.WORK_RETRY.labels(self.target).inc()
        attributes: telemetry.Attributes = {"stafett.target": self.target, "stafett.attempt": claim.attempt}
        with telemetry.span(f"work {self.target}", claim.traceparent, attributes=attributes) as traceparent:
            claim = replace(claim, traceparent=traceparent)
            failure: Failure
            try:
                async with asyncio.timeout_at(claim.deadline):
                    outcome = await self._performer.perform(claim, context)
            except TimeoutError:
                failure = Transient("work.deadline")
            except Unavailable as away:
                failure = await self._whose_fault(away)
            except Failure as raised:
                failure = raised
            except Exception as error:
                log.exception("work.unknown_failure", target=self.target, subject=claim.key.subject)
                failure = Failure("work.unexpected", kind=type(error).__name__)
            else:
                self._succeeded(claim, outcome)
                self._count(began, outcome.problem)
                return
            self._count(began, failure)
            await self._failed(claim, context, failure)

    def _count(self, began: float, failure: Failure | None) -> None:
        outcome = "done" if failure is None else str(failure.failure)
        instruments.WORK_PASS.labels(self.target, outcome).observe(asyncio.get_running_loop().time() - began)
        if failure is not None:
            telemetry.fail(failure.code)

    def _succeeded(self, claim: Claim, outcome: Outcome) -> None:
        # after a takeover a call of the former holder may still come: look again when it must have ended
        ruling = Ruling(StepState.VERIFIED, self._lease if claim.takeover else None, 0)
        if outcome.problem is not None:
            removing = outcome.removing or claim.removal
            ruling = rule(outcome.problem, claim.attempt, removing=removing, jitter=_jitter, skip=claim.skip)
            ruling = self._second_look(claim, ruling)
        completion = Completion(
            claim=claim,
            due_known=True,
            due_at=outcome.due_at,
            removes_next=outcome.removes_next,
            retry_in=ruling.retry_in,
            state="idle" if outcome.problem is None else ruling.row_state,
            attempts=ruling.attempts,
            problem=_problem(outcome.problem, ruling),
        )
        self._finished.put_nowait((completion, outcome, outcome.messages))

    async def _failed(self, claim: Claim, context: Any, failure: Failure) -> None:
        removing = claim.removal or (context is not None and self._performer.removes(claim, context))
        ruling = rule(failure, claim.attempt, removing=removing, jitter=_jitter, skip=claim.skip)
        ruling = self._second_look(claim, ruling)
        retry_at: datetime | None = (
            claim.recorded_at + timedelta(seconds=ruling.retry_in) if ruling.retry_in is not None else None
        )
        messages: Sequence[Outgoing] = ()
        if not isinstance(failure, StaleLease):
            self._report(claim, failure, ruling)
            messages = self._told(claim, context, failure, ruling.state, retry_at)
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
            problem=_problem(failure, ruling),
            unsure=claim.takeover or not isinstance(failure, (Held, Permanent, Waiting)),
        )
        self._finished.put_nowait((completion, None, tuple(messages)))

    def _second_look(self, claim: Claim, ruling: Ruling) -> Ruling:
        if not claim.takeover:
            return ruling
        return replace(ruling, retry_in=min(self._lease, ruling.retry_in or self._lease))

    def _told(
        self, claim: Claim, context: Any, failure: Failure, state: StepState, retry_at: datetime | None
    ) -> Sequence[Outgoing]:
        """What to tell the others; a fault in telling must not keep the pass from being completed."""
        if context is None:
            return ()
        try:
            return self._performer.failed(claim, context, failure, state, retry_at)
        except Exception:
            log.exception("work.not_told", target=self.target, subject=claim.key.subject)
            return ()

    async def _whose_fault(self, failure: Unavailable) -> Failure:
        """Ask the target before its breaker opens for all: one slow subject is that subject's failure, and counts."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._performer.probe()
        except (Failure, TimeoutError):
            return failure
        return Transient(failure.code, **failure.parameters)

    def _report(self, claim: Claim, failure: Failure, ruling: Ruling) -> None:
        log.warning(
            "work.failed",
            target=self.target,
            organisation=claim.key.organisation,
            subject=claim.key.subject,
            epoch=claim.epoch,
            code=failure.code,
            failure=str(failure.failure),
            state=str(ruling.state),
        )

    async def _hold_target(self, failure: Failure) -> None:
        try:
            async with self._database.transaction() as conn:
                if isinstance(failure, Throttled):
                    await breaker.throttle(conn, self.target, failure.retry_after)
                else:
                    await breaker.open_(conn, self.target, failure.code)
        except TRANSIENT as error:
            log.warning("breaker.not_stored", target=self.target, cause=type(error).__name__)

    async def _complete_forever(self) -> None:
        """Complete what has finished, all of it in one transaction: the batch grows with the load by itself."""
        while True:
            batch = [await self._finished.get()]
            while not self._finished.empty():
                batch.append(self._finished.get_nowait())
            try:
                await self._complete_in_time(batch)
            except Exception:
                log.exception("work.settle_failed", target=self.target, rows=len(batch))
                await self._complete_singly(batch)
            for _ in batch:
                self._finished.task_done()

    async def _complete_in_time(self, batch: Sequence[Finished]) -> None:
        """Complete while the leases last; after that the work is done again, which is safe but late."""
        until = min(item[0].claim.deadline for item in batch)
        while True:
            try:
                await self._complete(batch)
            except TRANSIENT as error:
                log.warning("work.not_completed", target=self.target, rows=len(batch), cause=type(error).__name__)
                if asyncio.get_running_loop().time() > until or not is_outage(error):
                    return
                await asyncio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - jitter
            else:
                return

    async def _complete_singly(self, batch: Sequence[Finished]) -> None:
        """One result that cannot be stored must not keep the others from being completed."""
        for item in batch:
            try:
                await self._complete([item])
            except Exception:
                log.exception("work.settle_failed", target=self.target, subject=item[0].claim.key.subject)

    async def _complete(self, batch: Sequence[Finished]) -> None:
        self._crash("work.before_complete")
        async with self._database.transaction() as conn:
            kept = await work.complete(conn, [item[0] for item in batch])
            held = [item for item in batch if item[0].claim.key in kept]
            await self._performer.settle(
                conn, [(completion.claim, outcome) for completion, outcome, _ in held if outcome is not None]
            )
            await outbox.append(conn, [message for _, _, messages in held for message in messages])
        self._crash("work.after_complete")
        lost = [item[0].claim for item in batch if item[0].claim.key not in kept]
        if lost:
            log.warning("work.lease_lost", target=self.target, rows=len(lost))
            instruments.LEASE_LOST.labels(self.target).inc(len(lost))
            async with self._database.transaction() as conn:
                await work.raise_wanted(conn, [Wake(claim.key, claim.lane, claim.removal) for claim in lost])
        self._on_commit()
        self._wake.set()


def _problem(failure: Failure | None, ruling: Ruling) -> str | None:
    return None if failure is None or ruling.state is StepState.SKIPPED else failure.problem.model_dump_json()


def _jitter(ceiling: float) -> float:
    return random.uniform(0, ceiling)  # noqa: S311 - jitter, not a secret
