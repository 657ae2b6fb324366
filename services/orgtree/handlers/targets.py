"""The performer for a target: units and their groups there, and people's memberships."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from typing_extensions import override

from contracts.codes import StepState
from services.kernel import guard
from services.kernel.database import Connection
from services.kernel.failures import Failure
from services.kernel.guard import Budget, Removal, Verdict
from services.kernel.messaging.outbox import Outgoing
from services.kernel.settings import OrganisationSettings
from services.kernel.work import Claim, Outcome, Performer, Wake, WorkKey, raise_wanted
from services.orgtree.domain.projection import Layout, belongs
from services.orgtree.handlers.grouping import GroupingSituation, Regrouped, regroup
from services.orgtree.handlers.projecting import Projected, Projector, UnitSituation
from services.orgtree.handlers.tree import PERSON, SOURCE, UNIT
from services.orgtree.ports import UnitDirectory
from services.orgtree.store import grouping, projection

ANNOUNCED = timedelta(days=7)
"""A unit's end that was told this long before does not count in the guard (DESIGN 8)."""


class TargetPerformer(Performer[Any]):
    """Brings one target in line with what is in effect."""

    def __init__(
        self,
        target: str,
        directory: UnitDirectory,
        organisations: Mapping[str, OrganisationSettings],
        layouts: Mapping[str, Layout],
    ) -> None:
        self._target = target
        self._directory = directory
        self._organisations = organisations
        self._layouts = layouts
        self._projector = Projector(directory, layouts)

    @override
    async def load(self, conn: Connection, claims: Sequence[Claim]) -> Sequence[Any]:
        """Read what all the claims need, and ask the guard about what they would take away."""
        people = [claim for claim in claims if claim.key.kind == PERSON]
        units = [claim for claim in claims if claim.key.kind == UNIT]
        found: dict[WorkKey, Any] = {}
        if people:
            found |= await self._people(conn, people)
        if units:
            found |= await self._units(conn, units)
        return [found.get(claim.key) for claim in claims]

    @override
    async def perform(self, claim: Claim, context: Any) -> Outcome:
        """Write what differs in the target, or say how far somebody's memberships have come."""
        if isinstance(context, UnitSituation):
            return await self._projector.bring_in_line(claim, context)
        if isinstance(context, GroupingSituation):
            return regroup(claim, context)
        return Outcome(due_at=None)

    @override
    async def settle(self, conn: Connection, done: Sequence[tuple[Claim, Outcome]]) -> None:
        """Store what was verified, and wake whom it concerns."""
        projected = [outcome.result for _, outcome in done if isinstance(outcome.result, Projected)]
        regrouped = [outcome.result for _, outcome in done if isinstance(outcome.result, Regrouped)]
        wakes: list[Wake] = []
        if projected:
            wakes += await self._settled(conn, projected)
        if regrouped:
            wakes += await self._regrouped(conn, regrouped)
        await raise_wanted(conn, wakes)

    @override
    def failed(
        self, claim: Claim, context: Any, failure: Failure, state: StepState, retry_at: datetime | None
    ) -> Sequence[Outgoing]:
        """Say nothing: whoever waits for the unit has said so, and a target that is away is told by its breaker."""
        del claim, context, failure, state, retry_at
        return ()

    @override
    def removes(self, claim: Claim, context: Any) -> bool:
        """Tell whether somebody is to lose a membership."""
        del claim
        return isinstance(context, UnitSituation) and any(one.leaves is not None for one in context.due)

    @override
    async def probe(self) -> None:
        """Ask the directory."""
        await self._directory.probe()

    async def _people(self, conn: Connection, claims: Sequence[Claim]) -> dict[WorkKey, GroupingSituation]:
        keys = [(claim.key.organisation, UUID(claim.key.subject)) for claim in claims]
        standings = await grouping.load(conn, self._target, keys)
        found: dict[WorkKey, GroupingSituation] = {}
        for claim, key in zip(claims, keys, strict=True):
            if (one := standings.get(key)) is None:
                continue
            layout = self._layouts[key[0]]
            hidden = one.protected and not layout.protected
            shall = belongs(one.jobs, one.leads, one.account, one.members, layout.kinds, one.closed, hidden=hidden)
            lost = [group for group in shall.asks if one.members[group].wanted]
            verdict = await self._ask(conn, claim, "leave", one.record[1], Budget.MOVED) if lost else None
            found[claim.key] = GroupingSituation(one, shall, verdict)
        return found

    async def _units(self, conn: Connection, claims: Sequence[Claim]) -> dict[WorkKey, UnitSituation]:
        keys = [(claim.key.organisation, claim.key.subject) for claim in claims]
        stored = await projection.load(conn, self._target, keys)
        due = await grouping.due(conn, self._target, keys)
        over = [key for key in keys if stored[key].ended and stored[key].known]
        held = await grouping.held(conn, self._target, over) if over else {}
        found: dict[WorkKey, UnitSituation] = {}
        for claim, key in zip(claims, keys, strict=True):
            one, verdict = stored[key], None
            if key in over and not one.closing:
                since = one.closed_since
                announced = since is not None and claim.business_now - since >= ANNOUNCED
                budget = Budget.ANNOUNCED if announced else Budget.NORMAL
                verdict = await self._ask(conn, claim, "remove", claim.epoch, budget)
            found[claim.key] = UnitSituation(one, due.get(key, ()), held.get(key, 0), verdict)
        return found

    async def _ask(self, conn: Connection, claim: Claim, action: str, revision: int, budget: Budget) -> Verdict:
        organisation, counted = claim.key.organisation, grouping if action == "leave" else projection
        settings = self._organisations[organisation]
        return await guard.admit(
            conn,
            Removal(
                organisation=organisation,
                target=self._target,
                subject=claim.key.subject,
                action=action,
                revision=revision,
                source=SOURCE,
                budget=budget,
                population=await counted.population(conn, organisation, self._target),
                limit=settings.guard_limit,
                share=settings.guard_share,
            ),
        )

    async def _settled(self, conn: Connection, projected: Sequence[Projected]) -> list[Wake]:
        await projection.store(conn, self._target, [one.verified for one in projected])
        concerned = await grouping.settle(conn, self._target, [one.written for one in projected])
        told = [(one.verified.organisation, one.verified.unit) for one in projected if one.told]
        if told:
            concerned |= await grouping.waiting(conn, self._target, told)
        closing = [
            (one.verified.organisation, one.verified.unit) for one in projected if one.told and one.verified.closing
        ]
        if closing:
            concerned |= set(await grouping.members(conn, self._target, closing))
        keys = {(one.verified.organisation, one.verified.unit): one for one in projected}
        units = {key for key, one in keys.items() if one.again}
        shifted, nested = [[key for key, one in keys.items() if getattr(one, name)] for name in ("shifts", "nests")]
        if shifted or nested:
            # asked for now: who stood there when the pass began may have been moved since, and looked in vain
            units |= await projection.beside(conn, shifted, nested)
        if freed := sorted(key for key, one in keys.items() if one.frees):
            units |= await projection.moved(conn, self._target, freed)
        if waiting := {key: one.verified.at for key, one in keys.items() if one.waits}:
            units |= await projection.passed_by(conn, self._target, waiting)
        wakes = [Wake(WorkKey(organisation, UNIT, unit, self._target)) for organisation, unit in units]
        return wakes + [Wake(WorkKey(organisation, PERSON, str(who), self._target)) for organisation, who in concerned]

    async def _regrouped(self, conn: Connection, regrouped: Sequence[Regrouped]) -> list[Wake]:
        changed = {(one.organisation, one.person): one.members for one in regrouped if one.members}
        if changed:
            await grouping.want(conn, self._target, changed)
        await grouping.tell(conn, self._target, {(one.organisation, one.person): one.signature for one in regrouped})
        if lapsed := [(one.organisation, self._target, str(one.person)) for one in regrouped if one.lapsed]:
            await guard.lapse(conn, lapsed)
        return [
            Wake(WorkKey(one.organisation, UNIT, unit, self._target), removal=not member.wanted)
            for one in regrouped
            for (unit, _), member in one.members.items()
        ]
