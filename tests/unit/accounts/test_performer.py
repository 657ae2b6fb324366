"""One pass over a directory in memory: lost answers, zombies, the guard, normalising servers."""

from collections.abc import Mapping, Set
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from typing_extensions import override

from contracts.codes import AccountState, EndReason, Lane, Protection, Reason, StepState
from contracts.person import CoreRecord, Name, PersonChanged
from services.accounts.domain.desired import ReservedNames
from services.accounts.domain.grants import Grant
from services.accounts.domain.managers import Superior
from services.accounts.domain.names import Naming
from services.accounts.domain.other_hand import STATE, Decided, Hands, Rule, Verdict, digest
from services.accounts.domain.plan import echo
from services.accounts.handlers.conclusion import Result
from services.accounts.handlers.gate import Gate
from services.accounts.handlers.performer import AccountPerformer
from services.accounts.handlers.situation import Situation
from services.accounts.ports import AccountDirectory, Admission, Found, Lookup, RemovalRequest
from services.accounts.store.accounts import AccountRow
from services.accounts.store.takeover import Adoption
from services.kernel.failures import Held, Permanent, StaleLease, Transient, Unavailable, Waiting
from services.kernel.gate import Mode, Rules
from services.kernel.guard import Budget
from services.kernel.marks import Mark
from services.kernel.settings import OrganisationSettings
from services.kernel.work import Claim, Outcome, WorkKey
from tests.support.directory import MemoryDirectory
from tests.unit.accounts.builders import NAMES, UNITS, ZONE, employment, entitlements, record, utc

NOW = utc(2027, 3, 15, 11)
ORGANISATION = OrganisationSettings("alvsund", "A", ZONE, "x.example", "x.example", {"openldap": "dc=x"}, frozenset())
PERSON = uuid4()


class FakeLedger:
    """Admits until told otherwise, and has names without end."""

    def __init__(self) -> None:
        self.requests: list[RemovalRequest] = []
        self.hold: UUID | None = None
        self.handed_out = 1
        self.concealed = 0
        self.neutral = False
        self.owned: set[Grant] = set()

    async def conceal(self, organisation: str, person: UUID) -> None:
        del organisation, person
        self.concealed += 1

    async def next_names(
        self, organisation: str, person: UUID, present: ReservedNames, rule: Naming, *, login: bool, mail: bool
    ) -> ReservedNames:
        del organisation, person, rule
        self.handed_out += 1
        number = self.handed_out
        stem = "user" if self.neutral else "anna.andersson"
        return ReservedNames(
            f"{stem}{number}" if login else present.login,
            (f"anna.andersson{number}@x.example",) if mail else present.mails,
        )

    async def own(self, organisation: str, person: UUID, target: str, grants: Set[Grant]) -> None:
        del organisation, person, target
        self.owned |= grants

    async def give_anew(self, organisation: str, person: UUID, target: str) -> Mapping[Grant, bool]:
        del organisation, person, target
        return dict.fromkeys(self.owned, False)

    async def admit(self, request: RemovalRequest) -> Admission:
        self.requests.append(request)
        return Admission(self.hold is None, self.hold)


class Rig:
    """A performer over memory, which remembers the row like settle does."""

    def __init__(self, core: CoreRecord) -> None:
        self.directory = MemoryDirectory()
        self.ledger = FakeLedger()
        self.performer = AccountPerformer(self.directory, self.ledger, reader=None)  # type: ignore[arg-type]
        self.core = core
        self.row: AccountRow | None = None
        self.names: ReservedNames | None = NAMES
        self.epoch = 0
        self.revision = 1

    def situation(self, **values: Any) -> Situation:
        event = PersonChanged(
            organisation="alvsund", person=PERSON, revision=self.revision, case_id=uuid4(), reason=Reason.HIRE,
            effective_at=NOW, accepted_at=NOW, record=self.core,
        )  # fmt: skip
        situation = Situation(
            ORGANISATION, event, entitlements(self.core), UNITS, self.names, self.row, policy_hash="p"
        )
        return replace(situation, **values)

    def claim(self, now: datetime = NOW, **values: Any) -> Claim:
        self.epoch += 1
        fields: dict[str, Any] = {
            "key": WorkKey("alvsund", "person", str(PERSON), "openldap"), "generation": 1, "epoch": self.epoch,
            "captured": 1, "attempt": 1, "lane": Lane.BULK, "removal": False, "takeover": False, "business_now": now,
            "recorded_at": now,
        }  # fmt: skip
        return Claim(**{**fields, **values})

    async def turn(
        self,
        now: datetime = NOW,
        *,
        claim: Claim | None = None,
        directory: AccountDirectory | None = None,
        **values: Any,
    ) -> Outcome:
        own = self.performer._directory
        self.performer._directory = directory or own
        try:
            outcome = await self.performer.perform(claim or self.claim(now), self.situation(**values))
        finally:
            self.performer._directory = own
        if isinstance(outcome.result, Result):
            self.row = outcome.result.row
        return outcome

    @property
    def only(self) -> Any:
        (entry,) = self.directory.entries.values()
        return entry


