"""Dates, numbers and codes as a person reads them, in a language and an organisation's zone. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers

from contracts.sentences import Language, sentence
from contracts.texts import CODES

__all__ = ["Formats", "Language"]

_LOCALES = {"sv": Locale("sv", "SE"), "en": Locale("en", "GB")}
_COLUMN = {"sv": 0, "en": 1}


@dataclass(frozen=True)
class Formats:
    """How one reader sees values."""

    language: Language
    zone: ZoneInfo

    def code(self, code: object) -> str:
        """Return a code's text; one that has none shows itself, which says more than nothing."""
        texts = CODES.get(str(code))
        return texts[_COLUMN[self.language]] if texts else str(code or "")

    def title(self, code: object) -> str:
        """Return a code's text as a heading begins: its first letter is large, the others are as they were."""
        text = self.code(code)
        return text[:1].upper() + text[1:]

    def sentence(self, code: str | None, parameters: Mapping[str, object]) -> str:
        """Return what a code says with its parameters, as a sentence."""
        return sentence(code, parameters, self.language)

    def size(self, count: int) -> str:
        """Return a number of bytes: `3,2 MB`."""
        for limit, unit in ((1 << 20, "MB"), (1 << 10, "kB")):
            if count >= limit:
                return f"{self.number(round(count / limit, 1))} {unit}"
        return f"{self.number(count)} B"

    def day(self, instant: datetime | None) -> str:
        """Return the date in the organisation's zone: `2 mars 2026`."""
        if instant is None:
            return ""
        return dates.format_date(instant.astimezone(self.zone).date(), "d MMM y", locale=_LOCALES[self.language])

    def date(self, day: date | None) -> str:
        """Return a date that has no time: `2 mars 2026`."""
        return "" if day is None else dates.format_date(day, "d MMM y", locale=_LOCALES[self.language])

    def when(self, instant: datetime | None) -> str:
        """Return date and time in the organisation's zone: `2 mars 2026 08:00`."""
        if instant is None:
            return ""
        return dates.format_datetime(instant, "d MMM y HH:mm", tzinfo=self.zone, locale=_LOCALES[self.language])

    def clock(self, instant: datetime | None) -> str:
        """Return the time of day in the organisation's zone."""
        if instant is None:
            return ""
        return dates.format_time(instant, "HH:mm:ss", tzinfo=self.zone, locale=_LOCALES[self.language])

    def distance(self, instant: datetime | None, now: datetime) -> str:
        """Return how far away an instant is: `om 3 dagar`."""
        return "" if instant is None else self._delta(instant - now, direction=True)

    def duration(self, seconds: float | None) -> str:
        """Return a length of time; below ten seconds with a decimal."""
        if seconds is None:
            return ""
        if seconds < 10:
            return f"{numbers.format_decimal(round(seconds, 1), locale=_LOCALES[self.language])} s"
        return self._delta(timedelta(seconds=seconds), direction=False)

    def number(self, value: float | None) -> str:
        """Return a number with the language's grouping."""
        return "" if value is None else numbers.format_decimal(value, locale=_LOCALES[self.language])

    def _delta(self, delta: timedelta, *, direction: bool) -> str:
        return dates.format_timedelta(delta, threshold=1.2, add_direction=direction, locale=_LOCALES[self.language])
