"""Who of a file is held, and why."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from services.ingestion.domain.missing import AllGoing, Going, judge
from services.kernel.settings import SourceSettings, load_organisations
from tests.support.kernel import ROOT

SOURCE = "https://hr.alvsund.example/personal"
LIMITS = load_organisations(Path(ROOT / "deploy/local/organisations.toml"))["alvsund"]


def going(taken: int, *, missing: int = 0, before: int = 0, population: int = 1_000, **units: Going) -> AllGoing:
    return AllGoing(missing, Going(taken, before, 2 * population), Going(taken, before, population), units)


@pytest.mark.parametrize(
    ("one", "unread", "code"),
    [
        (going(50), 0, None),
        (going(51), 0, "file.leavers_many"),
        (going(51, missing=51), 0, "file.missing_many"),
        (going(30, before=21), 0, "file.leavers_many"),
        (going(0, before=500), 0, None),
        (going(500, population=10_000), 0, None),
        (going(1, missing=1), 1, "file.missing_unsure"),
        (going(1), 1, None),
        (going(26, care=Going(26, 0, 30)), 0, "file.unit_leavers_many"),
        (going(25, care=Going(25, 0, 30)), 0, None),
        (going(26, care=Going(26, 0, 60)), 0, None),
    ],
)
def test_limits_are_absolute_and_relative_of_organisation_source_and_unit(
    one: AllGoing, unread: int, code: str | None
) -> None:
    judged = judge(one, unread, LIMITS, SOURCE)
    assert (judged.code if judged else None) == code


def test_a_source_has_limits_of_its_own() -> None:
    agreed = MappingProxyType({SOURCE: SourceSettings(guard_limit=3, guard_share=0)})
    limits = replace(LIMITS, agreed=agreed)
    assert judge(going(3), 0, limits, SOURCE) is None
    judged = judge(going(4), 0, limits, SOURCE)
    assert judged is not None
    assert judged.units is None


def test_only_those_of_the_unit_are_held() -> None:
    judged = judge(going(40, care=Going(26, 0, 30), school=Going(14, 0, 30)), 0, LIMITS, SOURCE)
    assert judged is not None
    assert judged.units == ["care"]
