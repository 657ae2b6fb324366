"""No wake-up is lost: whatever the order of asking, claiming, dying and completing, a pass that began later is kept."""

import asyncio
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from typing_extensions import override

from services.kernel import work
from services.kernel.database import Connection, Database
from services.kernel.work import Claim, Completion, Wake, WorkKey
from tests.support.kernel import database_url

SUBJECTS = st.sampled_from(("p1", "p2", "p3"))
DUE = st.sampled_from((None, timedelta(days=-1), timedelta(days=1)))
_targets = count()


class Wakeups(RuleBasedStateMachine):
    """`asked` counts the reasons to look at a subject; `served` is how many of them the kept passes have seen."""

    runner: asyncio.Runner
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.target = f"target-{next(_targets)}"
        self.asked: dict[str, int] = {}
        self.served: dict[str, int] = {}
        self.by_date: dict[str, int] = {}
        self.kept: dict[str, int] = {}
        self.open: list[tuple[Claim, int]] = []

    def key(self, subject: str) -> WorkKey:
        return WorkKey("alvsund", "person", subject, self.target)

    def run(self, act: Any) -> Any:
        async def transaction() -> Any:
            async with self.database.transaction() as conn:
                return await act(conn)

        return self.runner.run(transaction())

    def ask(self, subject: str) -> None:
        self.asked[subject] = self.asked.get(subject, 0) + 1

    @rule(subjects=st.lists(SUBJECTS, min_size=1, max_size=3, unique=True))
    def wake(self, subjects: list[str]) -> None:
        self.run(lambda conn: work.raise_wanted(conn, [Wake(self.key(subject)) for subject in subjects]))
        for subject in subjects:
            self.ask(subject)

    @rule(subject=SUBJECTS, due=DUE)
    def schedule(self, subject: str, due: timedelta | None) -> None:
        async def act(conn: Connection) -> None:
            await work.schedule(conn, {self.key(subject): (await _at(conn, due), None)})

        self.run(act)
        by_date = self.by_date.pop(subject, 0)
        if by_date == self.asked.get(subject, 0) > self.served.get(subject, 0):
            self.asked[subject] -= 1  # another time replaces the one before, unless that has been served
        if due is not None and due < timedelta():
            self.ask(subject)
            self.by_date[subject] = self.asked[subject]

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        self._claim(limit)

    def _claim(self, limit: int) -> int:
        claims = self.run(
            lambda conn: work.claim(conn, self.target, limit=limit, lease_seconds=60, generation=1, express_only=False)
        )
        self.open += [(claim, self.asked.get(claim.key.subject, 0)) for claim in claims]
        return len(claims)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), due=DUE, fails=st.booleans())
    def complete(self, data: st.DataObject, due: timedelta | None, fails: bool) -> None:
        claim, seen = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self._complete(claim, seen, due, fails=fails)

    def _complete(self, claim: Claim, seen: int, due: timedelta | None = None, *, fails: bool = False) -> None:
        async def act(conn: Connection) -> set[WorkKey]:
            completion = Completion(
                claim=claim,
                due_known=not fails,
                due_at=None if fails else await _at(conn, due),
                removes_next=False,
                retry_in=0.0 if fails else None,
                state="retrying" if fails else "idle",
                attempts=claim.attempt if fails else 0,
                problem='{"code":"test"}' if fails else None,
            )
            return await work.complete(conn, [completion])

        subject = claim.key.subject
        if self.run(act):
            assert claim.epoch > self.kept.get(subject, 0), "an older pass completed after a newer one"
            self.kept[subject] = claim.epoch
            if not fails:
                self.served[subject] = seen

    @rule()
    def everybody_dies(self) -> None:
        """Leases end, holders live on as zombies and may complete later."""
        self.run(
            lambda conn: conn.execute(
                "UPDATE work SET lease_until = now() - interval '1 second'"
                " WHERE target = %s AND lease_until IS NOT NULL",
                (self.target,),
            )
        )

    @override
    def teardown(self) -> None:
        self.everybody_dies()
        for _ in range(50):
            self.open.clear()
            if not self._claim(3):
                break
            for claim, seen in self.open:
                self._complete(claim, seen)
        else:
            raise AssertionError("it never comes to rest")
        lost = {subject for subject, asked in self.asked.items() if self.served.get(subject, 0) < asked}
        assert not lost


async def _at(conn: Connection, due: timedelta | None) -> datetime | None:
    cursor = await conn.execute("SELECT now()")
    row = await cursor.fetchone()
    assert row is not None
    now: datetime = row[0]
    return None if due is None else now + due


def test_whatever_the_order_every_wake_up_is_served(admin_url: str) -> None:
    with asyncio.Runner() as runner:
        Wakeups.runner, Wakeups.database = runner, Database(database_url(admin_url, "accounts"), name="accounts")
        runner.run(Wakeups.database.open())
        try:
            run_state_machine_as_test(
                Wakeups,
                settings=settings(
                    max_examples=60,
                    stateful_step_count=25,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(Wakeups.database.close())
