"""What docker-compose.yml runs, used as people and HR use it; asked only when containers are asked for."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from deploy.containers.compose import Compose
from deploy.containers.composed import Composed
from deploy.demo.directory import Directory
from deploy.local.installation import PORTAL, SERVICES
from deploy.local.ports import Ports
from tests.support import hr
from tests.support.browsing import chromium, visitor
from tests.support.house import House, wait_until
from tests.support.servers import short_folder
from tests.support.settings import RunSettings

pytestmark = pytest.mark.skipif(RunSettings().runtime != "docker", reason="of RUNTIME=docker")


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    with short_folder() as folder:
        project = f"stafett-test-{os.getpid()}"
        compose = Compose(Composed(folder / "run", Ports.free(), observed=True, project=project))
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
    return house


def hired(number: str, given: str) -> dict[str, Any]:
    employment = hr.employment(employeeNumber=number, start="2026-01-05")
    return hr.event(hr.person(number, employment, name={"given": given, "family": "Behållare"}))


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
