"""compose.yaml: a valid Compose file whose parts fit each other, and which publishes nothing beyond this machine."""

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
    """The file as it stands, with its merges done."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return found


def by_schema(path: Path) -> int:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", "vendor.compose-spec", path]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_it_is_a_compose_file(tmp_path: Path) -> None:
    assert by_schema(COMPOSE) == 0
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("cap_drop", "drop_caps"))
    assert by_schema(wrong) == 1


def test_compose_itself_takes_it() -> None:
    plugin = shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if not plugin or plugin.returncode:
        pytest.skip("there is no docker compose")
    command = ["docker", "compose", "-f", COMPOSE, "--profile", "simulate", "--profile", "replay", "config", "--quiet"]
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


def test_each_waits_for_what_it_needs(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            healthy = how["condition"] == "service_healthy"
            own = services[needed].get("healthcheck", {})
            of_image = services[needed]["image"].startswith("ouzel")  # deploy/Dockerfile has one
            assert not healthy or "test" in own or (of_image and not own.get("disable")), (name, needed)
    waits = {name: set(service.get("depends_on", ())) for name, service in services.items()}
    assert waits["topics"] == {"kafka"}
    assert waits["worker-1"] == waits["worker-2"] == {"topics"}
    assert waits["simulate"] == waits["replay"] == {"worker-1", "worker-2"}


def test_ours_are_locked_and_write_only_where_they_may(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if service["image"].startswith("ouzel"):
            assert service["read_only"], name
            assert "/tmp" in service["tmpfs"], name


def test_each_worker_has_a_disk_of_its_own(compose: dict[str, Any]) -> None:
    disks = [compose["services"][name]["volumes"] for name in ("worker-1", "worker-2")]
    assert disks == [["worker-1:/var/lib/ouzel"], ["worker-2:/var/lib/ouzel"]]
    assert {"worker-1", "worker-2"} <= compose["volumes"].keys()


def test_what_is_mounted_is_here(compose: dict[str, Any]) -> None:
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", ()) if isinstance(mount, str)]
    paths = [mount.partition(":")[0] for mount in mounts if mount.startswith(".")]
    assert len(paths) >= 4
    for path in paths:
        assert (DEPLOY / path).exists(), path


def test_prometheus_asks_the_services_that_there_are(compose: dict[str, Any]) -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    aliases = {
        alias
        for service in compose["services"].values()
        for alias in service.get("networks", {}).get("default", {}).get("aliases", ())
    }
    asked = {job["job_name"]: job["dns_sd_configs"][0]["names"] for job in config["scrape_configs"] if "dns_sd_configs" in job}
    assert asked.keys() == {"ouzel-worker", "ouzel-serve"}
    for names in asked.values():
        assert set(names) <= aliases | compose["services"].keys()


def test_grafana_finds_its_source_and_its_dashboards(compose: dict[str, Any]) -> None:
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
