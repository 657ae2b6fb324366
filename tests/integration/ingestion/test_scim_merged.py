"""A person whom a SCIM client told of, and who was merged into another one: the resource stays, and is listened to."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.integration.ingestion.conftest import Site
from tests.integration.ingestion.scim_site import EMPLOYMENT, ScimSite, scim_site

HR = ("identity:write", "persons:read")
START = "2026-01-01"


@pytest.fixture
async def scim(site: Site, tmp_path: Path) -> AsyncIterator[ScimSite]:
    """The service with a SCIM client."""
    async with scim_site(site, tmp_path) as found:
        yield found


async def two_that_are_one(scim: ScimSite) -> tuple[str, str]:
    """Two resources; the second was merged into the first."""
    placed = [{"unit": "u-1", "title": "Lärare", "validFrom": START}]
    hires = [await scim.hire(an_id(), employment={"validFrom": START, "assignments": placed}) for _ in range(2)]
    kept, absorbed = (one["id"] for one in hires)
    answer = await scim.site.client.post(
        f"/v1/persons/{kept}/merge",
        json={"absorb": absorbed, "reason": "one and the same"},
        headers=scim.site.bearer("alvsund", *HR, subject="hr-1"),
    )
    assert answer.status_code == 200, answer.text
    return kept, absorbed


def an_id() -> str:
    return f"m-{uuid4().hex[:10]}"


async def test_who_was_merged_keeps_its_resource_and_says_what_is_known_of_both(scim: ScimSite) -> None:
    kept, absorbed = await two_that_are_one(scim)
    shown = await scim.ask("GET", f"/Users/{absorbed}")
    assert (shown.status_code, shown.json()["id"]) == (200, absorbed), shown.text
    assert (await scim.ask("GET", f"/Users/{kept}")).json()["id"] == kept
    listed = (await scim.ask("GET", f'/Users?filter=userName eq "{shown.json()["userName"]}"')).json()
    assert [one["id"] for one in listed["Resources"]] == [absorbed]
    changed = await scim.patch(absorbed, f"{EMPLOYMENT}:extent", 60)
    assert changed.status_code == 204, changed.text
    extents = [one["extent"] for one in scim.records(kept)[0]["employments"]]
    assert sorted(extents) == [60, 100]


async def test_the_end_of_who_was_merged_is_not_lost(scim: ScimSite) -> None:
    kept, absorbed = await two_that_are_one(scim)
    assert (await scim.ask("DELETE", f"/Users/{absorbed}")).status_code == 204
    ends = [one["validTo"] for one in scim.records(kept)[0]["employments"]]
    assert sorted(ends, key=str) == ["2026-03-02", None], "only what was told under that id ends"
    assert (await scim.ask("GET", f"/Users/{absorbed}")).status_code == 404
    assert (await scim.ask("GET", f"/Users/{kept}")).status_code == 200
    assert (await scim.ask("DELETE", f"/Users/{kept}")).status_code == 204
    assert None not in [one["validTo"] for one in scim.records(kept)[0]["employments"]]


async def test_who_was_merged_and_deleted_is_hired_again_under_the_same_id(scim: ScimSite) -> None:
    kept, absorbed = await two_that_are_one(scim)
    again = (await scim.ask("GET", f"/Users/{absorbed}")).json()["externalId"]
    await scim.ask("DELETE", f"/Users/{absorbed}")
    hired = await scim.hire(again, employment={"employment": "2"})
    assert hired["id"] == absorbed
    assert len(scim.records(kept)[0]["employments"]) == 3
