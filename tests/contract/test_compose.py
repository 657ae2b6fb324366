"""docker-compose.yml names every service, hardened, ready in order, and without a secret."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from deploy.containers.compose import IMAGES
from deploy.containers.composed import Composed
from deploy.local.installation import DIRECTING, SERVICES
from deploy.local.ports import Ports
from deploy.local.settings import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OURS = (*SERVICES, "portal", "provider", "graph", "migration", "openldap", "samba")


def test_every_service_starts_when_what_it_needs_is_there() -> None:
    for name in SERVICES:
        one = COMPOSE[name]
        assert one["command"] == [f"services.{name}"]
        windows = {"samba": {"condition": "service_healthy", "required": False}} if name in DIRECTING else {}
        assert one["depends_on"] == {
            **windows,
            "postgres": {"condition": "service_healthy"},
            "rabbitmq": {"condition": "service_healthy"},
            "openldap": {"condition": "service_healthy"},
            "migration": {"condition": "service_completed_successfully"},
        }
        assert "/doorz" in one["healthcheck"]["test"][-1]
        assert any(volume.endswith(f"/services/{name}:/run/secrets:ro") for volume in one["volumes"])
    for server in ("postgres", "rabbitmq", "openldap", "samba"):
        assert COMPOSE[server]["healthcheck"]["test"]


def test_our_containers_write_nowhere_and_may_nothing() -> None:
    for name in OURS:
        one = COMPOSE[name]
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name


def test_nothing_listens_beyond_this_machine() -> None:
    for name, one in COMPOSE.items():
        for port in one.get("ports", ()):
            assert port.startswith(("127.0.0.1:", "${STAFETT_ADDRESS_SAMBA:-127.")), name
    assert Ports.from_base(18000).samba.startswith("127.")


def test_no_secret_stands_in_an_environment() -> None:
    told = {key for one in COMPOSE.values() for key in one.get("environment", ())}
    assert not [key for key in told if re.search(r"PASSWORD$|_KEY$|DATABASE_URL|BROKER_URL", key)]


def test_the_portal_and_the_provider_have_one_address_for_browsers_and_for_each_other(tmp_path: Path) -> None:
    portal, provider = COMPOSE["portal"], COMPOSE["provider"]
    assert portal["command"] == ["services.portal"]
    assert portal["network_mode"] == "service:provider", "127.0.0.1 is the provider's"
    assert "rabbitmq" not in portal["depends_on"]
    assert "/doorz" in portal["healthcheck"]["test"][-1]
    assert portal["environment"]["STAFETT_OIDC_ISSUER"] == provider["environment"]["STAFETT_PROVIDER_URL"]
    assert portal["environment"]["STAFETT_PUBLIC_URL"] == provider["environment"]["STAFETT_PORTAL_URL"]
    installation = prepared(tmp_path)
    mounted = installation.mounted
    names = {path.name for path in (mounted / "services/portal").iterdir()}
    assert names == {"STAFETT_DATABASE_URL", "STAFETT_SESSION_KEY"}, "no broker, no dead letters"
    assert "portal" in json.loads((mounted / "migration/service_passwords.json").read_text())
    assert {path.name for path in (mounted / "provider").iterdir()} == {"private.jwk", "jwks.json"}
    assert {path.name for path in (mounted / "issuer").iterdir()} == {"jwks.json"}, "only the provider can sign"


def test_the_simulated_graph_is_what_the_local_run_has_and_not_in_the_image(tmp_path: Path) -> None:
    graph, installation = COMPOSE["graph"], prepared(tmp_path)
    told = installation.environment("graph")
    assert graph["environment"].keys() == told.keys()
    assert graph["environment"]["STAFETT_SIM_ENVIRONMENT"] == "development"
    mounted = {path.name for path in (installation.mounted / "graph").iterdir()}
    assert mounted == {"ca.crt", "server.crt", "server.key", "control_token", "seeds"}
    assert (installation.mounted / "graph" / "seeds" / "tenant.json").stat().st_mode & 0o777 == 0o644
    assert "./deploy/simulators:/app/deploy/simulators:ro" in graph["volumes"]
    assert "simulators" not in (ROOT / ".dockerignore").read_text()
    assert "simulators" not in (ROOT / "deploy" / "Dockerfile").read_text()


def test_prometheus_watches_every_service_by_the_delivered_configuration(tmp_path: Path) -> None:
    port = COMPOSE["status"]["environment"]["STAFETT_METRICS_PORT"]
    targets = json.loads((prepared(tmp_path).mounted / "prometheus/targets/stafett.json").read_text())
    assert {one["labels"]["service"]: one["targets"] for one in targets} == {
        name: [f"{name}:{port}"] for name in (*SERVICES, "portal")
    }
    assert COMPOSE["provider"]["networks"]["default"]["aliases"] == ["portal"], "the portal lives in its network"
    mounts = dict(volume.rsplit(":", 2)[:2] for volume in COMPOSE["prometheus"]["volumes"] if volume.endswith(":ro"))
    assert mounts["./deploy/observability/prometheus.yml"] == "/etc/prometheus/prometheus.yml"
    assert mounts["./deploy/observability/rules"] == "/etc/prometheus/rules"


def test_the_domain_is_told_what_it_is_made_of_and_runs_without_a_right(tmp_path: Path) -> None:
    installation, samba = prepared(tmp_path), COMPOSE["samba"]
    mounted = installation.mounted / "samba"
    assert {path.name for path in mounted.iterdir()} == {
        "smb.conf",
        "domain.json",
        "ca.crt",
        "server.crt",
        "server.key",
    }
    wanted = json.loads((mounted / "domain.json").read_text())
    assert wanted["bases"] == ["OU=alvsund,DC=stafett,DC=example", "OU=bergby,DC=stafett,DC=example"]
    assert "passw" not in (mounted / "smb.conf").read_text()
    seen = {volume.rsplit(":", 2)[1] for volume in samba["volumes"] if volume.endswith(":ro")}
    assert all(folder in (ROOT / "deploy/samba/entrypoint").read_text() for folder in seen)
    secret = (installation.mounted / "services/accounts/target_active_directory").read_text()
    assert secret == wanted["service_password"]


def test_a_domain_may_be_left_out_and_nobody_has_an_account_in_it_then(tmp_path: Path) -> None:
    installation = Composed(tmp_path / "run", Ports.from_base(30000), active_directory=False)
    installation.prepare()
    assert installation.variables()["COMPOSE_PROFILES"] == ""
    assert COMPOSE["samba"]["profiles"] == ["ad"]
    assert not (installation.mounted / "samba").exists()
    assert "active_directory" not in (installation.mounted / "organisations.toml").read_text()


def test_each_folder_has_containers_and_data_of_its_own_also_when_it_moves(tmp_path: Path) -> None:
    first, second = prepared(tmp_path / "first"), prepared(tmp_path / "second")
    assert first.project != second.project, "or one's secrets would meet the other's data"
    moved = first.folder.rename(tmp_path / "elsewhere")
    assert Composed(moved, Ports.from_base(30000)).project == first.project


def prepared(folder: Path) -> Composed:
    installation = Composed(folder / "run", Ports.from_base(30000))
    installation.prepare()
    return installation


def test_every_variable_that_it_asks_for_is_given(tmp_path: Path) -> None:
    given = Composed(tmp_path / "run", Ports.from_base(30000)).variables()
    asked = set(re.findall(r"\$\{(STAFETT_[A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    assert asked - {"STAFETT_VERSION"} == given.keys() - {"COMPOSE_PROFILES"}
    assert all(re.fullmatch(r"[A-Z_]+", name) for name in given), "an env file knows no other names"


def test_images_are_built_of_files_that_are_there() -> None:
    for file in IMAGES.values():
        text = (ROOT / file).read_text()
        assert "--mount" not in text, "no syntax that only BuildKit knows"
        assert re.search(r"^USER \d+:\d+$", text, re.MULTILINE)
        for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
            assert all((ROOT / path).exists() for path in source.split())
