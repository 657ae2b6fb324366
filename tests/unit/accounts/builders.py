"""People and policies for the unit tests of accounts."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from contracts.codes import EndReason, Form
from contracts.person import Assignment, CoreRecord, Employment, Name
from services.accounts.domain.desired import Desired, ReservedNames, desired
from services.accounts.domain.timeline import Entitlement
from services.accounts.domain.units import Unit
from services.kernel.clock import UTC

ZONE = ZoneInfo("Europe/Stockholm")
NAMES = ReservedNames("anna.andersson", ("anna.andersson@x.example",))
UNITS = {"100": Unit("100", "Björkskolan")}


def entitlement(lead: int = 14, grace: int = 30, *, account: bool = True) -> Entitlement:
    """Return a policy's answer."""
    return Entitlement(account, lead, grace, "accounts", "row")


def employment(first: date, last: date | None = None, **values: Any) -> Employment:
    """Return an employment in the unit 100."""
    span = Assignment(unit="100", title="Lärare", valid_from=first, valid_to=last)
    fields: dict[str, Any] = {
        "id": uuid4(), "form": Form.PERMANENT, "valid_from": first, "valid_to": last, "assignments": (span,),
    }  # fmt: skip
    return Employment(**{**fields, **values})


def record(*employments: Employment, **values: Any) -> CoreRecord:
    """Return a record of Anna Andersson."""
    return CoreRecord(**{"name": Name(given="Anna", family="Andersson"), "employments": employments, **values})


def entitlements(core: CoreRecord, answer: Entitlement | None = None) -> Mapping[UUID, Entitlement]:
    """Give every employment the same answer."""
    return {e.id: answer or entitlement() for e in core.employments}


def at(core: CoreRecord, now: datetime, answer: Entitlement | None = None) -> Desired:
    """Return what is desired at an instant."""
    return desired(core, entitlements(core, answer), UNITS, NAMES, now, ZONE)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """Return an instant."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


_days = st.dates(date(2026, 1, 1), date(2028, 12, 31))


@st.composite
def employments(draw: st.DrawFn) -> Employment:
    """Draw an employment: open or ended, cancelled, dismissed in the middle of a day."""
    first = draw(_days)
    last = draw(st.none() | _days.filter(lambda day: day >= first))
    lingers = draw(st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
    ends_at = draw(st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
    return employment(
        first,
        last,
        id=draw(st.uuids()),
        cancelled=draw(st.booleans()),
        ends_at=ends_at,
        lingers_until=lingers,
        end_reason=EndReason.DISMISSAL if ends_at else None,
        extent=draw(st.sampled_from([50.0, 100.0])),
    )


records = st.builds(
    lambda jobs, deceased: record(*jobs, deceased=deceased), st.lists(employments(), max_size=4), st.booleans()
)
answers = st.builds(entitlement, lead=st.integers(0, 20), grace=st.integers(0, 40), account=st.booleans())
moments = st.datetimes(datetime(2025, 12, 1), datetime(2029, 3, 1), timezones=st.just(UTC))  # noqa: DTZ001
