"""First passwords, by the API of accounts."""

from services.cli.handlers.looking import person_id
from services.cli.handlers.operating import Services
from services.cli.ports import JsonObject


def issue(use: Services, person: str, reason: str) -> JsonObject:
    """Issue a code; it is in the answer and nowhere else."""
    return use.accounts.post(_path(use, person), {"reason": reason})


def state(use: Services, person: str) -> JsonObject:
    """Return how the newest code stands."""
    return use.accounts.get(_path(use, person))


def _path(use: Services, person: str) -> str:
    return f"/v1/accounts/{person_id(use.status, person)}/activation"
