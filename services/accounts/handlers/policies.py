"""What a decision table would change before it is active, and its activation."""

from collections.abc import Mapping
from uuid import UUID

from contracts.person import CoreRecord, PersonChanged
from services.accounts.handlers.intake import PERSON
from services.accounts.handlers.rulings import Impact
from services.accounts.store import accounts
from services.kernel import oversight, policy
from services.kernel.database import Connection
from services.kernel.messaging import inputs
from services.kernel.policy import Table

PER_SECOND = 200.0
"""How many people are looked at again in a second after an activation."""

PAGE = 500


async def measure(conn: Connection, found: Impact) -> None:
    """Compare what the proposed table and the active one make of every person's newest record.

    Raises:
        PolicyRefused: The proposed table has no row for somebody, or one that gives what cannot be used.
    """
    organisation = found.proposal.organisation
    for target in organisation.targets:
        population = await accounts.population(conn, organisation.key, target)
        found.allowances[target] = max(organisation.guard_limit, int(population * organisation.guard_share))
    after = ""
    while page := await inputs.page(conn, PERSON, organisation.key, after=after, limit=PAGE):
        after = page[-1][0]
        await found.take(conn, [(UUID(subject), _record(body)) for subject, body in page])


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
    return _record(body) if body is not None else None


def shown(found: Impact) -> Mapping[str, object]:
    """Return an impact as the API tells it."""
    table = found.proposal.table
    return {
        "table": table.name,
        "hash": table.hash,
        "people": found.people,
        **found.counts(),
        "removals": found.removals,
        "allowance": found.allowance,
        "needsConfirmation": found.needs_confirmation,
        "examples": [str(person) for person in found.examples],
    }


def _record(body: bytes) -> CoreRecord:
    return PersonChanged.model_validate_json(body, extra="ignore").record
