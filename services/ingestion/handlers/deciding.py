"""Operators' decisions about access: taken into the ledger as facts, an extension by two people.

Safe to replay: a decision has an id, and a fact of that id is in the ledger once.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from services.ingestion.domain.access import DECIDED, SOURCE, AccessDecided, Action
from services.ingestion.domain.projection import Organisation
from services.ingestion.handlers.acceptance import accept
from services.ingestion.handlers.door import tried
from services.ingestion.handlers.reception import DECISION, Submission
from services.ingestion.handlers.verdicts import Status
from services.ingestion.store import decisions
from services.ingestion.store.decisions import Decision
from services.kernel import audit, telemetry
from services.kernel.clock import business_now, database_now
from services.kernel.database import Connection, Database
from services.kernel.problems import ProblemError

PROPOSAL_HOURS = 24
"""How long a proposal waits for the second person."""

NOTHING_TO_DO = {
    Action.DISABLE: "access is blocked already",
    Action.RESTORE: "access is not blocked",
    Action.KEEP: "access is kept until that day already",
    Action.WITHDRAW: "access is not kept",
}


@dataclass(frozen=True)
class Asked:
    """What somebody asks for, about a person whom the asker may see."""

    id: UUID
    organisation: Organisation
    person: UUID
    action: Action
    until: date | None
    actor: str
    reason: str


class Decisions:
    """Takes decisions; every one is audited in its transaction."""

    def __init__(self, database: Database, *, generation: int, on_commit: Callable[[], None]) -> None:
        self._database = database
        self._generation = generation
        self._on_commit = on_commit

    async def take(self, asked: Asked) -> Decision:
        """Carry a decision out at once, or propose an extension to a second person.

        Raises:
            ProblemError: 409 when there is nothing to do or the id belongs to another decision; 422 by the rules.
        """
        found = await tried(lambda: self._take(asked))
        self._on_commit()
        return found

    async def answer(
        self, organisation: Organisation, decision_id: UUID, actor: str, reason: str, *, approved: bool
    ) -> Decision:
        """Approve or refuse a proposal, as somebody else than who made it; who made it may take it back.

        Raises:
            ProblemError: 403 for one's own proposal, 404, 409 when it is decided, 422 when the rules have come to
                speak against it.
        """
        found = await tried(lambda: self._answer(organisation, decision_id, actor, reason, approved=approved))
        self._on_commit()
        return found

    async def _take(self, asked: Asked) -> Decision:
        waits = asked.action is Action.KEEP
        async with self._database.transaction() as conn:
            key = asked.organisation.key
            decision = Decision(
                asked.id, key, asked.person, asked.action.value, asked.until, "proposed" if waits else "effective",
                asked.actor, asked.reason, await database_now(conn),
            )  # fmt: skip
            if not await decisions.add(conn, decision):
                return await _same(conn, decision)
            if waits:
                await self._judge(conn, decision, asked.organisation)
            else:
                await self._carry_out(conn, decision, asked.organisation)
            verb = "proposed" if waits else asked.action.value
            await _audit(conn, decision, asked.actor, f"access.{verb}", asked.reason)
            return await decisions.find(conn, key, asked.id) or decision

    async def _answer(
        self, organisation: Organisation, decision_id: UUID, actor: str, reason: str, *, approved: bool
    ) -> Decision:
        async with self._database.transaction() as conn:
            await decisions.lapse(conn, organisation.key, PROPOSAL_HOURS)
            found = await decisions.find(conn, organisation.key, decision_id)
            if found is None:
                raise ProblemError(404, "access.unknown", "There is no such decision")
            if found.state != "proposed":
                title = "Somebody has decided already, or the proposal has lapsed"
                raise ProblemError(409, "access.decided", title, detail=f"It is {found.state}.")
            if approved and found.actor == actor:
                raise ProblemError(403, "access.own_approval", "A second person has to approve")
            await decisions.decide(conn, found.id, "effective" if approved else "refused", actor, reason)
            if approved:
                await self._carry_out(conn, found, organisation)
            await _audit(conn, found, actor, "access.approved" if approved else "access.refused", reason)
            return await decisions.find(conn, organisation.key, decision_id) or found

    async def _judge(self, conn: Connection, decision: Decision, organisation: Organisation) -> None:
        """Refuse at once what could not be approved: carry it out as a trial."""
        async with conn.transaction(force_rollback=True):
            await self._carry_out(conn, decision, organisation)

    async def _carry_out(self, conn: Connection, decision: Decision, organisation: Organisation) -> None:
        await decisions.identify(conn, decision.organisation, decision.person)
        action = Action(decision.action)
        event = DECISION(
            specversion="1.0",
            id=str(decision.id),
            source=SOURCE,
            type=DECIDED,
            time=await business_now(conn),
            data=AccessDecided(external_id=str(decision.person), action=action, until=decision.until),
        )
        body = event.model_dump_json(by_alias=True, exclude_none=True).encode()
        submission = Submission(
            organisation=organisation,
            actor=decision.actor,
            event=event,
            body=body,
            body_hash=hashlib.sha256(body).digest(),
            traceparent=telemetry.current_traceparent(),
        )
        (verdict,) = await accept(conn, [submission], self._generation)
        if verdict.problem is not None:
            raise verdict.problem
        if verdict.status is not Status.ACCEPTED or verdict.revision is None or verdict.case_id is None:
            raise ProblemError(409, "access.nothing_to_do", "There is nothing to do", detail=NOTHING_TO_DO[action])
        await decisions.led_to(conn, decision.id, verdict.revision, verdict.case_id)


async def _same(conn: Connection, asked: Decision) -> Decision:
    """Answer a decision that was sent again with what became of it."""
    known = await decisions.find(conn, asked.organisation, asked.id)
    said = (asked.person, asked.action, asked.until, asked.actor, asked.reason)
    if known is None or (known.person, known.action, known.until, known.actor, known.reason) != said:
        raise ProblemError(409, "command.id_reused", "This Idempotency-Key belongs to another decision")
    return known


async def _audit(conn: Connection, decision: Decision, actor: str, action: str, reason: str) -> None:
    parameters = {"decision": str(decision.id), "until": decision.until.isoformat() if decision.until else None}
    await audit.record(
        conn,
        "ingestion",
        decision.organisation,
        actor,
        action,
        subject=decision.person,
        reason=reason,
        parameters=parameters,
    )
