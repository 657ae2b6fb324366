"""What accounts says to the others: evaluations, steps, the account as it stands. Codes only, never a name."""

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts.codes import AccountState, StepState
from contracts.facts import AccountChanged, AccountRecord, Parameter, Step, Why
from contracts.person import PersonChanged
from contracts.registry import ACCOUNT_CHANGED
from services.accounts.domain.desired import Desired
from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.steps import Trouble, stable
from services.accounts.store.accounts import AccountRow
from services.kernel import reports
from services.kernel.messaging.outbox import Outgoing
from services.kernel.work import Claim

SERVICE = "accounts"


@dataclass(frozen=True)
class Reporter:
    """Says things about one pass for one person."""

    claim: Claim
    event: PersonChanged
    policy_hash: str
    gives: Mapping[Grant, tuple[UUID, str]] = field(default_factory=dict)
    """Every group and licence, with the employment and the row that give it."""

    def evaluated(self, wanted: Desired, steps: Sequence[Step]) -> Outgoing:
        """Return service.evaluated: all steps, as of the pass's business time."""
        why = (
            *(Why(table=e.table, row=e.row, employment=employment) for employment, e in wanted.why),
            *(
                Why(table="birthright", row=row, employment=one, kind=grant.kind.value, value=grant.value)
                for grant, (one, row) in sorted(self.gives.items())
            ),
        )
        return self._plain.evaluated(steps, next_due=wanted.next_boundary, policy_hash=self.policy_hash, why=why)

    def step(
        self,
        code: str,
        state: StepState,
        parameters: dict[str, Parameter],
        trouble: Trouble | None = None,
        retry_at: datetime | None = None,
    ) -> Outgoing:
        """Return step.recorded: what this pass did, or why it could not. One for each pass."""
        return self._plain.step(code, state, parameters, trouble.problem if trouble else None, retry_at)

    def changed(self, row: AccountRow, grants: Set[Grant]) -> Outgoing:
        """Return account.changed: the account as it was read back, with the groups and licences that we gave it."""
        absent = row.state == AccountState.ABSENT
        return self._plain.say(
            ACCOUNT_CHANGED,
            AccountChanged(
                organisation=row.organisation,
                person=row.person,
                target=row.target,
                generation=row.generation,
                version=row.version,
                changed_at=row.changed_at,
                verified_at=row.verified_at,
                record=AccountRecord(
                    state=row.state,
                    user_name=None if absent else row.user_name,
                    mail=None if absent else row.mail,
                    entry=None if absent else row.entry,
                    enabled_from=row.enabled_from,
                    groups=_values(grants, GrantKind.GROUP),
                    licences=_values(grants, GrantKind.LICENCE),
                    mail_routes=_values(grants, GrantKind.MAIL_ROUTE),
                ),
            ),
        )

    def signature(self, wanted: Desired, steps: Sequence[Step]) -> str:
        """Digest what an evaluation says, without its times: when it differs, it has to be said again."""
        parts = [
            f"{self.event.generation}.{self.event.revision}",
            self.policy_hash,
            str(wanted.next_boundary),
            *(stable(step).model_dump_json() for step in steps),
            *(f"{employment}/{entitlement.row}" for employment, entitlement in wanted.why),
            *(f"{grant.kind}/{grant.value}/{one}/{row}" for grant, (one, row) in sorted(self.gives.items())),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    @property
    def _plain(self) -> reports.Reporter:
        return reports.Reporter(SERVICE, self.claim, self.event.person, self.event.generation, self.event.revision)


def _values(grants: Set[Grant], kind: GrantKind) -> tuple[str, ...]:
    return tuple(sorted(grant.value for grant in grants if grant.kind is kind))
