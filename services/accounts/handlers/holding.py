"""Who has which group and licence in a whole target, beside what policy gives and what we gave."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from services.accounts.domain.drift import Finding, given
from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.plan import Observed
from services.accounts.handlers.situation import Situation
from services.kernel.distinguished import normalised


@dataclass
class Holding:
    """What all accounts of a run shall have. Memory: a handle for each account, and a reference to it for each grant.

    `accounts`: whose an account is, its id and whether the person is protected, by handle. `shall`: who shall have a
    grant, or was given it by us; `seen`: of whom we have seen that they have it, and nobody has left it to others.
    """

    accounts: dict[str, tuple[UUID, str, bool]] = field(default_factory=dict)
    shall: defaultdict[Grant, set[str]] = field(default_factory=lambda: defaultdict(set))
    seen: defaultdict[Grant, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, person: UUID, observed: Observed, situation: Situation) -> None:
        """Note what an account shall have."""
        handle, wanted = normalised(observed.handle), situation.entitled.grants
        self.accounts[handle] = (person, observed.entry, situation.hands.hidden)
        for grant in wanted | situation.owned.keys():
            self.shall[grant].add(handle)
        for grant in wanted - situation.left:
            if situation.owned.get(grant):
                self.seen[grant].add(handle)

    @property
    def asked(self) -> list[Grant]:
        """What somebody shall have: of what policy gives nobody, nothing is known, and nothing is asked.

        Mail routes stand in each mailbox, not in one place that tells who has them.
        """
        return sorted(grant for grant in self.shall if grant.kind is not GrantKind.MAIL_ROUTE)

    def compare(self, grant: Grant, holders: Iterable[str]) -> tuple[list[Finding], list[UUID]]:
        """Return what others gave by hand, and from whom another hand took what is ours."""
        have = {normalised(handle) for handle in holders}
        strange = (have & self.accounts.keys()) - self.shall[grant]
        findings = [
            given(person, entry, grant, hidden=hidden)
            for person, entry, hidden in (self.accounts[one] for one in sorted(strange))
        ]
        return findings, sorted(self.accounts[handle][0] for handle in self.seen[grant] - have)
