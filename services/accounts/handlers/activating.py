"""Activation: a code is issued once, and whoever has it chooses the first password in every target.

The code is known here while it is made and while it is used, the password only while it is handed to the targets.
Neither is stored, said, logged or part of an exception.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid4

from services.accounts.domain import activation as codes
from services.accounts.domain.activation import Outcome
from services.accounts.handlers.prospects import Prospect, Prospects
from services.accounts.ports import AccountDirectory, Lookup, PasswordRefused, Stamp
from services.accounts.store import activations
from services.accounts.store.activations import Activation
from services.kernel import audit, telemetry
from services.kernel.clock import business_now
from services.kernel.database import Connection, Database
from services.kernel.failures import Failure, Permanent, StaleLease
from services.kernel.faults import CrashPoints
from services.kernel.gate import Withheld
from services.kernel.marks import Mark
from services.kernel.metrics import instruments

log = telemetry.get_logger(__name__)

SERVICE = "accounts"
ITSELF = "urn:stafett:accounts"
HOLDER = "urn:stafett:activation"
"""Who is said to have used a code: whoever had it."""
BUSY_SECONDS, CALL_SECONDS = 60.0, 40.0
"""How long an attempt has the code for itself, and by when its calls to the targets are over."""
PAUSE_SECONDS = 0.5
"""A wrong answer takes at least so long, whatever was wrong."""
_NONE = bytes(32)
"""Compared where there is no code, so that this takes as long; no hash is made of zeros."""
_STANDS = frozenset({Outcome.SET, Outcome.EARLIER})
_NOT_OURS = frozenset({Outcome.WITHHELD, Outcome.SYNCED})


class Verdict(StrEnum):
    """What became of a use of a code. Only after the code was right is anything told but `invalid` and `too_many`."""

    DONE = "done"
    PARTLY = "partly"
    REFUSED = "refused"
    AWAY = "away"
    BUSY = "busy"
    EXPIRED = "expired"
    INVALID = "invalid"
    TOO_MANY = "too_many"


@dataclass(frozen=True)
class Use:
    """The answer to a use: what became of the password by target, and when the way in opens unless it is open."""

    verdict: Verdict
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    opens_at: datetime | None = None
    retry_after: int | None = None


@dataclass(frozen=True)
class Attempt:
    """What somebody sent."""

    name: str
    code: str = field(repr=False)
    password: str = field(repr=False)
    address: str = ""


@dataclass(frozen=True)
class _Claimed:
    id: UUID
    code: Activation
    prospect: Prospect


class Activations:
    """Issues codes and lets them be used.

    Args:
        database: The service's.
        prospects: Reads people.
        directories: What bootstrap made of each target: every write goes through its gate.
        key: What codes are hashed with.
        pause: Seconds that a wrong answer takes at least.
        crash: Called at points where a test may kill the process.
    """

    def __init__(
        self,
        database: Database,
        prospects: Prospects,
        directories: Mapping[str, AccountDirectory],
        key: str,
        *,
        pause: float = PAUSE_SECONDS,
        crash: Callable[[str], None] | None = None,
    ) -> None:
        self.prospects = prospects
        self.crash = crash or CrashPoints()
        self._database = database
        self._directories = directories
        self._key = key
        self._pause = pause

    @property
    def possible(self) -> bool:
        """Whether there is a key."""
        return bool(self._key)

    async def issue(
        self, conn: Connection, organisation: str, person: UUID, *, way: str, actor: str, days: int
    ) -> tuple[Activation, str | None]:
        """Issue a code, which voids the one before; for `manager` it is fetched at once and returned, this once."""
        now = await business_now(conn)
        code = codes.make() if way == "manager" else None
        one = Activation(
            id=uuid4(),
            organisation=organisation,
            person=person,
            state="issued" if code is None else "fetched",
            way=way,
            issued_by=actor,
            issued_at=now,
            fetched_at=None if code is None else now,
            expires_at=now + timedelta(days=days),
            spent_at=None,
            digest=None if code is None else self._digest(code),
            tries=0,
            done=(),
        )
        await activations.issue(conn, one)
        return one, code

    async def fetch(self, conn: Connection, organisation: str, person: UUID) -> tuple[Activation, str] | None:
        """Make the code of an issue that waits to be sent, and return it, this once; None when none waits."""
        code = codes.make()
        found = await activations.fetch(conn, organisation, person, self._digest(code))
        return None if found is None else (found, code)

    async def use(self, attempt: Attempt) -> Use:
        """Set the password in every target where it is still to be set, and spend the code when that is all of them.

        Safe to send again. Two uses at once: one of them has the code, the other one is told so.
        """
        began = asyncio.get_running_loop().time()
        keys = self._keys(attempt)
        async with self._database.transaction() as conn:
            wait = await activations.take(conn, keys)
        found: Use | _Claimed = Use(Verdict.TOO_MANY, retry_after=wait)
        if wait is None:
            found = await self._claim(attempt)
        if isinstance(found, _Claimed):
            self.crash("activation.after_claim")
            found = await self._set(found, attempt)
            self.crash("activation.after_settle")
        if found.verdict is Verdict.INVALID:
            await asyncio.sleep(max(0.0, began + self._pause - asyncio.get_running_loop().time()))
        elif found.verdict is not Verdict.TOO_MANY:
            async with self._database.transaction() as conn:
                await activations.give_back(conn, keys)
        instruments.ACTIVATION.labels(found.verdict).inc()
        log.info("activation.used", verdict=str(found.verdict), targets={t: str(o) for t, o in found.outcomes.items()})
        return found

    async def _claim(self, attempt: Attempt) -> "Use | _Claimed":
        digest = self._digest(attempt.code)
        async with self._database.transaction() as conn:
            held = await activations.named(conn, codes.plain_name(attempt.name))
            # all are compared: which one it was, or none, takes as long
            known = [one.digest or _NONE for one in held] or [_NONE]
            equal = [hmac.compare_digest(one, digest) for one in known]
            right = [one for one, same in zip(held, equal, strict=False) if same]
            if not right:
                await self._count(conn, held)
                return Use(Verdict.INVALID)
            code, now = right[0], await business_now(conn)
            prospect = await self.prospects.read(conn, code.organisation, code.person, now)
            if now >= code.expires_at or prospect is None or not prospect.opens:
                await activations.expire(conn, code.id)
                return Use(Verdict.EXPIRED)
            mine = uuid4()
            if not await activations.claim(conn, code.id, mine, BUSY_SECONDS):
                return Use(Verdict.BUSY)
            return _Claimed(mine, code, prospect)

    async def _count(self, conn: Connection, held: list[Activation]) -> None:
        for organisation, person in await activations.wrong(conn, [one.id for one in held]):
            await audit.record(conn, SERVICE, organisation, ITSELF, "activation.locked", subject=person)

    async def _set(self, claimed: _Claimed, attempt: Attempt) -> Use:
        """Go through the targets one by one; who refuses the password is asked before others are given it in vain."""
        code, prospect = claimed.code, claimed.prospect
        deadline = asyncio.get_running_loop().time() + CALL_SECONDS
        password = codes.plain_password(attempt.password)
        outcomes: dict[str, Outcome] = {}
        for target in sorted(prospect.opens.keys() & self._directories.keys()):
            if target in code.done:
                outcomes[target] = Outcome.EARLIER
            elif Outcome.REFUSED not in outcomes.values():
                outcomes[target] = await self._in_target(target, code, prospect, password, deadline)
                self.crash("activation.after_target")
        use = Use(_verdict(outcomes), outcomes, prospect.opens_at)
        async with self._database.transaction() as conn:
            done = {target for target, outcome in outcomes.items() if outcome in _STANDS}
            await activations.settle(conn, code.id, claimed.id, done, spent=use.verdict is Verdict.DONE)
            await audit.record(
                conn,
                SERVICE,
                code.organisation,
                HOLDER,
                "activation.used",
                subject=code.person,
                parameters={"verdict": str(use.verdict), **{target: str(one) for target, one in outcomes.items()}},
            )
        return use

    async def _in_target(
        self, target: str, code: Activation, prospect: Prospect, password: str, deadline: float
    ) -> Outcome:
        directory, row = self._directories[target], prospect.rows.get(target)
        lookup = Lookup(code.organisation, code.person, entry=row.entry if row else None)
        try:
            found = await directory.find(lookup, deadline=deadline)
            if found.mine is None:
                return Outcome.MISSING
            if found.mine.synced:
                return Outcome.SYNCED
            stamp = Stamp(
                code.organisation,
                code.person,
                found.mine.mark or Mark(0, 0),
                prospect.revision,
                deadline=deadline,
                live=prospect.live.get(target, True),
            )
            await directory.set_password(found.mine, password, stamp)
        except PasswordRefused:
            return Outcome.REFUSED
        except Withheld:
            return Outcome.WITHHELD
        except (Permanent, StaleLease) as failure:
            log.warning("activation.failed", target=target, subject=str(code.person), problem=failure.code)
            return Outcome.FAILED
        except Failure as failure:
            log.info("activation.away", target=target, subject=str(code.person), problem=failure.code)
            return Outcome.AWAY
        return Outcome.SET

    def _digest(self, code: str) -> bytes:
        return codes.digest(self._key, "code", code)

    def _keys(self, attempt: Attempt) -> dict[str, bytes]:
        """Return what attempts are counted by."""
        name, address = codes.plain_name(attempt.name), codes.plain_address(attempt.address)
        said = {"login": name, "address": address, "all": ""}
        return {kind: codes.digest(self._key, kind, value) for kind, value in said.items()}


def _verdict(outcomes: Mapping[str, Outcome]) -> Verdict:
    said = set(outcomes.values())
    if Outcome.REFUSED in said:
        return Verdict.REFUSED
    if said.isdisjoint(_STANDS):
        return Verdict.AWAY
    return Verdict.DONE if said <= _STANDS | _NOT_OURS else Verdict.PARTLY
