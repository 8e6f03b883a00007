"""The list of what Ouzel needs at run time, which `make dist` writes, and the wheel beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.deployed import with_tools

from deploy.supply_chain.licences import licence, needed
from deploy.supply_chain.lock import pinned, read

ROOT = Path(__file__).parents[3]
MAKE = """
import json, sys
from deploy.supply_chain.sbom import InvalidSbom, sbom, validate
licences = sys.stdin.read().splitlines()
content, again = sbom(licences), sbom(licences)
short = content | {"components": content["components"][:3]}  # all of them take 10 s, which make dist takes
validate(short)
try:
    validate(short | {"components": [{"name": "no type"}]})
except InvalidSbom:
    json.dump([content, again], sys.stdout)
"""


@pytest.fixture(scope="module")
def made() -> list[dict[str, Any]]:
    """The list, made twice; the first was compared with the schema of CycloneDX."""
    lines = "".join(f"{name}: {licence(name)}\n" for name in needed())
    done = subprocess.run([with_tools(), "-c", MAKE], input=lines, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    both: list[dict[str, Any]] = json.loads(done.stdout)
    return both


@pytest.mark.slow
def test_it_has_every_package_of_run_time_and_no_other_with_version_licence_and_hashes(made: list[dict[str, Any]]) -> None:
    wanted = {**read("runtime"), **read("gpu")}
    listed = {component["name"]: component for component in made[0]["components"]}
    assert listed.keys() == wanted.keys()
    assert "pytest" not in listed
    for name, component in listed.items():
        assert component["version"] == pinned(wanted[name])
        assert component["purl"] == f"pkg:pypi/{name}@{component['version']}"
        assert component["licenses"] == [{"expression": licence(name), "acknowledgement": "declared"}]
        hashes = [one["content"] for reference in component["externalReferences"] for one in reference["hashes"]]
        assert hashes, name
        assert all(f"sha256:{one}" in wanted[name] for one in hashes)


@pytest.mark.slow
def test_it_names_ouzel_and_what_it_needs_directly(made: list[dict[str, Any]]) -> None:
    root = made[0]["metadata"]["component"]
    assert (root["name"], root["licenses"][0]["license"]["id"]) == ("ouzel", "Apache-2.0")
    (needs,) = [entry["dependsOn"] for entry in made[0]["dependencies"] if entry["ref"] == root["bom-ref"]]
    assert {"pkg:pypi/torch@2.13.0", "pkg:pypi/aiokafka@0.14.0"} <= set(needs)
    assert len(needs) == 20


@pytest.mark.slow
def test_it_is_the_same_each_time(made: list[dict[str, Any]]) -> None:
    content, again = made
    assert content == again
    assert "timestamp" not in content["metadata"]
    assert "serialNumber" not in content


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
