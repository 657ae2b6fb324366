"""The local run, docker compose and Kubernetes tell each service the same, and know the same kinds of targets."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from deploy.containers.composed import Composed
from deploy.containers.manifests import OVERLAYS, rendered
from deploy.local.ports import Ports
from deploy.local.settings import ROOT
from services.accounts.settings import Settings as Accounts
from services.ingestion.settings import Settings as Ingestion
from services.kernel.settings import ProcessSettings, load_organisations
from services.kernel.targets import Target, load_targets
from services.orgtree.settings import Settings as Orgtree
from services.portal.settings import Settings as Portal
from services.status.settings import Settings as Status

SETTINGS: dict[str, type[ProcessSettings]] = {
    "ingestion": Ingestion,
    "accounts": Accounts,
    "orgtree": Orgtree,
    "status": Status,
    "portal": Portal,
}
OF_A_NETWORK = {
    "STAFETT_OTLP_ENDPOINT",
    "STAFETT_TRUSTED_PROXIES",
    "STAFETT_OIDC_CLIENT_ID",
    "STAFETT_OIDC_CLIENT_SECRET",
}
"""What says who else is there; on one machine, and with a provider of its own, the defaults are right."""
SECRETS = "/run/secrets"
each_service = pytest.mark.parametrize("service", SETTINGS)


def fields(service: str) -> dict[str, Any]:
    """Names in the environment, with the default; `...` where there is none."""
    return {
        f"STAFETT_{name.upper()}": ... if field.is_required() else field.get_default()
        for name, field in SETTINGS[service].model_fields.items()
    }


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Composed:
    installation = Composed(tmp_path_factory.mktemp("in_step") / "run", Ports.from_base(30000))
    installation.prepare()
    return installation


@pytest.fixture(scope="module")
def told(installation: Composed) -> dict[str, dict[str, set[str]]]:
    """What is told to each service, by the way it is run."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    found: dict[str, dict[str, set[str]]] = {}
    for service in SETTINGS:
        mounted = {path.name for path in (installation.mounted / "services" / service).iterdir()}
        found[service] = {
            "local": set(installation.environment(service)),
            "compose": image() | set(compose[service]["environment"]) | mounted,
            "kubernetes": image() | secret_keys(service).union(*(in_pod(overlay, service) for overlay in OVERLAYS)),
        }
    return found


def image() -> set[str]:
    """Names that the image sets."""
    (*_, environment) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    return {pair.partition("=")[0] for pair in shlex.split(environment)}


def in_pod(overlay: str, service: str) -> set[str]:
    """Names in the environment of a service's container, without its secrets."""
    (deployment,) = (
        one for one in manifests(overlay) if (one["kind"], one["metadata"]["name"]) == ("Deployment", service)
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    sources = {source["configMapRef"]["name"] for source in container["envFrom"]}
    maps = [one["data"] for one in manifests(overlay) if one["metadata"]["name"] in sources]
    return {name for data in maps for name in data} | {one["name"] for one in container.get("env", ())}


def secret_keys(service: str) -> set[str]:
    """Keys of a service's secret, as k8s/README.md tells whoever makes it."""
    rows = re.findall(r"^ *\| (.*?`stafett-.*?) \| (.*) \|$", (ROOT / "k8s" / "README.md").read_text(), re.MULTILINE)
    return {key for names, keys in rows if f"`stafett-{service}`" in names for key in re.findall(r"`([\w.]+)`", keys)}


def manifests(overlay: str) -> Iterator[dict[str, Any]]:
    return (one for one in yaml.safe_load_all(rendered(overlay).read_text()) if one)


@each_service
def test_what_a_service_cannot_do_without_it_is_told_everywhere(
    service: str, told: dict[str, dict[str, set[str]]]
) -> None:
    needed = {name for name, default in fields(service).items() if default is ...}
    missing = {where: needed - names for where, names in told[service].items() if needed - names}
    assert missing == {}


@each_service
def test_what_a_service_is_told_in_one_place_it_is_told_in_the_others(
    service: str, installation: Composed, told: dict[str, dict[str, set[str]]]
) -> None:
    """But for what is the default here, and for what says who else is in a network."""
    here, known = installation.environment(service), fields(service)
    same = {name for name, default in known.items() if here.get(name) == str(default)}
    everywhere = set().union(*told[service].values()) & known.keys() - same - OF_A_NETWORK
    missing = {where: everywhere - names for where, names in told[service].items() if everywhere - names}
    assert missing == {}


def test_nobody_is_told_what_no_settings_read(told: dict[str, dict[str, set[str]]]) -> None:
    read = {name for service in SETTINGS for name in fields(service)}
    for service, places in told.items():
        for where, names in places.items():
            strange = {name for name in names if name.startswith("STAFETT_")} - read
            assert strange == set(), f"{service}, {where}"


def test_every_kind_of_target_is_reached_from_everywhere(installation: Composed) -> None:
    installation._targets()
    local = tomllib.loads(installation._targets_file.read_text())
    compose = tomllib.loads((ROOT / "deploy/containers/targets.toml").read_text())
    kubernetes = [target for overlay in OVERLAYS for target in tomllib.loads(table(overlay, "targets.toml")).values()]
    kinds = {kind for model in get_args(Target) for kind in get_args(model.model_fields["kind"].annotation)}
    assert {target["kind"] for target in local.values()} == kinds
    assert {target["kind"] for target in compose.values()} == kinds
    assert {target["kind"] for target in kubernetes} == kinds
    assert {name: target.keys() for name, target in local.items()} == {
        name: target.keys() - ({"ca_file"} if name == "openldap" else set()) for name, target in compose.items()
    }, "in the clear on this machine only"


def test_compose_reaches_its_targets_by_what_is_mounted(installation: Composed, tmp_path: Path) -> None:
    text = (ROOT / "deploy/containers/targets.toml").read_text()
    file = tmp_path / "targets.toml"
    file.write_text(text.replace(SECRETS, str(installation.mounted / "services" / "accounts")))
    rows = load_organisations(installation.mounted / "organisations.toml").values()
    targets = load_targets(file, rows)
    assert all(target.ca_file and Path(target.ca_file).is_file() and target.secret for target in targets.values())
    assert targets.keys() == {name for row in rows for name in row.targets}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_cluster_reaches_its_targets_by_what_its_secret_holds(overlay: str, tmp_path: Path) -> None:
    text = table(overlay, "targets.toml")
    asked = set(re.findall(rf'"{SECRETS}/(.+)"', text))
    assert asked <= secret_keys("accounts")
    for name in asked:
        (tmp_path / name).write_text("secret")
    (tmp_path / "targets.toml").write_text(text.replace(SECRETS, str(tmp_path)))
    (tmp_path / "organisations.toml").write_text(table(overlay, "organisations.toml"))
    rows = load_organisations(tmp_path / "organisations.toml").values()
    assert load_targets(tmp_path / "targets.toml", rows).keys() == {name for row in rows for name in row.targets}


def table(overlay: str, name: str) -> str:
    """The text of a file that a ConfigMap holds."""
    (found,) = {one["data"][name] for one in manifests(overlay) if one["kind"] == "ConfigMap" and name in one["data"]}
    return str(found)
