"""The table of accounts: whether an employment gives one, in which targets, and for how long."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from typing_extensions import override

from contracts.codes import AccountState
from contracts.person import CoreRecord
from services.accounts.domain.desired import Desired, desired
from services.accounts.domain.rows import RowUnusable
from services.accounts.domain.timeline import ENTITLEMENT
from services.accounts.handlers.rulings.ruling import Impact, Proposal, check_rows, refuse_strange_targets
from services.accounts.handlers.situation import TABLE, entitlements
from services.accounts.ports import Tables
from services.kernel.policy import PolicyRefused, Table
from services.kernel.settings import OrganisationSettings


class EntitlementRuling:
    """The table `accounts`; see `Ruling`."""

    name = TABLE
    needed = True

    def check(self, table: Table) -> None:
        """See `Ruling.check`."""
        check_rows(table, ENTITLEMENT, collects=False)

    def fits(self, table: Table, organisation: OrganisationSettings) -> None:
        """See `Ruling.fits`."""
        refuse_strange_targets(table, organisation)

    def impact(self, proposal: Proposal) -> Impact:
        """See `Ruling.impact`."""
        return EntitlementImpact(proposal)

    def verdict(
        self, organisation: OrganisationSettings, tables: Tables, record: CoreRecord, now: datetime
    ) -> Mapping[str, object]:
        """Return state and next change by target, and the row by job."""
        rules = {name: entitlements(tables.decide, organisation.key, record, name) for name in organisation.targets}
        return {
            "targets": {
                name: _outlook(desired(record, given, {}, None, now, organisation.zone))
                for name, given in rules.items()
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
                    "expiresDays": some.expires_days,
                    "targets": [name for name, given in rules.items() if given[one.id].account],
                }
                for one in record.employments
                if not one.cancelled
                for some in (next(iter(rules.values()))[one.id],)
            ],
        }


class EntitlementImpact(Impact):
    """How many accounts would change, now or at another date."""

    def __init__(self, proposal: Proposal) -> None:
        super().__init__(proposal)
        self.opens = self.prepares = self.closes = self.deletes = self.reschedules = 0

    @override
    def counts(self) -> Mapping[str, object]:
        return {name: getattr(self, name) for name in ("opens", "prepares", "closes", "deletes", "reschedules")}

    @override
    def count(self, person: UUID, record: CoreRecord) -> bool:
        del person
        changes = False
        for target in self.proposal.organisation.targets:
            after = self._outlook(self.proposal.after, record, target)
            try:
                before = self._outlook(self.proposal.before, record, target)
            except (PolicyRefused, RowUnusable):
                continue  # parked as it stands: it is this table that lets the person go on
            changes |= self._compare(target, before, after)
        return changes

    def _outlook(self, tables: Tables, record: CoreRecord, target: str) -> Desired:
        rules = entitlements(tables.decide, self.proposal.organisation.key, record, target)
        return desired(record, rules, {}, None, self.proposal.now, self.proposal.organisation.zone)

    def _compare(self, target: str, before: Desired, after: Desired) -> bool:
        match before.state, after.state:
            case (old, new) if old == new:
                self.reschedules += before.next_boundary != after.next_boundary
                return False
            case (_, AccountState.ENABLED):
                self.opens += 1
            case (AccountState.ENABLED, _):
                self.closes += 1
                self.lost[target] += 1
            case (AccountState.ABSENT, _) if not after.opens:
                return False
            case (AccountState.ABSENT, _):
                self.prepares += 1
            case _:
                self.deletes += 1
                self.lost[target] += 1
        return True


def _outlook(wanted: Desired) -> dict[str, object]:
    change = next(iter(wanted.changes), None)
    return {
        "state": wanted.state.value,
        "changesAt": change[0] if change else None,
        "changesTo": change[1].state.value if change else None,
    }
