"""One pass for one person: decide, observe, plan, apply, read back, account for it."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from contracts.codes import AccountState, StepState
from services.accounts.domain import steps
from services.accounts.domain.desired import Desired, ReservedNames, never_made, retain
from services.accounts.domain.expiry import lapsed, unlapsed, unlimited
from services.accounts.domain.managers import key
from services.accounts.domain.other_hand import locked, rewritten, unopened, yielding
from services.accounts.domain.plan import (
    Action,
    Change,
    Create,
    Delete,
    Observed,
    Removal,
    plan,
    removal,
    renamed,
    without_removal,
)
from services.accounts.domain.steps import Trouble
from services.accounts.domain.timeline import Phase
from services.accounts.handlers.budgets import budget
from services.accounts.handlers.conclusion import Result, Work, checked, conclude, silenced, standing
from services.accounts.handlers.granting import Granted, bring_in_line
from services.accounts.handlers.intake import PERSON
from services.accounts.handlers.reports import Reporter
from services.accounts.handlers.situation import Reader, Situation
from services.accounts.ports import (
    AccountDirectory,
    Found,
    Ledger,
    Lookup,
    ManagerMissing,
    NameTaken,
    RemovalRequest,
    Stamp,
)
from services.accounts.store import accounts, grants, hands, managers, names, takeover
from services.accounts.store.accounts import AccountRow
from services.kernel import guard, telemetry
from services.kernel.database import Connection
from services.kernel.failures import Failure, Held, Permanent, StaleLease, Transient, Unavailable, Waiting
from services.kernel.gate import Withheld
from services.kernel.marks import Mark
from services.kernel.messaging.outbox import Outgoing
from services.kernel.work import Claim, Outcome, Wake, WorkKey, raise_wanted

log = telemetry.get_logger(__name__)

LOOKS = 8
"""How often a pass observes anew when names turn out to be taken, before it leaves the rest to the next pass."""

ASTRAY_SECONDS = 60.0
"""When somebody is looked at again whose manager's account was not where it should be, or did not show yet."""

