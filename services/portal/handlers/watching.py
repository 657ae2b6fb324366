"""Who watches: event streams are few for each session and bounded in all, so that open tabs never crowd out pages."""

from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

OF_A_SESSION = 8
IN_ALL = 400


class Full(Exception):
    """No seat is left; the page looks by the clock instead."""


@dataclass
class Seats:
    """Seats for streams, in this process.

    Args:
        of_a_session: How many one session may take.
        in_all: How many there are.
    """

    of_a_session: int = OF_A_SESSION
    in_all: int = IN_ALL
    _taken: Counter[str] = field(default_factory=Counter)

    def take(self, session: str) -> "Seat":
        """Take a seat until it is left.

        Raises:
            Full: The session, or the house, has no more.
        """
        if self._taken[session] >= self.of_a_session or self._taken.total() >= self.in_all:
            raise Full
        self._taken[session] += 1
        return Seat(self, session)

    def leave(self, session: str) -> None:
        """Give a seat back."""
        self._taken[session] -= 1
        if self._taken[session] <= 0:
            del self._taken[session]


@dataclass(frozen=True)
class Seat:
    """One taken seat; leaving the block leaves it."""

    seats: Seats
    session: str

    def __enter__(self) -> None:
        """Sit."""

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Leave."""
        self.seats.leave(self.session)
