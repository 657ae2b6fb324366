"""What erased people were known by: keyed hashes, that nobody can turn back, yet by which a thing is known again.

The key is a secret of the installation and never changes: without it, or with another one, an erased person's id and
names would pass for new.
"""

import hmac
from hashlib import sha256

import orjson
from pydantic import SecretStr

SHORTEST = 32
"""Characters of a key (RFC 2104, section 3: no shorter than the hash)."""


class ErasureKey:
    """HMAC-SHA256 (RFC 2104) over parts that are kept apart; an organisation or a naming scope is one of them."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    @classmethod
    def of(cls, secret: SecretStr) -> "ErasureKey | None":
        """Return the key of a setting; None when none is set: then nobody can be erased."""
        found = secret.get_secret_value()
        return cls(found) if found else None

    def digest(self, *parts: str) -> bytes:
        """Return the hash of what something was known by."""
        return hmac.digest(self._secret, orjson.dumps(parts), sha256)

    @property
    def fingerprint(self) -> bytes:
        """By which a key is known again; it tells nothing of the key."""
        return self.digest("fingerprint")[:8]


def long_enough(secret: SecretStr) -> SecretStr:
    """Validate a setting: none, or a key that is long enough.

    Raises:
        ValueError: It is too short.
    """
    if 0 < len(secret.get_secret_value()) < SHORTEST:
        raise ValueError(f"a key needs {SHORTEST} characters at least")
    return secret