FRESH = timedelta(minutes=15)
"""How long a directory that replicates may lag behind what was written to it."""


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
        if context.event.record.erased and work.after is None:
            await self._ledger.forget(context.event.organisation, context.event.person)
        if context.hands.hidden and silenced(context.row, work.after):
            await self._ledger.conceal(context.event.organisation, context.event.person)
        verified_at = claim.business_now + timedelta(seconds=time.monotonic() - began)
        return conclude(claim, context, work, verified_at)

    async def settle(self, conn: Connection, done: Sequence[tuple[Claim, Outcome]]) -> None:
        """Store what was verified, and tell the guard which holds have lapsed."""
        results: list[Result] = [outcome.result for _, outcome in done if isinstance(outcome.result, Result)]
        await accounts.store(conn, [result.row for result in results])
        unused = {(r.row.organisation, r.row.person) for r in results if r.row.known and not r.row.used and r.absent}
        if unused:
            await names.release(conn, sorted(unused))
        for target in {result.row.target for result in results}:
            here = {(r.row.organisation, r.row.person): r for r in results if r.row.target == target}
            given, gone = {k: r.granted.given for k, r in here.items()}, {k: r.granted.gone for k, r in here.items()}
            await grants.settle(conn, target, given, gone)
            await grants.report(conn, target, {k: r.taken for k, r in here.items() if r.taken is not None})
        for target in {result.row.target for result in results if result.adopted}:
            mine = [(r.row.organisation, r.row.person, str(r.row.entry)) for r in results if r.adopted]
            await takeover.done(conn, target, mine)
        await hands.settle(conn, [result.told for result in results if result.told is not None])
        await managers.tell(conn, [(r.row.organisation, r.row.target, key(r.row.person)) for r in results if r.news])
        misled = [(r.row, str(r.astray)) for r in results if r.astray is not None]
        await raise_wanted(conn, [Wake(WorkKey(row.organisation, PERSON, who, row.target)) for row, who in misled])
        later = [(row.organisation, row.person, row.target) for row, _ in misled]
        await managers.look_later(conn, later, ASTRAY_SECONDS)
        lapsed = [(r.row.organisation, r.row.target, str(r.row.person)) for r in results if r.lapsed]
        if lapsed:
            await guard.lapse(conn, lapsed)

    def failed(
        self, claim: Claim, context: Situation, failure: Failure, state: StepState, retry_at: datetime | None
    ) -> Sequence[Outgoing]:
        """Return the steps that are still to do, and why."""
        if context.event is None or isinstance(failure, StaleLease):
            return ()
        report = Reporter(claim, context.event, context.policy_hash, context.entitled.why)
        if context.failure is not None:
            trouble = Trouble(steps.UPDATED, state, failure.problem)
            return [report.step(steps.UPDATED, state, {}, trouble, retry_at)]
        wanted = _foreseen(context, claim.business_now)
        stands = standing(context.row)
        troubles = [Trouble(code, state, failure.problem) for code in steps.missing(wanted.state, stands.state)]
        said = [report.step(troubles[0].code, state, {}, troubles[0], retry_at)]
        # While the whole target is away its breaker says so; each person's evaluation stands.
        if not isinstance(failure, Unavailable):
            said.append(report.evaluated(wanted, steps.evaluate(wanted, stands, troubles)))
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
        names, astray = context.names, None
        for _ in range(LOOKS):
            wanted = context.desired(claim.business_now, names)
            wanted = replace(wanted, attributes=self._directory.fit(wanted.attributes))
            found = await self._directory.find(_lookup(claim, context, wanted), deadline=claim.deadline or None)
            adopted = await self._given(claim, context, wanted, found)
            if adopted is not None:
                try:
                    mine = await self._directory.adopt(adopted, _stamp(claim, context))
                except Withheld as withheld:
                    known = frozenset(context.row.echoes) if context.row else frozenset[str]()
                    return Work(wanted, None, None, None, known, None, None, (withheld, Change({})))
                found = Found(mine=mine)
            if found.mine is not None:
                found = replace(found, mine=lapsed(found.mine, context.hands.written, claim.recorded_at))
            wanted = _retained(wanted, context, claim, found.mine)
            login_taken, mail_taken = _conflicts(wanted, found)
            if login_taken or mail_taken:
                names = await self._other_names(context, wanted, login=login_taken, mail=mail_taken)
                continue
            try:
                return replace(await self._apply(claim, context, wanted, found), astray=astray)
            except NameTaken:
                continue
            except ManagerMissing:
                # moved or gone by another hand: whoever it is gets looked at, and this attribute waits for that
                astray = context.superior.person
                context = replace(context, superior=replace(context.superior, value=None))
        raise Transient("account.names_contended")

    async def _given(self, claim: Claim, context: Situation, wanted: Desired, found: Found) -> Observed | None:
        """Return the account that a person gave to this person, as it stands; None when theirs is there."""
        given = context.adoption
        if given is None or found.mine is not None or wanted.state == AccountState.ABSENT:
            return None
        there = await self._directory.read(claim.key.organisation, given.entry, deadline=claim.deadline or None)
        if there is None:
            raise Permanent("account.adoption_gone")
        return there.observed

    async def _other_names(self, context: Situation, wanted: Desired, *, login: bool, mail: bool) -> ReservedNames:
        if context.event is None or wanted.names is None:
            raise Permanent("account.record_missing")
        event = context.event
        present, rule = wanted.names, context.naming
        return await self._ledger.next_names(event.organisation, event.person, present, rule, login=login, mail=mail)

    async def _apply(self, claim: Claim, context: Situation, wanted: Desired, found: Found) -> Work:
        known = frozenset(context.row.echoes) if context.row else frozenset[str]()
        row, hands = context.row, context.hands
        shut = not hands.reopened and locked(wanted, found.mine, _last(row), since=_is_locked(context, found.mine))
        wanted = yielding(unlapsed(wanted) if shut else wanted, found.mine, known, hands)
        action = plan(wanted, found.mine, known, takeover=claim.takeover)
        if shut:
            action = unopened(action, takeover=claim.takeover)
        if isinstance(action, Create) and found.unmanaged:
            raise Permanent("account.unmanaged")
        held_as, held = removal(action), None
        stamp = _stamp(claim, context)
        if action is not None and held_as is not None:
            held = await self._guard(claim, context, wanted, held_as)
            if held is not None and found.mine is not None:
                wanted, action = unlimited(wanted, action, found.mine, hands.written)
                action = without_removal(action, takeover=claim.takeover)
            stamp = replace(stamp, admitted=frozenset((held_as,) if held is None else ()))
        stripped: Granted | None = None
        if isinstance(action, Delete) and found.mine is not None:
            # groups remember members that are gone, and a tenant gives them back to an account that is restored
            stripped = await self._entitle(claim, context, wanted, found.mine)
        if isinstance(action, Create) and context.owned:
            key = claim.key
            context = replace(context, owned=await self._ledger.give_anew(key.organisation, stamp.person, key.target))
        waits: tuple[Failure, Action] | None = None
        try:
            after, echoes = await self._write(claim, stamp, wanted, found.mine, action)
        except Withheld as withheld:
            return Work(wanted, found.mine, found.mine, None, known, held, held_as, (withheld, action), locked=shut)
        except Waiting as waiting:
            if action is None or found.mine is None or not found.mine.synced:
                raise
            # another directory writes it, which takes its time: what is given here is given and taken meanwhile
            after, echoes, waits, action = found.mine, frozenset(), (waiting, action), None
        granted = Granted(gone=frozenset(context.owned)) if after is None else Granted(owned=frozenset(context.owned))
        if after is not None and held is None:  # what the guard keeps open keeps what it has
            granted = stripped or await self._entitle(claim, context, wanted, after)
            held, held_as = granted.held, Removal.REVOKE if granted.held else held_as
        again = rewritten(action, row.state if row else None, context.hands)
        return Work(
            wanted,
            found.mine,
            after,
            action,
            known | echoes,
            held,
            held_as,
            granted=granted,
            locked=shut,
            rewritten=again,
            waits=waits,
        )

    async def _entitle(self, claim: Claim, context: Situation, wanted: Desired, account: Observed) -> Granted:
        async def ask() -> Held | None:
            if account.enabled is False:  # nothing that anybody could use
                return None
            return await self._guard(claim, context, wanted, Removal.REVOKE)

        stays = wanted.state != AccountState.ABSENT and not wanted.surplus
        why, stamp, target = context.entitled.why if stays else {}, _stamp(claim, context), claim.key.target
        return await bring_in_line(
            self._directory, self._ledger, account, stamp, target, why, context.owned, context.left, ask
        )

    async def _write(
        self, claim: Claim, stamp: Stamp, wanted: Desired, mine: Observed | None, action: Action | None
    ) -> tuple[Observed | None, frozenset[str]]:
        match action:
            case Create():
                if wanted.names is None:
                    raise Transient("account.names_missing")
                after = await self._directory.add(wanted.names.login, action, stamp)
                return after, checked(action, after)
            case Change() if mine is not None:
                after = await self._directory.change(mine, action, stamp)
                return after, checked(action, after)
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
            budget(context, wanted, what, claim.business_now),
        )
        admission = await self._ledger.admit(request)
        if admission.admitted:
            return None
        code = "guard.refused" if admission.refused else "guard.held"
        return Held(code, hold=str(admission.hold), action=what.value)