def said(outcome: Outcome) -> list[str]:
    return [message.event.type.removeprefix("se.stafett.").removesuffix(".v1") for message in outcome.messages]


async def test_a_second_pass_writes_nothing_and_says_nothing() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    assert said(await rig.turn()) == ["step.recorded", "account.changed", "service.evaluated"]
    again = await rig.turn()
    assert (rig.directory.writes, again.messages, again.result) == (1, (), None)


async def test_a_write_whose_answer_was_lost_is_not_done_again() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    rig.directory.answer_lost = True
    with pytest.raises(Unavailable):
        await rig.turn()
    outcome = await rig.turn()
    assert rig.directory.writes == 1
    assert said(outcome) == ["account.changed", "service.evaluated"]


async def test_nothing_names_the_person() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    outcome = await rig.turn()
    failed = rig.performer.failed(rig.claim(), rig.situation(), Permanent("x"), StepState.PARKED, None)
    for message in (*outcome.messages, *failed):
        if message.event.type != "se.stafett.account.changed.v1":
            assert "nderss" not in message.event.model_dump_json(serialize_as_any=True)


async def test_a_newer_mark_makes_a_pass_stale_even_with_nothing_to_change() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    await rig.turn()
    rig.only.mark = Mark(1, 99)
    with pytest.raises(StaleLease):
        await rig.turn()


async def test_a_takeover_swaps_the_mark_before_anything_else() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    await rig.turn()
    await rig.turn(claim=rig.claim(takeover=True))
    assert (rig.directory.writes, rig.only.mark) == (2, Mark(1, 2))


async def test_a_takeover_that_deletes_swaps_the_mark_first() -> None:
    job = employment(date(2027, 3, 20))
    rig = Rig(record(job))
    await rig.turn()
    rig.core = record(job.model_copy(update={"cancelled": True}))
    await rig.turn(claim=rig.claim(takeover=True))
    assert (rig.directory.writes, rig.directory.entries) == (3, {})


async def test_a_server_that_normalises_is_written_once() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    rig.directory.returns = str.lower
    await rig.turn()
    await rig.turn()
    assert rig.directory.writes == 1


async def test_a_value_that_the_server_cannot_hold_is_cut_and_written_once() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    rig.directory.limits = {"displayName": 4}
    await rig.turn()
    again = await rig.turn()
    assert rig.only.attributes["displayName"] == ("Anna",)
    assert (rig.directory.writes, again.messages) == (1, ())


async def test_a_server_that_loses_values_is_never_called_verified() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    rig.directory.returns = lambda value: value[:3]
    with pytest.raises(Transient, match="not_verified"):
        await rig.turn()


async def test_a_held_removal_leaves_the_rest_and_lapses_when_it_is_not_wanted_any_more() -> None:
    job = employment(date(2027, 1, 1))
    rig = Rig(record(job))
    await rig.turn()
    rig.ledger.hold = uuid4()
    ended = job.model_copy(update={"valid_to": date(2027, 3, 14), "end_stated_at": NOW})
    rig.core, rig.revision = record(ended), 2
    rig.names = ReservedNames(NAMES.login, ("new@x.example", *NAMES.mails))
    outcome = await rig.turn()
    assert isinstance(outcome.problem, Held)
    assert outcome.problem.parameters["hold"] == str(rig.ledger.hold)
    assert (rig.only.enabled, rig.only.attributes["mail"][0]) == (True, "new@x.example")
    assert outcome.messages[0].event.data.code == "account.disabled"
    rig.core, rig.revision = record(job), 3
    outcome = await rig.turn()
    assert outcome.problem is None
    assert isinstance(outcome.result, Result)
    assert outcome.result.lapsed


