"""How long an access token is good, as providers say it."""

from datetime import timedelta

import pytest

from services.portal.adapters import provider


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (60, 60),
        (60.5, 60.5),
        ("60", 60),
        (None, 300),
        ("soon", 300),
        (-1, 300),
        ("nan", 300),
        (1e300, 300),
        (10**7, 86400),
    ],
)
def test_a_lifetime_is_read_or_taken_to_be_short(said: object, seconds: float) -> None:
    assert provider.lifetime(said) == timedelta(seconds=seconds)
