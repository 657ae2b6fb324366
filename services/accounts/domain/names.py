"""Logins and addresses from names: deterministic, ASCII, cut to length, never a reserved or offensive word."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from contracts.codes import Protection
from contracts.person import Name

LOGIN_LENGTH = 20
"""sAMAccountName's limit, so that a login fits every directory."""
MAIL_LENGTH = 64
"""Longest local part (RFC 5321, section 4.5.3.1.1)."""
FALLBACK = "user"

# What Unicode does not decompose into a letter and a mark (DOMAIN, Identity).
_LETTERS = str.maketrans(
    {
        "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th",
        "ł": "l", "ŋ": "n", "ŧ": "t", "ħ": "h", "ı": "i", "ĸ": "k", "ə": "e", "ʒ": "z", "ǥ": "g", "ɨ": "i",
    }
)  # fmt: skip
_DASHES = re.compile(r"[-\u2010-\u2015\u2212]+")
_SILENT = re.compile(r"['’ʼ`´]")
_EDGES = ".-"
_NEUTRAL = re.compile(rf"{FALLBACK}[0-9]+")


@dataclass(frozen=True)
class Blocklist:
    """`reserved` may not be a whole login, `offensive` may not be a part of one; digits at the end do not help."""

    reserved: frozenset[str]
    offensive: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> "Blocklist":
        """Read a list: one word a line, under the headings [reserved] and [offensive]; # begins a comment.

        Raises:
            ValueError: A word stands under no heading, or a heading is unknown.
        """
        sections: dict[str, set[str]] = {"reserved": set(), "offensive": set()}
        heading = ""
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.partition("#")[0].strip().lower()
            if line.startswith("["):
                heading = line.strip("[]")
            elif line and heading in sections:
                sections[heading].add(line)
            elif line:
                raise ValueError(f"line {number}: a word outside [reserved] and [offensive]")
        return cls(frozenset(sections["reserved"]), frozenset(sections["offensive"]))

    def blocks(self, local: str) -> bool:
        """Tell whether a login or local part may not be used."""
        bare = local.rstrip("0123456789").strip(_EDGES)
        return bare in self.reserved or not self.offensive.isdisjoint(re.split(r"[.-]", bare))


def transliterate(text: str) -> str:
    """Return `text` in lower-case ASCII: letters without their marks, other scripts dropped; NFC and NFD are the same.

    Words are parted by single spaces, hyphens stay within words.
    """
    lowered = unicodedata.normalize("NFC", text).lower().translate(_LETTERS)
    bare = _SILENT.sub("", _DASHES.sub("-", unicodedata.normalize("NFKD", lowered).lower()))
    kept = "".join(_ascii(character) for character in bare)
    words = (re.sub(r"-+", "-", word).strip("-") for word in kept.split())
    return " ".join(word for word in words if word)


def base(name: Name) -> str:
    """Return the stem of login and address: first word of the name of address, then all of the family name.

    Empty when nothing of the name can be written in ASCII.
    """
    given = transliterate(name.preferred or name.given).split()[:1]
    return ".".join([*given, *transliterate(name.family).split()])


def candidates(stem: str, length: int, blocklist: Blocklist) -> Iterator[str]:
    """Yield local parts in the order in which they are tried, without end: the same for the same stem, always.

    `anna.andersson`, `anna.andersson2`, …; a stem that is empty or blocked becomes `user1`, `user2`, ….
    """
    plain = _cut(stem, length)
    if not plain or blocklist.blocks(stem) or blocklist.blocks(plain):
        for number in count(1):
            yield f"{FALLBACK}{number}"
    yield plain
    for number in count(2):
        digits = str(number)
        yield _cut(stem, length - len(digits)) + digits


def stem(name: Name, protection: Protection) -> str:
    """Return what login and address are made of: nothing of the name for a protected identity."""
    return base(name) if protection == Protection.NONE else ""


def is_neutral(local: str) -> bool:
    """Tell whether a login or local part says nothing of the name."""
    return _NEUTRAL.fullmatch(local) is not None


def _cut(stem: str, length: int) -> str:
    return stem[:length].strip(_EDGES)


def _ascii(character: str) -> str:
    if character == "-" or (character.isascii() and character.isalpha()):
        return character
    # Digits are left to the generator, or two candidates of one stem could be the same.
    if unicodedata.category(character)[0] in "MLN":
        return ""
    return " "
