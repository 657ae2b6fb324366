"""Distinguished names as directories compare them (RFC 4514; RFC 4517, section 4.2.15): not by escape, space, case."""

import re
from functools import lru_cache

_ESCAPED = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)")
_PART = re.compile(r"(?<!\\),")
_VALUE = re.compile(r"(?<!\\)\+")


@lru_cache(8_192)
def normalised(name: str) -> str:
    """Return a name in one spelling; what is none is only folded, so any text may be compared."""
    # a backslash that is escaped escapes nothing
    parts = _PART.split(name.replace(r"\\", r"\5c"))
    return ",".join("+".join(sorted(map(_value, _VALUE.split(part)))) for part in parts)


def domain(name: str) -> str:
    """Return the domain that something of Active Directory is in: what of its name begins with DC=."""
    return ",".join(part for part in _PART.split(name) if part.strip().upper().startswith("DC="))


def _value(text: str) -> str:
    kind, equals, value = text.partition("=")
    value = _ESCAPED.sub(_plain, value)
    # separators are told apart from characters of the value
    return f"{kind.strip().casefold()}{equals}{' '.join(value.casefold().split())!r}"


def _plain(escaped: re.Match[str]) -> str:
    return bytes.fromhex(escaped[1].replace("\\", "")).decode("utf-8", "replace") if escaped[1] else escaped[2]
