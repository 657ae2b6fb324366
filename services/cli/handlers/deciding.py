"""Access beside HR's word, asked of the ledger."""

from typing import Any
from uuid import uuid4

from services.cli.handlers import looking
from services.cli.handlers.operating import Services


def somebody(services: Services, who: str) -> dict[str, Any]:
    """Return the one person who is meant, with the name."""
    return services.status.get(f"/v1/persons/{looking.person_id(services.status, who)}")


def decide(services: Services, person: str, action: str, reason: str, until: str | None) -> dict[str, Any]:
    """Decide about a person's access; the id is made here, so that a retry of the call cannot act twice."""
    body = {"action": action, "reason": reason, **({"until": until} if until else {})}
    return services.ingestion.post(f"/v1/persons/{person}/access", body, key=str(uuid4()))


def answer(services: Services, decision: str, reason: str, *, approve: bool) -> dict[str, Any]:
    """Approve or refuse a proposal."""
    return services.ingestion.post(f"/v1/access/{decision}/answer", {"approve": approve, "reason": reason})


def listed(services: Services, who: str | None) -> list[dict[str, Any]]:
    """Return proposals that wait, or everything about one person."""
    path = "/v1/access/proposals" if who is None else f"/v1/persons/{looking.person_id(services.status, who)}/access"
    found: list[dict[str, Any]] = services.ingestion.get(path)["items"]
    return found
