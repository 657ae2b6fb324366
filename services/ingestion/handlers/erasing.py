"""Erasing a person: one transaction that empties what is kept and tells the others so.

Safe to repeat: who is erased is answered with how it stands. Killed before the commit nothing has happened; after it
the last revision is on its way like any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.registry import PERSON_CONFIDENTIAL, PERSON_JOINER, PERSON_LEAVER, PERSON_MOVER
from services.ingestion.domain.dossier import Instant
from services.ingestion.domain.erasure import Hindrance, erased, hindrances
from services.ingestion.handlers import announcing
from services.ingestion.handlers.acceptance import DATES
from services.ingestion.handlers.door import tried
from services.ingestion.store import erasure, identities, ledger
from services.ingestion.store.erasure import Held
from services.ingestion.store.ledger import StoredPerson
from services.ingestion.store.versions import Told, write_versions
from services.kernel import audit, telemetry, work
from services.kernel.clock import business_now, database_now
from services.kernel.database import Connection, Database
from services.kernel.erasure import ErasureKey
from services.kernel.messaging import outbox
from services.kernel.problems import ProblemError
from services.kernel.settings import OrganisationSettings
from services.kernel.work import WorkKey

TOLD = (PERSON_JOINER, PERSON_MOVER, PERSON_LEAVER, PERSON_CONFIDENTIAL)
FIRST: Mapping[str, str] = {
    "erasure.key_missing": "Set STAFETT_ERASURE_KEY for ingestion and accounts.",
    "erasure.alias": "Erase the person that the id was merged into.",
    "erasure.has_aliases": "Split the records that were merged into the person, and erase each.",
    "erasure.open_case": "Decide the open case about who the person is.",
    "erasure.coming": "The person is about to start.",
    "erasure.active": "The person is here: an employment, or what outlasts it, has not ended.",
    "erasure.too_early": "The person has left too recently.",
    "erasure.in_file": "Apply or refuse the file that the person is in, and decide about who is held in it.",
    "erasure.untold": "Something about the person waits to be published; try again when it is.",
}
"""What to do first, or why not, by code."""


@dataclass(frozen=True)
class Standing:
    """How far a person is from being erased. `erased_at` is business time."""

    person: UUID
    erased_at: datetime | None
    hindrances: tuple[Hindrance, ...]
    held: Held


class Erasures:
    """Looks at what an erasure would do, and does it."""

    def __init__(
        self,
        database: Database,
        *,
        generation: int,
        key: ErasureKey | None,
        on_commit: Callable[[], None],
        crash: Callable[[str], None],
    ) -> None:
        self._database = database
        self._generation = generation
        self._key = key
        self._on_commit = on_commit
        self._crash = crash

    async def look(self, organisation: OrganisationSettings, person: UUID, actor: str, reason: str | None) -> Standing:
        """Return what an erasure would empty, and what stands against it; the look is audited.

        Raises:
            ProblemError: 404 for somebody unknown.
        """
        async with self._database.transaction() as conn:
            found, _ = await self._standing(conn, organisation, person)
            await audit.record(
                conn, "ingestion", organisation.key, actor, "person.erasure_planned", subject=person, reason=reason
            )
        self._on_commit()
        return found

    async def erase(self, organisation: OrganisationSettings, person: UUID, actor: str, reason: str) -> Standing:
        """Empty what is kept of a person; return how it stands then.

        Raises:
            ProblemError: 404 for somebody unknown; 503 without a key; 409 when something stands against it.
        """
        found = await tried(lambda: self._erase(organisation, person, actor, reason))
        self._on_commit()
        return found

    async def _standing(
        self, conn: Connection, organisation: OrganisationSettings, person: UUID
    ) -> tuple[Standing, StoredPerson]:
        stored = (await ledger.by_id(conn, [(organisation.key, person)], lock=True)).get((organisation.key, person))
        if stored is None or stored.dossier.records is None:
            raise ProblemError(404, "person.unknown", "There is no such person")
        known = await identities.known_as(conn, organisation.key, person)
        held = await erasure.held(conn, organisation.key, person, [(one.source, one.external_id) for one in known])
        ties = stored.dossier.ties
        found: list[Hindrance] = []
        if ties.erased_at is None:
            now = await business_now(conn)
            days = organisation.retention.erasure
            found = [] if self._key else [Hindrance("erasure.key_missing")]
            found += hindrances(stored.dossier, held.told, now, organisation.zone, days)
            said = {one.code for one in found}
            also = {"erasure.open_case": held.open_case, "erasure.in_file": held.in_file, "erasure.untold": held.untold}
            found += [Hindrance(code) for code, stands in also.items() if stands and code not in said]
        return Standing(person, ties.erased_at, tuple(found), held), stored

    async def _erase(self, organisation: OrganisationSettings, person: UUID, actor: str, reason: str) -> Standing:
        async with self._database.transaction() as conn:
            found, stored = await self._standing(conn, organisation, person)
            if found.erased_at is not None:
                return found
            if found.hindrances:
                raise _hindered(found.hindrances)
            assert self._key is not None  # noqa: S101 - its lack is a hindrance
            at = Instant(business=await business_now(conn), recorded=await database_now(conn))
            ids = [(o.source, o.external_id) for o in await identities.known_as(conn, organisation.key, person)]
            await erasure.empty(conn, organisation.key, person, ids)
            await erasure.bury(conn, organisation.key, person, ids, at.business, self._key)
            await outbox.erase(conn, organisation.key, str(person), TOLD)
            await self._tell(conn, organisation.key, stored, at)
            await audit.record(
                conn, "ingestion", organisation.key, actor, "person.erasure", subject=person, reason=reason,
                parameters={"facts": found.held.facts, "versions": found.held.versions, "ids": found.held.ids},
            )  # fmt: skip
            self._crash("erase.before_commit")
            done, _ = await self._standing(conn, organisation, person)
        self._crash("erase.after_commit")
        return done

    async def _tell(self, conn: Connection, organisation: str, stored: StoredPerson, at: Instant) -> None:
        dossier, revision = erased(stored.dossier, at)
        key, trace = (organisation, dossier.person), telemetry.current_traceparent()
        told = Told(organisation, revision, trace)
        await ledger.write_persons(conn, {key: StoredPerson(dossier, {}, None)})
        await identities.tie(conn, {key: dossier.ties})
        await write_versions(conn, [told])
        await outbox.append(conn, [section(told) for section in announcing.SECTIONS])
        await work.schedule(conn, {WorkKey(organisation, "person", str(dossier.person), DATES): (None, trace)})


def _hindered(found: tuple[Hindrance, ...]) -> ProblemError:
    code = found[0].code
    status = 503 if code == "erasure.key_missing" else 409
    detail = " ".join(map(_said, found))
    return ProblemError(status, code, "The person cannot be erased now", detail=detail)


def _said(one: Hindrance) -> str:
    day = f" It can be done from {one.until} on." if one.code == "erasure.too_early" else ""
    return f"{FIRST[one.code]}{day}"
