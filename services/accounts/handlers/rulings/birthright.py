"""The table of birthright: which groups, licences and mail routes an employment gives, and for how long."""

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from datetime import datetime
from functools import partial
from uuid import UUID

from typing_extensions import override

from contracts.codes import AccountState
from contracts.person import CoreRecord
from services.accounts.domain.desired import desired
from services.accounts.domain.grants import BIRTHRIGHT as COLUMNS
from services.accounts.domain.grants import Entitled, Given, Grant, GrantKind, agree, entitled, given
from services.accounts.domain.rows import RowUnusable
from services.accounts.domain.timeline import FOREVER, Timeline, timeline
from services.accounts.handlers.rulings.ruling import (
    Impact,
    Proposal,
    check_rows,
    refuse_strange_targets,
    rows_of,
)
from services.accounts.handlers.situation import BIRTHRIGHT, birthrights, entitlements
from services.accounts.ports import Tables
from services.kernel.policy import PolicyRefused, Table
from services.kernel.settings import OrganisationSettings


class BirthrightRuling:
    """The table `birthright`; see `Ruling`. `without_mail`: the targets that route no mail."""

    name = BIRTHRIGHT
    needed = False

    def __init__(self, without_mail: Set[str] = frozenset()) -> None:
        self._without_mail = without_mail

    def check(self, table: Table) -> None:
        """See `Ruling.check`."""
        check_rows(table, COLUMNS, collects=True, agree=agree)

    def fits(self, table: Table, organisation: OrganisationSettings) -> None:
        """See `Ruling.fits`: nor may a row route mail in a target that is known to route none."""
        refuse_strange_targets(table, organisation)
        for row in rows_of(table, organisation):
            named = row.inputs.get("target", frozenset())
            deaf = sorted(named & self._without_mail)
            if deaf and row.outputs.get("kind") == GrantKind.MAIL_ROUTE:
                raise PolicyRefused(table.file, row.id, f"the target {', '.join(deaf)} routes no mail")

    def impact(self, proposal: Proposal) -> Impact:
        """See `Ruling.impact`."""
        return BirthrightImpact(proposal)

    def verdict(
        self, organisation: OrganisationSettings, tables: Tables, record: CoreRecord, now: datetime
    ) -> Mapping[str, object]:
        """Return by job what each row gives where, from when and until when (null: until further notice)."""
        found = [
            (target, one)
            for target in organisation.targets
            for one in _given(organisation, tables, record, target, now)
        ]
        return {
            "employments": [
                {
                    "employment": str(job.id),
                    "form": job.form.value,
                    "validFrom": job.valid_from,
                    "validTo": job.valid_to,
                    "grants": [_told(target, one, now) for target, one in found if one.employment == job.id],
                }
                for job in record.employments
                if not job.cancelled
            ]
        }


class BirthrightImpact(Impact):
    """How many people would gain or lose which groups and licences now.

    `gains` and `losses` are people with at least one, whatever the target; who keeps all that there is now and would
    get, or lose, something at another date is rescheduled.
    """

    def __init__(self, proposal: Proposal) -> None:
        super().__init__(proposal)
        self._gained: Counter[tuple[str, Grant]] = Counter()
        self._lost: Counter[tuple[str, Grant]] = Counter()
        self._gains = self._losses = self._reschedules = 0

    @override
    def counts(self) -> Mapping[str, object]:
        return {
            "gains": self._gains,
            "losses": self._losses,
            "reschedules": self._reschedules,
            "values": [
                {
                    "target": target,
                    "kind": grant.kind.value,
                    "value": grant.value,
                    "gains": self._gained[target, grant],
                    "losses": self._lost[target, grant],
                }
                for target, grant in sorted(self._gained.keys() | self._lost.keys())
            ],
        }

    @override
    def count(self, person: UUID, record: CoreRecord) -> bool:
        del person
        gains = loses = shifts = False
        for target in self.proposal.organisation.targets:
            found = self._compared(record, target)
            if found is None:
                continue
            before, after = found
            gained, lost = after.grants - before.grants, before.grants - after.grants
            self._gained.update((target, grant) for grant in gained)
            self._lost.update((target, grant) for grant in lost)
            self.lost[target] += bool(lost)
            gains, loses = gains or bool(gained), loses or bool(lost)
            shifts = shifts or before.next_boundary != after.next_boundary
        self._gains += gains
        self._losses += loses
        self._reschedules += shifts and not gains and not loses
        return gains or loses

    def _compared(self, record: CoreRecord, target: str) -> tuple[Entitled, Entitled] | None:
        """Return what is given before and after; None for who has no account there, or is parked as it stands."""
        organisation, now, before = self.proposal.organisation, self.proposal.now, self.proposal.before
        try:
            rules = entitlements(before.decide, organisation.key, record, target)
        except (PolicyRefused, RowUnusable):
            return None
        line = timeline(record, rules, organisation.zone)
        after = self._entitled(self.proposal.after, line, target)
        try:
            found = self._entitled(before, line, target), after
        except (PolicyRefused, RowUnusable):
            return None
        wanted = desired(record, rules, {}, None, now, organisation.zone)
        return None if wanted.state == AccountState.ABSENT or wanted.surplus else found

    def _entitled(self, tables: Tables, line: Timeline, target: str) -> Entitled:
        organisation = self.proposal.organisation
        ask = partial(birthrights, tables.decide_all, organisation.key, target)
        return entitled(line, ask, self.proposal.now, organisation.zone)


def _given(
    organisation: OrganisationSettings, tables: Tables, record: CoreRecord, target: str, now: datetime
) -> Iterator[Given]:
    line = timeline(record, entitlements(tables.decide, organisation.key, record, target), organisation.zone)
    return given(line, partial(birthrights, tables.decide_all, organisation.key, target), now, organisation.zone)


def _told(target: str, one: Given, now: datetime) -> dict[str, object]:
    return {
        "target": target,
        "kind": one.right.grant.kind.value,
        "value": one.right.grant.value,
        "row": one.right.row,
        "from": one.begins,
        "until": one.ends if one.ends < FOREVER else None,
        "now": one.begins <= now < one.ends,
    }