@pytest.mark.parametrize(
    ("values", "budget"),
    [
        ({"end_stated_at": utc(2027, 3, 10)}, Budget.NORMAL),
        ({"end_stated_at": utc(2027, 3, 1)}, Budget.NORMAL),
        ({"end_stated_at": NOW, "end_reason": EndReason.DISMISSAL}, Budget.URGENT),
        ({"end_stated_at": NOW, "ends_at": utc(2027, 1, 9), "end_reason": EndReason.DEATH}, Budget.URGENT),
        ({}, Budget.NORMAL),
    ],
)
async def test_the_budget_is_that_of_the_end(values: dict[str, Any], budget: Budget) -> None:
    job = employment(date(2027, 1, 1))
    rig = Rig(record(job))
    await rig.turn(utc(2027, 2, 1))
    rig.core = record(job.model_copy(update={"valid_to": date(2027, 3, 14), **values}))
    await rig.turn()
    assert [request.budget for request in rig.ledger.requests] == [budget]


@pytest.mark.parametrize(
    ("stated", "told", "budget"),
    [
        (utc(2027, 3, 1), utc(2027, 3, 2), Budget.ANNOUNCED),
        (utc(2027, 3, 1), utc(2027, 3, 10), Budget.NORMAL),
        (utc(2027, 3, 10), utc(2027, 3, 2), Budget.NORMAL),
    ],
)
async def test_an_end_counts_as_announced_when_it_was_stated_and_known_here_for_seven_days(
    stated: datetime, told: datetime, budget: Budget
) -> None:
    job = employment(date(2027, 1, 1))
    rig = Rig(record(job))
    await rig.turn(utc(2027, 2, 1))
    rig.core, rig.revision = record(job.model_copy(update={"valid_to": date(2027, 3, 14), "end_stated_at": stated})), 2
    await rig.turn(told)
    await rig.turn()
    assert [request.budget for request in rig.ledger.requests] == [budget]


async def test_an_end_that_moves_is_known_from_then_on() -> None:
    job = employment(date(2027, 1, 1), date(2027, 12, 31), end_stated_at=utc(2027, 1, 1))
    rig = Rig(record(job))
    await rig.turn(utc(2027, 2, 1))
    rig.core, rig.revision = record(job.model_copy(update={"valid_to": date(2027, 3, 14)})), 2
    await rig.turn(utc(2027, 3, 13))
    await rig.turn()
    assert [request.budget for request in rig.ledger.requests] == [Budget.NORMAL]


async def test_a_cancelled_rehire_does_not_hide_behind_an_old_announced_end() -> None:
    old = employment(date(2025, 1, 1), date(2025, 12, 31), end_stated_at=utc(2025, 1, 1))
    new = employment(date(2027, 3, 20))
    rig = Rig(record(old, new))
    await rig.turn()
    rig.core = record(old, new.model_copy(update={"cancelled": True}))
    await rig.turn()
    assert [request.budget for request in rig.ledger.requests] == [Budget.NORMAL]
    assert rig.directory.entries == {}


async def test_a_missing_unit_waits_and_the_account_stands() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    outcome = await rig.turn(units={})
    assert isinstance(outcome.problem, Waiting)
    assert rig.only.enabled
    again = await rig.performer.perform(rig.claim(troubled_since=NOW), rig.situation(units={}, row=rig.row))
    assert again.messages == ()
    healed = await rig.turn(claim=rig.claim(troubled_since=NOW))
    assert said(healed) == ["step.recorded", "service.evaluated"]


async def test_after_trouble_the_evaluation_is_said_again() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    await rig.turn()
    assert said(await rig.turn(claim=rig.claim(troubled_since=NOW))) == ["service.evaluated"]


