"""Whatever comes to /scim/v2, the answer is SCIM's and never a server error. OpenAPI knows nothing of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.ingestion.conftest import Site
from tests.integration.ingestion.scim_site import CORE, EMPLOYMENT, ENTERPRISE, UNIT, ScimSite, group, scim_site, user

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
NAMES = ["id", "userName", "externalId", "name", "nickName", "active", "displayName", "schemas", "meta", EMPLOYMENT,
         f"{EMPLOYMENT}:validTo", f"{EMPLOYMENT}:assignments", f'{EMPLOYMENT}:assignments[unit eq "u-1"].title',
         f"{EMPLOYMENT}:absences", f"{EMPLOYMENT}:extent", ENTERPRISE, f"{ENTERPRISE}:employeeNumber", UNIT,
         f"{UNIT}:parent", "name.givenName", "Operations", "data"]  # fmt: skip
OPERATORS = ["eq", "ne", "co", "sw", "pr", "gt", "and", "or", "not"]

texts = st.text(max_size=20) | st.sampled_from(["", "\0", "é", "2026-06-01", "9999-12-31", "bulkId:a", "x" * 300, "%s"])
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | texts, inner, max_size=4),
    max_leaves=8,
)
filters = st.lists(
    st.sampled_from([*NAMES, *OPERATORS, "(", ")", "[", "]", '"a"', '"\\u0000"', "true", "1e999"]), max_size=7
).map(" ".join)
methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"])


@st.composite
def bent(draw: st.DrawFn, whole: dict[str, Any]) -> dict[str, Any]:
    """A resource with some of it otherwise."""
    found: dict[str, Any] = orjson.loads(orjson.dumps(whole))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from([found, *(value for value in found.values() if isinstance(value, dict))]))
        place[draw(st.sampled_from([*place, *NAMES]))] = draw(values)
    return found


operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "Replace"])},
    optional={"path": st.sampled_from(NAMES) | texts | filters, "value": values},
)
patches = st.lists(operations, max_size=3).map(lambda said: {"schemas": [PATCH], "Operations": said})
bulks = st.lists(
    st.fixed_dictionaries(
        {"method": methods},
        optional={
            "path": st.sampled_from(["/Users", "/Groups", "/Users/bulkId:a", "/Me", "/Bulk"]) | texts,
            "bulkId": texts | st.just("a"),
            "version": texts,
            "data": bent(user("p-fuzz")) | patches | values,
        },
    ),
    max_size=3,
).map(lambda said: {"schemas": [BULK], "Operations": said})
searches = st.fixed_dictionaries(
    {"schemas": st.just([SEARCH])},
    optional={
        "filter": filters | values,
        "sortBy": texts | st.sampled_from(NAMES),
        "startIndex": values,
        "count": values,
    },
)
bodies = bent(user("p-fuzz")) | bent(group("u-fuzz")) | patches | bulks | searches | values


@pytest.fixture
async def scim(site: Site, tmp_path: Path) -> AsyncIterator[ScimSite]:
    """The service with a SCIM client."""
    async with scim_site(site, tmp_path) as found:
        yield found


@pytest.mark.slow
async def test_nothing_that_comes_is_a_server_error(scim: ScimSite) -> None:
    person = (await scim.hire("p-fuzz-target"))["id"]
    assert (await scim.ask("POST", "/Groups", group("u-fuzz-target"))).status_code == 201
    who, unit = f"/Users/{person}", "/Groups/u-fuzz-target"
    ends = ["/Users", "/Groups", "/Bulk", "/.search", "/Users/.search", "/", "/Me", "/Schemas", "/ResourceTypes/User"]
    strangers = texts.map(lambda text: f"/Users/{quote(text, safe='')}")
    requests = st.one_of(
        st.tuples(methods, st.sampled_from(ends) | strangers, bodies),
        st.tuples(st.just("PATCH"), st.sampled_from([who, unit]), patches),
        st.tuples(st.just("PUT"), st.just(who), bent(user("p-fuzz-target"))),
        st.tuples(st.just("PUT"), st.just(unit), bent(group("u-fuzz-target"))),
        st.tuples(st.just("POST"), st.just("/Users"), texts.flatmap(lambda key: bent(user(f"p-fuzz-{key}")))),
        st.tuples(st.just("POST"), st.just("/Groups"), texts.flatmap(lambda key: bent(group(f"u-fuzz-{key}")))),
        st.tuples(st.just("POST"), st.just("/Bulk"), bulks),
        st.tuples(st.just("POST"), st.sampled_from(["/.search", "/Users/.search", "/Groups/.search"]), searches),
        st.tuples(st.just("GET"), st.sampled_from([who, unit, *ends]), st.none()),
    )
    loop, bearer = asyncio.get_running_loop(), scim.bearer() | {"Content-Type": "application/scim+json"}

    async def ask(method: str, path: str, query: str, body: bytes, version: str | None) -> httpx2.Response:
        headers = bearer | ({"If-Match": version} if version else {})
        address = f"/scim/v2{path}?{query}"
        return await scim.site.client.request(method, address, content=body, headers=headers)

    @settings(max_examples=400, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(
        requests,
        st.tuples(st.sampled_from(["filter", "sortBy", "attributes", "count", "startIndex", "x"]), filters | texts),
        st.none() | st.none() | st.binary(max_size=30),
        st.none() | st.sampled_from(["*", "*", 'W/"x"', '"', ","]),
    )
    def bear(request: tuple[str, str, Any], query: tuple[str, str], noise: bytes | None, version: str | None) -> None:
        method, path, content = request
        body = noise or _encoded(content)
        sought = f"{query[0]}={quote(query[1], errors='replace')}"
        answer = asyncio.run_coroutine_threadsafe(ask(method, path, sought, body, version), loop).result(30)
        assert answer.status_code < 500 or answer.status_code == 501, (method, path, sought, body, answer.text)
        # a line end in a path is no path of ours at all
        if answer.status_code >= 400 and "%0A" not in path:
            assert answer.headers["content-type"] == "application/scim+json"
            assert answer.json()["detail"], "the reason is told"

    await asyncio.to_thread(bear)
    shown = await scim.ask("GET", "/Users?count=200")
    assert shown.status_code == 200, "whatever was taken can be shown"
    assert all(CORE in item["schemas"] for item in shown.json()["Resources"])


def _encoded(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return repr(value).encode("utf-8", "replace")
