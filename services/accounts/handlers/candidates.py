"""Whose an account of a plan may be: the people beside it, with what they have in common."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts.person import PersonChanged
from services.accounts.domain.takeover import By, Stray, key, shared
from services.accounts.handlers.intake import PERSON
from services.accounts.handlers.takeover import somebody
from services.accounts.store import names
from services.accounts.store.names import LOGIN, MAIL
from services.accounts.store.takeover import Row
from services.kernel.database import Connection
from services.kernel.messaging import inputs


@dataclass(frozen=True)
class Candidate:
    """Somebody whose account it may be. `shared`: what both have; `rivals`: other accounts that may be theirs."""

    person: UUID
    name: str
    numbers: tuple[str, ...]
    logins: tuple[str, ...]
    mails: tuple[str, ...]
    titles: tuple[str, ...]
    units: tuple[str, ...]
    shared: tuple[By, ...]
    rivals: tuple[str, ...]


async def beside(
    conn: Connection, organisation: str, row: Row, rivals: Sequence[tuple[str, Collection[UUID]]]
) -> list[Candidate]:
    """Return the candidates of an account, in the plan's order; without those of whom nothing is known any more.

    Args:
        conn: The transaction.
        organisation: Whose people they are.
        row: The account.
        rivals: Other accounts (login, candidates) that the reader may see.
    """
    keys = [(organisation, person) for person in row.candidates]
    bodies = await inputs.load(conn, PERSON, [(organisation, str(person)) for person in row.candidates])
    reserved = await names.load(conn, keys)
    found = []
    for person in row.candidates:
        body = bodies.get((organisation, str(person)))
        if body is None:
            continue
        record = PersonChanged.model_validate_json(body, extra="ignore").record
        jobs = [one for one in record.employments if not one.cancelled]
        placed = [assignment for job in jobs for assignment in job.assignments]
        held = reserved.get((organisation, person), [])
        logins = tuple(one.value for one in held if one.kind == LOGIN)
        mails = tuple(one.value for one in held if one.kind == MAIL)
        found.append(
            Candidate(
                person,
                record.name.display,
                _once([job.employee_number for job in jobs]),
                logins,
                mails,
                _once([one.title for one in placed]),
                _once([one.unit for one in placed]),
                shared(somebody(person, record, logins, mails), _stray(row)),
                tuple(login for login, theirs in rivals if person in theirs),
            )
        )
    return found


def _stray(row: Row) -> Stray:
    name = next(iter(row.detail.get("displayName") or row.detail.get("cn") or ()), "")
    return Stray(
        row.entry,
        frozenset(key(number) for number in row.detail.get("employeeNumber", ())),
        frozenset((key(row.user_name),)),
        frozenset(key(mail) for mail in row.mails),
        key(name),
    )


def _once(values: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