async def test_a_boundary_that_changes_nothing_is_evaluated_all_the_same() -> None:
    rig = Rig(record(employment(date(2027, 1, 1)), employment(date(2027, 4, 1), extent=10.0)))
    outcome = await rig.turn()
    assert outcome.due_at == utc(2027, 3, 17, 23)
    later = await rig.turn(outcome.due_at)
    assert (said(later), rig.directory.writes) == (["service.evaluated"], 1)


async def test_failed_tells_what_is_still_to_do() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    step, evaluated = rig.performer.failed(
        rig.claim(), rig.situation(), Permanent("account.unmanaged"), StepState.PARKED, None
    )
    assert (step.event.data.code, step.event.data.state) == ("account.created", StepState.PARKED)
    parked = {s.code for s in evaluated.event.data.steps if s.state is StepState.PARKED}
    assert parked == {"account.created", "account.enabled"}
    away = rig.performer.failed(rig.claim(), rig.situation(), Unavailable("x"), StepState.RETRYING, NOW)
    assert [message.event.type for message in away] == ["se.stafett.step.recorded.v1"]


async def test_without_a_record_there_is_nothing_to_do() -> None:
    rig = Rig(record())
    outcome = await rig.turn(event=None)
    assert (outcome.due_at, outcome.messages, rig.directory.writes) == (None, (), 0)


async def test_what_failed_for_the_person_is_raised() -> None:
    rig = Rig(record())
    with pytest.raises(Permanent, match="policy"):
        await rig.turn(failure=Permanent("policy.failed"))


async def test_a_taken_name_makes_the_next_one_and_an_own_entry_is_gone_on_with() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    rig.directory.put_unmanaged("alvsund", NAMES.login, {})
    await rig.turn()
    assert ("alvsund", "anna.andersson2") in rig.directory.entries
    assert rig.row is not None
    assert (rig.row.user_name, rig.row.mail) == ("anna.andersson2", "anna.andersson@x.example")


async def test_the_store_lost_its_row_and_the_entry_is_gone_on_with() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    await rig.turn()
    rig.row = None
    await rig.turn()
    assert rig.directory.writes == 1
    assert rig.row is not None
    assert rig.row.state == AccountState.ENABLED


async def test_for_somebody_who_has_left_already_nothing_is_created() -> None:
    rig = Rig(record(employment(date(2026, 1, 1), date(2027, 3, 1))))
    outcome = await rig.turn()
    assert (rig.directory.writes, outcome.due_at, outcome.problem) == (0, None, None)
    assert said(outcome) == ["service.evaluated"]
    assert outcome.messages[0].event.data.steps == ()


async def test_what_takes_access_away_is_known_before_the_pass_and_never_raises() -> None:
    job = employment(date(2027, 1, 1))
    rig = Rig(record(job))
    assert rig.performer.removes(rig.claim(), rig.situation()) is False
    assert rig.performer.removes(rig.claim(removal=True), rig.situation()) is True
    await rig.turn()
    assert rig.performer.removes(rig.claim(removal=True), rig.situation()) is False
    assert rig.performer.removes(rig.claim(), rig.situation(entitlements={})) is False
    assert rig.performer.removes(rig.claim(removal=True), rig.situation(entitlements={})) is True
    rig.core = record(job.model_copy(update={"valid_to": date(2027, 3, 14)}))
    assert rig.performer.removes(rig.claim(), rig.situation()) is True
    await rig.turn()
    assert rig.performer.removes(rig.claim(), rig.situation()) is False
    assert rig.performer.removes(rig.claim(utc(2027, 5, 1)), rig.situation()) is True


async def test_case_49_an_unknown_unit_waits_from_three_days_before_and_never_for_somebody_who_left() -> None:
    job = employment(date(2027, 3, 25))
    rig = Rig(record(job))
    outcome = await rig.turn(units={})
    evaluated = outcome.messages[-1].event.data
    (waiting,) = [step for step in evaluated.steps if step.code == "account.department"]
    assert (waiting.state, waiting.due, waiting.mandatory) == (StepState.WAITING, utc(2027, 3, 21, 23), True)
    await rig.turn(utc(2027, 3, 26), units={})
    rig.core, rig.revision = record(job.model_copy(update={"valid_to": date(2027, 4, 1)})), 2
    left = await rig.turn(utc(2027, 4, 2), units={})
    assert left.problem is None
    assert "account.department" not in {step.code for step in left.messages[-1].event.data.steps}


