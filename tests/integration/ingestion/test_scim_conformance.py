"""scim2-tester judges the service, over HTTP, with PostgreSQL behind it and authentication on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from pydantic import BaseModel
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import ComplexAttribute, Extension, ScimProvider
from scim2_tester import Status, check_server

from deploy.local.ports import free_ports
from services.kernel import process
from tests.integration.ingestion.conftest import Site
from tests.integration.ingestion.scim_site import ScimSite, scim_site

HINTS: dict[str, list[Any]] = {
    "validFrom": ["2026-06-01"],
    "validTo": ["2026-12-31"],
    "extent": [37.5, 50.0],
    "form": ["permanent", "seasonal", "substitute", "hourly", "elected"],
}
"""What the judge cannot know: dates are days, extent is a share, and a consultant needs more than the others do."""


@pytest.fixture
async def served(site: Site, tmp_path: Path) -> AsyncIterator[tuple[ScimSite, str]]:
    """The service on a port of its own."""
    async with scim_site(site, tmp_path) as scim:
        (port,) = free_ports(1)
        server = process._Server(uvicorn.Config(scim.site.service.app, port=port, lifespan="off", log_config=None))
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn sets no event
            await asyncio.sleep(0.02)
        yield scim, f"http://127.0.0.1:{port}/scim/v2"
        server.should_exit = True
        await running


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for name in model.model_fields:
        inner = model.get_field_root_type(name)  # type: ignore[attr-defined]
        if isinstance(inner, type) and issubclass(inner, ComplexAttribute | Extension):
            yield from models(inner)


def hinted(provider: ScimProvider) -> None:
    for resource_type in provider.resource_types:
        found = provider.model_for(resource_type)
        assert found is not None
        for model in models(found):
            for field in model.model_fields.values():
                hints = HINTS.get(str(field.serialization_alias))
                # how much of the work an absence takes is a code, and published
                if hints and not (field.serialization_alias == "extent" and field.examples):
                    field.examples = hints


def judged(base: str, bearer: dict[str, str]) -> list[Any]:
    with httpx2.Client(base_url=base, headers=bearer, timeout=30) as http:
        client = SyncSCIMClient(http)
        client.discover()
        hinted(client.provider)
        return check_server(client)


async def test_scim2_tester_passes_completely(served: tuple[ScimSite, str]) -> None:
    scim, base = served
    results = await asyncio.to_thread(judged, base, scim.bearer("alvsund", "scim:read", "scim:write"))
    counts = Counter(result.status for result in results)
    print({status.name: number for status, number in counts.items()}, "of", len(results), "checks")
    wrong = [result for result in results if result.status not in (Status.SUCCESS, Status.COMPLIANT)]
    assert not wrong, "\n".join(f"{one.title} {one.resource_type}: {one.status} {one.reason}" for one in wrong)
    assert counts == {Status.SUCCESS: 110}
