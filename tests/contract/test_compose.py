"""docker-compose.yml names every service, hardened, ready in order, and without a secret."""

import re
from typing import Any

import yaml

from deploy.containers.compose import IMAGES
from deploy.containers.composed import Composed
from deploy.local.installation import SERVICES
from deploy.local.ports import Ports
from deploy.local.settings import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OURS = (*SERVICES, "migration", "openldap")


def test_every_service_starts_when_what_it_needs_is_there() -> None:
    for name in SERVICES:
        one = COMPOSE[name]
        assert one["command"] == [f"services.{name}"]
        assert one["depends_on"] == {
            "postgres": {"condition": "service_healthy"},
            "rabbitmq": {"condition": "service_healthy"},
            "openldap": {"condition": "service_healthy"},
            "migration": {"condition": "service_completed_successfully"},
        }
        assert "/doorz" in one["healthcheck"]["test"][-1]
        assert any(volume.endswith(f"/services/{name}:/run/secrets:ro") for volume in one["volumes"])
    for server in ("postgres", "rabbitmq", "openldap"):
        assert COMPOSE[server]["healthcheck"]["test"]


def test_our_containers_write_nowhere_and_may_nothing() -> None:
    for name in OURS:
        one = COMPOSE[name]
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name


def test_nothing_listens_beyond_this_machine() -> None:
    for name, one in COMPOSE.items():
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", ())), name


def test_no_secret_stands_in_an_environment() -> None:
    told = {key for one in COMPOSE.values() for key in one.get("environment", ())}
    assert not [key for key in told if re.search(r"PASSWORD$|_KEY$|DATABASE_URL|BROKER_URL", key)]


def test_prometheus_watches_every_service() -> None:
    config = yaml.safe_load((ROOT / "deploy/containers/prometheus.yml").read_text())
    (stafett,) = (job for job in config["scrape_configs"] if job["job_name"] == "stafett")
    port = COMPOSE["status"]["environment"]["STAFETT_METRICS_PORT"]
    assert set(stafett["static_configs"][0]["targets"]) == {f"{name}:{port}" for name in SERVICES}


def test_every_port_and_folder_that_it_asks_for_is_given(tmp_path: Any) -> None:
    installation = Composed(tmp_path / "run", Ports.from_base(30000))
    asked = set(re.findall(r"\$\{(STAFETT_PORT_[A-Z]+)", (ROOT / "docker-compose.yml").read_text()))
    given = {f"STAFETT_PORT_{name.upper()}" for name in installation.ports.by_name()}
    assert asked
    assert asked <= given


def test_images_are_built_of_files_that_are_there() -> None:
    for file in IMAGES.values():
        text = (ROOT / file).read_text()
        assert "--mount" not in text, "no syntax that only BuildKit knows"
        assert re.search(r"^USER \d+:\d+$", text, re.MULTILINE)
        for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
            assert all((ROOT / path).exists() for path in source.split())
