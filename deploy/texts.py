"""The portal's catalogues: `python -m deploy.texts` compiles `locale/*/LC_MESSAGES/portal.po`; safe to repeat.

English is the language of the messages themselves, so only Swedish has a catalogue.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parent.parent
PORTAL = ROOT / "services" / "portal"
METHODS = [("**.html", "jinja2.ext:babel_extract")]
OPTIONS = {"**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false", "newstyle_gettext": "true"}}


def catalogues() -> list[Path]:
    """Return the catalogues' sources."""
    return sorted((PORTAL / "locale").glob("*/LC_MESSAGES/portal.po"))


def messages() -> Iterator[tuple[str, str]]:
    """Yield (message, where) for everything that a template says."""
    for folder in (PORTAL / "templates", PORTAL / "api"):
        for name, line, message, _, _ in extract_from_dir(folder, METHODS, OPTIONS):
            yield _first(message), f"{name}:{line}"


def _first(message: object) -> str:
    """Return the singular of a message that has a plural."""
    return str(message[0] if isinstance(message, (tuple, list)) else message)


def _said(text: object) -> bool:
    """Tell whether a message is translated, in the plural too."""
    return all(text) if isinstance(text, (tuple, list)) else bool(text)


def compile_catalogues() -> None:
    """Write what gettext reads, where the source is newer."""
    for source in catalogues():
        compiled = source.with_suffix(".mo")
        if compiled.exists() and compiled.stat().st_mtime >= source.stat().st_mtime:
            continue
        with source.open("rb") as file:
            catalogue = read_po(file)
        new = compiled.with_suffix(".new")
        with new.open("wb") as file:
            write_mo(file, catalogue)
        # in one step: the portal may be reading it
        new.replace(compiled)


def missing() -> list[str]:
    """Return the messages that a catalogue has no text for."""
    said = dict(messages())
    found = []
    for source in catalogues():
        with source.open("rb") as file:
            catalogue = read_po(file)
        known = {_first(entry.id) for entry in catalogue if _said(entry.string) and not entry.fuzzy}
        found += [
            f"{source.parent.parent.name}: {where}: {message}"
            for message, where in said.items()
            if message not in known
        ]
    return sorted(found)


def main() -> int:
    """Compile, and tell what is missing."""
    compile_catalogues()
    untranslated = missing()
    for line in untranslated:
        print(line, file=sys.stderr)
    return 1 if untranslated else 0


if __name__ == "__main__":
    sys.exit(main())
