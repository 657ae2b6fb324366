"""The simulator as a program of an installation: what `make up` starts, and what its clients need to know."""

import ssl
from pathlib import Path

import httpx2
import msal
import requests

from deploy.local.graph import CLIENT, TENANT
from deploy.local.installation import Installation
from deploy.local.ports import Ports
from deploy.local.server import HOST
from tests.support.graph import SCOPE
from tests.support.servers import short_folder

PASSWORD = "Blå hästar 42 på ängen"


def test_an_installation_starts_it_with_one_tenant_for_all_organisations() -> None:
    with short_folder() as folder:
        installation = Installation(folder / "run", Ports.free(), graph=True)
        installation.graph.prepare()
        program = installation.services["graph"]
        program.start()
        try:
            url = f"https://{HOST}:{installation.ports.graph_api}"
            session = requests.Session()
            session.trust_env = False
            session.verify = str(installation.graph.ca_file)
            app = msal.ConfidentialClientApplication(
                CLIENT,
                authority=f"{url}/{TENANT}",
                client_credential=installation.graph.client_secret,
                instance_discovery=False,
                http_client=session,
            )
            token = app.acquire_token_for_client([SCOPE])["access_token"]
            skus = session.get(f"{url}/v1.0/subscribedSkus", headers={"Authorization": f"Bearer {token}"}).json()
            assert {one["skuPartNumber"] for one in skus["value"]} == {"SPE_E3", "SPE_F1"}
            said = {"Authorization": f"Bearer {installation.graph.control_token}"}
            log = httpx2.get(f"{program.url}/control/log", headers=said).json()["records"]
            assert [one["tenant"] for one in log] == [TENANT] * 3
        finally:
            program.stop()


def test_no_installation_has_it_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert "graph" not in Installation(tmp_path, Ports.free(), portal=True).services


def test_a_program_that_gets_more_environment_stays_the_program_it_is(tmp_path: Path) -> None:
    installation = Installation(tmp_path, Ports.free(), portal=True, graph=True)
    for name, module in (("provider", "deploy.local.provider"), ("graph", "deploy.simulators.graph")):
        assert installation.service(name, STAFETT_EXTRA="1").config.module == module


def test_what_was_answered_is_there_after_a_kill_and_no_id_is_given_twice() -> None:
    with short_folder() as folder:
        installation = Installation(folder / "run", Ports.free(), graph=True)
        installation.graph.prepare()
        program = installation.services["graph"]
        program.start()
        try:
            anna, bo = made(installation, "anna"), made(installation, "bo")
            asked(installation, "DELETE", f"users/{bo}")
            program.kill9()
            program.start()
            assert asked(installation, "GET", f"users/{anna}").json()["displayName"] == "anna"
            assert asked(installation, "GET", f"users/{bo}").status_code == 404
            assert asked(installation, "GET", f"directory/deletedItems/{bo}").status_code == 200
            assert made(installation, "cia") not in {anna, bo}
            assert signed_in(installation, "anna") == (200, 400), "by the password that was set, and by no other"
            assert PASSWORD not in (installation.graph.folder / "entries.jsonl").read_text()
            asked(installation, "DELETE", f"directory/deletedItems/{bo}")
            program.kill9()
            program.start()
            assert asked(installation, "GET", f"directory/deletedItems/{bo}").status_code == 404
        finally:
            program.stop()


def asked(installation: Installation, method: str, path: str, body: object = None) -> httpx2.Response:
    url = f"https://{HOST}:{installation.ports.graph_api}"
    trust = ssl.create_default_context(cafile=str(installation.graph.ca_file))
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "scope": SCOPE}
    secret = {"client_secret": installation.graph.client_secret}
    token = httpx2.post(f"{url}/{TENANT}/oauth2/v2.0/token", data={**form, **secret}, verify=trust).json()
    said = {"Authorization": f"Bearer {token['access_token']}"}
    return httpx2.request(method, f"{url}/v1.0/{path}", json=body, headers=said, verify=trust)


def made(installation: Installation, name: str) -> str:
    user = {
        "accountEnabled": True,
        "displayName": name,
        "mailNickname": name,
        "userPrincipalName": f"{name}@alvsund.example",
        "passwordProfile": {"password": PASSWORD, "forceChangePasswordNextSignIn": False},
    }
    return str(asked(installation, "POST", "users", user).json()["id"])


def signed_in(installation: Installation, name: str) -> tuple[int, int]:
    url = f"https://{HOST}:{installation.ports.graph_api}/{TENANT}/oauth2/v2.0/token"
    trust = ssl.create_default_context(cafile=str(installation.graph.ca_file))
    form = {"grant_type": "password", "client_id": CLIENT, "username": f"{name}@alvsund.example", "scope": "openid"}
    tried = (httpx2.post(url, data={**form, "password": one}, verify=trust) for one in (PASSWORD, f"{PASSWORD}?"))
    right, wrong = (answer.status_code for answer in tried)
    return right, wrong
