"""Directory clients. LDAP only, so far; ldap3 is imported here and nowhere else in the kernel."""

from services.kernel.directory.answers import Entry, EntryExists, NoSuchEntry, ValueExists, ValueGone
from services.kernel.directory.client import Directory
from services.kernel.directory.filters import absent, all_of, any_of, equals, escape_rdn, present
from services.kernel.directory.session import DirectoryAccess, Modification, Operation, Scope

__all__ = [
    "Directory",
    "DirectoryAccess",
    "Entry",
    "EntryExists",
    "Modification",
    "NoSuchEntry",
    "Operation",
    "Scope",
    "ValueExists",
    "ValueGone",
    "absent",
    "all_of",
    "any_of",
    "equals",
    "escape_rdn",
    "present",
]
