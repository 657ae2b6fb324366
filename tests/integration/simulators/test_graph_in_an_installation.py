"""The simulator as a program of an installation: what `make up` starts, and what its clients need to know."""

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