def by_hand(rig: Rig, **attributes: str) -> None:
    """Change attributes of the entry as somebody at a keyboard does."""
    rig.only.attributes |= {name: (value,) for name, value in attributes.items()}


def hands(rig: Rig, **values: Any) -> Hands:
    return Hands(written=rig.row.written if rig.row else {}, **values)


async def test_what_another_hand_changed_is_left_until_hr_speaks_or_a_rule_reclaims_it() -> None:
    job = employment(date(2027, 1, 1))
    rig = Rig(record(job))
    await rig.turn()
    by_hand(rig, title="Rektor")
    outcome = await rig.turn(hands=hands(rig))
    assert (rig.only.attributes["title"], outcome.result) == (("Rektor",), None)
    rig.core, rig.revision = record(job, name=Name(given="Anna", family="Berg")), 2
    await rig.turn(hands=hands(rig))
    assert (rig.only.attributes["title"], rig.only.attributes["sn"]) == (("Rektor",), ("Berg",))
    place = job.assignments[0].model_copy(update={"title": "Skolchef"})
    rig.core, rig.revision = record(job.model_copy(update={"assignments": (place,)})), 3
    await rig.turn(hands=hands(rig))
    assert rig.only.attributes["title"] == ("Skolchef",)
    by_hand(rig, title="Rektor")
    outcome = await rig.turn(hands=hands(rig, rules={"title": Rule.RECLAIM}))
    assert rig.only.attributes["title"] == ("Skolchef",)
    assert isinstance(outcome.result, Result)
    assert outcome.result.told is not None
    assert list(outcome.result.told.rewritten) == ["title"]


async def test_what_was_emptied_by_hand_is_left_too() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    await rig.turn()
    del rig.only.attributes["title"]
    await rig.turn(hands=hands(rig))
    assert "title" not in rig.only.attributes


async def test_a_persons_word_reclaims_the_difference_that_they_saw_and_no_other() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    await rig.turn()
    by_hand(rig, title="Rektor")
    seen = Decided(Verdict.RECLAIM, echo("title", ("Lärare",), ("Rektor",)))
    by_hand(rig, title="Skolchef")
    await rig.turn(hands=hands(rig, decided={"title": seen}))
    assert rig.only.attributes["title"] == ("Skolchef",)
    by_hand(rig, title="Rektor")
    outcome = await rig.turn(hands=hands(rig, decided={"title": seen}))
    assert rig.only.attributes["title"] == ("Lärare",)
    assert isinstance(outcome.result, Result)
    assert outcome.result.told is not None
    assert outcome.result.told.carried == ("title",)


async def test_nothing_that_another_hand_tells_of_a_protected_person_stands() -> None:
    rig = Rig(record(employment(date(2027, 1, 1)), protection=Protection.PROTECTED))
    await rig.turn()
    by_hand(rig, title="Rektor")
    await rig.turn(hands=hands(rig, hidden=True))
    assert "title" not in rig.only.attributes


async def test_who_becomes_protected_gets_a_login_without_the_name_and_what_was_told_is_forgotten() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    await rig.turn()
    before = rig.only.entry
    rig.core = rig.core.model_copy(update={"protection": Protection.PROTECTED})
    rig.names = ReservedNames("user7", ("user7@x.example", *NAMES.mails))
    rig.directory.answer_lost = True
    with pytest.raises(Unavailable):
        await rig.turn(hands=hands(rig, hidden=True))
    await rig.turn(hands=hands(rig, hidden=True))
    assert (rig.only.login, rig.only.entry, rig.ledger.concealed) == ("user7", before, 1)
    assert rig.row is not None
    assert (rig.row.user_name, rig.row.mail) == ("user7", "user7@x.example")
    writes = rig.directory.writes
    await rig.turn(hands=hands(rig, hidden=True))
    assert (rig.directory.writes, rig.ledger.concealed) == (writes, 1)


