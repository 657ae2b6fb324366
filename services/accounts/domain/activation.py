"""One-time activation codes: how they look, how forgivingly they are read, and which passwords are refused here. Pure.

A code is 19 random characters of Crockford's base 32 (95 bits) and a check character, in four groups of five. The check
is a polynomial over GF(32), so it notices every single wrong character and every two that changed places.
"""

import hmac
import secrets
import unicodedata
from collections.abc import Callable, Iterable
from enum import StrEnum
from hashlib import sha256
from ipaddress import ip_address, ip_network

import orjson

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""No I, L, O and U (https://www.crockford.com/base32.html)."""
LENGTH, GROUP = 20, 5
WRONG_TRIES = 5
"""So many wrong codes for a login lock its code."""
LONGEST_PASSWORD = 127
"""What every target takes: Active Directory's own dialogs take no more."""
_FORGIVEN = str.maketrans("OIL", "011", "- \t\u00a0\u2010\u2011\u2013")
_POLYNOMIAL = 0b100101


class State(StrEnum):
    """How a person's newest code stands. `issued`: nobody has fetched it yet."""

    NONE = "none"
    ISSUED = "issued"
    FETCHED = "fetched"
    SPENT = "spent"
    EXPIRED = "expired"
    LOCKED = "locked"


class Outcome(StrEnum):
    """What became of the password in one target; `earlier`: with the same code before; `synced`: by the other one."""

    SET = "set"
    EARLIER = "earlier"
    REFUSED = "refused"
    AWAY = "away"
    MISSING = "missing"
    WITHHELD = "withheld"
    SYNCED = "synced"
    FAILED = "failed"


def make(draw: Callable[[int], int] = secrets.randbelow) -> str:
    """Return a new code, without hyphens; `draw` gives a random number below its argument."""
    digits = [draw(len(ALPHABET)) for _ in range(LENGTH - 1)]
    return "".join(ALPHABET[digit] for digit in (*digits, _times(_remainder(digits))))


def read(text: str) -> str | None:
    """Return the code that somebody typed, or None when it cannot be one: a character is wrong, missing or misplaced.

    Case, spaces and hyphens do not matter; O is 0, I and L are 1.
    """
    code = text.strip().upper().translate(_FORGIVEN)
    if len(code) != LENGTH or not set(code) <= set(ALPHABET):
        return None
    return None if _remainder(ALPHABET.index(one) for one in code) else code


def shown(code: str) -> str:
    """Return a code as it is read aloud: in groups."""
    return "-".join(code[start : start + GROUP] for start in range(0, LENGTH, GROUP))


def digest(key: str, *parts: str) -> bytes:
    """Return the keyed hash (HMAC-SHA256) by which something is known; the parts are kept apart."""
    return hmac.digest(key.encode(), orjson.dumps(parts), sha256)


def plain_name(given: str) -> str:
    """Return a login or address as it is compared; nothing when it cannot be one."""
    name = given.strip().lower()
    return name if name.isprintable() else ""


def plain_address(given: str) -> str:
    """Return what a client's address is counted by: of IPv6 the first half, for the other is whatever it likes."""
    try:
        address = ip_address(given)
    except ValueError:
        return given
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def plain_password(given: str) -> str:
    """Return a password as it is set: composed, so that the same keys give the same password (RFC 8265, 4.2.2)."""
    return unicodedata.normalize("NFC", given)


def weakness(password: str, name: str, shortest: int) -> str | None:
    """Return why a password is refused before any target is asked, as a code, or None.

    Args:
        password: As it would be set.
        name: The login or address that was given with it.
        shortest: The least number of characters.
    """
    if not password.isprintable():
        return "password.unreadable"
    if len(password) < shortest:
        return "password.short"
    if len(password) > LONGEST_PASSWORD:
        return "password.long"
    local = plain_name(name).partition("@")[0]
    return "password.has_login" if len(local) > 3 and local in password.lower() else None


def _times(value: int) -> int:
    """Multiply by the generator of GF(32)."""
    return value << 1 ^ (_POLYNOMIAL if value & 16 else 0)


def _remainder(digits: Iterable[int]) -> int:
    """Return the polynomial's value by Horner's rule; that of a whole code is 0."""
    found = 0
    for digit in digits:
        found = _times(found) ^ digit
    return found
