"""Personal identity numbers that can belong to nobody, and other numbers that are kept free for tests.

Birth numbers 980-999 are those of Skatteverket's published test numbers (testpersonnummer), which are never given to
anyone (verify: from general knowledge, not checked against the list). Phone numbers are PTS's for fiction and tests.
"""

from collections.abc import Sequence
from datetime import date, timedelta

_FIRST_BIRTH = date(1959, 6, 1)
_LAST_BIRTH = date(2007, 12, 31)
_BIRTH_NUMBERS = range(980, 1000)
_DAYS = (_LAST_BIRTH - _FIRST_BIRTH).days + 1
_SLOTS = _DAYS * len(_BIRTH_NUMBERS)
_STRIDE = 104_729
"""A prime that does not divide the number of slots: neighbours get dates far apart, and no slot comes twice."""

PEOPLE_AT_MOST = _SLOTS
_MOBILE_FIRST, _MOBILE_COUNT = 46_701_740_605, 95


def luhn(digits: Sequence[int]) -> int:
    """Return the check digit of nine digits (Luhn, weights 2 and 1 in turn from the left)."""
    products = (digit * (2 if place % 2 == 0 else 1) for place, digit in enumerate(digits))
    return -sum(product // 10 + product % 10 for product in products) % 10


def checked(born: date, birth_number: int, *, coordination: bool = False) -> str:
    """Return twelve digits: a personnummer, or a samordningsnummer (day plus 60)."""
    day = born.day + (60 if coordination else 0)
    stem = f"{born.year:04}{born.month:02}{day:02}{birth_number:03}"
    return f"{stem}{luhn([int(digit) for digit in stem[2:]])}"


def birth(number: int) -> tuple[date, int]:
    """Return date of birth and birth number of the person so numbered; every number has its own pair.

    Raises:
        ValueError: There are not so many test numbers.
    """
    if not 0 <= number < PEOPLE_AT_MOST:
        message = f"there are test numbers for {PEOPLE_AT_MOST} people"
        raise ValueError(message)
    slot = number * _STRIDE % _SLOTS
    return _FIRST_BIRTH + timedelta(days=slot % _DAYS), _BIRTH_NUMBERS[slot // _DAYS]


def identifier(kind: str, number: int) -> dict[str, str]:
    """Return an identifier of this kind for the person so numbered, as it travels."""
    born, birth_number = birth(number)
    if kind == "interim":
        return {"kind": kind, "value": f"{born:%Y%m%d}T{number % 1000:03}", "issuer": "Region Älvdal"}
    return {"kind": kind, "value": checked(born, birth_number, coordination=kind == "samordningsnummer")}


def mobile(number: int) -> str:
    """Return one of the 95 mobile numbers kept for fiction (070-1740605 to 070-1740699)."""
    return f"+{_MOBILE_FIRST + number % _MOBILE_COUNT}"
