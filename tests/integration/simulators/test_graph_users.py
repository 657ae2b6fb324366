"""Users of the Graph simulator, as Microsoft documents them."""

from typing import Any

import pytest

from deploy.simulators.graph.seeds import UserSeed
from tests.support.graph import DOMAIN, tenant_seed
from tests.support.graph_in_process import EVENTUAL, PASSWORD, Graph, error, graph_in_process, message, user_body


@pytest.mark.parametrize(
    "name", ["accountEnabled", "displayName", "mailNickname", "passwordProfile", "userPrincipalName"]
)
async def test_a_user_without_a_required_property_is_refused(near: Graph, name: str) -> None:
    body = user_body()
    del body[name]
    refused = await near.http.post("/users", json=body)
    assert error(refused) == (400, "Request_BadRequest")
    assert message(refused) == f"A value is required for property '{name}' of resource 'User'."
    assert near.service.journal.last(1)[0].changes == ()


@pytest.mark.parametrize("name", ["proxyAddresses", "onPremisesSyncEnabled", "id", "createdDateTime"])
async def test_a_read_only_property_is_refused(near: Graph, name: str) -> None:
    refused = await near.http.post("/users", json=user_body(**{name: "x"}))
    assert (error(refused), message(refused)) == (
        (400, "Request_BadRequest"),
        f"Property '{name}' is read-only and cannot be set.",
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"accountEnabled": "yes"},
        {"jobTitle": 7},
        {"jobTitle": ""},
        {"businessPhones": ["1", "2"]},
        {"usageLocation": "Sverige"},
        {"employeeId": "x" * 17},
        {"employeeHireDate": "2026-01-01"},
        {"onPremisesExtensionAttributes": {"extensionAttribute16": "x"}},
        {"passwordProfile": {"secret": PASSWORD}},
        {"passwordProfile": {"forceChangePasswordNextSignIn": False}},
        {"mailNickname": "a b"},
        {"mail": "no address"},
    ],
)
async def test_an_ill_typed_value_is_refused(near: Graph, fields: dict[str, Any]) -> None:
    assert (await near.http.post("/users", json=user_body(**fields))).status_code == 400


async def test_an_unknown_property_is_refused_in_body_and_in_select(near: Graph) -> None:
    assert error(await near.http.post("/users", json=user_body(shoeSize="43"))) == (400, "BadRequest")
    assert error(await near.http.get("/users", params={"$select": "shoeSize"})) == (400, "BadRequest")


async def test_the_domain_must_be_verified(near: Graph) -> None:
    refused = await near.http.post("/users", json=user_body(userPrincipalName="anna@elsewhere.example"))
    assert message(refused).startswith("The domain portion of the userPrincipalName property is invalid.")


async def test_user_principal_names_are_unique_whatever_their_case(near: Graph) -> None:
    await near.create()
    refused = await near.http.post("/users", json=user_body(userPrincipalName=f"ANNA.BERG@{DOMAIN}"))
    assert message(refused) == "Another object with the same value for property userPrincipalName already exists."
    assert refused.json()["error"]["details"][0]["code"] == "ObjectConflict"


async def test_mail_becomes_the_primary_proxy_address_which_is_unique(near: Graph) -> None:
    anna = await near.create(mail=f"anna@{DOMAIN}")
    assert (await near.shown(anna, "proxyAddresses"))["proxyAddresses"] == [f"SMTP:anna@{DOMAIN}"]
    await near.http.patch(f"/users/{anna}", json={"mail": f"anna.berg@{DOMAIN}"})
    addresses = [f"SMTP:anna.berg@{DOMAIN}", f"smtp:anna@{DOMAIN}"]
    assert (await near.shown(anna, "proxyAddresses"))["proxyAddresses"] == addresses
    refused = await near.http.post("/users", json=user_body("bo", mail=f"Anna@{DOMAIN}"))
    assert message(refused) == "Another object with the same value for property proxyAddresses already exists."


@pytest.mark.parametrize("password", ["Short-1", "onlylowercaseletters", "lower-and-mark"])
async def test_a_weak_password_is_refused(near: Graph, password: str) -> None:
    refused = await near.http.post("/users", json=user_body(passwordProfile={"password": password}))
    assert message(refused).startswith("The specified password does not comply with password complexity requirements.")


