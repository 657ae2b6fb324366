"""The dates worker: when a record takes effect by itself, a new revision says so (of a person: `date_reached`).

Safe to replay: how far time has been told is kept with the person or the unit, under its lock; a second pass finds
nothing to say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from contracts.codes import StepState
from services.ingestion.domain.dossier import reach
from services.ingestion.domain.projection import Organisation
from services.ingestion.handlers import announcing
from services.ingestion.handlers.acceptance import UNIT, reach_unit
from services.ingestion.store import dates, ledger
from services.ingestion.store.ledger import StoredPerson
from services.ingestion.store.versions import Told, write_versions
from services.kernel import telemetry
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.failures import Failure, Permanent, Unavailable
from services.kernel.messaging import outbox
from services.kernel.messaging.outbox import Outgoing
from services.kernel.settings import OrganisationSettings
from services.kernel.work import Claim, Outcome

log = telemetry.get_logger(__name__)


class DatesReached:
    """Performs the work target `dates`, one person or unit a row."""

    def __init__(self, database: Database, organisations: Mapping[str, OrganisationSettings]) -> None:
        self._database = database
        self._organisations = organisations

    async def load(self, conn: Connection, claims: Sequence[Claim]) -> Sequence[datetime | None]:
        """Read when each person's or unit's record next takes effect."""
        keys = [(claim.key.organisation, claim.key.subject) for claim in claims]
        units = [key for key, claim in zip(keys, claims, strict=True) if claim.key.kind == UNIT]
        persons = [(key[0], UUID(key[1])) for key, claim in zip(keys, claims, strict=True) if claim.key.kind != UNIT]
        found = {(key[0], str(key[1])): due for key, due in (await dates.next_boundaries(conn, persons)).items()}
        planned = await dates.next_plans(conn, units)
        return [
            (planned if claim.key.kind == UNIT else found).get(key) for key, claim in zip(keys, claims, strict=True)
        ]

    async def perform(self, claim: Claim, context: datetime | None) -> Outcome:
        """Tell what has been reached, or sleep until the next boundary.

        Raises:
            Unavailable: The database went away.
            Permanent: The organisation is not served any more.
        """
        if context is None or context > claim.business_now:
            return Outcome(due_at=context)
        settings = self._organisations.get(claim.key.organisation)
        if settings is None:
            raise Permanent("organisation.unknown")
        tell = self._tell_unit if claim.key.kind == UNIT else self._tell
        try:
            return Outcome(due_at=await tell(claim, Organisation(settings.key, settings.zone)))
        except TRANSIENT as error:
            raise Unavailable("database.unavailable") from error

    async def _tell(self, claim: Claim, organisation: Organisation) -> datetime | None:
        async with self._database.transaction() as conn:
            found = await dates.lock_person(conn, organisation.key, UUID(claim.key.subject))
            if found is None:
                return None
            stored, at = found
            dossier, revision = reach(
                replace(stored.dossier, generation=max(stored.dossier.generation, claim.generation)), at, organisation
            )
            boundary = dossier.next_boundary(organisation)
            person = StoredPerson(dossier, stored.mentions, boundary)
            await ledger.write_persons(conn, {(organisation.key, dossier.person): person})
            if revision is not None:
                told = Told(organisation.key, revision, claim.traceparent)
                await write_versions(conn, [told])
                await outbox.append(conn, [announcing.core(told), announcing.confidential(told)])
        if revision is not None:
            log.info("date.reached", person=claim.key.subject, revision=revision.number, kind=revision.kind.value)
        return boundary

    async def _tell_unit(self, claim: Claim, organisation: Organisation) -> datetime | None:
        unit = (organisation.key, claim.key.subject)
        async with self._database.transaction() as conn:
            boundary = await reach_unit(conn, unit, organisation.zone, claim.generation, claim.traceparent)
        log.info("date.reached", unit=claim.key.subject, next=str(boundary))
        return boundary

    async def settle(self, conn: Connection, done: Sequence[tuple[Claim, Outcome]]) -> None:
        """Nothing: `perform` has committed, under the person's or the tree's lock and not the lease's."""

    def failed(
        self, claim: Claim, context: datetime | None, failure: Failure, state: StepState, retry_at: datetime | None
    ) -> Sequence[Outgoing]:
        """Nothing to tell the others: a date that is late is no step of theirs."""
        return ()

    def removes(self, claim: Claim, context: datetime | None) -> bool:
        """A date is told to others; the services that hear of it take access away."""
        return False

    async def probe(self) -> None:
        """Return when the database answers.

        Raises:
            Unavailable: It is still away.
        """
        if await self._database.problem() is not None:
            raise Unavailable("database.unavailable")
