"""What a decision table would change before it is active, and its activation."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts.codes import AccountState
from contracts.person import CoreRecord, PersonChanged
from services.accounts.domain.desired import Desired, desired
from services.accounts.handlers.intake import PERSON
from services.accounts.handlers.situation import TABLE, entitlements
from services.accounts.ports import Decide
from services.accounts.store import accounts
from services.kernel import oversight, policy
from services.kernel.database import Connection
from services.kernel.messaging import inputs
from services.kernel.policy import Policies, Table
from services.kernel.settings import OrganisationSettings

PER_SECOND = 200.0
"""How many people are looked at again in a second after an activation."""

PAGE = 500
EXAMPLES = 20


@dataclass
class Impact:
    """How many accounts would change, now or at another date; `examples` are ids of people whose access changes now.

    `allowances`: what the guard lets through, by target; `lost`: what would be taken away at once there.
    """

    hash: str
    people: int = 0
    opens: int = 0
    prepares: int = 0
    closes: int = 0
    deletes: int = 0
    reschedules: int = 0
    allowances: dict[str, int] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    examples: list[UUID] = field(default_factory=list)

    @property
    def removals(self) -> int:
        """How many accounts are closed or deleted at once."""
        return self.closes + self.deletes

    @property
    def allowance(self) -> int:
        """What the guard lets through over all targets."""
        return sum(self.allowances.values())

    @property
    def needs_confirmation(self) -> bool:
        """Whether the guard lets it through only when a person repeats the number (DESIGN 8)."""
        return any(self.lost[target] > allowed for target, allowed in self.allowances.items())

    def count(self, person: UUID, target: str, before: Desired, after: Desired) -> None:
        """Add one account."""
        match before.state, after.state:
            case (old, new) if old == new:
                self.reschedules += before.next_boundary != after.next_boundary
                return
            case (_, AccountState.ENABLED):
                self.opens += 1
            case (AccountState.ENABLED, _):
                self.closes += 1
                self.lost[target] += 1
            case (AccountState.ABSENT, _) if not after.opens:
                return
            case (AccountState.ABSENT, _):
                self.prepares += 1
            case _:
                self.deletes += 1
                self.lost[target] += 1
        if person not in self.examples and len(self.examples) < EXAMPLES:
            self.examples.append(person)


async def impact(
    conn: Connection, organisation: OrganisationSettings, candidate: Table, active: Decide, now: datetime
) -> Impact:
    """Compare what the candidate and the active table make of every person's newest record at `now`.

    Raises:
        PolicyRefused: The candidate has no row for somebody, or a row without what accounts needs.
    """
    new = Policies({(organisation.key, TABLE): candidate}).decide
    found = Impact(candidate.hash)
    for target in organisation.targets:
        population = await accounts.population(conn, organisation.key, target)
        found.allowances[target] = max(organisation.guard_limit, int(population * organisation.guard_share))
    after = ""
    while page := await inputs.page(conn, PERSON, organisation.key, after=after, limit=PAGE):
        after = page[-1][0]
        await asyncio.to_thread(_count, found, page, organisation, active, new, now)
    return found


def _count(
    found: Impact,
    page: list[tuple[str, bytes]],
    organisation: OrganisationSettings,
    active: Decide,
    new: Decide,
    now: datetime,
) -> None:
    def outlook(decide: Decide, record: CoreRecord, target: str) -> Desired:
        rules = entitlements(decide, organisation.key, record, target)
        return desired(record, rules, {}, None, now, organisation.zone)

    for subject, body in page:
        record = PersonChanged.model_validate_json(body, extra="ignore").record
        found.people += 1
        for target in organisation.targets:
            found.count(UUID(subject), target, outlook(active, record, target), outlook(new, record, target))


async def activate(conn: Connection, organisation: str, table: Table, *, actor: str, reason: str) -> int:
    """Make the table the organisation's and have everybody looked at again, paced; one transaction.

    Returns:
        How many people are looked at again.
    """
    await policy.activate(conn, organisation, table, actor=actor, reason=reason)
    return await oversight.stagger(conn, organisation, PERSON, None, per_second=PER_SECOND)


async def record_of(conn: Connection, organisation: str, person: UUID) -> CoreRecord | None:
    """Return a person's newest record, or None."""
    bodies = await inputs.load(conn, PERSON, [(organisation, str(person))])
    body = next(iter(bodies.values()), None)
    return PersonChanged.model_validate_json(body, extra="ignore").record if body is not None else None


def verdict(organisation: OrganisationSettings, decide: Decide, record: CoreRecord, now: datetime) -> dict[str, object]:
    """Return what a table makes of a record at `now`: state and next change by target, the row by job.

    Raises:
        PolicyRefused: The table has no row for an employment.
    """
    rules = {target: entitlements(decide, organisation.key, record, target) for target in organisation.targets}
    return {
        "targets": {
            target: _outlook(desired(record, given, {}, None, now, organisation.zone))
            for target, given in rules.items()
        },
        "employments": [
            {
                "employment": str(one.id),
                "form": one.form.value,
                "validFrom": one.valid_from,
                "validTo": one.valid_to,
                "row": some.row,
                "account": any(given[one.id].account for given in rules.values()),
                "leadDays": some.lead_days,
                "graceDays": some.grace_days,
                "targets": [target for target, given in rules.items() if given[one.id].account],
            }
            for one in record.employments
            if not one.cancelled
            for some in (next(iter(rules.values()))[one.id],)
        ],
    }


def _outlook(wanted: Desired) -> dict[str, object]:
    change = next(iter(wanted.changes), None)
    return {
        "state": wanted.state.value,
        "changesAt": change[0] if change else None,
        "changesTo": change[1].state.value if change else None,
    }


def shown(found: Impact) -> Mapping[str, object]:
    """Return an impact as the API tells it."""
    return {
        "hash": found.hash,
        "people": found.people,
        "opens": found.opens,
        "prepares": found.prepares,
        "closes": found.closes,
        "deletes": found.deletes,
        "reschedules": found.reschedules,
        "allowance": found.allowance,
        "needsConfirmation": found.needs_confirmation,
        "examples": [str(person) for person in found.examples],
    }
