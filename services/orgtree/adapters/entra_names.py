"""What of a unit Entra ID can hold, and how: whose a group is, its nickname, its title."""

import hashlib
import re

from services.orgtree.domain.projection import Kind
from services.orgtree.ports import Key

TITLE_LIMIT = 256
"""Longest `displayName`, and longest `mailNickname` below (https://learn.microsoft.com/graph/api/group-upsert)."""
_NICKNAME_LIMIT = 64
_REFUSED = re.compile(r'[^\x21-\x7e]|[@()\\\[\]";:<>,]')
_DIGEST = 8
_OURS = "stafett"


def prefix(organisation: str) -> str:
    """Return what the `uniqueName` of every group of an organisation begins with."""
    return f"{_OURS}:{organisation}:"


def unique(key: Key) -> str:
    """Return the `uniqueName` of a key's group: `stafett:<organisation>:<kind>:<unit>`."""
    return f"{prefix(key.organisation)}{key.kind}:{key.unit}"


def owner(text: object) -> Key | None:
    """Return whose a group is, or None when the text is no `uniqueName` of ours."""
    parts = text.split(":", 3) if isinstance(text, str) else []
    if len(parts) != 4 or parts[0] != _OURS or parts[2] not in set(Kind) - {Kind.ENTRY}:
        return None
    return Key(parts[1], parts[3], Kind(parts[2]))


def nickname(name: str) -> str:
    """Return the `mailNickname` of a group with a name: the same but for what Entra refuses, and still its own."""
    usable = _REFUSED.sub("_", name)
    if usable == name and len(name) <= _NICKNAME_LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{usable[: _NICKNAME_LIMIT - _DIGEST - 1]}-{digest}"
