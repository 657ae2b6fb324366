"""The pass over a unit at a target: its entry, its groups, what they hold. Safe to repeat."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.kernel.failures import Failure, Held, Permanent, Waiting
from services.kernel.guard import Verdict
from services.kernel.marks import Mark
from services.kernel.work import Claim, Outcome
from services.orgtree.domain.projection import Due, Kind, Layout, Wanted
from services.orgtree.ports import Found, Key, Lookup, Observed, Reference, Stamp, UnitDirectory
from services.orgtree.store.grouping import Written
from services.orgtree.store.projection import WAITS, Stored, Verified

GROUPS = (Kind.UNIT, Kind.MANAGERS)
"""Groups whose members are people."""


@dataclass(frozen=True)
class UnitSituation:
    """What a pass over a unit at a target reads.

    `held`: how many members its groups have; `verdict`: the guard's, when what stands for it is to go.
    """

    stored: Stored
    due: Sequence[Due] = ()
    held: int = 0
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Projected:
    """What a pass came to, and what follows from it for others."""

    verified: Verified
    written: Written
    shifts: bool = False
    """Its entry stands elsewhere now, or is another one: what belongs below it can be there."""
    nests: bool = False
    """Its roll-up is another one: the one above takes it in."""
    frees: bool = False
    """It stands elsewhere, or nowhere, now: who waits for that can go on."""
    waits: bool = False
    """Another one has to stand elsewhere first."""
    again: bool = False
    """Its groups were made anew: members have to be written once more."""
    told: bool = False
    """There is, or was, a reason why not all stands as it shall: whoever waits is to be told of it."""


@dataclass
class _Work:
    """What a pass has done so far."""

    stands: dict[Kind, Observed] = field(default_factory=dict)
    gone: set[Kind] = field(default_factory=set)
    candidates: dict[Kind, Observed] = field(default_factory=dict)
    made: set[Kind] = field(default_factory=set)
    moved: bool = False
    joined: dict[tuple[Kind, UUID], tuple[str, str]] = field(default_factory=dict)
    left: set[tuple[Kind, UUID]] = field(default_factory=set)
    problems: list[Failure] = field(default_factory=list)

    async def does(self, step: Awaitable[None]) -> None:
        """Do a step; what only this step has to wait for, or a person for it, holds up no other."""
        try:
            await step
        except (Waiting, Permanent) as failure:
            self.problems.append(failure)

    @property
    def problem(self) -> Failure | None:
        """The first reason; what passes by itself before what a person must look at."""
        return next(iter(sorted(self.problems, key=lambda one: isinstance(one, Permanent))), None)


class Projector:
    """Brings one target in line with the tree, a unit at a time."""

    def __init__(self, directory: UnitDirectory, layouts: Mapping[str, Layout]) -> None:
        self._directory = directory
        self._layouts = layouts

    async def bring_in_line(self, claim: Claim, context: UnitSituation) -> Outcome:
        """Make, name, move, fill or take away what stands for the unit.

        Raises:
            Unavailable: The target is away.
            StaleLease: A newer pass owns an object.
        """
        layout, unit, stored = self._layouts[claim.key.organisation], claim.key.subject, context.stored
        removes = stored.ended and (stored.closing or (context.verdict is not None and context.verdict.admitted))
        stamp = Stamp(Mark(claim.generation, claim.epoch), claim.deadline or None, removes)
        found = await self._find(layout, unit, stored, stamp)
        work = _Work()
        mine = found[unit]
        await self._members(claim.key.organisation, mine.mine, context.due, work, stamp, joins=False)
        if stored.record is None:
            await self._taken_away(context, mine, work, stamp)
        else:
            await self._stand(claim, layout, stored, found, work, stamp)
            await self._members(claim.key.organisation, work.stands, context.due, work, stamp, joins=True)
        return self._outcome(claim, context, work, removes=removes)

    async def _find(self, layout: Layout, unit: str, stored: Stored, stamp: Stamp) -> Mapping[str, Found]:
        title = stored.record.name if stored.record else ""
        names = {kind: layout.name(unit, kind, title) for kind in layout.kinds}
        lookups = [Lookup(unit, names, stored.known)]
        if stored.record is not None and layout.nested and stored.above is not None:
            parent, entry = stored.above
            lookups.append(Lookup(parent, {}, {Kind.ENTRY: entry} if entry else {}))
        if stored.record is not None and Kind.ROLLUP in layout.kinds:
            lookups += [
                Lookup(child, {}, {Kind.ROLLUP: known[Kind.ROLLUP]})
                for child, known in sorted(stored.below.items())
                if Kind.ROLLUP in known
            ]
        return await self._directory.find(layout.organisation, lookups, deadline=stamp.deadline)

    async def _stand(
        self, claim: Claim, layout: Layout, stored: Stored, found: Mapping[str, Found], work: _Work, stamp: Stamp
    ) -> None:
        unit, record = claim.key.subject, stored.record
        if record is None:
            return
        above: Observed | None = None
        if layout.nested and stored.above is not None:
            above = found[stored.above[0]].mine.get(Kind.ENTRY)
        for kind, wanted in layout.wanted(unit, record.name).items():
            if kind is Kind.ENTRY and layout.nested and stored.above is not None and above is None:
                work.problems.append(Waiting("unit.parent_missing", unit=stored.above[0]))
                if (there := found[unit].mine.get(kind)) is not None:
                    work.stands[kind] = there
                continue
            over = above if kind is Kind.ENTRY else None
            key = Key(layout.organisation, unit, kind)
            await work.does(self._object(key, wanted, stored, found[unit], work, stamp, over, swap=claim.takeover))
        if (rollup := work.stands.get(Kind.ROLLUP)) is not None:
            await work.does(self._nest(rollup, stored, found, work, stamp))

    async def _object(
        self,
        key: Key,
        wanted: Wanted,
        stored: Stored,
        found: Found,
        work: _Work,
        stamp: Stamp,
        above: Observed | None,
        *,
        swap: bool,
    ) -> None:
        kind, there = key.kind, found.mine.get(key.kind)
        stranger = found.unmanaged.get(kind)
        if there is None and stranger is not None:
            if stored.approved.get(kind) != stranger.entry:
                work.candidates[kind] = stranger
                raise Permanent("unit.unmanaged", kind=kind.value)
            there = await self._directory.adopt(stranger, stamp)
        if there is None:
            work.stands[kind] = await self._directory.put(key, wanted, stamp, above)
            work.made.add(kind)
            return
        work.stands[kind] = there
        seen = there
        if not there.marked or there.title != self._directory.fit(wanted.title):
            there = work.stands[kind] = await self._directory.change(there, wanted.title, stamp)
        if not self._directory.stands(there, wanted.name, above):
            there = work.stands[kind] = await self._directory.move(there, wanted.name, stamp, above)
            work.moved = work.moved or kind is Kind.ENTRY
        if swap and there is seen:
            # the former holder may have a write under way: with the mark swapped it comes to nothing
            work.stands[kind] = await self._directory.take(there, stamp)

    async def _nest(
        self, rollup: Observed, stored: Stored, found: Mapping[str, Found], work: _Work, stamp: Stamp
    ) -> None:
        below = (found[child].mine.get(Kind.ROLLUP) for child in stored.below if child in found)
        own = work.stands.get(Kind.UNIT)
        wanted = [one for one in (own, *below) if one is not None]
        shall = {one.reference for one in wanted}
        if await self._directory.nested(rollup, deadline=stamp.deadline) != shall:
            work.stands[Kind.ROLLUP] = await self._directory.nest(rollup, wanted, stamp)

    async def _members(
        self,
        organisation: str,
        groups: Mapping[Kind, Observed],
        due: Sequence[Due],
        work: _Work,
        stamp: Stamp,
        *,
        joins: bool,
    ) -> None:
        for kind in GROUPS:
            here = [one for one in due if one.kind is kind and (one.joins if joins else one.leaves or not one.joins)]
            if not here or (joins and kind not in groups):
                continue
            act = self._join if joins else self._leave
            await work.does(act(organisation, kind, groups.get(kind), here, work, stamp))

    async def _join(
        self, organisation: str, kind: Kind, group: Observed | None, due: Sequence[Due], work: _Work, stamp: Stamp
    ) -> None:
        if group is None:
            return
        entries = {one.person: one.joins for one in due if one.joins is not None}
        names = await self._directory.references(organisation, set(entries.values()), deadline=stamp.deadline)
        joining = {person: (entry, names[entry]) for person, entry in entries.items() if entry in names}
        await self._directory.join(group, [name for _, name in joining.values()], deadline=stamp.deadline)
        work.joined |= {(kind, person): (entry, one.name) for person, (entry, one) in joining.items()}
        if len(joining) < len(entries):
            raise Waiting("unit.accounts_missing", count=len(entries) - len(joining))

    async def _leave(
        self, organisation: str, kind: Kind, group: Observed | None, due: Sequence[Due], work: _Work, stamp: Stamp
    ) -> None:
        held = {one.person: one.leaves for one in due if one.leaves is not None}
        if group is not None and held:
            names = await self._directory.references(organisation, set(held.values()), deadline=stamp.deadline)
            present = set(names.values())
            # under the last name too, unless another bears it by now: an account that was renamed, or is gone, may
            # stand in the group under it still
            last = {Reference(one.name) for one in due if one.leaves is not None and one.name} - present
            vacant = await self._directory.vacant(organisation, last, deadline=stamp.deadline) if last else frozenset()
            await self._directory.leave(group, present | vacant, deadline=stamp.deadline)
        work.left |= {(kind, one.person) for one in due if one.joins is None}

    async def _taken_away(self, context: UnitSituation, found: Found, work: _Work, stamp: Stamp) -> None:
        """Take away what stands for a unit that has ended, when the guard lets it and nobody is in.

        A unit that is not in effect for another reason keeps what it has: HR's word cannot be carried out, as it is.
        """
        work.stands.update(found.mine)
        work.gone = set(context.stored.known) - set(found.mine)
        verdict = context.verdict
        if not stamp.removes:
            if verdict is not None:
                code = "guard.refused" if verdict.refused else "guard.held"
                work.problems.append(Held(code, hold=str(verdict.hold), action="remove"))
            return
        if context.held > len(work.left):
            work.problems.append(Waiting("unit.members_left", count=context.held - len(work.left)))
            return
        for kind in reversed(Kind):
            if (there := found.mine.get(kind)) is not None:
                await work.does(self._removed(there, work, stamp))

    async def _removed(self, there: Observed, work: _Work, stamp: Stamp) -> None:
        await self._directory.remove(there, stamp)
        del work.stands[there.key.kind]
        work.gone.add(there.key.kind)

    def _outcome(self, claim: Claim, context: UnitSituation, work: _Work, *, removes: bool) -> Outcome:
        stored, problem = context.stored, work.problem
        text = None if problem is None else problem.problem.model_dump_json()
        anew = frozenset(kind for kind in work.made & set(GROUPS) if kind in stored.known)
        verified = Verified(
            organisation=claim.key.organisation,
            unit=claim.key.subject,
            generation=claim.generation,
            version=claim.epoch,
            at=claim.recorded_at,
            stands=work.stands,
            gone=frozenset(work.gone),
            candidates=work.candidates,
            closing=removes,
            problem=text,
        )
        written = Written(claim.key.organisation, claim.key.subject, work.joined, frozenset(work.left), anew)
        new = {kind for kind, there in work.stands.items() if stored.known.get(kind) != there.entry}
        result = Projected(
            verified=verified,
            written=written,
            shifts=work.moved or Kind.ENTRY in new,
            nests=Kind.ROLLUP in new,
            frees=work.moved or bool(work.gone),
            waits=any(one.code in WAITS for one in work.problems),
            again=bool(anew),
            told=text is not None or stored.problem is not None or (removes and not stored.closing),
        )
        return Outcome(due_at=None, problem=problem, removing=False, result=result)
