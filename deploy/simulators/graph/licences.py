"""Subscriptions, and giving their licences to users.

https://learn.microsoft.com/graph/api/user-assignlicense, https://learn.microsoft.com/graph/api/subscribedsku-list
"""

from dataclasses import replace

from deploy.simulators.graph import queries
from deploy.simulators.graph.bodies import fits, only
from deploy.simulators.graph.calls import Answer, Json, Refused, bad_request, not_found
from deploy.simulators.graph.entries import Kind
from deploy.simulators.graph.operations import Operation
from deploy.simulators.graph.tenants import Sku, Tenant


def assigned(operation: Operation) -> Answer:
    """POST /users/{id | userPrincipalName}/assignLicense."""
    user = operation.entry(Kind.USER)
    sent = only(operation.call.body, "addLicenses", "removeLicenses")
    adding, removing = sent.get("addLicenses"), sent.get("removeLicenses")
    if not fits("Collection(assignedLicense)", adding) or not fits("Collection(Guid)", removing):
        raise bad_request("Both 'addLicenses' and 'removeLicenses' are required, as collections.")
    tenant = operation.tenant
    held: dict[str, Json] = {one["skuId"]: one for one in user.properties.get("assignedLicenses") or ()}
    for sku in removing or ():
        _known(tenant, sku)
        if held.pop(sku, None) is None:
            raise bad_request("User does not have a corresponding license.")
        operation.changes.append(f"user.licenceRemoved/{sku}:{user.id}")
    for licence in adding or ():
        found = _known(tenant, str(licence.get("skuId")))
        if not user.properties.get("usageLocation"):
            raise bad_request("License assignment cannot be done for user with invalid usage location.")
        had = any(one["skuId"] == found.id for one in user.properties.get("assignedLicenses") or ())
        if not had and tenant.shelf.seats_taken(found.id) >= found.seats:
            raise bad_request(f"Subscription with SKU {found.id} does not have any available licenses.")
        held[found.id] = {"skuId": found.id, "disabledPlans": list(licence.get("disabledPlans") or ())}
        operation.changes.append(f"user.licenceAdded/{found.id}:{user.id}")
    _check_plans(tenant, held)
    new = replace(user, properties={**user.properties, "assignedLicenses": list(held.values())})
    operation.store(new, "licencesAssigned")
    return operation.shown(new, "users")


def listed(operation: Operation) -> Answer:
    """GET /subscribedSkus; only `$select` is documented for it."""
    _select_only(operation)
    rows = [_shown(operation, sku) for sku in operation.tenant.skus.values()]
    return Answer(200, {"@odata.context": f"{operation.root}/v1.0/$metadata#subscribedSkus", "value": rows})


def got(operation: Operation) -> Answer:
    """GET /subscribedSkus/{id}."""
    _select_only(operation)
    tenant, _, sku = operation.parts["id"].partition("_")
    found = operation.tenant.skus.get(sku)
    if found is None or tenant != operation.tenant.id:
        raise not_found(operation.parts["id"])
    body = _shown(operation, found)
    return Answer(200, {"@odata.context": f"{operation.root}/v1.0/$metadata#subscribedSkus/$entity", **body})


def _shown(operation: Operation, sku: Sku) -> Json:
    tenant = operation.tenant
    body: Json = {
        "accountId": tenant.id,
        "accountName": tenant.name,
        "appliesTo": "User",
        "capabilityStatus": "Enabled",
        "consumedUnits": tenant.shelf.seats_taken(sku.id),
        "id": f"{tenant.id}_{sku.id}",
        "prepaidUnits": {"enabled": sku.seats, "suspended": 0, "warning": 0, "lockedOut": 0},
        "servicePlans": [
            {
                "servicePlanId": plan.id,
                "servicePlanName": plan.name,
                "provisioningStatus": "Success",
                "appliesTo": "User",
            }
            for plan in sku.plans
        ],
        "skuId": sku.id,
        "skuPartNumber": sku.part_number,
        "subscriptionIds": [],
    }
    asked = operation.call.query.get("$select")
    return body if not asked else {name: body[name] for name in ("id", *asked.split(",")) if name in body}


def _select_only(operation: Operation) -> None:
    queries.check(operation.call)
    if set(operation.call.query) - {"$select"}:
        raise Refused(400, "Request_UnsupportedQuery", "Only $select is supported on subscribedSkus.")


def _known(tenant: Tenant, sku: str) -> Sku:
    found = tenant.skus.get(sku.lower())
    if found is None:
        raise bad_request(f"License {sku} does not correspond to a valid company License.")
    return found


def _check_plans(tenant: Tenant, held: dict[str, Json]) -> None:
    """Refuse a plan without the plans that it depends on."""
    off = {plan for one in held.values() for plan in one["disabledPlans"]}
    given = [plan for sku in held for plan in tenant.skus[sku].plans]
    unknown = off - {plan.id for plan in given}
    if unknown:
        raise bad_request(f"License assignment failed because service plan {min(unknown)} is not part of the license.")
    on = {plan.id for plan in given if plan.id not in off}
    for plan in given:
        if plan.id in on and (missing := plan.needs - on):
            raise bad_request(
                f"License assignment failed because service plan {plan.id} depends on the service plan(s) "
                f"{', '.join(sorted(missing))}"
            )
