"""One pass for one person: decide, observe, plan, apply, read back, account for it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts.codes import AccountState, StepState
from contracts.facts import Parameter
from services.accounts.domain import steps
from services.accounts.domain.desired import Desired, ReservedNames, never_made, retain
from services.accounts.domain.plan import (
    Action,
    Change,
    Create,
    Delete,
    Mark,
    Observed,
    Removal,
    open_seconds,
    plan,
    removal,
    verified,
    without_removal,
)
from services.accounts.domain.steps import Standing, Trouble
from services.accounts.domain.timeline import Phase, known_endings
from services.accounts.handlers.reports import Reporter
from services.accounts.handlers.situation import Reader, Situation
from services.accounts.ports import AccountDirectory, Found, Ledger, Lookup, NameTaken, RemovalRequest, Stamp
from services.accounts.store import accounts
from services.accounts.store.accounts import AccountRow
from services.kernel import guard, telemetry
from services.kernel.database import Connection
from services.kernel.failures import Failure, Held, Permanent, StaleLease, Transient, Unavailable, Waiting
from services.kernel.guard import Budget
from services.kernel.messaging import outbox
from services.kernel.messaging.outbox import Outgoing
from services.kernel.work import Claim, Outcome

log = telemetry.get_logger(__name__)

LOOKS = 8
"""How often a pass observes anew when names turn out to be taken, before it leaves the rest to the next pass."""
_PAST = timedelta(days=60)
"""How long an end is remembered beyond the days of grace."""
_REMOVAL_STEP = {Removal.DISABLE: steps.DISABLED, Removal.DELETE: steps.DELETED}


@dataclass(frozen=True)
class Result:
    """What a pass came to: the row to store, and whether a hold of the guard has lapsed."""

    row: AccountRow
    lapsed: bool


@dataclass(frozen=True)
class Work:
    """What a pass did: what was wanted, found, done and read back, and what the guard held."""

    wanted: Desired
    before: Observed | None
    after: Observed | None
    action: Action | None
    echoes: frozenset[str]
    held: Held | None
    held_as: Removal | None


class AccountPerformer:
    """The performer for accounts in one directory: safe to repeat, and with nothing to change it writes nothing."""

    def __init__(self, directory: AccountDirectory, ledger: Ledger, reader: Reader) -> None:
        self._directory = directory
        self._ledger = ledger
        self._reader = reader

    async def load(self, conn: Connection, claims: Sequence[Claim]) -> Sequence[Situation]:
        """Read what the claims need; reserve names for those who need one."""
        return await self._reader.read(conn, claims)

    async def probe(self) -> None:
        """Return when the directory answers."""
        await self._directory.probe()

    async def perform(self, claim: Claim, context: Situation) -> Outcome:
        """Bring the person's account in line with record and policy as of the claim's business time.

        Raises:
            StaleLease: A newer pass owns the account.
            Failure: Its class decides what happens next.
        """
        if context.failure is not None:
            raise context.failure
        if context.event is None:
            return Outcome(due_at=None)
        began = time.monotonic()
        work = await self._bring_in_line(claim, context)
        verified_at = claim.business_now + timedelta(seconds=time.monotonic() - began)
        return _conclude(claim, context, work, verified_at)

    async def settle(self, conn: Connection, done: Sequence[tuple[Claim, Outcome]]) -> None:
        """Store what was verified, and tell the guard which holds have lapsed."""
        results: list[Result] = [outcome.result for _, outcome in done if isinstance(outcome.result, Result)]
        await accounts.store(conn, [result.row for result in results])
        lapsed = [(r.row.organisation, r.row.target, str(r.row.person)) for r in results if r.lapsed]
        if lapsed:
            await guard.lapse(conn, lapsed)

    def failed(
        self, claim: Claim, context: Situation, failure: Failure, state: StepState, retry_at: datetime | None
    ) -> Sequence[Outgoing]:
        """Return the steps that are still to do, and why."""
        if context.event is None or isinstance(failure, StaleLease):
            return ()
        report = Reporter(claim, context.event, context.policy_hash)
        if context.failure is not None:
            trouble = Trouble(steps.UPDATED, state, failure.problem)
            return [report.step(steps.UPDATED, state, {}, trouble, retry_at)]
        wanted = _foreseen(context, claim.business_now)
        standing = _standing(context.row)
        troubles = [Trouble(code, state, failure.problem) for code in steps.missing(wanted.state, standing.state)]
        said = [report.step(troubles[0].code, state, {}, troubles[0], retry_at)]
        # While the whole target is away its breaker says so; each person's evaluation stands.
        if not isinstance(failure, Unavailable):
            said.append(report.evaluated(wanted, steps.evaluate(wanted, standing, troubles)))
        return said

    def removes(self, claim: Claim, context: Situation) -> bool:
        """Tell whether less is wanted than what was last verified; never raises: then the claim's own word counts."""
        if context.row is None or context.event is None or context.failure is not None:
            return claim.removal
        try:
            wanted = _foreseen(context, claim.business_now)
        except Exception:
            log.exception("account.removal_unknown", subject=claim.key.subject)
            return claim.removal
        return Phase[wanted.state.name] < Phase[context.row.state.name]

    async def _bring_in_line(self, claim: Claim, context: Situation) -> Work:
        names = context.names
        for _ in range(LOOKS):
            wanted = context.desired(claim.business_now, names)
            found = await self._directory.find(_lookup(claim, context, wanted), deadline=claim.deadline or None)
            wanted = _retained(wanted, context, claim, found.mine)
            login_taken, mail_taken = _conflicts(wanted, found)
            if login_taken or mail_taken:
                names = await self._other_names(context, wanted, login=login_taken, mail=mail_taken)
                continue
            try:
                return await self._apply(claim, context, wanted, found)
            except NameTaken:
                continue
        raise Transient("account.names_contended")

    async def _other_names(self, context: Situation, wanted: Desired, *, login: bool, mail: bool) -> ReservedNames:
        if context.event is None or wanted.names is None:
            raise Permanent("account.record_missing")
        event = context.event
        return await self._ledger.next_names(event.organisation, event.person, wanted.names, login=login, mail=mail)

    async def _apply(self, claim: Claim, context: Situation, wanted: Desired, found: Found) -> Work:
        known = frozenset(context.row.echoes) if context.row else frozenset[str]()
        action = plan(wanted, found.mine, known, takeover=claim.takeover)
        if isinstance(action, Create) and found.unmanaged:
            raise Permanent("account.unmanaged")
        held_as, held = removal(action), None
        if action is not None and held_as is not None:
            held = await self._guard(claim, context, wanted, held_as)
            action = action if held is None else without_removal(action, takeover=claim.takeover)
        after, echoes = await self._write(claim, context, wanted, found.mine, action)
        return Work(wanted, found.mine, after, action, known | echoes, held, held_as)

    async def _write(
        self, claim: Claim, context: Situation, wanted: Desired, mine: Observed | None, action: Action | None
    ) -> tuple[Observed | None, frozenset[str]]:
        stamp = _stamp(claim, context)
        match action:
            case Create():
                if wanted.names is None:
                    raise Transient("account.names_missing")
                after = await self._directory.add(wanted.names.login, action, stamp)
                return after, _checked(action.attributes, after, enabled=action.enabled)
            case Change() if mine is not None:
                after = await self._directory.change(mine, action, stamp)
                return after, _checked(action.attributes, after, enabled=action.enabled)
            case Delete() if mine is not None:
                if claim.takeover:
                    # The former holder may have a write under way: with the mark swapped it comes to nothing.
                    mine = await self._directory.change(mine, Change({}), stamp)
                await self._directory.delete(mine, stamp)
                return None, frozenset()
        _refuse_stale(mine, stamp)
        return mine, frozenset()

    async def _guard(self, claim: Claim, context: Situation, wanted: Desired, what: Removal) -> Held | None:
        stamp = _stamp(claim, context)
        request = RemovalRequest(
            stamp.organisation,
            claim.key.target,
            stamp.person,
            what,
            stamp.revision,
            _budget(context, wanted, what, claim.business_now),
        )
        admission = await self._ledger.admit(request)
        if admission.admitted:
            return None
        code = "guard.refused" if admission.refused else "guard.held"
        return Held(code, hold=str(admission.hold), action=what.value)


