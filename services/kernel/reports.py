"""What a service says of a pass over a person: an evaluation with all steps, and a step. Codes only, never a name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.base import Message
from contracts.codes import StepState
from contracts.facts import Parameter, Problem, ServiceEvaluated, Step, StepRecorded, Why
from contracts.registry import SERVICE_EVALUATED, STEP_RECORDED
from services.kernel.messaging import outbox
from services.kernel.messaging.outbox import Outgoing
from services.kernel.work import Claim


@dataclass(frozen=True)
class Reporter:
    """Says things about one pass for one person, whose record it saw is (`record_generation`, `revision`)."""

    service: str
    claim: Claim
    person: UUID
    record_generation: int
    revision: int

    def evaluated(
        self, steps: Sequence[Step], *, next_due: datetime | None, policy_hash: str = "", why: Iterable[Why] = ()
    ) -> Outgoing:
        """Return service.evaluated: all steps, as of the pass's business time."""
        claim = self.claim
        return self.say(
            SERVICE_EVALUATED,
            ServiceEvaluated(
                organisation=claim.key.organisation,
                person=self.person,
                service=self.service,
                target=claim.key.target,
                generation=claim.generation,
                version=claim.epoch,
                record_generation=self.record_generation,
                revision=self.revision,
                policy_hash=policy_hash,
                as_of=claim.business_now,
                recorded_at=claim.recorded_at,
                next_due=next_due,
                steps=tuple(steps),
                why=tuple(why),
            ),
        )

    def step(
        self,
        code: str,
        state: StepState,
        parameters: dict[str, Parameter],
        problem: Problem | None = None,
        retry_at: datetime | None = None,
    ) -> Outgoing:
        """Return step.recorded: what this pass did, or why it could not. One for each pass."""
        claim = self.claim
        return self.say(
            STEP_RECORDED,
            StepRecorded(
                organisation=claim.key.organisation,
                person=self.person,
                service=self.service,
                target=claim.key.target,
                generation=claim.generation,
                epoch=claim.epoch,
                attempt=claim.attempt,
                revision=self.revision,
                code=code,
                state=state,
                parameters=parameters,
                problem=problem,
                recorded_at=claim.recorded_at,
                retry_at=retry_at,
            ),
        )

    def say(self, type_: str, data: Message) -> Outgoing:
        """Return a message about the person, in the pass's lane and trace."""
        claim = self.claim
        event = outbox.make(
            type_,
            data,
            source=f"urn:stafett:{self.service}",
            subject=claim.key.subject,
            organisation=claim.key.organisation,
            time=claim.recorded_at,
            traceparent=claim.traceparent,
        )
        return Outgoing(event, claim.lane)
