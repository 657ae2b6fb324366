"""A person's word on who is who: two records are one, one is two, an id that came back means the same or another.

What was told is never rewritten: facts are told of another person from now on and folded again, so that each of these
can be taken back. Every decision is one transaction, and audited in it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID, uuid4

from services.ingestion.domain.access import SOURCE
from services.ingestion.domain.identity import Ties
from services.ingestion.domain.projection import Organisation
from services.ingestion.handlers.door import tried
from services.ingestion.handlers.refolding import Refolding
from services.ingestion.store import identities
from services.ingestion.store.identities import RETURNED, IdentityCase
from services.kernel import audit
from services.kernel.database import Connection, Database
from services.kernel.problems import FieldError, ProblemError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Decider:
    """Who decides, for which organisation, and why."""

    organisation: Organisation
    actor: str
    reason: str


class Identities:
    """Carries out decisions about who is who."""

    def __init__(self, database: Database, *, generation: int, on_commit: Callable[[], None]) -> None:
        self._database = database
        self._generation = generation
        self._on_commit = on_commit

    async def merge(self, decider: Decider, kept: UUID, absorbed: UUID) -> None:
        """Let two records be one person's: `kept` goes on, `absorbed` becomes an alias that mirrors it.

        What hangs on the alias stays as it is while the person is here, until somebody retires it.

        Raises:
            ProblemError: 404 for somebody unknown, 409 when one of them is an alias or held, 422 for twice the same.
        """
        await self._transact(lambda conn: self._merge(conn, decider, kept, absorbed))

    async def split(self, decider: Decider, person: UUID, ids: Sequence[tuple[str, str]]) -> UUID:
        """Let ids of sources, and all that was told under them, be another person's; return whose.

        An alias that all of them came from is that person again; else it is a new person.

        Raises:
            ProblemError: 404 for somebody unknown, 409 for an alias or somebody held, 422 for an id that is not theirs
                or when no id would be left.
        """
        return await self._transact(lambda conn: self._split(conn, decider, person, ids))

    async def separate(self, decider: Decider, case: UUID, *, end_former: bool = True) -> IdentityCase:
        """Say that two are two. An id that came back means the new person, who is told of at last.

        `end_former`: what HR told under that id of whoever had it before ends today, for HR has no word for it now.

        Raises:
            ProblemError: 404, or 409 when the case is decided.
        """
        return await self._transact(lambda conn: self._separate(conn, decider, case, end_former=end_former))

    async def same(self, decider: Decider, case: UUID, kept: UUID | None) -> IdentityCase:
        """Say that two are one. `kept` goes on where both have a record; an id that came back means whom it meant.

        Raises:
            ProblemError: 404, 409 when the case is decided, 422 when `kept` is none of the two.
        """
        return await self._transact(lambda conn: self._same(conn, decider, case, kept))

    async def retire(self, decider: Decider, alias: UUID) -> None:
        """Wind up what hangs on an alias, as for somebody who leaves.

        Raises:
            ProblemError: 404 for somebody unknown, 409 when it is no alias, or retired already.
        """
        await self._transact(lambda conn: self._retire(conn, decider, alias))

    async def _transact(self, decide: Callable[[Connection], Awaitable[Result]]) -> Result:
        async def once() -> Result:
            async with self._database.transaction() as conn:
                return await decide(conn)

        found = await tried(once)
        self._on_commit()
        return found

    async def _people(self, conn: Connection, decider: Decider, *persons: UUID) -> Refolding:
        """Lock people who are known and stand for themselves."""
        people = await Refolding.of(conn, decider.organisation, self._generation, persons)
        for person in persons:
            dossier = people.now(person).dossier
            if dossier.records is None and dossier.ties.held_by is None:
                raise ProblemError(404, "person.unknown", "There is no such person")
            if dossier.ties.alias_of is not None:
                detail = f"It is an alias of {dossier.ties.alias_of}."
                raise ProblemError(409, "person.merged", "The person goes by another id now", detail=detail)
            if dossier.ties.erased_at is not None:
                raise ProblemError(409, "person.erased", "The person is erased")
            if dossier.ties.held_by is not None:
                raise ProblemError(409, "person.quarantined", "A case about this person has to be decided first")
        return people

    async def _merge(self, conn: Connection, decider: Decider, kept: UUID, absorbed: UUID) -> None:
        if kept == absorbed:
            error = FieldError("/body/absorb", "identity.same_person", "it is the same person")
            raise ProblemError(422, error.code, "A person cannot be merged with itself", errors=[error])
        people = await self._people(conn, decider, kept, absorbed)
        people.needs_all_of(absorbed)
        organisation, ties = decider.organisation.key, people.now(kept).dossier.ties
        gone = people.now(absorbed).dossier.ties
        await identities.absorb(conn, organisation, kept, absorbed)
        aliases = (*ties.aliases, absorbed, *gone.aliases)
        for alias in (absorbed, *gone.aliases):
            known = people.now(alias).dossier.ties
            changed = {"alias_of": kept, "aliases": (), "remapped_at": people.at.recorded}
            people.tie(alias, known.model_copy(update=changed))
        changed = {"aliases": aliases, "returned": (*ties.returned, *gone.returned)}
        await people.fold(kept, ties.model_copy(update=changed))
        _no_block_lost(people, kept, absorbed)
        await people.write()
        await identities.close(conn, organisation, (kept, absorbed), "merged", decider.actor, decider.reason)
        await identities.noted(conn, organisation, kept, absorbed, "merged", decider.actor, decider.reason)
        await _say(conn, decider, "identity.merged", [kept, absorbed])

    async def _split(self, conn: Connection, decider: Decider, person: UUID, ids: Sequence[tuple[str, str]]) -> UUID:
        people = await self._people(conn, decider, person)
        people.needs_all_of(person)
        organisation, ties = decider.organisation.key, people.now(person).dossier.ties
        known = {(one.source, one.external_id): one for one in await identities.known_as(conn, organisation, person)}
        strange = [one for one in ids if one not in known]
        if strange or not set(known) - set(ids):
            code = "identity.not_theirs" if strange else "identity.none_left"
            reason = "this id is not the person's" if strange else "the person has to keep an id"
            raise ProblemError(422, code, "The ids cannot be taken out", errors=[FieldError("/body/ids", code, reason)])
        origins = {known[one].origin for one in ids}
        (origin,) = origins if len(origins) == 1 else (None,)
        back = origin if origin in ties.aliases else None
        other = back or uuid4()
        also = [(SOURCE, str(back))] if back else []
        await identities.take_out(conn, organisation, person, [*ids, *also], other)
        left = tuple(alias for alias in ties.aliases if alias != back)
        # who had an id before goes with the id
        gone = [one for one in ties.returned if (one.source, one.external_id) in ids]
        known_there = [one for one in people.now(other).dossier.ties.returned if one not in gone]
        await people.fold(other, Ties(returned=(*known_there, *gone)))
        stays = tuple(one for one in ties.returned if one not in gone)
        changed = {"aliases": left, "returned": stays, "remapped_at": people.at.recorded}
        await people.fold(person, ties.model_copy(update=changed))
        await people.write()
        # the number that they may still share is no question any more
        await identities.close(conn, organisation, (person, other), "separate", decider.actor, decider.reason)
        await identities.noted(conn, organisation, person, other, "split", decider.actor, decider.reason)
        await _say(conn, decider, "identity.split", [person, other])
        return other

    async def _separate(self, conn: Connection, decider: Decider, case_id: UUID, *, end_former: bool) -> IdentityCase:
        case = await _open(conn, decider, case_id)
        if case.kind == RETURNED:
            people = await self._with_kept(conn, decider, case)
            former = people.now(case.person).dossier.ties.alias_of or case.person
            if end_former and await people.end(former, case, decider.actor):
                await people.fold(former, people.now(former).dossier.ties)
            await people.fold(case.other, Ties(returned=people.now(case.other).dossier.ties.returned))
            await people.write()
            await identities.forget_origin(conn, case.organisation, case.other)
        return await self._decided(conn, decider, case, "separate", "identity.separate")

    async def _same(self, conn: Connection, decider: Decider, case_id: UUID, kept: UUID | None) -> IdentityCase:
        case = await _open(conn, decider, case_id)
        if case.kind != RETURNED:
            kept = kept or case.person
            if kept not in (case.person, case.other):
                error = FieldError("/body/keep", "identity.none_of_them", "it is none of the two")
                raise ProblemError(422, error.code, "The case is about two others", errors=[error])
            await self._merge(conn, decider, kept, case.other if kept == case.person else case.person)
            return await _found(conn, decider, case_id)
        people = await self._with_kept(conn, decider, case)
        kept = people.now(case.person).dossier.ties.alias_of or case.person
        await identities.absorb(conn, case.organisation, kept, case.other)
        await identities.forget_origin(conn, case.organisation, kept, of=kept)
        people.tie(case.other, Ties(alias_of=kept, retired=True, remapped_at=people.at.recorded))
        await people.fold(kept, people.now(kept).dossier.ties)
        await people.write()
        return await self._decided(conn, decider, case, "merged", "identity.same")

    async def _with_kept(self, conn: Connection, decider: Decider, case: IdentityCase) -> Refolding:
        """Lock both of a case, and whoever the first was merged into."""
        both = [case.person, case.other]
        people = await Refolding.of(conn, decider.organisation, self._generation, both)
        kept = people.now(case.person).dossier.ties.alias_of
        if kept is None:
            return people
        return await Refolding.of(conn, decider.organisation, self._generation, [*both, kept])

    async def _decided(
        self, conn: Connection, decider: Decider, case: IdentityCase, state: str, action: str
    ) -> IdentityCase:
        pair = (case.person, case.other)
        await identities.close(conn, case.organisation, pair, state, decider.actor, decider.reason)
        await _say(conn, decider, action, list(pair))
        return await _found(conn, decider, case.id)

    async def _retire(self, conn: Connection, decider: Decider, alias: UUID) -> None:
        people = await Refolding.of(conn, decider.organisation, self._generation, [alias])
        ties = people.now(alias).dossier.ties
        if people.now(alias).dossier.records is None:
            raise ProblemError(404, "person.unknown", "There is no such person")
        if ties.alias_of is None or ties.retired:
            code, title = (
                ("person.retired", "It is wound up already") if ties.retired else ("person.no_alias", "No alias")
            )
            raise ProblemError(409, code, title)
        # the person is locked after the alias, as nobody else does: who meets us tries again
        people = await Refolding.of(conn, decider.organisation, self._generation, [alias, ties.alias_of])
        people.mirror(alias, ties.alias_of, ties.model_copy(update={"retired": True}))
        await people.write()
        await _say(conn, decider, "identity.retired", [alias])


def _no_block_lost(people: Refolding, kept: UUID, absorbed: UUID) -> None:
    """Refuse a merge by which an operator's block would be lifted, because it was lifted for one of the two later."""
    blocked = [people.before[one].dossier.state.access for one in (kept, absorbed)]
    access = people.now(kept).dossier.state.access
    if any(one and one.blocked_since for one in blocked) and not (access and access.blocked_since):
        title = "The block of one of them would be lifted"
        raise ProblemError(409, "identity.block_lost", title, detail="Block both, or lift the block first.")


async def _found(conn: Connection, decider: Decider, case: UUID) -> IdentityCase:
    found = await identities.find(conn, decider.organisation.key, case)
    if found is None:
        raise ProblemError(404, "identity.unknown", "There is no such case")
    return found


async def _open(conn: Connection, decider: Decider, case: UUID) -> IdentityCase:
    found = await _found(conn, decider, case)
    if found.state != "open":
        title = "Somebody has decided already"
        raise ProblemError(409, "identity.decided", title, detail=f"It is {found.state}.")
    return found


async def _say(conn: Connection, decider: Decider, action: str, persons: Sequence[UUID]) -> None:
    organisation, actor = decider.organisation.key, decider.actor
    await audit.record(conn, "ingestion", organisation, actor, action, persons=persons, reason=decider.reason)
