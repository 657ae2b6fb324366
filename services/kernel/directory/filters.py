"""Search filters (RFC 4515) and relative names (RFC 4514), escaped where they are made."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from ldap3.core.exceptions import LDAPInvalidFilterError
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.protocol.rfc4511 import Filter, SequenceOf
from ldap3.utils.asn1 import encode
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn as _escape_rdn

ASSERTION = "1.3.6.1.1.12"
"""OID of the assertion control (RFC 4528)."""
MATCHED_VALUES = "1.2.826.0.1.3344810.2.3"
"""OID of the matched values control (RFC 3876)."""


def equals(attribute: str, value: str) -> str:
    """Return the filter for entries whose `attribute` has `value`."""
    return f"({attribute}={escape_filter_chars(value)})"


def present(attribute: str) -> str:
    """Return the filter for entries that have `attribute` at all."""
    return f"({attribute}=*)"


def absent(attribute: str) -> str:
    """Return the filter for entries that do not have `attribute`."""
    return f"(!({attribute}=*))"


def begins(attribute: str, prefix: str) -> str:
    """Return the filter for entries whose `attribute` has a value that begins with `prefix`."""
    return f"({attribute}={escape_filter_chars(prefix)}*)"


def has_guid(guid: str) -> str:
    """Return the filter for the object with this objectGUID.

    Raises:
        ValueError: It is none.
    """
    return "(objectGUID={})".format("".join(f"\\{octet:02x}" for octet in UUID(guid).bytes_le))


def any_of(*filters: str) -> str:
    """Return the filter for entries that match at least one."""
    return filters[0] if len(filters) == 1 else f"(|{''.join(filters)})"


def all_of(*filters: str) -> str:
    """Return the filter for entries that match all."""
    return filters[0] if len(filters) == 1 else f"(&{''.join(filters)})"


def escape_rdn(value: str) -> str:
    """Return `value` as it may stand in a distinguished name."""
    return str(_escape_rdn(value))


def assertion(condition: str) -> tuple[str, bool, bytes]:
    """Return the critical control that lets an operation happen only while the entry matches `condition`.

    Raises:
        ValueError: The filter cannot be read.
    """
    return ASSERTION, True, bytes(encode(_compiled(condition)))


def matched(attribute: str, values: Iterable[str]) -> tuple[str, bool, bytes]:
    """Return the critical control that lets only these values of an attribute be returned, as far as they are there.

    All other attributes are left out.
    """
    wanted = SequenceOf(componentType=Filter())
    wanted.extend(_compiled(equals(attribute, value)) for value in values)
    return MATCHED_VALUES, True, bytes(encode(wanted))


def _compiled(condition: str) -> Any:
    try:
        parsed = parse_filter(condition, None, True, True, None, False)
    except LDAPInvalidFilterError as error:
        raise ValueError(condition) from error
    return compile_filter(parsed.elements[0])
