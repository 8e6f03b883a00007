"""requirements/: every dependency has one version, in the declared range, and hashes."""

from __future__ import annotations

import hashlib
import re
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


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A wheel without contents, in a folder of its own."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel = folder / "nothing_here-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        about = "nothing_here-1.0.dist-info"
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: nothing-here\nVersion: 1.0\nRequires-Dist: much-more\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return wheel


def install(package: Path, digest: str, into: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with a file that lists this wheel with this hash."""
    folder = into.parent / "requirements"
    folder.mkdir(exist_ok=True)
    (folder / "install.sh").write_text(INSTALL.read_text())
    (folder / "some.txt").write_text(f"nothing-here==1.0 \\\n    --hash=sha256:{digest}\n")
    environment = {
        "PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(package.parent), "PIP_TARGET": str(into),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONFIG_FILE": "/dev/null",
    }  # fmt: skip
    command = ["sh", str(folder / "install.sh"), sys.executable, "some"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_file_with_another_hash_is_refused_and_one_with_this_hash_is_installed_alone(package: Path, tmp_path: Path) -> None:
    done = install(package, "0" * 64, tmp_path / "target")
    assert done.returncode != 0
    assert "HASH" in done.stderr.upper()
    assert not list(tmp_path.glob("target/*"))
    done = install(package, hashlib.sha256(package.read_bytes()).hexdigest(), tmp_path / "target")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["nothing_here-1.0.dist-info"], "not much-more"


def test_make_and_the_image_install_nothing_without_the_script() -> None:
    installs = re.findall(
        r"pip install (?:[^&\n]|\\\n)*", (ROOT / "Makefile").read_text() + (ROOT / "deploy/Dockerfile").read_text()
    )
    assert len(installs) == 3
    for command in installs:
        assert "--no-deps" in command
        assert "--require-hashes" in command or "--editable ." in command or "dist/*.whl" in command, command
