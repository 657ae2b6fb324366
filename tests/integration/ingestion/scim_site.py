"""The service with a SCIM client bound to one source, and what an HR system says of people by SCIM."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2

from services.ingestion.bootstrap import build
from services.ingestion.settings import Settings
from tests.integration.ingestion.conftest import Site
from tests.support import hr
from tests.support.kernel import organisations_with_no_agreement

CLIENT = "hr-personal"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
EMPLOYMENT = "urn:stafett:params:scim:schemas:extension:employment:1.0:User"
UNIT = "urn:stafett:params:scim:schemas:extension:unit:1.0:Group"
SCOPES = ("scim:read", "scim:write", "events:write", "records:read")
BERGBY = "https://hr.bergby.example/personal"

Resource = dict[str, Any]


@dataclass
class ScimSite:
    """The service as its SCIM client meets it."""

    site: Site

    def bearer(self, organisation: str = "alvsund", *scopes: str, subject: str = CLIENT) -> dict[str, str]:
        """Headers of the bound client, or of somebody else."""
        return self.site.bearer(organisation, *(scopes or SCOPES), subject=subject)

    async def ask(
        self, method: str, path: str, content: Any = None, *, bearer: Mapping[str, str] | None = None, **headers: str
    ) -> httpx2.Response:
        """Send a request; underscores in the names of headers are hyphens."""
        sent = {"Content-Type": "application/scim+json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return await self.site.client.request(
            method, f"/scim/v2{path}", json=content, headers={**(bearer or self.bearer()), **sent}
        )

    async def hire(self, external_id: str, **fields: Any) -> Resource:
        """Create a person and return the resource."""
        answer = await self.ask("POST", "/Users", user(external_id, **fields))
        assert answer.status_code == 201, answer.text
        created: Resource = answer.json()
        return created

    async def patch(self, person: str, path: str, value: Any, op: str = "replace", **headers: str) -> httpx2.Response:
        """Change one attribute."""
        operation = {"op": op, "path": path} | ({} if op == "remove" else {"value": value})
        content = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
        return await self.ask("PATCH", f"/Users/{person}", content, bearer=None, **headers)

    def records(self, person: str) -> tuple[Any, Any]:
        """Both sections of a person's record."""
        ((core, confidential),) = self.site.rows("SELECT core, confidential FROM person WHERE id = %s", UUID(person))
        return core, confidential

    def state(self, person: str) -> Any:
        """What HR has said of a person, folded."""
        ((state,),) = self.site.rows("SELECT state FROM person WHERE id = %s", UUID(person))
        return state

    def facts(self, person: str) -> list[Any]:
        """The data of a person's facts, in the order in which they came."""
        rows = self.site.rows("SELECT body -> 'data' FROM fact WHERE person = %s ORDER BY seq", UUID(person))
        return [row[0] for row in rows]


def user(external_id: str, *, employment: Mapping[str, Any] | None = None, **fields: Any) -> Resource:
    """A person with one employment, whole."""
    return {
        "schemas": [CORE, EMPLOYMENT],
        "externalId": external_id,
        "userName": f"{external_id}@alvsund.example",
        "name": {"givenName": "Åsa", "familyName": "Öberg"},
        EMPLOYMENT: {
            "employment": "1",
            "form": "permanent",
            "validFrom": "2026-06-01",
            "assignments": [{"unit": "u-1", "title": "Undersköterska", "validFrom": "2026-06-01"}],
            **(employment or {}),
        },
        **fields,
    }


def group(external_id: str, name: str = "Hemtjänst norr", **fields: Any) -> Resource:
    """A unit."""
    return {
        "schemas": [GROUP, UNIT],
        "externalId": external_id,
        "displayName": name,
        UNIT: {"validFrom": "2020-01-01", **fields},
    }


@asynccontextmanager
async def scim_site(site: Site, folder: Path, agreed: str = "") -> AsyncIterator[ScimSite]:
    """Run the service with the client bound to Älvsund's source; `agreed` is what else is agreed with it."""
    table = organisations_with_no_agreement()
    bound = f'[alvsund.source."{hr.SOURCE}"]\nscim_clients = ["{CLIENT}"]\n{agreed}\n'
    bound += f'[bergby.source."{BERGBY}"]\nscim_clients = ["bergby-client"]\n'
    path = folder / "scim-organisations.toml"
    head, _, tail = table.partition("[bergby]")
    path.write_text(f"{head}[bergby]{tail}\n{bound}", "utf-8")
    settings = site.service.settings
    assert isinstance(settings, Settings)
    service = build(settings.model_copy(update={"organisations": path}))
    await service.database.open()
    transport = httpx2.ASGITransport(app=service.app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://ingestion") as client:
        yield ScimSite(replace(site, service=service, client=client))
    await service.database.close()
