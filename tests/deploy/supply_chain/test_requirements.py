"""requirements/: every dependency has one version, in the declared range, and hashes."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.supply_chain.lock import ABOUT, FOLDER, GPU, blocks, check_cpu_builds, declared, pinned, read, render

ROOT = Path(__file__).parents[3]
INSTALL = FOLDER / "install.sh"
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
INSTALLED = ("runtime", "build", "dev")
"""What `make setup` installs, beside gpu.txt where it is needed."""


def pins(*names: str) -> dict[str, str]:
    """The version of each package in these files."""
    return {package: pinned(block) for name in names for package, block in read(name).items()}


def ranges() -> Iterator[tuple[str, Requirement]]:
    """Each requirement that pyproject.toml declares, with the file that has to have its version."""
    project = PYPROJECT["project"]
    for text in project["dependencies"]:
        yield "runtime", Requirement(text)
    for texts in project["optional-dependencies"].values():
        for text in texts:
            yield "dev", Requirement(text)
    for name, texts in declared().items():
        for text in texts:
            yield name, Requirement(text)


@pytest.mark.parametrize("name", ABOUT)
def test_each_line_is_a_version_with_hashes_or_a_comment(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text()
    assert text == render(name, blocks(text)), "run make requirements"
    for package, block in read(name).items():
        first, *hashes = block.split(" \\\n")
        assert re.fullmatch(r"[a-z0-9.-]+==[^\s;]+( ; .+)?", first), package
        assert hashes, f"{package} has no hash"
        assert all(re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}", one) for one in hashes), package


def test_no_file_names_an_index_or_an_address() -> None:
    for path in FOLDER.iterdir():
        text = path.read_text()
        assert "://" not in text
        assert not re.search(r"^\s*--?(?!hash)[a-z]", text, re.MULTILINE) or path == INSTALL, path


def test_every_declared_dependency_has_a_version_in_its_range() -> None:
    checked = 0
    for name, requirement in ranges():
        version = pins(*([name] if name == "tools" else ["runtime", name])).get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement}: run make requirements"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}: {version}; run make requirements"
        checked += 1
    assert checked > 40


def test_what_a_dependency_needs_here_is_listed_too() -> None:
    """pip installs the files without looking for dependencies, so nothing may be missing."""
    every = pins(*INSTALLED, "gpu")
    for package in pins(*INSTALLED):
        for text in distribution(package).requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                version = every.get(canonicalize_name(needed.name))
                assert version is not None, f"{package} needs {needed}"
                assert needed.specifier.contains(version, prereleases=True), f"{package} needs {needed}, and {version} is listed"


def test_no_package_has_two_versions() -> None:
    together = [(package, version) for name in (*INSTALLED, "gpu") for package, version in pins(name).items()]
    assert len(dict(together)) == len(set(together))


def test_the_gpu_libraries_are_apart_and_the_cpu_builds_are_of_the_same_version() -> None:
    assert all(GPU.match(package) for package in read("gpu"))
    assert not any(GPU.match(package) for name in INSTALLED for package in read(name))
    torch, cpu = read("runtime")["torch"], read("torch-cpu")["torch"]
    check_cpu_builds(torch, cpu)
    with pytest.raises(ValueError, match=re.escape("torch-cpu.txt has torch 2.13.0+cpu, and the others 2.14.0")):
        check_cpu_builds("torch==2.14.0 \\\n    --hash=sha256:00", cpu)
    files = re.findall(r"^# +(torch-\S+\.whl)$", (FOLDER / "torch-cpu.txt").read_text(), re.MULTILINE)
    assert len(files) == cpu.count("--hash=")
    assert all(file.startswith(f"torch-{pinned(torch)}+cpu-") for file in files)


def test_lgpl_packages_are_not_needed() -> None:
    assert "crc32c" not in pins(*ABOUT)


# installing


def wheel_of(version: str, folder: Path) -> str:
    """Make a wheel without contents. Returns its hash."""
    folder.mkdir(exist_ok=True)
    wheel = folder / f"nothing_here-{version}-py3-none-any.whl"
    about = f"nothing_here-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: nothing-here\nVersion: {version}\nRequires-Dist: much-more\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{about}/METADATA", metadata)
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def install(tmp_path: Path, **listed: tuple[str, str]) -> tuple[str, list[str]]:
    """Run the script with files that list a version of the wheel and a hash each.

    Returns the errors, and the names of what was installed.
    """
    folder, target = tmp_path / "requirements", tmp_path / "target"
    folder.mkdir(exist_ok=True)
    (folder / "install.sh").write_text(INSTALL.read_text())
    for name, (version, digest) in listed.items():
        (folder / f"{name.replace('_', '-')}.txt").write_text(f"nothing-here=={version} \\\n    --hash=sha256:{digest}\n")
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("nothing-here<3\n")
    environment = {
        "PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels"), "PIP_TARGET": str(target),
        "PIP_CONSTRAINT": str(constraints), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONFIG_FILE": "/dev/null",
    }  # fmt: skip
    command = ["sh", str(folder / "install.sh"), sys.executable, *(name for name in listed if name != "torch_cpu")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert bool(done.returncode) == ("ERROR" in done.stderr), done.stderr
    return done.stderr, [path.name for path in target.glob("*")]


@pytest.mark.slow
def test_a_file_with_another_hash_is_refused_and_one_with_this_hash_is_installed_alone(tmp_path: Path) -> None:
    digest = wheel_of("1.0", tmp_path / "wheels")
    errors, installed = install(tmp_path, some=("1.0", "0" * 64))
    assert "HASHES" in errors
    assert installed == []
    assert install(tmp_path, some=("1.0", digest)) == ("", ["nothing_here-1.0.dist-info"]), "not much-more"


@pytest.mark.slow
def test_a_cpu_build_is_preferred_where_there_is_one_and_its_hash_counts_too(tmp_path: Path) -> None:
    digest, other = wheel_of("1.0", tmp_path / "wheels"), "0" * 64
    _, installed = install(tmp_path, torch_cpu=("1.0+cpu", other), runtime=("1.0", digest))
    assert installed == ["nothing_here-1.0.dist-info"], "there is no CPU build"
    shutil.rmtree(tmp_path / "target")
    cpu = wheel_of("1.0+cpu", tmp_path / "wheels")
    errors, installed = install(tmp_path, torch_cpu=("1.0+cpu", other), runtime=("1.0", digest))
    assert "HASHES" in errors
    assert installed == []
    _, installed = install(tmp_path, torch_cpu=("1.0+cpu", cpu), runtime=("1.0+cpu", cpu))
    assert installed == ["nothing_here-1.0+cpu.dist-info"]


def test_make_and_the_image_install_nothing_without_the_script() -> None:
    installs = re.findall(
        r"pip install (?:[^&\n]|\\\n)*", (ROOT / "Makefile").read_text() + (ROOT / "deploy/Dockerfile").read_text()
    )
    assert len(installs) == 3
    for command in installs:
        assert "--no-deps" in command
        assert "--require-hashes" in command or "--editable ." in command or "dist/*.whl" in command, command
