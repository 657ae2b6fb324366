"""The table of routes: method, path, the application permissions that suffice, and who answers.

The permissions are those of the operations' pages, from least to most privileged.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deploy.simulators.graph import deleted, licences, mail, memberships, users
from deploy.simulators.graph.calls import Answer
from deploy.simulators.graph.entries import Kind
from deploy.simulators.graph.operations import Operation

_USER_READ = frozenset({"User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"})
_USER_WRITE = frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"})
_USER_DELETE = frozenset({"User.DeleteRestore.All", *_USER_WRITE})
_SESSIONS = frozenset({"User.RevokeSessions.All", *_USER_WRITE})
_LICENCE_WRITE = frozenset({"LicenseAssignment.ReadWrite.All", *_USER_WRITE})
_MAIL_READ = frozenset({"MailboxSettings.Read", "MailboxSettings.ReadWrite"})
_MAIL_WRITE = frozenset({"MailboxSettings.ReadWrite"})
_RULES = "/users/{id}/mailFolders/inbox/messageRules"
_SKU_READ = frozenset(
    {"LicenseAssignment.Read.All", "Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"}
)
_GROUP_READ = frozenset(
    {
        "GroupMember.Read.All",
        "GroupMember.ReadWrite.All",
        "Group.Read.All",
        "Group.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    }
)
_GROUP_WRITE = frozenset({"Group.ReadWrite.All", "Directory.ReadWrite.All"})
_GROUP_CREATE = frozenset({"Group.Create", *_GROUP_WRITE})
_MEMBER_WRITE = frozenset({"GroupMember.ReadWrite.All", *_GROUP_WRITE})
_MEMBER_OF_READ = frozenset(
    {"Directory.Read.All", "Directory.ReadWrite.All", "GroupMember.Read.All", "Group.Read.All", *_USER_READ}
)
_UNIT_READ = frozenset(
    {
        "AdministrativeUnit.Read.All",
        "AdministrativeUnit.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    }
)
_UNIT_WRITE = frozenset({"AdministrativeUnit.ReadWrite.All", "Directory.ReadWrite.All"})

_ALTERNATE = re.compile(r"/groups/?\(uniqueName='((?:[^']|'')*)'\)")
_NAMED = "/groups(uniqueName='{name}')"
_BY_NAME = memberships.Collective(Kind.GROUP, _GROUP_WRITE)

Handler = Callable[[Operation], Answer]


@dataclass(frozen=True)
class Route:
    """One route; `{name}` in the template is a parameter."""

    method: str
    template: str
    roles: frozenset[str]
    handler: Handler


def _collective(
    base: str, kind: Kind, read: frozenset[str], write: frozenset[str], member: frozenset[str]
) -> list[Route]:
    answers = memberships.Collective(kind, write)
    return [
        Route("GET", base, read, answers.listed),
        Route("POST", base, _GROUP_CREATE if kind is Kind.GROUP else write, answers.created),
        Route("GET", f"{base}/$count", read, answers.counted),
        Route("GET", f"{base}/{{id}}", read, answers.got),
        Route("PATCH", f"{base}/{{id}}", member, answers.changed),
        Route("DELETE", f"{base}/{{id}}", write, answers.deleted),
        Route("GET", f"{base}/{{id}}/members", read, answers.members),
        Route("GET", f"{base}/{{id}}/members/{{cast}}", read, answers.members),
        Route("POST", f"{base}/{{id}}/members/$ref", member, answers.member_added),
        Route("DELETE", f"{base}/{{id}}/members/{{member}}/$ref", member, answers.member_removed),
    ]


ROUTES: tuple[Route, ...] = (
    Route("GET", "/users", _USER_READ, users.listed),
    Route("POST", "/users", _USER_WRITE, users.created),
    Route("GET", "/users/$count", _USER_READ, users.counted),
    Route("GET", "/users/{id}", _USER_READ, users.got),
    Route("PATCH", "/users/{id}", _USER_WRITE, users.changed),
    Route("DELETE", "/users/{id}", _USER_DELETE, users.deleted),
    Route("GET", "/users/{id}/manager", _USER_READ, users.manager),
    Route("PUT", "/users/{id}/manager/$ref", _USER_WRITE, users.manager_set),
    Route("DELETE", "/users/{id}/manager/$ref", _USER_WRITE, users.manager_removed),
    Route("POST", "/users/{id}/revokeSignInSessions", _SESSIONS, users.sessions_revoked),
    Route("POST", "/users/{id}/assignLicense", _LICENCE_WRITE, licences.assigned),
    Route("GET", "/users/{id}/memberOf", _MEMBER_OF_READ, memberships.member_of),
    Route("GET", "/users/{id}/memberOf/{cast}", _MEMBER_OF_READ, memberships.member_of),
    Route("GET", _RULES, _MAIL_READ, mail.rules),
    Route("POST", _RULES, _MAIL_WRITE, mail.rule_created),
    Route("GET", f"{_RULES}/{{rule}}", _MAIL_READ, mail.rule),
    Route("DELETE", f"{_RULES}/{{rule}}", _MAIL_WRITE, mail.rule_deleted),
    Route("GET", "/subscribedSkus", _SKU_READ, licences.listed),
    Route("GET", "/subscribedSkus/{id}", _SKU_READ, licences.got),
    Route("GET", _NAMED, _GROUP_READ, _BY_NAME.named),
    Route("PATCH", _NAMED, _GROUP_WRITE, _BY_NAME.upserted),
    *_collective("/groups", Kind.GROUP, _GROUP_READ, _GROUP_WRITE, _MEMBER_WRITE),
    *_collective("/directory/administrativeUnits", Kind.UNIT, _UNIT_READ, _UNIT_WRITE, _UNIT_WRITE),
    Route("GET", "/directory/deletedItems/microsoft.graph.user", _USER_READ, deleted.users),
    Route("GET", "/directory/deletedItems/microsoft.graph.group", _GROUP_READ, deleted.groups),
    Route("GET", "/directory/deletedItems/{id}", _USER_READ, deleted.got),
    Route("DELETE", "/directory/deletedItems/{id}", _USER_DELETE, deleted.purged),
    Route("POST", "/directory/deletedItems/{id}/restore", _USER_DELETE, deleted.restored),
)


def match(method: str, path: str) -> tuple[Route, Mapping[str, str]] | frozenset[str]:
    """Return the route of a path below `/v1.0` with its parameters, or the methods that the path does have."""
    segments = path.strip("/").split("/")
    others: set[str] = set()
    key = _ALTERNATE.fullmatch(path)
    for route in ROUTES:
        if route.template == _NAMED:
            parts = {"name": key[1].replace("''", "'")} if key else None
        else:
            parts = None if key else _parts(route.template.strip("/").split("/"), segments)
        if parts is None:
            continue
        if route.method == method:
            return route, parts
        others.add(route.method)
    return frozenset(others)


def _parts(template: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(template) != len(segments):
        return None
    parts: dict[str, str] = {}
    for wanted, given in zip(template, segments, strict=True):
        if wanted.startswith("{"):
            if not given or given.startswith("$"):
                return None
            parts[wanted[1:-1]] = given
        elif wanted != given:
            return None
    return parts
