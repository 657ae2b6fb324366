"""What docker-compose.yml runs, used as people and HR use it; asked only when containers are asked for."""

import json
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest
from playwright.sync_api import expect

from contracts.registry import HR_UNIT
from deploy.containers.compose import IMAGES, Compose, docker
from deploy.containers.composed import Composed
from deploy.demo.directory import Directory
from deploy.demo.elsewhere import Domain, Tenant
from deploy.local.graph import CLIENT, TENANT
from deploy.local.installation import PORTAL, SERVICES
from deploy.local.ports import Ports
from deploy.local.server import BASE_ENVIRONMENT
from tests.support import hr
from tests.support.browsing import chromium, visitor
from tests.support.house import House, wait_until
from tests.support.servers import short_folder
from tests.support.settings import RunSettings

BERGBY = "https://hr.bergby.example/personal"
NUMBER, NUMBERED = "employeeNumber", "(employeeNumber=*)"
INVALID_CREDENTIALS = 49
KILLED = ("accounts", "samba", "graph", "postgres", "rabbitmq", "openldap")

pytestmark = pytest.mark.skipif(RunSettings().runtime != "docker", reason="of RUNTIME=docker")


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    with short_folder() as folder:
        compose = Compose(Composed(folder / "run", Ports.free(), observed=True))
        try:
            compose.up()
            for service in compose.installation.services.values():
                wait_until(service.ready, seconds=120, why=service.readiness)
            yield compose
        finally:
            compose.shut_down(volumes=True)


@pytest.fixture(scope="module")
def house(compose: Compose) -> House:
    house = House(compose.installation)
    house.post([hr.unit("u-1")])
    house.post([hr.event(hr.unit()["data"], type_=HR_UNIT, source=BERGBY)], organisation="bergby")
    return house


def hired(number: str, given: str, **attributes: Any) -> dict[str, Any]:
    employment = hr.employment(employeeNumber=number, start="2026-01-05")
    return hr.event(hr.person(number, employment, name={"given": given, "family": "Behållare"}), **attributes)


def dismissed(number: str, **attributes: Any) -> dict[str, Any]:
    ended = {"id": "1", "validTo": "2026-01-31", "endReason": "dismissal"}
    return hr.event({"externalId": number, "employments": [ended]}, time="2026-03-02T09:00:00+01:00", **attributes)


class Everywhere:
    """Where people of Bergby have accounts, read past our code."""

    def __init__(self, house: House) -> None:
        ours = house.installation
        places = house.organisations["bergby"].targets
        self.openldap = Directory(ours.slapd, places["openldap"], ours.folder)
        self.domain = Domain(ours.samba, places["active_directory"], ours.folder)
        self.tenant = Tenant(ours, places["entra"])
        self._base, self._house = places["active_directory"], house

    def enabled(self, number: str) -> list[bool | None]:
        """Whether each lets a person in; None: there is no such account."""
        return [place.accounts()[1].get(number) for place in (self.openldap, self.domain, self.tenant)]

    def numbers(self) -> list[list[str]]:
        """The employee numbers in each, as often as they are there."""
        _, entries = self.openldap.search(self._house.organisations["bergby"].targets["openldap"], NUMBERED, NUMBER)
        _, accounts = self.domain.search(self._base, NUMBERED, NUMBER)
        users = [one.get("employeeId") for one in self.tenant.users()]
        ldap = [sorted(one[NUMBER] for one in found if NUMBER in one) for found in (entries, accounts)]
        return [*ldap, sorted(filter(None, users))]

    def let_in(self, number: str, password: str) -> list[bool]:
        """Whether OpenLDAP, the domain and the tenant let the person in with a password."""
        ours = self._house.installation
        _, accounts = self.domain.search(self._base, f"({NUMBER}={number})", "userPrincipalName")
        (principal,) = (one["userPrincipalName"] for one in accounts if "userPrincipalName" in one)
        entry = self.openldap.entry(number)
        assert entry is not None
        domain = {"LDAPTLS_CACERT": str(ours.samba.ca_file)}
        return [
            binds(ours.slapd.url, ours.slapd.client_environment(), entry, password),
            binds(ours.samba.url, domain, principal, password),
            self._signs_in(number, password),
        ]

    def _signs_in(self, number: str, password: str) -> bool:
        ours = self._house.installation
        (user,) = (one for one in self.tenant.users() if one.get("employeeId") == number)
        form = {"grant_type": "password", "client_id": CLIENT, "scope": "openid", "password": password}
        answer = httpx2.post(
            f"https://127.0.0.1:{ours.ports.graph_api}/{TENANT}/oauth2/v2.0/token",
            data={**form, "username": user["userPrincipalName"]},
            verify=ssl.create_default_context(cafile=str(ours.graph.ca_file)),
        )
        assert answer.status_code in (200, 400), answer.text
        return answer.status_code == 200


