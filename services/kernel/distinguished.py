"""Distinguished names as directories compare them (RFC 4514; RFC 4517, section 4.2.15): not by escape, space, case."""

import re
from functools import lru_cache

_HEX = re.compile(r"(?:\\[0-9A-Fa-f]{2})+")
_CHARACTER = re.compile(r"\\(.)")
_PART = re.compile(r"(?<!\\),")
_VALUE = re.compile(r"(?<!\\)\+")


@lru_cache(8_192)
def normalised(name: str) -> str:
    """Return a name in one spelling; what is none is only folded, so any text may be compared."""
    return ",".join("+".join(sorted(map(_value, _VALUE.split(part)))) for part in _PART.split(name))


def _value(text: str) -> str:
    kind, equals, value = text.partition("=")
    value = _CHARACTER.sub(r"\1", _HEX.sub(_decoded, value.strip()))
    # separators are told apart from characters of the value
    return f"{kind.strip().casefold()}{equals}{' '.join(value.casefold().split())!r}"


def _decoded(octets: re.Match[str]) -> str:
    return bytes.fromhex(octets[0].replace("\\", "")).decode("utf-8", "replace")
