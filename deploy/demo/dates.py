"""The pinned business date, and what is counted from it. Everything the demo says happens around this Monday."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Stockholm")

BUSINESS_DATE = date(2026, 3, 2)
"""A Monday. The HR day of the second act."""


def local(day: date, hour: int, minute: int = 0) -> datetime:
    """Return an instant on the wall clock of the organisations."""
    return datetime.combine(day, time(hour, minute), tzinfo=ZONE)


MORNING = local(BUSINESS_DATE, 9)
"""Business time when the first act begins."""
AFTERNOON = local(BUSINESS_DATE, 15)
"""Business time when the second act, all of which HR asserted earlier that day, is sent."""
NEXT_MORNING = local(BUSINESS_DATE + timedelta(days=1), 7)
"""Business time when those who start on Tuesday must be ready, and those who had their last day on Monday are out."""


def days(offset: int, *, business_date: date = BUSINESS_DATE) -> date:
    """Return the date so many days from the business date."""
    return business_date + timedelta(days=offset)
