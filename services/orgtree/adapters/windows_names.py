"""What of a unit Active Directory can hold, and how: names, titles, and the mark, all in one attribute."""

import hashlib
import re
from urllib.parse import unquote

from services.kernel.marks import Mark
from services.orgtree.adapters.ldap_objects import parsed
from services.orgtree.domain.projection import Kind
from services.orgtree.ports import Key

NAME_LIMIT = 64
"""Longest `ou` and `cn` (rangeUpper of the schema)."""
TITLE_LIMIT = 256
"""Longest `displayName`."""
_OURS = "stafett-unit"
_REFUSED = re.compile(r'["/\\\[\]:;|=,+*?<>@\x00-\x1f]')
_ACCOUNT_LIMIT = 256
_DIGEST = 8


def account_name(name: str) -> str:
    """Return the sAMAccountName of the group with a `cn`: the same but for what a domain refuses, and still its own."""
    usable = _REFUSED.sub("_", name).rstrip(". ")
    if usable == name and len(name) <= _ACCOUNT_LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{usable[: _ACCOUNT_LIMIT - _DIGEST - 1]}-{digest}"


def prefix(organisation: str, unit: str | None = None) -> str:
    """Return what every mark of an organisation, or of one of its units, begins with."""
    begins = f"{_OURS}:{organisation}:"
    return begins if unit is None else f"{begins}{_quoted(unit)}:"


def written(key: Key, mark: Mark) -> str:
    """Return the mark of a pass: `stafett-unit:<organisation>:<unit>:<kind>:<generation>.<epoch>`.

    `%` and `:` of a unit's id are percent-encoded (RFC 3986, section 2.1).
    """
    return f"{prefix(key.organisation, key.unit)}{key.kind}:{mark}"


def owner(text: str | None) -> Key | None:
    """Return whose an object is, or None when the text is no mark of ours."""
    parts = (text or "").split(":")
    if len(parts) != 5 or parts[0] != _OURS or parts[3] not in set(Kind):
        return None
    return Key(parts[1], unquote(parts[2]), Kind(parts[3]))


def mark(text: str | None) -> Mark | None:
    """Return the pass that wrote last, or None when that cannot be read."""
    return parsed(text.rpartition(":")[2]) if text is not None and owner(text) is not None else None


def _quoted(unit: str) -> str:
    return unit.replace("%", "%25").replace(":", "%3A")
