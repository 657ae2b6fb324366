"""Logins and addresses from names: deterministic, ASCII, cut to length, never a reserved or offensive word."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from contracts.codes import Protection
from contracts.person import Name
from services.accounts.domain.rows import RowUnusable

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
_FIELD = re.compile(r"\{(?P<name>given|family|n)(?::(?P<size>[1-9][0-9]?))?\}")


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


@dataclass(frozen=True)
class Pattern:
    """How a login or local part is made of a stem: letters, `.`, `-`, and fields in braces.

    `{given}` and `{family}` are the words of the stem; `{given:3}` is the first three letters.
    `{n}` counts from 1, `{n:2}` with so many digits; a pattern that counts goes on for ever, so it stands last.
    """

    text: str

    def __post_init__(self) -> None:
        """Refuse what is no pattern.

        Raises:
            ValueError: A field is unknown, or there is something else than letters, dots and hyphens beside fields.
        """
        plain = _FIELD.sub("", self.text)
        if not self.text or not re.fullmatch(r"[a-z.-]*", plain):
            raise ValueError(f"no pattern for a name: {self.text!r}")
        if len([field for field in _FIELD.finditer(self.text) if field["name"] == "n"]) > 1:
            raise ValueError(f"a pattern counts once: {self.text!r}")

    @property
    def counts(self) -> bool:
        """Whether it goes on for ever."""
        return any(field["name"] == "n" for field in _FIELD.finditer(self.text))

    def of(self, stem: str, number: int, length: int) -> str:
        """Return what it makes of a stem, cut to `length` before the number; empty when the stem gives nothing."""
        given, _, family = stem.partition(".")
        words = {"given": given, "family": family}

        def filled(field: re.Match[str]) -> str:
            if field["name"] == "n":
                return "\0"
            word = words[field["name"]]
            return re.sub(r"[.-]", "", word)[: int(field["size"])] if field["size"] else word

        made = re.sub(r"\.{2,}", ".", _FIELD.sub(filled, self.text))
        before, counted, after = made.partition("\0")
        if not counted:
            return _cut(before, length)
        width = next(int(field["size"] or 1) for field in _FIELD.finditer(self.text) if field["name"] == "n")
        digits = str(number).zfill(width)
        if not before.strip(_EDGES) and not after.strip(_EDGES):
            return ""
        return before[: length - len(digits) - len(after)].lstrip(_EDGES) + digits + after.rstrip(_EDGES)


@dataclass(frozen=True)
class Naming:
    """How somebody is named: patterns in the order in which they are tried; `domain` is where the addresses are."""

    login: tuple[Pattern, ...]
    mail: tuple[Pattern, ...]
    domain: str | None = None
    row: str | None = field(default=None, compare=False)

    @classmethod
    def from_output(cls, output: Mapping[str, Any], *, table: str, row: str) -> "Naming":
        """Read a decision's output.

        Raises:
            RowUnusable: A pattern is missing or wrong, one that counts is not the last, or the domain is no text.
        """
        found: list[tuple[Pattern, ...]] = []
        for kind in ("login", "mail"):
            texts = output.get(kind)
            if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
                raise RowUnusable(table, row, f"{kind} is no list of patterns")
            try:
                patterns = tuple(Pattern(text) for text in texts)
            except ValueError as error:
                raise RowUnusable(table, row, f"{kind}: {error}") from error
            if any(pattern.counts for pattern in patterns[:-1]):
                raise RowUnusable(table, row, f"only the last pattern of {kind} may count")
            found.append(patterns)
        domain = output.get("domain")
        if domain is not None and not (isinstance(domain, str) and domain):
            raise RowUnusable(table, row, "domain is neither a text nor null")
        return cls(found[0], found[1], domain, row)


PLAIN = Naming((Pattern("{given}.{family}"),), (Pattern("{given}.{family}"),))
"""`anna.andersson`, for installations without a table of names."""


def candidates(
    stem: str, length: int, blocklist: Blocklist, patterns: Sequence[Pattern] = PLAIN.login
) -> Iterator[str]:
    """Yield local parts in the order in which they are tried, without end: the same for the same stem, always.

    First what each pattern makes, then the last one with numbers: `anna.andersson`, `anna.andersson2`, …; a stem that
    is empty or blocked becomes `user1`, `user2`, ….
    """
    seen: set[str] = set()
    for pattern in patterns:
        for number in count(1) if pattern.counts else (1,):
            local = pattern.of(stem, number, length)
            if not local or not stem or blocklist.blocks(stem) or blocklist.blocks(local):
                break
            if local not in seen:
                seen.add(local)
                yield local
    if not seen:
        for number in count(1):
            yield f"{FALLBACK}{number}"
    plain = patterns[-1].of(stem, 1, MAIL_LENGTH)
    for number in count(2):
        digits = str(number)
        yield _cut(plain, length - len(digits)) + digits


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
