"""How words of a person are folded so that a prefix finds them. Pure."""

import re
import unicodedata
from collections.abc import Iterable

_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "ø": "o", "đ": "d", "ŋ": "n", "ŧ": "t", "ł": "l", "þ": "th", "ð": "d"})
_AFTER_Z = str.maketrans({"å": "{", "ä": "|", "æ": "|", "ö": "}", "ø": "}"})
_INNER = re.compile(r"[.\-_'/ ]+")
_LIMIT = 16


def fold(text: str) -> str:
    """Return `text` in lower case without diacritics: `Åsa` and `asa` find each other (NFC and NFD too)."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return "".join(character for character in decomposed if not unicodedata.combining(character)).strip()


def order(text: str) -> str:
    """Return a key that sorts by code point as Swedish does: å, ä and ö after z, other diacritics as their letters."""
    return fold(unicodedata.normalize("NFC", text).casefold().translate(_AFTER_Z))


def words(organisation: str, texts: Iterable[str | None]) -> list[str]:
    """Return the lexemes that shall find a person: each word whole and each of its parts, sorted.

    `anna.andersson@alvsund.example` is found by its beginning and by `andersson`, not by its domain, which all share.
    Every lexeme begins with the organisation, so that one index serves all and no search reaches another organisation.
    """
    found: set[str] = set()
    for text in texts:
        for word in fold(text or "").split():
            local = word.partition("@")[0]
            found.update({word, *(part for part in _INNER.split(local) if part)})
    return sorted(f"{organisation}/{word}" for word in found)


def query(organisation: str, text: str) -> str | None:
    """Return a `tsquery` that wants every word of `text` as a prefix, or None when there is no word in it.

    Quoted as a literal `tsquery` (PostgreSQL 8.11.2), so nothing in `text` can be an operator.
    """
    parts = fold(text).split()[:_LIMIT]
    quoted = ["'" + f"{organisation}/{part}".replace("\\", "\\\\").replace("'", "''") + "':*" for part in parts]
    return " & ".join(quoted) or None
