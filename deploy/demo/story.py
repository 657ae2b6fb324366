"""The demo, told in order: start, act one, one HR day, one night, and what the directory says to those concerned."""

import time
from datetime import datetime

from deploy.demo import dates, tally
from deploy.demo.acts import Act, NotConvergedError, Stage
from deploy.demo.binds import Binds
from deploy.demo.dates import AFTERNOON, BUSINESS_DATE, MORNING, NEXT_MORNING, ZONE
from deploy.demo.generator import Kind
from deploy.demo.house import House
from deploy.demo.memory import Memory, MemoryFile
from deploy.demo.screen import Screen

Writes = dict[str, dict[str, int]]


class Story:
    """One run of the demo. A run that was interrupted is taken up by the next: every step is safe to repeat."""

    def __init__(self, house: House, screen: Screen) -> None:
        self._house = house
        self._screen = screen
        self._stage = Stage(screen, house)
        self._binds = Binds(house, screen)
        self._file = MemoryFile(house.installation.folder)
        self._memory = Memory()
        self._acts: list[Act] = []
        self._checks: list[tuple[str, bool]] = []
        self._begun = time.monotonic()

    def play(self) -> bool:
        """Play it; tell whether everything converged and all checks held.

        Raises:
            ServerFailedError: Something did not start.
        """
        self._start()
        try:
            if self._memory.finished:
                self._play_again()
            else:
                self._play_first()
        except NotConvergedError as stuck:
            self._screen.say(str(stuck))
            self._check("everything that is due has converged", holds=False)
        else:
            self._check("everything that is due has converged", holds=not tally.failures(self._acts))
            self._examples()
        return self._verdict()

    def _start(self) -> None:
        screen, house = self._screen, self._house
        with screen.phase("Start: PostgreSQL, OpenLDAP, RabbitMQ and the services"):
            house.runtime.up()
            self._memory = self._file.read()
            if not self._memory.pinned and not house.populated:
                house.clock.pin(MORNING)
            self._file.keep(pinned=True)
            screen.say(f"  Business time is {_spoken(house.clock.now())}.")

    def _play_first(self) -> None:
        self._act_one()
        if self._memory.acts < 2:
            self._compare(1, "after act one")
        self._act_two()
        self._table()
        self._compare(2, "after the HR day")
        self._night()
        self._compare(2, "after the night")
        if not tally.failures(self._acts):
            self._file.keep(finished=True)

    def _play_again(self) -> None:
        """The same events once more: nothing may be written to the directory, by its own count."""
        self._screen.say("  The demo has been played here before: the same events are sent once more.")
        self._stage.settle([])
        before = self._writes("before")
        self._act_one()
        self._act_two()
        with self._screen.phase("The binds once more, without writing anything"):
            self._tuesday()
        after = self._writes("after")
        difference = sum(sum(after[key].values()) - sum(before[key].values()) for key in before)
        self._screen.say(f"  The second run has written {difference} times to the directory.")
        self._check("slapd counts no write during the second run", holds=difference == 0)
        duplicates = sum(act.statuses["duplicate"] for act in self._acts)
        sent = sum(len(act.receipts) for act in self._acts)
        self._check(f"all {sent:,} events were recognised as duplicates", holds=duplicates == sent)
        self._compare(2, "now")

    def _act_one(self) -> None:
        told = self._house.acts[0]
        units = sum(one.kind is Kind.UNIT for one in told)
        self._file.keep(acts=max(self._memory.acts, 1))
        with self._screen.phase(f"Act one: {len(told) - units:,} people and {units} units in two organisations"):
            self._acts.append(self._stage.play("one", told))

    def _act_two(self) -> None:
        with self._screen.phase("Act two: one HR day (25 hires, 40 moves, 30 exits, 5 cancelled hires, 1 dismissal)"):
            self._move_clock(AFTERNOON)
            self._file.keep(acts=2)
            self._acts.append(self._stage.play("two", self._house.acts[1]))

    def _night(self) -> None:
        with self._screen.phase("The night to Tuesday, asked of the directory with OpenLDAP's own programs"):
            if self._house.clock.now() < dates.local(dates.days(1), 0):
                for outcome in self._binds.before():
                    self._check(outcome.told, holds=outcome.holds)
                self._file.keep(shown=True)
            elif not self._memory.shown:
                self._screen.say("  It is past Monday already: what held before the night cannot be shown any more.")
            self._move_clock(NEXT_MORNING)
            self._stage.settle([])
            self._tuesday()

    def _tuesday(self) -> None:
        for outcome in self._binds.after():
            self._check(outcome.told, holds=outcome.holds)

    def _move_clock(self, instant: datetime) -> None:
        moved = self._house.clock.advance(instant)
        how = "is moved to" if moved else "is not moved back; it is"
        self._screen.say(f"  Business time {how} {_spoken(self._house.clock.now())}.")

    def _compare(self, acts: int, when: str) -> None:
        self._screen.say(f"\nThe directory {when}, by ldapsearch, beside what events and policy alone lead to:")
        for one in self._house.compare(acts, self._house.clock.now()):
            self._screen.show(one.ran)
            self._screen.say(f"    {one.told}")
            self._check(f"the directory is as the model says {when} ({one.organisation})", holds=not one.differing)
        for units in self._house.compare_units():
            self._screen.show(units.ran)
            self._screen.say(f"    {units.told}")
            self._check(f"units stand where HR says {when} ({units.organisation})", holds=not units.differing)

    def _writes(self, when: str) -> Writes:
        directory = next(iter(self._house.directories.values()))  # the counters are the whole server's
        self._screen.say(f"\nslapd's own count of completed writes, {when}:")
        ran, counts = directory.writes()
        self._screen.show(ran)
        return {"slapd": counts}

    def _table(self) -> None:
        title = f"What became of it, on the afternoon of {BUSINESS_DATE}"
        self._screen.table(title, tally.COLUMNS, tally.rows(self._acts, BUSINESS_DATE))
        self._screen.say("Seconds: from the first event of the act to the last of the kind; all kinds go side by side.")

    def _examples(self) -> None:
        people = {receipt.told.event["id"]: receipt.person for act in self._acts for receipt in act.receipts}
        mover = next(one for one in self._house.acts[1] if one.kind is Kind.MOVE)
        self._screen.say("\nThree people:")
        for role, told in (("joiner", self._binds.joiner), ("mover", mover), ("leaver", self._binds.leaver)):
            person = people[told.event["id"]]
            doors = self._house.doors[told.organisation]
            if person is None:
                continue
            shown = doors.person(person)
            login = next((target["userName"] for target in shown["targets"] if target["userName"]), "-")
            self._screen.say(f"  {role:<7} {shown['name']:<28} {login:<22} {doors.person_url(person)}")
        make = self._house.runtime.make
        self._screen.say(f"\nA token:  {make} token ORG=alvsund")
        self._screen.say(f"Pages:    {self._house.installation.services['portal'].url}        (choose who to be)")
        ingestion, status = (self._house.installation.services[name].url for name in ("ingestion", "status"))
        token = f"$({make} -s token ORG=alvsund)"
        self._screen.say(f'Look:     curl -H "Authorization: Bearer {token}" {status}/v1/summary')
        self._screen.say(f"Send:     POST {ingestion}/v1/events       Directory: {self._house.installation.slapd.url}")

    def _check(self, what: str, *, holds: bool) -> None:
        self._checks.append((what, holds))

    def _verdict(self) -> bool:
        screen = self._screen
        screen.say("\nChecked:")
        for what, holds in self._checks:
            screen.say(f"  {'ok    ' if holds else 'FAILED'} {what}")
        screen.say("\nTime:")
        for name, seconds in screen.phases:
            screen.say(f"  {seconds:6.1f} s  {name}")
        whole = time.monotonic() - self._begun
        screen.say(f"  {whole - sum(seconds for _, seconds in screen.phases):6.1f} s  between: waiting and comparing")
        screen.say(f"  {whole:6.1f} s  in all")
        return all(holds for _, holds in self._checks)


def _spoken(instant: datetime) -> str:
    return f"{instant.astimezone(ZONE):%A %Y-%m-%d %H:%M}"
