"""Steps, troubles, search words and cursors: the small pure rules."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codes import AccountState, FailureClass, StepState
from contracts.facts import Problem, Step
from services.status.domain import paging, search
from services.status.domain.steps import (
    Pass,
    Troubled,
    condense,
    desired_state,
    hold_of,
    merge,
    readiness,
    remaining,
    trouble_since,
    worst,
)

T0 = datetime(2026, 5, 1, 8, tzinfo=UTC)
LDAP = ("accounts", "ldap")
HOLD = "7f1c7dc5-2a51-4f04-8a0c-4cf0c1f2b6a1"


def step(code: str, state: StepState, due: datetime | None = None, *, mandatory: bool = True) -> Step:
    return Step(code=code, state=state, due=due, mandatory=mandatory)


def test_readiness_is_decided_by_open_mandatory_steps_only() -> None:
    due = T0 + timedelta(days=1)
    assert readiness([]) == (False, None)
    assert readiness([step("account.created", StepState.VERIFIED)]) == (False, None)
    assert readiness([step("account.mail", StepState.RETRYING, mandatory=False)]) == (False, None)
    assert readiness([step("account.enabled", StepState.WAITING)]) == (True, None)
    assert readiness([step("b", StepState.PLANNED, due), step("c", StepState.PLANNED, T0)]) == (False, T0)


def test_the_worst_state_is_the_one_that_a_person_must_decide() -> None:
    assert worst([StepState.RETRYING, StepState.HELD, StepState.PARKED]) is StepState.HELD
    assert worst([StepState.WAITING, StepState.RETRYING]) is StepState.RETRYING
    assert worst([StepState.VERIFIED, StepState.WAITING]) is StepState.WAITING
    assert worst([StepState.VERIFIED, StepState.PLANNED]) is None


def test_remaining_steps_come_soonest_first_and_those_due_now_before_all() -> None:
    later, sooner, now = (
        step("c", StepState.PLANNED, T0),
        step("b", StepState.PLANNED, T0 - timedelta(1)),
        step("a", StepState.WAITING),
    )
    assert remaining([later, sooner, now]) == [now, sooner, later]


def passes(*states: StepState | None) -> list[Pass]:
    return [Pass(LDAP, 1, epoch, T0 + timedelta(minutes=epoch), state) for epoch, state in enumerate(states)]


@pytest.mark.parametrize(
    ("seen", "minute"),
    [
        (passes(), None),
        (passes(StepState.RETRYING, None), None),
        (passes(None, StepState.RETRYING, StepState.RETRYING), 1),
        (passes(StepState.RETRYING, None, StepState.PARKED), 2),
        (passes(StepState.RETRYING, StepState.PARKED), 0),
    ],
)
def test_trouble_began_with_the_first_bad_pass_after_the_last_good_one(seen: list[Pass], minute: int | None) -> None:
    expected = None if minute is None else T0 + timedelta(minutes=minute)
    assert trouble_since(list(reversed(seen))) == expected


def test_an_evaluation_and_a_step_of_the_same_epoch_are_one_pass() -> None:
    good, bad = Pass(LDAP, 1, 4, T0, None), Pass(LDAP, 1, 4, T0, StepState.PARKED)
    assert merge([good, bad]) == merge([bad, good]) == [bad]


def test_troubled_steps_of_an_evaluation_know_the_attempt_of_their_pass() -> None:
    said = Troubled(LDAP, StepState.RETRYING, "account.enabled", None, None, 3, T0)
    own = Troubled(LDAP, StepState.RETRYING, "account.pass", None, None, 3, T0, attempt=4, retry_at=T0)
    (one,) = condense([said, own])
    assert (one.code, one.attempt, one.retry_at) == ("account.enabled", 4, T0)
    assert condense([own]) == [own]
    assert condense([Troubled(LDAP, StepState.VERIFIED, "account.enabled", None, None, 3, T0)]) == []


def test_a_hold_is_found_in_the_problem_or_in_the_step() -> None:
    problem = Problem(code="guard.held", failure=FailureClass.HELD, parameters={"hold": HOLD})
    assert str(hold_of({}, problem)) == HOLD
    assert str(hold_of({"hold": HOLD}, None)) == HOLD
    assert hold_of({"hold": "nonsense"}, None) is None


def test_the_desired_state_is_told_by_the_open_step_that_became_due_last() -> None:
    created = step("account.disabled", StepState.RETRYING, T0 - timedelta(days=14))
    enabled = step("account.enabled", StepState.PLANNED, T0)
    observed = AccountState.ABSENT
    assert desired_state([created, enabled], observed, T0 - timedelta(days=1)) is AccountState.DISABLED
    assert desired_state([created, enabled], observed, T0) is AccountState.ENABLED
    assert desired_state([step("x", StepState.VERIFIED)], observed, T0) is AccountState.ABSENT
    assert desired_state([step("account.written", StepState.PARKED)], observed, T0) is None
    assert desired_state([step("account.deleted", StepState.HELD)], observed, T0) is AccountState.ABSENT
    told = Step(code="account.written", state=StepState.PARKED, parameters={"state": "enabled"})
    assert desired_state([told], observed, T0) is AccountState.ENABLED


def test_words_are_found_with_and_without_diacritics_in_both_normal_forms() -> None:
    assert search.fold("Åsa") == search.fold("A\u030asa") == search.fold("asa") == "asa"
    assert search.fold("Biret Čállinláŋ") == "biret callinlan"


def test_people_are_ordered_as_swedish_sorts() -> None:
    names = ["Ödman", "Åkesson", "Zetterlund", "Ek", "Álvarez", "A\u030aberg", "Andersson", "Øre", "Ängdahl"]
    right = ["Álvarez", "Andersson", "Ek", "Zetterlund", "A\u030aberg", "Åkesson", "Ängdahl", "Ödman", "Øre"]
    assert sorted(names, key=search.order) == right


def test_a_login_is_found_by_each_of_its_parts_and_a_domain_by_none() -> None:
    found = search.words("alvsund", ["anna-karin.von", "anna@alvsund.example", None, "  "])
    assert "alvsund/karin" in found
    assert "alvsund/anna@alvsund.example" in found
    assert "alvsund/example" not in found


@given(st.text())
def test_no_search_text_becomes_an_operator(text: str) -> None:
    query = search.query("alvsund", text)
    assert query is None or query.count(":*") >= 1
    if query is not None:
        for part in query.split(" & '"):
            assert part.strip().endswith("':*")


@given(st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_a_cursor_gives_back_its_key(key: list[str]) -> None:
    assert paging.decode(paging.encode(key), len(key)) == tuple(key)


@given(st.text(max_size=60))
def test_a_foreign_cursor_is_refused_and_never_crashes(text: str) -> None:
    with contextlib.suppress(paging.CursorRefused):
        assert len(paging.decode(text, 2)) == 2
