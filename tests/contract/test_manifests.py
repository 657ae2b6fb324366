"""What Kubernetes is told, offline: schemas, hardening, references, and that every service is everywhere it must be."""

import re
import shutil
from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.containers.manifests import OVERLAYS, POLICY, fresh, render, rendered
from deploy.local.installation import PORTAL, SERVICES
from services.kernel.messaging import topology

Manifest = dict[str, Any]
VERSIONS = ("1.30", "1.34")
PODS = {*SERVICES, PORTAL}
OPERATORS = ("keda.sh/", "monitoring.coreos.com/")
"""Kinds of operators, whose own schemas are not at hand."""
SECRETS = {
    *("DATABASE_URL", "BROKER_URL", "DEAD_LETTER_KEY", "ERASURE_KEY", "ACTIVATION_KEY"),
    *("LDAP_PASSWORD", "ADMIN_DATABASE_URL", "SESSION_KEY"),
}
TABLES = {table.name for table in POLICY.glob("*.json")}
both = pytest.mark.parametrize("overlay", OVERLAYS)


@cache
def manifests(overlay: str) -> tuple[Manifest, ...]:
    return tuple(document for document in yaml.safe_load_all(rendered(overlay).read_text()) if document)


def of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests(overlay) if one["kind"] == kind}


def pods(overlay: str) -> Iterator[tuple[str, Manifest]]:
    for kind in ("Deployment", "Job", "StatefulSet"):
        for name, one in of_kind(overlay, kind).items():
            yield name, one["spec"]["template"]


@both
def test_the_rendered_file_is_made_of_what_is_there(overlay: str) -> None:
    assert fresh(overlay), "make manifests"