def _conclude(claim: Claim, context: Situation, work: Work, verified_at: datetime) -> Outcome:
    if context.event is None:
        return Outcome(due_at=None)
    report = Reporter(claim, context.event, context.policy_hash)
    wanted, old = work.wanted, context.row
    row = _next_row(claim, context, work, verified_at)
    troubles = _troubles(work)
    evaluation = steps.evaluate(wanted, _standing(row), [trouble for trouble, _ in troubles])
    row = replace(row, signature=report.signature(wanted, evaluation), next_due=wanted.next_boundary)
    problem = troubles[0][1] if troubles else None
    messages = _step_messages(report, claim, work)
    if _differs(old, row):
        changed = report.changed(row)
        row = replace(row, event=outbox.body(changed.event))
        messages.append(changed)
    say = old is None or old.signature != row.signature or _passed(old, claim.business_now)
    say = say or (claim.troubled_since is not None and (claim.attempt > 1 or not isinstance(problem, Waiting)))
    if say or messages:
        messages.append(report.evaluated(wanted, evaluation))
    lapsed = old is not None and old.hold is not None and row.hold is None
    unchanged = (
        not messages and not lapsed and old is not None and (old.echoes, old.endings) == (row.echoes, row.endings)
    )
    log.info("account.evaluated", subject=claim.key.subject, state=row.state.value, wrote=work.action is not None)
    return Outcome(
        due_at=wanted.next_boundary,
        removes_next=wanted.removes_next,
        messages=tuple(messages),
        problem=problem,
        removing=work.held is not None,
        result=None if unchanged else Result(row, lapsed),
    )


