"""What a person decides of findings is carried out: by the ordinary pass, through the gate and the guard."""

from collections.abc import Sequence

from services.accounts.domain.drift import DECISIONS, Kind
from services.accounts.domain.other_hand import STATE, Decided, Verdict
from services.accounts.handlers.intake import PERSON
from services.accounts.store import drift, grants, hands
from services.accounts.store.drift import Open
from services.kernel.database import Connection
from services.kernel.work import Wake, WorkKey, raise_wanted


class NotPossible(Exception):
    """This cannot be decided of such a finding; `kind` says of which."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


async def decide(conn: Connection, found: Sequence[Open], decision: str, *, actor: str, reason: str) -> int:
    """Carry a decision out for findings of one target and kind, in the caller's transaction.

    Returns:
        How many people are looked at by it.

    Raises:
        NotPossible: A finding is not of a kind, or not of anybody, of whom this can be decided.
    """
    if not found:
        return 0
    organisation, target, kind = found[0].organisation, found[0].target, Kind(found[0].kind)
    if any(not possible(one, decision) for one in found):
        raise NotPossible(kind.value)
    if kind is Kind.GRANT_TAKEN and decision == "reclaim":
        taken = [(one.person, one.attribute) for one in found if one.person is not None]
        await grants.give_again(conn, organisation, target, taken)
    words = {
        (one.person, one.attribute): Decided(Verdict(decision), one.digest if one.attribute != STATE else "")
        for one in found
        if one.person is not None and _worded(kind, decision)
    }
    if words:
        await hands.decide(conn, organisation, target, words, actor=actor, reason=reason)
    if kind is Kind.MOVED and decision == "accept":
        places = [(one.about, str(one.detail["observed"][0])) for one in found]
        await drift.accept_places(conn, organisation, target, places)
    # a grant that is left stays to be seen; one that is given again is the pass's, which tells what becomes of it
    closing = "reclaim" if kind is Kind.GRANT_TAKEN else "accept"
    await drift.decide(conn, found, decision, actor=actor, reason=reason, close=decision == closing)
    if decision not in {"reclaim", "reopen"} and kind is not Kind.GRANT_TAKEN:
        return 0
    people = sorted({one.person for one in found if one.person is not None})
    wakes = [Wake(WorkKey(organisation, PERSON, str(person), target), removal=kind is Kind.ORPHAN) for person in people]
    await raise_wanted(conn, wakes)
    if kind is Kind.MARK:
        await drift.doubt(conn, organisation, target, people)
    return len(people)


def _worded(kind: Kind, decision: str) -> bool:
    """Tell whether passes have to know of a decision."""
    if kind is Kind.GRANT_TAKEN:
        return decision == "accept"
    return (kind is Kind.CHANGED or decision == "reopen") and decision != "ignore"


def possible(one: Open, decision: str) -> bool:
    """Tell whether something can be decided of a finding: nothing that is open is reopened, and nobody's is left."""
    if decision not in DECISIONS[Kind(one.kind)] or (one.person is None and decision != "ignore"):
        return False
    if one.kind == Kind.STATE:
        closed = one.detail.get("wanted") == "enabled"
        return decision == "ignore" or (decision == "reopen") == closed
    return decision != "reclaim" or one.kind != Kind.ORPHAN or "wanted" in one.detail
