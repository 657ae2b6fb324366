"""Work rows on real PostgreSQL: no wake-up is lost, a zombie completes nothing, an outage burns no attempts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg
import structlog
from typing_extensions import override

from contracts.codes import Lane, StepState
from services.kernel import breaker, oversight, work
from services.kernel.clock import business_now, set_offset
from services.kernel.database import Connection, Database
from services.kernel.executor import Executor
from services.kernel.failures import Failure, Held, Permanent, Throttled, Transient, Unavailable, Waiting
from services.kernel.messaging.outbox import Outgoing
from services.kernel.work import Claim, Completion, Outcome, Wake, WorkKey
from tests.support.kernel import background, eventually

KEY = WorkKey("alvsund", "person", "p1", "directory")
Pass = Callable[[Claim], Awaitable[Outcome]]


class Recorder:
    """A performer that does what the test says and remembers its claims."""

    def __init__(self, act: Pass) -> None:
        self.act = act
        self.claims: list[Claim] = []
        self.settled: list[Claim] = []
        self.probes = 0
        self.away = False

    async def load(self, conn: Connection, claims: Sequence[Claim]) -> Sequence[None]:
        return [None] * len(claims)

    async def perform(self, claim: Claim, context: None) -> Outcome:
        self.claims.append(claim)
        return await self.act(claim)

    async def settle(self, conn: Connection, done: Sequence[tuple[Claim, Outcome]]) -> None:
        self.settled.extend(claim for claim, _ in done)

    def failed(
        self, claim: Claim, context: None, failure: Failure, state: StepState, retry_at: datetime | None
    ) -> Sequence[Outgoing]:
        return ()

    def removes(self, claim: Claim, context: None) -> bool:
        return False

    async def probe(self) -> None:
        self.probes += 1
        if self.away:
            raise Unavailable("directory.away")


class Looks(Database):
    """A database that counts its transactions."""

    def __init__(self, database: Database) -> None:
        self._other = database
        self._count = 0

    @override
    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self._other.transaction() as conn:
            yield conn
        self._count += 1

    def at_least(self, count: int) -> Callable[[], Awaitable[bool]]:
        async def reached() -> bool:
            return self._count >= count

        return reached


async def nothing(claim: Claim) -> Outcome:
    return Outcome(due_at=None)


def executor(database: Database, performer: Recorder, *, lease: float = 5.0, slots: int = 8) -> Executor:
    return Executor(
        "directory",
        performer,
        database,
        generation=1,
        lease_seconds=lease,
        slots=slots,
        reserved_express=2,
        on_commit=lambda: None,
        crash=lambda _: None,
    )


async def wake(database: Database, *wakes: Wake) -> None:
    async with database.transaction() as conn:
        await work.raise_wanted(conn, wakes)


def row(admin: psycopg.Connection, columns: str, subject: str = "p1") -> tuple[object, ...]:
    found = admin.execute(f"SELECT {columns} FROM accounts.work WHERE subject = %s".encode(), (subject,)).fetchone()
    assert found is not None
    return found


def rests(admin: psycopg.Connection, subject: str = "p1") -> Callable[[], Awaitable[bool]]:
    async def idle() -> bool:
        return bool(row(admin, "wanted = done AND lease_until IS NULL", subject)[0])

    return idle


async def test_a_wake_up_during_a_pass_is_never_overwritten(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    passes = 0

    async def raises_itself(claim: Claim) -> Outcome:
        nonlocal passes
        passes += 1
        if passes <= 3:
            await wake(accounts_database, Wake(KEY))
        return Outcome(due_at=None)

    performer = Recorder(raises_itself)
    await wake(accounts_database, Wake(KEY))
    async with background(executor(accounts_database, performer).run()):
        await eventually(rests(admin))
    assert passes == 4
    assert row(admin, "wanted, done, state") == (4, 4, "idle")


async def test_concurrent_wake_ups_and_workers_leave_nothing_undone(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    performer = Recorder(nothing)
    keys = [WorkKey("alvsund", "person", f"p{n}", "directory") for n in range(40)]

    async def wake_many() -> None:
        for _ in range(10):
            await wake(accounts_database, *(Wake(key) for key in keys))

    async with (
        background(executor(accounts_database, performer).run()),
        background(executor(accounts_database, performer).run()),
    ):
        await asyncio.gather(*(wake_many() for _ in range(4)))

        async def all_rest() -> bool:
            return admin.execute("SELECT count(*) FROM accounts.work WHERE wanted <> done").fetchone() == (0,)

        await eventually(all_rest)
    assert {claim.key for claim in performer.claims} == set(keys)
    epochs = [(claim.key, claim.epoch) for claim in performer.claims]
    assert len(set(epochs)) == len(epochs), "an epoch is claimed once"


async def test_a_zombie_completes_nothing_and_its_subject_is_looked_at_again(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    await wake(accounts_database, Wake(KEY))
    async with accounts_database.transaction() as conn:
        old = await work.claim(conn, "directory", limit=1, lease_seconds=0.01, generation=1, express_only=False)
    await asyncio.sleep(0.05)
    async with accounts_database.transaction() as conn:
        new = await work.claim(conn, "directory", limit=1, lease_seconds=30, generation=1, express_only=False)
    assert (old[0].epoch, new[0].epoch) == (1, 2)
    assert not old[0].takeover
    assert new[0].takeover
    async with accounts_database.transaction() as conn:
        assert await work.complete(conn, [completion(old[0])]) == set()
    async with accounts_database.transaction() as conn:
        assert await work.complete(conn, [completion(new[0])]) == {KEY}


def completion(claim: Claim) -> Completion:
    return Completion(claim, True, None, False, None, "idle", 0, None)


async def test_a_pass_is_cut_off_before_its_lease_ends(accounts_database: Database, admin: psycopg.Connection) -> None:
    async def hangs(claim: Claim) -> Outcome:
        await asyncio.Event().wait()
        return Outcome(due_at=None)

    await wake(accounts_database, Wake(KEY))
    async with background(executor(accounts_database, Recorder(hangs), lease=0.5).run()):
        await eventually(rests(admin))
    assert row(admin, "state, problem->>'code', lease_epoch") == ("retrying", "work.deadline", 1)


async def test_classes_of_failure_park_wait_retry_or_hold(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    failures: dict[str, Failure] = {
        "permanent": Permanent("schema.refused"),
        "waiting": Waiting("unit.unknown"),
        "transient": Transient("timeout"),
        "held": Held("guard.held"),
    }

    async def fails(claim: Claim) -> Outcome:
        raise failures[claim.key.subject]

    performer = Recorder(fails)
    await wake(accounts_database, *(Wake(WorkKey("alvsund", "person", name, "directory")) for name in failures))
    async with background(executor(accounts_database, performer).run()):
        for name in failures:
            await eventually(rests(admin, name))
    assert row(admin, "state, retry_at IS NULL, problem->>'code'", "permanent") == ("parked", True, "schema.refused")
    assert row(admin, "state, retry_at > now() + interval '4 minutes'", "waiting") == ("waiting", True)
    assert row(admin, "state, retry_at IS NOT NULL", "transient") == ("retrying", True)
    assert row(admin, "state, retry_at IS NULL", "held") == ("held", True)


async def test_an_unknown_failure_is_retried_and_does_not_stop_the_others(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    async def breaks_once(claim: Claim) -> Outcome:
        if claim.key.subject == "p1":
            raise KeyError("bug")
        return Outcome(due_at=None)

    performer = Recorder(breaks_once)
    await wake(accounts_database, Wake(KEY), Wake(WorkKey("alvsund", "person", "p2", "directory")))
    async with background(executor(accounts_database, performer).run()):
        await eventually(rests(admin))
        await eventually(rests(admin, "p2"))
    assert row(admin, "state, problem->>'code'") == ("retrying", "work.unexpected")
    assert row(admin, "state", "p2") == ("idle",)


async def test_a_failure_before_the_boundary_is_known_keeps_the_one_ahead(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    async def permanent(claim: Claim) -> Outcome:
        raise Permanent("x")

    await wake(accounts_database, Wake(KEY))
    admin.execute("UPDATE accounts.work SET due_at = now() + interval '1 day'")
    async with background(executor(accounts_database, Recorder(permanent)).run()):
        await eventually(rests(admin))
    assert row(admin, "state, due_at > now()") == ("parked", True)


async def test_an_outage_opens_the_breaker_burns_no_attempts_and_closes_by_a_probe(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    performer = Recorder(nothing)
    performer.away = True

    async def away(claim: Claim) -> Outcome:
        if performer.away:
            raise Unavailable("directory.away")
        return Outcome(due_at=None)

    performer.act = away
    await wake(accounts_database, Wake(KEY))
    async with background(executor(accounts_database, performer).run()):

        async def probed() -> bool:
            return performer.probes >= 2

        await eventually(probed)
        assert row(admin, "attempts") == (0,)
        claims = len(performer.claims)
        performer.away = False

        async def closed() -> bool:
            found = admin.execute("SELECT opened_at FROM accounts.breaker").fetchone()
            return found == (None,) and row(admin, "state") == ("idle",)

        await eventually(closed)
    assert claims <= 2, "nothing is claimed while the target is away"


async def test_throttling_waits_for_the_whole_target(accounts_database: Database, admin: psycopg.Connection) -> None:
    async def throttled(claim: Claim) -> Outcome:
        if claim.epoch == 1:
            raise Throttled("target.throttled", retry_after=1.0)
        return Outcome(due_at=None)

    performer = Recorder(throttled)
    await wake(accounts_database, Wake(KEY))
    async with background(executor(accounts_database, performer).run()):

        async def resumed() -> bool:
            return len(performer.claims) == 2 and row(admin, "state") == ("idle",)

        await eventually(resumed)
    gap = performer.claims[1].recorded_at - performer.claims[0].recorded_at
    assert gap >= timedelta(seconds=0.9)


async def test_a_due_time_fires_when_business_time_reaches_it_and_only_once(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    due: list[datetime] = []

    async def once(claim: Claim) -> Outcome:
        if not due:
            due.append(claim.business_now + timedelta(days=30))
            return Outcome(due_at=due[0], removes_next=True)
        return Outcome(due_at=None)

    performer = Recorder(once)
    await wake(accounts_database, Wake(KEY))
    async with background(executor(accounts_database, performer).run()):
        await eventually(rests(admin))
        assert len(performer.claims) == 1
        async with accounts_database.transaction() as conn:
            await set_offset(conn, timedelta(days=31))

        async def fired() -> bool:
            return len(performer.claims) == 2 and row(admin, "due_at") == (None,)

        await eventually(fired)
        await asyncio.sleep(0.5)
    assert len(performer.claims) == 2
    assert performer.claims[1].removal, "the boundary was known to remove"


async def test_express_is_claimed_first_and_has_slots_of_its_own(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    gate = asyncio.Event()

    async def blocked(claim: Claim) -> Outcome:
        if claim.lane is Lane.BULK:
            await gate.wait()
        return Outcome(due_at=None)

    performer = Recorder(blocked)
    bulk = [Wake(WorkKey("alvsund", "person", f"b{n:03}", "directory")) for n in range(50)]
    await wake(accounts_database, *bulk)
    async with background(executor(accounts_database, performer, lease=30).run()):

        async def full() -> bool:
            return len(performer.claims) == 6

        await eventually(full)
        await wake(accounts_database, Wake(WorkKey("alvsund", "person", "urgent", "directory"), Lane.EXPRESS, True))
        await eventually(rests(admin, "urgent"))
        assert row(admin, "lane, removal", "urgent") == (1, False), "completion returns a row to bulk"
        gate.set()


async def test_a_command_wakes_parked_work(accounts_database: Database, admin: psycopg.Connection) -> None:
    async def parks_once(claim: Claim) -> Outcome:
        if claim.epoch == 1:
            raise Permanent("x")
        return Outcome(due_at=None)

    await wake(accounts_database, Wake(KEY))
    async with background(executor(accounts_database, Recorder(parks_once)).run()):
        await eventually(rests(admin))
        assert row(admin, "state") == ("parked",)
        async with accounts_database.transaction() as conn:
            assert await oversight.wake_troubled(conn, "alvsund", subject="p1", target=None) == 1
            assert await oversight.wake_troubled(conn, "bergby", subject="p1", target=None) == 0

        async def mended() -> bool:
            return row(admin, "state") == ("idle",)

        await eventually(mended)


async def test_nothing_is_claimed_for_a_paused_target_until_it_is_resumed(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    performer = Recorder(nothing)
    async with accounts_database.transaction() as conn:
        why = {"reason": "flytt av katalogen", "organisation": "alvsund"}
        assert await breaker.pause(conn, "accounts", "directory", actor="drift", **why)
        assert not await breaker.pause(conn, "accounts", "directory", actor="en annan", **why), "the first one stands"
    await wake(accounts_database, Wake(KEY, Lane.EXPRESS, removal=True))
    looks = Looks(accounts_database)
    async with background(executor(looks, performer).run()):
        await eventually(looks.at_least(5))
        assert performer.claims == []
        assert performer.probes == 0, "it is not away"
        async with accounts_database.transaction() as conn:
            assert await breaker.resume(conn, "accounts", "directory")
            assert not await breaker.resume(conn, "accounts", "directory")
        await eventually(rests(admin))
    assert len(performer.claims) == 1


async def test_nothing_is_claimed_while_the_breaker_cannot_be_asked(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    performer = Recorder(nothing)
    async with accounts_database.transaction() as conn:
        assert await breaker.pause(
            conn, "accounts", "directory", organisation="alvsund", actor="disa", reason="katalogen flyttas"
        )
    await wake(accounts_database, Wake(KEY))
    admin.execute("ALTER TABLE accounts.breaker RENAME COLUMN paused_at TO not_here_yet")
    looks = Looks(accounts_database)
    with structlog.testing.capture_logs() as said:
        async with background(executor(looks, performer).run()) as running:

            async def asked_twice() -> bool:
                return len([one for one in said if one["event"] == "work.interrupted"]) >= 2

            await eventually(asked_twice)
            assert performer.claims == []
            assert not running.done(), "a service whose tables are not there waits for them"
            admin.execute("ALTER TABLE accounts.breaker RENAME COLUMN not_here_yet TO paused_at")
            await eventually(looks.at_least(3))
            assert performer.claims == [], "it is paused"
            async with accounts_database.transaction() as conn:
                assert await breaker.resume(conn, "accounts", "directory")
            await eventually(rests(admin))
    assert len(performer.claims) == 1


async def test_everybody_is_looked_at_again_on_command_and_only_of_ones_own_organisation(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    performer = Recorder(nothing)
    keys = [WorkKey(where, "person", f"p{n}", "directory") for where in ("alvsund", "bergby") for n in range(3)]
    await wake(accounts_database, *map(Wake, keys))

    async def looked_at(times: int) -> bool:
        return len(performer.claims) == times

    async with background(executor(accounts_database, performer).run()):
        await eventually(lambda: looked_at(6))
        async with accounts_database.transaction() as conn:
            assert await oversight.look_again(conn, "alvsund", subject=None, target=None) == 3
        await eventually(lambda: looked_at(9))
        async with accounts_database.transaction() as conn:
            assert await oversight.look_again(conn, "alvsund", subject="p1", target="directory") == 1
            assert await oversight.look_again(conn, "alvsund", subject="p1", target="phones") == 0
        await eventually(lambda: looked_at(10))
        await eventually(rests(admin, "p1"))
    assert {claim.key.organisation for claim in performer.claims[6:]} == {"alvsund"}
    assert performer.claims[-1].lane is Lane.EXPRESS


async def test_who_asked_for_a_pass_is_owed_an_answer_until_one_has_ended_well(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    async def fails_once(claim: Claim) -> Outcome:
        if claim.asked_at is not None and claim.attempt == 1:
            raise Transient("x")
        return Outcome(due_at=None)

    performer = Recorder(fails_once)
    await wake(accounts_database, *(Wake(replace(KEY, subject=f"p{n}")) for n in range(1, 4)))
    async with background(executor(accounts_database, performer).run()):
        for subject in ("p1", "p2", "p3"):
            await eventually(rests(admin, subject))
        async with accounts_database.transaction() as conn:
            await oversight.stagger(conn, "alvsund", "person", "directory", per_second=100)
        await eventually(lambda: _count(performer, 6))
        async with accounts_database.transaction() as conn:
            assert await oversight.look_again(conn, "alvsund", subject=None, target=None) == 3

        async def answered() -> bool:
            return admin.execute("SELECT count(*) FROM accounts.work WHERE asked_at IS NOT NULL").fetchone() == (0,)

        await eventually(answered)
    asked = [claim.asked_at is not None for claim in performer.claims]
    assert asked == [False] * 6 + [True] * 6, "each once in vain and once well; a change of policy asks nobody"


async def _count(performer: Recorder, claims: int) -> bool:
    return len(performer.claims) == claims


async def test_asking_again_does_not_make_an_overdue_removal_young(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    keys = [replace(KEY, subject=f"p{n}") for n in range(1, 3)]
    await wake(accounts_database, *(Wake(key, removal=True) for key in keys))
    admin.execute("UPDATE accounts.work SET raised_at = now() - interval '1 hour', state = 'retrying'")
    async with accounts_database.transaction() as conn:
        await oversight.look_again(conn, "alvsund", subject="p1", target=None)
        await oversight.wake_troubled(conn, "alvsund", subject=None, target=None)
        await oversight.wake_decided(conn, "alvsund", [("p1", "directory")])
        assert await oversight.overdue(conn, "directory") == [("wanted", 2)]


async def test_whoever_is_looked_at_again_starts_over_when_parked(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    await wake(accounts_database, *(Wake(replace(KEY, subject=f"p{n}")) for n in range(1, 3)))
    for ask in ("p1", None):
        admin.execute("UPDATE accounts.work SET attempts = 12, state = 'parked'")
        async with accounts_database.transaction() as conn:
            await oversight.look_again(conn, "alvsund", subject=ask, target=None)
        assert row(admin, "attempts") == (0,)
    assert row(admin, "attempts", "p2") == (0,)


async def test_claiming_uses_its_indexes(accounts_database: Database, admin: psycopg.Connection) -> None:
    admin.execute(
        "INSERT INTO accounts.work (organisation, kind, subject, target, wanted, done, due_at)"
        " SELECT 'alvsund', 'person', n::text, 'directory', 1, CASE WHEN n % 100 = 0 THEN 0 ELSE 1 END,"
        " now() + n * interval '1 hour' FROM generate_series(1, 20000) n"
    )
    admin.execute("ANALYZE accounts.work")
    admin.execute("SET search_path = accounts")
    plan = "\n".join(
        line[0]
        for line in admin.execute(
            b"EXPLAIN " + work._CLAIM.encode(),
            {"target": "directory", "limit": 28, "lease": 5.0, "generation": 1},
        ).fetchall()
    )
    assert "Seq Scan on work" not in plan, plan


async def test_a_time_that_was_scheduled_asks_for_no_pass_before_it_and_survives_one_under_way(
    accounts_database: Database, admin: psycopg.Connection
) -> None:
    async def schedule(days: int) -> None:
        async with accounts_database.transaction() as conn:
            await work.schedule(conn, {KEY: (await business_now(conn) + timedelta(days=days), None)})

    async def is_told_another_time(claim: Claim) -> Outcome:
        looks = [known for known in performer.claims if known.key == KEY]
        if claim.key == KEY and len(looks) == 1:
            await schedule(60)
        return Outcome(due_at=claim.business_now + timedelta(days=60) if len(looks) == 2 else None)

    performer = Recorder(is_told_another_time)
    await schedule(30)
    async with background(executor(accounts_database, performer).run()):
        await wake(accounts_database, Wake(replace(KEY, subject="p2")))
        await eventually(rests(admin, "p2"))
        assert [claim.key.subject for claim in performer.claims] == ["p2"], "the other is not looked at before its time"
        performer.claims.clear()
        async with accounts_database.transaction() as conn:
            await set_offset(conn, timedelta(days=31))
        await eventually(rests(admin))

        async def looked_again() -> bool:
            return len(performer.claims) == 2

        await eventually(looked_again)
        await eventually(rests(admin))
    assert row(admin, "due_at IS NOT NULL") == (True,)
