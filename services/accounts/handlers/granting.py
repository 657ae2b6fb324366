"""Groups and licences of one account: give what is missing, take what is ours and not wanted any more."""

from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from uuid import UUID

from services.accounts.domain.grants import Grant, compare
from services.accounts.domain.plan import Observed, Removal
from services.accounts.ports import AccountDirectory, Ledger, Stamp, Withheld
from services.kernel.failures import Failure, Held, Permanent, Transient, Waiting


class Elsewhere(Permanent):
    """Another hand changed what is ours; it stays so until a person decides."""


Asked = Callable[[], Awaitable[Held | None]]
"""Asks the guard whether something may be taken away."""


@dataclass(frozen=True)
class Granted:
    """What came of it: `wanted` with the employment and row that give each, what was done, what could not be.

    `owned` is what is ours after it, `gone` what is ours no longer: taken, found gone, or not to be given.
    """

    wanted: Mapping[Grant, tuple[UUID, str]] = field(default_factory=dict)
    owned: frozenset[Grant] = frozenset()
    given: tuple[Grant, ...] = ()
    taken: tuple[Grant, ...] = ()
    gone: frozenset[Grant] = frozenset()
    failure: Failure | None = None
    held: Held | None = None


async def bring_in_line(
    directory: AccountDirectory,
    ledger: Ledger,
    account: Observed,
    stamp: Stamp,
    target: str,
    wanted: Mapping[Grant, tuple[UUID, str]],
    owned: Mapping[Grant, bool],
    ask: Asked,
) -> Granted:
    """Give and take so that the account has what policy wants and nothing of ours besides; safe to repeat.

    What is missing in the target, what it refuses for good and what another hand took is told, and holds up nothing.

    Raises:
        Failure: The target is away or busy; the next pass begins with a look.
    """
    if not wanted and not owned:
        return Granted()
    there = await directory.held(account, wanted.keys() | owned.keys(), deadline=stamp.deadline)
    difference = compare(wanted.keys(), owned, there)
    held = await ask() if difference.surplus else None
    stamp = replace(stamp, admitted=frozenset((Removal.REVOKE,) if held is None else ()))
    if difference.missing:
        await ledger.own(stamp.organisation, stamp.person, target, difference.missing)
    given, failure = await _each(difference.missing, lambda one: directory.grant(account, one, stamp))
    taken: tuple[Grant, ...] = ()
    if held is None:
        taken, refused = await _each(difference.surplus, lambda one: directory.revoke(account, one, stamp))
        failure = refused or failure
    await _verify(directory, account, stamp, given, taken)
    if failure is None and difference.taken:
        names = ", ".join(grant.value for grant in sorted(difference.taken))
        failure = Elsewhere("account.grant_taken_elsewhere", group=names)
    # what could not be given is nobody's: another hand may give it meanwhile, and then it is theirs
    gone = difference.gone | set(taken) | (difference.missing - set(given))
    return Granted(
        wanted, frozenset(owned.keys() | difference.missing) - gone, given, taken, frozenset(gone), failure, held
    )


async def _each(
    grants: Set[Grant], act: Callable[[Grant], Awaitable[None]]
) -> tuple[tuple[Grant, ...], Failure | None]:
    """Do one after the other. Returns those that were done, and why others were not (the gravest reason)."""
    done: list[Grant] = []
    failure: Failure | None = None
    for grant in sorted(grants):
        try:
            await act(grant)
        except (Waiting, Permanent) as refused:
            if failure is None or isinstance(failure, Withheld) or isinstance(refused, Permanent):
                failure = refused
        else:
            done.append(grant)
    return tuple(done), failure


async def _verify(
    directory: AccountDirectory, account: Observed, stamp: Stamp, given: tuple[Grant, ...], taken: tuple[Grant, ...]
) -> None:
    if not given and not taken:
        return
    held = await directory.held(account, {*given, *taken}, deadline=stamp.deadline)
    if not held.issuperset(given) or not held.isdisjoint(taken):
        raise Transient("account.not_verified", step="grants")
