"""What a pass needs from the database while it runs; each call is a transaction of its own."""

from collections.abc import Callable, Mapping, Sequence, Set
from uuid import UUID

from contracts.registry import ACCOUNT_CHANGED
from services.accounts.domain.desired import ReservedNames
from services.accounts.domain.grants import Grant
from services.accounts.domain.names import Naming, is_neutral
from services.accounts.ports import Admission, RemovalRequest
from services.accounts.store import accounts, activations, asked, hands, names
from services.accounts.store import grants as store_grants
from services.accounts.store.names import LOGIN, MAIL, Reservation, Want
from services.kernel import guard
from services.kernel.database import TRANSIENT, Database
from services.kernel.erasure import ErasureKey
from services.kernel.failures import Permanent, Transient
from services.kernel.messaging import outbox
from services.kernel.settings import OrganisationSettings

Wants = Callable[[str, UUID, str, str, Naming], Want]
"""(organisation, person, kind, stem, rule) to the want with its candidates."""


class DatabaseLedger:
    """The port Ledger."""

    def __init__(
        self,
        database: Database,
        organisations: Mapping[str, OrganisationSettings],
        want: Wants,
        source: str,
        key: ErasureKey | None = None,
    ) -> None:
        self._database = database
        self._organisations = organisations
        self._want = want
        self._source = source
        self._key = key

    async def next_names(
        self, organisation: str, person: UUID, present: ReservedNames, rule: Naming, *, login: bool, mail: bool
    ) -> ReservedNames:
        """Refuse what others hold in the directory and reserve the next candidates.

        Raises:
            Transient: The database is away, or others were faster too often.
        """
        key = (organisation, person)
        try:
            async with self._database.transaction() as conn:
                held = (await names.load(conn, [key]))[key]
                refused = {(LOGIN, present.login)} if login else set[tuple[str, str]]()
                refused |= {(MAIL, present.mails[0])} if mail else set()
                stem = next((r.stem for r in held if (r.kind, r.value) == (MAIL, present.mails[0])), "")
                gone = [r for r in held if (r.kind, r.value) in refused and not r.refused]
                await names.refuse(conn, gone)
                won = await names.reserve(conn, [self._want(organisation, person, r.kind, r.stem, rule) for r in gone])
                found = chosen([*(r for r in held if r not in gone), *won], stem)
        except TRANSIENT as error:
            raise Transient("database.unavailable") from error
        if found is None:
            raise Transient("account.names_missing")
        return found

    async def own(self, organisation: str, person: UUID, target: str, grants: Set[Grant]) -> None:
        """Write down that we are about to give these.

        Raises:
            Transient: The database is away: then nothing is given.
        """
        try:
            async with self._database.transaction() as conn:
                await store_grants.own(conn, (organisation, person), target, grants)
        except TRANSIENT as error:
            raise Transient("database.unavailable") from error

    async def give_anew(self, organisation: str, person: UUID, target: str) -> store_grants.Owned:
        """Say that an account which is about to be made has nothing of what the one before it was given.

        Raises:
            Transient: The database is away: then no account is made.
        """
        try:
            async with self._database.transaction() as conn:
                return await store_grants.give_anew(conn, (organisation, person), target)
        except TRANSIENT as error:
            raise Transient("database.unavailable") from error

    async def forget(self, organisation: str, person: UUID) -> None:
        """Leave hashes of a person's names, and nothing of codes, of what was asked for or said of the accounts.

        Raises:
            Permanent: There is no key to hash with.
            Transient: The database is away.
        """
        try:
            async with self._database.transaction() as conn:
                if not await names.erase(conn, organisation, person, self._key):
                    raise Permanent("erasure.key_missing")
                await hands.forget(conn, organisation, person)
                await activations.forget(conn, organisation, person)
                await asked.forget(conn, organisation, person)
                await outbox.erase(conn, organisation, str(person), [ACCOUNT_CHANGED])
        except TRANSIENT as error:
            raise Transient("database.unavailable") from error

    async def conceal(self, organisation: str, person: UUID) -> None:
        """Forget what was published of a person's accounts.

        Raises:
            Transient: The database is away.
        """
        try:
            async with self._database.transaction() as conn:
                await outbox.erase(conn, organisation, str(person), [ACCOUNT_CHANGED])
        except TRANSIENT as error:
            raise Transient("database.unavailable") from error

    async def admit(self, request: RemovalRequest) -> Admission:
        """Ask the guard, with the organisation's limits and the number of accounts that stand.

        Raises:
            Transient: The database is away.
        """
        settings = self._organisations[request.organisation]
        try:
            async with self._database.transaction() as conn:
                verdict = await guard.admit(
                    conn,
                    guard.Removal(
                        organisation=request.organisation,
                        target=request.target,
                        subject=str(request.person),
                        action=request.removal.value,
                        revision=request.revision,
                        source=self._source,
                        budget=request.budget,
                        population=await accounts.population(conn, request.organisation, request.target),
                        limit=settings.guard_limit,
                        share=settings.guard_share,
                    ),
                )
        except TRANSIENT as error:
            raise Transient("database.unavailable") from error
        return Admission(verdict.admitted, verdict.hold, refused=verdict.refused)


def chosen(reservations: Sequence[Reservation], stem: str) -> ReservedNames | None:
    """Return a person's names: the first login for good, and as primary address the one of the present name.

    Who is, or was, protected keeps the login that says nothing of the name.

    Args:
        reservations: All of the person's, oldest first.
        stem: The stem of the person's present name.

    Returns:
        None when login or an address for the stem is not reserved yet.
    """
    logins = [r.value for r in reservations if r.kind == LOGIN and not r.refused]
    neutral = [login for login in logins if is_neutral(login)]
    usable = neutral or (logins if stem else [])
    mails = [r for r in reservations if r.kind == MAIL and not r.refused]
    primary = next((r for r in mails if r.stem == stem), None)
    if not usable or primary is None:
        return None
    return ReservedNames(usable[0], (primary.value, *(r.value for r in mails if r is not primary)))
