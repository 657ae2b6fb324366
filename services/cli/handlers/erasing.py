"""Erasing a person, asked of the ledger."""

from typing import Any

from services.cli.handlers import looking
from services.cli.handlers.operating import Services


def plan(services: Services, who: str) -> dict[str, Any]:
    """Return what an erasure of the one person who is meant would empty, and what stands against it."""
    return services.ingestion.get(_path(looking.person_id(services.status, who)))


def erase(services: Services, person: str, reason: str) -> dict[str, Any]:
    """Erase a person; safe to repeat."""
    return services.ingestion.post(_path(person), {"reason": reason})


def _path(person: object) -> str:
    return f"/v1/persons/{person}/erasure"
