"""What a directory answers, and what its refusals mean to the work executor (RFC 4511, section 4.1.9)."""

from collections.abc import Mapping
from dataclasses import dataclass

from ldap3.core.exceptions import (
    LDAPCertificateError,
    LDAPCommunicationError,
    LDAPConfigurationError,
    LDAPException,
    LDAPMaximumRetriesError,
    LDAPResponseTimeoutError,
    LDAPSessionTerminatedByServerError,
    LDAPSSLNotSupportedError,
    LDAPStartTLSError,
)

from services.kernel.failures import Failure, Permanent, Transient, Unavailable

AWAY = (
    LDAPCommunicationError,
    LDAPSessionTerminatedByServerError,
    LDAPResponseTimeoutError,
    LDAPMaximumRetriesError,
    LDAPStartTLSError,
    # the client's own configuration, a missing CA file for example: everybody's trouble, no one person's
    LDAPCertificateError,
    LDAPConfigurationError,
    LDAPSSLNotSupportedError,
)


class ConnectionFailed(Unavailable):
    """The connection could not be made or broke: worth another try at once, for a read."""


class EntryExists(Transient):
    """Add: an entry with this name is there already (entryAlreadyExists). Read it before anything else."""


class NoSuchEntry(Transient):
    """The entry is not, or no longer, there (noSuchObject)."""


class ValueExists(Transient):
    """Add: the value is there already (attributeOrValueExists)."""


class ValueTaken(Transient):
    """A value that has to be unique in the whole directory is somebody else's (a user principal name)."""


class PasswordPolicy(Permanent):
    """The directory's password policy refuses a password."""


class ValueGone(Transient):
    """Compare-and-set lost: the value to replace is not there any more (noSuchAttribute, assertionFailed)."""


@dataclass(frozen=True)
class Entry:
    """An entry as it was read. Attribute names are lower case; values keep the server's order."""

    dn: str
    attributes: Mapping[str, tuple[str, ...]]

    def values(self, attribute: str) -> tuple[str, ...]:
        """Return all values, in the server's order; empty when there are none."""
        return self.attributes.get(attribute.lower(), ())

    def first(self, attribute: str) -> str | None:
        """Return the first value, or None."""
        return next(iter(self.values(attribute)), None)


SUCCESS = 0
COMPARE_FALSE = 5
COMPARE_TRUE = 6
SIZE_LIMIT_EXCEEDED = 4
INVALID_CREDENTIALS = 49
_OWN: Mapping[int, tuple[type[Failure], str]] = {
    16: (ValueGone, "directory.value_gone"),
    20: (ValueExists, "directory.value_exists"),
    32: (NoSuchEntry, "directory.no_such_entry"),
    68: (EntryExists, "directory.entry_exists"),
    122: (ValueGone, "directory.value_gone"),
}
# Unavailable concerns the whole target: wrong credentials of the service itself hit everybody alike.
# referral (10) and unwillingToPerform (53): a server that may not be written, a replica or one in maintenance.
_AWAY = frozenset({8, 10, 13, 48, INVALID_CREDENTIALS, 52, 53})
_TRANSIENT = frozenset({1, 3, 11, 51, 54, 80})


def refusal(code: int, name: str) -> Failure:
    """Return the failure that an LDAP result stands for; its name travels as a parameter, never the message.

    Args:
        code: resultCode (RFC 4511, appendix A).
        name: Its name, for example `constraintViolation`.
    """
    if code in _OWN:
        kind, problem = _OWN[code]
        return kind(problem)
    if code in _AWAY:
        return Unavailable("directory.unavailable", result=name)
    if code in _TRANSIENT:
        return Transient("directory.busy", result=name)
    return Permanent("directory.refused", result=name)


def away(error: Exception) -> Failure:
    """Return the failure for an exception of ldap3 or of the socket. Whether a write has landed is then UNKNOWN."""
    if isinstance(error, TimeoutError):
        return Unavailable("directory.timeout")
    if isinstance(error, (LDAPCommunicationError, LDAPSessionTerminatedByServerError, ConnectionError)):
        return ConnectionFailed("directory.unavailable", result=type(error).__name__)
    if isinstance(error, (*AWAY, OSError)):
        return Unavailable("directory.unavailable", result=type(error).__name__)
    if isinstance(error, LDAPException):
        return Permanent("directory.request_invalid", result=type(error).__name__)
    return Transient("directory.unknown", result=type(error).__name__)
