"""What the status API shows. Times are UTC (RFC 3339), names camelCase, states and problems codes with parameters."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from contracts import facts
from contracts.codes import AccountState, CaseKind, Protection, Reason, StepState
from contracts.facts import Parameter
from services.status.domain.cases import CaseState

Item = TypeVar("Item")


def _problem(stored: object) -> object:
    """Read a stored problem: contracts are strict about JSON's types, and ours has been through the database."""
    return facts.Problem.model_validate(stored, strict=False, extra="ignore") if isinstance(stored, Mapping) else stored


def _why(stored: object) -> object:
    return facts.Why.model_validate(stored, strict=False, extra="ignore") if isinstance(stored, Mapping) else stored


Problem = Annotated[facts.Problem, BeforeValidator(_problem)]
Why = Annotated[facts.Why, BeforeValidator(_why)]


class View(BaseModel):
    """Frozen; camelCase on the wire."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Page(View, Generic[Item]):
    """One page of a list; `cursor` asks for the next one and is null on the last."""

    items: list[Item]
    cursor: str | None = None


class AccessView(View):
    """What operators have decided about access beside HR's word."""

    blocked_since: datetime | None = None
    kept_until: date | None = None


class PersonItem(View):
    """A person in a list. `aliasOf`: whom the id was merged into; `aliases`: ids that were merged into this one."""

    id: UUID
    name: str
    protection: Protection
    revision: int
    user_names: list[str]
    access: AccessView | None = None
    alias_of: UUID | None = None
    aliases: list[UUID] = Field(default_factory=list)


class StepView(View):
    """One step of an evaluator. `followUp`: due after its case takes effect, so the case does not wait for it."""

    service: str
    target: str
    code: str
    state: StepState
    mandatory: bool = True
    due: datetime | None = None
    verified_at: datetime | None = None
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    problem: Problem | None = None
    follow_up: bool = False


class PausedTarget(View):
    """A target to which nothing is written, for no organisation, since a person paused it."""

    service: str
    target: str
    since: datetime


class EntitlementView(View):
    """A group or a licence at a target. `given`: we gave it, and it was there last; `wanted`: policy gives it now.

    `row` of the decision table `table` gives it, by `employment`; they are null for what is not wanted any more.
    `problem`: why it is not given, or not there any more.
    """

    kind: str
    value: str
    given: bool
    wanted: bool
    table: str | None = None
    row: str | None = None
    employment: UUID | None = None
    problem: Problem | None = None


class TargetView(View):
    """A person at one target: what is wanted, what was observed there last, and why; `pausedAt`: nothing is written.

    `entitlements`: the groups and licences that Stafett gave, or is to give; what others gave is not among them.
    """

    service: str
    target: str
    desired: AccountState | None
    observed: AccountState | None
    user_name: str | None
    mail: str | None
    verified_at: datetime | None
    revision: int
    as_of: datetime
    next_due: datetime | None
    policy_hash: str
    why: list[Why]
    steps: list[StepView]
    entitlements: list[EntitlementView] = Field(default_factory=list)
    paused_at: datetime | None = None


class CaseItem(View):
    """A case in a list. `seconds`: from accepted to done for the first time."""

    id: UUID
    person: UUID
    name: str
    kind: CaseKind
    reason: Reason
    reasons: list[Reason]
    state: CaseState
    revision: int
    effective_at: datetime
    accepted_at: datetime
    updated_at: datetime
    done_at: datetime | None
    closed_at: datetime | None
    baseline: bool
    seconds: float | None


class UnitItem(View):
    """A unit, as HR calls it; `name` null: it is not known here."""

    unit: str
    name: str | None


class PlaceView(View):
    """Where somebody is: the unit of the main employment, null for nowhere, and those of others."""

    unit: UnitItem | None
    memberships: list[UnitItem]
    changed_at: datetime


class PersonDetail(View):
    """All that status knows of a person. `place` null: orgtree has not told of it yet."""

    id: UUID
    name: str
    protection: Protection
    revision: int
    access: AccessView | None
    alias_of: UUID | None
    aliases: list[UUID]
    place: PlaceView | None
    targets: list[TargetView]
    cases: list[CaseItem]
    remains: list[StepView]


class TimelineItem(View):
    """One thing that happened: a revision, a step or a change of an account."""

    at: datetime
    source: str
    key: str
    body: dict[str, object]


