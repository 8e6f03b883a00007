"""compose.yaml: it is valid, its parts fit each other, and it publishes ports on loopback only."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.deployed import DEPLOY

COMPOSE = DEPLOY / "compose.yaml"
TAG = re.compile(r"v?\d+\.\d+\.\d+")


@pytest.fixture
def compose() -> dict[str, Any]:
    """The file, with its YAML merges applied."""
    content: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return content


def check_schema(path: Path) -> int:
    """The exit status of a check against the schema of the Compose specification."""
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", "vendor.compose-spec", path]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_it_is_a_valid_compose_file(tmp_path: Path) -> None:
    assert check_schema(COMPOSE) == 0
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("cap_drop", "drop_caps"))
    assert check_schema(wrong) == 1


def test_docker_compose_accepts_it() -> None:
    plugin = shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if not plugin or plugin.returncode:
        pytest.skip("docker compose is not installed")
    command = ["docker", "compose", "-f", COMPOSE, "--profile", "*", "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ports_are_published_on_loopback_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert len(ports) >= 6
    for port in ports:
        host, _, _ = port.rsplit(":", 2)
        assert ipaddress.ip_address(host).is_loopback, port


def test_images_have_versions(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        _, _, tag = service["image"].rpartition(":")
        assert "build" in service or TAG.fullmatch(tag), name
    kafka = compose["services"]["kafka"]["image"]
    assert kafka.startswith("apache/kafka:4."), kafka


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


def test_containers_have_no_privileges_and_ours_have_a_read_only_root(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if service["image"].startswith("ouzel"):
            assert service["read_only"], name
            assert "/tmp" in service["tmpfs"], name


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
    assert scraped.keys() == {"ouzel-worker", "ouzel-serve", "ouzel-intake"}
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
