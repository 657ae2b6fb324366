"""Folding anew people of whom facts were taken or given, and telling what that has changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

import orjson

from contracts.registry import HR_PERSON
from services.ingestion.domain.dossier import Dossier, Instant, Revision, mirror, reach, tell
from services.ingestion.domain.identity import Ties, official
from services.ingestion.domain.missing import departure, still_open
from services.ingestion.domain.projection import Organisation
from services.ingestion.domain.state import fold_all
from services.ingestion.handlers import announcing
from services.ingestion.handlers.acceptance import DATES
from services.ingestion.handlers.reception import canonical_hash, person_fact, stored_event
from services.ingestion.store import identities, ledger
from services.ingestion.store.identities import IdentityCase, Numbers
from services.ingestion.store.ledger import NewFact, StoredPerson
from services.ingestion.store.versions import Told, write_versions
from services.kernel import telemetry, work
from services.kernel.clock import business_now, database_now, local_date
from services.kernel.database import Connection
from services.kernel.messaging import outbox
from services.kernel.problems import ProblemError
from services.kernel.work import WorkKey


@dataclass
class Refolding:
    """Some people of one organisation, locked; written once, at the end of the transaction."""

    conn: Connection
    organisation: Organisation
    generation: int
    at: Instant
    before: dict[UUID, StoredPerson]
    after: dict[UUID, StoredPerson] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)

    @classmethod
    async def of(
        cls, conn: Connection, organisation: Organisation, generation: int, persons: Iterable[UUID]
    ) -> "Refolding":
        """Lock people, and their aliases after them; who has no row is left out."""
        found = await ledger.by_id(conn, [(organisation.key, person) for person in persons], lock=True)
        aliases = {(organisation.key, alias) for stored in found.values() for alias in stored.dossier.ties.aliases}
        found |= await ledger.by_id(conn, aliases - found.keys(), lock=True)
        at = Instant(business=await business_now(conn), recorded=await database_now(conn))
        return cls(conn, organisation, generation, at, {key[1]: stored for key, stored in found.items()})

    def now(self, person: UUID) -> StoredPerson:
        """A person as far as the transaction has come; one without a row begins here."""
        return self.after.get(person) or self.before.get(person) or StoredPerson(Dossier(person), {}, None)

    async def fold(self, person: UUID, ties: Ties) -> None:
        """Fold all that is told of a person by now, and tell what has come of it; then its aliases.

        Raises:
            ProblemError: 409 when what is left is too little for a record: parts of it were told under other ids; or
                when some of it belongs among facts that are not kept any more.
        """
        key, stored = (self.organisation.key, person), self.now(person)
        bodies = await ledger.person_bodies(self.conn, [key])
        facts, basis = [person_fact(stored_event(*body)) for body in bodies[key]], stored.dossier.state.basis
        if basis is not None and not all(map(basis.precedes, facts)):
            raise _forgotten()
        state = fold_all(facts, basis)
        named = {(key[0], *reference) for reference in state.references()}
        mentions = {(one[1], one[2]): found for one, found in (await ledger.meant(self.conn, named)).items()}
        dossier = self._raised(stored.dossier, ties)
        if not state.tellable:
            title = "What was told under these ids is too little for a record of its own"
            raise ProblemError(409, "identity.too_little", title)
        dossier, passed = reach(dossier, self.at, self.organisation)
        dossier, revision = tell(dossier, state, mentions, self.at, self.organisation, baseline=False)
        self._keep(dossier, mentions, passed, revision)
        for alias in ties.aliases:
            self.mirror(alias, person, self.now(alias).dossier.ties)

    def needs_all_of(self, person: UUID) -> None:
        """Refuse what would give away facts of a person some of which are not kept any more.

        Raises:
            ProblemError: 409, they were forgotten when the person had left for long.
        """
        if self.now(person).dossier.state.basis is not None:
            raise _forgotten()

    async def end(self, person: UUID, case: IdentityCase, actor: str) -> bool:
        """Add the fact that what is told of a person under an id of a source ends today; tell whether anything does.

        The id means somebody else by now, so it is written for the person whom it meant.
        """
        assert case.source is not None and case.external_id is not None  # noqa: S101, PT018 - an id came back
        today = local_date(self.at.business, self.organisation.zone)
        ends = still_open(self.now(person).dossier.state, case.source, case.external_id, today)
        if not ends:
            return False
        event = {
            "specversion": "1.0",
            "id": f"case-{case.id}",
            "source": case.source,
            "type": HR_PERSON,
            "time": self.at.business.isoformat(),
            "data": departure(case.external_id, ends, today),
        }
        fact = NewFact(
            id=uuid4(), key=(self.organisation.key, case.source, f"case-{case.id}"), kind=HR_PERSON,
            asserted_at=self.at.business, sequence=0, actor=actor, person=person, unit=None, revision=None,
            case_id=None, body=orjson.dumps(event), body_hash=canonical_hash(event),
            traceparent=telemetry.current_traceparent(),
        )  # fmt: skip
        await ledger.write_facts(self.conn, [fact])
        return True

    def tie(self, person: UUID, ties: Ties) -> None:
        """Bind a person anew, and tell nothing."""
        stored = self.now(person)
        self.after[person] = replace(stored, dossier=self._raised(stored.dossier, ties))

    def mirror(self, alias: UUID, kept: UUID, ties: Ties) -> None:
        """Let an alias become what its person has become."""
        dossier, passed = reach(self._raised(self.now(alias).dossier, ties), self.at, self.organisation)
        dossier, revision = mirror(dossier, self.now(kept).dossier, self.at, self.organisation)
        self._keep(dossier, self.now(alias).mentions, passed, revision)

    def _raised(self, dossier: Dossier, ties: Ties) -> Dossier:
        return replace(dossier, generation=max(dossier.generation, self.generation), ties=ties)

    def _keep(self, dossier: Dossier, mentions: Mapping[tuple[str, str], UUID], *revisions: Revision | None) -> None:
        trace = telemetry.current_traceparent()
        self.told += [Told(self.organisation.key, one, trace) for one in revisions if one is not None]
        self.after[dossier.person] = StoredPerson(dossier, mentions, dossier.next_boundary(self.organisation))

    async def write(self) -> None:
        """Store people, what binds them, their numbers and due times, and say what was told."""
        organisation, trace = self.organisation.key, telemetry.current_traceparent()
        people = {(organisation, person): stored for person, stored in self.after.items()}
        await ledger.write_persons(self.conn, people)
        await identities.tie(self.conn, {key: stored.dossier.ties for key, stored in people.items()})
        await identities.number(self.conn, {key: self._numbers(stored) for key, stored in people.items()})
        await write_versions(self.conn, self.told)
        await outbox.append(
            self.conn, [section(told) for told in self.told for section in (announcing.core, announcing.confidential)]
        )
        await work.schedule(
            self.conn,
            {
                WorkKey(organisation, "person", str(person), DATES): (stored.next_boundary, trace)
                for (_, person), stored in people.items()
            },
        )

    def _numbers(self, stored: StoredPerson) -> Numbers:
        """All numbers that a person has now: who has come to them by a merge, a split or a decision holds them."""
        dossier = stored.dossier
        if dossier.ties.alias_of is not None or dossier.ties.held_by is not None:
            return Numbers(frozenset(), frozenset())
        before = self.before.get(dossier.person)
        has = official(dossier.state.identifiers)
        return Numbers(has, (official(before.dossier.state.identifiers) if before else frozenset()) - has)


def _forgotten() -> ProblemError:
    return ProblemError(409, "identity.forgotten", "Some of what was told is not kept any more, so it cannot be moved")
