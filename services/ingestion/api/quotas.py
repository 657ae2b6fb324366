"""What a source may send: its largest request, and how many events a minute. Each process counts for itself."""

import math
import time
from collections import Counter

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from services.ingestion.handlers.reception import Sender
from services.kernel.problems import ProblemError


class Quotas:
    """Counts what sources with an agreement have sent in the last minute; all others are free."""

    def __init__(self) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def spend(self, sender: Sender, content: object, size: int) -> None:
        """Count the events of a request, or refuse it whole: nothing of it is taken.

        What is told of sources for which the sender may not speak costs them nothing; it is refused by itself.

        Raises:
            ProblemError: 413, it is larger than agreed; 429, it is too much for this minute.
        """
        settings = sender.settings
        if not settings.agreed:
            return
        items = content if isinstance(content, list) else [content]
        sources = (item.get("source") for item in items if isinstance(item, dict))
        counts = Counter(source for source in sources if isinstance(source, str))
        told = {
            source: settings.agreed[source]
            for source in counts
            if source in settings.agreed and source in sender.sources
        }
        for agreed in told.values():
            if agreed.body_bytes is not None and size > agreed.body_bytes:
                detail = f"At most {agreed.body_bytes} bytes from this source; send several batches."
                raise ProblemError(413, "body.too_large", "The body is too large", detail=detail)
        counted = {
            source: (RateLimitItemPerMinute(agreed.events_per_minute), counts[source])
            for source, agreed in told.items()
            if agreed.events_per_minute is not None
        }
        for source, (allowed, events) in counted.items():
            self._check(source, allowed, events)
        for source, (allowed, events) in counted.items():
            self._limiter.hit(allowed, source, cost=events)

    def _check(self, source: str, allowed: RateLimitItem, events: int) -> None:
        if events > allowed.amount:
            detail = f"At most {allowed.amount} events a minute from this source; send several batches."
            raise ProblemError(413, "batch.too_large", "The batch is too large", detail=detail)
        if not self._limiter.test(allowed, source, cost=events):
            wait = max(1, math.ceil(self._limiter.get_window_stats(allowed, source).reset_time - time.time()))
            raise ProblemError(
                429,
                "rate.exceeded",
                "Too many events from this source",
                detail=f"At most {allowed.amount} a minute. Nothing was taken; send the same again in {wait} seconds.",
                headers={"Retry-After": str(wait)},
            )
