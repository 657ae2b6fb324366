"""Midnights in the organisation's zone become the right UTC instants."""

from datetime import UTC, date, datetime

import pytest

from contracts.codes import Form
from contracts.person import Absence, Assignment, CoreRecord, Employment, Name
from services.ingestion.domain.projection import NAMESPACE
from services.ingestion.domain.spans import boundaries, left_at, next_boundary
from tests.unit.ingestion.ledger import ZONE


def record(**fields: object) -> CoreRecord:
    told = Employment.model_validate(
        {"id": NAMESPACE, "form": Form.PERMANENT, "valid_from": date(2026, 1, 1), **fields}
    )
    return CoreRecord(name=Name(given="Åsa", family=""), employments=(told,))


@pytest.mark.parametrize(
    ("last_day", "closes"),
    [
        (date(2026, 3, 28), datetime(2026, 3, 28, 23, tzinfo=UTC)),
        (date(2026, 3, 29), datetime(2026, 3, 29, 22, tzinfo=UTC)),
        (date(2026, 10, 24), datetime(2026, 10, 24, 22, tzinfo=UTC)),
        (date(2026, 10, 25), datetime(2026, 10, 25, 23, tzinfo=UTC)),
        (date(2028, 2, 29), datetime(2028, 2, 29, 23, tzinfo=UTC)),
    ],
)
def test_case_10_and_11_an_end_falls_at_local_midnight_on_every_day_of_the_year(
    last_day: date, closes: datetime
) -> None:
    assert boundaries(record(valid_to=last_day), ZONE)[-1] == closes
    assert left_at(record(valid_to=last_day), closes, ZONE) == closes


def test_a_start_on_the_day_of_the_clock_change_is_its_midnight() -> None:
    assert boundaries(record(valid_from=date(2026, 3, 29)), ZONE) == [datetime(2026, 3, 28, 23, tzinfo=UTC)]


def test_the_instant_until_which_someone_lingers_is_a_boundary() -> None:
    lingers = datetime(2026, 7, 30, 22, tzinfo=UTC)
    told = record(form=Form.HOURLY, valid_to=date(2026, 5, 31), lingers_until=lingers)
    assert boundaries(told, ZONE)[-1] == lingers
    assert left_at(told, lingers, ZONE) == lingers


def test_assignments_and_absences_change_only_within_their_employment() -> None:
    found = boundaries(
        record(
            valid_to=date(2026, 12, 31),
            assignments=(
                Assignment(unit="a", valid_from=date(2025, 1, 1), valid_to=date(2026, 5, 31)),
                Assignment(unit="b", valid_from=date(2026, 6, 1)),
            ),
            absences=(Absence.model_validate({"extent": "full", "valid_from": date(2026, 12, 1)}, strict=False),),
        ),
        ZONE,
    )
    assert [at.astimezone(ZONE).date() for at in found] == [
        date(2026, 1, 1),
        date(2026, 6, 1),
        date(2026, 12, 1),
        date(2027, 1, 1),
    ]


def test_a_cancelled_employment_has_no_boundaries() -> None:
    assert boundaries(record(cancelled=True, valid_to=date(2026, 5, 31)), ZONE) == []


def test_the_next_boundary_lies_strictly_after() -> None:
    closes = datetime(2026, 5, 31, 22, tzinfo=UTC)
    told = record(valid_to=date(2026, 5, 31))
    assert next_boundary(told, datetime(2026, 3, 1, tzinfo=UTC), ZONE) == closes
    assert next_boundary(told, closes, ZONE) is None
