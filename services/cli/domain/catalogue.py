"""Texts in Swedish and English for codes and messages. A code without a text is shown as it is."""

from collections.abc import Mapping

from contracts.sentences import Language, sentence
from services.cli.domain.texts import CODES, MESSAGES, REMEDIES

LANGUAGES = ("sv", "en")


class Catalogue:
    """Texts in one language."""

    def __init__(self, language: str) -> None:
        self.language: Language = "sv" if language == "sv" else "en"
        self._index = LANGUAGES.index(self.language)

    def code(self, code: object) -> str:
        """Return the text of a reason, kind, state, step or problem."""
        return self._of(CODES, str(code)) or str(code)

    def sentence(self, code: str, parameters: Mapping[str, object]) -> str:
        """Return what a code says with its parameters; a code without a text is shown as it is."""
        return sentence(code, parameters, self.language) or code

    def say(self, message: str, /, **values: object) -> str:
        """Return a message with its values.

        Raises:
            KeyError: There is no such message.
        """
        return MESSAGES[message][self._index].format(**values)

    def remedy(self, code: str, status: int) -> str | None:
        """Return what to do about a problem: by its code, else by its HTTP status."""
        return self._of(REMEDIES, code) or self._of(REMEDIES, str(status))

    def _of(self, table: Mapping[str, tuple[str, str]], key: str) -> str | None:
        found = table.get(key)
        return None if found is None else found[self._index]


def language_of(lang: str | None) -> str:
    """Return the language of a POSIX locale (`sv_SE.UTF-8`); English for all but Swedish."""
    return "sv" if (lang or "").lower().startswith("sv") else "en"
