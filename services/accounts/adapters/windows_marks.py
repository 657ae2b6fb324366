"""The mark as Active Directory holds it: `stafett:<organisation>:<person>:<generation>.<epoch>`, one attribute."""

from services.accounts.ports import Stamp
from services.kernel.marks import Mark

_OURS = "stafett"


def prefix(organisation: str, person: str) -> str:
    """Return what every mark of a person begins with."""
    return f"{_OURS}:{organisation}:{person}:"


def written(stamp: Stamp) -> str:
    """Return the mark of a pass."""
    return f"{prefix(stamp.organisation, str(stamp.person))}{stamp.mark}"


def owner(text: str | None) -> tuple[str, str] | None:
    """Return whose an object is, as (organisation, person), or None when the text is no mark of ours."""
    parts = (text or "").split(":")
    return (parts[1], parts[2]) if len(parts) == 4 and parts[0] == _OURS else None


def parsed(text: str | None) -> Mark | None:
    """Return the pass that wrote last, or None when that cannot be read."""
    if text is None or owner(text) is None:
        return None
    try:
        return Mark.parse(text.rpartition(":")[2])
    except ValueError:
        return None
