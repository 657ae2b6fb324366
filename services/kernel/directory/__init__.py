"""Directory clients: LDAP and Microsoft Graph; ldap3 and msal are imported here and nowhere else in the kernel."""

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
from services.kernel.directory.graph import Graph, Request, literal
from services.kernel.directory.graph_access import GraphAccess
from services.kernel.directory.graph_answers import Answer, identified, malformed, plain
from services.kernel.directory.session import DirectoryAccess, Modification, Operation, Scope, Value

__all__ = [
    "Answer",
    "Directory",
    "DirectoryAccess",
    "Entry",
    "EntryExists",
    "Graph",
    "GraphAccess",
    "Modification",
    "NoSuchEntry",
    "Operation",
    "PasswordPolicy",
    "Request",
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
    "identified",
    "literal",
    "malformed",
    "plain",
    "present",
]
