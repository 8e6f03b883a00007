"""The Kubernetes manifests, checked against Kubernetes' own schemas and a few rules.

They are also checked as kustomize renders them, if it is installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from support.deployed import DEPLOY, VARIABLE, documents, resolve, settings, templates

from deploy.kubernetes.rules import MADE, SOURCES, prometheus_rule
from streams.configuration.intake import parse_sources

KUBERNETES = DEPLOY / "kubernetes"
EXAMPLE = KUBERNETES / "overlays" / "example"
OF_THE_OPERATOR = {"PodMonitor", "ServiceMonitor", "PrometheusRule"}
"""Kinds of the Prometheus Operator; these tests have no schemas for them."""
VERSION = "1.33"

Manifest = dict[str, Any]


def files() -> list[Path]:
    """Every manifest, without the kustomization files."""
    manifests = [path for path in KUBERNETES.rglob("*.yaml") if path.name != "kustomization.yaml"]
    assert len(manifests) >= 7
    return manifests


def kustomizations() -> list[Path]:
    return list(KUBERNETES.rglob("kustomization.yaml"))


def rendered(folder: Path) -> list[Manifest]:
    """The manifests that kustomize renders.

    Skips the test if neither it nor kubectl is installed.
    """
    if shutil.which("kustomize"):
        command = ["kustomize", "build"]
    elif shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    else:
        pytest.skip("neither kustomize nor kubectl is installed")
    done = subprocess.run([*command, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


@pytest.fixture(scope="module")
def example() -> list[Manifest]:
    return rendered(EXAMPLE)


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def assert_valid(manifests: Iterable[Manifest]) -> None:
    known = [manifest for manifest in manifests if manifest["kind"] not in OF_THE_OPERATOR]
    assert known
    for manifest in known:
        kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_each_file_is_valid() -> None:
    assert_valid(document for path in files() for document in documents(path.read_text()))


def test_the_rendered_manifests_are_valid(example: list[Manifest]) -> None:
    assert_valid(example)
    assert {manifest["kind"] for manifest in example} >= OF_THE_OPERATOR | {
        "StatefulSet", "Deployment", "Job", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap", "Service", "ServiceAccount",
    }  # fmt: skip


def test_an_unknown_field_is_not_valid() -> None:
    (worker, *_) = documents((KUBERNETES / "base" / "worker.yaml").read_text())
    worker["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        assert_valid([worker])


def test_each_file_belongs_to_a_kustomization() -> None:
    """kustomize would report a missing file; this checks it if kustomize is not installed."""
    named = set()
    for path in kustomizations():
        kustomization = yaml.safe_load(path.read_text())
        for entry in [*kustomization.get("resources", ()), *kustomization.get("components", ())]:
            target = (path.parent / entry).resolve()
            assert target.is_file() or (target / "kustomization.yaml").is_file(), (path, entry)
            named.add(target)
    assert {path.resolve() for path in files()} <= named


def test_the_rules_are_those_of_prometheus() -> None:
    assert MADE.read_text() == prometheus_rule(), "run make rules"
    made = yaml.safe_load(MADE.read_text())["spec"]["groups"]
    assert made == [group for path in sorted(SOURCES.glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"]]
    assert made


def test_the_jobs_have_the_names_that_the_rules_use() -> None:
    monitors = documents((KUBERNETES / "monitoring" / "monitors.yaml").read_text())
    endpoints = [
        endpoint for one in monitors for key in ("podMetricsEndpoints", "endpoints") for endpoint in one["spec"].get(key, ())
    ]
    jobs = {
        relabeling["replacement"] for one in endpoints for relabeling in one["relabelings"] if relabeling["targetLabel"] == "job"
    }
    assert jobs == {"ouzel-worker", "ouzel-learner", "ouzel-serve", "ouzel-intake"}
    rules = MADE.read_text()
    assert all(job in rules for job in jobs)


def workloads(manifests: Iterable[Manifest]) -> list[Manifest]:
    return of_kind(manifests, "StatefulSet", "Deployment", "Job")


def test_every_pod_is_unprivileged_and_has_limits(example: list[Manifest]) -> None:
    pods = [template for manifest in workloads(example) for template in templates(manifest)]
    assert len(pods) == 4
    for pod in pods:
        assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


def egress(manifests: Iterable[Manifest]) -> list[Manifest]:
    """Every rule that lets something out."""
    policies = of_kind(manifests, "NetworkPolicy")
    assert any(policy["spec"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/part-of": "ouzel"} for policy in policies)
    return [rule for policy in policies for rule in policy["spec"].get("egress", ())]


def test_pods_reach_only_kafka_dns_and_each_other_and_each_by_its_labels() -> None:
    policies = documents((KUBERNETES / "base" / "network-policies.yaml").read_text())
    ports: dict[str, set[object]] = {}
    for rule in egress(policies):
        assert rule.get("to"), "a rule without a destination lets out to everywhere"
        for peer in rule["to"]:
            labels = peer["podSelector"]["matchLabels"]
            assert labels, "an empty selector selects every pod"
            (name,) = labels.values()
            ports.setdefault(name, set()).update(port["port"] for port in rule["ports"])
            namespace = peer.get("namespaceSelector")
            assert namespace is None or namespace["matchLabels"].keys() == {"kubernetes.io/metadata.name"}
            assert name != "kube-dns" or namespace == {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    assert ports == {"kube-dns": {53}, "kafka": {9092, 9093, 9094}, "ouzel-worker": {"metrics"}}


def test_an_overlay_can_name_the_addresses_of_a_kafka_outside_of_the_cluster() -> None:
    """The patch in the comment of the example replaces the rule for Kafka and no other."""
    commented = [
        line for line in (EXAMPLE / "kustomization.yaml").read_text().splitlines() if "ipBlock" in line or "/egress/" in line
    ]
    (path,) = [line.partition("path: ")[2] for line in commented if "path: " in line]
    assert any("ipBlock" in line for line in commented)
    found: Any = next(
        policy
        for policy in documents((KUBERNETES / "base" / "network-policies.yaml").read_text())
        if policy["metadata"]["name"] == "ouzel"
    )
    for step in path.strip("/").split("/")[:-1]:
        found = found[int(step)] if isinstance(found, list) else found[step]
    assert {port["port"] for port in found["ports"]} == {9092, 9093, 9094}


def test_every_container_runs_an_existing_command_with_existing_settings(example: list[Manifest]) -> None:
    resolved = {}
    for manifest in workloads(example):
        for template in templates(manifest):
            for container in template["containers"]:
                resolved[manifest["metadata"]["name"]] = resolve(container["args"])
                assert {variable["name"] for variable in container.get("env", ())} <= settings()
    assert resolved == {
        "ouzel-topics": "ouzel topics create", "ouzel-worker": "ouzel worker", "ouzel-serve": "ouzel serve",
        "ouzel-intake": "ouzel intake",
    }  # fmt: skip
    (config,) = of_kind(example, "ConfigMap")
    assert config["data"].keys() <= settings()
    assert parse_sources(json.loads(config["data"]["OUZEL_INTAKE"]))
    assert VARIABLE.findall((EXAMPLE / "secrets.env.example").read_text())


def test_every_reference_has_a_target(example: list[Manifest]) -> None:
    (config,) = of_kind(example, "ConfigMap")
    for manifest in workloads(example):
        for template in templates(manifest):
            for container in template["containers"]:
                maps = [source["configMapRef"]["name"] for source in container["envFrom"] if "configMapRef" in source]
                assert maps == [config["metadata"]["name"]]
    labels = [manifest["spec"]["template"]["metadata"]["labels"] for manifest in workloads(example)]
    for manifest in of_kind(example, "Service", "PodDisruptionBudget", "NetworkPolicy"):
        spec = manifest["spec"]
        selector = spec.get("podSelector", spec.get("selector", {}))
        wanted = selector.get("matchLabels", selector).items()
        assert any(wanted <= pod.items() for pod in labels), manifest["metadata"]["name"]


def test_intakes_are_added_by_their_component_only() -> None:
    base = rendered(KUBERNETES / "base")
    assert {manifest["metadata"]["name"] for manifest in workloads(base)} == {"ouzel-topics", "ouzel-worker", "ouzel-serve"}


def test_an_intake_has_its_name_its_probes_and_time_to_stop(example: list[Manifest]) -> None:
    (intake,) = [one for one in of_kind(example, "Deployment") if one["metadata"]["name"] == "ouzel-intake"]
    (pod,) = templates(intake)
    (container,) = pod["containers"]
    names = {variable["name"]: variable for variable in container["env"]}
    assert names["OUZEL_INSTANCE_ID"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert pod["terminationGracePeriodSeconds"] > 8
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
    labels = intake["spec"]["template"]["metadata"]["labels"].items()
    policies = [one for one in of_kind(example, "NetworkPolicy") if one["spec"]["podSelector"]["matchLabels"].items() <= labels]
    assert sorted(policy["metadata"]["name"] for policy in policies) == ["ouzel", "ouzel-intake"]
    budgets = [one for one in of_kind(example, "PodDisruptionBudget") if one["spec"]["selector"]["matchLabels"].items() <= labels]
    assert len(budgets) == 1


def test_a_worker_has_its_name_its_volume_and_time_to_stop(example: list[Manifest]) -> None:
    (worker,) = of_kind(example, "StatefulSet")
    (pod,) = templates(worker)
    (container,) = pod["containers"]
    names = {variable["name"]: variable for variable in container["env"]}
    assert names["OUZEL_INSTANCE_ID"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    (claim,) = worker["spec"]["volumeClaimTemplates"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == "/var/lib/ouzel"
    assert pod["terminationGracePeriodSeconds"] > 8
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
