"""What a pass came to: the row to store, and what to tell the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts.codes import AccountState, FailureClass, Lane, Protection, StepState
from contracts.facts import Parameter
from contracts.person import CoreRecord
from services.accounts.domain import steps
from services.accounts.domain.desired import Desired
from services.accounts.domain.names import is_neutral
from services.accounts.domain.other_hand import STATE, Verdict, digest
from services.accounts.domain.plan import Action, Change, Create, Observed, Removal, open_seconds, removal, verified
from services.accounts.domain.steps import Standing, Trouble
from services.accounts.domain.timeline import known_endings
from services.accounts.handlers.granting import Granted, reasons
from services.accounts.handlers.reports import Reporter
from services.accounts.handlers.situation import Situation
from services.accounts.store.accounts import AccountRow
from services.accounts.store.grants import Taken
from services.accounts.store.hands import Told
from services.kernel import telemetry
from services.kernel.failures import Failure, Held, Permanent, Transient, Waiting
from services.kernel.gate import Withheld
from services.kernel.messaging import outbox
from services.kernel.messaging.outbox import Outgoing
from services.kernel.work import Claim, Outcome

log = telemetry.get_logger(__name__)

PAST = timedelta(days=60)
"""How long an end is remembered beyond the days of grace."""
_REMOVAL_STEP = {
    Removal.DISABLE: steps.DISABLED, Removal.DELETE: steps.DELETED, Removal.REVOKE: steps.ENTITLED,
}  # fmt: skip
_STATES = {FailureClass.WAITING: StepState.WAITING, FailureClass.PERMANENT: StepState.PARKED}


@dataclass(frozen=True)
class Result:
    """What a pass came to: the row to store, whether a hold of the guard has lapsed, what was given and taken.

    `told`: what it tells of other hands; `taken`: what they took, when it was looked at. `news`: whom the account leads
    has to be looked at. `astray`: a manager whose account is not where it was.
    """

    row: AccountRow
    lapsed: bool
    granted: Granted = field(default_factory=Granted)
    told: Told | None = None
    taken: Taken | None = None
    adopted: bool = False
    news: bool = False
    astray: UUID | None = None

    @property
    def absent(self) -> bool:
        """Whether there is no account after it."""
        return self.row.state == AccountState.ABSENT


@dataclass(frozen=True)
class Work:
    """What a pass did: what was wanted, found, done and read back, what the guard held, what the gate withheld.

    `waits`: what only another directory can write, and why it was not written.

    `wanted` is without what is left to another hand. `locked`: another hand keeps it closed. `rewritten`: what had been
    written before. `astray`: the manager, whose account was not where it should be.
    """

    wanted: Desired
    before: Observed | None
    after: Observed | None
    action: Action | None
    echoes: frozenset[str]
    held: Held | None
    held_as: Removal | None
    withheld: tuple[Failure, Action | None] | None = None
    granted: Granted = field(default_factory=Granted)
    locked: bool = False
    rewritten: Mapping[str, str] = field(default_factory=dict)
    astray: UUID | None = None
    waits: tuple[Failure, Action] | None = None


def conclude(claim: Claim, context: Situation, work: Work, verified_at: datetime) -> Outcome:
    """Return the outcome of a pass that has done what it could; `verified_at` is when it was read back."""
    if context.event is None:
        return Outcome(due_at=None)
    report = Reporter(claim, context.event, context.policy_hash, context.entitled.why)
    wanted, old = work.wanted, context.row
    row = _next_row(claim, context, context.event.record, work, verified_at)
    if context.event.record.erased and work.after is None:
        row = replace(row, user_name=None, mail=None, echoes=(), endings=(), written={}, place=None, looks=())
    if context.hands.hidden and work.after is None:
        row = replace(row, user_name=None, mail=None)
    troubles = _troubles(work, context, skip=claim.skip)
    evaluation = steps.evaluate(
        wanted, standing(row, entitled=bool(work.granted.wanted)), [trouble for trouble, _ in troubles]
    )
    row = replace(row, signature=report.signature(wanted, evaluation), next_due=_next_due(context, work))
    problem = next((failure for _, failure in troubles if not isinstance(failure, Withheld)), None)
    messages = _step_messages(report, claim, work)
    if _differs(old, row) or work.granted.owned != context.owned.keys():
        changed = report.changed(row, work.granted.owned)
        row = replace(row, event=outbox.body(changed.event))
        messages.append(changed)
    say = old is None or old.signature != row.signature or _passed(old, claim.business_now)
    say = say or (claim.troubled_since is not None and (claim.attempt > 1 or not isinstance(problem, Waiting)))
    # a person asked for it, or it was urgent: that it was looked at is worth saying
    say = say or claim.asked_at is not None or claim.lane is Lane.EXPRESS
    if say or messages:
        messages.append(report.evaluated(wanted, evaluation))
    lapsed = old is not None and old.hold is not None and row.hold is None
    told = _told(claim, context, work)
    adopted = context.adoption is not None and row.entry == context.adoption.entry
    news = old is None or (old.reference, old.leads) != (row.reference, row.leads)
    same = told is None and not adopted and work.astray is None and old is not None and _kept(old) == _kept(row)
    unchanged = same and not messages and not lapsed and not work.granted.gone and not work.granted.given
    log.info("account.evaluated", subject=claim.key.subject, state=row.state.value, wrote=work.action is not None)
    return Outcome(
        due_at=row.next_due,
        removes_next=wanted.removes_next and row.next_due == wanted.next_boundary,
        messages=tuple(messages),
        problem=problem,
        removing=work.held is not None or (work.waits is not None and removal(work.waits[1]) is not None),
        result=None
        if unchanged
        else Result(row, lapsed, work.granted, told, _taken(context, work), adopted, news, work.astray),
    )


def _next_due(context: Situation, work: Work) -> datetime | None:
    """Return when account or entitlements change next; who has no account is given nothing."""
    instants = [work.wanted.next_boundary]
    if work.after is not None and work.wanted.state != AccountState.ABSENT:
        instants.append(context.entitled.next_boundary)
    return min((instant for instant in instants if instant is not None), default=None)


def _next_row(claim: Claim, context: Situation, record: CoreRecord, work: Work, verified_at: datetime) -> AccountRow:
    old, after = context.row, work.after
    state = after.state if after else AccountState.ABSENT
    was_open = (old is not None and old.state == AccountState.ENABLED) or bool(work.before and work.before.enabled)
    enabled_from = old.enabled_from if old else None
    closed_at = old.closed_at if old else None
    if state == AccountState.ENABLED:
        closed_at = None
        enabled_from = enabled_from if was_open and enabled_from else claim.business_now
    elif state == AccountState.ABSENT or isinstance(work.action, Create):
        enabled_from = closed_at = None
    elif was_open:
        enabled_from, closed_at = enabled_from or claim.business_now, claim.business_now
    names = work.wanted.names
    row = AccountRow(
        organisation=claim.key.organisation,
        person=UUID(claim.key.subject),
        target=claim.key.target,
        state=state,
        user_name=after.user_name if after else (old.user_name if old else None),
        mail=names.mails[0] if after and names else (old.mail if old else None),
        entry=after.entry if after else None,
        generation=claim.generation,
        version=claim.epoch,
        changed_at=claim.business_now,
        verified_at=verified_at,
        known=after is not None or work.before is not None or (old is not None and old.known),
        enabled_from=enabled_from,
        closed_at=closed_at,
        echoes=tuple(sorted(work.echoes)),
        hold=_hold(work),
        signature=None,
        next_due=None,
        event=old.event if old else None,
        endings=known_endings(
            work.wanted.endings,
            old.endings if old else (),
            claim.business_now,
            timedelta(days=work.wanted.grace_days) + PAST,
        ),
        used=(old is not None and old.used) or state == AccountState.ENABLED or was_open,
        written=_written(old, work),
        locked_at=(old.locked_at if old and old.locked_at else claim.business_now) if work.locked else None,
        reference=after.reference if after else None,
        leads=work.wanted.opens and record.protection == Protection.NONE,
        looks=context.superior.looks,
        place=_place(old, after, moved=_moved(old, work)),
        moved=_moved(old, work),
    )
    return row if old is None or _differs(old, row) else replace(row, changed_at=old.changed_at)


def _written(old: AccountRow | None, work: Work) -> Mapping[str, str]:
    """Return what we know to have written last: what was left to another hand, or withheld, stays as it was."""
    if work.after is None:
        return {}
    before = old.written if old else {}
    if work.withheld is not None or work.waits is not None or work.wanted.state == AccountState.ABSENT:
        return before
    return {**before, **{name: digest(values) for name, values in work.wanted.attributes.items()}}


def _place(old: AccountRow | None, after: Observed | None, *, moved: bool) -> str | None:
    """Return where the account belongs: where it was first seen, or where this pass has moved it."""
    if after is None:
        return None
    return old.place if old is not None and old.entry == after.entry and old.place and not moved else after.parent


def _moved(old: AccountRow | None, work: Work) -> bool:
    """Tell whether this pass has moved the account from where it belonged: its address is what people sign in by."""
    if old is None or work.before is None or work.after is None or not isinstance(work.action, Change):
        return False
    return work.before.parent == old.place != work.after.parent


def _kept(row: AccountRow) -> tuple[object, ...]:
    return row.echoes, row.endings, dict(row.written), row.locked_at, row.place, row.reference, row.leads, row.looks


def _told(claim: Claim, context: Situation, work: Work) -> Told | None:
    """Return which decisions of people have been carried out, and what was written once more."""
    carried = tuple(
        name
        for name, one in context.hands.decided.items()
        if (one.verdict is Verdict.REOPEN and (work.after is None or work.after.enabled or not _opens(work)))
        or (one.verdict is Verdict.ACCEPT and work.after is None and work.withheld is None)
        or (one.verdict is Verdict.RECLAIM and name != STATE and not _differing(work, name))
    )
    if not carried and not work.rewritten:
        return None
    key = claim.key
    return Told(key.organisation, UUID(key.subject), key.target, carried, dict(work.rewritten), claim.recorded_at)


def _taken(context: Situation, work: Work) -> Taken | None:
    """Return what another hand took, to be kept for people to decide; None when nobody has looked."""
    if not context.owned and not context.hands.decided:
        return None
    if work.after is None:
        return Taken(absent=True) if work.withheld is None else None
    if not work.granted.wanted and not work.granted.gone:
        return None
    return Taken(work.granted.elsewhere, hidden=context.hands.hidden)


def _opens(work: Work) -> bool:
    return work.wanted.state == AccountState.ENABLED


def _differing(work: Work, name: str) -> bool:
    if work.after is None or name not in work.wanted.attributes:
        return work.after is not None
    return set(work.wanted.attributes[name]) != set(work.after.attributes.get(name, ()))


def _differs(old: AccountRow | None, row: AccountRow) -> bool:
    """Tell whether account.changed has to be said: not for somebody who never had an account."""
    if old is None or not old.known:
        return row.known
    return (old.state, old.user_name, old.mail, old.entry) != (row.state, row.user_name, row.mail, row.entry)


def _troubles(work: Work, context: Situation, *, skip: bool) -> list[tuple[Trouble, Failure]]:
    found: list[tuple[Trouble, Failure]] = []
    if work.held is not None and work.held_as is not None:
        trouble = Trouble(_REMOVAL_STEP[work.held_as], StepState.HELD, work.held.problem)
        found.append((trouble, work.held))
    if work.withheld is not None:
        failure, action = work.withheld
        # it is told, and nobody waits for it: whoever lets it be written has everybody looked at again
        told = Trouble(steps.action_codes(action)[0], StepState.SKIPPED, failure.problem)
        found.append((told, failure))
    if work.waits is not None:
        failure, action = work.waits
        state = StepState.SKIPPED if skip and removal(action) is None else StepState.WAITING
        found.append((Trouble(steps.action_codes(action)[0], state, failure.problem), failure))
    for refusal in reasons(work.granted):
        state = StepState.SKIPPED if skip or isinstance(refusal, Withheld) else _STATES[refusal.failure]
        found.append((Trouble(steps.ENTITLED, state, refusal.problem), refusal))
    left = work.after.others if work.after is not None and context.hands.hidden else ()
    if telling := [one for one in left if not is_neutral(one.partition("@")[0])]:
        aliases = Waiting("account.addresses_left", addresses=len(telling))
        state = StepState.SKIPPED if skip else StepState.WAITING
        found.append((Trouble(steps.UPDATED, state, aliases.problem), aliases))
    if work.locked and work.after is not None:
        elsewhere = Waiting("account.locked_elsewhere")
        state = StepState.SKIPPED if skip else StepState.WAITING
        found.append((Trouble(steps.ENABLED, state, elsewhere.problem), elsewhere))
    looping = sorted(name for name in context.hands.looping if _loops(context, work, name))
    if looping:
        loop = Permanent("account.write_loop", attributes=",".join(looping))
        state = StepState.SKIPPED if skip else StepState.PARKED
        found.append((Trouble(steps.UPDATED, state, loop.problem), loop))
    if work.after is not None and work.wanted.unit_missing is not None and work.wanted.opens:
        waiting = Waiting("unit.unknown", unit=work.wanted.unit_missing)
        state = StepState.SKIPPED if skip else StepState.WAITING
        found.append((Trouble(steps.DEPARTMENT, state, waiting.problem, work.wanted.unit_due), waiting))
    return found


def _loops(context: Situation, work: Work, name: str) -> bool:
    """Tell whether an attribute has been left as it is since we wrote it too often."""
    return work.after is not None and name != STATE and name not in work.wanted.attributes and not context.hands.hidden


def _step_messages(report: Reporter, claim: Claim, work: Work) -> list[Outgoing]:
    """Say what the pass did, in one message: status keeps one for each epoch."""
    parameters: dict[str, Parameter] = {}
    codes = steps.action_codes(work.action)
    for name, grants in (("granted", work.granted.given), ("revoked", work.granted.taken)):
        if grants:
            parameters[name] = ", ".join(grant.value for grant in grants)
    if parameters:
        codes = (*codes, steps.ENTITLED)
    attributes = getattr(work.action, "attributes", {})
    changed = [*attributes, *(["login"] if isinstance(work.action, Change) and work.action.login else [])]
    if isinstance(work.action, Change) and changed:
        parameters["changed"] = ",".join(sorted(changed))
    if len(codes) > 1:
        parameters["also"] = ",".join(codes[1:])
    if claim.takeover:
        parameters["takeover"] = True
    if work.held is not None and work.held_as is not None:
        if codes:
            parameters["also"] = ",".join(codes)
        trouble = Trouble(_REMOVAL_STEP[work.held_as], StepState.HELD, work.held.problem)
        return [report.step(trouble.code, StepState.HELD, parameters, trouble)]
    if not codes:
        return []
    if codes[0] == steps.DISABLED:
        parameters["open_seconds"] = open_seconds(work.wanted, claim.business_now)
    return [report.step(codes[0], StepState.VERIFIED, parameters)]


def checked(action: Create | Change, after: Observed) -> frozenset[str]:
    """Return which values came back otherwise than they were written, to be remembered.

    Raises:
        Transient: What was written is not there.
    """
    echoes = verified(action.attributes, after.attributes)
    other = action.enabled is not None and after.enabled is not action.enabled
    called = action.login if isinstance(action, Change) else None
    if echoes is None or other or called not in {None, after.user_name.casefold()}:
        raise Transient("account.not_verified", step="compare")
    return echoes


def silenced(row: AccountRow | None, after: Observed | None) -> bool:
    """Tell whether login or address were last told to hold the name of somebody protected, and do no more."""
    told = (row.user_name, (row.mail or "").partition("@")[0]) if row is not None else ()
    return any(name and not is_neutral(name) for name in told) and (after is None or is_neutral(after.user_name))


def standing(row: AccountRow | None, *, entitled: bool = False) -> Standing:
    """Return how the account stands by its row; `entitled`: groups or licences belong to it."""
    if row is None:
        return Standing(AccountState.ABSENT, known=False, ever_enabled=False, verified_at=None)
    return Standing(row.state, row.known, row.enabled_from is not None, row.verified_at, entitled=entitled)


def _hold(work: Work) -> UUID | None:
    return UUID(str(work.held.parameters["hold"])) if work.held is not None else None


def _passed(old: AccountRow, now: datetime) -> bool:
    return old.next_due is not None and old.next_due <= now
