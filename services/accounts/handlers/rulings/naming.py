"""The table of names: of which patterns logins and addresses are made for who has none yet."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

from typing_extensions import override

from contracts.person import CoreRecord
from services.accounts.domain.desired import desired
from services.accounts.domain.names import Blocklist, Naming
from services.accounts.domain.names import stem as stem_of
from services.accounts.domain.rows import RowUnusable
from services.accounts.handlers.rulings.ruling import Impact, People, Proposal, check_rows
from services.accounts.handlers.situation import NAMES, entitlements, naming_of, wants
from services.accounts.ports import Tables
from services.accounts.store import names
from services.accounts.store.names import LOGIN, MAIL
from services.kernel.clock import local_date
from services.kernel.database import Connection
from services.kernel.policy import PolicyRefused, Table
from services.kernel.settings import OrganisationSettings

NOBODY = UUID(int=0)
KINDS = (LOGIN, MAIL)


class NamingRuling:
    """The table `names`; see `Ruling`."""

    name = NAMES
    needed = False

    def __init__(self, blocklist: Blocklist) -> None:
        self._blocklist = blocklist

    def check(self, table: Table) -> None:
        """See `Ruling.check`."""
        check_rows(table, {}, collects=False, needs=KINDS)
        for row in table.rows():
            if row.outputs.keys() >= set(KINDS):
                try:
                    Naming.from_output(row.outputs, table=table.name, row=row.id)
                except RowUnusable as unusable:
                    raise PolicyRefused(table.file, row.id, unusable.reason) from unusable

    def fits(self, table: Table, organisation: OrganisationSettings) -> None:
        """See `Ruling.fits`: names are of no target."""

    def impact(self, proposal: Proposal) -> Impact:
        """See `Ruling.impact`."""
        return NamingImpact(proposal, self._blocklist)

    def verdict(
        self, organisation: OrganisationSettings, tables: Tables, record: CoreRecord, now: datetime
    ) -> Mapping[str, object]:
        """Return the row, its patterns, and the login and address that are tried first for who has none yet."""
        rule = _rule(organisation, tables, record, now)
        login, mail = _first(organisation, self._blocklist, record, rule)
        return {
            "row": rule.row,
            "login": [pattern.text for pattern in rule.login],
            "mail": [pattern.text for pattern in rule.mail],
            "firstLogin": login,
            "firstMail": mail,
        }


class NamingImpact(Impact):
    """How many people who are to have an account, and have no name yet, would be tried with another one first.

    Who has a name keeps it.
    """

    def __init__(self, proposal: Proposal, blocklist: Blocklist) -> None:
        super().__init__(proposal)
        self._blocklist = blocklist
        self._named: AbstractSet[UUID] = frozenset()
        self._renames = 0

    @override
    async def take(self, conn: Connection, people: People) -> None:
        key = self.proposal.organisation.key
        held = await names.load(conn, [(key, person) for person, _ in people])
        self._named = {person for (_, person), found in held.items() if any(not one.refused for one in found)}
        await super().take(conn, people)

    @override
    def counts(self) -> Mapping[str, object]:
        return {"renames": self._renames}

    @override
    def count(self, person: UUID, record: CoreRecord) -> bool:
        after = self._candidates(self.proposal.after, record)
        try:
            changes = (
                person not in self._named
                and self._opens(record)
                and self._candidates(self.proposal.before, record) != after
            )
        except (PolicyRefused, RowUnusable):
            return False  # parked as it stands
        self._renames += changes
        return changes

    def _candidates(self, tables: Tables, record: CoreRecord) -> Sequence[str]:
        organisation = self.proposal.organisation
        rule = _rule(organisation, tables, record, self.proposal.now)
        return _first(organisation, self._blocklist, record, rule)

    def _opens(self, record: CoreRecord) -> bool:
        organisation, now, tables = self.proposal.organisation, self.proposal.now, self.proposal.before
        rules = (entitlements(tables.decide, organisation.key, record, target) for target in organisation.targets)
        return any(desired(record, given, {}, None, now, organisation.zone).opens for given in rules)


def _rule(organisation: OrganisationSettings, tables: Tables, record: CoreRecord, now: datetime) -> Naming:
    return naming_of(tables.decide_all, organisation.key, record, local_date(now, organisation.zone))


def _first(
    organisation: OrganisationSettings, blocklist: Blocklist, record: CoreRecord, rule: Naming
) -> tuple[str, str]:
    want = wants({organisation.key: organisation}, blocklist)
    stem = stem_of(record.name, record.protection)
    login, mail = (next(want(organisation.key, NOBODY, kind, stem, rule).values) for kind in KINDS)
    return login, mail
