"""Operations and policy, asked of the services themselves."""

import json
from pathlib import Path
from typing import Any, Protocol

from services.cli.ports import Api

POLICY = "/v1/policy"


class Services(Protocol):
    """The APIs by service."""

    @property
    def status(self) -> Api:
        """The status service."""
        ...

    @property
    def ingestion(self) -> Api:
        """The ingestion service."""
        ...

    @property
    def accounts(self) -> Api:
        """The accounts service."""
        ...


class NotATable(Exception):
    """The file is not JSON."""


def overviews(services: Services) -> list[dict[str, Any]]:
    """Return what each service says of its own work."""
    apis = (services.ingestion, services.accounts, services.status)
    return [api.get("/v1/operations") for api in apis]


def retention(services: Services) -> list[dict[str, Any]]:
    """Return what each service keeps for how long, and when it purged last."""
    apis = (services.ingestion, services.accounts, services.status)
    return [api.get("/v1/retention") for api in apis]


def dead_letters(services: Services, service: str) -> list[dict[str, Any]]:
    """Return the messages that a service keeps because it could not take them in."""
    api: Api = getattr(services, service)
    found: list[dict[str, Any]] = api.get("/v1/operations/dead-letters", limit=200)["items"]
    return found


def switch(services: Services, service: str, target: str, reason: str, *, paused: bool) -> dict[str, Any]:
    """Stop all writes of a service to a target, or let it write again."""
    api: Api = getattr(services, service)
    return api.post(f"/v1/operations/targets/{target}/{'pause' if paused else 'resume'}", {"reason": reason})


def tables(services: Services) -> list[dict[str, Any]]:
    """Return the tables there are, each with what is active and whether the installation's file differs."""
    found: list[dict[str, Any]] = services.accounts.get(POLICY)["items"]
    return found


def plan(services: Services, table: str, file: Path | None) -> dict[str, Any]:
    """Return what a table would change.

    Raises:
        NotATable: The file is not JSON.
    """
    return services.accounts.post(f"{POLICY}/{table}/plan", _candidate(file))


def activate(services: Services, table: str, file: Path | None, planned: dict[str, Any], reason: str) -> dict[str, Any]:
    """Activate exactly what was planned; the number of removals that was shown is what is confirmed."""
    body = {**_candidate(file), "hash": planned["hash"], "reason": reason, "removals": planned["removals"]}
    return services.accounts.post(f"{POLICY}/{table}/activate", body)


def _candidate(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return {"content": json.loads(file.read_text(encoding="utf-8"))}
    except ValueError as error:
        raise NotATable(str(error)) from error
