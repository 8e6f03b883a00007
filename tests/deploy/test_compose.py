"""compose.yaml: it is valid, its parts fit each other, and it publishes ports on loopback only."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.deployed import DEPLOY

from serving.key_file import digest, read_keys

COMPOSE = DEPLOY / "compose.yaml"
WITH_PORT = DEPLOY / "compose.kafka-port.yaml"
"""Added to the first file, it publishes Kafka."""
TAG = re.compile(r"v?\d+\.\d+\.\d+")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@pytest.fixture
def compose() -> dict[str, Any]:
    """The file, with its YAML merges applied."""
    content: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return content


@pytest.fixture
def with_port() -> dict[str, Any]:
    """What the second file adds."""
    content: dict[str, Any] = yaml.safe_load(WITH_PORT.read_text())
    return content


@pytest.fixture
def services(compose: dict[str, Any], with_port: dict[str, Any]) -> dict[str, Any]:
    """The services of both files; of those that are in both, the form in the first."""
    return {**with_port["services"], **compose["services"]}


def check_schema(*paths: Path, schema: str = "vendor.compose-spec") -> int:
    """The exit status of a check against a schema, by default that of the Compose specification."""
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", schema, *paths]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_it_is_a_valid_compose_file(tmp_path: Path) -> None:
    assert check_schema(COMPOSE, WITH_PORT) == 0
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("cap_drop", "drop_caps"))
    assert check_schema(wrong) == 1


@pytest.mark.parametrize("files", [[COMPOSE], [COMPOSE, WITH_PORT]], ids=["alone", "with a port of Kafka"])
def test_docker_compose_accepts_it(files: list[Path]) -> None:
    plugin = shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if not plugin or plugin.returncode:
        pytest.skip("docker compose is not installed")
    command = ["docker", "compose", *(word for file in files for word in ("-f", file)), "--profile", "*", "config", "--quiet"]
    done = subprocess.run(command, env=os.environ | {"KAFKA_PASSWORD": "x"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ports_are_published_on_loopback_only(compose: dict[str, Any], with_port: dict[str, Any]) -> None:
    ports = [port for file in (compose, with_port) for service in file["services"].values() for port in service.get("ports", ())]
    assert len(ports) >= 6
    for port in ports:
        host, _, _ = port.rsplit(":", 2)
        assert ipaddress.ip_address(host).is_loopback, port


def test_images_have_versions_and_digests(services: dict[str, Any]) -> None:
    for name, service in services.items():
        image, _, digest = service["image"].partition("@")
        _, _, tag = image.rpartition(":")
        assert "build" in service or (TAG.fullmatch(tag) and DIGEST.fullmatch(digest)), name
    kafka = services["kafka"]["image"]
    assert kafka.startswith("apache/kafka:4."), kafka
    assert services["kafka-user"]["image"] == kafka


def test_renovate_renews_the_digests_and_the_python_packages() -> None:
    path = DEPLOY.parent / "renovate.json"
    assert check_schema(path, schema="vendor.renovate") == 0
    config = json.loads(path.read_text())
    assert "docker:pinDigests" in config["extends"]
    assert {"dockerfile", "docker-compose", "pep621", "pip_requirements", "github-actions"} == set(config["enabledManagers"])
    for manager, files in {
        "docker-compose": ["deploy/compose.yaml", "deploy/compose.kafka-port.yaml"],
        "pip_requirements": [
            "requirements/runtime.txt",
            "requirements/gpu.txt",
            "requirements/build.txt",
            "requirements/dev.txt",
        ],
    }.items():
        (pattern,) = config[manager]["managerFilePatterns"]
        assert all(re.search(pattern.strip("/"), file) for file in files), manager


def test_kafka_is_published_only_by_the_second_file_and_only_with_a_login(
    compose: dict[str, Any], with_port: dict[str, Any]
) -> None:
    kafka = compose["services"]["kafka"]
    assert "ports" not in kafka
    published = with_port["services"]["kafka"]
    ((_, port),) = [entry.rsplit(":", 1) for entry in published["ports"]]
    listeners = dict(entry.split("://:") for entry in published["environment"]["KAFKA_LISTENERS"].split(","))
    protocols = dict(entry.split(":") for entry in published["environment"]["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert [protocols[name] for name, at in listeners.items() if at == port] == ["SASL_PLAINTEXT"]


def test_each_service_waits_for_the_services_it_needs(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for needed, condition in service.get("depends_on", {}).items():
            healthy = condition["condition"] == "service_healthy"
            own = services[needed].get("healthcheck", {})
            of_image = services[needed]["image"].startswith("ouzel")  # deploy/Dockerfile has one
            assert not healthy or "test" in own or (of_image and not own.get("disable")), (name, needed)
    waits = {name: set(service.get("depends_on", ())) for name, service in services.items()}
    assert waits["topics"] == {"kafka"}
    assert waits["worker-1"] == waits["worker-2"] == waits["intake"] == {"topics"}
    assert waits["simulate"] == waits["replay"] == {"worker-1", "worker-2"}


def test_containers_have_no_privileges_and_a_read_only_root(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"], name
        if service["image"].startswith("ouzel"):
            assert "/tmp" in service["tmpfs"], name


def test_every_container_has_a_bound_of_memory_and_of_processes(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"\d+[mg]", service.get("mem_limit", "")), name
        assert 0 < service.get("pids_limit", 0) <= 512, name
    heap = re.search(r"-Xmx(\d+)m", services["kafka"]["environment"]["KAFKA_HEAP_OPTS"])
    limit = re.fullmatch(r"(\d+)m", services["kafka"]["mem_limit"])
    assert heap is not None
    assert limit is not None
    assert int(limit[1]) >= 2 * int(heap[1]), "Kafka needs as much beside its heap"


def test_the_api_key_is_in_a_file_that_only_its_owner_may_read_and_not_in_the_log(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    service = compose["services"]["keys"]
    (folder,) = [mount.partition(":")[2] for mount in service["volumes"] if mount.startswith("key:")]
    assert service["environment"]["KEY_FILE"] == f"{folder}/key"
    for name, other in compose["services"].items():
        assert name == "keys" or "key:" not in "".join(map(str, other.get("volumes", ()))), "serve needs only the hashes"
    kept, keys = tmp_path / "key", tmp_path / "keys.json"
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "KEY_FILE": str(kept), "OUZEL_SERVE_KEYS": str(keys)
    }  # fmt: skip
    command = [*service["entrypoint"], *(word.replace("$$", "$") for word in service["command"])]
    for _ in range(2):
        log = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert log.stdout == ""
        text = kept.read_text().strip()
        assert text.startswith("ouzel_")
        assert text not in log.stderr
        assert stat.S_IMODE(kept.stat().st_mode) == stat.S_IMODE(keys.stat().st_mode) == 0o600
        assert [key.hash for key in read_keys(keys)] == [digest(text.encode())], "the second start creates none"


def test_the_commands_in_its_comments_name_services_and_files_that_exist(compose: dict[str, Any]) -> None:
    commands = re.findall(r"^#\s+(?:\w+=\S+ )*docker compose (.*)$", COMPOSE.read_text() + WITH_PORT.read_text(), re.MULTILINE)
    assert len(commands) >= 6
    for command in commands:
        for file in re.findall(r"-f (\S+)", command):
            assert (DEPLOY.parent / file).is_file(), command
    (reading,) = [command for command in commands if "--entrypoint cat" in command]
    assert reading.endswith(f"keys {compose['services']['keys']['environment']['KEY_FILE']}")


def test_each_worker_has_its_own_volume(compose: dict[str, Any]) -> None:
    volumes = [compose["services"][name]["volumes"] for name in ("worker-1", "worker-2")]
    assert volumes == [["worker-1:/var/lib/ouzel"], ["worker-2:/var/lib/ouzel"]]
    assert {"worker-1", "worker-2"} <= compose["volumes"].keys()


def test_the_intake_is_off_unless_its_profile_is_on_and_gets_its_topics_from_outside(compose: dict[str, Any]) -> None:
    intake = compose["services"]["intake"]
    assert intake["profiles"] == ["intake"]
    assert intake["environment"]["OUZEL_INTAKE"] == "${OUZEL_INTAKE:-}"
    assert "ports" not in intake, "copies of it could not share a port"


def test_every_mounted_path_exists(compose: dict[str, Any]) -> None:
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", ()) if isinstance(mount, str)]
    paths = [mount.partition(":")[0] for mount in mounts if mount.startswith(".")]
    assert len(paths) >= 4
    for path in paths:
        assert (DEPLOY / path).exists(), path


def test_prometheus_scrapes_existing_services(compose: dict[str, Any]) -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    aliases = {
        alias
        for service in compose["services"].values()
        for alias in service.get("networks", {}).get("default", {}).get("aliases", ())
    }
    scraped = {job["job_name"]: job["dns_sd_configs"][0]["names"] for job in config["scrape_configs"] if "dns_sd_configs" in job}
    assert scraped.keys() == {"ouzel-worker", "ouzel-learner", "ouzel-serve", "ouzel-intake"}
    for names in scraped.values():
        assert set(names) <= aliases | compose["services"].keys()


def test_grafana_has_its_data_source_and_its_dashboards(compose: dict[str, Any]) -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose["services"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "ouzel.yaml").read_text())["providers"]
    grafana = compose["services"]["grafana"]
    folder = provider["options"]["path"]
    assert f"./grafana/dashboards:{folder}:ro" in grafana["volumes"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.startswith(folder)
    assert (DEPLOY / "grafana" / "dashboards" / Path(home).name).is_file()
