"""Deleted items: listed, restored within 30 days, or deleted for good.

https://learn.microsoft.com/graph/api/directory-deleteditems-list and the pages beside it.
"""

from dataclasses import replace

from deploy.simulators.graph.bodies import fits, only
from deploy.simulators.graph.calls import Answer, Refused, bad_request, not_found
from deploy.simulators.graph.entries import Entry, Kind
from deploy.simulators.graph.operations import Operation, no_content
from deploy.simulators.graph.users import addresses_in_use, name_in_use


def users(operation: Operation) -> Answer:
    """GET /directory/deletedItems/microsoft.graph.user; the cast is a required part of the path."""
    return operation.listed(Kind.USER, deleted=True, context="directory/deletedItems/microsoft.graph.user")


def groups(operation: Operation) -> Answer:
    """GET /directory/deletedItems/microsoft.graph.group."""
    return operation.listed(Kind.GROUP, deleted=True, context="directory/deletedItems/microsoft.graph.group")


def got(operation: Operation) -> Answer:
    """GET /directory/deletedItems/{id}."""
    entry = _one(operation)
    answer = operation.shown(entry, "directoryObjects")
    return replace(answer, body={"@odata.type": f"#microsoft.graph.{entry.kind}", **answer.body})


def restored(operation: Operation) -> Answer:
    """POST /directory/deletedItems/{id}/restore.

    The two parameters are documented on the page of the operation, and are not in the published metadata
    (https://github.com/microsoftgraph/msgraph-metadata/pull/697).
    """
    entry = _one(operation)
    body = {} if operation.call.body is None else operation.call.body
    sent = only(body, "autoReconcileProxyConflict", "newUserPrincipalName")
    new_name, reconciled = sent.get("newUserPrincipalName"), sent.get("autoReconcileProxyConflict", False)
    if not (new_name is None or fits("String", new_name)) or not fits("Boolean", reconciled):
        raise bad_request("One or more parameters of the action are invalid.")
    tenant = operation.tenant
    properties = dict(entry.properties)
    if entry.kind is Kind.USER:
        if new_name is not None:
            if new_name.rpartition("@")[2].lower() not in tenant.domains:
                raise bad_request("Property userPrincipalName is invalid.", target="userPrincipalName")
            properties["userPrincipalName"] = new_name
        if name_in_use(tenant, properties["userPrincipalName"], entry.id):
            raise _conflict("userPrincipalName")
    taken = addresses_in_use(tenant, properties.get("proxyAddresses") or (), entry.id)
    if taken and not reconciled:
        raise _conflict("proxyAddresses")
    if taken:
        properties["proxyAddresses"] = [one for one in properties["proxyAddresses"] if one not in taken]
    new = replace(entry, properties=properties, deleted=None)
    operation.store(new, "restored")
    answer = operation.shown(new, "directoryObjects")
    return replace(answer, body={"@odata.type": f"#microsoft.graph.{entry.kind}", **answer.body})


def purged(operation: Operation) -> Answer:
    """DELETE /directory/deletedItems/{id}: for good."""
    entry = _one(operation)
    operation.tenant.shelf.purge(entry.id)
    operation.changes.append(f"{entry.kind}.purged:{entry.id}")
    return no_content()


def _one(operation: Operation) -> Entry:
    key = operation.parts["id"]
    found = (operation.tenant.find(kind, key, operation.as_of, deleted=True) for kind in (Kind.USER, Kind.GROUP))
    entry = next((one for one in found if one is not None), None)
    if entry is None:
        raise not_found(key)
    return entry


def _conflict(name: str) -> Refused:
    # no page of Microsoft's tells status and code of this one
    message = f"Another object with the same value for property {name} already exists."
    return Refused(
        409,
        "Request_MultipleObjectsWithSameKeyValue",
        message,
        details=({"code": "ObjectConflict", "message": message, "target": name},),
    )
