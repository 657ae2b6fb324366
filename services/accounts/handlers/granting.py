"""Groups, licences and mail routes of one account: give what is missing, take what is ours and not wanted any more."""

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from uuid import UUID

from services.accounts.domain.grants import Grant, GrantKind, compare
from services.accounts.domain.plan import Observed, Removal
from services.accounts.ports import AccountDirectory, Ledger, Stamp
from services.kernel.failures import Failure, Held, Permanent, Transient, Waiting
from services.kernel.gate import Withheld


class Elsewhere(Permanent):
    """Another hand changed what is ours; it stays so until a person decides."""


class Left(Withheld):
    """A person has left it to another hand, who took it: it is told, and nobody waits for it."""


Refused = tuple[Grant, Failure]
"""What could not be given or taken, and why."""

Asked = Callable[[], Awaitable[Held | None]]
"""Asks the guard whether something may be taken away."""


@dataclass(frozen=True)
class Granted:
    """What came of it: `wanted` with the employment and row that give each, what was done, what could not be.

    `owned` is what is ours after it, `gone` what is ours no longer: taken, found gone, left, or not to be given.
    `refused`: each that is not as it shall be, and why. `left`: what a person left to another hand that took it.
    """

    wanted: Mapping[Grant, tuple[UUID, str]] = field(default_factory=dict)
    owned: frozenset[Grant] = frozenset()
    given: tuple[Grant, ...] = ()
    taken: tuple[Grant, ...] = ()
    gone: frozenset[Grant] = frozenset()
    refused: tuple[Refused, ...] = ()
    left: frozenset[Grant] = frozenset()
    held: Held | None = None

    @property
    def elsewhere(self) -> frozenset[Grant]:
        """What another hand took, and nobody has decided what becomes of it."""
        return frozenset(grant for grant, failure in self.refused if isinstance(failure, Elsewhere))


async def bring_in_line(
    directory: AccountDirectory,
    ledger: Ledger,
    account: Observed,
    stamp: Stamp,
    target: str,
    wanted: Mapping[Grant, tuple[UUID, str]],
    owned: Mapping[Grant, bool],
    left: Set[Grant],
    ask: Asked,
) -> Granted:
    """Give and take so that the account has what policy wants and nothing of ours besides; safe to repeat.

    What is missing in the target, what it refuses for good and what another hand took is told, each by itself, and
    holds up nothing. What a person has `left` to another hand is not given, and is nobody's.

    Raises:
        Failure: The target is away or busy; the next pass begins with a look.
    """
    if not wanted and not owned:
        return Granted()
    there = await directory.held(account, wanted.keys() | owned.keys(), deadline=stamp.deadline)
    difference = compare(wanted.keys(), owned, there, left)
    held = await ask() if difference.surplus else None
    stamp = replace(stamp, admitted=frozenset((Removal.REVOKE,) if held is None else ()))
    if difference.missing:
        await ledger.own(stamp.organisation, stamp.person, target, difference.missing)
    given, refused = await _each(sorted(difference.missing), lambda one: directory.grant(account, one, stamp))
    taken: tuple[Grant, ...] = ()
    if held is None:
        # a mail route goes before the licence whose mailbox it lies in: it would be back with the next licence
        surplus = sorted(difference.surplus, reverse=True)
        taken, kept = await _each(surplus, lambda one: directory.revoke(account, one, stamp))
        refused += kept
    await _verify(directory, account, stamp, given, taken)
    refused += [(grant, Elsewhere("account.grant_taken_elsewhere")) for grant in sorted(difference.taken)]
    # what could not be given is nobody's: another hand may give it meanwhile, and then it is theirs
    gone = difference.gone | set(taken) | (difference.missing - set(given))
    return Granted(
        wanted,
        owned=frozenset(owned.keys() | difference.missing) - gone,
        given=given,
        taken=taken,
        gone=frozenset(gone),
        refused=tuple(refused),
        left=difference.left,
        held=held,
    )


def reasons(granted: Granted) -> list[Failure]:
    """Return why not all is as it shall be: one failure for each reason, naming every group and licence it is about.

    What may end without a person comes first, so that it is looked at again however the rest stands.
    """
    left = [(grant, Left("account.grant_left")) for grant in sorted(granted.left)]
    alike: dict[object, tuple[Failure, list[Grant]]] = {}
    for grant, failure in (*granted.refused, *left):
        about = sorted((name, said) for name, said in failure.parameters.items() if name not in set(GrantKind))
        alike.setdefault((type(failure), failure.code, *about), (failure, []))[1].append(grant)
    found: list[Failure] = []
    for first, grants in alike.values():
        named = {kind.value: ", ".join(one.value for one in grants if one.kind is kind) for kind in GrantKind}
        named = {kind: values for kind, values in named.items() if values}
        found.append(type(first)(first.code, **{**first.parameters, **named}))
    return sorted(found, key=lambda one: isinstance(one, Permanent))


async def _each(
    grants: Sequence[Grant], act: Callable[[Grant], Awaitable[None]]
) -> tuple[tuple[Grant, ...], list[Refused]]:
    """Do one after the other. Returns those that were done, and why each of the others was not."""
    done: list[Grant] = []
    refused: list[Refused] = []
    for grant in grants:
        try:
            await act(grant)
        except (Waiting, Permanent) as failure:
            refused.append((grant, failure))
        else:
            done.append(grant)
    return tuple(done), refused


async def _verify(
    directory: AccountDirectory, account: Observed, stamp: Stamp, given: tuple[Grant, ...], taken: tuple[Grant, ...]
) -> None:
    if not given and not taken:
        return
    held = await directory.held(account, {*given, *taken}, deadline=stamp.deadline)
    if not held.issuperset(given) or not held.isdisjoint(taken):
        raise Transient("account.not_verified", step="grants")
