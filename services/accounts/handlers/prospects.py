"""Whom a code may be issued for: who has, or will have, an open account, and whose manager asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from contracts.codes import AccountState, Protection
from contracts.person import CoreRecord, PersonChanged
from services.accounts.domain.timeline import Phase, timeline
from services.accounts.handlers.intake import PERSON
from services.accounts.handlers.situation import entitlements
from services.accounts.ports import Policy
from services.accounts.store import accounts, targets, units
from services.accounts.store.accounts import AccountRow
from services.accounts.store.targets import EVERY_UNIT
from services.kernel.clock import local_date
from services.kernel.database import Connection
from services.kernel.messaging import inputs
from services.kernel.policy import PolicyRefused
from services.kernel.settings import OrganisationSettings


class PolicyFailed(Exception):
    """The table in force cannot say what a person has."""


@dataclass(frozen=True)
class Prospect:
    """A person as far as a first password concerns them.

    `opens`: from when there is a way in, by target; empty for who has left, is blocked, dead, erased or an alias.
    `opens_at`: the first of them in the organisation's zone, None when it is open by now.
    `live`: whether the person's units are live, by target that goes live in stages. `rows`: accounts that stand.
    """

    record: CoreRecord
    revision: int
    rows: Mapping[str, AccountRow]
    opens: Mapping[str, datetime]
    live: Mapping[str, bool]
    opens_at: datetime | None

    @property
    def protected(self) -> bool:
        """Whether only who may see protected identities is told that there is such a person."""
        return self.record.protection != Protection.NONE

    def is_also(self, person: UUID, other: UUID | None) -> bool:
        """Tell whether `other` is this person, under any id."""
        return other is not None and other in {person, self.record.alias_of, *self.record.aliases}


class Prospects:
    """Reads prospects. `staged`: the targets that go live by units."""

    def __init__(
        self, organisations: Mapping[str, OrganisationSettings], policy: Policy, staged: Sequence[str] = ()
    ) -> None:
        self._organisations = organisations
        self._policy = policy
        self._staged = tuple(staged)

    async def read(self, conn: Connection, organisation: str, person: UUID, now: datetime) -> Prospect | None:
        """Return a person as of an instant (business time); None when there is no record.

        Raises:
            PolicyFailed: The table in force cannot answer for this person.
        """
        event = await _event(conn, organisation, person)
        settings = self._organisations.get(organisation)
        if event is None or settings is None:
            return None
        await self._policy.refresh(conn)
        record = event.record
        try:
            opens = self._opens(settings, record, now)
        # as in a pass: whatever a table does to one person is that person's trouble
        except (PolicyRefused, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise PolicyFailed(type(error).__name__) from error
        named = {a.unit for e in record.employments if not e.cancelled for a in e.assignments} | {EVERY_UNIT}
        live = {target: not named.isdisjoint(await _live(conn, organisation, target)) for target in self._staged}
        found = await accounts.of_person(conn, organisation, person)
        rows = {row.target: row for row in found if row.state != AccountState.ABSENT}
        first = min(opens.values(), default=now)
        opens_at = first.astimezone(settings.zone) if first > now else None
        return Prospect(record, event.revision, rows, opens, live, opens_at)

    def _opens(self, settings: OrganisationSettings, record: CoreRecord, now: datetime) -> dict[str, datetime]:
        opens: dict[str, datetime] = {}
        for target in settings.targets if record.alias_of is None else ():
            rules = entitlements(self._policy.decide, settings.key, record, target)
            line = timeline(record, rules, settings.zone)
            coming = (at for at, phase in line.changes(now) if phase is Phase.ENABLED)
            at = now if line.phase(now) is Phase.ENABLED else next(coming, None)
            if at is not None:
                opens[target] = at
        return opens

    async def leads(
        self, conn: Connection, organisation: str, manager: UUID | None, prospect: Prospect, now: datetime
    ) -> bool:
        """Tell whether somebody is the manager of a person's main unit, of one above it, or by the main assignment."""
        if manager is None:
            return False
        today = local_date(now, self._organisations[organisation].zone)
        main = prospect.record.main_employment(today)
        assignment = main.assignment(today) if main else None
        if assignment is None:
            return False
        ids = await _ids(conn, organisation, manager)
        if assignment.manager in ids:
            return True
        key = (organisation, assignment.unit)
        unit = (await units.load(conn, [key])).get(key)
        return unit is not None and not ids.isdisjoint(unit.leaders)


async def _event(conn: Connection, organisation: str, person: UUID) -> PersonChanged | None:
    bodies = await inputs.load(conn, PERSON, [(organisation, str(person))])
    body = next(iter(bodies.values()), None)
    try:
        return None if body is None else PersonChanged.model_validate_json(body, extra="ignore")
    except ValidationError:
        return None


async def _live(conn: Connection, organisation: str, target: str) -> frozenset[str]:
    return (await targets.live(conn, target, [organisation])).get(organisation, frozenset())


async def _ids(conn: Connection, organisation: str, person: UUID) -> set[UUID]:
    """Return all ids of a person: whom it was merged into, and what was merged into that."""
    event = await _event(conn, organisation, person)
    if event is not None and event.record.alias_of is not None:
        kept = await _event(conn, organisation, event.record.alias_of)
        return {person, event.record.alias_of, *(kept.record.aliases if kept else ())}
    return {person, *(event.record.aliases if event else ())}