def _last(row: AccountRow | None) -> tuple[AccountState, Mark] | None:
    return None if row is None else (row.state, Mark(row.generation, row.version))


def _is_locked(context: Situation, mine: Observed | None) -> bool:
    """Tell whether it was closed by another hand before: since a pass that saw it, or since we took it over."""
    if context.adoption is not None and mine is not None and mine.entry == context.adoption.entry:
        return True
    return context.row is not None and context.row.locked_at is not None


def _lookup(claim: Claim, context: Situation, wanted: Desired) -> Lookup:
    stamp = _stamp(claim, context)
    names = wanted.names
    return Lookup(
        organisation=stamp.organisation,
        person=stamp.person,
        correlation=wanted.correlation,
        login=names.login if names else None,
        mail=names.mails[0] if names else None,
        entry=context.row.entry if context.row else None,
        fresh=context.row is not None and claim.business_now - context.row.changed_at < FRESH,
    )


def _conflicts(wanted: Desired, found: Found) -> tuple[bool, bool]:
    """Tell whether the wanted login, or the wanted primary address, is somebody else's in the directory."""
    if wanted.state == AccountState.ABSENT or wanted.names is None or wanted.surplus:
        return False, False
    if found.mine is None:
        return (found.login_taken, found.mail_taken) if not found.unmanaged else (False, False)
    login_taken = found.login_taken and renamed(wanted, found.mine) is not None
    return login_taken, found.mail_taken and wanted.names.mails[0] not in found.mine.attributes.get("mail", ())


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


def _stamp(claim: Claim, context: Situation) -> Stamp:
    if context.event is None:
        raise Permanent("account.record_missing")
    mark = Mark(claim.generation, claim.epoch)
    return Stamp(
        claim.key.organisation,
        context.event.person,
        mark,
        context.event.revision,
        deadline=claim.deadline or None,
        live=context.live,
    )


def _refuse_stale(mine: Observed | None, stamp: Stamp) -> None:
    if mine is not None and mine.mark is not None and mine.mark > stamp.mark:
        raise StaleLease("account.stale_lease")
