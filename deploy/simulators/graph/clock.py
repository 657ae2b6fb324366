"""The simulator's time: the wall clock, and how far a test has pushed it."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Wall time plus an offset, so that lag, expiry and the 30 days of deleted items can be seen without waiting."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        """Return the time (UTC)."""
        # the wall clock, not the business clock: the service that is simulated has a clock of its own
        return datetime.now(UTC) + self.offset  # noqa: TID251

    def advance(self, seconds: float) -> None:
        """Move the time on."""
        self.offset += timedelta(seconds=seconds)


def spoken(moment: datetime) -> str:
    """Write a moment as Graph does: UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
