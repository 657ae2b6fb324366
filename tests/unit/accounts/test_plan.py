"""The difference between what shall be and what is there, and the steps that follow from it."""

from datetime import date

import pytest
from hypothesis import given

from contracts.codes import AccountState, FailureClass, StepState
from contracts.facts import Problem, Step
from contracts.person import CoreRecord
from services.accounts.domain import steps
from services.accounts.domain.plan import (
    Change,
    Create,
    Delete,
    Observed,
    Removal,
    difference,
    echo,
    plan,
    removal,
    verified,
    without_removal,
)
from services.accounts.domain.steps import Standing, Trouble
from services.accounts.domain.timeline import Entitlement
from services.kernel.marks import Mark
from tests.unit.accounts.builders import answers, at, employment, moments, record, records, utc

NONE = frozenset[str]()
NOW = utc(2027, 3, 15)
HIRED = record(employment(date(2027, 1, 1)))


def observed(attributes: dict[str, tuple[str, ...]] | None = None, *, enabled: bool | None = True) -> Observed:
    return Observed("dn", "uuid", "anna.andersson", enabled, Mark(1, 1), attributes or {})


def in_line(core: CoreRecord) -> Observed:
    attributes = {name: values for name, values in at(core, NOW).attributes.items() if values}
    return observed(attributes)


def test_nothing_to_change_is_no_action() -> None:
    assert plan(at(HIRED, NOW), in_line(HIRED), NONE, takeover=False) is None


def test_a_takeover_with_nothing_to_change_swaps_the_mark_only() -> None:
    assert plan(at(HIRED, NOW), in_line(HIRED), NONE, takeover=True) == Change({})


def test_the_order_of_values_means_nothing() -> None:
    assert difference({"title": ("a", "b")}, {"title": ("b", "a")}, NONE) == {}


def test_spelling_is_exact() -> None:
    assert difference({"cn": ("Von Essen",)}, {"cn": ("von Essen",)}, NONE) == {"cn": ("Von Essen",)}


def test_an_account_is_created_in_the_state_that_it_shall_have() -> None:
    prepared = record(employment(date(2027, 3, 20)))
    assert isinstance(action := plan(at(prepared, NOW), None, NONE, takeover=False), Create)
    assert (action.enabled, all(action.attributes.values())) == (False, True)
    assert plan(at(record(), NOW), None, NONE, takeover=False) is None


def test_a_state_that_is_not_ours_is_written_over_both_ways() -> None:
    odd = Observed("dn", "uuid", "a", None, Mark(1, 1), in_line(HIRED).attributes)
    assert plan(at(HIRED, NOW), odd, NONE, takeover=False) == Change({}, enabled=True)
    assert odd.state == AccountState.DISABLED


def test_what_takes_away_is_known_and_can_be_left_out() -> None:
    assert removal(Delete()) is Removal.DELETE
    assert removal(Change({}, enabled=False)) is Removal.DISABLE
    assert removal(Change({"cn": ("x",)}, enabled=True)) is None
    assert without_removal(Change({"cn": ("x",)}, enabled=False), takeover=False) == Change({"cn": ("x",)})
    assert without_removal(Change({}, enabled=False), takeover=False) is None
    assert without_removal(Delete(), takeover=True) == Change({})


def test_a_server_that_normalises_is_no_write_loop() -> None:
    written, returned = {"title": ("Två  ord",)}, {"title": ("Två ord",)}
    echoes = verified(written, returned)
    assert echoes == frozenset({echo("title", ("Två  ord",), ("Två ord",))})
    assert echoes is not None
    assert difference(written, returned, echoes) == {}
    assert difference({"title": ("Tre ord",)}, returned, echoes) != {}


def test_a_value_that_is_not_there_is_not_verified() -> None:
    assert verified({"title": ("x",)}, {}) is None
    assert verified({"title": ()}, {"title": ("x",)}) is None


def test_marks_are_numbers() -> None:
    assert Mark(1, 10) > Mark(1, 9)
    assert Mark(2, 1) > Mark(1, 99)
    assert Mark.parse(str(Mark(3, 4))) == Mark(3, 4)
    with pytest.raises(ValueError, match="invalid literal"):
        Mark.parse("x")


@given(records, answers, moments)
def test_a_plan_carried_out_leaves_nothing_to_plan(core: CoreRecord, answer: Entitlement, now: object) -> None:
    wanted = at(core, now, answer)  # type: ignore[arg-type]
    action = plan(wanted, None, NONE, takeover=False)
    if isinstance(action, Create):
        after = observed(dict(action.attributes), enabled=action.enabled)
        assert plan(wanted, after, NONE, takeover=False) is None
    for start in (observed({"title": ("old",)}, enabled=None), observed({}, enabled=False)):
        action = plan(wanted, start, NONE, takeover=False)
        if isinstance(action, Change):
            attributes = {k: v for k, v in {**start.attributes, **action.attributes}.items() if v}
            enabled = start.enabled if action.enabled is None else action.enabled
            assert plan(wanted, observed(attributes, enabled=enabled), NONE, takeover=False) is None


def standing(state: AccountState, *, known: bool = True, ever_enabled: bool = False) -> Standing:
    return Standing(state, known, ever_enabled, NOW)


def states(found: tuple[Step, ...]) -> dict[str, str]:
    return {step.code.removeprefix("account."): step.state.value for step in found}


def test_the_steps_of_a_prepared_account() -> None:
    wanted = at(record(employment(date(2027, 3, 20), date(2027, 6, 30))), NOW)
    found = steps.evaluate(wanted, standing(AccountState.DISABLED), [])
    assert states(found) == {
        "created": "verified", "updated": "verified", "department": "verified", "enabled": "planned",
        "disabled": "planned", "deleted": "planned",
    }  # fmt: skip
    assert {s.code: s.due for s in found if s.due} == {
        "account.enabled": utc(2027, 3, 19, 23),
        "account.disabled": utc(2027, 6, 30, 22),
        "account.deleted": utc(2027, 7, 30, 22),
    }


def test_somebody_who_never_had_and_never_gets_an_account_has_no_steps() -> None:
    assert steps.evaluate(at(record(), NOW), standing(AccountState.ABSENT, known=False), []) == ()


def test_a_trouble_takes_the_place_of_its_step_and_is_due_now() -> None:
    held = Trouble(steps.DISABLED, StepState.HELD, Problem(code="guard.held", failure=FailureClass.HELD))
    ended = at(record(employment(date(2027, 1, 1), date(2027, 3, 1))), NOW)
    found = {s.code: s for s in steps.evaluate(ended, standing(AccountState.ENABLED), [held])}
    assert (found[steps.DISABLED].state, found[steps.DISABLED].due) == (StepState.HELD, None)
    assert found[steps.DISABLED].problem == held.problem


def test_what_is_missing_between_two_states() -> None:
    absent, disabled, enabled = AccountState.ABSENT, AccountState.DISABLED, AccountState.ENABLED
    assert steps.missing(enabled, absent) == (steps.CREATED, steps.ENABLED)
    assert steps.missing(disabled, enabled) == (steps.DISABLED,)
    assert steps.missing(absent, disabled) == (steps.DELETED,)
    assert steps.missing(enabled, enabled) == (steps.UPDATED,)


def test_another_primary_address_is_written_and_a_server_that_sorts_makes_no_loop() -> None:
    wanted, there = {"mail": ("b@x.example", "a@x.example")}, {"mail": ("a@x.example", "b@x.example")}
    assert difference(wanted, there, frozenset()) == wanted
    echoes = verified(wanted, there)
    assert echoes is not None
    assert difference(wanted, there, echoes) == {}