@both
def test_kustomize_renders_what_is_kept(overlay: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl; the digest says that the rendered file is fresh")
    assert rendered(overlay).read_text().partition("\n")[2] == render(overlay)


@both
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_as_its_schema_says(overlay: str, version: str) -> None:
    checked = 0
    for one in manifests(overlay):
        if not one["apiVersion"].startswith(OPERATORS):
            kubernetes_validate.validate(one, version, strict=True)
            checked += 1
    assert checked > 3 * len(SERVICES)


@both
def test_pods_meet_the_restricted_standard_and_write_nowhere(overlay: str) -> None:
    (namespace,) = of_kind(overlay, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in pods(overlay):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name


@both
def test_every_service_has_all_that_a_service_needs(overlay: str) -> None:
    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        assert set(of_kind(overlay, kind)) == PODS, kind
    for kind in ("ScaledObject", "TriggerAuthentication"):
        assert set(of_kind(overlay, kind)) == set(SERVICES), kind
    for name, deployment in of_kind(overlay, "Deployment").items():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["args"] == [f"services.{name}"]
        assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
        assert container["startupProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/doorz", "port": "http"}, (
            "open while others are away"
        )
        assert container["lifecycle"]["preStop"]["exec"]["command"][0] == "sleep", "routers learn late that a pod ends"
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        for selecting in ("Service", "PodDisruptionBudget"):
            selector = of_kind(overlay, selecting)[name]["spec"]["selector"]
            assert selector.get("matchLabels", selector).items() <= labels.items()


@both
def test_secrets_are_mounted_and_never_in_the_environment(overlay: str) -> None:
    assert of_kind(overlay, "Secret") == {}
    told = [key for one in of_kind(overlay, "ConfigMap").values() for key in one["data"]]
    for name, pod in pods(overlay):
        (container,) = pod["spec"]["containers"]
        told += [variable["name"] for variable in container.get("env", ())]
        assert all("secretRef" not in source for source in container["envFrom"])
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert mounts["secrets"]["mountPath"] == "/run/secrets"
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["secrets"]["secret"]["secretName"] == f"stafett-{name}"
        assert mounts.keys() == volumes.keys()
    assert {name for name in told if name.removeprefix("STAFETT_") in SECRETS} == set()


@both
def test_what_is_named_is_there(overlay: str) -> None:
    maps = of_kind(overlay, "ConfigMap")
    for _, pod in pods(overlay):
        (container,) = pod["spec"]["containers"]
        for source in container["envFrom"]:
            assert source["configMapRef"]["name"] in maps
        for variable in container.get("env", ()):
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["configMapKeyRef"]
                assert reference["key"] in maps[reference["name"]]["data"]
        held = {
            volume["name"]: set(maps[volume["configMap"]["name"]]["data"])
            for volume in pod["spec"]["volumes"]
            if "configMap" in volume
        }
        assert held.pop("policy", TABLES) == TABLES
        assert held in ({}, {"organisations": {"organisations.toml", "targets.toml"}})
    (ingress,) = of_kind(overlay, "Ingress").values()
    backends = {
        path["backend"]["service"]["name"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]
    }
    assert backends <= set(of_kind(overlay, "Service"))
    assert {rule["host"] for rule in ingress["spec"]["rules"]} == set(ingress["spec"]["tls"][0]["hosts"])


@both
def test_nothing_may_be_reached_unless_it_says_so(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    reached = {name: reachable(overlay, pod["metadata"]["labels"]) for name, pod in pods(overlay)}
    common = {53, 443, 4318, 5432}
    assert reached == {
        "ingestion": {*common, 5671, 5672},
        "accounts": {*common, 5671, 5672, 636, 1636},
        "orgtree": {*common, 5671, 5672, 636, 1636},
        "status": {*common, 5671, 5672},
        "portal": {*common, 8000},
        "migration": {53, 5432},
    }
    assert 389 not in set().union(*reached.values()), "no directory in the clear"
    (apis, _) = policies["doors"]["spec"]["ingress"]
    assert {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "portal"}}} in apis["from"]


def test_domain_controllers_are_reached_by_address_and_graph_by_its_port() -> None:
    (ldaps, graph) = of_kind("microsoft", "NetworkPolicy")["directory"]["spec"]["egress"]
    assert all(to["ipBlock"]["cidr"].endswith("/32") for to in ldaps["to"])
    assert {port["port"] for port in ldaps["ports"]} == {636, 1636}
    assert graph == {"ports": [{"protocol": "TCP", "port": 443}]}


@both
def test_accounts_judges_by_the_tables_that_ship_until_an_overlay_brings_others(overlay: str) -> None:
    (tables,) = (one["data"] for name, one in of_kind(overlay, "ConfigMap").items() if name.startswith("policy"))
    assert tables.keys() == TABLES
    assert tables == {table.name: table.read_text() for table in POLICY.glob("*.json")}
    (container,) = of_kind(overlay, "Deployment")["accounts"]["spec"]["template"]["spec"]["containers"]
    (told,) = (one["value"] for one in container["env"] if one["name"] == "STAFETT_POLICY_DIR")
    assert told in {mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "policy"}


@both
def test_the_word_of_an_ingress_and_of_the_portal_is_taken_for_an_address(overlay: str) -> None:
    """Pods have private addresses (RFC 1918, 4193, 6598), and the policy `doors` lets nobody else come to a door."""
    (settings,) = (one["data"] for name, one in of_kind(overlay, "ConfigMap").items() if name.startswith("settings"))
    trusted = [ip_network(one) for one in settings["STAFETT_TRUSTED_PROXIES"].split(",")]
    for pod in ("10.244.1.7", "192.168.12.3", "172.20.0.9", "100.72.0.4", "fd00::17"):
        assert any(ip_address(pod) in network for network in trusted), pod
    assert not any(network.is_global for network in trusted)
    (doors, _) = of_kind(overlay, "NetworkPolicy")["doors"]["spec"]["ingress"]
    assert [next(iter(one)) for one in doors["from"]] == ["namespaceSelector", "podSelector"]


def reachable(overlay: str, labels: dict[str, str]) -> set[int]:
    """The ports that a pod with these labels may call."""
    return {
        port["port"]
        for policy in of_kind(overlay, "NetworkPolicy").values()
        if selected(policy["spec"]["podSelector"], labels)
        for rule in policy["spec"].get("egress", ())
        for port in rule["ports"]
    }


def selected(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for one in selector.get("matchExpressions", ()):
        assert one["operator"] in {"In", "NotIn"}
        if (labels.get(one["key"]) in one["values"]) is not (one["operator"] == "In"):
            return False
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


@both
def test_what_the_migration_needs_goes_first(overlay: str) -> None:
    """`kubectl apply --selector stafett.se/step=migration`, then the wait, then the rest (k8s/README.md)."""
    first = [one for one in manifests(overlay) if "stafett.se/step" in one["metadata"].get("labels", {})]
    kinds = [one["kind"] for one in first]
    assert sorted(kinds) == ["ConfigMap", "Job", "Namespace", *["NetworkPolicy"] * 3]
    names = {one["metadata"]["name"] for one in first}
    (job,) = (one for one in first if one["kind"] == "Job")
    spec = job["spec"]["template"]["spec"]
    assert {source["configMapRef"]["name"] for source in spec["containers"][0]["envFrom"]} <= names
    assert not [volume for volume in spec["volumes"] if "configMap" in volume]
    labels = job["spec"]["template"]["metadata"]["labels"]
    policies = of_kind(overlay, "NetworkPolicy")
    assert {name for name, one in policies.items() if selected(one["spec"]["podSelector"], labels)} <= names


def test_all_ingestion_pods_see_the_folders_that_sources_drop_files_in() -> None:
    (claim,) = of_kind("folders", "PersistentVolumeClaim").values()
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    spec = of_kind("folders", "Deployment")["ingestion"]["spec"]["template"]["spec"]
    (told,) = [one["value"] for one in spec["containers"][0]["env"] if one["name"] == "STAFETT_FOLDERS"]
    claimed = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in spec["volumes"]
        if "persistentVolumeClaim" in volume
    }
    mounted = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    assert claimed == {"hr-folders": claim["metadata"]["name"]}
    assert mounted["hr-folders"] == told
    assert of_kind("prod", "PersistentVolumeClaim") == {}


def test_what_is_scraped_has_the_labels_that_every_rule_asks_for() -> None:
    (monitor,) = of_kind("prod", "PodMonitor").values()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    told = {one["targetLabel"]: one for one in endpoint["relabelings"]}
    assert told["service"]["sourceLabels"] == ["__meta_kubernetes_pod_label_app_kubernetes_io_name"]
    assert told["job"]["replacement"] == "stafett"
    scraped = monitor["spec"]["selector"]["matchLabels"].items()
    watched = {
        pod["metadata"]["labels"]["app.kubernetes.io/name"]
        for _, pod in pods("prod")
        if scraped <= pod["metadata"]["labels"].items()
    }
    assert watched == PODS
    for _, pod in pods("prod"):
        ports = {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", ())}
        assert not ports or endpoint["port"] in ports


@both
def test_scalers_watch_queues_and_tables_that_exist(overlay: str) -> None:
    """KEDA's own schemas are not at hand: what its scalers need is written down here (keda.sh/docs, 2.x)."""
    for name, scaled in of_kind(overlay, "ScaledObject").items():
        spec = scaled["spec"]
        assert scaled["apiVersion"] == "keda.sh/v1alpha1"
        assert spec["scaleTargetRef"] == {"name": name}
        assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"]
        assert spec["triggers"], name
        for trigger in spec["triggers"]:
            told = trigger["metadata"]
            assert all(isinstance(value, str) for value in told.values()), "KEDA reads text only"
            assert trigger["authenticationRef"] == {"name": name}
            if trigger["type"] == "rabbitmq":
                assert told.keys() == {"protocol", "queueName", "mode", "value"}
                assert (told["protocol"], told["mode"]) == ("amqp", "QueueLength")
                assert told["queueName"] in topology.queues(name)
            else:
                assert trigger["type"] == "postgresql"
                assert told.keys() == {"query", "targetQueryValue"}
                assert re.match(rf"SELECT count\(\*\) FROM {name}\.work WHERE ", told["query"])
    for name, authentication in of_kind(overlay, "TriggerAuthentication").items():
        assert authentication["spec"]["secretTargetRef"] == [
            {"parameter": "connection", "name": f"stafett-{name}", "key": "STAFETT_DATABASE_URL"},
            {"parameter": "host", "name": f"stafett-{name}", "key": "STAFETT_BROKER_URL"},
        ]


def test_services_that_take_in_events_scale_with_their_queues() -> None:
    for service in topology.SUBSCRIPTIONS:
        triggers = of_kind("prod", "ScaledObject")[service]["spec"]["triggers"]
        watched = {trigger["metadata"].get("queueName") for trigger in triggers}
        assert {f"{service}.express", f"{service}.bulk"} <= watched


def test_production_runs_a_version_and_takes_no_offsets() -> None:
    (settings,) = (one for name, one in of_kind("prod", "ConfigMap").items() if name.startswith("settings"))
    assert settings["data"]["STAFETT_ENVIRONMENT"] == "production"
    for name, pod in pods("prod"):
        (container,) = pod["spec"]["containers"]
        assert re.search(r":\d+\.\d+\.\d+$|@sha256:", container["image"]), name
    for deployment in of_kind("prod", "Deployment").values():
        assert deployment["spec"]["replicas"] >= 2