def _next_row(claim: Claim, context: Situation, work: Work, verified_at: datetime) -> AccountRow:
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
        person=_stamp(claim, context).person,
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
            timedelta(days=work.wanted.grace_days) + _PAST,
        ),
    )
    return row if old is None or _differs(old, row) else replace(row, changed_at=old.changed_at)


def _differs(old: AccountRow | None, row: AccountRow) -> bool:
    """Tell whether account.changed has to be said: not for somebody who never had an account."""
    if old is None or not old.known:
        return row.known
    return (old.state, old.user_name, old.mail, old.entry) != (row.state, row.user_name, row.mail, row.entry)


def _troubles(work: Work) -> list[tuple[Trouble, Failure]]:
    found: list[tuple[Trouble, Failure]] = []
    if work.held is not None and work.held_as is not None:
        trouble = Trouble(_REMOVAL_STEP[work.held_as], StepState.HELD, work.held.problem)
        found.append((trouble, work.held))
    if work.after is not None and work.wanted.unit_missing is not None and work.wanted.opens:
        waiting = Waiting("unit.unknown", unit=work.wanted.unit_missing)
        found.append((Trouble(steps.DEPARTMENT, StepState.WAITING, waiting.problem, work.wanted.unit_due), waiting))
    return found


def _step_messages(report: Reporter, claim: Claim, work: Work) -> list[Outgoing]:
    """Say what the pass did, in one message: status keeps one for each epoch."""
    parameters: dict[str, Parameter] = {}
    codes = steps.action_codes(work.action)
    attributes = getattr(work.action, "attributes", {})
    if isinstance(work.action, Change) and attributes:
        parameters["changed"] = ",".join(sorted(attributes))
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


