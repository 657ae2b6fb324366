"""What the status API answers, as far as pages show it. Unknown fields are ignored, so it may grow. Pure."""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

TROUBLED = frozenset({"parked", "retrying", "waiting"})
REMOVALS = frozenset({"account.disabled", "account.deleted", "membership.left"})

GRANT_TAKEN = "account.grant_taken_elsewhere"

Parameter = str | int | float | bool | None


class View(BaseModel):
    """Frozen; camelCase on the wire; ignores what it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Problem(View):
    """Why something does not go on."""

    code: str
    failure: str = ""
    parameters: dict[str, Parameter] = Field(default_factory=dict)


class Step(View):
    """One step of an evaluator."""

    service: str
    target: str
    code: str
    state: str
    mandatory: bool = True
    due: datetime | None = None
    verified_at: datetime | None = None
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    problem: Problem | None = None
    follow_up: bool = False

    @property
    def skippable(self) -> bool:
        """Whether a person may decide that it shall not be done: never a removal, and not what the guard holds."""
        return _skippable(self.state, self.code)

    @property
    def taken(self) -> bool:
        """Whether another hand took what we gave, and a person decides what becomes of it."""
        return self.problem is not None and self.problem.code == GRANT_TAKEN


class Case(View):
    """A case in a list."""

    id: UUID
    person: UUID
    name: str
    kind: str
    reason: str
    state: str
    revision: int
    effective_at: datetime
    accepted_at: datetime
    updated_at: datetime
    done_at: datetime | None = None
    closed_at: datetime | None = None
    baseline: bool = False
    seconds: float | None = None


class Evaluator(View):
    """One service at one target that a case waits for."""

    service: str
    target: str
    handled: bool
    revision: int | None = None


class Record(View):
    """What one pass did, or why it could not."""

    service: str
    target: str
    code: str
    state: str
    attempt: int
    revision: int
    recorded_at: datetime
    retry_at: datetime | None = None
    problem: Problem | None = None


class CaseDetail(Case):
    """A case with its steps."""

    reasons: tuple[str, ...] = ()
    evaluators: list[Evaluator]
    steps: list[Step]
    remains: list[Step]
    history: list[Record]


class Count(View):
    """How many cases of a kind are in a state."""

    kind: str
    state: str
    count: int


class Cases(View):
    """A page of cases."""

    items: list[Case]
    cursor: str | None = None
    counts: tuple[Count, ...] = ()


class Attention(View):
    """A step that needs a hand, or may soon."""

    person: UUID
    name: str
    service: str
    target: str
    state: str
    code: str
    problem: Problem | None = None
    hold: UUID | None = None
    attempt: int
    since: datetime
    retry_at: datetime | None = None
    due: datetime | None = None

    @property
    def refused(self) -> bool:
        """Whether somebody has refused it: it waits for nobody any more."""
        return self.problem is not None and self.problem.code == "guard.refused"

    @property
    def skippable(self) -> bool:
        """Whether a person may decide that it shall not be done."""
        return _skippable(self.state, self.code)

    @property
    def taken(self) -> bool:
        """Whether another hand took what we gave."""
        return self.problem is not None and self.problem.code == GRANT_TAKEN


def _skippable(state: str, code: str) -> bool:
    return state in TROUBLED and code not in REMOVALS


class PausedTarget(View):
    """A target that a person has paused; what waits for it is not listed."""

    service: str
    target: str
    since: datetime


class AttentionPage(View):
    """A page of what needs a hand, with the paused targets, and how many unread messages which service keeps."""

    items: list[Attention]
    paused: tuple[PausedTarget, ...] = ()
    dead_letters: dict[str, int] | None = None
    cursor: str | None = None


class LeadTime(View):
    """Seconds from accepted to done."""

    kind: str
    count: int
    p50: float
    p95: float


class DueNext(View):
    """The next instant at which something becomes due."""

    at: datetime
    count: int


class Progress(View):
    """How far the evaluators are."""

    expected: int
    settled: int
    held: int
    parked: int
    retrying: int

    @property
    def share(self) -> float:
        """Settled of expected, in percent; nobody expected is all done."""
        return 100.0 if self.expected == 0 else 100.0 * self.settled / self.expected


class Summary(View):
    """Figures of the start page."""

    business_now: datetime
    cases: list[Count]
    lead_times: tuple[LeadTime, ...] = ()
    due_next: DueNext | None = None
    work: Progress


class Person(View):
    """A person in a list."""

    id: UUID
    name: str
    protection: str
    revision: int
    user_names: tuple[str, ...] = ()
    alias_of: UUID | None = None


class People(View):
    """A page of people."""

    items: list[Person]
    cursor: str | None = None


class Why(View):
    """Which policy row decided."""

    table: str
    row: str
    employment: UUID | None = None
    value: str | None = None


class Entitlement(View):
    """A group or a licence that we gave (`given`) or are to give (`wanted`), with the row that gives it."""

    kind: str
    value: str
    given: bool
    wanted: bool
    table: str | None = None
    row: str | None = None
    problem: Problem | None = None

    @property
    def taken(self) -> bool:
        """Whether another hand took it, and nobody has decided what becomes of it."""
        return self.problem is not None and self.problem.code == GRANT_TAKEN

    @property
    def left(self) -> bool:
        """Whether it was decided to leave it to another hand that took it."""
        return self.problem is not None and self.problem.code == "account.grant_left"

    @property
    def state(self) -> str:
        """How it stands, as a badge says it."""
        if self.given:
            return "done" if self.wanted else "held"
        if self.left:
            return "skipped"
        return "waiting" if self.problem is None else "attention"


class Target(View):
    """A person at one target."""

    service: str
    target: str
    desired: str | None = None
    observed: str | None = None
    user_name: str | None = None
    mail: str | None = None
    verified_at: datetime | None = None
    revision: int
    as_of: datetime
    next_due: datetime | None = None
    paused_at: datetime | None = None
    policy_hash: str
    why: tuple[Why, ...] = ()
    steps: tuple[Step, ...] = ()
    entitlements: tuple[Entitlement, ...] = ()


class Access(View):
    """What operators have decided beside HR's word; `kept_until` is the last day."""

    blocked_since: datetime | None = None
    kept_until: date | None = None


class UnitItem(View):
    """A unit, and what HR calls it where that is known."""

    unit: str
    name: str | None = None


class Place(View):
    """Where somebody is: the unit of the main employment, and those of others."""

    unit: UnitItem | None = None
    memberships: tuple[UnitItem, ...] = ()
    changed_at: datetime


class PersonDetail(View):
    """All that status knows of a person. `alias_of`: whom the id was merged into; `aliases`: the other way round."""

    id: UUID
    name: str
    protection: str
    revision: int
    access: Access | None = None
    alias_of: UUID | None = None
    aliases: tuple[UUID, ...] = ()
    place: Place | None = None
    targets: list[Target]
    cases: list[Case]
    remains: list[Step]


class Happening(View):
    """One thing that happened to a person."""

    at: datetime
    source: str
    key: str
    body: dict[str, object]


class Timeline(View):
    """A page of what happened."""

    items: list[Happening]
    cursor: str | None = None
