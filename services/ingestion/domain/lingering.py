"""How long the affiliation goes on after an employment has ended: the one place that decides it.

A *bridge* spans a short gap to an employment that was recorded before the first one ended (DOMAIN case 17); the *pool*
keeps hourly staff between bookings (case 20). Neither outlasts a dismissal or a death.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from contracts.codes import Form
from contracts.person import Employment
from services.ingestion.domain.spans import BRIDGE_DAYS, FOREVER, POOL, gap, span
from services.ingestion.domain.state import FINAL
from services.kernel.clock import local_date, start_of_day


@dataclass(frozen=True)
class Stated:
    """An employment as projected, and when the first fact that named it was asserted."""

    employment: Employment
    stated_at: datetime | None


def lingers_until(
    one: Employment, told: Sequence[Stated], deceased_at: datetime | None, zone: ZoneInfo
) -> datetime | None:
    """Return when the affiliation that outlasts an employment ends; None when it ends with it.

    Args:
        one: The employment that ends.
        told: All of the person's employments.
        deceased_at: When the person's death was stated.
        zone: Whose calendar days count.
    """
    access = span(one, zone)
    if access.ends <= access.starts or access.ends == FOREVER or one.end_reason in FINAL:
        return None
    candidates = list(_bridges(one, access.ends, told, zone))[:1]
    if one.form is Form.HOURLY:
        candidates.append(start_of_day(local_date(access.ends, zone) + POOL, zone))
    finals = [at for at in _finals(told, deceased_at, zone) if at >= access.ends]
    until = min([max(candidates, default=access.ends), *finals])
    return until if until > access.ends else None


def _bridges(one: Employment, ends: datetime, told: Sequence[Stated], zone: ZoneInfo) -> Iterator[datetime]:
    """The starts that were stated before the end and follow it closely, the nearest first."""
    known = [item.employment for item in told if item.stated_at is not None and item.stated_at < ends]
    spans = [span(item, zone) for item in known]
    for starts in sorted(item.starts for item in spans if item.starts < item.ends and item.starts > ends):
        if gap(ends, starts, zone) <= BRIDGE_DAYS[one.form]:
            yield starts


def _finals(told: Sequence[Stated], deceased_at: datetime | None, zone: ZoneInfo) -> Iterator[datetime]:
    """The instants at which a dismissal or a death closed something."""
    if deceased_at is not None:
        yield deceased_at
    for item in told:
        if item.employment.end_reason in FINAL and not item.employment.cancelled:
            yield span(item.employment, zone).ends
