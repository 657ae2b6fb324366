"""One organisation of a service on a real PostgreSQL: messages are taken in without the broker, passes run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

from contracts.codes import Form, Lane, Reason
from contracts.person import Assignment, CoreRecord, Employment, Name, PersonChanged
from contracts.registry import PERSON_JOINER
from services.kernel import clock
from services.kernel.database import Connection, Database
from services.kernel.messaging import outbox
from services.kernel.messaging.intake import Incoming
from services.kernel.settings import OrganisationSettings
from tests.support.kernel import eventually

TODAY = date(2027, 3, 15)


def employment(first: date, last: date | None = None, **values: Any) -> Employment:
    """Return an employment in the unit 100."""
    fields: dict[str, Any] = {
        "id": uuid4(),
        "form": Form.PERMANENT,
        "valid_from": first,
        "valid_to": last,
        "assignments": (Assignment(unit="100", title="Lärare", valid_from=first, valid_to=last),),
    }
    return Employment(**{**fields, **values})


def record(*employments: Employment, given: str = "Anna", family: str = "Andersson") -> CoreRecord:
    """Return a person's record."""
    return CoreRecord(name=Name(given=given, family=family), employments=employments)


class Intake(Protocol):
    """What takes in people."""

    async def person_changed(self, conn: Connection, messages: Sequence[Incoming]) -> None:
        """Take in core records."""


@dataclass(kw_only=True)
class Office:
    """One organisation with its database and running executors."""

    database: Database
    organisations: dict[str, OrganisationSettings]
    organisation: str = "alvsund"
    told: datetime = datetime(2027, 1, 1, tzinfo=UTC)
    """When the ledger has recorded what is told."""

    @property
    def intake(self) -> Intake:
        """What takes messages in."""
        raise NotImplementedError

    async def tell(
        self, person: UUID, revision: int, core: CoreRecord, *, type_: str = PERSON_JOINER, **values: Any
    ) -> None:
        """Take a revision in."""
        fields: dict[str, Any] = {
            "organisation": self.organisation,
            "person": person,
            "revision": revision,
            "case_id": uuid4(),
            "reason": Reason.HIRE,
            "effective_at": datetime(2027, 1, 1, tzinfo=UTC),
            "accepted_at": datetime(2027, 1, 1, tzinfo=UTC),
            "record": core,
        }
        await self._take_in(self.intake.person_changed, type_, (PersonChanged(**{**fields, **values}), str(person)))

    async def tell_unit(self, unit: str, name: str, revision: int = 1, **values: Any) -> None:
        """Take a unit in."""
        await self.tell_units({unit: {"name": name, **values}}, revision)

    async def tell_units(self, units: Mapping[str, Mapping[str, Any]], revision: int = 1) -> None:
        """Take many units in at once."""
        raise NotImplementedError

    async def _take_in(self, handler: Any, type_: str, *told: tuple[Any, str]) -> None:
        now, where = self.told, self.organisation
        events = [
            outbox.make(type_, data, source="urn:test", subject=subject, organisation=where, time=now)
            for data, subject in told
        ]
        async with self.database.transaction() as conn:
            await handler(conn, [Incoming(event.id, type_, Lane.BULK, event, b"", now) for event in events])

    async def at(self, moment: datetime) -> None:
        """Set business time and let everything converge."""
        async with self.database.transaction() as conn:
            await clock.set_offset(conn, timedelta())
            real = await clock.business_now(conn)
        async with self.database.transaction() as conn:
            await clock.set_offset(conn, moment - real)
        await self.converged()

    async def converged(self, seconds: float = 20) -> None:
        """Wait until no work is wanted, due, or leased."""
        await eventually(self._idle, seconds=seconds)

    async def _idle(self) -> bool:
        rows = await self.rows(
            "SELECT 1 FROM work WHERE wanted > done OR lease_until IS NOT NULL"
            f" OR due_at <= {clock.BUSINESS_NOW} OR state = 'retrying' LIMIT 1"
        )
        return not rows

    async def rows(self, sql: str, *values: object) -> Sequence[Any]:
        """Read from the service's schema."""
        async with self.database.transaction() as conn:
            return await (await conn.execute(sql.encode(), values)).fetchall()

    async def said(self, type_: str, person: UUID) -> list[dict[str, Any]]:
        """Return the data of what was said about a person, oldest first."""
        rows = await self.rows(
            "SELECT body::jsonb -> 'data' FROM outbox WHERE type = %s AND subject = %s ORDER BY seq",
            type_,
            str(person),
        )
        return [row[0] for row in rows]
