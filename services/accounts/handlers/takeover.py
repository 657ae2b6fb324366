"""A take-over's plan: a target is read once, its unmarked accounts are matched with people, and nothing is written.

Safe to repeat: a plan is replaced by the next one. What is approved of it is written by the ordinary pass.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from contracts.codes import Protection
from contracts.person import CoreRecord, PersonChanged
from services.accounts.domain import names as naming
from services.accounts.domain.expiry import lapsed
from services.accounts.domain.takeover import Match, Somebody, Stray, correlate, fingerprint, key
from services.accounts.handlers.intake import PERSON
from services.accounts.handlers.situation import Reader
from services.accounts.ports import AccountDirectory, Listed
from services.accounts.store import concealment, takeover
from services.accounts.store.accounts import AccountRow
from services.accounts.store.names import LOGIN, MAIL
from services.accounts.store.takeover import Approved, Row
from services.kernel import telemetry
from services.kernel.clock import business_now, database_now
from services.kernel.database import Connection, Database
from services.kernel.messaging import inputs
from services.kernel.readings import leases
from services.kernel.readings.leases import Reading
from services.kernel.settings import OrganisationSettings
from services.kernel.work import Wake, WorkKey, raise_wanted

log = telemetry.get_logger(__name__)

PAGE = 500
_SHOWN = ("displayName", "cn", "employeeNumber", "title", "ou", "departmentNumber")


class TakeoverRun:
    """Plans the take-over of one target."""

    def __init__(self, target: str, directory: AccountDirectory, reader: Reader, database: Database) -> None:
        self._target = target
        self._directory = directory
        self._reader = reader
        self._database = database

    async def run(self, reading: Reading) -> None:
        """Read, match, and keep the plan.

        Raises:
            ReadingLost: Somebody else reads by now.
            Failure: The target is away.
        """
        strays: dict[str, Listed] = {}
        read = 0
        async for listed in self._directory.pages(reading.organisation):
            read += len(listed)
            async with self._database.transaction() as conn:
                await leases.keep(conn, reading, read)
                theirs = await database_now(conn)
            seen = (replace(one, observed=lapsed(one.observed, {}, theirs)) for one in listed)
            free = (one for one in seen if one.person is None and one.organisation is None)
            strays |= {one.observed.entry: one for one in free}
        people = await self._people(reading, read)
        matches = await asyncio.to_thread(correlate, people, [stray(one) for one in strays.values()])
        candidates = sorted({person for match in matches for person in match.candidates})
        async with self._database.transaction() as conn:
            await leases.keep(conn, reading, read)
            hidden = await concealment.hidden(conn, reading.organisation, candidates)
            telling = await concealment.telling(conn, reading.organisation)
            rows = [
                _row(match, at, hidden=not hidden.isdisjoint(match.candidates) or telling.has(at.observed))
                for match, at in ((match, strays[match.entry]) for match in matches)
            ]
            await takeover.store(conn, reading, fingerprint(matches), read, len(people), rows)
        log.info("takeover.planned", target=self._target, organisation=reading.organisation, read=read)

    async def _people(self, reading: Reading, read: int) -> list[Somebody]:
        """Return who shall have an account here and has none that is ours."""
        found: list[Somebody] = []
        after = ""
        while True:
            async with self._database.transaction() as conn:
                now = await business_now(conn)
                subjects = await inputs.subjects(conn, PERSON, reading.organisation, after=after, limit=PAGE)
                known = await self._reader.glance(conn, [(reading.organisation, UUID(one)) for one in subjects], now)
                await leases.keep(conn, reading, read)
            if not subjects:
                return found
            after = subjects[-1]
            for (_, person), one in known.items():
                if one.event is None or one.failure is not None or _stands(one.row):
                    continue
                if one.desired(now, one.names).opens:
                    logins = (one.names.login,) if one.names else ()
                    mails = one.names.mails if one.names else ()
                    found.append(somebody(person, one.event.record, logins, mails))


def somebody(person: UUID, record: CoreRecord, logins: Sequence[str], mails: Sequence[str]) -> Somebody:
    """Return by what a person is found."""
    numbers = {one.employee_number for one in record.employments if one.employee_number and not one.cancelled}
    return Somebody(
        person,
        frozenset(key(number) for number in numbers),
        frozenset(key(login) for login in logins),
        frozenset(key(mail) for mail in mails),
        key(record.name.display),
    )


def stray(listed: Listed) -> Stray:
    """Return by what an account is found."""
    observed = listed.observed
    name = next(iter(observed.attributes.get("displayName") or observed.attributes.get("cn") or ()), "")
    return Stray(
        observed.entry,
        frozenset(key(number) for number in observed.attributes.get("employeeNumber", ())),
        frozenset((key(observed.user_name),)),
        frozenset(key(mail) for mail in _mails(listed)),
        key(name),
    )


class PairsRefused(Exception):
    """A pair that was chosen is not in the plan, or two have the same person or account."""


def chosen(rows: Sequence[Row], pairs: Mapping[str, UUID] | None) -> list[tuple[Row, UUID]]:
    """Return accounts with whose they shall be: those that were chosen, else the one candidate of each.

    Raises:
        PairsRefused: Somebody is chosen twice, or is no candidate.
    """
    picked = [(row, row.candidates[0] if pairs is None else pairs[row.entry]) for row in rows]
    if len({person for _, person in picked}) != len(picked):
        raise PairsRefused
    if any(person not in row.candidates for row, person in picked):
        raise PairsRefused
    return picked


async def adopt(
    conn: Connection,
    organisation: OrganisationSettings,
    target: str,
    plan: UUID,
    picked: Sequence[tuple[Row, UUID]],
    *,
    actor: str,
    reason: str,
) -> tuple[int, dict[str, str]]:
    """Approve pairs and raise their people's work, in the caller's transaction. Safe to repeat.

    Returns:
        How many were approved, and why accounts were refused: their names are another person's, or nobody is known.
    """
    bodies = await inputs.load(conn, PERSON, [(organisation.key, str(person)) for _, person in picked])
    scope = organisation.naming_scope
    approved = [
        Approved(row, person, scope, _stem(bodies[organisation.key, str(person)]))
        for row, person in picked
        if (organisation.key, str(person)) in bodies
    ]
    held = await takeover.holders(conn, [name for one in approved for name in _names(one)])
    refused = {row.entry: "person.unknown" for row, person in picked if (organisation.key, str(person)) not in bodies}
    for one in approved:
        others = {held[name] for name in _names(one) if name in held} - {(organisation.key, one.person)}
        if others:
            refused[one.row.entry] = "account.name_taken"
    free = [one for one in approved if one.row.entry not in refused]
    people = set(await takeover.approve(conn, organisation.key, target, free, actor=actor, reason=reason))
    taken = [one for one in free if one.person in people]
    await takeover.take_names(conn, organisation.key, taken)
    hidden = await concealment.hidden(conn, organisation.key, sorted(people))
    await takeover.forget_names(conn, organisation.key, target, [x.row.entry for x in taken if x.person in hidden])
    await takeover.refuse(conn, plan, refused)
    await raise_wanted(conn, [Wake(WorkKey(organisation.key, PERSON, str(person), target)) for person in people])
    return len(people), refused


def _row(
    match: Match, listed: Listed, *, hidden: bool
) -> tuple[Match, str, str, Sequence[str], bool, Mapping[str, object]]:
    """Return what is kept of an account; of one that tells of somebody protected, what its adoption needs."""
    at, login, mails, detail = listed.observed, listed.observed.user_name, _mails(listed), _detail(listed)
    if hidden:
        detail = {}
        login, mails = (login, mails) if match.candidates else ("", ())
    return match, at.handle, login, mails, at.enabled is True, detail


def _names(one: Approved) -> list[tuple[str, str, str]]:
    mails = [(one.scope, MAIL, mail.lower()) for mail in one.row.mails]
    return [(one.scope, LOGIN, one.row.user_name.lower()), *mails]


def _stem(body: bytes) -> str:
    """Return of which name the present address is; of somebody protected it is never the one that was found."""
    record = PersonChanged.model_validate_json(body, extra="ignore").record
    return naming.stem(record.name, Protection.NONE) if record.protection == Protection.NONE else "-"


def _stands(row: AccountRow | None) -> bool:
    return row is not None and row.entry is not None


def _mails(listed: Listed) -> tuple[str, ...]:
    return listed.observed.attributes.get("mail", ())


def _detail(listed: Listed) -> Mapping[str, object]:
    observed = listed.observed
    told = {name: list(observed.attributes[name]) for name in _SHOWN if observed.attributes.get(name)}
    return {**told, "place": observed.place}