async def test_a_password_is_never_told(near: Graph) -> None:
    anna = await near.create()
    assert (await near.shown(anna, "passwordProfile"))["passwordProfile"] is None
    assert PASSWORD not in str(near.service.journal.last(10))


async def test_only_a_few_properties_come_without_select(near: Graph) -> None:
    shown = (await near.http.get(f"/users/{await near.create()}")).json()
    assert set(shown) == {
        "@odata.context", "businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone",
        "officeLocation", "preferredLanguage", "surname", "userPrincipalName",
    }  # fmt: skip


async def test_a_change_keeps_what_it_does_not_name(near: Graph) -> None:
    anna = await near.create(onPremisesExtensionAttributes={"extensionAttribute15": "p", "extensionAttribute1": "x"})
    changed = await near.http.patch(
        f"/users/{anna}", json={"onPremisesExtensionAttributes": {"extensionAttribute1": None}, "jobTitle": "Rektor"}
    )
    assert (changed.status_code, changed.content) == (204, b"")
    held = await near.shown(anna, "onPremisesExtensionAttributes", "jobTitle", "displayName")
    assert held["onPremisesExtensionAttributes"]["extensionAttribute15"] == "p"
    assert held["onPremisesExtensionAttributes"]["extensionAttribute1"] is None
    assert (held["jobTitle"], held["displayName"]) == ("Rektor", "Anna Berg")


async def test_a_synced_user_refuses_writes_of_synced_properties_and_no_others() -> None:
    properties = {
        "displayName": "Synced",
        "userPrincipalName": f"synced@{DOMAIN}",
        "mailNickname": "synced",
        "onPremisesSyncEnabled": True,
    }
    async with graph_in_process(tenant_seed(users=(UserSeed(properties=properties),))) as graph:
        path = f"/users/synced@{DOMAIN}"
        for body in ({"accountEnabled": False}, {"jobTitle": "x"}, {"passwordProfile": {"password": "Nytt-losen-1"}}):
            refused = await graph.http.patch(path, json=body)
            assert message(refused).startswith("Unable to update the specified properties for on-premises mastered")
        assert (await graph.http.delete(path)).status_code == 400
        assert (await graph.http.patch(path, json={"usageLocation": "SE"})).status_code == 204
        assert (await graph.http.post(f"{path}/revokeSignInSessions")).status_code == 200


async def test_a_manager_is_set_read_and_removed(near: Graph) -> None:
    anna, bo = await near.create(), await near.create("bo")
    reference = {"@odata.id": f"https://graph.microsoft.com/v1.0/users/{bo}"}
    assert error(await near.http.get(f"/users/{anna}/manager")) == (404, "Request_ResourceNotFound")
    assert (await near.http.put(f"/users/{anna}/manager/$ref", json=reference)).status_code == 204
    shown = (await near.http.get(f"/users/{anna}/manager")).json()
    assert (shown["@odata.type"], shown["id"]) == ("#microsoft.graph.user", bo)
    assert (await near.http.delete(f"/users/{anna}/manager/$ref")).status_code == 204
    assert (await near.http.delete(f"/users/{anna}/manager/$ref")).status_code == 404


async def test_revoking_moves_the_instant_each_time_and_kills_refresh_tokens(near: Graph) -> None:
    anna = await near.create()
    refresh = (await near.sign_in()).json()["refresh_token"]
    assert (await near.token({"grant_type": "refresh_token", "refresh_token": refresh})).status_code == 200
    seen = [(await near.shown(anna, "signInSessionsValidFromDateTime"))["signInSessionsValidFromDateTime"]]
    for _ in range(2):
        assert (await near.http.post(f"/users/{anna}/revokeSignInSessions")).json()["value"] is True
        seen.append((await near.shown(anna, "signInSessionsValidFromDateTime"))["signInSessionsValidFromDateTime"])
    assert sorted(set(seen)) == seen
    refused = await near.token({"grant_type": "refresh_token", "refresh_token": refresh})
    assert (refused.json()["error"], refused.json()["error_codes"]) == ("invalid_grant", [50173])


