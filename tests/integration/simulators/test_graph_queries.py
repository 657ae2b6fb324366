"""`$filter`, `$select` and paging of the Graph simulator, with Microsoft's rules on advanced queries."""

import pytest

from tests.support.graph import DOMAIN
from tests.support.graph_in_process import EVENTUAL, Graph, error

PERSON = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


@pytest.fixture
async def three(near: Graph) -> Graph:
    await near.create("anna", mail=f"anna@{DOMAIN}", employeeId="1", surname="Berg", companyName="Alvsund")
    await near.create("bo", displayName="Bo O'Neil", employeeId="2", accountEnabled=False)
    await near.create("cia", displayName="Cia", onPremisesExtensionAttributes={"extensionAttribute15": PERSON})
    return near


async def found(graph: Graph, text: str, *, advanced: bool = False) -> list[str]:
    params = {"$filter": text, "$select": "mailNickname", **({"$count": "true"} if advanced else {})}
    answer = await graph.http.get("/users", params=params, headers=EVENTUAL if advanced else {})
    assert answer.status_code == 200, answer.text
    return [one["mailNickname"] for one in answer.json()["value"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("employeeId eq '1'", ["anna"]),
        (f"userPrincipalName eq 'BO@{DOMAIN}'", ["bo"]),
        (f"mail eq 'anna@{DOMAIN}'", ["anna"]),
        (f"proxyAddresses/any(p:p eq 'smtp:anna@{DOMAIN}')", ["anna"]),
        ("proxyAddresses/any(p:startswith(p,'smtp:anna@'))", ["anna"]),
        ("displayName eq 'Bo O''Neil'", ["bo"]),
        ("startswith(displayName,'c')", ["cia"]),
        ("accountEnabled eq false", ["bo"]),
        ("employeeId in ('1','2')", ["anna", "bo"]),
        ("employeeId eq '1' or employeeId eq '2'", ["anna", "bo"]),
        ("accountEnabled eq true and (employeeId eq '1' or startswith(displayName,'Cia'))", ["anna", "cia"]),
        ("createdDateTime ge 2020-01-01T00:00:00Z and employeeId eq '2'", ["bo"]),
        ("employeeId eq 'none'", []),
    ],
)
async def test_default_queries(three: Graph, text: str, expected: list[str]) -> None:
    assert await found(three, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"onPremisesExtensionAttributes/extensionAttribute15 eq '{PERSON}'", ["cia"]),
        ("not(employeeId eq '1')", ["bo", "cia"]),
        ("employeeId ne '1'", ["bo", "cia"]),
        ("employeeId eq null", ["cia"]),
        (f"endswith(mail,'@{DOMAIN}')", ["anna"]),
        ("companyName eq 'Alvsund'", ["anna"]),
        ("proxyAddresses/$count eq 0", ["bo", "cia"]),
        ("assignedLicenses/$count ne 0", []),
    ],
)
async def test_advanced_queries_need_the_header_and_the_count(three: Graph, text: str, expected: list[str]) -> None:
    assert await found(three, text, advanced=True) == expected
    for params, headers in (({}, {}), ({"$count": "true"}, {}), ({}, EVENTUAL)):
        refused = await three.http.get("/users", params={"$filter": text, **params}, headers=headers)
        assert error(refused) == (400, "Request_UnsupportedQuery"), (params, headers)


@pytest.mark.parametrize(
    "text",
    [
        "signInSessionsValidFromDateTime ge 2020-01-01T00:00:00Z",
        "startswith(employeeId,'1')",
        "startswith(onPremisesExtensionAttributes/extensionAttribute15,'7c')",
        "endswith(displayName,'x')",
        "shoeSize eq '43'",
        "proxyAddresses eq 'smtp:x'",
        "displayName gt 'a'",
    ],
)
async def test_what_microsoft_does_not_document_is_refused(three: Graph, text: str) -> None:
    refused = await three.http.get("/users", params={"$filter": text, "$count": "true"}, headers=EVENTUAL)
    assert error(refused) == (400, "Request_UnsupportedQuery")


@pytest.mark.parametrize(
    "text", ["", "employeeId", "employeeId eq", "employeeId eq '1' and", "(employeeId eq '1'", "'"]
)
async def test_what_cannot_be_read_is_refused(three: Graph, text: str) -> None:
    assert error(await three.http.get("/users", params={"$filter": text})) == (400, "BadRequest")


@pytest.mark.parametrize("name", ["$orderby", "$expand", "$search", "$skip", "$apply"])
async def test_an_option_that_is_not_simulated_is_refused_and_not_ignored(near: Graph, name: str) -> None:
    assert (await near.http.get("/users", params={name: "displayName"})).status_code == 400


async def test_a_manager_comes_with_the_user_when_asked_for(near: Graph) -> None:
    boss, anna = await near.create("boss"), await near.create("anna")
    await near.http.put(
        f"/users/{anna}/manager/$ref", json={"@odata.id": f"https://graph.microsoft.com/v1.0/users/{boss}"}
    )
    asked = {"$select": "mailNickname", "$expand": "manager($select=id)"}
    shown = (await near.http.get(f"/users/{anna}", params=asked)).json()
    assert shown["manager"] == {"@odata.type": "#microsoft.graph.user", "id": boss}
    listed = {
        one["mailNickname"]: one.get("manager") for one in (await near.http.get("/users", params=asked)).json()["value"]
    }
    assert (listed["anna"], listed["boss"]) == (shown["manager"], None)
    for refused in ("manager($levels=2)", "directReports"):
        assert (await near.http.get("/users", params={"$expand": refused})).status_code == 400


async def test_pages_hold_everything_once(near: Graph) -> None:
    logins = [f"user{number:02}" for number in range(25)]
    for login in logins:
        await near.create(login)
    seen: list[str] = []
    address: str | None = "/users?$top=10&$select=mailNickname"
    while address is not None:
        page = (await near.http.get(address)).json()
        assert len(page["value"]) <= 10
        seen += [one["mailNickname"] for one in page["value"]]
        address = page.get("@odata.nextLink")
    assert seen == logins


async def test_a_page_token_is_good_for_its_own_query_only(near: Graph) -> None:
    for login in ("anna", "bo"):
        await near.create(login)
    link = (await near.http.get("/users?$top=1")).json()["@odata.nextLink"]
    assert (await near.http.get(link)).status_code == 200
    assert error(await near.http.get(f"{link}&$filter=employeeId eq '1'")) == (400, "Directory_ExpiredPageToken")
    assert error(await near.http.get("/users?$skiptoken=made-up")) == (400, "Directory_ExpiredPageToken")


@pytest.mark.parametrize("top", ["0", "1000", "x", "-1"])
async def test_a_page_is_at_most_999(near: Graph, top: str) -> None:
    assert (await near.http.get("/users", params={"$top": top})).status_code == 400
