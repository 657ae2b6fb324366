"""Users: create, read, change, delete; their manager; their sessions.

https://learn.microsoft.com/graph/api/resources/user
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from deploy.simulators.graph import queries
from deploy.simulators.graph.bodies import SYNCED, merged, written
from deploy.simulators.graph.calls import Answer, Json, Refused, bad_request, conflict, not_found
from deploy.simulators.graph.clock import spoken
from deploy.simulators.graph.entries import Entry, Kind, Secret
from deploy.simulators.graph.operations import Operation, metadata, no_content
from deploy.simulators.graph.tenants import Tenant

_NAME = re.compile(r"[A-Za-z0-9'._\-!#^~]+")
_CLASSES = (re.compile(r"[a-z]"), re.compile(r"[A-Z]"), re.compile(r"\d"), re.compile(r"[^A-Za-z0-9]"))
_NICKNAME_REFUSED = re.compile(r"[@()\\\[\]\";:<>, ]|[^\x00-\x7f]")
PASSWORD_ROLE = "User-PasswordProfile.ReadWrite.All"  # noqa: S105 (the name of a permission)


def listed(operation: Operation) -> Answer:
    """GET /users."""
    return operation.listed(Kind.USER, context="users")


def counted(operation: Operation) -> Answer:
    """GET /users/$count."""
    return operation.counted(Kind.USER)


def got(operation: Operation) -> Answer:
    """GET /users/{id | userPrincipalName}."""
    return operation.shown(operation.entry(Kind.USER), "users")


def created(operation: Operation) -> Answer:
    """POST /users."""
    tenant = operation.tenant
    sent = written(Kind.USER, operation.call.body, creating=True)
    profile = sent.pop("passwordProfile")
    now = spoken(tenant.now())
    properties: Json = {
        **{name: merged({}, name, value) for name, value in sent.items()},
        "createdDateTime": now,
        "signInSessionsValidFromDateTime": now,
        "lastPasswordChangeDateTime": now,
        "userType": sent.get("userType", "Member"),
    }
    properties.update(_checked_names(tenant, {}, sent, own=None))
    if not profile.get("password"):
        raise bad_request("A value is required for property 'password'.", target="password", reason="MissingValue")
    _check_password(profile["password"], properties.get("passwordPolicies"))
    entry = Entry(
        operation.new_id(),
        Kind.USER,
        properties,
        password=Secret.of(profile["password"]),
        # https://learn.microsoft.com/graph/api/resources/passwordprofile: true unless said otherwise
        must_change=profile.get("forceChangePasswordNextSignIn") is not False,
    )
    operation.store(entry, "created")
    body = queries.shown(entry, queries.chosen(Kind.USER, operation.call))
    return Answer(
        201,
        {"@odata.context": f"{operation.root}/v1.0/$metadata#users/$entity", **body},
        {"Location": f"{operation.root}/v1.0/users/{entry.id}"},
    )


def changed(operation: Operation) -> Answer:
    """PATCH /users/{id | userPrincipalName}."""
    entry = operation.entry(Kind.USER)
    sent = written(Kind.USER, operation.call.body, creating=False, entry=entry)
    profile = sent.pop("passwordProfile", None)
    if profile is not None and PASSWORD_ROLE not in operation.roles:
        raise Refused(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    before = entry.properties
    properties: Json = {**before, **{name: merged(before, name, value) for name, value in sent.items()}}
    properties.update(_checked_names(operation.tenant, before, sent, own=entry.id))
    new = replace(entry, properties=properties)
    if profile is not None:
        new = _with_password(new, profile, operation.tenant.now())
    operation.store(new, "changed")
    operation.changes.extend(f"user.{name}:{entry.id}" for name in sent)
    if profile is not None:
        operation.changes.append(f"user.passwordProfile:{entry.id}")
    return no_content()


def deleted(operation: Operation) -> Answer:
    """DELETE /users/{id | userPrincipalName}: into deleted items, for 30 days."""
    entry = operation.entry(Kind.USER)
    _cloud_only(entry)
    operation.store(replace(entry, deleted=operation.tenant.now()), "deleted")
    return no_content()


def sessions_revoked(operation: Operation) -> Answer:
    """POST /users/{id | userPrincipalName}/revokeSignInSessions: refresh tokens from before are dead."""
    entry = operation.entry(Kind.USER)
    before = datetime.fromisoformat(entry.properties["signInSessionsValidFromDateTime"])
    # Graph shows whole seconds; each revocation is later than the one before
    moment = max(operation.tenant.now(), before + timedelta(seconds=1))
    properties = {**entry.properties, "signInSessionsValidFromDateTime": spoken(moment)}
    operation.store(replace(entry, properties=properties), "sessionsRevoked")
    return Answer(200, metadata(operation.root, "Edm.Boolean", value=True))


def manager(operation: Operation) -> Answer:
    """GET /users/{id | userPrincipalName}/manager."""
    found = operation.entry(Kind.USER).manager
    entry = None if found is None else operation.tenant.find(Kind.USER, found, operation.as_of)
    if entry is None:
        raise not_found("manager")
    queries.check(operation.call)
    body = queries.shown(entry, queries.chosen(Kind.USER, operation.call), typed=True)
    return Answer(200, {"@odata.context": f"{operation.root}/v1.0/$metadata#directoryObjects/$entity", **body})


def manager_set(operation: Operation) -> Answer:
    """PUT /users/{id | userPrincipalName}/manager/$ref."""
    entry = operation.entry(Kind.USER)
    _cloud_only(entry)
    chief = operation.referred(kinds=(Kind.USER,))
    operation.store(replace(entry, manager=chief.id), "managerSet")
    return no_content()


def manager_removed(operation: Operation) -> Answer:
    """DELETE /users/{id | userPrincipalName}/manager/$ref."""
    entry = operation.entry(Kind.USER)
    _cloud_only(entry)
    if entry.manager is None:
        raise not_found("manager")
    operation.store(replace(entry, manager=None), "managerRemoved")
    return no_content()


def addresses_in_use(tenant: Tenant, addresses: Iterable[str], own: str | None) -> list[str]:
    """Return those of the addresses (`SMTP:…`) that another live user or group has."""
    now = tenant.now()
    return [
        address
        for address in addresses
        for kind in (Kind.USER, Kind.GROUP)
        for _, other in tenant.shelf.having(kind, "proxyAddresses", address, now)
        if other.id != own
        and other.deleted is None
        and address.lower() in {one.lower() for one in other.properties.get("proxyAddresses") or ()}
    ]


def name_in_use(tenant: Tenant, name: str, own: str | None) -> bool:
    """Say whether another live user has the user principal name."""
    holder = tenant.find(Kind.USER, name, tenant.now())
    return holder is not None and holder.id not in (own, name)


def _checked_names(tenant: Tenant, before: Any, sent: Json, own: str | None) -> Json:
    """Return what follows from the names that are written, or refuse them."""
    result: Json = {}
    nickname = sent.get("mailNickname")
    if nickname is not None and _NICKNAME_REFUSED.search(nickname):
        raise bad_request(
            "Invalid value specified for property 'mailNickname' of resource 'User'.", target="mailNickname"
        )
    principal = sent.get("userPrincipalName")
    if principal is not None:
        local, _, domain = principal.partition("@")
        if not domain or domain.lower() not in tenant.domains:
            raise bad_request(
                "The domain portion of the userPrincipalName property is invalid. You must use one of the verified "
                "domain names in your organization.",
                target="userPrincipalName",
            )
        if not _NAME.fullmatch(local) or local.startswith(".") or local.endswith("."):
            raise bad_request("Property userPrincipalName is invalid.", target="userPrincipalName")
        if name_in_use(tenant, principal, own):
            raise conflict("userPrincipalName")
    mail = sent.get("mail")
    if mail is not None and mail != before.get("mail"):
        if not mail.isascii() or mail.count("@") != 1 or mail.startswith("@") or mail.endswith("@"):
            raise bad_request("Invalid value specified for property 'mail' of resource 'User'.", target="mail")
        if addresses_in_use(tenant, [f"SMTP:{mail}"], own):
            raise conflict("proxyAddresses")
        # "Changes to this property update the user's proxyAddresses collection to include the value as an SMTP
        # address" (the page of the resource)
        others = [f"smtp:{one[5:]}" for one in before.get("proxyAddresses") or () if one[5:].lower() != mail.lower()]
        result["proxyAddresses"] = [f"SMTP:{mail}", *others]
    return result


def _check_password(password: str, policies: str | None) -> None:
    """Refuse a password against the policy: 8-256 characters, three of four classes.

    https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy
    """
    strong = "DisableStrongPassword" in (policies or "") or sum(bool(one.search(password)) for one in _CLASSES) >= 3
    if not 8 <= len(password) <= 256 or not strong:
        raise bad_request(
            "The specified password does not comply with password complexity requirements. Please provide a different "
            "password.",
            target="password",
            reason="InvalidValue",
        )


def _with_password(entry: Entry, profile: Json, now: datetime) -> Entry:
    forced = profile.get("forceChangePasswordNextSignIn")
    must_change = entry.must_change if forced is None else forced
    password = profile.get("password")
    if password is None:
        return replace(entry, must_change=must_change)
    _check_password(password, entry.properties.get("passwordPolicies"))
    properties = {**entry.properties, "lastPasswordChangeDateTime": spoken(now)}
    return replace(
        entry, properties=properties, password=Secret.of(password), must_change=True if forced is None else forced
    )


def _cloud_only(entry: Entry) -> None:
    if entry.synced:
        raise bad_request(SYNCED)
