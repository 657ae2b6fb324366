"""The header of a table: which column is which."""

from collections import Counter
from collections.abc import Sequence

from services.ingestion.domain.mapping import FileMapping
from services.ingestion.domain.rows import FileRefused


def judged(mapping: FileMapping, names: Sequence[str]) -> tuple[str, ...]:
    """Return the header.

    Raises:
        FileRefused: A column that the mapping reads is missing or stands there twice.
    """
    if missing := sorted(mapping.columns - set(names)):
        columns = ", ".join(missing)
        raise FileRefused("file.header_missing", f"the header lacks {columns}", columns=columns)
    counts = Counter(names)
    if twice := sorted(name for name in mapping.columns if counts[name] > 1):
        columns = ", ".join(twice)
        raise FileRefused("file.header_twice", f"the header has more than one {columns}", columns=columns)
    return tuple(names)
