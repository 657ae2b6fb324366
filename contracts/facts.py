"""What a service says about its own work: state facts (newest wins), append-only steps, evaluations, audit."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from contracts.base import Message, Organisation
from contracts.codes import AccountState, FailureClass, StepState

Parameter = str | int | bool | None


class Problem(Message):
    """Why something does not go on: a code with parameters; never a name or a number of a person."""

    code: str
    failure: FailureClass
    parameters: dict[str, Parameter] = Field(default_factory=dict)


class Step(Message):
    """One step of an evaluation. `due` null: due now. Only `verified` counts as done."""

    code: str
    mandatory: bool = True
    due: datetime | None = None
    state: StepState
    verified_at: datetime | None = None
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    problem: Problem | None = None


class Why(Message):
    """Which policy row decided: decision table, row id, and the employment it was asked for.

    A row that gives a group, a licence or a mail route is told once for each, with `kind` and its `value` there.
    """

    table: str
    row: str
    employment: UUID | None = None
    kind: str | None = Field(default=None, exclude_if=lambda kind: kind is None)
    value: str | None = Field(default=None, exclude_if=lambda value: value is None)


class ServiceEvaluated(Message):
    """se.stafett.service.evaluated.v1: all steps of one evaluator for one person, as of `as_of` (business time).

    Newest wins by (generation, version); `version` is the work row's lease epoch. (`record_generation`, `revision`) is
    the person's record that was brought home; without the former it is `generation`.
    """

    organisation: Organisation
    person: UUID
    service: str
    target: str
    generation: int = 1
    version: int
    record_generation: int | None = None
    revision: int
    policy_hash: str
    as_of: datetime
    recorded_at: datetime
    next_due: datetime | None = None
    steps: tuple[Step, ...] = ()
    why: tuple[Why, ...] = ()


class StepRecorded(Message):
    """se.stafett.step.recorded.v1: append-only, keyed (work, epoch): what one pass did or why it could not."""

    organisation: Organisation
    person: UUID
    service: str
    target: str
    generation: int = 1
    epoch: int
    attempt: int
    revision: int
    code: str
    state: StepState
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    problem: Problem | None = None
    recorded_at: datetime
    retry_at: datetime | None = None


class AccountRecord(Message):
    """The account as it stands in the target; `groups`, `licences` and `mail_routes` are those that we gave."""

    state: AccountState
    user_name: str | None = None
    mail: str | None = None
    entry: str | None = None
    enabled_from: datetime | None = None
    groups: tuple[str, ...] = Field(default=(), exclude_if=lambda groups: not groups)
    licences: tuple[str, ...] = Field(default=(), exclude_if=lambda licences: not licences)
    mail_routes: tuple[str, ...] = Field(default=(), exclude_if=lambda routes: not routes)


class AccountChanged(Message):
    """se.stafett.account.changed.v1: newest wins by (generation, version)."""

    organisation: Organisation
    person: UUID
    target: str
    generation: int = 1
    version: int
    changed_at: datetime
    verified_at: datetime
    record: AccountRecord


class AuditRecorded(Message):
    """se.stafett.audit.recorded.v1: who did or read what, and why. The actor is a subject of a token.

    `subject` is the one person it is about, `persons` are all that a list showed.
    """

    organisation: Organisation
    actor: str
    action: str
    subject: str | None = None
    persons: tuple[UUID, ...] = ()
    reason: str | None = None
    recorded_at: datetime
    parameters: dict[str, Parameter] = Field(default_factory=dict)
