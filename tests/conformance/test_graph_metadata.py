"""The Graph simulator against Microsoft's published metadata: all that it takes and all that it answers."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from deploy.local.settings import ROOT
from deploy.simulators.graph.entries import Kind
from deploy.simulators.graph.properties import COMPLEX, TABLES
from deploy.simulators.graph.routing import ROUTES, match
from deploy.simulators.graph.seeds import PlanSeed, SkuSeed, UserSeed, sku_id
from tests.support.csdl import Metadata
from tests.support.graph import DOMAIN, TENANT, tenant_seed
from tests.support.graph_in_process import EVENTUAL, PASSWORD, Graph, graph_in_process, user_body

_PUBLISHED = "shared/specs/graph/graph-v1.0-users-groups.csdl.xml"
CSDL = next((one / _PUBLISHED for one in ROOT.parents if (one / _PUBLISHED).exists()), None)
RULES = ROOT / "tests" / "conformance" / "message_rules.csdl.xml"
EVERYTHING = {kind: ",".join(TABLES[kind]) for kind in Kind}


@dataclass(frozen=True)
class Exchange:
    """A request that was made and its answer."""

    method: str
    path: str
    sent: Any
    status: int
    answered: Any


@dataclass
class Walk:
    """What the scripted walk has seen."""

    exchanges: list[Exchange] = field(default_factory=list)

    async def record(self, answer: httpx2.Response) -> None:
        """Keep an exchange with Graph; of a batch, its items too."""
        request = answer.request
        path = request.url.path.removeprefix("/v1.0")
        if not request.url.path.startswith("/v1.0"):
            return
        await answer.aread()
        told = _parsed(answer.content)
        sent = _parsed(request.content)
        if path != "/$batch":
            self.exchanges.append(Exchange(request.method, path, sent, answer.status_code, told))
            return
        steps = {step["id"]: step for step in sent["requests"]}
        for item in told["responses"]:
            step = steps[item["id"]]
            where = step["url"].partition("?")[0]
            self.exchanges.append(Exchange(step["method"], where, step.get("body"), item["status"], item.get("body")))


def _parsed(content: bytes) -> Any:
    return json.loads(content) if content else None


@pytest.fixture(scope="module")
def metadata() -> Metadata:
    if CSDL is None:
        pytest.skip(f"the published metadata is not beside the repository: {_PUBLISHED}")
    return Metadata.read(CSDL, RULES)


@pytest.fixture
async def walk() -> AsyncIterator[Walk]:
    seed = tenant_seed(
        users=(
            UserSeed(
                properties={"displayName": "S", "userPrincipalName": f"s@{DOMAIN}", "onPremisesSyncEnabled": True}
            ),
        ),
        skus=(SkuSeed(part_number="SPE_E3", seats=10, plans=(PlanSeed(name="EXCHANGE_S_ENTERPRISE"),)),),
    )
    async with graph_in_process(seed) as graph:
        result = Walk()
        graph.http.event_hooks = {"request": [], "response": [result.record]}
        await walk_users(graph)
        for base in ("/groups", "/directory/administrativeUnits"):
            await walk_collective(graph, base)
        yield result


async def walk_users(graph: Graph) -> None:
    http = graph.http
    boss = await graph.create("boss")
    anna = await graph.create(
        mail=f"anna@{DOMAIN}",
        usageLocation="SE",
        employeeId="7",
        employeeHireDate="2026-01-01T00:00:00Z",
        businessPhones=["0501-1"],
        otherMails=["a@example.org"],
        employeeOrgData={"costCenter": "1", "division": "2"},
        onPremisesExtensionAttributes={"extensionAttribute15": "x"},
    )
    path = f"/users/{anna}"
    await http.patch(path, json={"accountEnabled": False, "jobTitle": None, "passwordProfile": {"password": PASSWORD}})
    await http.get(path, params={"$select": EVERYTHING[Kind.USER]})
    await http.get("/users", params={"$select": EVERYTHING[Kind.USER], "$top": "1"})
    await http.get("/users", params={"$filter": "employeeId eq '7'", "$count": "true"}, headers=EVENTUAL)
    await http.get("/users/$count", headers=EVENTUAL)
    await http.put(f"{path}/manager/$ref", json={"@odata.id": f"https://graph.microsoft.com/v1.0/users/{boss}"})
    await http.get(f"{path}/manager")
    await http.get(path, params={"$expand": "manager($select=id,displayName)"})
    await http.get("/users", params={"$expand": "manager", "$select": "id"})
    await http.delete(f"{path}/manager/$ref")
    await http.post(f"{path}/revokeSignInSessions")
    licence = {"addLicenses": [{"skuId": sku_id("SPE_E3"), "disabledPlans": []}], "removeLicenses": []}
    await http.post(f"{path}/assignLicense", json=licence)
    inbox = f"{path}/mailFolders/inbox/messageRules"
    redirected = {"redirectTo": [{"emailAddress": {"address": f"r@{DOMAIN}"}}], "stopProcessingRules": True}
    rule = {"displayName": "Stafett", "sequence": 1, "isEnabled": True, "actions": redirected}
    made = (await http.post(inbox, json=rule)).json()["id"]
    await http.get(inbox)
    await http.get(f"{inbox}/{made}")
    await http.delete(f"{inbox}/{made}")
    await http.delete(f"{inbox}/{made}")
    await http.get("/subscribedSkus")
    await http.get(f"/subscribedSkus/{TENANT}_{sku_id('SPE_E3')}")
    await http.post("/users", json=user_body("anna.berg"))
    item = {"id": "1", "method": "GET", "url": f"{path}?$select=id,displayName"}
    body = {"jobTitle": "Rektor"}
    headers = {"Content-Type": "application/json"}
    change = {"id": "2", "method": "PATCH", "url": path, "body": body, "headers": headers}
    await http.post("/$batch", json={"requests": [item, change]})
    await http.delete(path)
    await http.get("/directory/deletedItems/microsoft.graph.user", params={"$select": EVERYTHING[Kind.USER]})
    await http.get(f"/directory/deletedItems/{anna}")
    await http.post(f"/directory/deletedItems/{anna}/restore", json={"newUserPrincipalName": f"anna2@{DOMAIN}"})
    await http.delete(path)
    await http.delete(f"/directory/deletedItems/{anna}")


async def walk_collective(graph: Graph, base: str) -> None:
    http = graph.http
    is_group = base == "/groups"
    member = await graph.create("in-group" if is_group else "in-unit")
    body: dict[str, Any] = {"displayName": "Skola", "description": "x"}
    if is_group:
        mail = {"mailEnabled": True, "mailNickname": "skola", "securityEnabled": True, "groupTypes": ["Unified"]}
        body = {**body, **mail, "members@odata.bind": [f"https://graph.microsoft.com/v1.0/users/{member}"]}
    one = (await http.post(base, json=body)).json()["id"]
    link = {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{member}"}
    if is_group:
        await http.delete(f"{base}/{one}/members/{member}/$ref")
    await http.post(f"{base}/{one}/members/$ref", json=link)
    await http.patch(f"{base}/{one}", json={"description": None})
    await http.get(f"{base}/{one}", params={"$select": EVERYTHING[Kind.GROUP if is_group else Kind.UNIT]})
    await http.get(base)
    await http.get(f"{base}/$count", headers=EVENTUAL)
    await http.get(f"{base}/{one}/members")
    await http.get(f"{base}/{one}/members/microsoft.graph.user", params={"$count": "true"}, headers=EVENTUAL)
    await http.get(f"/users/{member}/memberOf")
    cast = "group" if is_group else "administrativeUnit"
    await http.get(f"/users/{member}/memberOf/microsoft.graph.{cast}", params={"$count": "true"}, headers=EVENTUAL)
    await http.delete(f"{base}/{one}/members/{member}/$ref")
    await http.delete(f"{base}/{one}")
    if is_group:
        security = {"displayName": "Vård", "mailEnabled": False, "mailNickname": "vard", "securityEnabled": True}
        named = f"{base}(uniqueName='a-1')"
        await http.patch(named, json=security, headers={"Prefer": "create-if-missing"})
        await http.patch(named, json={"description": "y"}, headers={"Prefer": "create-if-missing"})
        await http.get(named)
        await http.get("/directory/deletedItems/microsoft.graph.group")
        await http.get(f"/directory/deletedItems/{one}")


def test_the_walk_goes_through_every_route_with_success(walk: Walk) -> None:
    taken = {
        (found[0].method, found[0].template)
        for exchange in walk.exchanges
        if exchange.status < 300 and not isinstance(found := match(exchange.method, exchange.path), frozenset)
    }
    assert taken == {(route.method, route.template) for route in ROUTES}


def violations(metadata: Metadata, exchange: Exchange) -> list[str]:
    """Return what in an exchange goes against the metadata; the body of a refusal must be an OData error."""
    where = f"{exchange.method} {exchange.path}"
    try:
        target = metadata.resolve(exchange.path)
    except LookupError as missing:
        return [f"{where}: {missing}"]
    if exchange.status >= 400:
        error = exchange.answered.get("error", {})
        shaped = set(exchange.answered) == {"error"} and {"code", "message", "innerError"} <= set(error)
        return [] if shaped else [f"{where}: not an OData error: {exchange.answered}"]
    found = metadata.body_violations(exchange.method, target, exchange.sent)
    if exchange.status != 204:
        found += metadata.answer_violations(exchange.method, target, exchange.answered)
    return [f"{where}: {one}" for one in found]


def test_all_that_is_taken_and_answered_is_in_the_metadata(walk: Walk, metadata: Metadata) -> None:
    assert len(walk.exchanges) > 40
    assert [one for exchange in walk.exchanges for one in violations(metadata, exchange)] == []


def changed(body: dict[str, Any], path: str = "/users/1") -> Exchange:
    return Exchange("PATCH", path, body, 204, None)


def told(body: dict[str, Any], path: str = "/users/1") -> Exchange:
    return Exchange("GET", path, None, 200, body)


def called(path: str, body: dict[str, Any] | None = None) -> Exchange:
    return Exchange("POST", path, body, 200, {"value": True})


STRANGER = {"value": [{"@odata.type": "#microsoft.graph.subscribedSku", "id": "1"}]}
INBOX = "/users/1/mailFolders/inbox/messageRules"
MISDIRECTED = {"actions": {"redirectTo": [{"address": "r"}]}}
PLANTED = [
    ("the service has no people", told({"value": []}, "/people")),
    ("usedName", told({"id": "1"}, "/groups(usedName='1')")),
    ("user has no boss", told({"id": "1"}, "/users/1/boss")),
    ("user has no disable", called("/users/1/disable")),
    ("group has no revokeSignInSessions", called("/groups/1/revokeSignInSessions")),
    ("subscribedSku", told({"value": []}, "/users/1/memberOf/microsoft.graph.subscribedSku")),
    ("shoeSize: user has no such property", Exchange("POST", "/users", {"shoeSize": "43"}, 201, {"id": "1"})),
    ("accountEnabled: Edm.Boolean is not 'yes'", changed({"accountEnabled": "yes"})),
    ("passwordProfile.password: Edm.String is not 1", changed({"passwordProfile": {"password": 1}})),
    ("no such navigation", changed({"people@odata.bind": []}, "/groups/1")),
    ("a reference is not ['id']", Exchange("POST", "/groups/1/members/$ref", {"id": "1"}, 204, None)),
    ("has no parameter now", called("/users/1/revokeSignInSessions", {"now": True})),
    ("needs removeLicenses", Exchange("POST", "/users/1/assignLicense", {"addLicenses": []}, 200, {"id": "1"})),
    ("shoeSize: user has no such property", told({"id": "1", "shoeSize": "43"})),
    ("an entity without id", told({"displayName": "x"})),
    ("id: must not be null", told({"id": None})),
    ("proxyAddresses: Collection(Edm.String) is not None", told({"id": "1", "proxyAddresses": None})),
    ("proxyAddresses[0]: must not be null", told({"id": "1", "proxyAddresses": [None]})),
    ("createdDateTime: Edm.DateTimeOffset", told({"id": "1", "createdDateTime": "2026-01-01"})),
    ("skuId: Edm.Guid is not 'E3'", told({"value": [{"id": "1", "skuId": "E3"}]}, "/subscribedSkus")),
    ("subscribedSku is not a directoryObject", told(STRANGER, "/groups/1/members")),
    ("total is not part of a collection", told({"value": [], "total": 1}, "/users")),
    ("a collection without value", told({}, "/users")),
    ("redirectTo[0].address: recipient has no such property", Exchange("POST", INBOX, MISDIRECTED, 201, {"id": "1"})),
    ("not an OData error", Exchange("GET", "/users", None, 400, {"message": "no"})),
]


@pytest.mark.parametrize(("expected", "planted"), PLANTED)
def test_a_planted_violation_is_found(expected: str, planted: Exchange, metadata: Metadata) -> None:
    (found,) = violations(metadata, planted)
    assert expected in found


@pytest.mark.parametrize("kind", list(Kind))
def test_the_tables_of_properties_are_those_of_the_metadata(kind: Kind, metadata: Metadata) -> None:
    published = metadata.types[kind].properties
    for name, known in TABLES[kind].items():
        theirs = re.sub(r"Edm\.", "", published[name].type)
        assert known.type == theirs, name


@pytest.mark.parametrize("name", list(COMPLEX))
def test_the_complex_types_are_those_of_the_metadata(name: str, metadata: Metadata) -> None:
    published = {key: re.sub(r"Edm\.", "", one.type) for key, one in metadata.types[name].properties.items()}
    assert COMPLEX[name] == published
