"""The rules of a user's inbox; Exchange answers, so a write is seen at once.

https://learn.microsoft.com/graph/api/resources/messagerule and the operations beside it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deploy.simulators.graph import queries
from deploy.simulators.graph.bodies import as_object
from deploy.simulators.graph.calls import Answer, Json, Refused
from deploy.simulators.graph.entries import Entry, Kind
from deploy.simulators.graph.operations import Operation, no_content

MAILBOX_PLANS = ("EXCHANGE_S_STANDARD", "EXCHANGE_S_ENTERPRISE", "EXCHANGE_S_DESKLESS")
"""The service plans that bring a mailbox (Microsoft's list of product names and service plan identifiers)."""
_WRITTEN = {
    "displayName": str,
    "sequence": int,
    "isEnabled": bool,
    "actions": dict,
    "conditions": dict,
    "exceptions": dict,
}
_ACTIONS = {"redirectTo": list, "forwardTo": list, "delete": bool, "markAsRead": bool, "stopProcessingRules": bool}


def rules(operation: Operation) -> Answer:
    """GET /users/{id}/mailFolders/inbox/messageRules."""
    queries.check(operation.call)
    user = _owner(operation)
    return Answer(200, {"@odata.context": _context(operation), "value": [dict(one) for one in user.rules]})


def rule(operation: Operation) -> Answer:
    """GET one of them."""
    queries.check(operation.call)
    return Answer(200, {"@odata.context": f"{_context(operation)}/$entity", **_one(operation, _owner(operation))})


def rule_created(operation: Operation) -> Answer:
    """POST /users/{id}/mailFolders/inbox/messageRules."""
    user, sent = _owner(operation), as_object(operation.call.body)
    _check(sent, _WRITTEN)
    actions = as_object(sent.get("actions"))
    _check(actions, _ACTIONS)
    to = [_address(one) for name in ("redirectTo", "forwardTo") for one in actions.get(name) or ()]
    if not sent.get("displayName") or not actions or not all(to):
        raise _invalid("The rule operation is invalid.")
    made = {
        "id": operation.new_id(),
        "sequence": len(user.rules) + 1,
        "isEnabled": True,
        "hasError": False,
        "isReadOnly": False,
        "conditions": None,
        "exceptions": None,
        **sent,
    }
    operation.store(replace(user, rules=(*user.rules, made)), f"ruleCreated/{','.join(map(str, to))}")
    return Answer(201, {"@odata.context": f"{_context(operation)}/$entity", **made})


def rule_deleted(operation: Operation) -> Answer:
    """DELETE one of them."""
    user = _owner(operation)
    gone = _one(operation, user)
    operation.store(replace(user, rules=tuple(one for one in user.rules if one["id"] != gone["id"])), "ruleDeleted")
    return no_content()


def _owner(operation: Operation) -> Entry:
    """Return the user, who must have a mailbox."""
    tenant = operation.tenant
    user = tenant.find(Kind.USER, operation.parts["id"], tenant.now())
    if user is None:
        raise Refused(404, "ErrorInvalidUser", f"The requested user '{operation.parts['id']}' is invalid.")
    off = {plan for one in user.properties.get("assignedLicenses") or () for plan in one["disabledPlans"]}
    plans = [plan for sku in user.seats for plan in tenant.skus[sku].plans if plan.id not in off]
    if not any(plan.name in MAILBOX_PLANS for plan in plans):
        message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
        raise Refused(404, "MailboxNotEnabledForRESTAPI", message)
    return user


def _one(operation: Operation, user: Entry) -> Mapping[str, Any]:
    found = next((one for one in user.rules if one["id"] == operation.parts["rule"]), None)
    if found is None:
        raise Refused(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    return found


def _address(recipient: Any) -> str | None:
    address = recipient.get("emailAddress") if isinstance(recipient, dict) else None
    found = address.get("address") if isinstance(address, dict) else None
    return found if isinstance(found, str) and "@" in found else None


def _check(sent: Json, known: Mapping[str, type]) -> None:
    for name, value in sent.items():
        if name not in known or not isinstance(value, known[name]):
            raise _invalid(f"The property '{name}' does not exist here, or has another type.")


def _invalid(message: str) -> Refused:
    return Refused(400, "ErrorInvalidArgument", message)


def _context(operation: Operation) -> str:
    user = operation.parts["id"]
    return f"{operation.root}/v1.0/$metadata#users('{user}')/mailFolders('inbox')/messageRules"