def binds(url: str, environment: Mapping[str, str], who: str, password: str) -> bool:
    argv = ["ldapwhoami", "-x", "-H", url, "-D", who, "-w", password]
    done = subprocess.run(argv, env={**BASE_ENVIRONMENT, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode in (0, INVALID_CREDENTIALS), done.stderr
    return done.returncode == 0


@pytest.fixture(scope="module")
def everywhere(house: House) -> Everywhere:
    return Everywhere(house)


def test_one_signs_in_and_sees_whom_hr_has_hired(house: House) -> None:
    assert house.post([hired("7001", "Wilma")])[0]["status"] == "accepted"
    with chromium() as browser, visitor(browser, house.installation.services["portal"].url) as someone:
        page = someone.sign_in()
        expect(page.locator(".where")).to_have_text("Älvsunds kommun")

        def enabled() -> bool:
            someone.goto("/people?q=wilma")
            return "Is\nenabled" in "".join(page.locator("#targets .versus").all_inner_texts())

        wait_until(enabled, seconds=30)
        expect(page.locator("h1")).to_have_text("Wilma Behållare")
        someone.goto("/operations")
        expect(page.locator("[data-service=accounts] .facts")).to_be_visible()
        expect(page.locator(".away")).to_have_count(0)
        assert someone.faults == []


def test_a_joiner_logs_in_wherever_there_is_an_account_and_a_leaver_nowhere(
    house: House, everywhere: Everywhere
) -> None:
    """By the code that the manager hands over."""
    house.post([hired("8001", "Bodil", source=BERGBY)], organisation="bergby")
    wait_until(lambda: everywhere.enabled("8001") == [True] * 3, seconds=60, why=lambda: everywhere.enabled("8001"))
    with_page = house.installation.services["graph"].get("/")[1]
    assert "bodil.behallare@bergby.example" in with_page
    people = house.request("GET", "status", "/v1/persons?q=8001", organisation="bergby")[1]["items"]
    asked = f"/v1/accounts/{people[0]['id']}/activation"
    issued = house.request("POST", "accounts", asked, {"reason": "first day"}, organisation="bergby")[1]
    password = "Blå hästar 42 på ängen"
    chosen = {"login": "bodil.behallare", "code": issued["code"], "password": password}
    status, told = house.request("POST", "accounts", "/v1/activations", chosen)
    assert status == 200, told
    assert everywhere.let_in("8001", password) == [True] * 3
    house.post([dismissed("8001", source=BERGBY)], organisation="bergby")
    wait_until(lambda: everywhere.enabled("8001") == [False] * 3, seconds=60, why=lambda: everywhere.enabled("8001"))
    assert everywhere.let_in("8001", password) == [False] * 3


def test_whatever_is_killed_everybody_has_one_account_everywhere(
    compose: Compose, house: House, everywhere: Everywhere
) -> None:
    numbers = [str(number) for number in range(8100, 8124)]
    for place, number in enumerate(numbers):
        house.post([hired(number, f"Nr {number}", source=BERGBY)], organisation="bergby")
        if place % 4 == 3:
            compose.run("kill", "--signal", "KILL", KILLED[place // 4])
            compose.run("start", KILLED[place // 4])

    def there() -> bool:
        return all([one for one in found if one in numbers] == numbers for found in everywhere.numbers())

    wait_until(there, seconds=240, why=everywhere.numbers)
    wait_until(lambda: all(everywhere.enabled(one) == [True] * 3 for one in numbers), seconds=60)


def test_no_secret_is_in_an_image_a_container_a_command_line_or_a_log(compose: Compose) -> None:
    folder = compose.installation.folder / "secrets"
    secrets = {str(one) for file in folder.iterdir() for one in json.loads(file.read_text()).values()}
    assert len(secrets) > 15
    said = [docker("image", "inspect", image) + docker("history", "--no-trunc", image) for image in IMAGES]
    said += [docker("inspect", *compose.run("ps", "--all", "--quiet").split())]
    said += [compose.run("top"), compose.run("logs", "--no-color")]
    assert [secret[:4] for secret in secrets if any(secret in text for text in said)] == []


def test_hr_is_let_in_while_the_broker_is_away_and_nothing_is_lost(compose: Compose, house: House) -> None:
    ingestion = compose.installation.services["ingestion"]
    compose.run("kill", "--signal", "KILL", "rabbitmq")
    try:
        wait_until(lambda: not ingestion.ready(), seconds=30)
        assert ingestion.get("/doorz")[0] == 200
        assert house.post([hired("7002", "Vidar")])[0]["status"] == "accepted"
    finally:
        compose.run("start", "rabbitmq")
    folder = compose.installation.folder
    directory = Directory(compose.installation.slapd, house.organisations["alvsund"].targets["openldap"], folder)
    wait_until(lambda: directory.entry("7002") is not None, seconds=90)


def test_a_file_that_a_source_drops_is_taken_and_put_aside(compose: Compose) -> None:
    folder = compose.installation.mounted / "hr" / "alvsund" / "personal"
    (folder / "personal.csv").write_text("neither;what;was;agreed\n")
    rejected = folder / "rejected"
    wait_until(lambda: list(rejected.glob("*personal.csv")) != [], seconds=120, why=lambda: list(folder.rglob("*")))
    (reason,) = rejected.glob("*.reason.txt")
    assert reason.read_text("utf-8").strip()
    assert not (folder / "personal.csv").exists()


def test_prometheus_reaches_everything_and_judges_by_the_delivered_rules(compose: Compose) -> None:
    prometheus = compose.installation.prometheus

    def seen() -> set[str]:
        found = prometheus.ask("targets", state="active")["activeTargets"]
        return {target["labels"]["service"] for target in found if target["health"] == "up"}

    wait_until(lambda: {*SERVICES, PORTAL, "rabbitmq"} <= seen(), seconds=60, why=seen)

    def judged() -> bool:
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        return len(rules) > 25 and {rule["health"] for rule in rules} == {"ok"}

    wait_until(judged, seconds=60)


def test_at_the_end_nothing_is_left(compose: Compose) -> None:
    """The last one in this file: it takes all of it down."""
    compose.shut_down(volumes=True)
    ours = f"label=com.docker.compose.project={compose.installation.project}"
    assert docker("ps", "--all", "--quiet", "--filter", ours) == ""
    assert docker("volume", "ls", "--quiet", "--filter", ours) == ""
    assert docker("network", "ls", "--quiet", "--filter", ours) == ""
