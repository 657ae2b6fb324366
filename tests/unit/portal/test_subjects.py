"""What a command concerns is read from the services; an address says ids and nothing else."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from services.portal.api.acts import Act, Asked
from services.portal.api.acts.subjects import About, concerned
from services.portal.domain.work import PersonDetail

PERSON, FIRST, SECOND = uuid4(), uuid4(), uuid4()


def target(name: str, *steps: dict[str, Any]) -> dict[str, Any]:
    fields = {"service": "accounts", "revision": 1, "asOf": "2026-03-01T12:00:00Z", "policyHash": "h"}
    return {**fields, "target": name, "userName": "anna", "steps": list(steps)}


def held(code: str, hold: UUID) -> dict[str, Any]:
    problem = {"code": "guard.held", "parameters": {"hold": str(hold)}}
    return {"service": "accounts", "target": "x", "code": code, "state": "held", "problem": problem}


DETAIL = PersonDetail.model_validate(
    {
        "id": PERSON,
        "name": "Anna",
        "protection": "none",
        "revision": 1,
        "cases": [],
        "remains": [],
        "targets": [target("ad", held("account.disabled", FIRST)), target("ldap", held("account.deleted", SECOND))],
    }
)


def about(type_: str, **fields: Any) -> About:
    return About(**{"type": type_, "service": "accounts", "target": None, "hold": None, "message": None, **fields})


def test_a_hold_is_one_account_and_what_happens_to_it() -> None:
    found = concerned(DETAIL, about("release", hold=SECOND)).value
    assert found is not None
    assert [(one.target.target, [step.code for step in one.steps]) for one in found.concerned] == [
        ("ldap", ["account.deleted"])
    ]
    assert found.name == "Anna"


def test_without_a_hold_all_that_is_held_of_the_person_is_counted() -> None:
    found = concerned(DETAIL, about("refuse")).value
    assert found is not None
    assert found.matches == 2
    assert Asked(type="refuse", service="accounts", person=PERSON).counted
    assert not Asked(type="refuse", service="accounts", person=PERSON, hold=FIRST).counted
    assert not Asked(type="retry", service="accounts", person=PERSON).counted


def test_what_cannot_be_done_is_skipped_and_a_removal_never_is() -> None:
    def step(code: str, state: str) -> dict[str, Any]:
        return {"service": "accounts", "target": "x", "code": code, "state": state}

    steps = [step("account.created", "parked"), step("account.disabled", "retrying"), step("mail.set", "verified")]
    targets = [target("ad", *steps), target("ldap", step("account.deleted", "parked"), held("account.disabled", FIRST))]
    detail = PersonDetail.model_validate({**DETAIL.model_dump(), "targets": targets})
    found = concerned(detail, about("skip")).value
    assert found is not None
    assert [(one.target.target, [step.code for step in one.steps]) for one in found.concerned] == [
        ("ad", ["account.created"])
    ]
    assert found.matches == 1
    none = concerned(detail, about("skip", target="ldap"))
    assert none.trouble is not None
    assert none.trouble.code == "command.nothing_to_do"
    assert Asked(type="skip", service="accounts", person=PERSON).counted


def test_a_hold_that_is_no_longer_held_is_nothing_to_do() -> None:
    part = concerned(DETAIL, about("release", hold=uuid4()))
    assert part.trouble is not None
    assert part.trouble.code == "command.nothing_to_do"


@pytest.mark.parametrize("fields", [{"service": "phones"}, {"target": "elsewhere"}])
def test_a_target_that_the_person_does_not_have_is_not_named(fields: dict[str, str]) -> None:
    part = concerned(DETAIL, about("retry", **fields))
    assert part.trouble is not None
    assert part.trouble.kind == "missing"


@pytest.mark.parametrize(
    "fields",
    [{"type": type_} for type_ in ("retry", "reverify", "release", "refuse", "skip")]
    + [{"type": "redeliver", "person": str(PERSON)}, {"type": "drop", "person": str(PERSON)}],
)
def test_a_command_is_about_one_person_or_about_messages(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Act.model_validate({"service": "accounts", **fields})
