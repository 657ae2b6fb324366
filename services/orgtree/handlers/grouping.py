"""The pass over a person at a target: in which groups they shall be, and how far that has come. It writes no target."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from contracts.codes import FailureClass, StepState
from contracts.facts import Problem, Step
from services.kernel.failures import Held
from services.kernel.guard import Verdict
from services.kernel.reports import Reporter
from services.kernel.work import Claim, Outcome
from services.orgtree.domain.projection import Group, Grouping, Kind, Member, settled
from services.orgtree.handlers.placing import SERVICE
from services.orgtree.store.grouping import Standing

JOINED = "membership.joined"
LEFT = "membership.left"

_STATES: Mapping[FailureClass, StepState] = {
    FailureClass.WAITING: StepState.WAITING,
    FailureClass.PERMANENT: StepState.PARKED,
    FailureClass.HELD: StepState.HELD,
}


@dataclass(frozen=True)
class GroupingSituation:
    """What a pass over a person at a target reads, what shall be, and what the guard says to what they would lose."""

    standing: Standing
    grouping: Grouping
    verdict: Verdict | None = None

    @property
    def kept(self) -> frozenset[Group]:
        """Groups that they stay in, asked for or not."""
        held = self.verdict is not None and not self.verdict.admitted
        return self.grouping.stays | (self.grouping.asks if held else frozenset())


@dataclass(frozen=True)
class Regrouped:
    """What a pass came to: the memberships that shall be otherwise than before, and what was told."""

    organisation: str
    person: UUID
    signature: str
    members: Mapping[Group, Member] = field(default_factory=dict)
    lapsed: bool = False


def regroup(claim: Claim, context: GroupingSituation) -> Outcome:
    """Return in which groups the person shall be, as an outcome; removals that the guard holds are not asked for."""
    standing, person = context.standing, UUID(claim.key.subject)
    problem = _held(context.verdict)
    steps = tuple(_steps(claim, context, problem))
    signature = _signature(standing, steps)
    report = Reporter(SERVICE, claim, person, *standing.record)
    told = signature == standing.signature and claim.asked_at is None
    messages = () if told else (report.evaluated(steps, next_due=None),)
    lapsed = claim.troubled_since is not None and not context.grouping.asks
    result = Regrouped(claim.key.organisation, person, signature, dict(_changes(context)), lapsed)
    return Outcome(due_at=None, messages=messages, problem=problem, result=result)


def _held(verdict: Verdict | None) -> Held | None:
    if verdict is None or verdict.admitted:
        return None
    return Held("guard.refused" if verdict.refused else "guard.held", hold=str(verdict.hold), action="leave")


def _changes(context: GroupingSituation) -> Iterator[tuple[Group, Member]]:
    """Yield memberships that are not written down yet as they shall be."""
    standing = context.standing
    entry = standing.account.entry if standing.account else None
    for group in sorted(context.grouping.shall | context.kept):
        shall = Member(wanted=True, entry=entry, held=None)
        if (known := standing.members.get(group)) is None or (known.wanted, known.entry) != (True, entry):
            yield group, shall
    for group, known in sorted(standing.members.items()):
        if known.wanted and group not in context.grouping.shall | context.kept:
            yield group, Member(wanted=False, entry=known.entry, held=known.held)


def _steps(claim: Claim, context: GroupingSituation, problem: Held | None) -> Iterator[Step]:
    """Yield what is done and what is left; nothing of who has no account and is in no group."""
    standing, grouping = context.standing, context.grouping
    if standing.account is not None and grouping.shall:
        pending = grouping.shall - settled(grouping.shall, standing.members, standing.account.entry)
        yield _step(claim, JOINED, grouping.shall, pending, standing)
    gone = {group for group, member in standing.members.items() if member.held is not None}
    gone -= grouping.shall | grouping.stays
    if problem is not None:
        state = StepState.HELD
        yield Step(code=LEFT, state=state, parameters=_units(grouping.asks), problem=problem.problem)
    elif gone:
        yield _step(claim, LEFT, frozenset(gone), frozenset(gone), standing)
    elif over := frozenset(group for group in grouping.stays if group[0] in standing.closed):
        yield _step(claim, LEFT, over, over, standing)


def _step(claim: Claim, code: str, groups: frozenset[Group], pending: frozenset[Group], standing: Standing) -> Step:
    if not pending:
        return Step(code=code, state=StepState.VERIFIED, verified_at=claim.recorded_at, parameters=_units(groups))
    told = sorted(text for unit, text in standing.problems.items() if any(unit == group[0] for group in pending))
    if not told:
        return Step(code=code, state=StepState.PLANNED, parameters=_units(pending))
    problem = Problem.model_validate_json(told[0])
    state = _STATES.get(problem.failure, StepState.RETRYING)
    return Step(code=code, state=state, parameters=_units(pending), problem=problem)


def _units(groups: frozenset[Group]) -> dict[str, str | int | bool | None]:
    units = sorted({unit for unit, kind in groups if kind is Kind.UNIT})
    leads = sorted({unit for unit, kind in groups if kind is Kind.MANAGERS})
    return {name: ", ".join(found) for name, found in (("units", units), ("managers", leads)) if found}


def _signature(standing: Standing, steps: tuple[Step, ...]) -> str:
    """Digest what an evaluation says, without its times."""
    parts = [
        f"{standing.record[0]}.{standing.record[1]}",
        *(step.model_copy(update={"verified_at": None}).model_dump_json() for step in steps),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
