"""The list of what Ouzel needs at run time, which `make dist` writes."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from deploy.supply_chain.lock import pinned, read
from deploy.supply_chain.sbom import InvalidSbom, sbom, validate

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return sbom()


def test_it_has_every_package_of_run_time_and_no_other_with_version_licence_and_hashes(content: dict[str, Any]) -> None:
    wanted = {**read("runtime"), **read("gpu")}
    listed = {component["name"]: component for component in content["components"]}
    assert listed.keys() == wanted.keys()
    assert "pytest" not in listed
    for name, component in listed.items():
        assert component["version"] == pinned(wanted[name])
        assert component["purl"] == f"pkg:pypi/{name}@{component['version']}"
        assert component["licenses"][0]["expression"]
        hashes = [one["content"] for reference in component["externalReferences"] for one in reference["hashes"]]
        assert hashes, name
        assert all(f"sha256:{one}" in wanted[name] for one in hashes)


def test_it_names_ouzel_and_what_it_needs_directly(content: dict[str, Any]) -> None:
    root = content["metadata"]["component"]
    assert (root["name"], root["licenses"][0]["license"]["id"]) == ("ouzel", "Apache-2.0")
    (needs,) = [entry["dependsOn"] for entry in content["dependencies"] if entry["ref"] == root["bom-ref"]]
    assert {"pkg:pypi/torch@2.13.0", "pkg:pypi/aiokafka@0.14.0"} <= set(needs)
    assert len(needs) == 20


def test_it_conforms_to_the_schema_of_cyclonedx(content: dict[str, Any]) -> None:
    short = json.loads(json.dumps(content))
    del short["components"][3:]  # all of them take 10 s, which make dist takes
    validate(short)
    short["components"][0]["kind"] = "library"
    with pytest.raises(InvalidSbom, match="kind"):
        validate(short)


def test_it_is_the_same_each_time(content: dict[str, Any]) -> None:
    assert "timestamp" not in content["metadata"]
    assert "serialNumber" not in content
    assert json.dumps(sbom(), sort_keys=True) == json.dumps(content, sort_keys=True)


def test_the_wheel_is_the_same_each_time_and_has_no_tests(tmp_path: Path) -> None:
    wheels = []
    for name in ("first", "second"):
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / name)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        (wheel,) = (tmp_path / name).iterdir()
        wheels.append(wheel)
    assert wheels[0].read_bytes() == wheels[1].read_bytes()
    packages = {name.partition("/")[0] for name in zipfile.ZipFile(wheels[0]).namelist()}
    assert packages == {"streams", "models", "serving", "ouzel-0.1.0.dist-info"}