async def test_a_login_without_the_name_that_a_stranger_has_is_passed_by() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    await rig.turn()
    rig.directory.put_unmanaged("alvsund", "user7", {})
    rig.core = rig.core.model_copy(update={"protection": Protection.PROTECTED})
    rig.names = ReservedNames("user7", ("user7@x.example",))
    rig.ledger.neutral = True
    await rig.turn(hands=hands(rig, hidden=True))
    assert [one.login for one in rig.directory.entries.values() if one.person is not None] == ["user2"]


async def test_addresses_that_only_another_hand_can_take_from_a_protected_person_are_told() -> None:
    class Left(MemoryDirectory):
        @override
        async def find(self, lookup: Lookup, *, deadline: float | None = None) -> Found:
            found = await super().find(lookup, deadline=deadline)
            others = ("anna.andersson@x.example", "user9@x.example")
            return replace(found, mine=found.mine and replace(found.mine, others=others))

    rig = Rig(record(employment(date(2027, 1, 1)), protection=Protection.PROTECTED))
    rig.names = ReservedNames("user7", ("user7@x.example",))
    await rig.turn()
    left = Left()
    left.entries = rig.directory.entries
    outcome = await rig.turn(directory=left, hands=hands(rig, hidden=True))
    assert isinstance(outcome.problem, Waiting)
    assert (outcome.problem.code, dict(outcome.problem.parameters)) == ("account.addresses_left", {"addresses": 1})
    assert (await rig.turn(hands=hands(rig, hidden=True))).problem is None


@pytest.mark.parametrize("how", [False, None])
async def test_what_another_hand_closed_stays_closed_until_a_person_says_so(how: bool | None) -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    await rig.turn()
    rig.only.enabled = how
    for _ in range(2):
        outcome = await rig.turn()
        assert rig.only.enabled is how
        assert isinstance(outcome.problem, Waiting)
        assert outcome.problem.code == "account.locked_elsewhere"
    assert rig.row is not None
    assert rig.row.locked_at == NOW
    outcome = await rig.turn(hands=hands(rig, decided={STATE: Decided(Verdict.REOPEN)}))
    assert rig.only.enabled is True
    assert outcome.problem is None
    assert isinstance(outcome.result, Result)
    assert outcome.result.row.locked_at is None


async def test_a_rehire_opens_what_another_hand_had_closed_before_the_end() -> None:
    job = employment(date(2027, 1, 1))
    rig = Rig(record(job))
    await rig.turn()
    rig.only.enabled = None
    await rig.turn()
    ended = job.model_copy(update={"valid_to": date(2027, 3, 14)})
    rig.core, rig.revision = record(ended), 2
    await rig.turn()
    assert rig.only.enabled is False
    rig.core, rig.revision = record(ended, employment(date(2027, 3, 15))), 3
    await rig.turn()
    assert rig.only.enabled is True


async def test_a_pass_of_ours_that_could_not_tell_that_it_closed_locks_nobody_out() -> None:
    job = employment(date(2027, 1, 1))
    rig = Rig(record(job))
    await rig.turn()
    rig.core, rig.revision = record(job.model_copy(update={"valid_to": date(2027, 3, 14)})), 2
    rig.directory.answer_lost = True
    with pytest.raises(Unavailable):
        await rig.turn()
    rig.core, rig.revision = record(job), 3
    await rig.turn()
    assert rig.only.enabled is True


async def test_an_attribute_that_is_written_again_and_again_is_left_to_a_person() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    await rig.turn()
    by_hand(rig, title="Rektor")
    loop = hands(rig, rules={"title": Rule.RECLAIM}, looping={"title": digest(("Lärare",))})
    outcome = await rig.turn(hands=loop)
    assert rig.only.attributes["title"] == ("Rektor",)
    assert isinstance(outcome.problem, Permanent)
    assert (outcome.problem.code, outcome.problem.parameters) == ("account.write_loop", {"attributes": "title"})