async def test_a_disabled_user_cannot_log_in_and_neither_can_one_who_must_change_the_password(near: Graph) -> None:
    anna = await near.create()
    assert (await near.sign_in(password="wrong")).json()["error_codes"] == [50126]
    await near.http.patch(f"/users/{anna}", json={"accountEnabled": False})
    assert (await near.sign_in()).json()["error_codes"] == [50057]
    await near.create("bo", passwordProfile={"password": PASSWORD})
    assert (await near.sign_in("bo")).json()["error_codes"] == [50055]


async def test_a_new_password_takes_the_place_of_the_old(near: Graph) -> None:
    anna = await near.create()
    profile = {"password": "Ett-nytt-2027", "forceChangePasswordNextSignIn": False}
    assert (await near.http.patch(f"/users/{anna}", json={"passwordProfile": profile})).status_code == 204
    assert (await near.sign_in()).status_code == 400
    assert (await near.sign_in(password="Ett-nytt-2027")).status_code == 200


async def test_a_deleted_user_is_gone_restored_and_gone_for_good_after_thirty_days(near: Graph) -> None:
    anna = await near.create()
    assert (await near.http.delete(f"/users/{anna}")).status_code == 204
    assert (await near.http.get(f"/users/{anna}")).status_code == 404
    assert (await near.sign_in()).json()["error_codes"] == [50034]
    listed = await near.http.get("/directory/deletedItems/microsoft.graph.user", params={"$select": "deletedDateTime"})
    assert listed.json()["value"][0]["deletedDateTime"] is not None
    assert (await near.http.post(f"/directory/deletedItems/{anna}/restore")).status_code == 200
    assert (await near.sign_in()).status_code == 200
    await near.http.delete(f"/users/{anna}")
    near.service.world.clock.advance(30 * 86_400)
    await near.renew()
    assert (await near.http.get(f"/directory/deletedItems/{anna}")).status_code == 404
    assert (await near.http.post(f"/directory/deletedItems/{anna}/restore")).status_code == 404


async def test_deleted_users_are_found_by_filter(near: Graph) -> None:
    await near.http.delete(f"/users/{await near.create(employeeId='7')}")
    await near.create("bo", employeeId="8")
    path = "/directory/deletedItems/microsoft.graph.user"
    found = await near.http.get(path, params={"$filter": "employeeId eq '7'"})
    assert [one["displayName"] for one in found.json()["value"]] == ["Anna Berg"]
    assert (await near.http.get(path, params={"$filter": "employeeId eq '8'"})).json()["value"] == []


async def test_a_name_that_was_taken_meanwhile_hinders_the_restore(near: Graph) -> None:
    first = await near.create()
    await near.http.delete(f"/users/{first}")
    await near.create()
    refused = await near.http.post(f"/directory/deletedItems/{first}/restore")
    assert error(refused) == (409, "Request_MultipleObjectsWithSameKeyValue")
    renamed = {"newUserPrincipalName": f"anna.berg2@{DOMAIN}"}
    assert (await near.http.post(f"/directory/deletedItems/{first}/restore", json=renamed)).status_code == 200
    assert (await near.sign_in("anna.berg2")).status_code == 200


async def test_an_address_that_was_taken_meanwhile_is_given_up_at_the_restore_when_asked(near: Graph) -> None:
    first = await near.create(mail=f"anna@{DOMAIN}")
    await near.http.delete(f"/users/{first}")
    await near.create("bo", mail=f"anna@{DOMAIN}")
    path = f"/directory/deletedItems/{first}/restore"
    assert (await near.http.post(path)).status_code == 409
    assert (await near.http.post(path, json={"autoReconcileProxyConflict": True})).status_code == 200
    assert (await near.shown(first, "proxyAddresses"))["proxyAddresses"] == []


async def test_a_user_that_is_deleted_for_good_cannot_be_restored(near: Graph) -> None:
    anna = await near.create()
    await near.http.delete(f"/users/{anna}")
    assert (await near.http.delete(f"/directory/deletedItems/{anna}")).status_code == 204
    assert (await near.http.post(f"/directory/deletedItems/{anna}/restore")).status_code == 404


async def test_counting_needs_the_eventual_store(near: Graph) -> None:
    await near.create()
    assert message(await near.http.get("/users/$count")) == "$count is not currently supported."
    assert (await near.http.get("/users/$count", headers=EVENTUAL)).text == "1"
    assert "@odata.count" not in (await near.http.get("/users", params={"$count": "true"})).json()
