"""Seats for streams: a few for each session, bounded in all, given back however a stream ends."""

import pytest

from services.portal.handlers.watching import Full, Seats


def test_a_session_has_so_many_seats_and_the_house_too() -> None:
    seats = Seats(of_a_session=2, in_all=3)
    taken = [seats.take("anna"), seats.take("anna")]
    with pytest.raises(Full):
        seats.take("anna")
    seats.take("bo")
    with pytest.raises(Full):
        seats.take("cecilia")
    with pytest.raises(RuntimeError), taken[0]:
        raise RuntimeError
    seats.take("cecilia")
