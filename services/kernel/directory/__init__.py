"""Directory clients. LDAP only, so far; ldap3 is imported here and nowhere else in the kernel."""

from services.kernel.directory.answers import (
    Entry,
    EntryExists,
    NoSuchEntry,
    PasswordPolicy,
    ValueExists,
    ValueGone,
    ValueTaken,
)
from services.kernel.directory.client import Directory
from services.kernel.directory.filters import absent, all_of, any_of, begins, equals, escape_rdn, has_guid, present
from services.kernel.directory.session import DirectoryAccess, Modification, Operation, Scope, Value

__all__ = [
    "Directory",
    "DirectoryAccess",
    "Entry",
    "EntryExists",
    "Modification",
    "NoSuchEntry",
    "Operation",
    "PasswordPolicy",
    "Scope",
    "Value",
    "ValueExists",
    "ValueGone",
    "ValueTaken",
    "absent",
    "all_of",
    "any_of",
    "begins",
    "equals",
    "escape_rdn",
    "has_guid",
    "present",
]