async def test_what_shall_be_closed_is_closed_again_however_often_it_is_opened() -> None:
    job = employment(date(2027, 1, 1))
    rig = Rig(record(job))
    await rig.turn()
    rig.core, rig.revision = record(job.model_copy(update={"valid_to": date(2027, 3, 14)})), 2
    await rig.turn()
    rig.only.enabled = True
    outcome = await rig.turn(hands=hands(rig, looping={STATE: digest(("disabled",))}))
    assert rig.only.enabled is False
    assert isinstance(outcome.result, Result)
    assert outcome.result.told is not None
    assert list(outcome.result.told.rewritten) == [STATE]


def given(rig: Rig) -> Adoption:
    """Let somebody else have made an account, and a person have given it to ours."""
    rig.directory.put_unmanaged("alvsund", "anand", {"employeeNumber": ("1",), "title": ("Rektor",)})
    return Adoption(rig.only.entry)


async def test_an_account_that_was_given_is_marked_and_nothing_else_until_the_unit_is_live() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    adoption = given(rig)
    outcome = await rig.turn(adoption=adoption, live=False, directory=Gate(rig.directory, Rules()))
    assert (rig.only.person, rig.only.attributes["title"], rig.directory.writes) == (PERSON, ("Rektor",), 1)
    assert isinstance(outcome.result, Result)
    assert outcome.result.adopted
    assert outcome.problem is None
    await rig.turn(adoption=adoption)
    assert rig.only.attributes["title"] == ("Lärare",)
    assert rig.only.login == "anand"


async def test_a_crash_after_the_mark_adopts_nothing_twice_and_opens_nothing() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    adoption = given(rig)
    rig.only.enabled = False
    rig.directory.answer_lost = True
    with pytest.raises(Unavailable):
        await rig.turn(adoption=adoption)
    assert rig.only.person == PERSON
    outcome = await rig.turn(adoption=adoption)
    assert isinstance(outcome.problem, Waiting)
    assert outcome.problem.code == "account.locked_elsewhere"
    assert rig.only.enabled is False
    assert len(rig.directory.entries) == 1
    assert isinstance(outcome.result, Result)
    assert outcome.result.adopted


async def test_an_account_below_an_allowed_subtree_is_adopted_and_one_elsewhere_is_left() -> None:
    for subtree, owner in (("elsewhere", None), (None, PERSON)):
        rig = Rig(record(employment(date(2027, 1, 1))))
        adoption = given(rig)
        rules = Rules(subtrees=(subtree or "ou=alvsund",))
        await rig.turn(adoption=adoption, directory=Gate(rig.directory, rules))
        assert rig.only.person == owner


async def test_a_dry_run_tells_that_it_would_adopt() -> None:
    rig = Rig(record(employment(date(2027, 1, 1))))
    adoption = given(rig)
    outcome = await rig.turn(adoption=adoption, directory=Gate(rig.directory, Rules(Mode.DRY_RUN)))
    assert (rig.only.person, rig.directory.writes, outcome.problem) == (None, 0, None)
    steps = {step.code: step.state for step in outcome.messages[-1].event.data.steps}
    assert steps["account.updated"] is StepState.SKIPPED


async def test_a_manager_who_is_not_where_they_should_be_keeps_no_account_open() -> None:
    job, chief = employment(date(2027, 1, 1)), uuid4()
    rig = Rig(record(job))
    await rig.turn()
    rig.core, rig.revision = record(job.model_copy(update={"valid_to": date(2027, 3, 14), "end_stated_at": NOW})), 2
    gone = Superior(("alvsund/gone",), chief, named=True)
    outcome = await rig.turn(superior=gone)
    assert (rig.only.enabled, rig.only.attributes.get("manager")) == (False, None)
    assert isinstance(outcome.result, Result)
    assert (outcome.result.astray, outcome.problem) == (chief, None)


async def test_whom_an_account_leads_is_told_when_it_comes_closes_and_goes_and_not_in_between() -> None:
    job = employment(date(2027, 1, 1), date(2027, 3, 31))
    rig = Rig(record(job))
    told = []
    for moment in (NOW, NOW, utc(2027, 4, 1), utc(2027, 4, 2), utc(2027, 6, 1), utc(2027, 6, 2)):
        result = (await rig.turn(moment)).result
        told.append(isinstance(result, Result) and result.news)
    assert told == [True, False, True, False, True, False]