def _lookup(claim: Claim, context: Situation, wanted: Desired) -> Lookup:
    stamp = _stamp(claim, context)
    names = wanted.names
    return Lookup(
        organisation=stamp.organisation,
        person=stamp.person,
        correlation=wanted.correlation,
        login=names.login if names else None,
        mail=names.mails[0] if names else None,
    )


def _conflicts(wanted: Desired, found: Found) -> tuple[bool, bool]:
    """Tell whether the wanted login, or the wanted primary address, is somebody else's in the directory."""
    if wanted.state == AccountState.ABSENT or wanted.names is None:
        return False, False
    if found.mine is None:
        return (found.login_taken, found.mail_taken) if not found.unmanaged else (False, False)
    return False, found.mail_taken and wanted.names.mails[0] not in found.mine.attributes.get("mail", ())


def _retained(wanted: Desired, context: Situation, claim: Claim, mine: Observed | None) -> Desired:
    row = context.row
    if mine is None:
        return never_made(wanted)
    closed_at = row.closed_at if row else None
    return retain(wanted, open_now=mine.enabled is not False, closed_at=closed_at, now=claim.business_now)


def _foreseen(context: Situation, now: datetime) -> Desired:
    """Return what shall be as far as it is known without a look at the directory: by the row."""
    wanted, row = context.desired(now, context.names), context.row
    if row is None or row.state == AccountState.ABSENT:
        return never_made(wanted)
    return retain(wanted, open_now=row.state == AccountState.ENABLED, closed_at=row.closed_at, now=now)


def _budget(context: Situation, wanted: Desired, what: Removal, now: datetime) -> Budget:
    """Choose the guard's budget by the end that takes the account away (DESIGN 8)."""
    ending, row = wanted.ending, context.row
    # a dismissal that reaches us late is no less urgent: it never waits for a person
    if context.event is not None and (context.event.record.deceased or (ending is not None and ending.urgent)):
        return Budget.URGENT
    opened = row.enabled_from if row else None
    # An end that was both reached and stated before the account was last opened is not what closes it now.
    ours = ending is not None and (opened is None or max(ending.at, ending.stated_at or ending.at) >= opened)
    if context.event is not None and context.event.guard_released:
        return Budget.RELEASED
    prepared_only = row is not None and row.enabled_from is None
    if ending is None or not ours or prepared_only:
        return Budget.NORMAL
    effect = ending.at if what is Removal.DISABLE else (wanted.effect or ending.at)
    known = known_endings([ending], row.endings if row else (), now, now - ending.at + _PAST)
    return Budget.ANNOUNCED if ending.announced(effect, known[0].since) else Budget.NORMAL


def _stamp(claim: Claim, context: Situation) -> Stamp:
    if context.event is None:
        raise Permanent("account.record_missing")
    mark = Mark(claim.generation, claim.epoch)
    return Stamp(
        claim.key.organisation, context.event.person, mark, context.event.revision, deadline=claim.deadline or None
    )


def _checked(written: Mapping[str, tuple[str, ...]], after: Observed, *, enabled: bool | None) -> frozenset[str]:
    echoes = verified(written, after.attributes)
    if echoes is None or (enabled is not None and after.enabled is not enabled):
        raise Transient("account.not_verified", step="compare")
    return echoes


def _refuse_stale(mine: Observed | None, stamp: Stamp) -> None:
    if mine is not None and mine.mark is not None and mine.mark > stamp.mark:
        raise StaleLease("account.stale_lease")


def _standing(row: AccountRow | None) -> Standing:
    if row is None:
        return Standing(AccountState.ABSENT, known=False, ever_enabled=False, verified_at=None)
    return Standing(row.state, row.known, row.enabled_from is not None, row.verified_at)


def _hold(work: Work) -> UUID | None:
    return UUID(str(work.held.parameters["hold"])) if work.held is not None else None


def _passed(old: AccountRow, now: datetime) -> bool:
    return old.next_due is not None and old.next_due <= now