class EvaluatorView(View):
    """One evaluator that a case waits for, and whether it has brought the case's revision home, or may not: a pause."""

    service: str
    target: str
    handled: bool
    revision: int | None
    as_of: datetime | None
    paused_at: datetime | None = None


class StepRecord(View):
    """What one pass did, or why it could not."""

    service: str
    target: str
    code: str
    state: StepState
    attempt: int
    revision: int
    recorded_at: datetime
    retry_at: datetime | None
    parameters: dict[str, Parameter]
    problem: Problem | None


class CaseDetail(CaseItem):
    """A case with its evaluators, its steps, what remains, and what has been done (newest first, at most 200)."""

    evaluators: list[EvaluatorView]
    steps: list[StepView]
    remains: list[StepView]
    history: list[StepRecord]


class CaseCount(View):
    """How many cases of a kind are in a state."""

    kind: CaseKind
    state: CaseState
    count: int


class CasePage(Page[CaseItem]):
    """A page of cases with the counts of all that match, whatever their state."""

    counts: list[CaseCount]


class AttentionItem(View):
    """A step that is held, parked or retried, or waits for something although it was `due`."""

    person: UUID
    name: str
    service: str
    target: str
    state: StepState
    code: str
    problem: Problem | None
    hold: UUID | None
    revision: int
    attempt: int
    since: datetime
    retry_at: datetime | None
    due: datetime | None


class AttentionPage(Page[AttentionItem]):
    """A page of what needs a hand, with the paused targets: what waits for these is no trouble and is not listed.

    `dead_letters`: how many messages each service keeps that nobody has asked it to take in once more; for operations.
    """

    paused: list[PausedTarget]
    dead_letters: dict[str, int] | None = None


class AuditItem(View):
    """Who did or read what, and why. `subject` is the one person it was about, `persons` how many a list showed.

    `name` is the subject's, for who may see people; it is null for those with a protected identity.
    """

    id: UUID
    recorded_at: datetime
    actor: str
    action: str
    subject: str | None
    name: str | None = None
    persons: int
    reason: str | None
    parameters: dict[str, Parameter]


class CommandItem(View):
    """A command: who gave it and why, how many it matched, and how many its service touched when it carried it out."""

    id: UUID
    type: str
    service: str
    target: str | None
    actor: str
    reason: str
    accepted_at: datetime
    carried_out_at: datetime | None
    matched: int
    count: int | None


class CommandMatch(View):
    """What became of one match: `pending`, `settled`, or the state of the trouble that came after the command."""

    person: UUID
    name: str
    target: str
    state: str


class CommandDetail(CommandItem):
    """A command with how many of its matches are in which state, and the first of them."""

    progress: dict[str, int]
    matches: list[CommandMatch]


class LeadTime(View):
    """Seconds from accepted to done (nearest rank not interpolated below two cases)."""

    kind: CaseKind
    count: int
    p50: float
    p95: float


class DueNext(View):
    """The next instant (business time) at which an evaluator has something to do, and for how many."""

    at: datetime
    count: int


class WorkProgress(View):
    """How far the evaluators are: `settled` of `expected` (people times evaluators) need nothing more now.

    Not settled are those whose newest revision is not evaluated, with a mandatory step open that is due, or with a due
    time that has passed since.
    """

    expected: int
    settled: int
    held: int
    parked: int
    retrying: int
    waiting: int


class Summary(View):
    """Counts for a start page and a progress bar."""

    business_now: datetime
    cases: list[CaseCount]
    lead_times: list[LeadTime]
    due_next: DueNext | None
    work: WorkProgress


class BaselineKind(StrEnum):
    """What is timed: the kinds of case, and an order of an account or a phone made by hand."""

    JOINER = "joiner"
    MOVER = "mover"
    LEAVER = "leaver"
    ORDER = "order"


ASSUMED = {BaselineKind.ORDER: 34.0}
"""Hands-on minutes that are assumed until somebody has measured (DOMAIN, Measures)."""


class BaselineItem(View):
    """What a case took before Stafett. `minutes`: hands-on, the mean of `cases`; `leadHours`: the median."""

    kind: BaselineKind
    minutes: float
    lead_hours: float | None = None
    measured_on: date
    cases: int
    note: str | None = None
    actor: str
    told_at: datetime | None = None


class BaselineView(View):
    """What holds for each kind that was measured, what is assumed for others, and all that was told, newest first."""

    items: list[BaselineItem]
    assumed: dict[BaselineKind, float]
    told: Sequence[BaselineItem]
