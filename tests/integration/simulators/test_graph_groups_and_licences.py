"""Groups, administrative units and licences of the Graph simulator."""

from typing import Any

import pytest

from deploy.simulators.graph.seeds import CollectiveSeed, PlanSeed, SkuSeed, UserSeed, plan_id, sku_id
from tests.support.graph import DOMAIN, tenant_seed
from tests.support.graph_in_process import EVENTUAL, ROOT, Graph, error, graph_in_process, message

SECURITY = {"displayName": "Skola", "mailEnabled": False, "mailNickname": "skola", "securityEnabled": True}
E3 = sku_id("SPE_E3")
BOUND = "members@odata.bind"


def reference(identifier: str) -> dict[str, str]:
    return {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{identifier}"}


async def group(graph: Graph, **fields: Any) -> str:
    made = await graph.http.post("/groups", json={**SECURITY, **fields})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


@pytest.mark.parametrize("base", ["/groups", "/directory/administrativeUnits"])
async def test_a_member_is_added_once_and_removed_once(near: Graph, base: str) -> None:
    anna = await near.create()
    body = SECURITY if base == "/groups" else {"displayName": "Skola"}
    one = (await near.http.post(base, json=body)).json()["id"]
    assert (await near.http.post(f"{base}/{one}/members/$ref", json=reference(anna))).status_code == 204
    again = await near.http.post(f"{base}/{one}/members/$ref", json=reference(anna))
    assert error(again) == (400, "Request_BadRequest")
    assert message(again).startswith("One or more added object references already exist")
    held = (await near.http.get(f"/users/{anna}/memberOf")).json()["value"]
    assert [entry["displayName"] for entry in held] == ["Skola"]
    assert [entry["id"] for entry in (await near.http.get(f"{base}/{one}/members")).json()["value"]] == [anna]
    assert (await near.http.delete(f"{base}/{one}/members/{anna}/$ref")).status_code == 204
    assert error(await near.http.delete(f"{base}/{one}/members/{anna}/$ref")) == (404, "Request_ResourceNotFound")


async def test_a_cast_of_memberships_needs_an_advanced_query(near: Graph) -> None:
    anna, one = await near.create(), await group(near)
    await near.http.post(f"/groups/{one}/members/$ref", json=reference(anna))
    path = f"/users/{anna}/memberOf/microsoft.graph.group"
    assert error(await near.http.get(path)) == (400, "Request_UnsupportedQuery")
    cast = await near.http.get(path, params={"$count": "true", "$select": "id"}, headers=EVENTUAL)
    assert ([entry["id"] for entry in cast.json()["value"]], cast.json()["@odata.count"]) == ([one], 1)


async def test_twenty_members_are_bound_at_once_and_no_more(near: Graph) -> None:
    users = [await near.create(f"user{number}") for number in range(21)]
    one = await group(near)
    links = [f"{ROOT}/v1.0/directoryObjects/{user}" for user in users]
    assert (await near.http.patch(f"/groups/{one}", json={BOUND: links})).status_code == 400
    assert (await near.http.get(f"/groups/{one}/members")).json()["value"] == []
    assert (await near.http.patch(f"/groups/{one}", json={BOUND: links[:20]})).status_code == 204
    assert len((await near.http.get(f"/groups/{one}/members")).json()["value"]) == 20


@pytest.mark.parametrize("link", ["https://elsewhere.example/v1.0/users/1", "users/1", 7, None])
async def test_a_reference_is_an_address_in_the_service(near: Graph, link: object) -> None:
    one = await group(near)
    assert (await near.http.post(f"/groups/{one}/members/$ref", json={"@odata.id": link})).status_code == 400


async def test_a_reference_to_nobody_is_not_found(near: Graph) -> None:
    one = await group(near)
    assert (await near.http.post(f"/groups/{one}/members/$ref", json=reference("nobody"))).status_code == 404


async def test_a_synced_group_refuses_members() -> None:
    groups = (CollectiveSeed(properties={"displayName": "AD", "onPremisesSyncEnabled": True}),)
    async with graph_in_process(tenant_seed(groups=groups)) as graph:
        anna = await graph.create()
        one = (await graph.http.get("/groups")).json()["value"][0]["id"]
        refused = await graph.http.post(f"/groups/{one}/members/$ref", json=reference(anna))
        assert message(refused).startswith("Unable to update the specified properties for on-premises mastered")


async def test_membership_outlives_deletion_and_restore(near: Graph) -> None:
    anna, one = await near.create(), await group(near)
    await near.http.post(f"/groups/{one}/members/$ref", json=reference(anna))
    await near.http.delete(f"/users/{anna}")
    assert (await near.http.get(f"/groups/{one}/members")).json()["value"] == []
    await near.http.post(f"/directory/deletedItems/{anna}/restore")
    assert len((await near.http.get(f"/groups/{one}/members")).json()["value"]) == 1


async def test_a_microsoft_365_group_can_be_restored_and_a_security_group_cannot(near: Graph) -> None:
    plain = await group(near)
    unified = await group(near, groupTypes=["Unified"], mailEnabled=True, mailNickname="team")
    for one in (plain, unified):
        assert (await near.http.delete(f"/groups/{one}")).status_code == 204
    listed = (await near.http.get("/directory/deletedItems/microsoft.graph.group")).json()["value"]
    assert [entry["id"] for entry in listed] == [unified]
    assert (await near.http.post(f"/directory/deletedItems/{unified}/restore")).status_code == 200


async def test_a_group_is_made_by_its_unique_name_if_it_is_missing_and_else_changed(near: Graph) -> None:
    named, prefer = "/groups(uniqueName='a%3A1%2Fb%27%27c')", {"Prefer": "create-if-missing"}
    assert (await near.http.get(named)).status_code == 404
    assert (await near.http.patch(named, json=SECURITY)).status_code == 404
    made = await near.http.patch(named, json=SECURITY, headers=prefer)
    assert (made.status_code, made.json()["uniqueName"]) == (201, "a:1/b'c")
    again = await near.http.patch(named, json={**SECURITY, "displayName": "Skolan"}, headers=prefer)
    assert (again.status_code, again.content) == (204, b"")
    shown = (await near.http.get(named, params={"$select": "id,displayName,uniqueName"})).json()
    assert (shown["id"], shown["displayName"]) == (made.json()["id"], "Skolan")
    assert len((await near.http.get("/groups")).json()["value"]) == 1
    refused = await near.http.patch(named, json={"mailEnabled": True})
    assert (refused.status_code, "read-only" in message(refused)) == (400, True)


async def test_a_unique_name_is_given_once_and_to_one(near: Graph) -> None:
    one, other = await group(near), await group(near)
    assert (await near.http.patch(f"/groups/{one}", json={"uniqueName": "a"})).status_code == 204
    assert (await near.http.patch(f"/groups/{one}", json={"uniqueName": "a"})).status_code == 204
    for wrong in ("b", None):
        refused = await near.http.patch(f"/groups/{one}", json={"uniqueName": wrong})
        assert refused.status_code == 400
    taken = await near.http.patch(f"/groups/{other}", json={"uniqueName": "A"})
    assert (taken.status_code, "same value for property uniqueName" in message(taken)) == (400, True)
    assert (await near.http.delete(f"/groups/{one}")).status_code == 204
    assert (await near.http.patch(f"/groups/{other}", json={"uniqueName": "A"})).status_code == 204


async def test_a_mail_enabled_security_group_cannot_be_written(near: Graph) -> None:
    refused = await near.http.post("/groups", json={**SECURITY, "mailEnabled": True})
    assert message(refused).startswith("The service does not currently support writes of mail-enabled groups.")


async def assign(graph: Graph, user: str, *add: str, remove: tuple[str, ...] = (), off: tuple[str, ...] = ()) -> Any:
    body = {"addLicenses": [{"skuId": sku, "disabledPlans": list(off)} for sku in add], "removeLicenses": list(remove)}
    return await graph.http.post(f"/users/{user}/assignLicense", json=body)


async def test_a_licence_needs_a_usage_location_first(near: Graph) -> None:
    anna = await near.create()
    refused = await assign(near, anna, E3)
    assert message(refused) == "License assignment cannot be done for user with invalid usage location."
    await near.http.patch(f"/users/{anna}", json={"usageLocation": "SE"})
    assert (await assign(near, anna, E3)).status_code == 200
    assert (await near.shown(anna, "assignedLicenses"))["assignedLicenses"] == [{"skuId": E3, "disabledPlans": []}]
    assert (await assign(near, anna, E3)).status_code == 200
    assert (await near.http.get("/subscribedSkus")).json()["value"][0]["consumedUnits"] == 1
    assert (await assign(near, anna, remove=(E3,))).status_code == 200
    assert message(await assign(near, anna, remove=(E3,))) == "User does not have a corresponding license."


async def test_an_unknown_licence_and_the_last_seat() -> None:
    async with graph_in_process(tenant_seed(skus=(SkuSeed(part_number="SPE_E3", seats=1),))) as graph:
        anna, bo = await graph.create(usageLocation="SE"), await graph.create("bo", usageLocation="SE")
        unknown = sku_id("NOTHING")
        assert message(await assign(graph, anna, unknown)) == (
            f"License {unknown} does not correspond to a valid company License."
        )
        await assign(graph, anna, E3)
        refused = await assign(graph, bo, E3)
        assert message(refused) == f"Subscription with SKU {E3} does not have any available licenses."
        await graph.http.delete(f"/users/{anna}")
        assert (await assign(graph, bo, E3)).status_code == 200


async def test_a_plan_needs_the_plans_that_it_depends_on() -> None:
    plans = (PlanSeed(name="MAIL"), PlanSeed(name="ARCHIVE", needs=("MAIL",)))
    async with graph_in_process(tenant_seed(skus=(SkuSeed(part_number="SPE_E3", plans=plans),))) as graph:
        anna = await graph.create(usageLocation="SE")
        refused = await assign(graph, anna, E3, off=(plan_id("MAIL"),))
        assert message(refused) == (
            f"License assignment failed because service plan {plan_id('ARCHIVE')} depends on the service plan(s) "
            f"{plan_id('MAIL')}"
        )
        assert (await assign(graph, anna, E3, off=(plan_id("MAIL"), plan_id("ARCHIVE")))).status_code == 200


@pytest.mark.parametrize("body", [{}, {"addLicenses": []}, {"addLicenses": [], "removeLicenses": None}, {"add": []}])
async def test_both_parameters_of_the_action_are_required(near: Graph, body: dict[str, Any]) -> None:
    assert (await near.http.post(f"/users/{await near.create()}/assignLicense", json=body)).status_code == 400


async def test_a_synced_user_gets_licences_and_cloud_groups() -> None:
    properties = {
        "displayName": "S",
        "userPrincipalName": f"s@{DOMAIN}",
        "onPremisesSyncEnabled": True,
        "usageLocation": "SE",
    }
    async with graph_in_process(tenant_seed(users=(UserSeed(id="synced", properties=properties),))) as graph:
        assert (await assign(graph, "synced", E3)).status_code == 200
        one = await group(graph)
        assert (await graph.http.post(f"/groups/{one}/members/$ref", json=reference("synced"))).status_code == 204


async def test_a_seat_is_taken_once_given_back_by_deletion_and_taken_again_by_restore(near: Graph) -> None:
    async def taken() -> int:
        return int((await near.http.get("/subscribedSkus")).json()["value"][0]["consumedUnits"])

    anna = await near.create(usageLocation="SE")
    for _ in range(2):
        await assign(near, anna, E3)
    await near.http.patch(f"/users/{anna}", json={"jobTitle": "Rektor"})
    assert await taken() == 1
    await near.http.delete(f"/users/{anna}")
    assert await taken() == 0
    await near.http.post(f"/directory/deletedItems/{anna}/restore")
    assert await taken() == 1
    await near.http.delete(f"/users/{anna}")
    await near.http.delete(f"/directory/deletedItems/{anna}")
    assert await taken() == 0
